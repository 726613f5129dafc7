package gateway

import (
	"net"
	"testing"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine"
)

const (
	full = papertapev1.GoodbyeReason_GOODBYE_REASON_FULL
	busy = papertapev1.RejectCode_REJECT_CODE_BUSY
)

// refusedAtTheDoor checks that a connection over a limit gets WELCOME, GOODBYE FULL and the end.
func refusedAtTheDoor(t *testing.T, p *peer) {
	t.Helper()
	p.welcome()
	if g := p.goodbye(full); g.GetRetryAfterMs() == 0 {
		t.Errorf("GOODBYE FULL does not say when to come back")
	}
	p.eof()
}

func TestConnectionsMax(t *testing.T) {
	t.Parallel()
	s := start(t, func(g *Config, _ *engine.Config) { g.ConnectionsMax = 3 })
	in := []*peer{s.user(t, alice), s.user(t, bob), s.user(t, carol)}
	refused := s.peer(t)
	refusedAtTheDoor(t, refused)
	if n := s.gw.Stats().RefusedFull.Load(); n != 1 {
		t.Errorf("%d refused connections counted, want 1", n)
	}
	in[0].trade(2)
	_ = in[1].conn.Close() // while the refused one has not closed yet
	eventually(t, "there is room again", func() bool { return s.gw.Connections() == 2 })
	late := s.user(t, bob)
	late.trade(2)
	refusedAtTheDoor(t, s.peer(t))
}

// TestCrowdAtTheDoor has more refused connections than may wait for their clients to close.
func TestCrowdAtTheDoor(t *testing.T) {
	t.Parallel()
	s := start(t, func(g *Config, _ *engine.Config) { g.ConnectionsMax = 1 })
	in := s.user(t, alice)
	const crowd = refusedMax + 50
	peers := make([]*peer, crowd)
	for i := range peers {
		peers[i] = s.peer(t)
	}
	eventually(t, "all were refused", func() bool { return s.gw.Stats().RefusedFull.Load() == crowd })
	eventually(t, "at most refusedMax of them are open", func() bool { return s.gw.refused.Load() <= refusedMax })
	for _, p := range peers {
		p.cut()
	}
	in.trade(2)
}

func TestPreloginMax(t *testing.T) {
	t.Parallel()
	s := start(t, func(g *Config, _ *engine.Config) { g.ConnectionsPreloginMax = 2 })
	first, second := s.peer(t), s.peer(t)
	first.welcome()
	second.welcome()
	refusedAtTheDoor(t, s.peer(t))
	first.login(alice, quick, 0)
	third := s.peer(t)
	third.welcome()
	refusedAtTheDoor(t, s.peer(t))
	_ = second.conn.Close()
	eventually(t, "one is not logged in", func() bool { return s.gw.prelogin.Load() == 1 })
	s.user(t, bob)
	if n := s.gw.Stats().RefusedFull.Load(); n != 2 {
		t.Errorf("%d refused connections counted, want 2", n)
	}
}

func TestConnectionsPerIP(t *testing.T) {
	t.Parallel()
	s := start(t, func(g *Config, _ *engine.Config) { g.ConnectionsPerIPMax = 2 })
	from := func(last byte) *peer {
		t.Helper()
		return s.peerWith(t, &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, last)}})
	}
	for i := range byte(3) {
		from(10 + i).welcome()
		second := from(10 + i)
		second.welcome()
		refusedAtTheDoor(t, from(10+i))
		_ = second.conn.Close()
		eventually(t, "one of the address is left", func() bool { return s.gw.Connections() == 2*int(i)+1 })
		from(10 + i).welcome()
		refusedAtTheDoor(t, from(10+i))
	}
	if n := s.gw.Stats().RefusedFull.Load(); n != 6 {
		t.Errorf("%d refused connections counted, want 6", n)
	}
}

// TestConnectionsPerSecond: connections over the rate are told to come back.
func TestConnectionsPerSecond(t *testing.T) {
	t.Parallel()
	s := start(t, func(g *Config, _ *engine.Config) { g.ConnectionsPerSecondMax = 1 })
	began := time.Now()
	for {
		p := s.peer(t)
		p.welcome()
		if s.gw.Stats().RefusedFull.Load() == 1 { // counted before the WELCOME is written
			p.goodbye(full)
			p.eof()
			return
		}
		if time.Since(began) > patience {
			t.Fatal("nobody was refused")
		}
	}
}

func TestSessionsPerAccount(t *testing.T) {
	t.Parallel()
	s := start(t, func(_ *Config, e *engine.Config) { e.SessionsPerAccountMax = 2 })
	first := s.user(t, alice)
	s.user(t, alice)
	p := s.peer(t)
	p.welcome()
	p.write(p.loginFrame(alice, quick, 0))
	p.rejected(p.id, busy)
	p.goodbye(full)
	p.eof()
	s.user(t, bob)
	_ = first.conn.Close()
	eventually(t, "the session has ended", func() bool { return s.gw.Connections() < 4 && s.gw.open.Load() == 2 })
	eventually(t, "the account has room again", func() bool {
		p := s.peer(t)
		p.welcome()
		p.write(p.loginFrame(alice, quick, 0))
		return p.frame().Type == codec.TypeLoginReply // the engine learns of the end later than the gateway
	})
}

// TestSetLimits changes each limit of connections while some are open. Connections that were made while an address had
// no limit count against its new one.
func TestSetLimits(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	first, second := s.user(t, alice), s.user(t, bob)
	roomy := Limits{ConnectionsMax: 1000, ConnectionsPreloginMax: 1000}
	limits := roomy
	for what, change := range map[string]func(){
		"in all":       func() { limits.ConnectionsMax = 2 },
		"before login": func() { limits.ConnectionsPreloginMax = 1 },
		"per IP":       func() { limits.ConnectionsPerIPMax = 2 },
	} {
		limits = roomy
		var waiting *peer
		if what == "before login" {
			waiting = s.peer(t)
			waiting.welcome()
		}
		change()
		s.gw.SetLimits(limits)
		refusedAtTheDoor(t, s.peer(t))
		first.trade(2)
		second.trade(2)
		s.gw.SetLimits(roomy)
		third := s.peer(t)
		third.welcome()
		for _, p := range []*peer{waiting, third} {
			if p != nil {
				_ = p.conn.Close()
			}
		}
		eventually(t, what+": the others are gone", func() bool { return s.gw.Connections() == 2 })
	}
}
