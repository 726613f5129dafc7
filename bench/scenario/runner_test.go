package scenario

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tiny is a size at which no measurement is meaningful.
func tiny(t *testing.T) *Runner {
	return &Runner{
		Programs: Programs{Papertape: programs.papertape(), Bench: programs.bench()}, Out: t.TempDir(), Lenient: true,
		Size: Size{Name: "tiny", Rounds: 1, Warm: 20 * time.Millisecond, Window: 100 * time.Millisecond}, files: 2000,
	}
}

// TestRun measures something of each kind with the real servers, and checks the files.
func TestRun(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	r := tiny(t)
	var said []string
	r.Progress = func(_, _ time.Duration, what string) { said = append(said, what) }
	results, err := r.Run(t.Context(), "pipelined")
	if err != nil {
		t.Fatal(err)
	}
	if len(results.Failures) > 0 {
		t.Fatalf("%v", results.Failures)
	}
	for _, id := range []string{"p3.orders", "p3.vs_baseline", "p3.vs_coalescing", "p7.order_allocs"} {
		if f := figure(t, results, id); f.Value.N != 1 || f.Value.Median <= 0 {
			t.Errorf("%s: %+v", id, f.Value)
		}
	}
	read, err := Load(r.Out)
	if err != nil || len(read.Records) != 3 || len(said) != 3 {
		t.Fatalf("%d records in results.json, %d steps: %v", len(read.Records), len(said), err)
	}
	if d := read.Latency("pipelined", cellPipeline, Ours.Name, "all"); uint64(d.Count) != read.Records[0].Load.Answers {
		t.Errorf("%d latencies of %d answers survive being JSON", d.Count, read.Records[0].Load.Answers)
	}
	if _, err := os.Stat(filepath.Join(r.Out, "raw", "pipelined.json")); err != nil {
		t.Error(err)
	}
}

// TestPushAndIdle tests the measurements that are not a closed loop.
func TestPushAndIdle(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	r := tiny(t)
	b, err := r.openPush(t.Context(), Ours, 20, 2000)
	if err != nil {
		t.Fatal(err)
	}
	record, err := r.measurePush(t.Context(), b, 2000, "events to 20", 0)
	b.close()
	if err != nil || record.Load.Events == 0 || record.Load.Findings > 0 {
		t.Errorf("%d events, %v, %v", record.Load.Events, record.Load.Sentences, err)
	}
	idle, err := r.measureIdle(t.Context(), Ours, 0, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if v := idle.Values; v["connections"] != 500 || v["goroutines"] > 0.1 || v["kernel_bytes"] == 0 ||
		idle.Load.Events == 0 {
		t.Errorf("%v, and %d events trickled", v, idle.Load.Events)
	}
}

func TestChoose(t *testing.T) {
	chosen, err := choose([]string{"push", "document"})
	if err != nil || len(chosen) != 2 || chosen[0].name != "document" {
		t.Errorf("%v, %v", chosen, err)
	}
	if _, err := choose([]string{"nothing"}); err == nil || !strings.Contains(err.Error(), "pipelined") {
		t.Errorf("%v", err)
	}
}

// TestFailureIsNoEnd has a step that always fails, and another after it.
func TestFailureIsNoEnd(t *testing.T) {
	r := &Runner{Programs: Programs{Papertape: "/nowhere", Bench: "/nowhere"}, Size: Size{Rounds: 1}}
	steps := r.interleave("x", cell{name: "a", plan: closedLoop(1, 1), contenders: []Contender{Ours}})
	records, err := r.runAll(t.Context(), steps)
	if err != nil || len(records) != 0 || len(r.failures) != 1 || len(r.notes) != tries {
		t.Errorf("%v, %v; failures %v, notes %v", records, err, r.failures, r.notes)
	}
}
