package peers

import (
	"context"
	"errors"
	"log"

	"github.com/panjf2000/gnet/v2"
)

// Gnet echoes on gnet's event loops, configured as in Papertape.
func Gnet(ctx context.Context, address string, loops int, listening func(string)) error {
	address, err := freeAddress(address)
	if err != nil {
		return err
	}
	h := &gnetEcho{booted: make(chan struct{})}
	ran := make(chan error, 1)
	go func() {
		ran <- gnet.Run(h, "tcp://"+address, gnet.WithOptions(gnet.Options{
			NumEventLoop: loops, ReuseAddr: true, ReusePort: true, TCPNoDelay: gnet.TCPNoDelay, Logger: gnetLog{},
		}))
	}()
	select {
	case <-h.booted:
	case err := <-ran:
		return err
	}
	listening(address)
	select {
	case err := <-ran:
		return errors.Join(errStopped, err)
	case <-ctx.Done():
	}
	now, cancel := context.WithCancel(context.Background())
	cancel()
	// Stop would check only every half second whether it is done; ran tells at once.
	_ = h.engine.Stop(now)
	return <-ran
}

// gnetEcho handles gnet's callbacks.
type gnetEcho struct {
	gnet.BuiltinEventEngine
	engine gnet.Engine
	booted chan struct{}
}

// OnBoot stores gnet's engine. The listeners are bound by then.
func (h *gnetEcho) OnBoot(e gnet.Engine) gnet.Action {
	h.engine = e
	close(h.booted)
	return gnet.None
}

// OnTraffic echoes what was read.
func (h *gnetEcho) OnTraffic(c gnet.Conn) gnet.Action {
	in, err := c.Next(-1)
	if err != nil || c.OutboundBuffered()+len(in) > backlogBytesMax {
		return gnet.Close
	}
	if _, err := c.Write(in); err != nil {
		return gnet.Close
	}
	return gnet.None
}

// gnetLog keeps gnet's log off stdout, and prints only warnings and errors.
type gnetLog struct{}

// Debugf prints nothing.
func (gnetLog) Debugf(string, ...any) {}

// Infof prints nothing.
func (gnetLog) Infof(string, ...any) {}

// Warnf prints the message.
func (gnetLog) Warnf(format string, args ...any) { log.Printf("gnet: "+format, args...) }

// Errorf prints the message.
func (gnetLog) Errorf(format string, args ...any) { log.Printf("gnet: "+format, args...) }

// Fatalf prints the message. gnet also returns the error.
func (gnetLog) Fatalf(format string, args ...any) { log.Printf("gnet: "+format, args...) }
