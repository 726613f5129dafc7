package gateway

import (
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/engine/simulator"
)

// subscribePresence switches presence on and takes the answer.
func (p *peer) subscribePresence(on bool) {
	p.t.Helper()
	p.id++
	p.write(codec.Append(nil, codec.TypeSubscribe, 0, p.id, &papertapev1.Subscribe{Presence: on}))
	got := decoded(p.t, p.expect(codec.TypeSubscribed), new(papertapev1.Subscribed))
	if got.GetPresence() != on || got.GetQuotes() {
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
			if got, want := p.present(), fmt.Sprintf("%d %d online=true 3", alice, uid); got != want {
				t.Errorf("%s, want %s", got, want)
			}
			_ = q.conn.Close()
			if got, want := p.present(), fmt.Sprintf("%d %d online=false 2", alice, uid); got != want {
				t.Errorf("%s, want %s", got, want)
			}
			r := s.user(t, bob)
			if everybody {
				want := fmt.Sprintf("%d %d online=true 1", bob, s.sessionOf(t, r).uid)
				if got := p.present(); got != want {
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

// TestPresenceIsConflated has a subscriber that does not read while another session comes and goes and comes again: of
// each session it is told the latest state once it reads.
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

// presenceModel does what presence does, with maps.
type presenceModel struct {
	t        *rapid.T
	presence *presence
	changed  map[uint64]state // by account: all that ever was
	told     uint64           // the version that a subscriber has been told
	seen     map[uint64]state // what it was told
}

func (m *presenceModel) note(account, uid uint64, online bool) {
	m.presence.note(account, uid, online)
	st := m.changed[account]
	st.account, st.uid, st.online, st.version = account, uid, online, m.presence.now()
	if st.sessions--; online {
		st.sessions += 2
	}
	m.changed[account] = st
}

// tell tells the subscriber most states at most, and compares each.
func (m *presenceModel) tell(most int) {
	states, upTo, kept := m.presence.since(nil, m.told, most)
	newer := 0
	for _, st := range m.changed {
		if st.version > m.told {
			newer++
		}
	}
	if kept != (newer <= presenceMax) {
		m.t.Fatalf("%d states are newer than what was told; all of them are kept: %t", newer, kept)
	}
	if !kept {
		m.told, m.seen = upTo, maps.Clone(m.changed) // it would start again
		return
	}
	if len(states) != min(newer, most) {
		m.t.Fatalf("told %d states, want %d of %d at most", len(states), newer, most)
	}
	for _, st := range states {
		st.older, st.newer = nil, nil
		if st != m.changed[st.account] || st.version <= m.told {
			m.t.Fatalf("told %+v after version %d, want %+v", st, m.told, m.changed[st.account])
		}
		m.told = st.version
		m.seen[st.account] = st
	}
	if m.told = upTo; newer <= most && !maps.Equal(m.seen, m.changed) {
		m.t.Fatalf("told everything up to version %d, and that is not the present state", upTo)
	}
}

func (m *presenceModel) check() {
	live, kept := 0, min(len(m.changed), presenceMax)
	for account, st := range m.changed {
		if got := m.presence.of(account); st.sessions > 0 {
			if got.older, got.newer = nil, nil; got != st {
				m.t.Fatalf("the state of an account with sessions is %+v, want %+v", got, st)
			}
			live++
		}
	}
	if n := len(m.presence.states); n > live+presenceMax || m.presence.ordered != kept {
		m.t.Fatalf("%d states are kept, %d in order; want the %d of accounts with sessions, and %d in order",
			n, m.presence.ordered, live, kept)
	}
}

// TestPresenceAgainstAModel has accounts come and go, one by one and by the thousand, and a subscriber that is told
// now and then.
func TestPresenceAgainstAModel(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := &presenceModel{
			t: t, presence: newPresence(nil, true), changed: make(map[uint64]state), seen: make(map[uint64]state),
		}
		uid := uint64(0)
		change := func(account uint64, online bool) {
			if uid++; !online && m.changed[account].sessions == 0 {
				return
			}
			m.note(account, uid, online)
		}
		t.Repeat(map[string]func(*rapid.T){
			"one": func(t *rapid.T) {
				change(rapid.Uint64Range(1, 8).Draw(t, "account"), rapid.Bool().Draw(t, "online"))
			},
			"many": func(t *rapid.T) {
				from := rapid.Uint64Range(1, 2000).Draw(t, "from")
				for account := range rapid.Uint64Range(1, 3000).Draw(t, "accounts") {
					change(from+account, rapid.IntRange(0, 1).Draw(t, "online") == 1 || account%3 > 0)
				}
			},
			"tell": func(t *rapid.T) { m.tell(rapid.IntRange(1, 2*presenceMax).Draw(t, "most")) },
			"":     func(*rapid.T) { m.check() },
		})
	})
}

// TestPresenceOfManySubscribers has sessions come and go while one subscriber reads and another does not. Little is
// kept for the latter, and in the end both know the present state.
func TestPresenceOfManySubscribers(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	s := start(t, func(g *Config, _ *engine.Config) {
		g.PresenceAll, g.SocketSendBufferBytes, g.OutboxBytesMax = true, 8<<10, 8<<20
	})
	p, deaf := s.user(t, alice), s.lazy(t, alice+1)
	p.subscribePresence(true)
	deaf.subscribePresence(true)
	trader := s.user(t, deaf.account)
	s.stall(t, deaf, trader, 32<<10)
	_, before := s.stalledSince(t, deaf)
	truth := make(map[uint64]uint32)
	truth[trader.account] = 2
	for i := range uint64(400) {
		account := simulator.FirstAccount + i%40
		q := s.user(t, account)
		if truth[account]++; i%3 == 0 {
			_ = q.conn.Close()
			truth[account]--
		}
	}
	p.presentUntil(truth)
	if _, waiting := s.stalledSince(t, deaf); waiting > before {
		t.Errorf("%d bytes wait for a subscriber that does not read, %d did before", waiting, before)
	}
	deaf.presentUntil(truth)
	if n := s.gw.Stats().CutOutbox.Load(); n != 0 {
		t.Errorf("%d sessions cut", n)
	}
}

// presentUntil takes frames until PRESENCE has told the truth of all accounts. No two in a row may say the same.
func (p *peer) presentUntil(truth map[uint64]uint32) {
	p.t.Helper()
	told, last := make(map[uint64]uint32), ""
	for !maps.Equal(told, truth) {
		f := p.frame()
		if f.Type != codec.TypePresence {
			continue
		}
		m := decoded(p.t, f, new(papertapev1.Presence))
		if says := fmt.Sprint(m.GetAccount(), m.GetUid(), m.GetOnline(), m.GetSessions()); says == last {
			p.t.Fatalf("told twice of %s", says)
		} else {
			last = says
		}
		if m.GetUid() == p.uid {
			p.t.Fatal("told of itself")
		}
		if told[m.GetAccount()] = m.GetSessions(); m.GetSessions() == 0 || truth[m.GetAccount()] == 0 {
			delete(told, m.GetAccount())
		}
	}
}

// TestPresenceThatIsMissed has more accounts change than are kept while a subscriber does not read. It is ended.
func TestPresenceThatIsMissed(t *testing.T) {
	t.Parallel()
	s := start(t, func(g *Config, _ *engine.Config) {
		g.PresenceAll, g.SocketSendBufferBytes, g.OutboxBytesMax = true, 8<<10, 8<<20
	})
	p, deaf, trader := s.user(t, alice), s.lazy(t, bob), s.user(t, bob)
	p.subscribePresence(true)
	deaf.subscribePresence(true)
	s.stall(t, deaf, trader, 32<<10)
	for i := range uint64(presenceMax + 1) {
		s.gw.presence.note(1_000_000+i, 1_000_000+i, true)
		if i == presenceMax/2 {
			s.user(t, carol) // so that the loops tell
			p.presentUntil(map[uint64]uint32{carol: 1})
		}
	}
	s.user(t, carol)
	p.presentUntil(map[uint64]uint32{carol: 2, bob: 1}) // which the other is gone from
	deaf.cut()
}

// TestPresenceIsNotOfOneself: a client that subscribes before its login is answered is not told of its own login.
func TestPresenceIsNotOfOneself(t *testing.T) {
	t.Parallel()
	entered, goOn := make(chan struct{}), make(chan struct{})
	s := start(t, func(g *Config, _ *engine.Config) {
		g.EventLoops = 1
		g.Hooks = []Hooks{{OnLogin: func(c *Session) {
			if c.Account() == bob {
				close(entered)
				<-goOn
			}
		}}}
	})
	p := s.peer(t)
	p.welcome()
	session := s.sessionOf(t, p)
	other := s.peer(t)
	other.welcome()
	p.write(p.loginFrame(alice, quick, 0))
	other.write(other.loginFrame(bob, quick, 0))
	<-entered // the loop stands still
	eventually(t, "the first is logged in", func() bool { return session.phase.Load() == phaseIn })
	p.id++
	p.write(codec.Append(nil, codec.TypeSubscribe, 0, p.id, &papertapev1.Subscribe{Presence: true}))
	close(goOn)
	p.expect(codec.TypeLoginReply)
	p.expect(codec.TypeSubscribed)
	s.user(t, alice)
	if got := p.present(); got[len(got)-1] != '2' {
		t.Errorf("told %q, want of the other session alone", got)
	}
}
