package main

import (
	"github.com/papertape/papertape/console"
	"github.com/papertape/papertape/engine/journal"
	"github.com/papertape/papertape/tally"
)

// latencies tells the console how long pushes and syncs have taken since it asked last.
type latencies struct {
	server *server
	before map[string]tally.Sum // by name; owned by the goroutine that calls Latest
}

func (l *latencies) Latest() []console.Latency {
	sums := map[string]tally.Sum{"push": l.server.gw.Measures().Push}
	var j *journal.Journal
	if l.server.ledger != nil {
		j = l.server.ledger.journal.Load()
	}
	if j != nil {
		sums["sync"] = j.Measures().Sync
	}
	var all []console.Latency
	for name, sum := range sums {
		if before, ok := l.before[name]; ok {
			sum = sum.Since(before)
		}
		milliseconds := func(part float64) float64 { return float64(sum.Quantile(part)) / 1e6 }
		all = append(all, console.Latency{
			Name: name, P50MS: milliseconds(0.5), P99MS: milliseconds(0.99), MaxMS: milliseconds(1), Count: sum.Count(),
		})
	}
	l.before = sums
	return all
}
