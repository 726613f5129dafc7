package engine

import (
	"slices"
	"testing"

	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/tally"
)

// TestTimed: the outlet is told when the request behind each answer was read, and when the step that
// it sends of was decided.
func TestTimed(t *testing.T) {
	w := newWorld(t, options{keeps: true}, alice)
	c, other := w.loggedIn(alice), w.loggedIn(alice)
	before := tally.Now()
	w.together(func() {
		for _, asked := range []int64{10, 10, 20, 0} {
			c.ask(Request{Kind: KindOrder, Order: buy(1), Asked: asked})
		}
		c.ask(Request{Kind: KindHoldings, Asked: 30})
		other.logout()
	})
	after := tally.Now()
	var asked []int64
	for _, at := range c.timings[len(c.timings)-5:] {
		asked = append(asked, at.asked)
		if at.decided < before || at.decided > after {
			t.Errorf("%s: decided at %d, want between %d and %d", at.kind, at.decided, before, after)
		}
	}
	if want := []int64{10, 10, 20, 0, 30}; !slices.Equal(asked, want) {
		t.Errorf("asked at %v, want %v", asked, want)
	}
	w.checkpoint()
	c.history(0, 5) // read by a reader: its answer comes with another step
	w.settle()
	if last := c.timings[len(c.timings)-1]; last.kind != "HISTORY" || last.asked != 0 {
		t.Errorf("%s was asked at %d, want HISTORY at 0", last.kind, last.asked)
	}
}

// TestTimedForgetsTheLastRequest: what a step sends after its requests answers none of them.
func TestTimedForgetsTheLastRequest(t *testing.T) {
	w := newWorld(t, options{keeps: true}, alice)
	w.trade(alice, 3)
	c, late := w.loggedIn(alice), w.connect(alice)
	w.together(func() {
		late.login(ModeRestart, 0)
		c.ask(Request{Kind: KindOrder, Order: buy(1), Asked: 99})
	})
	for _, at := range late.timings {
		if at.asked != 0 {
			t.Errorf("%s to the session that catches up was asked at %d, want 0", at.kind, at.asked)
		}
	}
	if last := c.timings[len(c.timings)-1]; last.asked != 99 {
		t.Errorf("%s was asked at %d, want 99", last.kind, last.asked)
	}
}

// TestMeasures compares what is counted by class with what was done.
func TestMeasures(t *testing.T) {
	w := newWorld(t, options{keeps: true}, alice)
	opened := w.eng.Measures()
	c := w.loggedIn(alice)
	w.together(func() {
		c.ask(Request{Kind: KindOrder, Order: buy(1, "one"), Asked: tally.Now()})
		c.order(buy(1, "one"))
		c.order(buy(1_000_000_000)) // refused: no cash
		o := buy(2)
		o.Origin = positions.OriginSimulator
		c.order(o)
		c.holdings()
	})
	m := w.eng.Measures()
	if m.Executed != 2 || m.Repeated != 1 || w.eng.Stats().Refused != 1 {
		t.Errorf("%d executed, %d repeated, %d refused; want 2, 1 and 1", m.Executed, m.Repeated, w.eng.Stats().Refused)
	}
	if m.Live != 1 || m.CatchingUp != 0 {
		t.Errorf("%d live and %d catching up, want 1 and 0", m.Live, m.CatchingUp)
	}
	for i, of := range m.Events {
		want := map[EventClass]uint64{{"trade", "client"}: 1, {"trade", "simulator"}: 1}[of.EventClass]
		if got := of.Count - opened.Events[i].Count; got != want {
			t.Errorf("%s of %s: %d, want %d", of.Kind, of.Origin, got, want)
		}
	}
	stats := w.eng.Stats()
	if n := m.StepRequests; n.Count() != stats.Steps || uint64(n.Total) != stats.Requests {
		t.Errorf("%d steps of %d requests, want %d of %d", n.Count(), n.Total, stats.Steps, stats.Requests)
	}
	if d, p := m.Decide.Count(), m.Publish.Count(); d != stats.Steps || p != stats.Steps {
		t.Errorf("%d passes that decide and %d that publish, want %d of each", d, p, stats.Steps)
	}
	if got := m.Commit.Count() - opened.Commit.Count(); got != 1 {
		t.Errorf("%d passes that commit, want 1: the others had no events", got)
	}
	if m.InboxWait.Count() != 1 {
		t.Errorf("%d waits in inboxes, want that of the one drain whose first request had a time", m.InboxWait.Count())
	}
	c.logout()
	w.settle()
	if m = w.eng.Measures(); m.Live != 0 {
		t.Errorf("%d live after the logout, want 0", m.Live)
	}
}

