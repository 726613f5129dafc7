package gateway

import (
	"testing"

	"pgregory.net/rapid"
)

// horizon is how far ahead a wheel can place a session, in ticks.
const horizon = wheelSlots - 1

// wheelModel does what a wheel does, with maps: a session comes up at the first tick that is not before its deadline,
// and no earlier than the tick after it was put.
type wheelModel struct {
	t        *rapid.T
	wheel    wheel
	now      millis
	sessions []*Session
	deadline map[*Session]millis // of those in the wheel
	at       map[*Session]millis // the tick at which each comes up
	far      map[*Session]bool   // put beyond the horizon, so it may come up before its time
}

func (m *wheelModel) put(s *Session, deadline millis) {
	m.wheel.put(s, deadline)
	tick := m.wheel.tick
	at := max((deadline+tick-1)/tick*tick, m.wheel.at+tick)
	m.deadline[s], m.at[s], m.far[s] = deadline, at, at > m.wheel.at+horizon*tick
}

func (m *wheelModel) forget(s *Session) {
	delete(m.deadline, s)
	delete(m.at, s)
	delete(m.far, s)
}

// turn moves both on, most sessions at a time, and compares what came up.
func (m *wheelModel) turn(now millis, most int) {
	m.now = now
	want := make(map[*Session]bool)
	for s, at := range m.at {
		if at <= now {
			want[s] = true
		}
	}
	for m.part(now, most, want) == most {
	}
	if len(want) > 0 {
		m.t.Fatalf("at %d %d sessions did not come up whose deadline had passed", now, len(want))
	}
}

// part turns the wheel for most sessions at most, and returns how many came up.
func (m *wheelModel) part(now millis, most int, want map[*Session]bool) (n int) {
	done := m.wheel.turn(now, most, func(s *Session) {
		n++
		deadline, in := m.deadline[s]
		switch {
		case !in:
			m.t.Fatalf("a session came up that is not in the wheel")
		case s.slot != -1:
			m.t.Fatalf("a session came up and is still in slot %d", s.slot)
		case m.at[s] <= now:
			m.forget(s)
			delete(want, s)
		case m.far[s]:
			m.put(s, deadline) // as the gateway does
		default:
			m.t.Fatalf("at %d a session came up whose deadline is %d", now, deadline)
		}
	})
	if n > most || !done && n < most {
		m.t.Fatalf("%d sessions came up of %d at most, and there are more: %t", n, most, !done)
	}
	return n
}

func (m *wheelModel) check() {
	if m.wheel.count != len(m.at) {
		m.t.Fatalf("the wheel counts %d sessions, want %d", m.wheel.count, len(m.at))
	}
	met := make(map[*Session]int)
	m.wheel.each(func(s *Session) { met[s]++ })
	for s := range m.at {
		if met[s] != 1 {
			m.t.Fatalf("each called for a session %d times, want once", met[s])
		}
	}
	if len(met) != len(m.at) {
		m.t.Fatalf("each met %d sessions, want %d", len(met), len(m.at))
	}
}

func TestWheelAgainstAList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tick := millis(rapid.IntRange(1, 50).Draw(t, "tick"))
		m := &wheelModel{
			t: t, now: millis(rapid.IntRange(1, 1<<20).Draw(t, "start")), deadline: map[*Session]millis{},
			at: map[*Session]millis{}, far: map[*Session]bool{}, sessions: make([]*Session, 8),
		}
		m.wheel.tick, m.wheel.at = tick, m.now/tick*tick
		for i := range m.sessions {
			m.sessions[i] = &Session{slot: -1}
		}
		pick := rapid.SampledFrom(m.sessions)
		ticks := func(from, to int) *rapid.Generator[int] { return rapid.IntRange(from*int(tick), to*int(tick)) }
		ahead := rapid.OneOf(rapid.IntRange(-100, 100), ticks(0, horizon), ticks(0, 5*horizon))
		step := rapid.OneOf(ticks(0, 2), ticks(0, 100), ticks(0, 4*horizon))
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) { m.put(pick.Draw(t, "session"), m.now+millis(ahead.Draw(t, "ahead"))) },
			"remove": func(t *rapid.T) {
				s := pick.Draw(t, "session")
				m.wheel.remove(s)
				m.forget(s)
			},
			"turn": func(t *rapid.T) {
				m.turn(m.now+millis(step.Draw(t, "by")), rapid.IntRange(1, 8).Draw(t, "at a time"))
			},
			"": func(*rapid.T) { m.check() },
		})
	})
}

// TestWheelCallsBack puts and removes sessions from within the wheel's own calls, as the gateway does.
func TestWheelCallsBack(t *testing.T) {
	w := wheel{tick: 10}
	sessions := make([]*Session, 100)
	for i := range sessions {
		sessions[i] = &Session{slot: -1, uid: uint64(i)}
		w.put(sessions[i], 50)
	}
	calls := make(map[*Session]int)
	w.turn(60, 1000, func(s *Session) {
		calls[s]++
		switch s.uid % 3 {
		case 0:
			w.put(s, 55) // which is past: the next tick, in the same turn
			if calls[s] == 2 {
				w.remove(s)
			}
		case 1:
			w.put(s, 1000)
		}
		w.remove(sessions[99]) // somebody else of the same slot
	})
	for _, s := range sessions[:99] {
		want := 1
		if s.uid%3 == 0 {
			want = 2
		}
		if calls[s] != want {
			t.Errorf("session %d came up %d times, want %d", s.uid, calls[s], want)
		}
	}
	if calls[sessions[99]] > 1 || w.count != 33 {
		t.Errorf("the removed session came up %d times, %d are left; want at most one, 33",
			calls[sessions[99]], w.count)
	}
	w.each(func(s *Session) { w.remove(s) })
	if w.count != 0 {
		t.Errorf("%d sessions are left after each was removed from within each", w.count)
	}
}
