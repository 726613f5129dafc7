package client

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// write sends frames until the client ends, gathering those that wait into one write. It is the
// only goroutine that writes after the login. After a heartbeat interval without sending, it
// pings.
func (c *Client) write() {
	defer c.goroutines.Done()
	idle := time.NewTimer(c.heartbeat)
	defer idle.Stop()
	var buf []byte
	for {
		select {
		case <-c.done:
			return
		case frame := <-c.out:
			buf = c.gather(append(buf[:0], frame...))
		case <-idle.C:
			buf = c.appendHeartbeat(buf[:0])
		}
		if len(buf) > 0 {
			if err := c.conn.SetWriteDeadline(time.Now().Add(3 * c.heartbeat)); err != nil {
				c.fail(fmt.Errorf("write to the server: %w", err))
				return
			}
			if _, err := c.conn.Write(buf); err != nil {
				c.awaitLastWords(err)
				c.fail(fmt.Errorf("write to the server: %w", err))
				return
			}
		}
		idle.Reset(c.heartbeat)
	}
}

// lastWordsPatience is how long the reader may take, after a failed write, to read what the
// server said before it closed the connection.
const lastWordsPatience = time.Second

// awaitLastWords waits after a failed write, so that the reader can end the client. If the
// server closed the connection, the answers and the GOODBYE that it sent before may not have
// been read yet, and they explain more than the failed write. If the write timed out there are
// none to wait for.
func (c *Client) awaitLastWords(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return
	}
	timer := time.NewTimer(lastWordsPatience)
	defer timer.Stop()
	select {
	case <-c.done:
	case <-timer.C:
	}
}

// gather adds the frames that already wait.
func (c *Client) gather(buf []byte) []byte {
	for len(buf) < writeBytesMax {
		select {
		case frame := <-c.out:
			buf = append(buf, frame...)
		default:
			return buf
		}
	}
	return buf
}
