package console

import (
	"math"
	"runtime/metrics"
	"time"

	"github.com/papertape/papertape/engine/simulator"
)

// Latency is how long something took, of what was measured since the last look.
type Latency struct {
	Name  string  `json:"name"` // push, sync, …
	P50MS float64 `json:"p50_ms"`
	P99MS float64 `json:"p99_ms"`
	MaxMS float64 `json:"max_ms"` // at most: the next bound of the histogram
	Count uint64  `json:"count"`
}

// Latencies is where percentiles come in. The figures push_p99 and sync_p99, and the alarms of both, are made from what
// has the names push and sync.
type Latencies interface {
	// Latest returns what was measured since the last call. It is called by one goroutine at a time.
	Latest() []Latency
}

// look is what the sampler sees in a second.
type look struct {
	at        time.Time
	counters  map[string]uint64
	limits    map[string]Limit
	flow      simulator.State
	latencies map[string]Latency
	journal   JournalState
	runtime   [2]metrics.Sample
}

// look looks at the server.
func (s *Server) look(now time.Time) *look {
	l := &look{
		at: now, counters: make(map[string]uint64), limits: make(map[string]Limit), flow: s.cfg.Simulator.State(),
		latencies: make(map[string]Latency), journal: s.cfg.Journal(),
	}
	for _, c := range s.cfg.Counters() {
		l.counters[c.Name] = c.Value
	}
	for _, limit := range s.cfg.Limits() {
		l.limits[limit.Name] = limit
	}
	if s.cfg.Latencies != nil {
		for _, latency := range s.cfg.Latencies.Latest() {
			l.latencies[latency.Name] = latency
		}
	}
	l.runtime[0].Name, l.runtime[1].Name = "/memory/classes/heap/objects:bytes", "/sched/goroutines:goroutines"
	metrics.Read(l.runtime[:])
	return l
}

// The units of figures.
const (
	aSecond      = "a_second"
	count        = "count"
	inBytes      = "bytes"
	inSeconds    = "seconds"
	milliseconds = "milliseconds"
	ratio        = "ratio"
)

// figure is something that is shown as a number and as a curve.
type figure struct {
	name, unit string
	of         func(now, before *look) float64 // NaN: not known
}

// figures are all figures, in the order in which they are shown.
var figures = []figure{
	rateOf("events", "events"), rateOf("requests", "requests"), rateOf("orders_refused", "orders_refused"),
	rateOf("busy", "busy"), rateOf("steps", "steps"),
	gaugeOf("connections", count, "connections"), rateOf("accepted", "accepted"), rateOf("logins", "logins"),
	rateOf("refused", "refused_full"), rateOf("cut", "cut_outbox", "cut_stalled", "cut_total", "lost"),
	gaugeOf("panics", count, "panics"),
	useOf("outbox_bytes", "outboxes"), useOf("history_bytes", "history_memory"),
	useOf("uncheckpointed_bytes", "uncheckpointed"), useOf("disk_free_bytes", "disk_free"),
	rateOf("commits", "journal_commits"), rateOf("journal_bytes", "journal_bytes"),
	{"events_a_commit", ratio, func(now, before *look) float64 {
		return growth(now, before, "journal_events") / growth(now, before, "journal_commits")
	}},
	{"checkpoint_age", inSeconds, func(now, _ *look) float64 {
		if now.journal.CheckpointAt == nil {
			return math.NaN()
		}
		return max(0, now.at.Sub(*now.journal.CheckpointAt).Seconds())
	}},
	p99Of("push_p99", "push"), p99Of("sync_p99", "sync"),
	{"fills", aSecond, flowRate(func(s *simulator.State) uint64 { return s.Fills })},
	{"fills_skipped", aSecond, flowRate(func(s *simulator.State) uint64 { return s.Skipped })},
	{"heap_bytes", inBytes, func(now, _ *look) float64 { return float64(now.runtime[0].Value.Uint64()) }},
	{"goroutines", count, func(now, _ *look) float64 { return float64(now.runtime[1].Value.Uint64()) }},
}

// growth returns by how much counters have grown between two looks.
func growth(now, before *look, counters ...string) (sum float64) {
	if before == nil {
		return math.NaN()
	}
	for _, name := range counters {
		is, known := now.counters[name]
		if !known || is < before.counters[name] {
			return math.NaN()
		}
		sum += float64(is - before.counters[name])
	}
	return sum
}

func perSecond(now, before *look, sum float64) float64 {
	if before == nil {
		return math.NaN()
	}
	return sum / now.at.Sub(before.at).Seconds()
}

func rateOf(name string, counters ...string) figure {
	return figure{name, aSecond, func(now, before *look) float64 {
		return perSecond(now, before, growth(now, before, counters...))
	}}
}

func flowRate(of func(*simulator.State) uint64) func(now, before *look) float64 {
	return func(now, before *look) float64 {
		if before == nil {
			return math.NaN()
		}
		return perSecond(now, before, float64(of(&now.flow)-of(&before.flow)))
	}
}

func gaugeOf(name, unit, counter string) figure {
	return figure{name, unit, func(now, _ *look) float64 {
		if v, known := now.counters[counter]; known {
			return float64(v)
		}
		return math.NaN()
	}}
}

func useOf(name, limit string) figure {
	return figure{name, inBytes, func(now, _ *look) float64 {
		if l, known := now.limits[limit]; known {
			return float64(l.Value)
		}
		return math.NaN()
	}}
}

func p99Of(name, latency string) figure {
	return figure{name, milliseconds, func(now, _ *look) float64 {
		if l, known := now.latencies[latency]; known {
			return l.P99MS
		}
		return math.NaN()
	}}
}

// valuesOf returns the values of all figures. What is not finite is not known.
func valuesOf(now, before *look) []float64 {
	values := make([]float64, len(figures))
	for i := range figures {
		if values[i] = figures[i].of(now, before); math.IsInf(values[i], 0) {
			values[i] = math.NaN()
		}
	}
	return values
}
