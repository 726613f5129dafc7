package client_test

import (
	"net"
	"sync"
	"testing"
)

// link is the network between clients and a server. Its address stays the same, and its
// connections can be cut, stalled, or closed in the middle of a frame.
type link struct {
	listener net.Listener
	work     sync.WaitGroup

	mu     sync.Mutex
	moving *sync.Cond        // uses mu; signalled when held becomes false or closed true
	target string            // under mu; if empty, new connections are closed at once
	conns  map[net.Conn]bool // under mu: both ends of each open connection
	held   bool              // under mu: nothing is forwarded
	left   int               // under mu: bytes to clients until the link is cut; negative means no limit
	closed bool              // under mu
}

// startLink opens a link to an address and closes it when the test ends.
func startLink(t *testing.T, target string) *link {
	t.Helper()
	l, err := newLink(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	return l
}

func newLink(target string) (*link, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l := &link{listener: ln, target: target, conns: make(map[net.Conn]bool), left: -1}
	l.moving = sync.NewCond(&l.mu)
	l.work.Go(l.accept)
	return l, nil
}

func (l *link) addr() string { return l.listener.Addr().String() }

func (l *link) close() {
	_ = l.listener.Close()
	l.mu.Lock()
	l.closed = true
	l.moving.Broadcast()
	l.mu.Unlock()
	l.cut()
	l.work.Wait()
}

func (l *link) accept() {
	for {
		near, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.mu.Lock()
		target := l.target
		l.mu.Unlock()
		if target == "" {
			reset(near)
			continue
		}
		far, err := net.Dial("tcp", target)
		if err != nil {
			reset(near)
			continue
		}
		if !l.keep(near, far) {
			return
		}
		l.work.Go(func() {
			var both sync.WaitGroup
			both.Go(func() { l.forward(far, near, false) })
			both.Go(func() { l.forward(near, far, true) })
			both.Wait()
			l.forget(near, far)
		})
	}
}

func (l *link) keep(near, far net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		_, _ = near.Close(), far.Close()
		return false
	}
	l.conns[near], l.conns[far] = true, true
	return true
}

func (l *link) forget(near, far net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, near)
	delete(l.conns, far)
	_, _ = near.Close(), far.Close()
}

// forward copies until one side ends, and then closes the other side for writing.
func (l *link) forward(to, from net.Conn, toClient bool) {
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		n, cut := l.pass(n, toClient)
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				_ = from.Close()
				return
			}
		}
		if cut {
			l.cutConns(false)
		}
		if err != nil || cut {
			_ = to.(*net.TCPConn).CloseWrite() // it may be closed
			return
		}
	}
}

// pass waits while the link is held, and returns how many of n bytes may pass before it is cut.
func (l *link) pass(n int, toClient bool) (allowed int, cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.held && !l.closed {
		l.moving.Wait()
	}
	if !toClient || l.left < 0 {
		return n, false
	}
	if n < l.left {
		l.left -= n
		return n, false
	}
	n, l.left = l.left, -1
	return n, true
}

// cut resets all connections.
func (l *link) cut() { l.cutConns(true) }

// cutAfter closes all connections after that many more bytes to clients, possibly in the middle
// of a frame.
func (l *link) cutAfter(bytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left = bytes
}

// hold silently stops all forwarding until release.
func (l *link) hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = true
}

func (l *link) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = false
	l.moving.Broadcast()
}

// to redirects new connections. With an empty address they are closed at once.
func (l *link) to(target string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.target = target
}

func (l *link) cutConns(hard bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		if hard {
			reset(c)
		} else {
			_ = c.Close()
		}
	}
	clear(l.conns)
}

// reset closes a connection with RST.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // it may be closed
	}
	_ = c.Close()
}
