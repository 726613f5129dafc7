package load_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/bench/load"
	"github.com/papertape/papertape/codec"
)

// asGenerator makes this program run as a generator in a process of its own.
const asGenerator = "PAPERTAPE_BENCH_TEST_GENERATOR"

func TestMain(m *testing.M) {
	if os.Getenv(asGenerator) != "" {
		if err := load.Serve(context.Background(), os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) // ants creates a pool when it is loaded
}

// window runs a load until at least n requests were answered in a window, or there was a
// finding.
func window(t *testing.T, p load.Plan, n uint64) load.Result {
	t.Helper()
	g, err := load.Open(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if err := g.Begin(); err != nil {
		t.Fatal(err)
	}
	if err := g.Start(); err != nil {
		t.Fatal(err)
	}
	var all load.Result
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
		r, err := g.End()
		if err != nil {
			t.Fatal(err)
		}
		r.Answers, r.Requests = r.Answers+all.Answers, r.Requests+all.Requests
		r.Executions += all.Executions
		r.Findings, r.Sentences = r.Findings+all.Findings, append(all.Sentences, r.Sentences...)
		if all = r; r.Answers >= n || r.Findings > 0 {
			return all
		}
	}
	t.Fatalf("30 seconds, and no more than %+v", all)
	return all
}

func closedLoop(addr string, connections, outstanding int) load.Plan {
	return load.Plan{Address: addr, Connections: connections, Accounts: connections, Mode: load.ClosedLoop,
		Outstanding: outstanding}
}

func TestClosedLoop(t *testing.T) {
	s := newScript(t, nil)
	p := closedLoop(s.addr(), 10, 4)
	p.Threads, p.Sources, p.Queries = 2, 3, 0.2
	r := window(t, p, 500)
	if r.Findings != 0 {
		t.Errorf("a server without a fault: %v", r.Sentences)
	}
	if under := r.Requests - r.Answers; under != 40 {
		t.Errorf("%d requests are under way, want 10 connections × 4", under)
	}
	if r.Executions == 0 || r.Executions == r.Answers {
		t.Errorf("%d executions of %d answers, want orders and queries", r.Executions, r.Answers)
	}
}

func TestOpenLoopAndThink(t *testing.T) {
	s := newScript(t, nil)
	for _, p := range []load.Plan{
		{Mode: load.OpenLoop, Rate: 2000},
		{Mode: load.Think, ThinkLow: time.Millisecond, ThinkHigh: 4 * time.Millisecond, Queries: 1.0 / 3},
	} {
		p.Address, p.Connections, p.Accounts = s.addr(), 8, 8
		if r := window(t, p, 100); r.Findings != 0 || r.Lag.Count == 0 {
			t.Errorf("%s: %v; the lag of %d requests was noted", p.Mode, r.Sentences, r.Lag.Count)
		}
	}
}

// TestFindings gives the generator wrong answers, and each must be found.
func TestFindings(t *testing.T) {
	for name, c := range map[string]struct {
		fault fault
		says  string
	}{
		"a hole": {func(n int, _ codec.Type, _ *uint64, ev *papertapev1.AccountEvent) bool {
			if n > 5 {
				ev.Seq++
			}
			return true
		}, "the next one here is"},
		"somebody else's account": {func(n int, _ codec.Type, _ *uint64, ev *papertapev1.AccountEvent) bool {
			if n == 5 {
				ev.Account++
			}
			return true
		}, "of account"},
		"shares that do not add up": {func(n int, _ codec.Type, _ *uint64, ev *papertapev1.AccountEvent) bool {
			if n == 5 {
				ev.Positions[0].Quantity += 100
			}
			return true
		}, "became"},
		"an answer that nobody waits for": {func(n int, _ codec.Type, id *uint64, _ *papertapev1.AccountEvent) bool {
			if n == 5 {
				*id += 1000
			}
			return true
		}, "waits for one"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t, c.fault)
			r := window(t, closedLoop(s.addr(), 2, 2), 1000)
			if r.Err() == nil || !strings.Contains(r.Sentences[0], c.says) {
				t.Errorf("it says %v, want a sentence with %q", r.Sentences, c.says)
			}
		})
	}
}

// TestLatencyFromIntendedTime: when the server does not answer for a while, an open loop
// includes that in the latency of all requests that were due meanwhile, not only of the one
// that waited.
func TestLatencyFromIntendedTime(t *testing.T) {
	const pause = 300 * time.Millisecond
	s := newScript(t, func(n int, _ codec.Type, _ *uint64, _ *papertapev1.AccountEvent) bool {
		if n == 1 {
			time.Sleep(pause)
		}
		return true
	})
	g, err := load.Open(t.Context(), load.Plan{Address: s.addr(), Connections: 1, Accounts: 1, Mode: load.OpenLoop,
		Rate: 1000})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if err := g.Begin(); err != nil {
		t.Fatal(err)
	}
	if err := g.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(4 * pause)
	r, err := g.End()
	if err != nil {
		t.Fatal(err)
	}
	if all := r.Latency["all"]; all.Max < 290 || all.Count < 200 || all.P99 < 100 {
		t.Errorf("of %d requests the longest took %.0f ms and one in a hundred over %.1f ms; 300 of 1200 were due "+
			"while the server slept for 300 ms",
			all.Count, all.Max, all.P99)
	}
}

func TestLoginRefused(t *testing.T) {
	ln := newScript(t, nil)
	_ = ln.listener.Close()
	if _, err := load.Open(t.Context(), closedLoop(ln.addr(), 2, 1)); err == nil ||
		!strings.Contains(err.Error(), "connect") {
		t.Errorf("nobody listens: %v", err)
	}
}

func TestFleet(t *testing.T) {
	t.Setenv(asGenerator, "1")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := newScript(t, nil)
	f, err := load.OpenFleet(t.Context(), []string{self}, 2, closedLoop(s.addr(), 11, 1))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := f.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); ; {
		time.Sleep(20 * time.Millisecond)
		r, err := f.End(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if r.Connections != 11 || r.Err() != nil {
			t.Fatalf("%d connections, and %v", r.Connections, r.Err())
		}
		if all := r.Latency["all"]; r.Answers > 0 && uint64(all.Count) == r.Answers && all.P50 > 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("30 seconds, and no more than %+v", r)
		}
	}
}

func TestPlanIsChecked(t *testing.T) {
	for _, p := range []load.Plan{
		{}, {Connections: 1, Accounts: 1}, {Connections: 1, Accounts: 1, Mode: load.ClosedLoop},
		{Connections: 1, Accounts: 1, Mode: load.OpenLoop},
		{Connections: 1, Accounts: 1, Mode: load.Receive, Stalled: 1},
		{Connections: 1, Accounts: 1, Mode: load.Think, ThinkLow: 2, ThinkHigh: 1},
		{Connections: 1, Accounts: 1, Mode: load.Receive, Echo: true},
	} {
		if g, err := load.Open(t.Context(), p); err == nil {
			g.Close()
			t.Errorf("%+v was taken", p)
		}
	}
}

func TestProcesses(t *testing.T) {
	for _, c := range []struct {
		connections int
		files       uint64
		want        int
	}{{1, 1024, 1}, {19_500, 20_000, 1}, {19_501, 20_000, 2}, {100_000, 20_000, 6}, {10, 100, 10}} {
		if got := load.Processes(c.connections, c.files); got != c.want {
			t.Errorf("%d connections with %d files: %d processes, want %d", c.connections, c.files, got, c.want)
		}
	}
}
