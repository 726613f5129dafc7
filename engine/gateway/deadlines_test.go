package gateway

import (
	"testing"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/engine"
)

func TestTicks(t *testing.T) {
	for _, c := range []struct{ shortest, tick, idle time.Duration }{
		{5 * time.Second, 50 * time.Millisecond, 500 * time.Millisecond},
		{time.Second, 50 * time.Millisecond, 125 * time.Millisecond},
		{200 * time.Millisecond, 25 * time.Millisecond, 25 * time.Millisecond},
		{8 * time.Millisecond, 5 * time.Millisecond, 5 * time.Millisecond},
	} {
		cfg := Config{Heartbeat: 15 * time.Second, LoginTimeout: c.shortest, StallTimeout: 10 * time.Second}
		g := &Gateway{cfg: cfg}
		if tick, idle := g.tick(), g.idleTick(); tick != c.tick || idle != c.idle {
			t.Errorf("with a shortest deadline of %v: %v and %v, want %v and %v",
				c.shortest, tick, idle, c.tick, c.idle)
		}
	}
}

// early counts the loops that have asked for a tick of their own.
func (s *server) early() (n int) {
	s.onLoops(func(l *loop) {
		if l.earlyPosted {
			n++
		}
	})
	return n
}

// TestLoopTurnsItsWheelWhileItHasTo has a client that does not read, and one that stays when it has been told to go:
// the loop they are on turns its wheel by itself. Clients with whom all is well wake no loop.
func TestLoopTurnsItsWheelWhileItHasTo(t *testing.T) {
	t.Parallel()
	s := start(t, func(g *Config, _ *engine.Config) {
		g.EventLoops, g.SocketSendBufferBytes, g.OutboxBytesMax = 1, 8<<10, 8<<20
	})
	stalled, trader := s.lazy(t, alice), s.user(t, alice)
	trader.trade(2)
	eventually(t, "no loop asks for ticks", func() bool { return s.early() == 0 })
	s.stall(t, stalled, trader, 32<<10)
	if s.early() != 1 {
		t.Error("a client does not read, and the loop leaves it to the ticker")
	}
	stalled.until(trader.seq)
	eventually(t, "all is read, and no loop asks for ticks", func() bool { return s.early() == 0 })

	stays := s.user(t, bob)
	if !s.gw.Kick(s.sessionOf(t, stays).uid, "go") {
		t.Fatal("nobody to kick")
	}
	if s.early() != 1 {
		t.Error("a session is ending, and the loop leaves it to the ticker")
	}
	stays.goodbye(papertapev1.GoodbyeReason_GOODBYE_REASON_KICKED)
	eventually(t, "it is closed for good, and no loop asks for ticks",
		func() bool { return s.early() == 0 && s.gw.Connections() == 2 })
	stays.eof()
	trader.trade(2)
}
