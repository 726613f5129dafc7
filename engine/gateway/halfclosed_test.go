package gateway

import (
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/engine/simulator"
)

// closeWrite shuts down the client's sending half.
func (p *peer) closeWrite() {
	p.t.Helper()
	if err := p.conn.CloseWrite(); err != nil {
		p.t.Fatal(err)
	}
}

// eventsToTheEnd takes events, if there are any, and then the end.
func (p *peer) eventsToTheEnd() {
	p.t.Helper()
	f, err := p.next()
	for ; err == nil && f.Type == codec.TypeEvent; f, err = p.next() {
		p.follow(f)
	}
	if !errors.Is(err, io.EOF) {
		p.t.Fatalf("after seq %d: %v %s, error %v; want the end", p.seq, f.Type, says(f), err)
	}
}

// keptHalfClosed waits until the server has kept sessions whose clients have shut down their sending halves.
func (s *server) keptHalfClosed(t testing.TB, sessions ...*Session) {
	t.Helper()
	eventually(t, "the sessions are half-closed", func() bool {
		n := 0
		s.onLoops(func(l *loop) {
			for _, ses := range sessions {
				if ses.loop == l && ses.socket() != nil {
					n++
				}
			}
		})
		return n == len(sessions)
	})
}

// TestHalfClosedIsAnswered: what was sent before the sending half was shut down is answered, each request once, and
// then the server closes.
func TestHalfClosedIsAnswered(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	for range 20 {
		p := s.user(t, alice)
		p.write(p.appendOrders(nil, 20))
		p.closeWrite()
		p.executions(20)
		p.eof()
	}
	p := s.user(t, bob)
	kinds := []codec.Type{
		codec.TypePing, codec.TypeHoldings, codec.TypeHistory, codec.TypeInstruments, codec.TypeSubscribe, 999,
	}
	var b []byte
	for _, kind := range kinds {
		b = p.request(b, kind)
	}
	p.write(append(b, p.appendOrder(nil)[:7]...)) // and the beginning of a frame
	p.closeWrite()
	answered := make(map[uint64]bool)
	for range kinds {
		f := p.frame()
		if f.Flags&codec.FlagReply == 0 || answered[f.ID] {
			t.Errorf("%v %s id %d, want an answer to each request, once", f.Type, says(f), f.ID)
		}
		answered[f.ID] = true
	}
	p.eof()
}

// TestHalfClosedLogin: a login is answered, and its replay follows, up to what the answer says is the newest event.
func TestHalfClosedLogin(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	trader := s.user(t, alice)
	trader.trade(2000)
	for _, mode := range []papertapev1.ResumeMode{snapshot, quick, restart} {
		p := s.peer(t)
		p.welcome()
		p.write(p.loginFrame(alice, mode, 0))
		p.closeWrite()
		r := decoded(t, p.expect(codec.TypeLoginReply), new(papertapev1.LoginReply))
		if p.account = alice; mode == restart {
			p.until(r.GetHeadSeq())
		}
		p.eof()
	}
	p := s.peer(t)
	p.welcome()
	p.write(p.loginFrame(7, quick, 0)) // there is no such account
	p.closeWrite()
	p.rejected(p.id, papertapev1.RejectCode_REJECT_CODE_UNKNOWN_ACCOUNT)
	p.eof()
}

// TestHalfClosedBehindABacklog has a client shut down its sending half while the server holds more for it than the
// kernel takes: some in gnet's buffer, some in the outbox. Then it reads, and nothing is missing.
func TestHalfClosedBehindABacklog(t *testing.T) {
	t.Parallel()
	s := start(t, func(g *Config, _ *engine.Config) { g.SocketSendBufferBytes, g.OutboxBytesMax = 8<<10, 8<<20 })
	trader := s.user(t, alice)
	trader.trade(2000)
	p := s.peerWith(t, smallBuffers())
	p.welcome()
	p.login(alice, restart, 0)
	p.write(p.appendOrders(nil, 20))
	s.stall(t, p, trader, 1)
	p.closeWrite()
	s.keptHalfClosed(t, s.sessionOf(t, p))
	trader.trade(50) // these are live events, which the server need not send before it closes
	p.executions(20)
	p.eventsToTheEnd()
	if n := s.gw.Stats().CutStalled.Load() + s.gw.Stats().CutOutbox.Load(); n != 0 {
		t.Errorf("%d sessions cut, want none", n)
	}
}

