package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

const (
	// FirstAccount is the number of the first customer that is opened.
	FirstAccount = 100001
	// OpeningCash is what an account has in cash after its opening, in 1/10000.
	OpeningCash = 1_000_000_0000

	openingRowsMax = 12
	openingBatch   = 64 // accounts opened in one step
	openingRetry   = 5 * time.Millisecond
)

// Opening is which accounts there are at the start.
type Opening struct {
	Accounts int    // customers FirstAccount, FirstAccount+1, …
	Seed     uint64 // of their opening rows
}

// Open opens the accounts, by events like all else. It returns when all of it is durable.
//
// An account that is there is left alone, whatever the seed. It is complete: all events of its opening are in one commit, which
// is durable as a whole or not at all. So an opening that was cut off continues with the accounts that are missing.
//
// Where too much is not checkpointed, Open waits for the next checkpoint; somebody has to make it.
func (e *Engine) Open(ctx context.Context, o Opening) error {
	batches := make(map[*shard][]uint64)
	flush := func(s *shard) error {
		numbers := batches[s]
		batches[s] = nil
		return e.openBatch(ctx, numbers, o.Seed)
	}
	for i := range o.Accounts {
		number := uint64(FirstAccount + i)
		s := e.shardOf(number)
		if batches[s] = append(batches[s], number); len(batches[s]) == openingBatch {
			if err := flush(s); err != nil {
				return err
			}
		}
	}
	for s, numbers := range batches {
		if len(numbers) > 0 {
			if err := flush(s); err != nil {
				return err
			}
		}
	}
	return nil
}

// errUncheckpointed says that something cannot be booked before a checkpoint.
var errUncheckpointed = fmt.Errorf("too many events are not checkpointed: %w", ErrBusy)

// ErrReadOnly says that nothing can be booked at the moment.
var ErrReadOnly = errors.New("the journal takes no events at the moment, since its disk is nearly full: make room")

// openBatch opens accounts of one shard, in as many steps as it takes.
func (e *Engine) openBatch(ctx context.Context, numbers []uint64, seed uint64) error {
	for {
		_, err := ask(ctx, e, numbers[0], func(q question[struct{}]) item {
			return &openItem{question: q, numbers: numbers, seed: seed}
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
	seed    uint64
	err     error // why not all of them are open
}

func (o *openItem) decide(s *shard, act *action) { o.err = s.openAll(o.numbers, o.seed, act) }

func (o *openItem) publish(s *shard, act *action) {
	s.publishEvents(act.events, nil)
	o.answer(struct{}{}, o.err)
}

// openAll decides the opening of those that are not open, as many as there is room for.
func (s *shard) openAll(numbers []uint64, seed uint64, act *action) error {
	for _, number := range numbers {
		if _, known := s.book.Seq(number); known {
			continue
		}
		if s.step.readOnly {
			return ErrReadOnly
		}
		if s.full() {
			return errUncheckpointed
		}
		s.open(number, seed, act)
	}
	return nil
}

// open decides the opening of one account.
func (s *shard) open(number, seed uint64, act *action) {
	s.drainer.Check()
	adjustment, orders := OpeningOf(number, seed, s.eng.cfg.Universe)
	st := &s.step
	prices := s.eng.cfg.Universe.Opening()
	for i := range len(orders) + 1 {
		ev := st.nextEvent()
		var r positions.Refusal
		if i == 0 {
			r = s.book.DecideAdjustment(number, &adjustment, prices, st.now, ev)
		} else {
			r = s.book.Decide(&orders[i-1], prices, st.now, ev)
		}
		if r.Reason != positions.NoRefusal { // of a universe whose prices pass what the ledger holds
			st.events = st.events[:len(st.events)-1]
			return
		}
		s.book.Apply(ev)
		if i == 0 {
			s.add(number)
		}
		act.events.add(len(st.events) - 1)
	}
}

// OpeningOf says how an account begins: the adjustment of its cash, then one order per row, at the opening prices. Every
// hundredth account (100100 for one) and one in eight of the others begin with nothing.
func OpeningOf(number, seed uint64, u *market.Universe) (positions.Adjustment, []positions.Order) {
	rng := rand.New(rand.NewPCG(seed, number))
	rows := 0
	if number%100 != 0 && rng.IntN(8) != 0 {
		rows = rng.IntN(openingRowsMax + 1)
	}
	rows = min(rows, u.Len())
	cash := int64(OpeningCash)
	orders := make([]positions.Order, 0, rows)
	for _, i := range rng.Perm(u.Len())[:rows] {
		o := positions.Order{
			Account: number, Instrument: market.ID(i), Side: positions.Buy, Origin: positions.OriginOperator,
			Quantity: int64(1+rng.IntN(20)) * 100,
		}
		cash += o.Quantity * u.Opening().At(o.Instrument)
		orders = append(orders, o)
	}
	return positions.Adjustment{Cash: cash, Reason: "account opened", Actor: "papertape"}, orders
}
