package scenario

import (
	"maps"
	"math"
	"slices"
)

// Figure is a number for which the project has a target. docs/bench.md explains each.
type Figure struct {
	ID     string // for example p3.vs_baseline; thresholds.json uses it
	Target string // P1 … P11
	What   string
	Unit   string // "" for a ratio
	Value  Spread // N is 0 if it was not measured
	Least  float64
	Most   float64 // 0: Least applies
}

// Met reports whether the target is reached. It is meaningless if nothing was measured.
func (f *Figure) Met() bool {
	if f.Most > 0 {
		return f.Value.Median <= f.Most
	}
	return f.Value.Median >= f.Least
}

// Figures returns the figures of all targets, in order.
func (r *Results) Figures() []Figure {
	list := r.orderFigures()
	list = append(list, r.pushFigures()...)
	return append(list, r.otherFigures()...)
}

func at(cell string, c Contender) place { return place{"connections", cell, c.Name} }

// orderFigures returns P1 to P3.
func (r *Results) orderFigures() []Figure {
	ours := at(cell1000, Ours)
	cpu := func(a, b place) Spread { return r.Ratio("cpu_us", a, b) }
	piped := func(c Contender) place { return place{"pipelined", cellPipeline, c.Name} }
	return []Figure{
		{ID: "p1.vs_gnet_echo", Target: "P1", What: "CPU of an order, 1,000 × 1, by that of gnet's bare echo",
			Value: cpu(ours, at(cell1000, EchoGnet)), Most: 1.25},
		{ID: "p1.vs_pair_echo", Target: "P1", What: "the same by the goroutine pair's bare echo",
			Value: cpu(ours, at(cell1000, EchoPair)), Most: 0.8},
		{ID: "p1.vs_zinx_echo", Target: "P1", What: "the same by zinx's bare echo",
			Value: cpu(ours, at(cell1000, EchoZinx)), Most: 0.7},
		{ID: "p2.cpu_1000", Target: "P2", What: "baseline's CPU of an order by ours, 1,000 × 1",
			Value: cpu(at(cell1000, Baseline), ours), Least: 1.4},
		{ID: "p2.cpu_10000", Target: "P2", What: "the same, 10,000 × 1",
			Value: cpu(at(cell10000, Baseline), at(cell10000, Ours)), Least: 1.1},
		{ID: "p2.memory", Target: "P2", What: "baseline's memory of an idle connection by ours",
			Value: r.Ratio("user_bytes", place{"idle", cellIdle, Baseline.Name},
				place{"idle", cellIdle, Ours.Name}), Least: 5},
		{ID: "p3.orders", Target: "P3", What: "orders a second, 100 × 32", Unit: "/s",
			Value: r.Spread("pipelined", cellPipeline, Ours.Name, "rate"), Least: 1.5e6},
		{ID: "p3.vs_baseline", Target: "P3", What: "by those of the baseline",
			Value: r.Ratio("rate", piped(Ours), piped(Baseline)), Least: 5},
		{ID: "p3.vs_coalescing", Target: "P3", What: "by those of the coalescing baseline",
			Value: r.Ratio("rate", piped(Ours), piped(BaselineCoalescing)), Least: 1.1},
	}
}

// pushFigures returns P4 to P6.
func (r *Results) pushFigures() []Figure {
	idle := func(value string) Spread { return r.Spread("idle", cellIdle, Ours.Name, value) }
	return []Figure{
		{ID: "p4.events", Target: "P4", What: "events a second to 10,000, lag p99 ≤ 250 ms", Unit: "/s",
			Value: r.InTime(cellPush10000, Ours.Name), Least: 1e6},
		{ID: "p4.quotes", Target: "P4", What: "frames of quotes a second to 10,000", Unit: "/s",
			Value: r.mostOf(cellQuotes10000, Ours.Name, "frames", false), Least: 4e6},
		{ID: "p5.lag_80k", Target: "P5", What: "lag p99, 80,000 events a second to 10,000", Unit: "ms",
			Value: r.lagAt(cellPush10000, firstRate), Most: 10},
		{ID: "p5.lag_half", Target: "P5", What: "lag p99, half of saturation to 100", Unit: "ms",
			Value: r.Spread("push", cellPushHalf, Ours.Name, "lag_p99_ms"), Most: 10},
		{ID: "p6.memory", Target: "P6", What: "memory of an idle logged-in connection", Unit: "B",
			Value: idle("user_bytes"), Most: 1000},
		{ID: "p6.goroutines", Target: "P6", What: "goroutines of it", Value: idle("goroutines"), Most: 0.001},
	}
}

// InTime returns, over the rounds, the highest event rate of a contender's climb that
// arrived in time.
func (r *Results) InTime(cell, contender string) Spread {
	return r.mostOf(cell, contender, "events", true)
}

