package baseline

import "time"

// Writer says how frames reach the sockets.
type Writer string

// The kinds of writer.
const (
	WriterDirect     Writer = "direct"     // a goroutine per connection, an unbuffered channel, one write per message
	WriterPool       Writer = "pool"       // a fixed number of goroutines, each with a queue, one write per message
	WriterCoalescing Writer = "coalescing" // a goroutine per connection, a buffered channel, writes of all that waits
)

// Writers returns all kinds of writer.
func Writers() []Writer { return []Writer{WriterDirect, WriterPool, WriterCoalescing} }

const (
	// framesMax bounds the channel of a coalescing writer, in messages. If it is full,
	// senders wait.
	framesMax = 64
	// coalescedBytesMax is roughly the maximum size of one write.
	coalescedBytesMax = 64 << 10
)

// frameOf is a message for a writer of the pool. Without a frame it closes the connection.
type frameOf struct {
	conn  *conn
	frame []byte
}

// write is the connection's writing goroutine.
func (c *conn) write() {
	for {
		select {
		case frame := <-c.frames:
			last := frame == nil
			if c.server.cfg.Writer == WriterCoalescing && !last {
				frame, last = c.gather(frame)
			}
			if c.written(frame, last) {
				return
			}
		case <-c.gone:
			return
		}
	}
}

// written writes a frame. It ends the connection after the last frame or if writing fails,
// and then returns true.
func (c *conn) written(frame []byte, last bool) (ended bool) {
	switch {
	case !c.writeFrame(frame):
		c.close()
		return true
	case last:
		c.finish()
		return true
	}
	return false
}

// gather adds all other waiting frames to the first. last reports whether the end is among
// them.
func (c *conn) gather(first []byte) (frames []byte, last bool) {
	c.out = c.out[:0]
	for len(c.out) < coalescedBytesMax {
		select {
		case frame := <-c.frames:
			if len(c.out) == 0 {
				c.out = append(c.out, first...)
			}
			c.out = append(c.out, frame...)
			if frame == nil {
				return c.out, true
			}
		default:
			if len(c.out) == 0 { // only the first is waiting
				return first, false
			}
			return c.out, false
		}
	}
	return c.out, false
}

// writePooled is a writer of the pool. A client that does not read blocks all its
// connections for up to writeTimeout.
func writePooled(queue chan frameOf) {
	for f := range queue {
		f.conn.written(f.frame, f.frame == nil)
	}
}

// writeFrame writes within the deadline, which it extends once half of it has passed, not
// for every message.
func (c *conn) writeFrame(frame []byte) bool {
	if len(frame) == 0 {
		return true
	}
	if now := time.Now(); c.writeDeadline.Sub(now) < writeTimeout/2 {
		c.writeDeadline = now.Add(writeTimeout)
		_ = c.nc.SetWriteDeadline(c.writeDeadline)
	}
	_, err := c.nc.Write(frame)
	return err == nil
}