// TestSmallStepsAreTimedNowAndThen: without a disk, of those with few requests one in sixteen is, and all are counted.
func TestSmallStepsAreTimedNowAndThen(t *testing.T) {
	w := newWorld(t, options{}, alice)
	before := w.eng.Measures()
	for range 2 * timedOneIn {
		w.trade(alice, 1)
	}
	m := w.eng.Measures()
	if n := m.StepRequests.Count() - before.StepRequests.Count(); n != 2*timedOneIn {
		t.Fatalf("%d steps counted, want %d", n, 2*timedOneIn)
	}
	for what, n := range map[string]uint64{
		"decide": m.Decide.Count() - before.Decide.Count(), "commit": m.Commit.Count() - before.Commit.Count(),
		"publish": m.Publish.Count() - before.Publish.Count(),
	} {
		if n != 2 {
			t.Errorf("%s: %d of %d steps timed, want 2", what, n, 2*timedOneIn)
		}
	}
	w.together(func() {
		for range timedAlways {
			r := Request{Kind: KindOrder, Account: alice, Order: buy(1)}
			w.eng.Submit(alice, []Request{r})
		}
	})
	if n := w.eng.Measures().Decide.Count() - m.Decide.Count(); n != 1 {
		t.Errorf("a step of %d requests was timed %d times, want once", timedAlways, n)
	}
}

// TestMeasuresWhileCatchingUp follows a session from its replay to the live list.
func TestMeasuresWhileCatchingUp(t *testing.T) {
	w := newWorld(t, options{keeps: true}, alice)
	w.trade(alice, 3)
	c := w.connect(alice)
	c.piece = 1
	c.login(ModeRestart, 0)
	w.settle()
	if m := w.eng.Measures(); m.CatchingUp != 1 || m.Live != 0 {
		t.Fatalf("%d catching up and %d live, want 1 and 0", m.CatchingUp, m.Live)
	}
	c.logout()
	w.settle()
	if m := w.eng.Measures(); m.CatchingUp != 0 || m.Live != 0 {
		t.Errorf("%d catching up and %d live after the logout, want none", m.CatchingUp, m.Live)
	}
	c = w.connect(alice)
	c.login(ModeRestart, 0)
	w.settle()
	if m := w.eng.Measures(); m.CatchingUp != 0 || m.Live != 1 {
		t.Errorf("%d catching up and %d live, want 0 and 1", m.CatchingUp, m.Live)
	}
}

// TestClasses: each event that there can be has a class, and no two kinds share one.
func TestClasses(t *testing.T) {
	trade := func(o positions.Origin) *positions.Event {
		return &positions.Event{Kind: positions.KindTrade, Trade: positions.Trade{Origin: o}}
	}
	for i, ev := range []*positions.Event{
		trade(positions.OriginClient), trade(positions.OriginSimulator), trade(positions.OriginOperator),
		{Kind: positions.KindBust, Bust: &positions.Bust{}},
		{Kind: positions.KindBust, Bust: &positions.Bust{Replacement: &positions.Trade{}}},
		{Kind: positions.KindAdjustment, Adjustment: &positions.Adjustment{}},
	} {
		if got := classOf(ev); got != i {
			t.Errorf("%+v: class %d, want %d (%v)", ev, got, i, eventClasses[i])
		}
	}
	for _, ev := range []*positions.Event{trade(0), trade(4), {Kind: 99}} {
		if got := classOf(ev); got != -1 {
			t.Errorf("%+v: class %d, want none", ev, got)
		}
	}
}
