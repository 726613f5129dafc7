package scenario

import (
	"maps"
	"slices"

	"github.com/papertape/papertape/bench/load"
	"github.com/papertape/papertape/bench/measure"
)

// Record is one run of one contender in one cell.
type Record struct {
	Scenario  string
	Cell      string
	Contender string
	Round     int
	Load      load.Result
	Server    measure.Usage
	Go        measure.Go         // after the run
	Idle      float64            // the idle fraction of the machine's processors
	Values    map[string]float64 `json:",omitempty"` // further measurements
	Note      string             `json:",omitempty"` // what went wrong, if that is a result rather than a failed run
}

// Value returns one of the figures that every record has, or a further measurement.
func (r *Record) Value(name string) float64 {
	requests := float64(r.work())
	per := func(v float64) float64 {
		if requests == 0 {
			return 0
		}
		return v / requests
	}
	switch name {
	case "rate":
		return r.Load.Rate()
	case "cpu_us":
		return per(r.Server.CPUSeconds * 1e6)
	case "switches":
		return per(float64(r.Server.ContextSwitches))
	case "system_share":
		if used := r.Server.SystemSeconds + r.Server.UserSeconds; used > 0 {
			return r.Server.SystemSeconds / used
		}
		return 0
	case "rss":
		return float64(r.Server.RSS)
	case "mean_ms":
		return r.Load.Latency["all"].Mean
	case "p50_ms":
		return r.Load.Latency["all"].P50
	case "p99_ms":
		return r.Load.Latency["all"].P99
	case "lag_p50_ms":
		return r.Load.PushLag.P50
	case "lag_p99_ms":
		return r.Load.PushLag.P99
	case "events":
		return float64(r.Load.Events) / r.Load.Seconds
	case "frames":
		return float64(r.Load.Quotes) / r.Load.Seconds
	case "came":
		return float64(r.Load.Events+r.Load.Quotes) / r.Load.Seconds
	case "prices":
		return float64(r.Load.Prices) / r.Load.Seconds
	case "bytes":
		return float64(r.Load.Bytes) / r.Load.Seconds
	case "idle":
		return r.Idle
	case "cores":
		return r.Server.Cores
	case "goroutines_all":
		return float64(r.Go.Goroutines)
	case "gc":
		return r.Go.GCShare
	case "generator":
		return r.Load.CPU
	}
	return r.Values[name]
}

// work returns the divisor of the server's processor time: requests answered or, without
// requests, frames pushed.
func (r *Record) work() uint64 {
	if r.Load.Answers > 0 {
		return r.Load.Answers
	}
	return r.Load.Events + r.Load.Quotes
}

// Results holds everything measured.
type Results struct {
	Environment measure.Environment
	Size        string
	Seconds     float64 // duration
	Records     []Record
	Notes       []string `json:",omitempty"` // what could not be measured, or only on a later try, and why
	Failures    []string `json:",omitempty"` // what failed on every try
}

// recordsOf returns the records of one contender in one cell, by round.
func (r *Results) recordsOf(scenario, cell, contender string) (found []*Record) {
	for i := range r.Records {
		if c := &r.Records[i]; c.Scenario == scenario && c.Cell == cell && c.Contender == contender {
			found = append(found, c)
		}
	}
	return found
}

// Spread is the median of several runs, with the lowest and highest. N is 0 if there are
// none.
type Spread struct {
	Median, Low, High float64
	N                 int
}

func spreadOf(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	s := slices.Sorted(slices.Values(values))
	n := len(s)
	return Spread{Median: (s[(n-1)/2] + s[n/2]) / 2, Low: s[0], High: s[n-1], N: n}
}

// Spread returns the spread of one value over the rounds.
func (r *Results) Spread(scenario, cell, contender, value string) Spread {
	var values []float64
	for _, c := range r.recordsOf(scenario, cell, contender) {
		if c.Load.Answers > 0 || c.Values != nil {
			values = append(values, c.Value(value))
		}
	}
	return spreadOf(values)
}

// place identifies an operand of a ratio.
type place struct{ scenario, cell, contender string }

// Ratio returns the ratio of a's value to b's, within each round.
func (r *Results) Ratio(value string, a, b place) Spread {
	var ratios []float64
	for _, over := range r.recordsOf(a.scenario, a.cell, a.contender) {
		for _, under := range r.recordsOf(b.scenario, b.cell, b.contender) {
			if u := under.Value(value); over.Round == under.Round && u > 0 {
				ratios = append(ratios, over.Value(value)/u)
			}
		}
	}
	return spreadOf(ratios)
}

// Cells returns the cells of a scenario, in the order in which they were measured.
func (r *Results) Cells(scenario string) []string {
	return r.distinct(func(c *Record) (string, bool) { return c.Cell, c.Scenario == scenario })
}

// Contenders returns the contenders of a cell, in the order in which they were measured.
func (r *Results) Contenders(scenario, cell string) []string {
	return r.distinct(func(c *Record) (string, bool) {
		return c.Contender, c.Scenario == scenario && (cell == "" || c.Cell == cell)
	})
}

func (r *Results) distinct(of func(*Record) (string, bool)) (names []string) {
	for i := range r.Records {
		if name, ok := of(&r.Records[i]); ok && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// Values returns the names of a contender's further measurements in a cell, in alphabetical
// order.
func (r *Results) Values(scenario, cell, contender string) []string {
	names := make(map[string]bool)
	for _, c := range r.recordsOf(scenario, cell, contender) {
		for name := range c.Values {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// Latency returns the distribution over all rounds, for all answers or for those of one
// kind.
func (r *Results) Latency(scenario, cell, contender, kind string) load.Distribution {
	var list []load.Distribution
	for _, c := range r.recordsOf(scenario, cell, contender) {
		list = append(list, c.Load.Latency[kind])
	}
	d, err := load.MergeDistributions(list...)
	if err != nil {
		return load.Distribution{} // a file that was edited by hand
	}
	return d
}

// Answers returns how many requests a contender answered in a cell, over all rounds.
func (r *Results) Answers(scenario, cell, contender string) (n uint64) {
	for _, c := range r.recordsOf(scenario, cell, contender) {
		n += c.Load.Answers
	}
	return n
}

// Note returns the first note about a contender in a cell.
func (r *Results) Note(scenario, cell, contender string) string {
	for _, c := range r.recordsOf(scenario, cell, contender) {
		if c.Note != "" {
			return c.Note
		}
	}
	return ""
}
