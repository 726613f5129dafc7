package gateway

import (
	"fmt"
	"testing"

	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine"
)

// TestOutboxTotalBytesMax has three clients that do not read. The one that has stalled longest is cut first.
func TestOutboxTotalBytesMax(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	const total = 300 << 10
	s := start(t, func(g *Config, _ *engine.Config) {
		g.EventLoops, g.SocketSendBufferBytes, g.OutboxBytesMax, g.OutboxTotalBytesMax = 1, 8<<10, 8<<20, total
	})
	accounts := []uint64{alice, bob, carol}
	var stalled, traders []*peer
	for i, account := range accounts {
		stalled, traders = append(stalled, s.lazy(t, account)), append(traders, s.user(t, account))
		s.stall(t, stalled[i], traders[i], []int{120 << 10, 60 << 10, 32 << 10}[i])
		s.settled(t, stalled[i])
	}
	for s.gw.Stats().CutTotal.Load() == 0 {
		traders[2].trade(20)
		s.tick(t)
		if traders[2].seq > 10_000 {
			t.Fatal("nobody is cut")
		}
		if n := s.gw.outboxBytes.Load(); n > total+32<<10 {
			t.Fatalf("%d bytes wait in all outboxes, of %d at most", n, total)
		}
	}
	eventually(t, "one is gone", func() bool { return s.gw.Connections() == 5 })
	stalled[0].cut()
	for i, p := range stalled[1:] {
		p.until(traders[i+1].seq)
		p.alive()
	}
	for _, p := range traders {
		p.trade(2)
	}
	if n := s.gw.Stats().CutTotal.Load(); n != 1 {
		t.Errorf("%d sessions cut, want 1", n)
	}
}

// TestOutboxTotalOverLoops has stalled clients on different loops. Only the longest-stalled of the whole server is cut,
// whichever loop it is on, not the longest-stalled of each loop.
func TestOutboxTotalOverLoops(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	for _, first := range []int{0, 1} {
		t.Run(fmt.Sprintf("the longest on loop %d", first), func(t *testing.T) { outboxTotalOverLoops(t, first) })
	}
}

func outboxTotalOverLoops(t *testing.T, first int) {
	t.Parallel()
	const total = 300 << 10
	s := start(t, func(g *Config, _ *engine.Config) {
		g.EventLoops, g.SocketSendBufferBytes, g.OutboxBytesMax, g.OutboxTotalBytesMax = 2, 8<<10, 8<<20, total
	})
	var stalled, traders []*peer
	for i, account := range []uint64{alice, bob} {
		p := s.lazy(t, account)
		for s.sessionOf(t, p).loop.index != (first+i)%2 { // the kernel chooses the loop
			_ = p.conn.Close()
			p = s.lazy(t, account)
		}
		trader := s.user(t, account)
		stalled, traders = append(stalled, p), append(traders, trader)
		s.stall(t, p, trader, 120<<10)
		s.settled(t, p)
	}
	for s.gw.Stats().CutTotal.Load() == 0 {
		traders[1].trade(20)
		s.tick(t)
		if traders[1].seq > 4000 {
			t.Fatal("nobody is cut")
		}
	}
	s.tick(t) // the other loop has looked too
	stalled[0].cut()
	stalled[1].until(traders[1].seq)
	stalled[1].alive()
	if n := s.gw.Stats().CutTotal.Load(); n != 1 {
		t.Errorf("%d sessions cut, want 1", n)
	}
}

// TestOutboxTotalMetByAnEndingSession has a client that was sent GOODBYE and has not read it. It is the longest-stalled
// when all outboxes together exceed their bound. Cutting it must not go on for ever.
func TestOutboxTotalMetByAnEndingSession(t *testing.T) {
	t.Parallel()
	const total = 200 << 10
	s := start(t, func(g *Config, _ *engine.Config) {
		g.EventLoops, g.SocketSendBufferBytes, g.OutboxBytesMax, g.OutboxTotalBytesMax = 1, 8<<10, 8<<20, total
	})
	ending, trader := s.lazy(t, alice), s.user(t, alice)
	second, other := s.lazy(t, bob), s.user(t, bob)
	s.stall(t, ending, trader, 120<<10)
	s.settled(t, ending)
	s.stall(t, second, other, 32<<10)
	ending.write([]byte{0, 0, 0, 0}) // no frame: REJECT, GOODBYE PROTOCOL
	eventually(t, "it is ending", func() bool { return s.gw.Stats().ProtocolErrors.Load() == 1 })
	for s.gw.outboxBytes.Load() <= total {
		if other.trade(20); other.seq > 10_000 {
			t.Fatalf("%d bytes wait, want more than %d", s.gw.outboxBytes.Load(), total)
		}
	}
	eventually(t, "somebody is cut", func() bool { return s.gw.Stats().CutTotal.Load() > 0 || s.gw.Connections() < 4 })
	other.trade(2)
	trader.trade(2)
	second.until(other.seq)
	second.alive()
	if n := s.gw.Stats().CutTotal.Load(); n > 1 {
		t.Errorf("%d sessions cut, want one at most", n)
	}
}

// halfBytes returns how many bytes of half frames the gateway counts.
func (s *server) halfBytes() int { return int(s.gw.halfFrames.Load()) }

// TestHalfFramesAreCounted: what has come of a frame is counted until the rest comes or the connection ends.
func TestHalfFramesAreCounted(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	p, early := s.user(t, alice), s.peer(t)
	early.welcome()
	order := p.appendOrder(nil)
	for i := 1; i < len(order); i += 7 {
		half := order[:i]
		p.write(half)
		eventually(t, "the half is counted", func() bool { return s.halfBytes() == len(half) })
		p.write(order[i:])
		p.executions(1)
		eventually(t, "nothing is held", func() bool { return s.halfBytes() == 0 })
		p.orders--
		order = p.appendOrder(nil)
	}
	early.write(make([]byte, 3)) // of a length
	p.write(append(order, order[:20]...))
	p.executions(1)
	eventually(t, "two halves are counted", func() bool { return s.halfBytes() == 23 })
	_ = early.conn.Close()
	eventually(t, "one half is left", func() bool { return s.halfBytes() == 20 })
	if !s.gw.Kick(p.uid, "by an operator") {
		t.Error("nobody was kicked")
	}
	p.goodbye(kicked)
	p.eof()
	_ = p.conn.Close()
	eventually(t, "nothing is left", func() bool { return s.halfBytes() == 0 })
}

// TestHalfFramesOfMany: half frames take no more than a quarter of what the server may hold. The client that was silent
// longest is cut first.
func TestHalfFramesOfMany(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	const total = 64 << 10
	s := start(t, func(g *Config, _ *engine.Config) { g.EventLoops, g.OutboxTotalBytesMax = 1, total })
	honest := s.user(t, alice)
	half := append([]byte{0, 0, 0x10, 0, 0, byte(codec.TypeOrder)}, make([]byte, codec.LimitAfterLogin-6)...)
	var peers []*peer
	for i := range 4 {
		p := s.user(t, bob)
		p.write(half)
		eventually(t, "it is counted", func() bool { return s.halfBytes() == (i+1)*len(half) })
		peers = append(peers, p)
		s.tick(t)
	}
	p := s.user(t, carol)
	p.write(half[:100])
	eventually(t, "one is gone", func() bool { return s.gw.Connections() == 5 && s.halfBytes() == 3*len(half)+100 })
	peers[0].cut()
	if n := s.gw.Stats().CutTotal.Load(); n != 1 {
		t.Errorf("%d sessions cut, want 1", n)
	}
	honest.trade(2)
}
