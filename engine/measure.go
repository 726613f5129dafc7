package engine

import (
	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/tally"
)

// measures are what a shard has counted and timed. Everything in it is counted once a step, so that
// an order pays for none of it. The drainer owns it; anybody may read what it has published.
type measures struct {
	_ [128]byte // keeps what others write off these cache lines

	decide, commit, publish tally.Histogram // the passes of a step
	requests                tally.Histogram // in a step
	wait                    tally.Histogram // of the first request of a drain, from its read to its step
	counts                  tally.Counters

	// Owned by the drainer.
	live, catching int // sessions now
	untimed        int // steps since the last one whose passes were timed

	_ [128]byte
}

// The counters of a shard. The last ones are of events.
const (
	countExecuted = iota
	countRepeated
	gaugeLive
	gaugeCatching
	countEvents
)

func newMeasures() measures {
	return measures{
		decide: tally.NewHistogram(tally.Latencies), commit: tally.NewHistogram(tally.Latencies),
		publish: tally.NewHistogram(tally.Latencies), requests: tally.NewHistogram(tally.Sizes),
		wait: tally.NewHistogram(tally.Latencies),
	}
}

// EventClass says what an event is, and who caused it.
type EventClass struct {
	Kind   string // trade, bust, correction, adjustment
	Origin string // client, simulator, operator
}

// eventClasses are all that there are. An event that belongs to none is not counted by class.
var eventClasses = []EventClass{
	{"trade", "client"}, {"trade", "simulator"}, {"trade", "operator"},
	{"bust", "operator"}, {"correction", "operator"}, {"adjustment", "operator"},
	{"reset", "operator"},
}

// classOf returns the index in eventClasses of an event's class, or -1.
func classOf(ev *positions.Event) int {
	switch {
	case ev.Kind == positions.KindTrade && ev.Trade.Origin >= positions.OriginClient &&
		ev.Trade.Origin <= positions.OriginOperator:
		return int(ev.Trade.Origin - positions.OriginClient)
	case ev.Kind == positions.KindBust && ev.Bust.Replacement == nil:
		return 3
	case ev.Kind == positions.KindBust:
		return 4
	case ev.Kind == positions.KindAdjustment:
		return 5
	case ev.Kind == positions.KindReset:
		return 6
	}
	return -1
}

// event counts an event.
func (m *measures) event(ev *positions.Event) {
	if class := classOf(ev); class >= 0 {
		m.counts.Count(countEvents+class, 1)
	}
}

// sessions notes that sessions have come (1) to one of the two states, or gone (-1).
func (m *measures) sessions(state sessionState, by int) {
	switch state {
	case sessionLive:
		m.live += by
		m.counts.Set(gaugeLive, uint64(m.live)) //nolint:gosec // sessions
	case sessionCatching:
		m.catching += by
		m.counts.Set(gaugeCatching, uint64(m.catching)) //nolint:gosec // sessions
	}
}

// Where nothing goes to a disk, a step of a few requests takes hardly longer than to read the clock for
// each pass. Of such steps one in timedOneIn is timed.
const (
	timedAlways = 16 // a step of so many requests
	timedOneIn  = 16
)

// passes times the passes of a step.
type passes struct {
	m     *measures // nil: this step is not timed
	since int64     // when the current pass began, by tally.Now
}

// timePasses is called when the requests of a step have been decided.
func (s *shard) timePasses(requests int) passes {
	m := &s.measures
	if !s.keeps && requests < timedAlways {
		if m.untimed++; m.untimed < timedOneIn {
			return passes{}
		}
	}
	m.untimed = 0
	p := passes{m, s.step.began}
	p.ends(&m.decide)
	return p
}

func (p *passes) ends(h *tally.Histogram) {
	now := tally.Now()
	h.Observe(now - p.since)
	p.since = now
}

func (p *passes) committed() {
	if p.m != nil {
		p.ends(&p.m.commit)
	}
}

func (p *passes) published() {
	if p.m != nil {
		p.ends(&p.m.publish)
	}
}

// stepEnds counts a step, and publishes everything.
func (m *measures) stepEnds(requests int) {
	m.requests.Observe(int64(requests))
	for _, h := range [...]*tally.Histogram{&m.decide, &m.commit, &m.publish, &m.requests, &m.wait} {
		h.Publish()
	}
	m.counts.Publish()
}

// Measures are what the shards have counted and timed since the start, all together. Times are in
// nanoseconds.
type Measures struct {
	Decide, Commit, Publish tally.Sum // the passes of the steps
	StepRequests            tally.Sum // requests of a step
	InboxWait               tally.Sum // from the read of the first request of a drain to its step
	Executed, Repeated      uint64    // orders
	Live, CatchingUp        int       // sessions now
	Events                  []EventCount
	Inbox                   []int // requests that wait now, by shard
	HistoryReads            int   // under way now
}

// EventCount is how many events of a class there were.
type EventCount struct {
	EventClass
	Count uint64
}

// Measures adds up what the shards have measured. Any goroutine may call it.
func (e *Engine) Measures() Measures {
	m := Measures{
		Decide: tally.NewSum(tally.Latencies), Commit: tally.NewSum(tally.Latencies),
		Publish: tally.NewSum(tally.Latencies), StepRequests: tally.NewSum(tally.Sizes),
		InboxWait:    tally.NewSum(tally.Latencies),
		HistoryReads: e.reads.underway(),
	}
	for _, class := range eventClasses {
		m.Events = append(m.Events, EventCount{EventClass: class})
	}
	for _, s := range e.shards {
		of := &s.measures
		m.Decide.Add(&of.decide)
		m.Commit.Add(&of.commit)
		m.Publish.Add(&of.publish)
		m.StepRequests.Add(&of.requests)
		m.InboxWait.Add(&of.wait)
		m.Executed += of.counts.Load(countExecuted)
		m.Repeated += of.counts.Load(countRepeated)
		m.Live += int(of.counts.Load(gaugeLive))           //nolint:gosec // sessions
		m.CatchingUp += int(of.counts.Load(gaugeCatching)) //nolint:gosec // sessions
		for i := range m.Events {
			m.Events[i].Count += of.counts.Load(countEvents + i)
		}
		m.Inbox = append(m.Inbox, s.waiting())
	}
	return m
}

// waiting returns how many requests wait in the inbox.
func (s *shard) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.inbox)
}

// underway returns how many reads hold a slot.
func (r *reads) underway() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.slots - len(r.free)
}
