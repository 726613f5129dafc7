package gateway

import (
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/market"
)

const protocol = papertapev1.GoodbyeReason_GOODBYE_REASON_PROTOCOL

// TestGoodbyeArrives has clients that had sent a lot more when the server ended the connection: the last frames must
// not be lost to a reset.
func TestGoodbyeArrives(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	for _, tt := range []struct {
		name  string
		login bool
	}{{"before login", false}, {"after login", true}} {
		t.Run(tt.name, func(t *testing.T) {
			p := s.peer(t)
			p.welcome()
			if tt.login {
				p.login(alice, quick, 0)
			}
			p.write(append([]byte{0, 0, 0, 1}, make([]byte, 1<<20)...))
			p.rejected(0, papertapev1.RejectCode_REJECT_CODE_MALFORMED)
			p.goodbye(protocol)
			p.eof()
			ses := s.sessionOf(t, p)
			s.onLoops(func(l *loop) {
				if l == ses.loop && ses.conn.InboundBuffered() > 0 {
					t.Errorf("%d bytes of input are kept that nobody will look at", ses.conn.InboundBuffered())
				}
			})
			if err := p.conn.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the connection is forgotten", func() bool { return s.gw.Connections() == 0 })
		})
	}
}

// TestAnswersBeforeTheEnd sends good requests together with bytes that end the connection.
func TestAnswersBeforeTheEnd(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	p := s.user(t, alice)
	b := p.request(nil, codec.TypePing)
	b = p.request(b, codec.TypeInstruments)
	p.write(append(b, 0, 0, 0, 0))
	p.expect(codec.TypePong)
	p.expect(codec.TypeInstrumentsReply)
	p.rejected(0, papertapev1.RejectCode_REJECT_CODE_MALFORMED)
	p.goodbye(protocol)
	p.eof()
}

// TestClientThatNeverCloses: the server closes the connection after a second.
func TestClientThatNeverCloses(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	p := s.user(t, alice)
	p.write([]byte{0, 0, 0, 0})
	p.rejected(0, papertapev1.RejectCode_REJECT_CODE_MALFORMED)
	p.goodbye(protocol)
	p.eof()
	if n := s.gw.Connections(); n != 1 {
		t.Errorf("%d connections; want 1, which may take a second to close", n)
	}
	eventually(t, "the connection is closed", func() bool { return s.gw.Connections() == 0 })
	eventually(t, "sending fails", func() bool {
		_, err := p.conn.Write(make([]byte, 100))
		return err != nil
	})
}

// TestResetWhileWriting has clients reset their connections while much is being written to them.
func TestResetWhileWriting(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	s := start(t, func(g *Config, _ *engine.Config) { g.SocketSendBufferBytes, g.OutboxBytesMax = 8<<10, 8<<20 })
	trader := s.user(t, alice)
	for i := range 20 {
		p := s.lazy(t, alice)
		if i%2 == 0 {
			s.stall(t, p, trader, 32<<10)
		} else {
			trader.write(trader.appendOrders(nil, 50)) // answered while it vanishes
		}
		if err := p.conn.SetLinger(0); err != nil {
			t.Fatal(err)
		}
		_ = p.conn.Close()
		if i%2 != 0 {
			trader.executions(50)
		}
	}
	eventually(t, "one is left", func() bool { return s.gw.Connections() == 1 })
	trader.trade(2)
}

// TestPanicIsContained has a handler panic on the loop. It costs that connection, and nobody else's requests are
// touched.
func TestPanicIsContained(t *testing.T) {
	t.Parallel()
	var panics atomic.Bool
	s := start(t, func(g *Config, _ *engine.Config) {
		g.EventLoops = 1
		prices := g.Prices
		g.Prices = func() *market.Prices {
			if panics.Load() {
				panic("a test makes this panic")
			}
			return prices()
		}
	})
	other, neighbour := s.user(t, alice+1), s.user(t, alice)
	p := s.user(t, alice)
	panics.Store(true)
	p.write(p.request(nil, codec.TypeInstruments))
	p.cut()
	if n := s.gw.Stats().Panics.Load(); n != 1 {
		t.Errorf("%d panics counted, want 1", n)
	}
	for _, q := range []*peer{other, neighbour} {
		q.trade(4)
	}

	// Requests that were read together with the one that panics must not be submitted with those of the next client.
	p = s.user(t, alice)
	before := s.engine.Stats().Requests
	b := p.request(nil, codec.TypeHoldings)
	b = p.request(b, codec.TypeHoldings)
	p.write(p.request(b, codec.TypeInstruments))
	p.cut()
	if n := s.gw.Stats().Panics.Load(); n != 2 {
		t.Errorf("%d panics counted, want 2", n)
	}
	panics.Store(false)
	other.trade(4)
	if n := s.engine.Stats().Requests - before; n != 4 {
		t.Errorf("%d requests reached the engine, want only the 4 of the other client", n)
	}
	other.write(other.request(nil, codec.TypeInstruments))
	other.expect(codec.TypeInstrumentsReply)
}

