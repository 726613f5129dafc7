package gateway

import (
	"testing"

	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine"
)

// halfBytes returns how many bytes of half frames the server says it holds.
func (s *server) halfBytes() int { return int(s.gw.halfFrames.Load()) }

// TestHalfFramesAreCounted: what has come of a frame is counted until the rest comes, the client ends, or is ended.
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

// TestHalfFramesOfMany: clients that send most of a frame and nothing more have the server hold no more than a
// quarter of its bound. Who has been silent longest goes first.
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
