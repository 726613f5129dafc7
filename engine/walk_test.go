package engine

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/papertape/papertape/positions"
)

// walked walks through alice's events, compares them with what was committed, and returns how many
// there were.
func (w *world) walked(from uint64) (n int, err error) {
	w.t.Helper()
	w.journal.set(func() { w.journal.walked = true })
	committed := w.journal.events(alice)
	next := from
	err = w.eng.Walk(context.Background(), alice, from, func(ev *positions.Event) {
		if ev.Seq != next || !reflect.DeepEqual(*ev, committed[next-1]) {
			w.t.Errorf("from %d: event %d is %+v, want %d", from, next, *ev, next)
		}
		next++
	})
	return int(next - from), err
}

// TestWalk: each event is visited once, in order, whether a checkpoint has stored it, the tail has
// it, or both.
func TestWalk(t *testing.T) {
	w := newWorld(t, options{keeps: true, tail: 150}, alice)
	w.trade(alice, 2*walkEvents)
	for range 2*pageMax + 31 { // not checkpointed
		w.eng.Submit(alice, []Request{{Kind: KindOrder, Account: alice, Order: orderOf(positions.Buy, ten, 1)}})
	}
	w.settle()
	head := uint64(2*walkEvents + 1 + 2*pageMax + 31)
	for _, from := range []uint64{1, 2, walkEvents + 1, walkEvents + 2, 2*walkEvents + 1, 2*walkEvents + 2,
		head - pageMax, head - pageMax + 1, head, head + 1} {
		if n, err := w.walked(from); err != nil || n != int(head+1-from) {
			t.Errorf("from %d: %d events, %v; want %d", from, n, err, head+1-from)
		}
	}
}

// TestWalkOfMemory: if nothing but the tail is kept, a walk that starts before it fails with
// ErrNotKept instead of skipping events.
func TestWalkOfMemory(t *testing.T) {
	w := newWorld(t, options{tail: 250}, alice)
	w.trade(alice, 399) // 151 to 400 are kept
	for _, from := range []uint64{151, 300, 301, 400, 401} {
		if n, err := w.walked(from); err != nil || n != int(401-from) {
			t.Errorf("from %d: %d events, %v; want %d", from, n, err, 401-from)
		}
	}
	n, err := w.walked(150)
	if want := "events 150 to 150 of account 100100: they are older than the history kept"; !errors.Is(err,
		ErrNotKept) || err.Error() != want || n != 0 {
		t.Errorf("from 150: %d events, %v; want %s", n, err, want)
	}
}

func TestWalkErrors(t *testing.T) {
	w := newWorld(t, options{keeps: true, tail: 10}, alice)
	w.trade(alice, walkEvents+20)
	w.journal.set(func() { w.journal.walked = true })
	ignore := func(*positions.Event) {}
	if err := w.eng.Walk(t.Context(), 4711, 1, ignore); !errors.Is(err, ErrUnknownAccount) {
		t.Errorf("of no account: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	seen := 0
	err := w.eng.Walk(ctx, alice, 1, func(*positions.Event) { seen++; cancel() })
	if !errors.Is(err, context.Canceled) || seen != walkEvents {
		t.Errorf("nobody waits any more: %v after %d events, want %d", err, seen, walkEvents)
	}
	gone := errors.New("the disk is gone")
	w.journal.set(func() { w.journal.readErr = gone })
	if err := w.eng.Walk(t.Context(), alice, 1, ignore); !errors.Is(err, gone) {
		t.Errorf("a disk that fails: %v", err)
	}
	w.journal.set(func() { w.journal.readErr = nil })
	w.eng.Stop()
	if err := w.eng.Walk(t.Context(), alice, 1, ignore); !errors.Is(err, ErrStopped) {
		t.Errorf("an engine that has stopped: %v", err)
	}
}

// TestWalksMax: a walk beyond the maximum waits, as long as its context lets it, and starts when
// another one has ended.
func TestWalksMax(t *testing.T) {
	w := newWorld(t, options{keeps: true, tail: 2}, alice)
	w.trade(alice, 9)
	w.journal.set(func() { w.journal.walked = true })
	release := w.journal.holdReads()
	defer release()
	ended := make(chan error)
	for range walksMax {
		go func() { ended <- w.eng.Walk(context.Background(), alice, 1, func(*positions.Event) {}) }()
	}
	w.until("as many walks as there may be", func() bool { return w.readersReading() == walksMax })
	ctx, cancel := context.WithCancel(t.Context())
	go func() { ended <- w.eng.Walk(ctx, alice, 1, func(*positions.Event) {}) }()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("one more walk: %v, want it to wait for its context", err)
	}
	release()
	for range walksMax {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if n, err := w.walked(1); err != nil || n != 10 {
		t.Errorf("after them: %d events, %v", n, err)
	}
}
