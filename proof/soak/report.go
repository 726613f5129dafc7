package soak

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Report is what a run found.
type Report struct {
	Run      string   `json:"run"`
	Seed     uint64   `json:"seed"`
	Figures  []Figure `json:"figures"`
	Failures []string `json:"failures"` // sentences; empty if all checks held
}

// Figure is one measured number.
type Figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit,omitempty"`
}

// OK reports whether all checks held.
func (r *Report) OK() bool { return len(r.Failures) == 0 }

// Value returns the figure of a name, the last one if it was measured several times.
func (r *Report) Value(name string) (v float64, ok bool) {
	for _, f := range r.Figures {
		if f.Name == name {
			v, ok = f.Value, true
		}
	}
	return v, ok
}

func (r *Report) add(name string, value float64, unit string) {
	r.Figures = append(r.Figures, Figure{name, value, unit})
}

func (r *Report) count(name string, n int) { r.add(name, float64(n), "") }

func (r *Report) fail(format string, args ...any) {
	r.Failures = append(r.Failures, fmt.Sprintf(format, args...))
}

// within fails unless value <= most.
func (r *Report) within(name string, value, most float64, unit string) {
	if value > most {
		r.fail("%s is %s; the bound is %s", name, quantity(value, unit), quantity(most, unit))
	}
}

func quantity(value float64, unit string) string {
	return strings.TrimSpace(strconv.FormatFloat(math.Round(value*100)/100, 'f', -1, 64) + " " + unit)
}

// percentile returns the q-th quantile of durations, or 0 if there are none. It sorts them.
func percentile(durations []time.Duration, q float64) time.Duration {
	if len(durations) == 0 {
		return 0
	}
	slices.Sort(durations)
	return durations[min(int(q*float64(len(durations))), len(durations)-1)]
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

// median returns the median of at least one value. It sorts them.
func median(values []float64) float64 {
	slices.Sort(values)
	if n := len(values); n%2 == 0 {
		return (values[n/2-1] + values[n/2]) / 2
	}
	return values[len(values)/2]
}
