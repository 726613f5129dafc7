package scenario

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/papertape/papertape/bench/load"
)

// programs are built when the first test needs one.
var programs = struct{ papertape, bench func() string }{once("papertape", "../..", "./cmd/papertape"),
	once("papertape-bench", "..", ".")}

// built is the directory of the built programs.
var built string

func TestMain(m *testing.M) {
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "papertape-bench-test-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // of no use any more
	built = dir
	before := goleak.IgnoreCurrent()
	if code := m.Run(); code != 0 {
		return code
	}
	if err := goleak.Find(before); err != nil {
		println(err.Error())
		return 1
	}
	return 0
}

func once(name, dir, of string) func() string {
	return sync.OnceValue(func() string {
		program := filepath.Join(built, name)
		cmd := exec.Command("go", "build", "-o", program, of)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			panic(string(out))
		}
		return program
	})
}

// TestLoadOnServers runs the generator against our server and the old design: no answer may
// be wrong.
func TestLoadOnServers(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	for _, c := range []Contender{Ours, BaselineCoalescing} {
		t.Run(c.Name, func(t *testing.T) { testLoad(t, c) })
	}
}

func testLoad(t *testing.T, c Contender) {
	s, err := Programs{Papertape: programs.papertape(), Bench: programs.bench()}.Start(t.Context(), c, 50)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	for name, p := range map[string]load.Plan{
		"closed":          {Mode: load.ClosedLoop, Outstanding: 1, Queries: 0.3},
		"pipelined":       {Mode: load.ClosedLoop, Outstanding: 32, Queries: 0.1},
		"shared accounts": {Mode: load.ClosedLoop, Outstanding: 4, Connections: 80},
		"open":            {Mode: load.OpenLoop, Rate: 5000, Queries: 0.1},
		"think": {Mode: load.Think, ThinkLow: time.Millisecond, ThinkHigh: 50 * time.Millisecond,
			Queries: 0.3},
		"stalled and quoted": {Mode: load.ClosedLoop, Outstanding: 2, Connections: 55, Stalled: 5,
			Quotes: c.Kind == papertape},
	} {
		t.Run(name, func(t *testing.T) {
			p.Address, p.Accounts, p.Sources = s.Listen, 50, 4
			if p.Connections == 0 {
				p.Connections = 50
			}
			r := answered(t, p, 200)
			if err := r.Err(); r.Findings > 0 {
				t.Errorf("%v", err)
			}
			if p.Connections > p.Accounts && p.Stalled == 0 && r.Events == 0 {
				t.Error("accounts have several clients, and no event was pushed to any")
			}
			if len(r.Rejects) > 0 {
				t.Errorf("rejects: %v", r.Rejects)
			}
		})
	}
}

// answered runs the load until a window has that many answers.
func answered(t *testing.T, p load.Plan, n uint64) load.Result {
	t.Helper()
	g, err := load.Open(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if err := g.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); ; {
		r, err := g.Measure(t.Context(), 200*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		if r.Answers >= n || r.Findings > 0 {
			return r
		}
		if time.Now().After(end) {
			t.Fatalf("30 seconds, and no window with more than %+v", r)
		}
	}
}
