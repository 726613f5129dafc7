package journal

import (
	"encoding/json"
	"flag"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/papertape/papertape/positions"
)

// The tests of what a disk may do are short by themselves, and take the whole of it by flags:
//
//	go test ./engine/journal -count=1 -v -timeout 120m \
//	    -run '^(TestPowerLoss|TestPowerLossOfEngine|TestFailingDisk|TestFullDisk|TestTornLog|TestFlippedBits|TestFlippedLog)$' \
//	    -args -crashpoints 100000 -flips 10000 -crashseed 1
//
//	-crashpoints   moments at which TestPowerLoss and TestPowerLossOfEngine lose power, each of them
//	-flips         bits that TestFlippedBits flips over all files, and TestFlippedLog in the log
//	-crashseed     of all of them; 0: a new one
//
// TestFailingDisk fails every operation of a short run, TestFullDisk fills the disk up within every write of one, TestTornLog tears
// a small log at every byte: with 3000 of the others or more, they leave nothing out. Each test logs one line for programs:
//
//	torture: {"what":"power loss","points":100000,"seed":1,"found":0,"seen":{"logs":12345}}
var (
	crashPoints = flag.Int("crashpoints", 120, "moments of power loss to try")
	crashSeed   = flag.Uint64("crashseed", 0, "seed of power losses and flipped bits; 0: a new one")
	flips       = flag.Int("flips", 150, "bits to flip, over all files")
)

// thorough says that a test without a flag of its own should take its time too.
func thorough() bool { return *crashPoints >= 3000 || *flips >= 3000 }

// tally is what a test has tried, and what it has found. Any goroutine may use it.
type tally struct {
	tb   testing.TB
	seed uint64

	mu sync.Mutex
	of struct {
		What   string         `json:"what"`
		Points int            `json:"points"`
		Seed   uint64         `json:"seed"`
		Found  int            `json:"found"` // each is an error of the test, too
		Seen   map[string]int `json:"seen"`
	}
}

// newTally is of one test, which logs it at its end, failed or not.
func newTally(tb testing.TB, what string) *tally {
	tb.Helper()
	y := &tally{tb: tb, seed: *crashSeed}
	if y.seed == 0 {
		y.seed = rand.Uint64() >> 1
	}
	y.of.What, y.of.Seed, y.of.Seen = what, y.seed, make(map[string]int)
	tb.Cleanup(func() {
		y.mu.Lock()
		defer y.mu.Unlock()
		line, err := json.Marshal(&y.of)
		if err != nil {
			tb.Error(err)
		}
		tb.Logf("torture: %s", line)
	})
	return y
}

// tried counts a fault that was tried, and is through.
func (y *tally) tried(n int) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.of.Points += n
}

// saw counts something that should come up, and perhaps does not.
func (y *tally) saw(what string, n int) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.of.Seen[what] += n
}

func (y *tally) seen(what string) int {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.of.Seen[what]
}

// found is a breach.
func (y *tally) found(format string, args ...any) {
	y.tb.Helper()
	y.mu.Lock()
	y.of.Found++
	y.mu.Unlock()
	y.tb.Errorf("-crashseed %d: "+format, append([]any{y.seed}, args...)...)
}

// must is for what should have come up.
func (y *tally) must(whats ...string) {
	y.tb.Helper()
	for _, what := range whats {
		if y.seen(what) == 0 {
			y.tb.Errorf("there were no %s", what)
		}
	}
}

// sawBusts counts those among events of an account.
func (y *tally) sawBusts(events []positions.Event) {
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
