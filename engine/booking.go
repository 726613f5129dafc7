package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/papertape/papertape/positions"
)

// BookingReason says why a booking was refused.
type BookingReason uint8

// The reasons.
const (
	BookingMalformed BookingReason = iota + 1
	BookingUnknownAccount
	BookingIDReused       // the id belongs to an event that did something else
	BookingCashGone       // the account has less than is withdrawn
	BookingTooLarge       // a total would not fit
	BookingOpeningNotKept // nobody knows any more with what cash the account was opened
)

// BookingRefusedError says why a deposit, a withdrawal or a reset was refused. Nothing has changed.
type BookingRefusedError struct {
	Reason BookingReason
	text   string
}

// Error returns a sentence that says what was wrong and what would be right.
func (e *BookingRefusedError) Error() string { return e.text }

// Book carries out a deposit, a withdrawal or a reset, and returns its event once it is durable. If
// repeated is set, the same request was carried out before under this id, by the event ev. A refusal
// is a *BookingRefusedError. Other errors are ErrReadOnly, ErrBusy, ErrStopped, the error of ctx, and
// errors of reading the history. After an error nothing has changed, except that a request may still
// be carried out after ctx has ended; asking again under the same id tells.
//
// To know an id, the account's history is read, as far as it is kept. Requests of operators about an
// account, busts included, are worked on one at a time.
func (e *Engine) Book(ctx context.Context, r *positions.BookingRequest) (ev positions.Event, repeated bool, err error) {
	if err := r.Check(); err != nil {
		return ev, false, &BookingRefusedError{BookingMalformed, err.Error()}
	}
	if err := e.busts.acquire(ctx, e.stopping, r.Account); err != nil {
		return ev, false, err
	}
	earlier, err := e.findBooking(ctx, r)
	if err != nil || earlier != nil {
		e.busts.release(r.Account)
		switch {
		case errors.Is(err, ErrUnknownAccount):
			return ev, false, refusedBooking(r, positions.Refusal{Reason: positions.UnknownAccount})
		case err != nil:
			return ev, false, err
		case !r.Repeats(earlier):
			return ev, false, refuse(BookingIDReused, "%s: request id %s is that of event %d, which was another "+
				"request; give this one an id of its own", r.Title(), r.ID, earlier.Seq)
		}
		return *earlier, true, nil
	}
	b := &bookItem{request: *r, result: make(chan bookResult, 1)}
	e.shardOf(r.Account).post(b)
	select {
	case done := <-b.result:
		return done.event, false, done.err
	case <-ctx.Done():
		return ev, false, ctx.Err()
	case <-e.stopping:
		return ev, false, ErrStopped
	}
}

// findBooking returns the event that carried out a request under the same id, or nil.
func (e *Engine) findBooking(ctx context.Context, r *positions.BookingRequest) (found *positions.Event, err error) {
	if r.ID == "" {
		return nil, nil
	}
	err = e.walkKept(ctx, r.Account, func(ev *positions.Event) {
		if ev.BookingID() == r.ID {
			copied := *ev
			found = &copied
		}
	})
	return found, err
}

// walkKept is Walk from the oldest event kept.
func (e *Engine) walkKept(ctx context.Context, account uint64, visit func(*positions.Event)) error {
	from := uint64(1)
	for {
		err := e.Walk(ctx, account, from, visit)
		if !errors.Is(err, ErrNotKept) {
			return err
		}
		// Nothing was visited: memory has dropped the first ones, and may drop more until the next walk.
		_, oldest, err := e.History(ctx, account, 0, 1)
		if err != nil || oldest == 0 {
			return err
		}
		from = oldest
	}
}

// OpeningCash returns the cash with which an account was opened. If nobody knows any more, the error
// is a *BookingRefusedError.
func (e *Engine) OpeningCash(ctx context.Context, account uint64) (int64, error) {
	page, _, err := e.History(ctx, account, 2, 1)
	switch {
	case errors.Is(err, ErrUnknownAccount):
		return 0, refuse(BookingUnknownAccount, "reset account %d: there is no such account; open it first", account)
	case err != nil:
		return 0, err
	case len(page) == 0 || page[0].Kind != positions.KindAdjustment:
		return 0, refuse(BookingOpeningNotKept, "reset account %d: the event that opened it is older than the history "+
			"kept, so its opening cash is not known any more; say to what cash", account)
	}
	return page[0].Adjustment.Cash, nil
}

func refuse(reason BookingReason, format string, args ...any) *BookingRefusedError {
	return &BookingRefusedError{reason, fmt.Sprintf(format, args...)}
}

func refusedBooking(r *positions.BookingRequest, refusal positions.Refusal) error {
	reason := BookingTooLarge
	switch refusal.Reason {
	case positions.UnknownAccount:
		reason = BookingUnknownAccount
	case positions.InsufficientCash:
		reason = BookingCashGone
	}
	return &BookingRefusedError{reason, r.Sentence(refusal)}
}

// bookItem carries out a booking.
type bookItem struct {
	request positions.BookingRequest // a copy, since the caller may give up
	result  chan bookResult          // has a buffer of one, so the drainer never blocks
	err     error                    // why nothing was booked
}

type bookResult struct {
	event positions.Event
	err   error
}

func (b *bookItem) decide(s *shard, act *action) {
	s.drainer.Check()
	st := &s.step
	n := len(st.events)
	ev := st.nextEvent()
	switch r := s.book.DecideBooking(&b.request, st.prices, st.now, ev); {
	case r.Reason != positions.NoRefusal:
		b.err = refusedBooking(&b.request, r)
	case st.readOnly:
		b.err = ErrReadOnly
		s.stats.readOnly.Add(1)
	case s.uncheckpointedFull():
		b.err = errUncheckpointed
		s.stats.busy.Add(1)
	default:
		s.accept(act)
		return
	}
	st.events = st.events[:n]
}

// publish answers, and lets the account's next request begin.
func (b *bookItem) publish(s *shard, act *action) {
	s.publishEvents(act.events, nil)
	result := bookResult{err: b.err}
	if act.events.count > 0 {
		result.event = act.events.in(s.step.events)[0]
	}
	b.result <- result
	s.eng.busts.release(b.request.Account)
}
