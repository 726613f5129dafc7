package load

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Result is the result of one window.
type Result struct {
	Seconds     float64
	Connections int
	Requests    uint64
	Answers     uint64
	Executions  uint64
	Events      uint64            `json:",omitempty"` // EVENT frames
	Quotes      uint64            `json:",omitempty"` // QUOTES frames
	Prices      uint64            `json:",omitempty"` // in the QUOTES frames
	Bytes       uint64            // received
	Rejects     map[string]uint64 `json:",omitempty"`
	Cut         uint64            `json:",omitempty"` // connections that the server ended
	Returned    uint64            `json:",omitempty"` // stalled connections that came back
	Findings    uint64            `json:",omitempty"` // answers that were wrong
	Sentences   []string          `json:",omitempty"` // the first few findings

	Latency map[string]Distribution // by "buy", "sell", "query", and "all"
	PushLag Distribution            // from the time in an event until its arrival
	Lag     Distribution            // from when a request was due until it was sent
	LagMost float64                 // ms: a lag up to this does not matter

	// About the generator itself: the processors used; the largest fractions of a thread's
	// time that it ran, and that it waited for a processor; and a sentence if the generator
	// was too slow.
	CPU     float64
	Busy    float64
	Waited  float64
	Lagging string `json:",omitempty"`
}

// Distribution is a histogram of durations with its main figures. Times are in
// milliseconds.
type Distribution struct {
	Count               int64   `json:"n"`
	Mean                float64 `json:"mean_ms"`
	P50, P90, P99, P999 float64
	Max                 float64
	Histogram           []byte `json:",omitempty"` // HdrHistogram V2, compressed; nanoseconds

	h *hdrhistogram.Histogram
}

func newDistribution(h *hdrhistogram.Histogram) Distribution {
	if h.TotalCount() == 0 {
		return Distribution{}
	}
	ms := func(ns int64) float64 { return float64(ns) / 1e6 }
	d := Distribution{
		Count: h.TotalCount(), Mean: h.Mean() / 1e6, P50: ms(h.ValueAtQuantile(50)), P90: ms(h.ValueAtQuantile(90)),
		P99: ms(h.ValueAtQuantile(99)), P999: ms(h.ValueAtQuantile(99.9)), Max: ms(h.Max()), h: h,
	}
	d.Histogram, _ = h.Encode(hdrhistogram.V2CompressedEncodingCookieBase) // it cannot fail for histograms made here
	return d
}

// histogram returns the histogram of d, even if d was JSON in between.
func (d *Distribution) histogram() (*hdrhistogram.Histogram, error) {
	if d.h != nil {
		return d.h, nil
	}
	if len(d.Histogram) == 0 {
		return newHistogram(), nil
	}
	h, err := hdrhistogram.Decode(d.Histogram)
	if err != nil {
		return nil, fmt.Errorf("a histogram of a generator does not decode: %w", err)
	}
	return h, nil
}

// MergeDistributions merges distributions into one.
func MergeDistributions(list ...Distribution) (Distribution, error) {
	all := newHistogram()
	for i := range list {
		h, err := list[i].histogram()
		if err != nil {
			return Distribution{}, err
		}
		all.Merge(h)
	}
	return newDistribution(all), nil
}

// Rate returns the answers per second.
func (r *Result) Rate() float64 { return float64(r.Answers) / r.Seconds }

// Err returns why the result must not be used: answers were wrong, connections were lost,
// or the generator was too slow. REJECTs are not an error, since they are the answer to
// overload; a caller that expects none checks Rejects.
func (r *Result) Err() error {
	var errs []error
	if r.Findings > 0 {
		errs = append(errs, fmt.Errorf("%d answers were wrong, such as: %s", r.Findings, r.Sentences[0]))
	}
	if r.Lagging != "" {
		errs = append(errs, errors.New(r.Lagging))
	}
	return errors.Join(errs...)
}

