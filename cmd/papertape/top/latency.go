package top

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// latency is a histogram of the server's metrics: how many took at most so many seconds, by rising bounds.
type latency []bucket

type bucket struct {
	bound float64 // seconds; the last is infinite
	count uint64  // of those up to the bound
}

// latencyNames are the histograms that are shown, by the word they are shown with.
var latencyNames = []struct{ word, metric string }{
	{"push", "papertape_push_latency_seconds"},
	{"request", "papertape_request_latency_seconds"},
	{"sync", "papertape_journal_sync_seconds"},
}

// parseLatencies finds the histograms in what a server answers at /metrics.
func parseLatencies(text string) map[string]latency {
	found := make(map[string]latency)
	for line := range strings.Lines(text) {
		for _, n := range latencyNames {
			rest, ok := strings.CutPrefix(line, n.metric+`_bucket{le="`)
			if !ok {
				continue
			}
			bound, rest, _ := strings.Cut(rest, `"} `)
			le, err := strconv.ParseFloat(bound, 64) // also +Inf
			count, err2 := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err == nil && err2 == nil && count >= 0 {
				found[n.word] = append(found[n.word], bucket{le, uint64(count)})
			}
		}
	}
	return found
}

// p99Between returns within how many seconds 99 of 100 of what happened between two samples were done. There is none if
// nothing happened, or if the server was started anew.
func p99Between(before, after latency) (seconds float64, ok bool) {
	const part = 0.99
	if len(before) != len(after) || len(after) == 0 {
		return 0, false
	}
	last := len(after) - 1
	if after[last].count <= before[last].count {
		return 0, false
	}
	wanted := part * float64(after[last].count-before[last].count)
	lower, below := 0.0, 0.0
	for i := range after {
		upTo := float64(after[i].count) - float64(before[i].count)
		switch {
		case upTo < wanted:
			lower, below = after[i].bound, upTo
			continue
		case math.IsInf(after[i].bound, 1): // longer than the longest bound; nobody knows how much
			return lower, true
		}
		return lower + (after[i].bound-lower)*(wanted-below)/(upTo-below), true
	}
	return 0, false
}

// p99s are the latencies between two samples, in milliseconds, by their words.
func p99s(before, after *sample) map[string]float64 {
	all := make(map[string]float64)
	if before == nil || before.err != nil || after.err != nil {
		return all
	}
	for _, n := range latencyNames {
		if seconds, ok := p99Between(before.latencies[n.word], after.latencies[n.word]); ok {
			all[n.word] = seconds * 1e3
		}
	}
	return all
}

// latencyLine says how long things took, where the server tells.
func (m *model) latencyLine() []line {
	if len(m.now.latencies) == 0 {
		return nil
	}
	took := p99s(m.before, m.now)
	parts := []string{"p99"}
	for _, n := range latencyNames {
		if m.now.latencies[n.word] == nil {
			continue
		}
		shown := "-"
		if ms, ok := took[n.word]; ok {
			shown = fmt.Sprintf("%.2g ms", ms)
			if ms >= 100 {
				shown = whole(uint64(ms)) + " ms"
			}
		}
		parts = append(parts, n.word+" "+shown)
	}
	return []line{{text: strings.Join(parts, "  ")}}
}
