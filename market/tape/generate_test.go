package tape

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/papertape/papertape/market"
)

// TestGenerate pins what seeds mean, and checks that a tape can be played: all its lines are
// taken, every update applies, and prices keep to ticks and limits.
func TestGenerate(t *testing.T) {
	for _, c := range []struct {
		kind Kind
		hash string
	}{
		{Trades, "dfcee52f949f9543"},
		{Quotes, "626f56aa9c58b73b"},
		{Bars, "cd139b338bb49857"},
	} {
		o := GenerateOptions{Kind: c.kind, Days: 2, Instruments: 4, Seed: 1}
		tape := generated(t, o)
		hash := sha256.Sum256(tape)
		if got := hex.EncodeToString(hash[:8]); got != c.hash {
			t.Errorf("%s: %s, want %s", c.kind, got, c.hash)
		}
		if !bytes.Equal(tape, generated(t, o)) {
			t.Errorf("%s: one seed, two tapes", c.kind)
		}
		if o.Seed = 2; bytes.Equal(tape, generated(t, o)) {
			t.Errorf("%s: two seeds, one tape", c.kind)
		}
		play(t, tape, c.kind)
	}
}

// play gives a tape to a feed.
func play(t *testing.T, tape []byte, kind Kind) {
	u := market.Default()
	r, err := NewReader(bytes.NewReader(tape), "tape.csv", Options{Universe: u})
	if err != nil {
		t.Fatal(err)
	}
	feed := market.NewFeed(u, market.FeedConfig{})
	outcomes := make([]market.Outcome, u.Len())
	moved := 0
	for {
		at, updates, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		before := feed.Snapshot()
		after := feed.Apply(at, updates, outcomes[:len(updates)])
		for i, up := range updates {
			low, high := after.Limits(up.ID)
			if tick := u.At(up.ID).Tick; outcomes[i] != market.Applied || up.Last%tick != 0 || up.Bid%tick != 0 ||
				up.Ask%tick != 0 ||
				min(after.At(up.ID), after.Bid(up.ID)) < low || after.Ask(up.ID) > high {
				t.Fatalf("%s: %+v is %s; limits %d to %d", kind, up, outcomes[i], low, high)
			}
			if after.At(up.ID) != before.At(up.ID) {
				moved++
			}
		}
	}
	report := r.Report()
	days := time.Duration(report.Last-report.First).Hours() / 24
	if report.RefusedLines() > 0 || report.Kind != kind || moved < 500 || days < 1 || days > 2 {
		t.Errorf("%s; %d moves in %v days", report, moved, days)
	}
}

// TestGenerateErrors checks what cannot be made up.
func TestGenerateErrors(t *testing.T) {
	never := func(string, int, time.Month, int) (opens, closes []int64) { return nil, nil }
	o := GenerateOptions{Universe: market.Default(), Kind: Bars, Days: 1, Date: time.Date(2026, 3, 2, 0, 0, 0, 0,
		time.UTC),
		Sessions: never}
	if err := Generate(io.Discard, o); err == nil || err.Error() != "no market is open within 31 days of 2026-03-02" {
		t.Error(err)
	}
	o.Sessions = weekdays
	if err := Generate(failing{}, o); !errors.Is(err, io.ErrShortWrite) {
		t.Error(err)
	}
}

// failing is a disk that is full.
type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrShortWrite }
