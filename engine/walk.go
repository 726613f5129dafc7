package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/papertape/papertape/positions"
)

const (
	walkEvents = 1024 // events read from the journal at a time; with fewer the time goes into finding the first of them
	walksMax   = 4    // walks under way; each keeps a processor busy
)

// ErrNotKept says that events of an account were asked for which are older than the history kept.
var ErrNotKept = errors.New("they are older than the history kept")

// Walk gives see the events of an account from a sequence on, in order, up to the newest, however many they are. What
// see is given is overwritten after it returns. At most walksMax walks are under way; the next one waits. Errors are
// that of ctx, ErrUnknownAccount, ErrNotKept, ErrBusy, ErrStopped, and those of reading the history.
//
// A page of history asked for again and again would do the same, and takes ten times as long: each is found and
// unpacked anew, and goes through the drainer. Here only what no checkpoint has stored yet goes that way.
func (e *Engine) Walk(ctx context.Context, account, from uint64, see func(*positions.Event)) error {
	select {
	case e.walks <- struct{}{}:
		defer func() { <-e.walks }()
	case <-ctx.Done():
		return ctx.Err()
	case <-e.stopping:
		return ErrStopped
	}
	next, err := e.walkStored(ctx, account, from, see)
	if err == nil {
		err = e.walkRecent(ctx, account, next, see)
	}
	return err
}

// walkStored goes through what checkpoints have stored, and returns the sequence after it. The caller reads: it is as
// good a goroutine as a reader's, and the drainer has no part in it.
func (e *Engine) walkStored(ctx context.Context, account, next uint64, see func(*positions.Event)) (uint64, error) {
	if !e.cfg.Journal.Keeps() {
		return next, nil
	}
	events := make([]positions.Event, 0, walkEvents)
	for {
		if err := e.given(ctx); err != nil {
			return next, err
		}
		var err error
		if events, err = e.cfg.Journal.Read(events[:0], account, next, walkEvents); err != nil {
			err = fmt.Errorf("account %d, from event %d: history could not be read: %w", account, next, err)
			return next, errors.Join(e.given(ctx), err)
		}
		for i := range events {
			see(&events[i])
		}
		next += uint64(len(events))
		if len(events) < walkEvents {
			return next, nil
		}
	}
}

// walkRecent goes on with what the memory tail has.
func (e *Engine) walkRecent(ctx context.Context, account, next uint64, see func(*positions.Event)) error {
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
				see(&page[i])
			}
		}
		if len(page) == 0 || page[0].Seq+1 < before {
			return nil
		}
		next = before
	}
}

// given says why work may end: nobody waits for it any more.
func (e *Engine) given(ctx context.Context) error {
	select {
	case <-e.stopping:
		return ErrStopped
	default:
		return ctx.Err()
	}
}
