package load

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Result is what was seen in one window.
type Result struct {
	Seconds     float64
	Connections int
	Requests    uint64
	Answers     uint64
	Executions  uint64
	Events      uint64            `json:",omitempty"` // EVENT frames
	Quotes      uint64            `json:",omitempty"` // QUOTES frames
	Prices      uint64            `json:",omitempty"` // in them
	Bytes       uint64            // received
	Rejects     map[string]uint64 `json:",omitempty"`
	Cut         uint64            `json:",omitempty"` // connections that the server ended
	Returned    uint64            `json:",omitempty"` // stalled ones that connected again
	Findings    uint64            `json:",omitempty"` // answers that were wrong
	Sentences   []string          `json:",omitempty"` // of the findings, the first few

	Latency map[string]Distribution // by "buy", "sell", "query", and "all" of them
	PushLag Distribution            // from the time in an event until it was here
	Lag     Distribution            // from when a request was due until the generator sent it
	LagMost float64                 // ms: as much of it does not matter

	// Of the generator itself: processors used, of each thread's time the largest part that it used and that it waited for a
	// processor, and the sentence that says that it was too slow.
	CPU     float64
	Busy    float64
	Waited  float64
	Lagging string `json:",omitempty"`
}

// Distribution is a histogram of durations, and the figures of it that are looked at. Times are in milliseconds.
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
	d.Histogram, _ = h.Encode(hdrhistogram.V2CompressedEncodingCookieBase) // of what it made itself: it cannot fail
	return d
}

// histogram is what d was made of, also where d has been JSON in between.
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

// MergeDistributions is all of them as one.
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

// Rate is answers a second.
func (r *Result) Rate() float64 { return float64(r.Answers) / r.Seconds }

// Err is why the result must not be used: answers were wrong, connections were lost, or the generator was too slow. REJECTs are no
// reason, since overload is answered with them; who expects none looks at Rejects.
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

// resultOf is what the threads of one generator saw.
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

// add is what needs no histogram.
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

// judge says whether the generator kept its own appointments. A lag counts where it is long, and not small beside what was measured.
func (r *Result) judge() {
	lag, latency := r.Lag.P99, r.Latency["all"].P99
	if r.Lag.Count < lagSamplesMin || lag <= r.LagMost || lag <= lagShareMost*latency {
		return
	}
	r.Lagging = fmt.Sprintf("the generator was the bottleneck: one request in a hundred was sent %.1f ms late or more, beside "+
		"a p99 of %.1f ms; "+
		"ask for a lower rate, or give it a processor of its own", lag, latency)
}

// merge is what several generators saw at the same time.
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
