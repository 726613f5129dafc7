package scenario

import (
	"math"
	"testing"

	"github.com/google/pprof/profile"

	"github.com/papertape/papertape/bench/load"
	"github.com/papertape/papertape/bench/measure"
)

// newRecord returns a record with that many answers and that much CPU time.
func newRecord(scenario, cell, contender string, round int, answers uint64, cpu float64) Record {
	return Record{Scenario: scenario, Cell: cell, Contender: contender, Round: round,
		Load: load.Result{Seconds: 2, Answers: answers}, Server: measure.Usage{Seconds: 2, CPUSeconds: cpu}}
}

func figure(t *testing.T, r *Results, id string) Figure {
	t.Helper()
	for _, f := range r.Figures() {
		if f.ID == id {
			return f
		}
	}
	t.Fatalf("there is no figure %s", id)
	return Figure{}
}

// TestRatiosAreMadeWithinRounds has a machine that became three times slower: comparisons
// are made within a round.
func TestRatiosAreMadeWithinRounds(t *testing.T) {
	r := &Results{Records: []Record{
		newRecord("connections", cell1000, Ours.Name, 0, 1000, 0.010), newRecord("connections", cell1000,
			EchoGnet.Name, 0,
			1000, 0.005),
		newRecord("connections", cell1000, Ours.Name, 1, 1000, 0.030), newRecord("connections", cell1000,
			EchoGnet.Name, 1,
			1000, 0.015),
		newRecord("connections", cell1000, Ours.Name, 2, 1000, 0.033), newRecord("connections", cell1000,
			EchoGnet.Name, 2,
			1000, 0.015),
		newRecord("connections", cell1000, Ours.Name, 3, 1000, 0.033), // no gnet in this round
	}}
	f := figure(t, r, "p1.vs_gnet_echo")
	if f.Value.N != 3 || f.Value.Median != 2 || math.Abs(f.Value.High-2.2) > 1e-9 || f.Met() {
		t.Errorf("%+v, met: %v", f.Value, f.Met())
	}
	if f := figure(t, r, "p3.vs_baseline"); f.Value.N != 0 {
		t.Errorf("measured of nothing: %+v", f.Value)
	}
}

func TestSaturationIsTheMostInTime(t *testing.T) {
	r := &Results{}
	for round, rates := range [][]float64{{1e5, 2e5, 4e5}, {1e5, 3e5, 9e5}} {
		for i, rate := range rates {
			held := map[string]float64{"asked": rate, "held": 1}
			if i == 2 {
				held["held"] = 0 // faster, but too late
			}
			r.Records = append(r.Records, Record{Scenario: "push", Cell: cellPush10000, Contender: Ours.Name,
				Round: round,
				Load:  load.Result{Seconds: 2, Events: uint64(2 * rate)}, Values: held})
		}
	}
	if f := figure(t, r, "p4.events"); f.Value.Low != 2e5 || f.Value.High != 3e5 || f.Met() {
		t.Errorf("%+v", f.Value)
	}
	if got := saturation(r.Records[:3]); got != 2e5 {
		t.Errorf("saturated at %v, want 200,000", got)
	}
}

// TestRungs has two rounds of a climb with the same lowest rate, and a cell in which each
// round asks for its own.
func TestRungs(t *testing.T) {
	r := &Results{}
	add := func(cell string, round int, asked, held float64) {
		r.Records = append(r.Records, Record{Scenario: "push", Cell: cell, Contender: Baseline.Name, Round: round,
			Load: load.Result{Seconds: 2, Events: uint64(2 * asked)}, Values: map[string]float64{"asked": asked,
				"held": held}})
	}
	add(cellPush100, 0, 1e5, 1)
	add(cellPush100, 0, 2e5, 1)
	add(cellPush100, 1, 1e5, 1)
	add(cellPush100, 1, 2e5, 0)
	add(cellPush100, 1, 5e4, 1)
	rungs := r.Rungs(cellPush100, Baseline.Name)
	if len(rungs) != 3 {
		t.Fatalf("%d rungs, want 3", len(rungs))
	}
	for i, want := range []struct {
		asked   float64
		held, n int
	}{{5e4, 1, 1}, {1e5, 2, 2}, {2e5, 1, 2}} {
		g := &rungs[i]
		if came := g.Spread("came"); came.Median != want.asked || came.N != want.n || g.Held != want.held || !g.Judged {
			t.Errorf("rung %d: %+v came, in time in %d; want %+v", i, came, g.Held, want)
		}
	}
	if most := r.InTime(cellPush100, Baseline.Name); most.Low != 1e5 || most.High != 2e5 || most.N != 2 {
		t.Errorf("the most in time: %+v", most)
	}
	add(cellPushHalf, 0, 3e5, 1)
	add(cellPushHalf, 1, 4e5, 1)
	if rungs := r.Rungs(cellPushHalf, Baseline.Name); len(rungs) != 1 || rungs[0].Held != 2 ||
		rungs[0].Spread("asked").Median != 3.5e5 {
		t.Errorf("half of saturation: %+v", rungs)
	}
}

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   Spread
	}{{nil, Spread{}}, {[]float64{7}, Spread{7, 7, 7, 1}}, {[]float64{9, 1, 5},
		Spread{5, 1, 9, 3}}, {[]float64{4, 1, 2, 3}, Spread{2.5, 1, 4, 4}}} {
		if got := spreadOf(c.values); got != c.want {
			t.Errorf("%v: %+v, want %+v", c.values, got, c.want)
		}
	}
}

