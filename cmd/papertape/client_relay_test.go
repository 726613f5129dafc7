package main

import (
	"io"
	"net"
	"sync"
	"testing"
)

// relay forwards connections to a server, so that a test can cut them, pause them, and redirect new
// ones to another server.
type relay struct {
	addr string

	mu     sync.Mutex
	target string           // guarded by mu; empty: connections are refused
	held   chan struct{}    // guarded by mu; closed when bytes may pass
	pairs  map[relayed]bool // guarded by mu
	wg     sync.WaitGroup
}

type relayed struct{ client, server net.Conn }

func newRelay(t *testing.T, target string) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{addr: l.Addr().String(), target: target, held: make(chan struct{}), pairs: make(map[relayed]bool)}
	close(r.held)
	r.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // the test is over
			}
			r.wg.Go(func() { r.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		r.pass()
		r.redirect("")
		r.wg.Wait()
	})
	return r
}

// redirect cuts all connections and sends new ones to another server, or refuses them if target is
// empty.
func (r *relay) redirect(target string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.target = target
	for p := range r.pairs {
		_ = p.client.Close()
		_ = p.server.Close()
	}
}

// hold pauses the traffic until pass is called.
func (r *relay) hold() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = make(chan struct{})
}

func (r *relay) pass() {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.held:
	default:
		close(r.held)
	}
}

func (r *relay) serve(conn net.Conn) {
	defer conn.Close() //nolint:errcheck // it may be closed already
	server, ok := r.connect(conn)
	if !ok {
		return
	}
	defer server.Close() //nolint:errcheck // likewise
	p := relayed{conn, server}
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.pairs, p)
	}()
	var ways sync.WaitGroup
	for _, way := range []relayed{{conn, server}, {server, conn}} {
		ways.Go(func() {
			defer way.server.Close() //nolint:errcheck // likewise
			_, _ = io.Copy(way.server, heldReader{r, way.client})
		})
	}
	ways.Wait()
}

// connect dials the other half of a pair and records the pair.
func (r *relay) connect(conn net.Conn) (net.Conn, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.target == "" {
		return nil, false
	}
	server, err := net.Dial("tcp", r.target)
	if err != nil {
		return nil, false
	}
	r.pairs[relayed{conn, server}] = true
	return server, true
}

// heldReader reads from a connection only while the relay lets bytes pass. It hides the TCPConn, so
// that io.Copy uses it.
type heldReader struct {
	relay *relay
	conn  net.Conn
}

func (r heldReader) Read(p []byte) (int, error) {
	n, err := r.conn.Read(p)
	r.relay.mu.Lock()
	held := r.relay.held
	r.relay.mu.Unlock()
	<-held
	return n, err
}