// mostOf returns, over the rounds, the largest value of a contender's records in a cell.
// With inTime it uses only the records whose pushes arrived in time.
func (r *Results) mostOf(cell, contender, value string, inTime bool) Spread {
	best := make(map[int]float64)
	for _, c := range r.recordsOf("push", cell, contender) {
		if !inTime || c.Values["held"] > 0 {
			best[c.Round] = max(best[c.Round], c.Value(value))
		}
	}
	return spreadOf(slices.Collect(maps.Values(best)))
}

// Rung is one rate of a climb, with its results in the rounds that reached it.
type Rung struct {
	Judged bool // whether arriving in time matters
	Held   int  // rounds in which pushes arrived in time
	runs   []*Record
}

// Spread returns the spread of a value over the rounds.
func (g *Rung) Spread(value string) Spread {
	var values []float64
	for _, c := range g.runs {
		values = append(values, c.Value(value))
	}
	return spreadOf(values)
}

// Rungs returns the rates asked of a contender in a cell, lowest first. If each round asked
// for one rate of its own, they form one rung.
func (r *Results) Rungs(cell, contender string) (rungs []Rung) {
	runs := r.recordsOf("push", cell, contender)
	rounds := make(map[int]bool)
	for _, c := range runs {
		rounds[c.Round] = true
	}
	by := make(map[float64]*Rung)
	for _, c := range runs {
		asked := c.Values["asked"]
		if len(rounds) == len(runs) {
			asked = 0
		}
		g := by[asked]
		if g == nil {
			g = new(Rung)
			by[asked] = g
		}
		held, judged := c.Values["held"]
		if g.Judged = judged; held > 0 {
			g.Held++
		}
		g.runs = append(g.runs, c)
	}
	for _, asked := range slices.Sorted(maps.Keys(by)) {
		rungs = append(rungs, *by[asked])
	}
	return rungs
}

// lagAt returns the lag at one of the rates of a climb.
func (r *Results) lagAt(cell string, rate float64) Spread {
	for _, g := range r.Rungs(cell, Ours.Name) {
		if math.Abs(g.Spread("asked").Median-rate) < 1 {
			return g.Spread("lag_p99_ms")
		}
	}
	return Spread{}
}

// otherFigures returns P7 to P11.
func (r *Results) otherFigures() []Figure {
	bench := func(pkg, value string) Spread { return r.Spread("benchmarks", pkg, Ours.Name, value) }
	durable := func(c string) place { return place{"durable", cell1000, c} }
	stalled := func(cell string) place { return place{"stalled", cell, Ours.Name} }
	const decide, encode, recovery = "DecideApply10Rows/accounts=1 ", "AppendEvent ", "Recover/engine "
	return []Figure{
		{ID: "p7.decide_ns", Target: "P7", What: "Decide and Apply, 10 rows", Unit: "ns",
			Value: bench("./positions", decide+"ns/op"), Most: 150},
		{ID: "p7.decide_allocs", Target: "P7", What: "their allocations",
			Value: bench("./positions", decide+"allocs/op"), Most: nothing},
		{ID: "p7.encode_ns", Target: "P7", What: "event to wire", Unit: "ns",
			Value: bench("./codec", encode+"ns/op"), Most: 150},
		{ID: "p7.encode_allocs", Target: "P7", What: "its allocations", Value: bench("./codec", encode+"allocs/op"),
			Most: nothing},
		{ID: "p7.order_allocs", Target: "P7", What: "allocations of an order, 100 × 32",
			Value: r.Spread("pipelined", cellPipeline, Ours.Name, "mallocs"), Most: 2},
		{ID: "p8.sync", Target: "P8", What: "orders a second with sync by those with none, 1,000 × 1",
			Value: r.Ratio("rate", durable(OursSync), durable(Ours.Name)), Least: 0.6},
		{ID: "p8.journal", Target: "P8", What: "the journal's part of the CPU, sync, 1,000 × 1", Unit: "%",
			Value: r.Spread("profiles", ProfileSaturated, OursSync, "journal"), Most: 30},
		{ID: "p9.recovery", Target: "P9", What: "recovered events a second", Unit: "/s",
			Value: bench("./engine/journal", recovery+"events/s"), Least: 1e6},
		{ID: "p9.memory", Target: "P9", What: "memory of an account of 10 rows, a million of them in 2 GB", Unit: "B",
			Value: bench("./positions", "Memory bytes/account"), Most: 2147},
		{ID: "p10.cpu", Target: "P10", What: "CPU of an order, 10,000 × 1 by 1,000 × 1",
			Value: r.Ratio("cpu_us", at(cell10000, Ours), at(cell1000, Ours)), Most: 1.6},
		{ID: "p11.p99", Target: "P11", What: "p99 with 1 % of the clients stalled by that without",
			Value: r.Ratio("p99_ms", stalled(cellStalled), stalled(cellCalm)), Most: 1.2},
	}
}

// nothing is the maximum for targets of zero.
const nothing = 1e-9