// TestClosedBeforeWelcome has clients that are gone before they are sent WELCOME.
func TestClosedBeforeWelcome(t *testing.T) {
	t.Parallel()
	s := start(t, func(g *Config, _ *engine.Config) { g.ConnectionsMax = 2 })
	for range 200 {
		c := s.dial(t)
		_ = c.SetLinger(0)
		_ = c.Close()
	}
	eventually(t, "all are forgotten", func() bool { return s.gw.Connections() == 0 && s.gw.refused.Load() == 0 })
	p := s.user(t, alice)
	p.trade(2)
	if err := p.conn.SetReadDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	if n, err := p.conn.Read(make([]byte, 1)); n != 0 || errors.Is(err, io.EOF) {
		t.Errorf("read %d bytes, %v; want nothing", n, err)
	}
}

const (
	internal  = papertapev1.RejectCode_REJECT_CODE_INTERNAL
	malformed = papertapev1.RejectCode_REJECT_CODE_MALFORMED
	kicked    = papertapev1.GoodbyeReason_GOODBYE_REASON_KICKED
)

// TestOrdersBeforeAViolation sends orders together with a violation of the protocol. The orders are executed, so they
// are answered first; then comes why the connection ends.
func TestOrdersBeforeAViolation(t *testing.T) {
	t.Parallel()
	s := start(t, func(g *Config, _ *engine.Config) {
		g.Wrappers = []Wrapper{{Request: func(_ *Session, f codec.Frame) *codec.Error {
			if f.Type == codec.TypePong {
				return &codec.Error{Code: internal, Text: "no PONG here", Fatal: true}
			}
			return nil
		}}}
	})
	for _, tt := range []struct {
		name string
		last []byte
		id   uint64
		code papertapev1.RejectCode
	}{
		{"length 0", []byte{0, 0, 0, 0}, 0, malformed},
		{"no room for a header", []byte{0, 0, 0, 11}, 0, malformed},
		{"too large", []byte{0, 0, 0x10, 1}, 0, papertapev1.RejectCode_REJECT_CODE_TOO_LARGE},
		{"no ORDER in it", []byte{0, 0, 0, 13, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0xff}, 9, malformed},
		{"no HISTORY in it", []byte{0, 0, 0, 13, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0xff}, 9, malformed},
		{"refused by a wrapper", codec.AppendPong(nil, 9, 0), 9, internal},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for range 10 {
				p := s.user(t, alice)
				b := append(p.appendOrders(nil, 20), tt.last...)
				p.write(p.appendOrder(b)) // the last one is thrown away
				p.executions(20)
				p.rejected(tt.id, tt.code)
				p.goodbye(protocol)
				p.eof()
				_ = p.conn.Close()
			}
		})
	}
}

// held returns a client with three orders whose commit waits until open is called.
func held(t *testing.T, change func(*Config)) (s *server, p *peer, open func()) {
	t.Helper()
	journal := newGatedJournal()
	s = start(t, func(g *Config, e *engine.Config) {
		e.Journal = journal
		if change != nil {
			change(g)
		}
	})
	p = s.user(t, alice)
	open = journal.shut(t)
	p.write(p.appendOrders(nil, 3))
	eventually(t, "the orders are being committed", journal.committing)
	return s, p, open
}

// closes waits until the server has ended the client's session, and only its answers are missing.
func (s *server) closes(t *testing.T, p *peer) {
	t.Helper()
	session := s.sessionOf(t, p)
	eventually(t, "the session is ending", func() (ends bool) {
		s.onLoops(func(l *loop) {
			if l == session.loop {
				ends = session.endedByServer() && session.unanswered()
			}
		})
		return ends
	})
}

// TestAnswersBeforeGoodbye has the server end a connection whose orders are being committed. They are answered before
// GOODBYE, and what the client sends meanwhile is thrown away.
func TestAnswersBeforeGoodbye(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*Config)
		end    func(*testing.T, *server, *peer)
		want   func(*peer)
	}{
		{"PROTOCOL", nil, func(_ *testing.T, _ *server, p *peer) { p.write([]byte{0, 0, 0, 0}) }, func(p *peer) {
			p.rejected(0, malformed)
			p.goodbye(protocol)
		}},
		{"KICKED", nil, func(t *testing.T, s *server, p *peer) {
			if !s.gw.Kick(p.uid, "by an operator") {
				t.Error("nobody was kicked")
			}
			if s.gw.Kick(p.uid, "again") {
				t.Error("it was kicked twice")
			}
		}, func(p *peer) { p.goodbye(kicked) }},
		{"IDLE", nil, func(t *testing.T, s *server, p *peer) {
			s.elapse(t, p, 3*time.Hour)
			eventually(t, "it is idle", func() bool { return s.gw.Stats().Idle.Load() == 1 })
		}, func(p *peer) { p.goodbye(papertapev1.GoodbyeReason_GOODBYE_REASON_IDLE) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, p, open := held(t, tt.change)
			before := p.id
			tt.end(t, s, p)
			s.closes(t, p)
			p.write(p.request(nil, codec.TypePing)) // thrown away
			open()
			p.executions(3)
			if p.last != before {
				t.Errorf("the last order answered is %d, want %d", p.last, before)
			}
			tt.want(p)
			p.eof()
		})
	}
}