// TestHalfClosedWithALargerBuffer has a client that does not read shut down its sending half while gnet holds something
// for it. The kernel takes all of that, but it still counts as waiting, and the connection as open, until the client is
// cut.
func TestHalfClosedWithALargerBuffer(t *testing.T) {
	t.Parallel()
	s := start(t, longStalls)
	p, trader := s.lazy(t, alice), s.user(t, alice)
	s.stall(t, p, trader, 64<<10)
	session := s.sessionOf(t, p)
	p.closeWrite()
	s.keptHalfClosed(t, session)
	s.onLoops(func(l *loop) {
		if l != session.loop || session.socket() == nil {
			return
		}
		k, counted := session.socket(), s.gw.holds()
		if !k.raised || len(k.rest) > 0 || !k.stuck || counted < 16<<10 || session.stalled == 0 {
			t.Errorf("larger buffer: %t; %d bytes wait beside it, %d are counted", k.raised, len(k.rest), counted)
		}
	})
	eventually(t, "it is cut", func() bool {
		s.stallOn(p, stallTimeout) // again, where the kernel has taken something meanwhile
		return s.gw.Stats().CutStalled.Load() == 1 && s.gw.Connections() == 1
	})
	p.cut()
	trader.trade(2)
}

// executionToTheEnd takes frames until the connection ends. Among them has to be the EXECUTION of a request; the others
// are events of other sessions of the account. Any goroutine may call it.
func (p *peer) executionToTheEnd(id uint64) {
	answered := false
	for f, err := p.next(); err == nil; f, err = p.next() {
		answered = answered || f.Type == codec.TypeExecution && f.ID == id
	}
	if !answered {
		p.t.Error("the order was not answered")
	}
}

// TestManyHalfClosed has many clients shut down their sending half while their orders are being committed. They count
// as connections until they are answered, and others are served meanwhile.
func TestManyHalfClosed(t *testing.T) {
	t.Parallel()
	const many = 300
	journal := newGatedJournal()
	s := start(t, func(g *Config, e *engine.Config) { g.ConnectionsMax, e.Journal = many+1, journal })
	other := s.user(t, bob) // of the other shard
	var peers []*peer
	var sessions []*Session
	for i := range many {
		p := s.user(t, simulator.FirstAccount+2*uint64(i%50)) // all of one shard
		peers, sessions = append(peers, p), append(sessions, s.sessionOf(t, p))
	}
	if other.account%2 == peers[0].account%2 {
		t.Fatal("all clients are of one shard")
	}
	open := journal.shut(t)
	for _, p := range peers {
		p.write(orderFrame(papertapev1.Side_SIDE_BUY, "000001", 1))
		p.closeWrite()
	}
	s.keptHalfClosed(t, sessions...)
	if n := s.gw.Connections(); n != many+1 {
		t.Errorf("%d connections, want %d: they are not gone", n, many+1)
	}
	refusedAtTheDoor(t, s.peer(t))
	other.alive()
	open()
	var reading sync.WaitGroup
	for _, p := range peers {
		reading.Go(func() { p.executionToTheEnd(9) })
	}
	reading.Wait()
	eventually(t, "all are forgotten", func() bool { return s.gw.Connections() == 1 })
	other.trade(2)
}

// TestHalfClosedThatDoNotRead: half-closed clients that do not read are cut like others, and no more than stuckMax of
// them are tried again and again.
func TestHalfClosedThatDoNotRead(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	const many = stuckMax + 44
	s := start(t, func(g *Config, e *engine.Config) {
		g.SocketSendBufferBytes, g.OutboxBytesMax, g.StallTimeout = 8<<10, 8<<20, 1500*time.Millisecond
		e.SessionsPerAccountMax = 2 * many
	})
	trader := s.user(t, alice)
	trader.trade(3000)
	for range many {
		p := s.peerWith(t, smallBuffers())
		p.welcome()
		p.write(p.loginFrame(alice, restart, 0))
		p.closeWrite()
	}
	eventually(t, "those over stuckMax are cut", func() bool { return s.gw.Stats().CutStalled.Load() >= many-stuckMax })
	trader.trade(20)
	eventually(t, "all are cut", func() bool { return s.gw.Connections() == 1 })
	if n := s.gw.Stats().CutStalled.Load(); n != many {
		t.Errorf("%d sessions cut, want %d", n, many)
	}
	if n := s.gw.stuck.Load(); n != 0 {
		t.Errorf("%d count as stuck", n)
	}
}

