package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/codec"
)

const account = 100017

// peer is the server's side of one connection, played by a test's script. A failure in it is
// reported by the end of the script.
type peer struct {
	net.Conn
	t   *testing.T
	buf []byte
}

// serve listens on a free port and plays one script per connection, in the order of the
// scripts. The test ends only when all of them have.
func serve(t *testing.T, scripts ...func(*peer)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, script := range scripts {
			conn, err := l.Accept()
			if err != nil {
				return // the test is over
			}
			script(&peer{Conn: conn, t: t})
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return l.Addr().String()
}

func (p *peer) send(frames ...[]byte) {
	for _, f := range frames {
		if _, err := p.Write(f); err != nil {
			p.t.Errorf("the server cannot write: %v", err)
			return
		}
	}
}

// receive returns the next frame, or a zero frame if the client has closed.
func (p *peer) receive() codec.Frame {
	for {
		f, n, err := codec.Cut(p.buf, codec.LimitAfterLogin)
		if err != nil {
			p.t.Errorf("the client sent a frame that cannot be cut: %v", err)
			return codec.Frame{}
		}
		if n > 0 {
			p.buf = p.buf[n:]
			return f
		}
		chunk := make([]byte, 4096)
		n, err = p.Read(chunk)
		p.buf = append(p.buf, chunk[:n]...)
		if n == 0 && err != nil {
			return codec.Frame{}
		}
	}
}

// expect returns the next frame, which must be of the given type. It answers the client's pings
// meanwhile.
func (p *peer) expect(want codec.Type) codec.Frame {
	f := p.receive()
	for f.Type == codec.TypePing && want != codec.TypePing {
		p.send(pong(f.ID, 0))
		f = p.receive()
	}
	if f.Type != want {
		p.t.Errorf("the client sent %v: expected %v", f.Type, want)
	}
	return f
}

// waitClosed reads until the client closes.
func (p *peer) waitClosed() { _, _ = io.Copy(io.Discard, p) }

func (p *peer) unmarshal(f codec.Frame, m interface {
	UnmarshalVT([]byte) error
	Reset()
}) {
	if err := codec.Unmarshal(f.Payload, m); err != nil {
		p.t.Errorf("%v does not parse: %v", f.Type, err)
	}
}

// hello welcomes the client and logs it in to an empty account whose newest event is head.
func (p *peer) hello(head uint64) *papertapev1.Login {
	p.send(welcome(60_000))
	f := p.expect(codec.TypeLogin)
	login := new(papertapev1.Login)
	p.unmarshal(f, login)
	p.send(loggedIn(f.ID, snapshot(head)))
	return login
}

func welcome(heartbeatMs uint32) []byte {
	return codec.Append(nil, codec.TypeWelcome, 0, 0, &papertapev1.Welcome{
		Uid: 7, Protocol: 1, Server: "test", Epoch: 99, Instance: 8, HeartbeatMs: heartbeatMs,
		MaxFrame: codec.LimitAfterLogin,
	})
}

func snapshot(head uint64) *papertapev1.LoginReply {
	return &papertapev1.LoginReply{
		Account: account, HeadSeq: head, OldestSeq: min(head, 1), Epoch: 99,
		Mode:     papertapev1.ResumeMode_RESUME_MODE_SNAPSHOT,
		Holdings: &papertapev1.Holdings{Account: account, AsOfSeq: head},
	}
}

func loggedIn(id uint64, r *papertapev1.LoginReply) []byte {
	return codec.Append(nil, codec.TypeLoginReply, codec.FlagReply, id, r)
}

func event(seq uint64, flags codec.Flags) []byte {
	return codec.Append(nil, codec.TypeEvent, flags, 0, &papertapev1.AccountEvent{Account: account, Seq: seq})
}

func execution(id, seq uint64, flags codec.Flags) []byte {
	return codec.Append(nil, codec.TypeExecution, codec.FlagReply|flags, id,
		&papertapev1.AccountEvent{Account: account, Seq: seq})
}

func pong(id, head uint64) []byte {
	return codec.Append(nil, codec.TypePong, codec.FlagReply, id, &papertapev1.Pong{HeadSeq: head})
}

func ping(id, head uint64) []byte {
	return codec.Append(nil, codec.TypePing, 0, id, &papertapev1.Ping{HeadSeq: head})
}

func reject(id uint64, flags codec.Flags, code client.RejectCode, text string) []byte {
	return codec.Append(nil, codec.TypeReject, flags, id, &papertapev1.Reject{
		Code: papertapev1.RejectCode(code), Text: text, RetryAfterMs: 20,
	})
}

func goodbye(reason client.GoodbyeReason) []byte {
	return codec.Append(nil, codec.TypeGoodbye, 0, 0, &papertapev1.Goodbye{
		Reason: papertapev1.GoodbyeReason(reason), Text: "until later", RetryAfterMs: 1500,
	})
}

// patience returns a context that bounds a test that hangs.
func patience(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func dial(t *testing.T, addr string, o client.Options) *client.Client {
	t.Helper()
	o.Account = account
	c, err := client.Dial(patience(t), addr, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// next takes and returns n events.
func next(t *testing.T, c *client.Client, n int) []*client.Event {
	t.Helper()
	var events []*client.Event
	for range n {
		ev, err := c.Next(patience(t))
		if err != nil {
			t.Fatalf("after %d of %d events: %v", len(events), n, err)
		}
		events = append(events, ev)
	}
	return events
}

// ended waits for the end of a client, with no event before it, and returns the error that
// ended it.
func ended(t *testing.T, c *client.Client) error {
	t.Helper()
	ev, err := c.Next(patience(t))
	if err == nil {
		t.Fatalf("seq %d came: expected the end", ev.Seq)
	}
	if errors.Is(err, context.DeadlineExceeded) && c.Err() == nil {
		t.Fatal("the client goes on: expected its end")
	}
	return err
}
