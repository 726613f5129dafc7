package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/papertape/papertape/positions"
)

const (
	openingBatch = 64 // accounts opened in one step, at most
	openingRetry = 5 * time.Millisecond
)

// Opening describes how an account begins.
type Opening struct {
	Adjustment positions.Adjustment // its opening cash: its first event
	Orders     []positions.Order    // executed next, at the universe's opening prices; the engine sets their account
}

// Open opens accounts by means of events, like every other change. It returns when all the events
// are durable. opening describes how an account begins. It is called on the drainers, concurrently,
// and only for accounts that do not exist yet, so a start with a million existing accounts builds
// no Opening in vain.
//
// An existing account is left alone, whatever opening says. It is complete, since all the events of
// its opening are in one commit, which is durable as a whole or not at all. So an Open that was
// interrupted continues with the missing accounts.
//
// If too many events are not checkpointed, Open waits for the next checkpoint, which another
// goroutine has to make.
func (e *Engine) Open(ctx context.Context, accounts iter.Seq[uint64], opening func(account uint64) Opening) error {
	batches := make(map[*shard][]uint64)
	for number := range accounts {
		s := e.shardOf(number)
		if batches[s] = append(batches[s], number); len(batches[s]) < openingBatch {
			continue
		}
		if err := e.openBatch(ctx, batches[s], opening); err != nil {
			return err
		}
		batches[s] = nil // the drainer may still use it
	}
	for _, numbers := range batches {
		if len(numbers) == 0 {
			continue
		}
		if err := e.openBatch(ctx, numbers, opening); err != nil {
			return err
		}
	}
	return nil
}

// errUncheckpointed says that no event can be booked before the next checkpoint.
var errUncheckpointed = fmt.Errorf("too many events are not checkpointed: %w", ErrBusy)

// ErrReadOnly says that no event can be booked at the moment.
var ErrReadOnly = errors.New("the journal takes no events at the moment, since its disk is nearly full: make room")

// openBatch opens accounts of one shard, in as many steps as necessary.
func (e *Engine) openBatch(ctx context.Context, numbers []uint64, opening func(uint64) Opening) error {
	for {
		_, err := ask(ctx, e, numbers[0], func(q question[struct{}]) item {
			return &openItem{question: q, numbers: numbers, opening: opening}
		})
		if !errors.Is(err, errUncheckpointed) {
			return err
		}
		select {
		case <-time.After(openingRetry):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// openItem opens accounts of one shard.
type openItem struct {
	question[struct{}]
	numbers []uint64
	opening func(account uint64) Opening
	err     error // why some of them could not be opened
}

// decide opens the accounts that do not exist yet, as many as there is room for.
func (o *openItem) decide(s *shard, act *action) {
	for _, number := range o.numbers {
		if _, known := s.book.Seq(number); known {
			continue
		}
		switch {
		case s.step.readOnly:
			o.err = ErrReadOnly
			return
		case s.uncheckpointedFull():
			o.err = errUncheckpointed
			return
		}
		opening := o.opening(number)
		s.open(number, &opening, act)
	}
}

func (o *openItem) publish(s *shard, act *action) {
	s.publishEvents(act.events, nil)
	o.answer(struct{}{}, o.err)
}

// open decides the opening of one account.
func (s *shard) open(number uint64, o *Opening, act *action) {
	s.drainer.Check()
	st := &s.step
	prices := s.eng.cfg.Universe.Opening()
	for i := range len(o.Orders) + 1 {
		ev := st.nextEvent()
		var r positions.Refusal
		if i == 0 {
			r = s.book.DecideAdjustment(number, &o.Adjustment, prices, st.now, ev)
		} else {
			o.Orders[i-1].Account = number
			r = s.book.Decide(&o.Orders[i-1], prices, st.now, ev)
		}
		if r.Reason != positions.NoRefusal { // the universe's prices exceed what the ledger can hold
			st.events = st.events[:len(st.events)-1]
			return
		}
		s.accept(act)
		if i == 0 {
			s.addAccount(number)
		}
	}
}
