package gateway

import (
	"testing"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/tally"
)

// counts returns those that are not 0.
func counts(all []Count) map[string]uint64 {
	found := make(map[string]uint64)
	for _, c := range all {
		if c.Count != 0 {
			found[c.Name] = c.Count
		}
	}
	return found
}

// sameCounts waits until they are these.
func sameCounts(t *testing.T, what string, got func() []Count, want map[string]uint64) {
	t.Helper()
	eventually(t, what+" are counted", func() bool {
		now := counts(got())
		for name, n := range want {
			if now[name] != n {
				return false
			}
		}
		return len(now) == len(want)
	}, func() { t.Logf("%v, want %v", counts(got()), want) })
}

// TestTrafficIsCounted compares what the gateway counts with what a client sent and got, frame by frame and byte by
// byte.
func TestTrafficIsCounted(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	p := s.user(t, alice)
	p.trade(10)
	for _, of := range []codec.Type{
		codec.TypePing, codec.TypeHoldings, codec.TypeHistory, codec.TypeInstruments, codec.TypeSubscribe,
		codec.TypeWelcome, codec.TypeEmbedder, codec.TypeLogin,
		codec.TypeBars, codec.TypeTrades, codec.TypeClock, codec.TypeCalendar,
	} {
		p.write(p.request(nil, of))
		for f := p.frame(); f.Type == codec.TypePresence || f.Type == codec.TypeQuotes; f = p.frame() {
		}
	}
	p.write(codec.Append(nil, codec.TypeOrder, 0, 99, &papertapev1.Order{
		Side: papertapev1.Side_SIDE_SELL, Market: "SZ", Code: "000002", Quantity: 100,
	}))
	p.expect(codec.TypeReject)
	p.write(codec.AppendPong(nil, 1, 0)) // asks nothing
	eventually(t, "every frame and byte is counted", func() bool {
		m := s.gw.Measures()
		return m.FramesReceived == 1+10+12+1+1 && m.BytesReceived == p.bytesOut && m.FramesSent == p.framesIn &&
			m.BytesSent == p.bytesIn
	}, func() { t.Logf("%+v; the client got %d frames, %d bytes", s.gw.Measures(), p.framesIn, p.bytesIn) })
	sameCounts(t, "requests", func() []Count { return s.gw.Measures().Requests }, map[string]uint64{
		"LOGIN": 2, "ORDER": 11, "PING": 1, "HOLDINGS": 1, "HISTORY": 1, "INSTRUMENTS": 1, "SUBSCRIBE": 1, "CUSTOM": 1,
		"OTHER": 1, "BARS": 1, "TRADES": 1, "CLOCK": 1, "CALENDAR": 1,
	})
	sameCounts(t, "rejects", func() []Count { return s.gw.Measures().Rejects }, map[string]uint64{
		"MALFORMED": 1, "UNKNOWN_TYPE": 1, "UNKNOWN_INSTRUMENT": 4, "ALREADY_LOGGED_IN": 1, "INSUFFICIENT_SHARES": 1,
	})
	m := s.gw.Measures()
	if n := m.Request.Count(); n < 10 || n > m.Writes {
		t.Errorf("%d answers timed in %d writes, want one in each write that has an answer to a request", n, m.Writes)
	}
	if n := m.Push.Count(); n == 0 || n > 10 {
		t.Errorf("%d pushes timed, want one in each write with an event", n)
	}
}

// TestFarewellIsTwoFrames: a REJECT that goes out with GOODBYE is a frame of its own.
func TestFarewellIsTwoFrames(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	p := s.peer(t)
	p.welcome()
	p.write(p.request(nil, codec.TypeHoldings)) // before LOGIN
	p.expect(codec.TypeReject)
	p.goodbye(protocolViolated)
	p.eof()
	eventually(t, "three frames are counted", func() bool { return s.gw.Measures().FramesSent == 3 })
	sameCounts(t, "rejects", func() []Count { return s.gw.Measures().Rejects },
		map[string]uint64{"NOT_LOGGED_IN": 1})
}

