package truth

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/papertape/papertape/client"
)

const patience = 2 * time.Minute

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) // goroutines from before the first test belong to imports
}

// echo returns a proxy to a server that sends back what it receives.
func echo(t *testing.T) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the listener
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}()
		}
	}()
	p, err := newProxy(func() string { return ln.Addr().String() }, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.close()
		_ = ln.Close()
	})
	return p
}

func (p *proxy) dial(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", p.address())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// echoes sends a text and expects it back.
func echoes(t *testing.T, c net.Conn, text string) {
	t.Helper()
	got := make([]byte, len(text))
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, got); err != nil || string(got) != text {
		t.Fatalf("%q, %v", got, err)
	}
}

// TestProxy: the proxy carries, stalls and resumes, tears, cuts, and accepts the next connection.
func TestProxy(t *testing.T) {
	p := echo(t)
	if p.cut() {
		t.Error("connections were cut, of which there were none")
	}
	c := p.dial(t)
	echoes(t, c, "hello")
	p.stallAll()
	if _, err := io.WriteString(c, "wait"); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(30 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 4)
	if n, _ := c.Read(got); n > 0 {
		t.Errorf("%q came through a proxy that hangs", got[:n])
	}
	p.release()
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "wait" {
		t.Errorf("%q, %v after it", got, err)
	}
	if !p.tearNext() || p.tearNext() {
		t.Error("one connection is torn once")
	}
	torn := bytes.Repeat([]byte("x"), 1000)
	if _, err := c.Write(torn); err != nil {
		t.Fatal(err)
	}
	if rest, _ := io.ReadAll(c); len(rest) >= len(torn) {
		t.Errorf("%d of %d bytes came through a torn connection", len(rest), len(torn))
	}
	c = p.dial(t)
	echoes(t, c, "again")
	if !p.cut() {
		t.Error("the connection was not cut")
	}
	if n, err := c.Read(got); n > 0 || err == nil {
		t.Errorf("%d bytes, %v after a cut", n, err)
	}
	echoes(t, p.dial(t), "and again")
}

// TestNote: the digest depends on each event, its content and the order.
func TestNote(t *testing.T) {
	digest := func(events ...*client.Event) note {
		n := note{First: 4, Last: 4}
		for _, ev := range events {
			n.add(ev)
		}
		return n
	}
	five, six := &client.Event{Account: 7, Seq: 5, Time: time.Unix(0, 1)}, &client.Event{Account: 7, Seq: 6,
		Time: time.Unix(0, 1)}
	same, other := &client.Event{Account: 7, Seq: 5, Time: time.Unix(0, 1)}, &client.Event{Account: 7, Seq: 5,
		Time: time.Unix(0, 2)}
	if digest(five, six) != digest(same, six) {
		t.Error("the same events have two digests")
	}
	for name, n := range map[string]note{
		"one left out": digest(six), "one twice": digest(five, five, six), "another": digest(other, six),
		"the last left out":   digest(five),
		"the other way round": digest(six, five),
	} {
		if n.Digest == digest(five, six).Digest {
			t.Errorf("%s: the digest is the same", name)
		}
	}
}
