package gateway

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/positions"
)

// notes is what hooks and wrappers saw, in order.
type notes struct {
	mu   sync.Mutex
	text []string
}

func (n *notes) add(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.text = append(n.text, fmt.Sprintf(format, args...))
}

func (n *notes) all() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.text)
}

func (n *notes) want(t *testing.T, want ...string) {
	t.Helper()
	eventually(t, "everything was noted", func() bool { return len(n.all()) >= len(want) })
	if got := n.all(); !slices.Equal(got, want) {
		t.Errorf("noted\n%q\nwant\n%q", got, want)
	}
}

// TestHooks: each hook once, in order; what OnLogin keeps with the session is there at its end; who never logged in is not
// logged out, and who was refused was never connected.
func TestHooks(t *testing.T) {
	t.Parallel()
	var seen notes
	s := start(t, func(g *Config, _ *engine.Config) {
		g.ConnectionsMax = 2
		g.Hooks = []Hooks{{
			OnConnect: func(c *Session) {
				seen.add("%d connects, account %d, from an address: %t", c.UID(), c.Account(), c.RemoteAddr() != nil)
			},
			OnLogin: func(c *Session) {
				seen.add("%d logs in to %d", c.UID(), c.Account())
				c.SetProperty("name", "one")
			},
			OnLogout: func(c *Session) {
				name, ok := c.Property("name")
				seen.add("%d logs out, %v %t", c.UID(), name, ok)
			},
			OnDisconnect: func(c *Session) {
				name, ok := c.Property("name")
				seen.add("%d disconnects, %v %t", c.UID(), name, ok)
			},
		}, {OnLogin: func(*Session) { seen.add("the second is told too") }}, {}}
	})
	p := s.peer(t)
	p.welcome()
	p.login(alice, papertapev1.ResumeMode_RESUME_MODE_SNAPSHOT, 0)
	q := s.peer(t)
	q.welcome()
	full := s.peer(t)
	full.welcome()
	full.goodbye(papertapev1.GoodbyeReason_GOODBYE_REASON_FULL)
	_ = full.conn.Close()
	_ = q.conn.Close()
	eventually(t, "the second is gone", func() bool { return s.gw.Connections() == 1 })
	p.trade(1)
	_ = p.conn.Close()
	seen.want(t,
		"1 connects, account 0, from an address: true", fmt.Sprintf("1 logs in to %d", alice), "the second is told too",
		"2 connects, account 0, from an address: true", "2 disconnects, <nil> false",
		"1 logs out, one true", "1 disconnects, one true")
}

// TestHookPanics: it costs the connection it was about.
func TestHookPanics(t *testing.T) {
	t.Parallel()
	s := start(t, func(g *Config, _ *engine.Config) {
		g.Hooks = []Hooks{{OnLogin: func(c *Session) {
			if c.Account() == bob {
				panic("OnLogin is made to panic")
			}
		}}}
	})
	p := s.user(t, alice)
	unlucky := s.peer(t)
	unlucky.welcome()
	unlucky.write(unlucky.loginFrame(bob, papertapev1.ResumeMode_RESUME_MODE_QUICK, 0))
	eventually(t, "it is gone", func() bool { return s.gw.Connections() == 1 })
	p.alive()
	if n := s.gw.Stats().Panics.Load(); n != 1 {
		t.Errorf("%d panics were counted", n)
	}
}

// TestWrappers: a wrapper sees each request and each reply once, pushes not at all, and may refuse.
func TestWrappers(t *testing.T) {
	t.Parallel()
	var seen notes
	s := start(t, func(g *Config, _ *engine.Config) {
		g.Wrappers = []Wrapper{{
			Request: func(c *Session, f codec.Frame) *codec.Error {
				seen.add("> %v %d", f.Type, f.ID)
				if f.Type == codec.TypeHistory {
					return &codec.Error{Code: papertapev1.RejectCode_REJECT_CODE_ACCOUNT_BLOCKED, Text: "no history today"}
				}
				c.SetProperty("last", f.Type)
				return nil
			},
			Reply: func(c *Session, f codec.Frame) {
				c.SetProperty("answered", f.ID) // would lock up if the session were locked
				seen.add("< %v %d", f.Type, f.ID)
			},
		}}
	})
	p := s.peer(t)
	p.welcome()
	p.login(alice, papertapev1.ResumeMode_RESUME_MODE_SNAPSHOT, 0)
	other := s.user(t, alice)
	other.trade(1) // a push to p, a reply to other
	if f := p.frame(); f.Type != codec.TypeEvent {
		t.Fatalf("%v %s", f.Type, says(f))
	}
	for _, kind := range []codec.Type{codec.TypePing, codec.TypeHoldings, codec.TypeInstruments, codec.TypeSubscribe, codec.TypeHistory, 999} {
		p.write(p.request(nil, kind))
		f := p.frame()
		if f.ID != p.id || f.Flags&codec.FlagReply == 0 {
			t.Errorf("%v: %v %s", kind, f.Type, says(f))
		}
	}
	p.trade(1)
	got := seen.all()
	requests, replies := 0, 0
	answered := make(map[string]int)
	for _, line := range got {
		if line[0] == '>' {
			requests++
		} else {
			replies++
			answered[line]++
		}
	}
	// p: LOGIN, six requests and an order; other: LOGIN and an order.
	if requests != 10 || replies != 10 {
		t.Errorf("%d requests and %d replies were seen, want 10 of each: %q", requests, replies, got)
	}
	for line, n := range answered {
		if n > 2 { // the two connections number their requests alike
			t.Errorf("%s was seen %d times", line, n)
		}
	}
}

