package journal

import (
	"encoding/json"
	"flag"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/papertape/papertape/positions"
)

// The tests of what a disk may do to a journal are short by default. Flags make them thorough:
//
//	go test ./engine/journal -count=1 -v -timeout 120m \
//	    -run '^(TestPowerLoss(OfEngine)?|TestFailingDisk|TestFullDisk|TestTornLog|TestFlipped(Bits|Log))$' \
//	    -args -crashpoints 100000 -flips 10000 -crashseed 1
//
//	-crashpoints   moments at which TestPowerLoss and TestPowerLossOfEngine each lose power
//	-flips         bits that TestFlippedBits flips over all files, and TestFlippedLog in the log
//	-crashseed     their seed; 0: a random one
//
// TestFailingDisk fails every operation of a short run, TestFullDisk fills up the disk within
// every write of one, and TestTornLog tears a small log at every byte. They leave nothing out
// if -crashpoints or -flips is 3000 or more. Each test logs one line for programs:
//
//	torture: {"what":"power loss","points":100000,"seed":1,"found":0,"seen":{"logs":12345}}
var (
	crashPoints = flag.Int("crashpoints", crashPointsDefault, "moments of power loss to try")
	crashSeed   = flag.Uint64("crashseed", 0, "seed of power losses and flipped bits; 0: a new one")
	flips       = flag.Int("flips", flipsDefault, "bits to flip, over all files")
)

// thorough reports whether tests without a flag of their own should leave nothing out.
func thorough() bool { return *crashPoints >= 3000 || *flips >= 3000 }

// counted counts what a test has tried and found. It is safe for concurrent use.
type counted struct {
	tb   testing.TB
	seed uint64

	mu     sync.Mutex
	report struct {
		What   string         `json:"what"`
		Points int            `json:"points"`
		Seed   uint64         `json:"seed"`
		Found  int            `json:"found"` // breaches; each is also an error of the test
		Seen   map[string]int `json:"seen"`
	}
}

// newTally returns the counted of a test, which logs it at its end, whether or not the test has
// failed.
func newTally(tb testing.TB, what string) *counted {
	tb.Helper()
	y := &counted{tb: tb, seed: *crashSeed}
	if y.seed == 0 {
		y.seed = rand.Uint64() >> 1
	}
	y.report.What, y.report.Seed, y.report.Seen = what, y.seed, make(map[string]int)
	tb.Cleanup(func() {
		y.mu.Lock()
		defer y.mu.Unlock()
		line, err := json.Marshal(&y.report)
		if err != nil {
			tb.Error(err)
		}
		tb.Logf("torture: %s", line)
	})
	return y
}

// tried counts faults whose effects have been checked.
func (y *counted) tried(n int) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.report.Points += n
}

// saw counts something that should occur in the test, but may not.
func (y *counted) saw(what string, n int) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.report.Seen[what] += n
}

func (y *counted) seen(what string) int {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.report.Seen[what]
}

// found reports a breach.
func (y *counted) found(format string, args ...any) {
	y.tb.Helper()
	y.mu.Lock()
	y.report.Found++
	y.mu.Unlock()
	y.tb.Errorf("-crashseed %d: "+format, append([]any{y.seed}, args...)...)
}

// mustHaveSeen fails the test if something did not occur.
func (y *counted) mustHaveSeen(whats ...string) {
	y.tb.Helper()
	for _, what := range whats {
		if y.seen(what) == 0 {
			y.tb.Errorf("there were no %s", what)
		}
	}
}

// sawBusts counts the busts and corrections among an account's events.
func (y *counted) sawBusts(events []positions.Event) {
	for i := range events {
		if events[i].Kind != positions.KindBust {
			continue
		}
		b, what := events[i].Bust, "busts"
		if b.Replacement != nil {
			what = "corrections"
		}
		y.saw(what, 1)
		if b.Original.Revision > 0 {
			y.saw(what+" of corrections", 1)
		}
		if len(b.Cascade) > 0 {
			y.saw("cascades", 1)
		}
	}
}
