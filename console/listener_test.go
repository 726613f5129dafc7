package console

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(20 * time.Microsecond) {
		if time.Now().After(deadline) {
			t.Fatalf("for a minute it was not so: %s", what)
		}
	}
}

// connections returns the number of open connections.
func (l *boundedListener) connections() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open
}

// idle returns the number of connections without a request.
func (l *boundedListener) idle() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting.Len()
}

// crowd is connections to a console that others hold open.
type crowd struct {
	t     *testing.T
	f     *fixture
	conns []net.Conn
}

func newCrowd(t *testing.T, f *fixture) *crowd {
	c := &crowd{t: t, f: f}
	t.Cleanup(func() {
		for _, conn := range c.conns {
			_ = conn.Close()
		}
	})
	return c
}

// dial opens a connection and sends a text on it.
func (c *crowd) dial(text string) net.Conn {
	c.t.Helper()
	return c.dialFrom(1, text)
}

// dialFrom is dial from 127.0.1.host.
func (c *crowd) dialFrom(host byte, text string) net.Conn {
	c.t.Helper()
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, host)}}
	conn, err := from.Dial("tcp", strings.TrimPrefix(c.f.url, "http://"))
	if err != nil {
		c.t.Fatal(err)
	}
	_ = conn.(*net.TCPConn).SetLinger(0) // so that closing leaves no port in TIME_WAIT
	c.conns = append(c.conns, conn)
	if _, err := io.WriteString(conn, text); err != nil && !isClosedByPeer(err) {
		c.t.Fatal(err)
	}
	return conn
}

// isClosedByPeer reports whether an error says that the other side has closed the connection.
func isClosedByPeer(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE)
}

// ask makes a request, and leaves the connection open after the answer.
func (c *crowd) ask(conn net.Conn, target string) error {
	if _, err := io.WriteString(conn, "GET "+target+" HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		return err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return errors.Join(err, resp.Body.Close())
}

// healthy checks the health as papertape healthcheck does.
func (c *crowd) healthy(while string) {
	c.t.Helper()
	if err := c.f.client.Ready(c.t.Context()); err != nil {
		c.t.Errorf("health, while %s: %v", while, err)
	}
}

// TestHealthInACrowd: health is answered whatever others do with their connections, and however
// many they hold open.
func TestHealthInACrowd(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	const many = 700
	for while, text := range map[string]string{
		"others say nothing":             "",
		"others begin a request line":    "GET /api",
		"others begin a header":          "GET /api/v1/log HTTP/1.1\r\nHost: localhost\r\nX: ",
		"others have asked and are idle": "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"others begin a body": "PUT /api/v1/log HTTP/1.1\r\nHost: localhost\r\n" +
			"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{",
		"others send a chunk": "PUT /api/v1/log HTTP/1.1\r\nHost: localhost\r\n" +
			"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
		"others ask and do not read": strings.Repeat("GET /api/v1/openapi.yaml HTTP/1.1\r\nHost: localhost\r\n\r\n",
			200),
		"others are refused": strings.Repeat("GET /api/v1/log HTTP/1.1\r\nHost: evil.example\r\n\r\n", 20),
	} {
		t.Run(while, func(t *testing.T) {
			f := newFixture(t, "")
			c := newCrowd(t, f)
			for i := range many {
				c.dial(text)
				if i%100 == 99 {
					c.healthy(while)
				}
			}
			if open := f.server.listener.connections(); open > connectionsMax {
				t.Errorf("%d connections are open, of %d", open, connectionsMax)
			}
			if err := c.ask(c.dial(""), "/readyz"); err != nil {
				t.Errorf("a new connection: %v", err)
			}
		})
	}
}

// TestLongestIdle: the connection that is closed is the one that has waited longest for a
// request, and never one being answered.
func TestLongestIdle(t *testing.T) {
	f := newFixture(t, "")
	f.ledger.wait = make(chan struct{})
	c := newCrowd(t, f)
	working := c.dial("GET /api/v1/accounts/100017/holdings HTTP/1.1\r\nHost: localhost\r\n\r\n")
	<-f.ledger.wait
	first := c.dial("")
	eventually(t, "the first is in", func() bool { return f.server.listener.connections() == 2 })
	second := c.dial("")
	eventually(t, "the second is in", func() bool { return f.server.listener.connections() == 3 })
	for i := range connectionsMax - 3 {
		c.dialFrom(byte(2+i/perAddressMax), "")
	}
	eventually(t, "all places are taken", func() bool { return f.server.listener.connections() == connectionsMax })
	if err := c.ask(first, "/livez"); err != nil {
		t.Fatalf("the first, when all places are taken: %v", err)
	}
	eventually(t, "the first is idle again", func() bool { return f.server.listener.idle() == connectionsMax-1 })
	c.dialFrom(100, "")
	if n, err := second.Read(make([]byte, 1)); err == nil || !isClosedByPeer(err) {
		t.Errorf("the second was to give way, and has %d bytes, %v", n, err)
	}
	if err := c.ask(first, "/livez"); err != nil {
		t.Errorf("the first was to stay: %v", err)
	}
	f.server.stop()
	line, err := bufio.NewReader(working).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "HTTP/1.1 503 ") {
		t.Errorf("the one that was being answered: %q, %v", line, err)
	}
}

