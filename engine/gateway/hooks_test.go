package gateway

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine"
)

// notes are what hooks and wrappers saw, in order.
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

func (n *notes) expect(t *testing.T, want ...string) {
	t.Helper()
	eventually(t, "everything was noted", func() bool { return len(n.all()) >= len(want) })
	if got := n.all(); !slices.Equal(got, want) {
		t.Errorf("noted\n%q\nwant\n%q", got, want)
	}
}

// TestHooks: each hook is called once, in order, and finds the properties that an earlier one has set. OnLogout is not
// called for a connection that never logged in, and no hook for one that was refused.
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
	seen.expect(t,
		"1 connects, account 0, from an address: true", fmt.Sprintf("1 logs in to %d", alice), "the second is told too",
		"2 connects, account 0, from an address: true", "2 disconnects, <nil> false",
		"1 logs out, one true", "1 disconnects, one true")
}

// TestHookPanics: a panic of a hook closes the connection that it was called for.
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

// noting is a wrapper that notes what it sees, and refuses HISTORY.
func noting(seen *notes) Wrapper {
	return Wrapper{
		Request: func(c *Session, f codec.Frame) *codec.Error {
			seen.add("> %v %d", f.Type, f.ID)
			if f.Type == codec.TypeHistory {
				return &codec.Error{Code: papertapev1.RejectCode_REJECT_CODE_ACCOUNT_BLOCKED, Text: "no history today"}
			}
			c.SetProperty("last", f.Type)
			return nil
		},
		Reply: func(c *Session, f codec.Frame) {
			c.SetProperty("answered", f.ID) // would deadlock if the session were locked
			seen.add("< %v %d", f.Type, f.ID)
		},
	}
}

// TestWrappers: a wrapper sees each request and each reply once, sees no pushes, and may refuse a request.
func TestWrappers(t *testing.T) {
	t.Parallel()
	var seen notes
	s := start(t, func(g *Config, _ *engine.Config) { g.Wrappers = []Wrapper{noting(&seen)} })
	p := s.peer(t)
	p.welcome()
	p.login(alice, papertapev1.ResumeMode_RESUME_MODE_SNAPSHOT, 0)
	other := s.user(t, alice)
	other.trade(1) // a push to p, a reply to other
	if f := p.frame(); f.Type != codec.TypeEvent {
		t.Fatalf("%v %s", f.Type, says(f))
	}
	for _, kind := range []codec.Type{
		codec.TypePing, codec.TypeHoldings, codec.TypeInstruments, codec.TypeSubscribe, codec.TypeHistory, 999,
	} {
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
