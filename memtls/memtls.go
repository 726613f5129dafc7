// Package memtls runs the standard crypto/tls without a connection: bytes that came are given to it, and bytes that are
// to go are appended to a buffer. So an event loop can have TLS without a goroutine for each connection.
//
//	c := memtls.Server(cfg, &out)      // or Client
//	c.Feed(input)                      // for each read, until Handshake says that it is done
//	done, err := c.Handshake()         // and write what is in out
//	c.Feed(input)                      // after that
//	n, err := c.Read(b)                // until err is ErrNoInput
//	err = c.Write(frames)              // and write what is in out
//	c.Drop()                           // when the connection is gone
//
// Records need nothing special: crypto/tls forgets an error of its connection that says that it is temporary. So Read
// returns one when the input is used up, and goes on when there is more. The handshake keeps every error for ever.
// Therefore it is a coroutine (iter.Pull), which yields when the input is used up. A coroutine has a stack, and no
// scheduler; it exists during the handshake only. A panic in it arrives at the caller of Handshake.
package memtls

import (
	"crypto/tls"
	"iter"
	"net"
	"time"
)

// Conn is one side of a TLS connection. It is not safe for concurrent use; different goroutines may use it one after
// the other.
type Conn struct {
	wire wire
	conn *tls.Conn
	next func() (struct{}, bool) // goes on with the handshake; nil: it is over
	stop func()
	err  error // of the handshake
}

// Server returns the server's side. What it has to send is appended to out.
func Server(cfg *tls.Config, out *[]byte) *Conn {
	c := &Conn{wire: wire{out: out}}
	c.conn = tls.Server(&c.wire, cfg)
	return c.prepared()
}

// Client returns the client's side.
func Client(cfg *tls.Config, out *[]byte) *Conn {
	c := &Conn{wire: wire{out: out}}
	c.conn = tls.Client(&c.wire, cfg)
	return c.prepared()
}

func (c *Conn) prepared() *Conn {
	c.next, c.stop = iter.Pull(func(yield func(struct{}) bool) {
		c.wire.yield = yield
		c.err = c.conn.Handshake()
	})
	return c
}

// Feed sets the input. It is not kept beyond the calls that follow, up to the next Feed.
func (c *Conn) Feed(in []byte) { c.wire.in = in }

// Handshake goes on with the handshake until it needs more input, or is over. A handshake that is not over has used all
// input; one that is may have left some, which Read goes on with.
func (c *Conn) Handshake() (done bool, err error) {
	if c.next == nil {
		return true, c.err
	}
	if _, waits := c.next(); waits {
		return false, nil
	}
	c.next, c.stop, c.wire.yield = nil, nil, nil
	return true, c.err
}

// Read decrypts, one record at most. The error is ErrNoInput when the input is used up, io.EOF when the other side has
// said that it sends no more, and otherwise final: an alert has been appended to the output, and Write fails.
func (c *Conn) Read(b []byte) (int, error) { return c.conn.Read(b) }

// Write encrypts.
func (c *Conn) Write(b []byte) error {
	_, err := c.conn.Write(b)
	return err
}

// CloseWrite says that nothing more will be sent.
func (c *Conn) CloseWrite() error { return c.conn.CloseWrite() }

// ConnectionState describes the connection.
func (c *Conn) ConnectionState() tls.ConnectionState { return c.conn.ConnectionState() }

// Drop ends a handshake that is not over, and with it its coroutine. Nothing can be sent any more.
func (c *Conn) Drop() {
	c.wire.gone = true
	if c.stop != nil {
		c.stop()
	}
}

// ErrNoInput means that the input is used up.
var ErrNoInput net.Error = noInput{}

type noInput struct{}

func (noInput) Error() string   { return "no more input yet" }
func (noInput) Timeout() bool   { return true }
func (noInput) Temporary() bool { return true }

// wire is the connection that crypto/tls reads and writes.
type wire struct {
	in    []byte
	out   *[]byte
	yield func(struct{}) bool // during the handshake
	gone  bool
}

// Read returns the input. When that is used up, it waits for more during the handshake, and fails after it.
func (w *wire) Read(b []byte) (int, error) {
	for len(w.in) == 0 {
		switch {
		case w.gone:
			return 0, net.ErrClosed
		case w.yield == nil:
			return 0, ErrNoInput
		case !w.yield(struct{}{}):
			return 0, net.ErrClosed
		}
	}
	n := copy(b, w.in)
	w.in = w.in[n:]
	return n, nil
}

// Write appends to the output. It must not fail while the connection lasts: crypto/tls would fail for ever.
func (w *wire) Write(b []byte) (int, error) {
	if w.gone {
		return 0, net.ErrClosed
	}
	*w.out = append(*w.out, b...)
	return len(b), nil
}

// Close does nothing: the socket is the caller's.
func (w *wire) Close() error { return nil }

// LocalAddr returns no address.
func (w *wire) LocalAddr() net.Addr { return nil }

// RemoteAddr returns no address.
func (w *wire) RemoteAddr() net.Addr { return nil }

// SetDeadline does nothing: deadlines are the caller's.
func (w *wire) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing.
func (w *wire) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (w *wire) SetWriteDeadline(time.Time) error { return nil }
