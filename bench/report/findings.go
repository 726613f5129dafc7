package report

import (
	"fmt"

	"github.com/papertape/papertape/bench/scenario"
)

// findings shows the first document's three findings and its two proposals, with the
// figures of this run.
func (b *builder) findings() Section {
	const cell = "1,000 × 1"
	r := b.results
	t := Table{Head: []string{"the first document's proposals", "answers a second", "CPU, µs each", "p99, ms"}}
	row := func(scenarioName string, c string) {
		if r.Spread(scenarioName, cell, c, "rate").N == 0 {
			return
		}
		of := func(value string) string { return spread(r.Spread(scenarioName, cell, c, value), "") }
		t.Rows = append(t.Rows, []string{fmt.Sprintf("%s (%s)", c, scenarioName), of("rate"), of("cpu_us"),
			of("p99_ms")})
	}
	row("connections", scenario.Baseline.Name)
	row("connections", scenario.BaselinePool.Name)
	row("connections", scenario.BaselineCoalescing.Name)
	row("durable", scenario.BaselineSync.Name)
	row("durable", scenario.BaselineDatabase.Name)
	row("durable", scenario.OursSync)
	if len(t.Rows) == 0 {
		return Section{}
	}
	return Section{Title: "What the first document proposed", Tables: []Table{t}, Text: []string{
		"It found that much of the time is spent in write, since every connection has its own writer; that " +
			"scheduling is no small part, for the same reason; and that buying and selling spend theirs in " +
			"updating storage. It proposed a pool of writers and a pool of database workers, and did neither. Here " +
			"both were done to the baseline; a writer that coalesces is what it did not think of. Where the time " +
			"goes by kind is in the sections on processor time."}}
}
