package baseline

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/papertape/papertape/bench/venue"
	"github.com/papertape/papertape/codec"
)

const (
	readBytes    = 2 << 10 // initial buffer of a connection
	readBytesMax = 4 + codec.LimitAfterLogin
)

// conn is one connection.
type conn struct {
	// Constant.
	server  *Server
	nc      net.Conn
	session *venue.Session
	tasks   chan task    // the queue of its worker
	frames  chan []byte  // to its writer; nil: the end. Not used by WriterPool
	pooled  chan frameOf // to its writer of the pool

	gone    chan struct{} // closed when nothing can be sent any more
	closing sync.Once

	// Owned by the reader.
	in           []byte // read but not decoded yet
	readDeadline time.Time
	extended     bool // the deadline is no longer that of the login

	// Owned by the writer.
	out           []byte // of WriterCoalescing
	writeDeadline time.Time
}

// newConn makes a connection. Its reader sends the WELCOME.
func newConn(s *Server, nc net.Conn, number uint64) *conn {
	c := &conn{server: s, nc: nc, gone: make(chan struct{}), in: make([]byte, 0, readBytes),
		tasks: s.queues[number%uint64(len(s.queues))]}
	switch s.cfg.Writer {
	case WriterPool:
		c.pooled = s.writers[number%uint64(len(s.writers))]
	case WriterCoalescing:
		c.frames = make(chan []byte, framesMax)
	default:
		c.frames = make(chan []byte)
	}
	return c
}

// read is the connection's reading goroutine. When a drain stops it, the connection stays
// open until GOODBYE is sent.
func (c *conn) read() {
	c.session = c.server.venue.Connect(c)
	ended := c.readFrames()
	c.server.readers.Done()
	select {
	case <-c.server.drain:
	default:
		if !ended {
			c.close()
		}
	}
	<-c.gone // its writer sends GOODBYE
	c.server.venue.Leave(c.session)
	c.linger()
	c.close()
	c.server.forget(c)
}

// linger discards what still arrives: closing a socket with unread data would lose the last
// frames for the client.
func (c *conn) linger() {
	_ = c.nc.SetReadDeadline(time.Now().Add(lingerFor))
	_, _ = io.Copy(io.Discard, c.nc)
}

// readFrames reads until the connection ends or the drain begins. It returns true if the
// client is told why before the connection is closed.
func (c *conn) readFrames() (ended bool) {
	for {
		n, err := c.nc.Read(c.in[len(c.in):cap(c.in)])
		c.in = c.in[:len(c.in)+n]
		if n > 0 {
			if fatal := c.cut(); fatal {
				return true
			}
			c.extend()
		}
		select {
		case <-c.server.drain:
			return false
		default:
		}
		if err != nil && !c.loggedInMeanwhile(err) {
			return false
		}
	}
}

// loggedInMeanwhile handles a read that ended at its deadline. It reports whether that was
// the login's deadline although the client is logged in: a worker logged it in after the
// LOGIN was read, and it has been silent since.
func (c *conn) loggedInMeanwhile(err error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) || c.extended {
		return false
	}
	c.extend()
	return c.extended
}

// cut passes on the complete requests. It returns true after one that ends the connection.
func (c *conn) cut() (fatal bool) {
	off := 0
	for {
		f, n, err := codec.Cut(c.in[off:], c.session.Limit())
		if err != nil {
			c.tasks <- task{conn: c, request: venue.Broken(err)}
			return true
		}
		if n == 0 {
			break
		}
		off += n
		r := c.server.venue.Decode(c.session, f)
		c.tasks <- task{conn: c, request: r}
		if r.Refusal != nil && r.Refusal.Fatal {
			return true
		}
	}
	c.in = c.in[:copy(c.in, c.in[off:])]
	if len(c.in) == cap(c.in) { // a long frame
		c.in = append(make([]byte, 0, readBytesMax), c.in...)
	}
	return false
}

// extend extends the read deadline once half of it has passed, rather than for every
// message.
func (c *conn) extend() {
	if c.session.Limit() != codec.LimitAfterLogin {
		return
	}
	if now := time.Now(); c.readDeadline.Sub(now) < idleTimeout/2 {
		c.extended, c.readDeadline = true, now.Add(idleTimeout)
		_ = c.nc.SetReadDeadline(c.readDeadline)
	}
}

// Send passes frames to the connection's writer, and waits for it.
func (c *conn) Send(frames []byte) {
	if c.pooled != nil {
		select {
		case c.pooled <- frameOf{c, frames}:
		case <-c.gone:
		}
		return
	}
	select {
	case c.frames <- frames:
	case <-c.gone:
	}
}

// End makes the writer close the connection after what was sent.
func (c *conn) End() { c.Send(nil) }

// finish closes the sending half, after the last frame. The reader closes the rest.
func (c *conn) finish() {
	c.closing.Do(func() {
		close(c.gone)
		if tcp, ok := c.nc.(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
	})
}

func (c *conn) close() {
	c.closing.Do(func() { close(c.gone) })
	_ = c.nc.Close()
}
