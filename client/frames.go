package client

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/papertape/papertape/codec"
)

// What the connection's buffers hold at most, in bytes.
const (
	readBytesMax  = 16 + codec.LimitToClient // one frame of the largest size
	readBytes     = 4 << 10                  // to begin with
	writeBytesMax = 64 << 10                 // frames are gathered into one write up to here
)

// frameReader cuts frames from a connection. It has one user.
type frameReader struct {
	conn       net.Conn
	buf        []byte
	start, end int           // buf[start:end] was read and not yet cut
	patience   time.Duration // how long to wait for a byte
}

// next returns the next frame. Its payload is valid until the following call.
func (r *frameReader) next() (codec.Frame, error) {
	for {
		f, n, err := codec.Cut(r.buf[r.start:r.end], codec.LimitToClient)
		if err != nil {
			return codec.Frame{}, protocolErrorf("a frame cannot be cut: %v", err)
		}
		if n > 0 {
			r.start += n
			return f, nil
		}
		if err := r.fill(); err != nil {
			return codec.Frame{}, err
		}
	}
}

// fill reads what there is, at least a byte. A silence longer than the reader's patience is an error: the time in which
// nobody calls does not count, so that a caller who is slow with the events is not taken for a dead server.
func (r *frameReader) fill() error {
	r.room()
	if err := r.conn.SetReadDeadline(time.Now().Add(r.patience)); err != nil {
		return fmt.Errorf("read from the server: %w", err)
	}
	n, err := r.conn.Read(r.buf[r.end:])
	r.end += n
	switch {
	case n > 0:
		return nil // an error comes again with the next read
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("not a byte from the server for %v: the connection is dead: %w", r.patience, err)
	case errors.Is(err, io.EOF) && r.start < r.end:
		return fmt.Errorf("the server closed the connection in the middle of a frame: %w", io.ErrUnexpectedEOF)
	case errors.Is(err, io.EOF):
		return fmt.Errorf("the server closed the connection: %w", err)
	}
	return fmt.Errorf("read from the server: %w", err)
}

// room makes space behind end, up to the largest frame, which codec.Cut does not let pass.
func (r *frameReader) room() {
	if r.start > 0 {
		r.end = copy(r.buf, r.buf[r.start:r.end])
		r.start = 0
	}
	if r.end < len(r.buf) {
		return
	}
	bigger := make([]byte, min(max(readBytes, 2*len(r.buf)), readBytesMax))
	copy(bigger, r.buf[:r.end])
	r.buf = bigger
}

// write sends frames until the client ends, as many with one write as wait; it is the only goroutine that writes after
// the login. When it has sent nothing for a heartbeat it pings.
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

// lastWordsPatience is how long the reader may take, after a write has failed, for what the server said before it
// closed.
const lastWordsPatience = time.Second

// awaitLastWords lets the reader end the client where a write has failed since the server closes the connection:
// answers and the GOODBYE that it sent before may not have been read yet, and are what counts. A server that takes
// nothing for too long has said nothing.
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

// gather adds the frames that wait already.
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
