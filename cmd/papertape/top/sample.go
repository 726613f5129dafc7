package top

import (
	"context"
	"time"

	"github.com/papertape/papertape/console"
)

// sample is what a server said at one time.
type sample struct {
	at        time.Time
	query     Query
	unready   string // why it is not ready; empty: it is
	counters  map[string]uint64
	limits    []console.Limit
	latencies map[string]latency
	table     Table
	err       error // it could not be asked; the rest is not there
}

// take asks a server. Rates need another sample, of before.
func take(ctx context.Context, s Source, q Query, now func() time.Time) *sample {
	out := &sample{query: q, counters: make(map[string]uint64)}
	if err := s.Ready(ctx); err != nil {
		out.unready = err.Error()
	}
	list, err := s.Counters(ctx)
	if err == nil {
		out.limits, err = s.Limits(ctx)
	}
	if err == nil {
		var text string
		text, err = s.Metrics(ctx)
		out.latencies = parseLatencies(text)
	}
	if err == nil {
		out.table, err = s.Table(ctx, q)
	}
	out.at, out.err = now(), err
	for _, c := range list {
		out.counters[c.Name] = c.Value
	}
	return out
}

// rates are counters a second.
var rates = []string{
	"events", "requests", "steps", "logins", "accepted", "orders_refused", "busy", "rate_limited", "refused_full",
	"journal_commits", "journal_events", "journal_bytes", "cut_outbox", "cut_stalled", "cut_total", "protocol_errors",
}

// ratesBetween returns how much each counter grew in a second. A counter that fell belongs to another start of the
// server; it has no rate until the next sample.
func ratesBetween(before, after *sample) map[string]float64 {
	grown := make(map[string]float64)
	if before == nil || before.err != nil || after.err != nil {
		return grown
	}
	seconds := after.at.Sub(before.at).Seconds()
	for _, name := range rates {
		is, there := after.counters[name]
		if was := before.counters[name]; there && is >= was && seconds > 0 {
			grown[name] = float64(is-was) / seconds
		}
	}
	return grown
}

// Snapshot is one look at a server, as JSON.
type Snapshot struct {
	Time     time.Time          `json:"time"`
	Server   string             `json:"server"`
	Ready    bool               `json:"ready"`
	Unready  string             `json:"unready,omitempty"` // why not
	Seconds  float64            `json:"seconds"`           // between the two looks that the rates are of
	Rates    map[string]float64 `json:"rates"`             // a second
	P99      map[string]float64 `json:"p99_ms"`            // of what happened between them, where the server tells
	Counters map[string]uint64  `json:"counters"`
	Limits   []console.Limit    `json:"limits,omitempty"`
	View     View               `json:"view"`
	Sort     string             `json:"sort"`
	Filter   string             `json:"filter,omitempty"`
	Table
}

func snapshotOf(server string, before, after *sample) Snapshot {
	s := Snapshot{
		Time: after.at.UTC(), Server: server, Ready: after.unready == "", Unready: after.unready,
		Seconds: after.at.Sub(before.at).Seconds(), Rates: ratesBetween(before, after),
		P99: p99s(before, after), Counters: after.counters,
		Limits: after.limits,
		View:   after.query.View, Sort: after.query.Sort, Filter: after.query.Filter, Table: after.table,
	}
	return s
}
