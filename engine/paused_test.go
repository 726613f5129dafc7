package engine

import (
	"context"
	"errors"
	"time"

	"pgregory.net/rapid"
)

// pausedCheckpoint is a checkpoint that goes on when it is told to: push lets it ask for a slice, pull takes what it gets. In
// between it waits, and the engine is idle as far as it is concerned.
type pausedCheckpoint struct {
	w       *world
	running bool
	stores  chan []AccountState // what it wants to store
	replies chan error          // to let it
	ended   chan error
	mark    uint64
	states  []AccountState // that wait to be stored
}

var errCrash = errors.New("crash")

// push stores what waits, and lets the checkpoint go on; the first begins one.
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

// hasEnded says whether there is no slice to come.
func (p *pausedCheckpoint) hasEnded() bool { return len(p.ended) > 0 }

// pull waits for a slice, or for the end.
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

// giveUp makes the store fail in the middle of what it is given. The next checkpoint then begins anew.
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
