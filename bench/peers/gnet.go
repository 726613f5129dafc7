package peers

import (
	"context"
	"errors"
	"log"

	"github.com/panjf2000/gnet/v2"
)

// Gnet echoes on gnet's event loops, which are set up as those of Papertape.
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
	_ = h.engine.Stop(now) // it would look every half second whether it is done; ran tells at once
	return <-ran
}

// gnetEcho is what gnet calls.
type gnetEcho struct {
	gnet.BuiltinEventEngine
	engine gnet.Engine
	booted chan struct{}
}

// OnBoot notes gnet's engine. Its listeners are bound by then.
func (h *gnetEcho) OnBoot(e gnet.Engine) gnet.Action {
	h.engine = e
	close(h.booted)
	return gnet.None
}

// OnTraffic sends back what was read.
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

// gnetLog keeps gnet's words off stdout, and repeats those that are of trouble.
type gnetLog struct{}

// Debugf is thrown away.
func (gnetLog) Debugf(string, ...any) {}

// Infof is thrown away.
func (gnetLog) Infof(string, ...any) {}

// Warnf is repeated.
func (gnetLog) Warnf(format string, args ...any) { log.Printf("gnet: "+format, args...) }

// Errorf is repeated.
func (gnetLog) Errorf(format string, args ...any) { log.Printf("gnet: "+format, args...) }

// Fatalf is repeated. What it is about, gnet returns.
func (gnetLog) Fatalf(format string, args ...any) { log.Printf("gnet: "+format, args...) }
