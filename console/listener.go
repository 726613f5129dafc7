package console

import (
	"container/list"
	"context"
	"net"
	"net/http"
	"sync"
)

// places is a listener with a bound on the connections open at a time: the files of the process belong to its clients,
// and a console that is held open by too many must not take them. It always accepts. Where every place is taken it
// closes the connection that has waited longest for its peer to ask something: one that is idle between two requests,
// or whose first has yet to come, or comes slowly. Those in the midst of an answer are left alone; there are fewer of
// them than places (requestsMax), so whoever asks at once is always let in, and whoever only holds on gives way.
type places struct {
	net.Listener
	most int

	mu      sync.Mutex
	open    int
	waiting list.List // of *place: nobody has asked for anything on them; the one that has waited longest first
}

// Accept makes room for the connection that it returns.
func (l *places) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		p, leaves := l.take(conn)
		if leaves != nil {
			_ = leaves.Close()
		}
		if p != nil {
			return p, nil
		}
	}
}

// take gives a connection a place, and returns the connection that leaves for it. Where all are being answered that is
// the new one, which has none.
func (l *places) take(conn net.Conn) (p *place, leaves net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == l.most {
		longest := l.waiting.Front()
		if longest == nil {
			return nil, conn
		}
		before := longest.Value.(*place)
		before.leave()
		leaves = before.Conn
	}
	p = &place{Conn: conn, of: l}
	p.waits = l.waiting.PushBack(p)
	l.open++
	return p, leaves
}

// place is a connection that is open.
type place struct {
	net.Conn
	of *places

	// Under places.mu.
	waits *list.Element // nil: a request is being answered, or it has left
	left  bool
}

// leave gives the place back. places.mu must be held.
func (p *place) leave() {
	if p.left {
		return
	}
	p.left = true
	p.of.open--
	p.work()
}

// work takes the place out of those that wait. places.mu must be held.
func (p *place) work() {
	if p.waits != nil {
		p.of.waiting.Remove(p.waits)
		p.waits = nil
	}
}

// Close gives the place back, once.
func (p *place) Close() error {
	p.of.mu.Lock()
	p.leave()
	p.of.mu.Unlock()
	return p.Conn.Close()
}

// begin says that a request is being answered from now on, until end. It returns false where the connection was closed
// to make room: nobody would hear what became of the request.
func (p *place) begin() bool {
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	p.work()
	return !p.left
}

func (p *place) end() {
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	if !p.left {
		p.waits = p.of.waiting.PushBack(p)
	}
}

// placeKey is where the context of a request has the place of its connection.
type placeKey struct{}

// inPlace is the http.Server's ConnContext.
func inPlace(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, placeKey{}, conn)
}

// occupying has the listener know which connections are being answered.
func occupying(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p, ok := r.Context().Value(placeKey{}).(*place); ok {
			if !p.begin() {
				panic(http.ErrAbortHandler)
			}
			defer p.end()
		}
		next.ServeHTTP(w, r)
	})
}
