package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/papertape/papertape/positions"
)

// AccountNumberMax is the largest number under which an account is opened while the server runs. It
// is the largest whole number that every reader of JSON keeps exact.
const AccountNumberMax = 1<<53 - 1

// ErrAccountOpen is returned for an account that exists already.
var ErrAccountOpen = errors.New("the account exists already")

// ErrNoNumberFree says that no account can be given the next number.
var ErrNoNumberFree = fmt.Errorf("the highest account has the largest number there is, %d; name a number that is free",
	uint64(AccountNumberMax))

// OpenAccount opens an account while the engine runs, with cash (0 or more) and nothing else, and
// returns its first event once it is durable. Sessions may log in from then on. number 0 stands for
// one above the highest account. Errors are ErrAccountOpen, ErrNoNumberFree, ErrReadOnly, ErrBusy,
// ErrStopped, and the error of ctx, after which the account may still be opened.
func (e *Engine) OpenAccount(ctx context.Context, number uint64, a positions.Adjustment) (positions.Event, error) {
	if number != 0 {
		return e.openAs(ctx, number, &a)
	}
	for {
		next, err := e.nextNumber(ctx)
		if err != nil {
			return positions.Event{}, err
		}
		ev, err := e.openAs(ctx, next, &a)
		if !errors.Is(err, ErrAccountOpen) { // otherwise somebody else has taken the number meanwhile
			return ev, err
		}
	}
}

func (e *Engine) openAs(ctx context.Context, number uint64, a *positions.Adjustment) (positions.Event, error) {
	return ask(ctx, e, number, func(q question[positions.Event]) item {
		return &openOneItem{question: q, number: number, opening: Opening{Adjustment: *a}}
	})
}

// nextNumber returns one above the highest account.
func (e *Engine) nextNumber(ctx context.Context) (uint64, error) {
	highest := uint64(0)
	for i := range e.shards {
		// Account number i belongs to shard i, whether or not the account exists.
		h, err := ask(ctx, e, uint64(i), func(q question[uint64]) item { return &highestItem{question: q} })
		if err != nil {
			return 0, err
		}
		highest = max(highest, h)
	}
	if highest >= AccountNumberMax {
		return 0, ErrNoNumberFree
	}
	return highest + 1, nil
}

// highestItem asks a shard for its highest account.
type highestItem struct {
	question[uint64]
	highest uint64
}

func (h *highestItem) decide(s *shard, _ *action) { h.highest = s.highest }

func (h *highestItem) publish(*shard, *action) { h.answer(h.highest, nil) }

// openOneItem opens an account while the engine runs.
type openOneItem struct {
	question[positions.Event]
	number  uint64
	opening Opening
	err     error
}

func (o *openOneItem) decide(s *shard, act *action) {
	_, known := s.book.Seq(o.number)
	switch {
	case known:
		o.err = ErrAccountOpen
	case s.step.readOnly:
		o.err = ErrReadOnly
		s.stats.readOnly.Add(1)
	case s.uncheckpointedFull():
		o.err = errUncheckpointed
		s.stats.busy.Add(1)
	default:
		s.open(o.number, &o.opening, act)
	}
}

func (o *openOneItem) publish(s *shard, act *action) {
	s.publishEvents(act.events, nil)
	var ev positions.Event
	if act.events.count > 0 {
		ev = act.events.in(s.step.events)[0]
	}
	o.answer(ev, o.err)
}
