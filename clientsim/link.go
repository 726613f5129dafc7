package clientsim

import (
	"context"
	"net"
	"sync"
	"time"
)

// attemptMax bounds one attempt to connect. If packets are lost rather than refused, the
// operating system would retry for minutes, at growing intervals.
const attemptMax = 5 * time.Second

// gate bounds how many clients log in at the same time, since a server bounds how many
// connections are not yet logged in.
type gate chan struct{}

func (g gate) enter(ctx context.Context) error {
	select {
	case g <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g gate) leave() { <-g }

// link makes a user's connections, one at a time and through the gate, and can cut them.
type link struct {
	gate gate // nil if there is none

	mu     sync.Mutex
	conn   *gatedConn // the newest connection
	barred time.Time  // when a new connection is allowed
}

// dial waits until the link is no longer cut, and for a place at the gate.
func (l *link) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if err := l.waitBarred(ctx); err != nil {
		return nil, err
	}
	if l.gate != nil {
		if err := l.gate.enter(ctx); err != nil {
			return nil, err
		}
	}
	conn := &gatedConn{gate: l.gate}
	var err error
	if conn.Conn, err = (&net.Dialer{Timeout: attemptMax}).DialContext(ctx, network, address); err != nil {
		conn.loggedIn()
		return nil, err
	}
	l.mu.Lock()
	l.conn = conn
	l.mu.Unlock()
	return conn, nil
}

func (l *link) waitBarred(ctx context.Context) error {
	l.mu.Lock()
	left := time.Until(l.barred)
	l.mu.Unlock()
	if left <= 0 {
		return ctx.Err()
	}
	select {
	case <-time.After(left):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// loggedIn frees the connection's place at the gate.
func (l *link) loggedIn() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		l.conn.loggedIn()
	}
}

// cut resets the connection without a word to the client or the server, and bars new
// connections for a while.
func (l *link) cut(away time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.barred = time.Now().Add(away)
	if tcp, ok := l.conn.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // fails only if the connection has ended by itself
	}
	_ = l.conn.Close() // likewise
}

// gatedConn is a connection that holds a place at the gate until it is logged in or closed.
type gatedConn struct {
	net.Conn
	gate gate
	once sync.Once
}

func (c *gatedConn) loggedIn() {
	c.once.Do(func() {
		if c.gate != nil {
			c.gate.leave()
		}
	})
}

// Close frees the place at the gate, too.
func (c *gatedConn) Close() error {
	c.loggedIn()
	return c.Conn.Close()
}
