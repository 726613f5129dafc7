package engine

import (
	"context"
	"slices"
	"sync/atomic"
	"time"
)

// Settle waits until every request and every item that was submitted before the call has been decided,
// committed and answered. Unlike Drain it allows that others submit meanwhile, and does not wait for what
// they submit; nor does it wait for reads of history. If nothing is under way it takes well below a
// microsecond.
func (e *Engine) Settle(ctx context.Context) error {
	var w *settling
	for _, s := range e.shards {
		w = s.settle(w)
	}
	if w == nil {
		return nil
	}
	w.leave() // the call itself
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// settling is a call of Settle that waits.
type settling struct {
	left atomic.Int32  // shards that it waits for, and the call itself as long as it still looks at shards
	done chan struct{} // closed when none is left
}

func (w *settling) leave() {
	if w.left.Add(-1) == 0 {
		close(w.done)
	}
}

// settler is a settling that waits for a shard.
type settler struct {
	w     *settling
	takes uint64 // once the drainer has looked into the mailbox so often, the shard has settled
}

// settle has w wait for the shard, unless it rests. w is made if it is nil and needed.
func (s *shard) settle(w *settling) *settling {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.armed {
		return w
	}
	if w == nil {
		w = &settling{done: make(chan struct{})}
		w.left.Store(1)
	}
	w.left.Add(1)
	// The next look takes all that waits in the mailbox, and the one after it comes when that is done.
	s.settlers = append(s.settlers, settler{w, s.takes + 2})
	return w
}

// settled tells the calls of Settle whose requests are done. mu must be held.
func (s *shard) settled(resting bool) {
	s.settlers = slices.DeleteFunc(s.settlers, func(one settler) bool {
		done := resting || one.takes <= s.takes
		if done {
			one.w.leave()
		}
		return done
	})
}

const (
	deliveryMax      = 1024 // requests that Deliver submits at a time, at most
	deliveryRecord   = 256  // bytes that an event of a delivered request takes, at most
	deliveryInterval = time.Millisecond
)

// Deliver is Submit for a caller that can wait. It submits all requests, which must be of accounts of one
// shard, some at a time. It waits while the inbox is full, while half of the events that may be without
// a checkpoint are, and while orders are refused by Config.ReadOnly. So none is refused for the lack of
// room, unless others submit as much at the same time. The error is ErrStopped or that of ctx.
func (e *Engine) Deliver(ctx context.Context, account uint64, requests []Request) error {
	s := e.shardOf(account)
	for len(requests) > 0 {
		if err := s.awaitRoom(ctx); err != nil {
			return err
		}
		n := s.submit(requests[:min(len(requests), s.deliveryMax())])
		if requests = requests[n:]; len(requests) == 0 {
			return nil
		}
		if err := e.Settle(ctx); err != nil {
			return err
		}
	}
	return nil
}

// AwaitRoom waits until the shard of an account has room for events as Deliver does, for a caller of Bust
// or Book that would rather wait than be refused.
func (e *Engine) AwaitRoom(ctx context.Context, account uint64) error {
	return e.shardOf(account).awaitRoom(ctx)
}

// deliveryMax returns how many requests fit what awaitRoom leaves.
func (s *shard) deliveryMax() int {
	if !s.keeps {
		return deliveryMax
	}
	return int(max(1, min(deliveryMax, s.unstoredMax/2/deliveryRecord)))
}

// awaitRoom asks again and again: what it waits for is a checkpoint, or an operator who makes room on the
// disk. It requests that checkpoint itself: a step that ended during the one before has not, and while all
// wait there may be no other step.
func (s *shard) awaitRoom(ctx context.Context) error {
	for {
		if err := s.eng.abandoned(ctx); err != nil || s.hasRoom() {
			return err
		}
		if s.keeps && !s.eng.checkpointUnderway.Load() {
			s.eng.requestCheckpoint()
		}
		select {
		case <-time.After(deliveryInterval):
		case <-ctx.Done():
		}
	}
}

func (s *shard) hasRoom() bool {
	if s.eng.cfg.ReadOnly != nil && s.eng.cfg.ReadOnly() {
		return false
	}
	return !s.keeps || 2*s.stats.unstored.Load() < s.unstoredMax
}
