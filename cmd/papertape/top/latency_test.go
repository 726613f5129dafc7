package top

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// metricsOf is what a server answers that has pushed so many within 1 ms, 10 ms and ever.
func metricsOf(upTo1, upTo10, all int) string {
	return fmt.Sprintf(`# HELP papertape_push_latency_seconds Decided until written.
# TYPE papertape_push_latency_seconds histogram
papertape_push_latency_seconds_bucket{le="0.001"} %d
papertape_push_latency_seconds_bucket{le="0.01"} %d
papertape_push_latency_seconds_bucket{le="+Inf"} %d
papertape_push_latency_seconds_sum 17.5
papertape_push_latency_seconds_count %[3]d
papertape_journal_sync_seconds_bucket{le="0.01"} 1e+06
papertape_journal_sync_seconds_bucket{le="+Inf"} 1e+06
papertape_step_seconds_bucket{phase="decide",le="0.01"} 5
papertape_request_latency_seconds_bucket{le="nonsense"} 5
`, upTo1, upTo10, all)
}

func TestLatencies(t *testing.T) {
	for _, c := range []struct {
		before, after [3]int
		want          float64 // ms; NaN: none
	}{
		{[3]int{0, 0, 0}, [3]int{100, 100, 100}, 0.99},
		{[3]int{100, 100, 100}, [3]int{190, 200, 200}, 9.1}, // 90 of 100 within 1 ms, the rest within 10
		{[3]int{0, 0, 0}, [3]int{0, 50, 100}, 10},           // longer than the longest bound
		{[3]int{5, 5, 5}, [3]int{5, 5, 5}, math.NaN()},
		{[3]int{5, 5, 5}, [3]int{1, 1, 1}, math.NaN()}, // started anew
	} {
		at := func(n [3]int) *sample { return &sample{latencies: parseLatencies(metricsOf(n[0], n[1], n[2]))} }
		got, ok := p99s(at(c.before), at(c.after))["push"]
		if ok == math.IsNaN(c.want) || ok && math.Abs(got-c.want) > 0.001 {
			t.Errorf("from %v to %v: %v, %v; want %v", c.before, c.after, got, ok, c.want)
		}
	}
	one := &sample{latencies: parseLatencies(metricsOf(1, 2, 3))}
	if len(one.latencies) != 2 || len(one.latencies["push"]) != 3 || one.latencies["sync"][0].count != 1_000_000 {
		t.Errorf("parsed: %v", one.latencies)
	}
	for _, before := range []*sample{nil, {}, {err: fmt.Errorf("none")}} {
		if got := p99s(before, one); len(got) > 0 {
			t.Errorf("%v since %v", got, before)
		}
	}
}

func TestLatencyLine(t *testing.T) {
	m := sessionsModel()
	a, b := sampleAt(0, nil, Table{}), sampleAt(1, nil, Table{})
	m.before, m.now = a, b
	if lines := m.latencyLine(); lines != nil {
		t.Errorf("a server that tells nothing: %v", lines)
	}
	a.latencies, b.latencies = parseLatencies(metricsOf(0, 0, 0)), parseLatencies(metricsOf(100, 100, 100))
	if got := textOf(m.frame(0, start)); !strings.Contains(got, "\np99  push 0.99 ms  sync -\n") {
		t.Errorf("it shows\n%s", got)
	}
}
