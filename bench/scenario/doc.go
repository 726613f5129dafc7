// Package scenario defines what is measured: which servers, under which load, how often,
// and what is recorded.
//
// A caller's loop:
//
//	r := &scenario.Runner{Programs: programs, Size: scenario.Quick, Out: dir, Progress: bar}
//	results, err := r.Run(ctx, "connections", "pipelined") // or no names for all
//	for _, figure := range results.Figures() { … }
//
// Every contender is a process of its own, restarted for each run, and so is the load
// generator. The runs of one cell are interleaved (A B C A B C …), so that a machine that
// becomes slower does so for all of them, and comparisons are made within a round. All runs
// are stored as JSON. Medians and spreads are computed from them later.
package scenario
