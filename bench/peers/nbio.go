package peers

import (
	"context"

	"github.com/lesismal/nbio"
	"github.com/lesismal/nbio/logging"
)

// Nbio echoes on the pollers of nbio.
func Nbio(ctx context.Context, address string, loops int, listening func(string)) error {
	logging.SetLevel(logging.LevelError)
	e := nbio.NewEngine(nbio.Config{
		Network: "tcp", Addrs: []string{address}, NPoller: loops, ReadBufferSize: readBytes,
		MaxWriteBufferSize: backlogBytesMax,
	})
	e.OnData(func(c *nbio.Conn, in []byte) {
		if _, err := c.Write(in); err != nil { // it keeps a copy of what the socket does not accept
			_ = c.Close()
		}
	})
	if err := e.Start(); err != nil {
		return err
	}
	listening(e.Addrs[0])
	<-ctx.Done()
	e.Stop()
	return nil
}
