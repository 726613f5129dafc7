package engine

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/papertape/papertape/positions"
)

var pocketMoney = positions.Adjustment{Cash: 500_0000, Reason: "a new pupil", Actor: "ops"}

// TestOpenAccount: an account that is opened while others trade can be logged in to at once, and is there
// after a crash. A number that is taken is refused.
func TestOpenAccount(t *testing.T) {
	w := newWorld(t, options{keeps: true, shards: 3}, alice, bob)
	w.trade(alice, 3)
	for _, number := range []uint64{200000, 5, 0, 0} {
		ev, err := w.eng.OpenAccount(t.Context(), number, pocketMoney)
		want := number
		if number == 0 {
			want = w.highest()
		}
		if err != nil || ev.Account != want || ev.Seq != 1 || ev.Kind != positions.KindAdjustment ||
			*ev.Adjustment != pocketMoney || ev.Cash.Balance != pocketMoney.Cash {
			t.Errorf("account %d: %+v, %v", number, ev, err)
		}
		if _, err := w.eng.OpenAccount(t.Context(), want, pocketMoney); !errors.Is(err, ErrAccountOpen) {
			t.Errorf("account %d again: %v", want, err)
		}
		c := w.loggedIn(want)
		c.order(buy(1))
		w.settle()
		c.expect("EXECUTION 2 #2")
	}
	numbers := []uint64{5, 200000, 200001, 200002}
	again := newWorld(t, options{shards: 3, journal: w.journal.restart(0)})
	for _, number := range numbers {
		h, err := again.eng.Holdings(t.Context(), number)
		if err != nil || h.Seq != 2 || len(h.Positions) != 1 {
			t.Errorf("account %d after a restart: %+v, %v", number, h, err)
		}
	}
	if ev, err := again.eng.OpenAccount(t.Context(), 0, pocketMoney); err != nil || ev.Account != 200003 {
		t.Errorf("the next one after a restart: %d, %v", ev.Account, err)
	}
	if err := again.eng.Open(t.Context(), slices.Values(numbers), openingOf(1)); err != nil {
		t.Fatal(err)
	}
	if h, err := again.eng.Holdings(t.Context(), 5); err != nil || h.Seq != 2 {
		t.Errorf("a start has opened account 5 again: %+v, %v", h, err)
	}
}

// highest returns the largest number of an account, as a listing has it.
func (w *world) highest() uint64 {
	all, _, err := w.eng.Accounts(context.Background(), 0, accountsMax)
	if err != nil || len(all) == 0 {
		w.t.Fatalf("%d accounts, %v", len(all), err)
	}
	return all[len(all)-1].Number
}

// TestOpenNextConcurrently: accounts that are opened at the same time without a number get different ones,
// without a hole.
func TestOpenNextConcurrently(t *testing.T) {
	w := newWorld(t, options{keeps: true, shards: 2}, alice)
	const n = 30
	numbers := make([]uint64, n)
	var opening sync.WaitGroup
	for i := range n {
		opening.Go(func() {
			ev, err := w.eng.OpenAccount(context.Background(), 0, pocketMoney)
			if err != nil {
				t.Error(err)
			}
			numbers[i] = ev.Account
		})
	}
	opening.Wait()
	slices.Sort(numbers)
	for i, number := range numbers {
		if number != alice+1+uint64(i) {
			t.Fatalf("the numbers are %v", numbers)
		}
	}
}

func TestOpenAccountRefusals(t *testing.T) {
	var full bool
	w := newWorld(t, options{keeps: true, readOnly: func() bool { return full }}, alice)
	full = true
	if _, err := w.eng.OpenAccount(t.Context(), 0, pocketMoney); !errors.Is(err, ErrReadOnly) {
		t.Errorf("read-only: %v", err)
	}
	full = false
	if _, err := w.eng.OpenAccount(t.Context(), math.MaxUint64, pocketMoney); err != nil {
		t.Error(err)
	}
	if _, err := w.eng.OpenAccount(t.Context(), 0, pocketMoney); !errors.Is(err, ErrNoNumberFree) {
		t.Errorf("above the highest: %v", err)
	}
}