// TestHalfClosedAndGone has clients close, or vanish, while an order of theirs is being committed. They are forgotten
// when the commit is done, and their hooks are called once.
func TestHalfClosedAndGone(t *testing.T) {
	t.Parallel()
	var seen notes
	journal := newGatedJournal()
	s := start(t, func(g *Config, e *engine.Config) {
		e.Journal = journal
		g.Hooks = []Hooks{{
			OnLogout:     func(c *Session) { seen.add("%d logs out, address %t", c.UID(), c.RemoteAddr() != nil) },
			OnDisconnect: func(c *Session) { seen.add("%d disconnects", c.UID()) },
		}}
	})
	for i := range 2 {
		p := s.user(t, alice)
		session := s.sessionOf(t, p)
		open := journal.shut(t)
		p.write(p.appendOrder(nil))
		eventually(t, "the order is being committed", journal.committing)
		if i == 0 {
			_ = p.conn.Close()
		} else {
			p.closeWrite()
		}
		s.keptHalfClosed(t, session)
		info := s.gw.Sessions()
		if len(info) != 1 || info[0].Account != alice || i == 1 && info[0].Remote != p.conn.LocalAddr().String() {
			t.Errorf("sessions: %+v", info)
		}
		if i == 1 {
			_ = p.conn.SetLinger(0)
			_ = p.conn.Close()
		}
		open()
		eventually(t, "it is forgotten", func() bool { return s.gw.Connections() == 0 })
	}
	seen.expect(t, "1 logs out, address true", "1 disconnects", "2 logs out, address true", "2 disconnects")
}

// TestHalfClosedIsKicked: an operator can end a half-closed session that waits for its answer.
func TestHalfClosedIsKicked(t *testing.T) {
	t.Parallel()
	journal := newGatedJournal()
	s := start(t, func(g *Config, e *engine.Config) { g.StallTimeout, e.Journal = 100*time.Millisecond, journal })
	p := s.user(t, alice)
	session := s.sessionOf(t, p)
	open := journal.shut(t)
	defer open()
	p.write(p.appendOrder(nil))
	eventually(t, "the order is being committed", journal.committing)
	p.closeWrite()
	s.keptHalfClosed(t, session)
	if !s.gw.Kick(p.uid, "by an operator") {
		t.Error("it was not kicked")
	}
	p.goodbye(papertapev1.GoodbyeReason_GOODBYE_REASON_KICKED) // after StallTimeout, without the answer
	p.eof()
	eventually(t, "it is forgotten", func() bool { return s.gw.Connections() == 0 })
}

// TestHalfClosedForTooLong: a client that is silent for three heartbeats is ended, even if it can send nothing any
// more.
func TestHalfClosedForTooLong(t *testing.T) {
	t.Parallel()
	journal := newGatedJournal()
	s := start(t, func(g *Config, e *engine.Config) {
		g.StallTimeout, e.Journal = 100*time.Millisecond, journal
	})
	p := s.user(t, alice)
	open := journal.shut(t)
	defer open()
	p.write(p.appendOrder(nil))
	eventually(t, "the order is being committed", journal.committing)
	session := s.sessionOf(t, p)
	p.closeWrite()
	s.keptHalfClosed(t, session)
	s.elapse(t, p, 3*time.Hour)
	p.goodbye(papertapev1.GoodbyeReason_GOODBYE_REASON_IDLE)
	p.eof()
}

// TestHalfClosedAtShutdown has a client shut down its sending half before the server drains.
func TestHalfClosedAtShutdown(t *testing.T) {
	t.Parallel()
	journal := newGatedJournal()
	s := start(t, func(g *Config, e *engine.Config) { g.ShutdownTimeout, e.Journal = 20*time.Second, journal })
	p := s.user(t, alice)
	session := s.sessionOf(t, p)
	open := journal.shut(t)
	p.write(p.appendOrder(nil))
	eventually(t, "the order is being committed", journal.committing)
	p.closeWrite()
	s.keptHalfClosed(t, session)
	s.cancel()
	eventually(t, "the server is draining", s.gw.draining.Load)
	open()
	p.executions(1)
	p.cut() // GOODBYE may come before the end, or not
	if err := s.stop(); err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// TestHalfClosedWhenGnetStops: a half-closed connection is closed when the gateway stops, though its answer never came.
func TestHalfClosedWhenGnetStops(t *testing.T) {
	t.Parallel()
	s := start(t, func(g *Config, _ *engine.Config) { g.ShutdownTimeout = 20 * time.Second })
	p := s.user(t, alice)
	session := s.sessionOf(t, p)
	session.engine.Begin(1) // a request that nobody answers
	p.closeWrite()
	s.keptHalfClosed(t, session)
	if err := s.gw.gnet.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-s.gw.ended
	p.eof()
	if n := s.gw.Connections(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
	if err := s.stop(); err == nil {
		t.Error("Serve does not say that the loops stopped by themselves")
	}
}

// TestHalfClosed has clients shut down their sending half when no answers are due: the server closes.
func TestHalfClosed(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	for _, login := range []bool{false, true} {
		p := s.peer(t)
		p.welcome()
		if login {
			p.login(alice, quick, 0)
		}
		p.alive()
		if err := p.conn.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		p.eof()
	}
	p := s.user(t, alice)
	p.write(p.appendOrder(nil)[:7]) // in the middle of a frame
	if err := p.conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	p.eof()
	s.user(t, bob).trade(2)
}