func TestParseBench(t *testing.T) {
	got := parseBench([]byte(`goos: linux
BenchmarkDecideApply10Rows/accounts=1-2         	 2000000	       105.7 ns/op	       0 B/op	       0 allocs/op
BenchmarkRecover/engine-2                       	       1	 912000000 ns/op	   1096000 events/s
PASS
ok  	github.com/papertape/papertape/positions	2.1s
`))
	if len(got) != 5 || got["DecideApply10Rows/accounts=1 ns/op"] != 105.7 ||
		got["Recover/engine events/s"] != 1096000 {
		t.Errorf("%v", got)
	}
}

// TestJudge: worthless records are refused.
func TestJudge(t *testing.T) {
	closed := run{plan: closedLoop(1, 1)}
	for name, c := range map[string]struct {
		m    run
		load load.Result
		idle float64
		ok   bool
	}{
		"good":                     {closed, load.Result{Answers: 1}, 0, true},
		"no answers":               {closed, load.Result{}, 0, false},
		"a stall that was allowed": {run{plan: closedLoop(1, 1), stuck: true}, load.Result{}, 0, true},
		"rejects":                  {closed, load.Result{Answers: 1, Rejects: map[string]uint64{"BUSY": 1}}, 0, false},
		"wrong answers": {closed, load.Result{Answers: 1, Findings: 1, Sentences: []string{"a hole"}}, 0,
			false},
		"a generator at its end": {closed, load.Result{Answers: 1, Busy: 0.99}, 0.3, false},
		"a machine at its end":   {closed, load.Result{Answers: 1, Busy: 0.99}, 0.02, true},
		"a late generator":       {closed, load.Result{Answers: 1, Lagging: "late"}, 0, false},
	} {
		if err := new(Runner).judge(&c.m, &Record{Load: c.load, Idle: c.idle}); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	lenient := &Runner{Lenient: true}
	if err := lenient.judge(&closed, &Record{Load: load.Result{Answers: 1, Lagging: "late"}}); err != nil ||
		len(lenient.notes) != 1 {
		t.Errorf("a lenient runner: %v, and notes %v", err, lenient.notes)
	}
}

// TestShareOf builds a profile of several stacks.
func TestShareOf(t *testing.T) {
	var p profile.Profile
	p.SampleType = []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}}
	for i, name := range []string{"github.com/papertape/papertape/engine/journal.(*Journal).Commit",
		"syscall.Write", "github.com/papertape/papertape/engine.step"} {
		f := &profile.Function{ID: uint64(i + 1), Name: name}
		p.Function = append(p.Function, f)
		p.Location = append(p.Location, &profile.Location{ID: uint64(i + 1), Line: []profile.Line{{Function: f}}})
	}
	p.Sample = []*profile.Sample{
		{Value: []int64{1, 10}, Location: []*profile.Location{p.Location[1], p.Location[0], p.Location[2]}},
		{Value: []int64{3, 30}, Location: []*profile.Location{p.Location[1], p.Location[2]}},
	}
	if got := shareOf(&p, "papertape/engine/journal."); got != 0.25 {
		t.Errorf("%v; want a quarter", got)
	}
	if got := shareOf(&profile.Profile{}, "x"); got != 0 {
		t.Errorf("%v of nothing", got)
	}
}
