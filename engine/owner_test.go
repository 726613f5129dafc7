package engine

import (
	"strings"
	"testing"

	"github.com/papertape/papertape/engine/owner"
)

// TestWrongGoroutine: only the drainer may touch what it owns, whether or not it is running, and
// whoever passed on a slice of a checkpoint may not touch it.
func TestWrongGoroutine(t *testing.T) {
	if !owner.Checked {
		t.Skip("built without the tag ownercheck")
	}
	w := newWorld(t, options{}, alice)
	s := w.eng.shardOf(alice)
	touches := map[string]func(){
		"find":         func() { s.find(alice) },
		"appendToTail": func() { s.appendToTail(nil, 0, nil) },
		"runStep":      func() { s.runStep(nil, nil) },
		"publish":      func() { s.publish(new(action)) },
		"decide":       func() { s.decide(nil, nil) },
		"snapshot":     func() { s.snapshot(alice) },
		"copySlice":    func() { s.copySlice(new(slice)) },
	}
	for name, touch := range touches {
		if said := panicOf(touch); !strings.Contains(said, "touches") {
			t.Errorf("%s, while no drainer runs: %q", name, said)
		}
	}
	release := w.journal.holdCommits()
	defer release()
	w.trade1(alice)
	w.until("the commit", w.committing)
	for name, touch := range touches {
		if said := panicOf(touch); !strings.Contains(said, "touches") {
			t.Errorf("%s, while a drainer commits: %q", name, said)
		}
	}
	if said := panicOf(func() { _ = w.eng.Replay(&w.journal.pending[0][0], nil) }); !strings.Contains(said, "takes") {
		t.Errorf("Replay, while a drainer commits: %q", said)
	}
	release()
	w.settle()

	var sl slice
	if said := panicOf(func() { sl.states() }); !strings.Contains(said, "touches") {
		t.Errorf("a slice that was handed over: %q", said)
	}
}

// panicOf returns the text that f panics with.
func panicOf(f func()) (said string) {
	defer func() {
		if p := recover(); p != nil {
			said, _ = p.(string)
		}
	}()
	f()
	return ""
}