// slowJournal takes its time over each commit.
type slowJournal struct {
	engine.Journal
	take time.Duration
}

func (j slowJournal) Commit(records []byte, n int) error {
	for until := tally.Now() + int64(j.take); tally.Now() < until; {
		time.Sleep(time.Millisecond)
	}
	return j.Journal.Commit(records, n)
}

// TestLatencies: what a commit takes is in the latency of the push to another session, and of the answer, and of
// nothing else.
func TestLatencies(t *testing.T) {
	t.Parallel()
	s := start(t, func(_ *Config, e *engine.Config) { e.Journal = slowJournal{e.Journal, 30 * time.Millisecond} })
	other, p := s.user(t, alice), s.user(t, alice)
	p.write(p.request(nil, codec.TypePing))
	p.expect(codec.TypePong)
	p.trade(1)
	other.until(p.seq)
	slow := func(sum tally.Sum) (n uint64) {
		for i, bound := range sum.Bounds {
			if bound > 25e6 {
				n += sum.Counts[i]
			}
		}
		return n + sum.Counts[len(sum.Bounds)]
	}
	eventually(t, "both pushes and the answer are timed as slow", func() bool {
		m := s.gw.Measures()
		return slow(m.Push) == 2 && slow(m.Request) == 1
	}, func() { t.Logf("%+v", s.gw.Measures()) })
	if m := s.gw.Measures(); m.Push.Count() != 2 || m.Push.Total < 60e6 {
		t.Errorf("%d pushes in %v, want 2 in 60ms or more", m.Push.Count(), time.Duration(m.Push.Total))
	}
}

// TestReplayIsNotTimed: what a session catches up on was decided long ago.
func TestReplayIsNotTimed(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	p := s.user(t, alice)
	p.trade(4)
	var before uint64
	eventually(t, "the pushes are timed", func() bool {
		before = s.gw.Measures().Push.Count()
		return before > 0
	})
	late := s.peer(t)
	late.welcome()
	late.login(alice, papertapev1.ResumeMode_RESUME_MODE_RESTART, 0)
	late.until(p.seq)
	late.write(late.request(nil, codec.TypePing))
	late.expect(codec.TypePong)
	if n := s.gw.Measures().Push.Count(); n != before {
		t.Errorf("%d pushes timed after a replay, want the %d of before", n, before)
	}
}

// TestEndsByCause: a session that its client ends, or a shutdown, is counted as that, and others are not.
func TestEndsByCause(t *testing.T) {
	t.Parallel()
	s := start(t, smallOutboxes)
	leaves, kicked, stalled, trader := s.user(t, alice), s.user(t, bob), s.lazy(t, carol), s.user(t, carol)
	_ = leaves.conn.Close()
	s.gw.Kick(kicked.uid, "test")
	kicked.goodbye(papertapev1.GoodbyeReason_GOODBYE_REASON_KICKED)
	kicked.eof()
	for s.gw.Stats().CutOutbox.Load() == 0 {
		trader.trade(20)
	}
	stalled.cut()
	eventually(t, "only the trader is left", func() bool { return s.gw.Connections() == 1 })
	if m := s.gw.Measures(); m.LeftByClient != 1 || m.ShutDown != 0 {
		t.Errorf("%d left by their clients, %d shut down; want 1 and 0", m.LeftByClient, m.ShutDown)
	}
	go func() { _, _ = trader.next() }()
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if m := s.gw.Measures(); m.LeftByClient != 1 || m.ShutDown != 1 {
		t.Errorf("%d left by their clients, %d shut down; want 1 and 1", m.LeftByClient, m.ShutDown)
	}
}

