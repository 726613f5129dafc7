package console

import (
	"container/list"
	"context"
	"net"
	"net/http"
	"sync"
)

// boundedListener is a listener with a bound on the connections that are open at a time. The
// process's file descriptors are for its clients, and too many open connections to the console
// must not use them up.
//
// It accepts every connection. When the bound is reached it closes the connection that has been
// waiting longest for its peer to send a request: idle between two requests, or with a first
// request that is missing or slow. It does not close connections that are being answered. There
// are fewer of these (requestsMax) than places. So a client that sends its request at once always
// gets a place, and one that merely holds a connection open has to go.
type boundedListener struct {
	net.Listener
	limit int

	mu      sync.Mutex
	open    int
	waiting list.List // of *boundedConn without a request; the one that has waited longest is first
}

// Accept accepts a connection, and closes another if the bound is reached.
func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		p, leaves := l.admit(conn)
		if leaves != nil {
			_ = leaves.Close()
		}
		if p != nil {
			return p, nil
		}
	}
}

// admit gives a place to a connection, and returns the connection that must be closed for it.
// If all are being answered, that is the new one, and p is nil.
func (l *boundedListener) admit(conn net.Conn) (p *boundedConn, leaves net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == l.limit {
		longest := l.waiting.Front()
		if longest == nil {
			return nil, conn
		}
		before := longest.Value.(*boundedConn)
		before.release()
		leaves = before.Conn
	}
	p = &boundedConn{Conn: conn, listener: l}
	p.waitElement = l.waiting.PushBack(p)
	l.open++
	return p, leaves
}

// boundedConn is an open connection that has a place.
type boundedConn struct {
	net.Conn
	listener *boundedListener

	// Guarded by boundedListener.mu.
	waitElement *list.Element // nil: a request is being answered, or the place was given back
	released    bool
}

// release gives the place back. boundedListener.mu must be held.
func (p *boundedConn) release() {
	if p.released {
		return
	}
	p.released = true
	p.listener.open--
	p.stopWaiting()
}

// stopWaiting removes the connection from those that wait. boundedListener.mu must be held.
func (p *boundedConn) stopWaiting() {
	if p.waitElement != nil {
		p.listener.waiting.Remove(p.waitElement)
		p.waitElement = nil
	}
}

// Close closes the connection, and gives its place back once.
func (p *boundedConn) Close() error {
	p.listener.mu.Lock()
	p.release()
	p.listener.mu.Unlock()
	return p.Conn.Close()
}

// beginRequest says that a request is being answered, until endRequest. It returns false if the
// connection has been closed to make room: then nobody would get the answer.
func (p *boundedConn) beginRequest() bool {
	p.listener.mu.Lock()
	defer p.listener.mu.Unlock()
	p.stopWaiting()
	return !p.released
}

func (p *boundedConn) endRequest() {
	p.listener.mu.Lock()
	defer p.listener.mu.Unlock()
	if !p.released {
		p.waitElement = p.listener.waiting.PushBack(p)
	}
}

// connKey is the context key for the connection of a request.
type connKey struct{}

// withConn is the ConnContext of the http.Server.
func withConn(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

// trackRequests tells the listener which connections are being answered.
func trackRequests(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p, ok := r.Context().Value(connKey{}).(*boundedConn); ok {
			if !p.beginRequest() {
				panic(http.ErrAbortHandler)
			}
			defer p.endRequest()
		}
		next.ServeHTTP(w, r)
	})
}