const typeRows codec.Type = 0x8001

// TestHandle: a message of the embedder's own sees the account at its place between orders, may order, may refuse, and may
// panic.
func TestHandle(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	pingAn, err := s.gw.cfg.Universe.Parse("SZ.000001")
	if err != nil {
		t.Fatal(err)
	}
	s.gw.Handle(typeRows, func(c *Call) Answer {
		switch string(c.Payload) {
		case "buy":
			return Answer{Order: &positions.Order{Account: bob, Instrument: pingAn, Side: positions.Buy, Quantity: 100}}
		case "no":
			return Answer{Reject: &codec.Error{Code: papertapev1.RejectCode_REJECT_CODE_MARKET_CLOSED, Text: "not now"}}
		case "panic":
			panic("a handler is made to panic")
		case "nothing":
			return Answer{}
		}
		return Answer{Type: typeRows + 1, Payload: fmt.Appendf(nil, "%d has %d rows at %d, time %t, price %d",
			c.Account, c.View.Len(), c.View.Seq(), c.Time > 0, c.Prices.At(pingAn))}
	})
	for _, wrong := range []codec.Type{codec.TypeOrder, typeRows} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Handle of type %d went through", wrong)
				}
			}()
			s.gw.Handle(wrong, func(*Call) Answer { return Answer{} })
		}()
	}
	s.serve(t)
	p := s.user(t, alice)
	ask := func(what string) {
		p.id++
		p.write(codec.AppendFrame(nil, typeRows, 0, p.id, []byte(what)))
	}
	tells := func(want string) {
		t.Helper()
		if f := p.expect(typeRows + 1); f.ID != p.id || f.Flags != codec.FlagReply || string(f.Payload) != want {
			t.Errorf("%v %d: %q, want %q", f.Flags, f.ID, f.Payload, want)
		}
	}
	ask("")
	tells(fmt.Sprintf("%d has 0 rows at 1, time true, price 100000", alice))
	ask("buy")
	if f := p.frame(); f.Type != codec.TypeExecution || f.ID != p.id {
		t.Fatalf("%v %s", f.Type, says(f))
	}
	ask("")
	tells(fmt.Sprintf("%d has 1 rows at 2, time true, price 100000", alice))
	for what, code := range map[string]papertapev1.RejectCode{
		"no":      papertapev1.RejectCode_REJECT_CODE_MARKET_CLOSED,
		"panic":   papertapev1.RejectCode_REJECT_CODE_INTERNAL,
		"nothing": papertapev1.RejectCode_REJECT_CODE_INTERNAL,
	} {
		ask(what)
		p.rejected(p.id, code)
	}
	p.id++
	p.write(codec.AppendFrame(nil, typeRows+7, 0, p.id, nil))
	p.rejected(p.id, papertapev1.RejectCode_REJECT_CODE_UNKNOWN_TYPE)
	p.alive()
	if n := s.sessionOf(t, p).engine.InFlight(); n != 0 {
		t.Errorf("%d requests in flight", n)
	}
}

// subscribePresence switches presence on and takes the answer.
func (p *peer) subscribePresence(on bool) {
	p.t.Helper()
	p.id++
	p.write(codec.Append(nil, codec.TypeSubscribe, 0, p.id, &papertapev1.Subscribe{Presence: on}))
	if got := decoded(p.t, p.expect(codec.TypeSubscribed), new(papertapev1.Subscribed)); got.GetPresence() != on || got.GetQuotes() {
		p.t.Errorf("subscribed to %v", got)
	}
}

