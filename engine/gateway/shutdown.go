package gateway

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
)

// drain ends all sessions, in the order that the protocol gives.
func (g *Gateway) drain(ctx context.Context) error {
	// Orders are refused first. Queries are still answered, but only for a while: somebody always asks something.
	g.refuse(&g.draining)
	queries, cancelQueries := context.WithTimeout(ctx, g.cfg.ShutdownTimeout/4)
	defer cancelQueries()
	_ = g.engine.Drain(queries)
	g.refuse(&g.closing)
	err := g.engine.Drain(ctx)
	if err == nil {
		err = g.waitFor(ctx, func() bool { return g.outboxBytes.Load() <= 0 })
	}
	// An execution that a replay has not come to yet is still answered. Clients get the last part of the time to read
	// their GOODBYE, and no more.
	var rest time.Duration
	if until, ok := ctx.Deadline(); ok {
		rest = max(0, time.Until(until))
	}
	g.onEachLoop(func(l *loop) {
		l.tellTime()
		until := l.now + toMillis(rest)
		l.wheel.each(func(s *Session) {
			l.closeAfterAnswers(s, papertapev1.GoodbyeReason_GOODBYE_REASON_SHUTDOWN, stoppingText, until)
		})
	})
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*(rest+lingerFor))
	defer cancel()
	_ = g.waitFor(last, func() bool { return g.open.Load() == 0 }) // Stop closes those that are left
	if errors.Is(err, errOutboxes) {
		return nil // clients that did not read got as much as their sockets took, and will resume
	}
	return err
}

// refuse closes a gate, and returns when no loop is still handling a read that found the gate open.
func (g *Gateway) refuse(gate *atomic.Bool) {
	gate.Store(true)
	g.onEachLoop(func(*loop) {})
}

const stoppingText = "the server is stopping: come back later and resume"

var errOutboxes = errors.New("some clients did not read what was waiting for them")

// waitFor polls until done, for half of the time that is left. It polls because a drain is over in milliseconds, or
// ends at its deadline.
func (g *Gateway) waitFor(ctx context.Context, done func() bool) error {
	limit := time.Duration(1<<62 - 1)
	if d, ok := ctx.Deadline(); ok {
		limit = time.Until(d) / 2
	}
	for end := time.Now().Add(limit); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return errOutboxes
		}
	}
	return nil
}
