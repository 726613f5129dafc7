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