func (p *peer) present() string {
	p.t.Helper()
	m := decoded(p.t, p.expect(codec.TypePresence), new(papertapev1.Presence))
	return fmt.Sprintf("%d %d online=%t %d", m.GetAccount(), m.GetUid(), m.GetOnline(), m.GetSessions())
}

// TestPresence: a subscriber sees other sessions of its account come and go, once each; of all accounts where that is
// configured.
func TestPresence(t *testing.T) {
	t.Parallel()
	for _, everybody := range []bool{false, true} {
		t.Run(fmt.Sprintf("all=%t", everybody), func(t *testing.T) {
			t.Parallel()
			s := start(t, func(g *Config, _ *engine.Config) { g.PresenceAll = everybody })
			p, deaf := s.user(t, alice), s.user(t, alice)
			p.subscribePresence(true)
			p.subscribePresence(true) // twice is once
			q := s.user(t, alice)
			uid := s.sessionOf(t, q).uid
			wants := []string{fmt.Sprintf("%d %d online=true 3", alice, uid), fmt.Sprintf("%d %d online=false 2", alice, uid)}
			if got := p.present(); got != wants[0] {
				t.Errorf("%s, want %s", got, wants[0])
			}
			_ = q.conn.Close()
			if got := p.present(); got != wants[1] {
				t.Errorf("%s, want %s", got, wants[1])
			}
			r := s.user(t, bob)
			if everybody {
				if got, want := p.present(), fmt.Sprintf("%d %d online=true 1", bob, s.sessionOf(t, r).uid); got != want {
					t.Errorf("%s, want %s", got, want)
				}
			}
			p.subscribePresence(false)
			s.user(t, alice)
			p.alive() // nothing in between
			deaf.alive()
		})
	}
}

// TestPresenceIsConflated has a subscriber that does not read while another session comes and goes and comes again: of each
// session it is told the latest state once it reads.
func TestPresenceIsConflated(t *testing.T) {
	t.Parallel()
	s := start(t, func(g *Config, _ *engine.Config) {
		g.SocketSendBufferBytes, g.OutboxBytesMax, g.PresenceAll = 8<<10, 8<<20, true
	})
	p, trader := s.lazy(t, alice), s.user(t, alice)
	p.subscribePresence(true)
	s.stall(t, p, trader, 100<<10) // more than a piece
	gone, stays := s.user(t, bob), s.user(t, carol)
	goneUID, staysUID := s.sessionOf(t, gone).uid, s.sessionOf(t, stays).uid
	_ = gone.conn.Close()
	eventually(t, "it is gone", func() bool { return s.gw.Connections() == 3 })
	got := make(map[uint64]bool)
	for len(got) < 2 {
		f := p.frame()
		if f.Type != codec.TypePresence {
			continue
		}
		m := decoded(t, f, new(papertapev1.Presence))
		if _, twice := got[m.GetUid()]; twice {
			t.Errorf("told of %d twice", m.GetUid())
		}
		got[m.GetUid()] = m.GetOnline()
	}
	if online, ok := got[goneUID]; !ok || online {
		t.Errorf("of the one that is gone: %t %t", online, ok)
	}
	if online, ok := got[staysUID]; !ok || !online {
		t.Errorf("of the one that stays: %t %t", online, ok)
	}
	p.alive()
}

// TestSessionsAndKick: what an operator sees of connections, and how one of them ends.
func TestSessionsAndKick(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	p := s.user(t, alice)
	q := s.peer(t)
	q.welcome()
	all := s.gw.Sessions()
	if len(all) != 2 || all[0].Account != alice || all[1].Account != 0 || all[0].UID >= all[1].UID ||
		all[0].Remote != p.conn.LocalAddr().String() || all[0].Since.IsZero() {
		t.Fatalf("sessions: %+v", all)
	}
	if s.gw.Kick(4711, "nobody") {
		t.Error("somebody was kicked who is not there")
	}
	if !s.gw.Kick(all[0].UID, "by an operator") {
		t.Error("nobody was kicked")
	}
	if g := p.goodbye(papertapev1.GoodbyeReason_GOODBYE_REASON_KICKED); g.GetText() != "by an operator" {
		t.Errorf("the reason is %q", g.GetText())
	}
	p.eof()
	_ = p.conn.Close()
	eventually(t, "it is gone", func() bool { return len(s.gw.Sessions()) == 1 })
}
