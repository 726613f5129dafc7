package engine

import (
	"context"
	"errors"
	"time"

	"pgregory.net/rapid"
)

// pausedCheckpoint is a checkpoint that advances one slice at a time: push lets it request a slice,
// pull receives the slice. In between it waits, and keeps the engine idle.
type pausedCheckpoint struct {
	w       *world
	running bool
	stores  chan []AccountState // slices that it wants to store
	replies chan error          // results of storing them
	ended   chan error
	mark    uint64
	states  []AccountState // the slice that waits to be stored
}

var errCrash = errors.New("crash")

// push stores the waiting slice and lets the checkpoint continue. The first call starts a
// checkpoint.
func (p *pausedCheckpoint) push() {
	if p.running {
		_ = p.w.journal.store(p.states)
		p.replies <- nil
		return
	}
	p.running = true
	p.stores, p.replies, p.ended = make(chan []AccountState), make(chan error), make(chan error, 1)
	go func() { // ends with the checkpoint
		mark, err := p.w.eng.Checkpoint(context.Background(), func(states []AccountState) error {
			p.stores <- states
			return <-p.replies
		})
		p.mark = mark
		p.ended <- err
	}()
}

// hasEnded reports whether no further slice will come.
func (p *pausedCheckpoint) hasEnded() bool { return len(p.ended) > 0 }

// pull waits for the next slice, or for the end of the checkpoint.
func (p *pausedCheckpoint) pull() (mark uint64, ended bool) {
	p.w.t.Helper()
	select {
	case p.states = <-p.stores:
	case err := <-p.ended:
		if err != nil {
			p.w.t.Fatalf("Checkpoint: %v", err)
		}
		mark, ended, p.running = p.mark, true, false
	case <-time.After(patience):
		p.w.t.Fatalf("a checkpoint does not go on")
	}
	p.w.settle()
	return mark, ended
}

// giveUp makes the store fail after part of a slice, so that the checkpoint fails and the next one
// starts again.
func (p *pausedCheckpoint) giveUp(t *rapid.T) {
	if !p.running {
		return
	}
	_ = p.w.journal.store(p.states[:rapid.IntRange(0, len(p.states)).Draw(t, "accounts stored")])
	p.replies <- errCrash
	if err := <-p.ended; !errors.Is(err, errCrash) {
		p.w.t.Fatalf("Checkpoint: %v", err)
	}
	p.running = false
}