// TestGoodbyeWithoutTheAnswers: a commit that does not come back is not waited for longer than StallTimeout.
func TestGoodbyeWithoutTheAnswers(t *testing.T) {
	t.Parallel()
	s, p, open := held(t, func(g *Config) { g.StallTimeout = 200 * time.Millisecond })
	defer open()
	p.write([]byte{0, 0, 0, 0})
	p.rejected(0, malformed)
	p.goodbye(protocol)
	p.eof()
	_ = p.conn.Close()
	eventually(t, "it is forgotten", func() bool { return s.gw.Connections() == 0 })
}

// TestLoginBeforeAViolation: a login that was taken is answered before the end.
func TestLoginBeforeAViolation(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	p := s.peer(t)
	p.welcome()
	p.write(p.appendOrder(p.loginFrame(bob, quick, 0)))
	p.expect(codec.TypeLoginReply)
	p.rejected(p.id, papertapev1.RejectCode_REJECT_CODE_NOT_LOGGED_IN)
	p.goodbye(protocol)
	p.eof()
	_ = p.conn.Close()
	eventually(t, "it is forgotten", func() bool { return s.gw.Connections() == 0 })
}

// TestViolationThenHalfClosed: both sides end the connection. What was taken is answered, and the client is told why.
func TestViolationThenHalfClosed(t *testing.T) {
	t.Parallel()
	s, p, open := held(t, nil)
	session := s.sessionOf(t, p)
	p.write([]byte{0, 0, 0, 0})
	p.closeWrite()
	s.keptHalfClosed(t, session)
	open()
	p.executions(3)
	p.rejected(0, malformed)
	p.goodbye(protocol)
	p.eof()
	eventually(t, "it is forgotten", func() bool { return s.gw.Connections() == 0 })
}

// TestPanicAnswersWhatWasTaken has a loop panic over a request while orders of the same client are being committed.
// They are answered; then the connection is closed.
func TestPanicAnswersWhatWasTaken(t *testing.T) {
	t.Parallel()
	var panics atomic.Bool
	s, p, open := held(t, func(g *Config) {
		prices := g.Prices
		g.Prices = func() *market.Prices {
			if panics.Load() {
				panic("a test makes this panic")
			}
			return prices()
		}
	})
	panics.Store(true)
	p.write(p.request(nil, codec.TypeInstruments))
	eventually(t, "the panic was contained", func() bool { return s.gw.Stats().Panics.Load() == 1 })
	panics.Store(false)
	p.write(p.request(nil, codec.TypePing)) // thrown away
	open()
	p.executions(3)
	p.eof()
	eventually(t, "it is forgotten", func() bool { return s.gw.Connections() == 0 })
}

// TestPanicWithoutTheAnswers: a commit that does not come back is not waited for longer than StallTimeout.
func TestPanicWithoutTheAnswers(t *testing.T) {
	t.Parallel()
	s, p, open := held(t, func(g *Config) {
		g.StallTimeout = 200 * time.Millisecond
		g.Wrappers = []Wrapper{{Request: func(_ *Session, f codec.Frame) *codec.Error {
			if f.Type == codec.TypePing {
				panic("a test makes this panic")
			}
			return nil
		}}}
	})
	defer open()
	p.write(p.request(nil, codec.TypePing))
	p.eof()
	eventually(t, "it is forgotten", func() bool { return s.gw.Connections() == 0 })
}

// TestShutdownAnswersAReplay has the answer to an order wait for its place in a replay, which the client reads while
// the server drains.
func TestShutdownAnswersAReplay(t *testing.T) {
	t.Parallel()
	s := start(t, func(g *Config, _ *engine.Config) {
		g.SocketSendBufferBytes, g.ShutdownTimeout = 8<<10, 30*time.Second
	})
	trader := s.user(t, alice)
	trader.trade(3000)
	p := s.peerWith(t, smallBuffers())
	p.welcome()
	p.login(alice, restart, 0)
	p.write(p.appendOrder(nil))
	trader.until(trader.seq + 1) // it was executed
	s.cancel()
	eventually(t, "the server is draining", s.gw.closing.Load)
	p.executions(1)
	p.goodbye(shutdown)
	p.eof()
	trader.goodbye(shutdown)
	trader.eof()
}
