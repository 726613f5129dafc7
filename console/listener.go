package console

import (
	"container/list"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
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
//
// An address has fewer places than there are, so that one address cannot have all of them. Where all
// of an address are being answered, it still gets a few more, on which only health is answered.
type boundedListener struct {
	net.Listener
	limit      int
	perAddress int // 0: no limit

	mu      sync.Mutex
	open    int
	of      map[netip.Addr]places // how many each address has
	waiting list.List             // of *boundedConn without a request; the one that has waited longest is first
}

// places are those of one address.
type places struct{ usual, spare int }

// sparePlaces are what an address has for health alone.
const sparePlaces = 8

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
	p = &boundedConn{Conn: conn, listener: l, address: addressOf(conn)}
	var before *boundedConn
	if has := l.of[p.address]; l.perAddress > 0 && has.usual >= l.perAddress {
		if before = l.longest(p.address, false); before == nil {
			p.spare = true
		}
		if p.spare && has.spare >= sparePlaces {
			if before = l.longest(p.address, true); before == nil {
				return nil, conn
			}
		}
	}
	if before == nil && l.open >= l.limit {
		first := l.waiting.Front()
		if first == nil {
			return nil, conn
		}
		before = first.Value.(*boundedConn)
	}
	if before != nil {
		before.release()
		leaves = before.Conn
	}
	p.waitElement = l.waiting.PushBack(p)
	l.count(p, 1)
	return p, leaves
}

// longest returns the connection of an address that has waited longest for a request, or nil. l.mu
// must be held.
func (l *boundedListener) longest(address netip.Addr, spare bool) *boundedConn {
	for e := l.waiting.Front(); e != nil; e = e.Next() {
		if p := e.Value.(*boundedConn); p.address == address && p.spare == spare {
			return p
		}
	}
	return nil
}

// count counts a connection that comes (1) or goes (-1). l.mu must be held.
func (l *boundedListener) count(p *boundedConn, by int) {
	if l.of == nil {
		l.of = make(map[netip.Addr]places)
	}
	l.open += by
	has := l.of[p.address]
	if p.spare {
		has.spare += by
	} else {
		has.usual += by
	}
	if l.of[p.address] = has; has == (places{}) {
		delete(l.of, p.address)
	}
}

// addressOf returns the address that a connection comes from. An IPv6 address stands for its /64.
func addressOf(conn net.Conn) netip.Addr {
	at, _ := netip.ParseAddrPort(conn.RemoteAddr().String()) // zero for a socket
	return sourceOf(at.Addr(), false).address
}

// boundedConn is an open connection that has a place.
type boundedConn struct {
	net.Conn
	listener *boundedListener
	address  netip.Addr
	spare    bool // only health is answered on it

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
	p.listener.count(p, -1)
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

// connection is what is known of a connection for all of its requests.
type connection struct {
	place  *boundedConn // nil in tests
	socket bool         // it came through the socket on this machine
	uid    int          // of the process at the other end of the socket; -1: unknown
	ours   bool         // that process may act for the server
}

// connKey is the context key for the *connection of a request.
type connKey struct{}

// withConn is the ConnContext of the http.Server.
func withConn(ctx context.Context, conn net.Conn) context.Context {
	if c, ok := conn.(*tls.Conn); ok {
		conn = c.NetConn()
	}
	c := new(connection)
	if c.place, _ = conn.(*boundedConn); c.place != nil {
		conn = c.place.Conn
	}
	if _, c.socket = conn.(*net.UnixConn); c.socket {
		var err error
		if c.uid, err = peerUID(conn); err != nil {
			c.uid = -1
		}
		c.ours = err == nil && isOurs(c.uid, os.Geteuid())
	}
	return context.WithValue(ctx, connKey{}, c)
}

// connOf returns the connection of a request.
func connOf(r *http.Request) *connection {
	if c, ok := r.Context().Value(connKey{}).(*connection); ok {
		return c
	}
	return new(connection)
}

// remoteOf says where a request comes from: an address, or the user of a process on this machine.
func remoteOf(r *http.Request) string {
	if c := connOf(r); c.socket {
		return "uid " + strconv.Itoa(c.uid)
	}
	return r.RemoteAddr
}

// trackRequests tells the listener which connections are being answered.
func trackRequests(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := connOf(r).place; p != nil {
			if !p.beginRequest() {
				panic(http.ErrAbortHandler)
			}
			defer p.endRequest()
		}
		next.ServeHTTP(w, r)
	})
}