// resultOf combines the tallies of the threads of one generator.
func resultOf(p *Plan, tallies []*tally) Result {
	r := Result{
		Connections: p.Connections, LagMost: p.lagMost().Seconds() * 1000,
		Rejects: make(map[string]uint64), Latency: make(map[string]Distribution),
	}
	var latency [kinds]*hdrhistogram.Histogram
	for k := range latency {
		latency[k] = newHistogram()
	}
	all, lag, pushLag := newHistogram(), newHistogram(), newHistogram()
	for _, t := range tallies {
		for k := range kinds {
			r.Requests += t.sent[k]
			r.Answers += t.answered[k]
			latency[k].Merge(t.latency[k])
			all.Merge(t.latency[k])
		}
		lag.Merge(t.lag)
		pushLag.Merge(t.pushLag)
		r.add(t)
	}
	for k := range kinds {
		r.Latency[k.String()] = newDistribution(latency[k])
	}
	r.Latency["all"], r.Lag, r.PushLag = newDistribution(all), newDistribution(lag), newDistribution(pushLag)
	r.judge()
	return r
}

// add adds the counts of a tally. Histograms are added elsewhere.
func (r *Result) add(t *tally) {
	seconds := t.ended.Sub(t.began).Seconds()
	r.Seconds = max(r.Seconds, seconds)
	r.Executions += t.executions
	r.Events += t.events
	r.Quotes += t.quotes
	r.Prices += t.prices
	r.Bytes += t.bytes
	r.Cut += t.cut
	r.Returned += t.returned
	r.Findings += t.findings
	r.Sentences = firstOf(append(r.Sentences, t.sentences...))
	for code, n := range t.rejects {
		r.Rejects[code] += n
	}
	r.CPU += t.cpu.Seconds() / seconds
	r.Busy = max(r.Busy, t.cpu.Seconds()/seconds)
	r.Waited = max(r.Waited, t.waited.Seconds()/seconds)
}

func firstOf(sentences []string) []string { return sentences[:min(len(sentences), findingsMost)] }

// judge decides whether the generator sent its requests on time. A lag matters if it is
// long, and not small compared to the latency.
func (r *Result) judge() {
	lag, latency := r.Lag.P99, r.Latency["all"].P99
	if r.Lag.Count < lagSamplesMin || lag <= r.LagMost || lag <= lagShareMost*latency {
		return
	}
	r.Lagging = fmt.Sprintf("the generator was the bottleneck: one request in a hundred was sent %.1f ms late or "+
		"more, beside "+
		"a p99 of %.1f ms; "+
		"ask for a lower rate, or give it a processor of its own", lag, latency)
}

// merge combines the results of several generators for the same time.
func merge(list []Result) (Result, error) {
	all := Result{Rejects: make(map[string]uint64), Latency: make(map[string]Distribution)}
	var lag, pushLag []Distribution
	latency := make(map[string][]Distribution)
	for i := range list {
		r := &list[i]
		all.Seconds = max(all.Seconds, r.Seconds)
		all.Connections += r.Connections
		all.LagMost = max(all.LagMost, r.LagMost)
		all.Requests += r.Requests
		all.Answers += r.Answers
		all.Executions += r.Executions
		all.Events += r.Events
		all.Quotes += r.Quotes
		all.Prices += r.Prices
		all.Bytes += r.Bytes
		all.Cut += r.Cut
		all.Returned += r.Returned
		all.Findings += r.Findings
		all.Sentences = firstOf(append(all.Sentences, r.Sentences...))
		all.CPU += r.CPU
		all.Busy, all.Waited = max(all.Busy, r.Busy), max(all.Waited, r.Waited)
		for code, n := range r.Rejects {
			all.Rejects[code] += n
		}
		lag, pushLag = append(lag, r.Lag), append(pushLag, r.PushLag)
		for name, d := range r.Latency {
			latency[name] = append(latency[name], d)
		}
	}
	var err error
	set := func(d *Distribution, of []Distribution) {
		merged, mergeErr := MergeDistributions(of...)
		*d, err = merged, errors.Join(err, mergeErr)
	}
	set(&all.Lag, lag)
	set(&all.PushLag, pushLag)
	for _, name := range slices.Sorted(maps.Keys(latency)) {
		var d Distribution
		set(&d, latency[name])
		all.Latency[name] = d
	}
	all.judge()
	return all, err
}