// TestRefusedByCause has a connection refused for each of the limits.
func TestRefusedByCause(t *testing.T) {
	t.Parallel()
	for cause, limit := range map[string]func(*Config){
		"full":     func(c *Config) { c.ConnectionsMax = 1 },
		"prelogin": func(c *Config) { c.ConnectionsPreloginMax = 1 },
		"per_ip":   func(c *Config) { c.ConnectionsPerIPMax = 1 },
		"rate":     func(c *Config) { c.ConnectionsPerSecondMax = 1 },
	} {
		s := start(t, func(g *Config, _ *engine.Config) { limit(g) })
		first := s.peer(t)
		first.welcome()
		second := s.peer(t)
		refusedAtTheDoor(t, second)
		second.cut()
		sameCounts(t, "refused connections", func() []Count { return s.gw.Measures().Refused },
			map[string]uint64{cause: 1})
		if n := s.gw.Stats().RefusedFull.Load(); n != 1 {
			t.Errorf("%s: %d refused in all, want 1", cause, n)
		}
	}
}

// TestWaitingSessions follows the number of sessions whose sockets do not take everything.
func TestWaitingSessions(t *testing.T) {
	t.Parallel()
	s := start(t, func(g *Config, e *engine.Config) {
		smallOutboxes(g, e)
		g.OutboxBytesMax = 1 << 20
	})
	stalled, trader := s.lazy(t, alice), s.user(t, alice)
	if n := s.gw.Measures().OutboxSessions; n != 0 {
		t.Fatalf("%d sessions have something waiting, want none", n)
	}
	s.stall(t, stalled, trader, 1000)
	eventually(t, "one has something waiting", func() bool { return s.gw.Measures().OutboxSessions == 1 })
	stalled.until(trader.seq) // reads everything
	eventually(t, "none has any more", func() bool { return s.gw.Measures().OutboxSessions == 0 })
	s.stall(t, stalled, trader, 1000)
	_ = stalled.conn.SetLinger(0)
	_ = stalled.conn.Close()
	eventually(t, "it is gone", func() bool { return s.gw.Connections() == 1 && s.gw.Measures().OutboxSessions == 0 })
}

// TestResumesAreCounted has a session resume, and one whose place is of another epoch.
func TestResumesAreCounted(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.user(t, alice).trade(2)
	for _, epoch := range []uint64{0, 1} { // added to the right one
		p := s.peer(t)
		p.welcome()
		p.epoch += epoch
		p.login(alice, papertapev1.ResumeMode_RESUME_MODE_RESUME, 1)
	}
	eventually(t, "one resumed, and one was resynced", func() bool {
		m := s.gw.Measures()
		return m.Resumed == 1 && m.Resynced == 1
	}, func() { t.Logf("%d and %d", s.gw.Measures().Resumed, s.gw.Measures().Resynced) })
}

// TestLoopLag holds up a loop: that is in Lag while it lasts, and in the histogram afterwards.
func TestLoopLag(t *testing.T) {
	t.Parallel()
	s := start(t, func(g *Config, _ *engine.Config) { g.EventLoops, g.Heartbeat = 1, 40*time.Millisecond })
	s.peer(t).welcome()
	eventually(t, "ticks are timed", func() bool { return s.gw.Measures().LoopLag.Count() > 0 })
	const held = 30 * time.Millisecond
	s.onLoops(func(*loop) {
		for until := tally.Now() + int64(time.Minute); s.gw.Lag() < held && tally.Now() < until; {
			time.Sleep(time.Millisecond)
		}
		if lag := s.gw.Lag(); lag < held {
			t.Errorf("a loop stands still, and its lag is %v", lag)
		}
	})
	eventually(t, "a tick came late", func() bool { return s.gw.Measures().LoopLag.Total >= int64(held) })
}

// TestRoomForCounters: the codes of rejects fit into a set of counters.
func TestRoomForCounters(t *testing.T) {
	for _, first := range []int{countLoopReject, countReject} {
		if n := first + codesCounted; n > tally.CountersMax {
			t.Errorf("%d counters, and room for %d", n, tally.CountersMax)
		}
	}
	if len(requestNames) != countLoopReject-countRequests {
		t.Errorf("%d kinds of request, and %d counters", len(requestNames), countLoopReject-countRequests)
	}
	if indexOf(-1) != 0 || indexOf(papertapev1.RejectCode(codesCounted)) != 0 {
		t.Error("a code that the protocol has not is counted as another")
	}
}
