// Package scenario is what is measured: which servers, under which load, how often, and what is kept of it.
//
// The loop of a caller:
//
//	r := &scenario.Runner{Programs: programs, Size: scenario.Quick, Out: dir, Progress: bar}
//	results, err := r.Run(ctx, "connections", "pipelined") // or nothing for all
//	for _, figure := range results.Figures() { … }
//
// Every contender is a process of its own, started afresh for each run; so is the load generator. Runs of one cell are interleaved
// (A B C A B C …), so that a machine that becomes slower does so for all of them, and what is compared is compared within a round.
// All runs are kept, as JSON; medians and spread are made of them later.
package scenario
