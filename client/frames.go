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

// Sizes of the connection's buffers, in bytes.
const (
	readBytesMax  = 16 + codec.LimitToClient // one frame of the largest size
	readBytes     = 4 << 10                  // initially
	writeBytesMax = 64 << 10                 // frames are gathered into one write up to this size
)

// frameReader cuts frames from a connection. It is not safe for concurrent use.
type frameReader struct {
	conn       net.Conn
	buf        []byte
	start, end int           // buf[start:end] has been read but not yet cut
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

// fill reads what is available, at least one byte. A silence longer than the reader's patience
// is an error. Time in which nobody calls fill does not count, so that a caller who processes
// events slowly does not mistake the server for dead.
func (r *frameReader) fill() error {
	r.makeRoom()
	if err := r.conn.SetReadDeadline(time.Now().Add(r.patience)); err != nil {
		return fmt.Errorf("read from the server: %w", err)
	}
	n, err := r.conn.Read(r.buf[r.end:])
	r.end += n
	switch {
	case n > 0:
		return nil // the next read returns any error again
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("not a byte from the server for %v: the connection is dead: %w", r.patience, err)
	case errors.Is(err, io.EOF) && r.start < r.end:
		return fmt.Errorf("the server closed the connection in the middle of a frame: %w", io.ErrUnexpectedEOF)
	case errors.Is(err, io.EOF):
		return fmt.Errorf("the server closed the connection: %w", err)
	}
	return fmt.Errorf("read from the server: %w", err)
}

// makeRoom makes space behind end. The buffer grows up to the largest frame; codec.Cut refuses
// larger ones.
func (r *frameReader) makeRoom() {
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