// TestSlow: clients that are slow to send a request or a body, or to read the answer, are only
// waited for so long.
func TestSlow(t *testing.T) {
	f := newFixture(t, "")
	hasty := f.serveWithShortTimeouts(t)
	for what, text := range map[string]string{
		"nothing":       "",
		"half a header": "GET /api/v1/log HTTP/1.1\r\nHost: localhost\r\nX: ",
		"half a body": "PUT /api/v1/log HTTP/1.1\r\nHost: localhost\r\n" +
			"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{",
		"idle, then never": "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", hasty)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, conn); err != nil && !isClosedByPeer(err) {
			t.Errorf("%s: %v", what, err)
		}
		_ = conn.Close()
	}
}

// serveWithShortTimeouts serves the fixture's console on another address, with short timeouts.
func (f *fixture) serveWithShortTimeouts(t *testing.T) (address string) {
	t.Helper()
	server, err := New(f.server.cfg)
	if err != nil {
		t.Fatal(err)
	}
	const short = 50 * time.Millisecond
	h := server.http
	h.ReadHeaderTimeout, h.ReadTimeout, h.WriteTimeout, h.IdleTimeout = short, short, short, short
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(ln) })
	t.Cleanup(func() {
		_ = server.Shutdown(context.Background())
		serving.Wait()
	})
	return ln.Addr().String()
}

// TestUnread: an answer that nobody reads does not hold its place for ever.
func TestUnread(t *testing.T) {
	f := newFixture(t, "")
	for range 1000 {
		f.ledger.accounts = append(f.ledger.accounts, f.ledger.accounts[0])
	}
	f.ledger.oldest = 0
	server, err := New(f.server.cfg)
	if err != nil {
		t.Fatal(err)
	}
	server.http.WriteTimeout = 50 * time.Millisecond
	ours, theirs := net.Pipe() // a pipe has no buffer
	ln := &oneConnListener{conn: theirs, closed: make(chan struct{})}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(ln) })
	if _, err := io.WriteString(ours, "GET /api/v1/accounts HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is given up", func() bool {
		return server.listener.connections() == 0 && len(server.guard.slots) == 0
	})
	_ = ours.Close()
	_ = server.Shutdown(t.Context())
	serving.Wait()
}

// oneConnListener is a listener with one connection.
type oneConnListener struct {
	conn   net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *oneConnListener) Accept() (conn net.Conn, err error) {
	l.once.Do(func() { conn = l.conn })
	if conn != nil {
		return conn, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *oneConnListener) Close() error { close(l.closed); return nil }

func (l *oneConnListener) Addr() net.Addr { return l.conn.LocalAddr() }

// TestPlaces: a place is given back only once, and a request on a connection that was closed
// for another is not begun.
func TestPlaces(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln := &boundedListener{Listener: inner, limit: 2}
	defer ln.Close() //nolint:errcheck // only a test
	accept := func() *boundedConn {
		t.Helper()
		conn, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		p, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return p.(*boundedConn)
	}
	first, second := accept(), accept()
	if !first.beginRequest() {
		t.Error("the first cannot begin")
	}
	third := accept() // closes the second, because the first is being answered
	if second.beginRequest() {
		t.Error("the second has left, and begins")
	}
	second.endRequest()
	_ = second.Close()
	if open, idle := ln.connections(), ln.idle(); open != 2 || idle != 1 {
		t.Errorf("%d open, %d idle; want 2 and 1", open, idle)
	}
	first.endRequest()
	if !third.beginRequest() {
		t.Error("the third cannot begin")
	}
	_ = first.Close()
	_ = first.Close()
	third.endRequest()
	_ = third.Close()
	if open, idle := ln.connections(), ln.idle(); open != 0 || idle != 0 {
		t.Errorf("%d open, %d idle; want none", open, idle)
	}
}

// TestAllAnswered: if all connections are being answered, the new one is closed.
func TestAllAnswered(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln := &boundedListener{Listener: inner, limit: 1}
	conns := make(chan net.Conn)
	ended := make(chan error, 1)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				ended <- err
				return
			}
			conns <- conn
		}
	}()
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	dial()
	first := (<-conns).(*boundedConn)
	first.beginRequest()
	if _, err := dial().Read(make([]byte, 1)); err == nil || !isClosedByPeer(err) {
		t.Errorf("one more was to be closed: %v", err)
	}
	first.endRequest()
	dial()
	second := <-conns
	_ = second.Close()
	if err := ln.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v", err)
	}
}
