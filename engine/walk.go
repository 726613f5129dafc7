package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/papertape/papertape/positions"
)

const (
	walkEvents = 1024 // events per read from the journal; with fewer, finding the first one dominates
	walksMax   = 4    // concurrent walks; each keeps a processor busy
)

// ErrNotKept says that the requested events of an account are older than the history kept.
var ErrNotKept = errors.New("they are older than the history kept")

// Walk calls visit with the events of an account from sequence from on, in order, up to the newest,
// however many there are. The event is valid only during the call. At most walksMax walks run at a
// time; the next one waits. Errors are the error of ctx, ErrUnknownAccount, ErrNotKept, ErrBusy,
// ErrStopped, and errors of reading the history.
//
// Reading page after page of History would do the same but take ten times as long, since each page
// is located and unpacked again and goes through the drainer. Here only the events that no
// checkpoint has stored yet go that way.
func (e *Engine) Walk(ctx context.Context, account, from uint64, visit func(*positions.Event)) error {
	select {
	case e.walks <- struct{}{}:
		defer func() { <-e.walks }()
	case <-ctx.Done():
		return ctx.Err()
	case <-e.stopping:
		return ErrStopped
	}
	next, err := e.walkStored(ctx, account, from, visit)
	if err == nil {
		err = e.walkRecent(ctx, account, next, visit)
	}
	return err
}

// walkStored visits the events that checkpoints have stored, and returns the sequence after them.
// It reads on the caller's goroutine, without the drainer.
func (e *Engine) walkStored(ctx context.Context, account, next uint64, visit func(*positions.Event)) (uint64, error) {
	if !e.cfg.Journal.Keeps() {
		return next, nil
	}
	events := make([]positions.Event, 0, walkEvents)
	for {
		if err := e.abandoned(ctx); err != nil {
			return next, err
		}
		var err error
		if events, err = e.cfg.Journal.Read(events[:0], account, next, walkEvents); err != nil {
			err = fmt.Errorf("account %d, from event %d: history could not be read: %w", account, next, err)
			return next, errors.Join(e.abandoned(ctx), err)
		}
		for i := range events {
			visit(&events[i])
		}
		next += uint64(len(events))
		if len(events) < walkEvents {
			return next, nil
		}
	}
}

// walkRecent visits the events that only the memory tail has.
func (e *Engine) walkRecent(ctx context.Context, account, next uint64, visit func(*positions.Event)) error {
	for {
		before := next + pageMax
		page, oldest, err := e.History(ctx, account, before, pageMax)
		if err != nil {
			return err
		}
		if next < oldest {
			return fmt.Errorf("events %d to %d of account %d: %w", next, oldest-1, account, ErrNotKept)
		}
		for i := len(page) - 1; i >= 0; i-- {
			if page[i].Seq >= next {
				visit(&page[i])
			}
		}
		if len(page) == 0 || page[0].Seq+1 < before {
			return nil
		}
		next = before
	}
}

// abandoned returns why to stop reading: the caller's context has ended or the engine is stopping.
// Otherwise it returns nil.
func (e *Engine) abandoned(ctx context.Context) error {
	select {
	case <-e.stopping:
		return ErrStopped
	default:
		return ctx.Err()
	}
}
