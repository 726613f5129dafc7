package engine

import (
	"context"
	"errors"
	"math/rand/v2"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// The accounts that openAccounts opens, and how they open.
const (
	firstAccount   = 100001
	openingCash    = 1_000_000_0000
	openingRowsMax = 3 // all instruments of testUniverse
)

// openAccounts opens n accounts, from firstAccount on.
func openAccounts(ctx context.Context, eng *Engine, n int, seed uint64) error {
	numbers := func(yield func(uint64) bool) {
		for i := range n {
			if !yield(uint64(firstAccount + i)) {
				return
			}
		}
	}
	return eng.Open(ctx, numbers, openingOf(seed))
}

// openingOf returns openings with up to openingRowsMax rows, and none for accounts whose numbers
// end in 00.
func openingOf(seed uint64) func(account uint64) Opening {
	return func(account uint64) Opening {
		rng := rand.New(rand.NewPCG(seed, account))
		o := Opening{Adjustment: positions.Adjustment{Cash: openingCash, Reason: "account opened", Actor: "test"}}
		if account%100 == 0 {
			return o
		}
		for _, i := range rng.Perm(testUniverse.Len())[:rng.IntN(openingRowsMax+1)] {
			order := orderOf(positions.Buy, market.ID(i), int64(1+rng.IntN(20))*100)
			order.Origin = positions.OriginOperator
			o.Adjustment.Cash += order.Quantity * testUniverse.Opening().At(order.Instrument)
			o.Orders = append(o.Orders, order)
		}
		return o
	}
}

// TestOpeningContinues: an opening that was interrupted continues with the missing accounts.
// Existing accounts are left alone, even with another seed, and even if they have traded since.
func TestOpeningContinues(t *testing.T) {
	whole := newWorld(t, options{shards: 2})
	if err := openAccounts(t.Context(), whole.eng, 40, 1); err != nil {
		t.Fatal(err)
	}
	whole.settle()
	for done := 0; done <= 40; done += 8 {
		w := newWorld(t, options{shards: 2, keeps: true})
		if err := openAccounts(t.Context(), w.eng, done, 1); err != nil {
			t.Fatal(err)
		}
		for i := 0; i < done; i += 3 { // these trade before the opening continues
			w.trade1(firstAccount + uint64(i))
		}
		w.settle()
		for i := range 3 { // another seed does not change existing accounts
			seed := uint64(1)
			if i > 0 {
				seed = 7
			}
			if err := openAccounts(t.Context(), w.eng, 40, seed); err != nil {
				t.Fatal(err)
			}
		}
		w.settle()
		for i := range 40 {
			number := firstAccount + uint64(i)
			got, want := w.journal.events(number), whole.journal.events(number)
			if i < done && i%3 == 0 {
				if n := len(got); n != len(want)+1 || got[n-1].Trade.Origin != positions.OriginClient {
					t.Fatalf("cut off after %d accounts: account %d has %d events, "+
						"want those of its opening, %d, and one",
						done, number, n, len(want))
				}
				got = got[:len(want)]
			}
			for i := range got {
				got[i].Time = want[min(i, len(want)-1)].Time
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("cut off after %d accounts: account %d was opened by %d events, want %d", done, number,
					len(got), len(want))
			}
		}
	}
}

// TestOpeningWaits: Open waits while too many events are not checkpointed, and fails if the journal
// takes no events.
func TestOpeningWaits(t *testing.T) {
	var full atomic.Bool
	w := newWorld(t, options{keeps: true, shards: 2, uncheckpointed: 30, readOnly: full.Load})
	opened := make(chan error, 1)
	go func() { opened <- openAccounts(t.Context(), w.eng, 100, 1) }()
	for waiting := true; waiting; {
		select {
		case err := <-opened:
			if err != nil {
				t.Fatal(err)
			}
			waiting = false
		case <-w.eng.CheckpointWanted():
			w.settle()
			// an account is opened whole
			if n := w.eng.Stats().UncheckpointedBytes / testRecordBytes; n > 2*(30+1+openingRowsMax) {
				t.Fatalf("%d events are not checkpointed; there may be 30 in each of two shards", n)
			}
			w.checkpoint()
		case <-time.After(patience):
			t.Fatal("neither is a checkpoint wanted, nor are the accounts open")
		}
	}
	w.settle()
	if n := w.eng.shards[0].book.Len() + w.eng.shards[1].book.Len(); n != 100 {
		t.Errorf("%d accounts are open", n)
	}
	full.Store(true)
	if err := openAccounts(t.Context(), w.eng, 100, 1); err != nil {
		t.Errorf("Open, where all are open: %v", err)
	}
	if err := openAccounts(t.Context(), w.eng, 101, 1); !errors.Is(err, ErrReadOnly) {
		t.Errorf("Open without room on the disk: %v", err)
	}
}

// TestOpeningAtOpeningPrices: accounts open at the opening prices, whatever the current prices are.
func TestOpeningAtOpeningPrices(t *testing.T) {
	w := newWorld(t, options{})
	w.prices.Store(testUniverse.Opening().With(ten, 99_0000).With(twenty, 1_0000))
	if err := openAccounts(t.Context(), w.eng, 30, 1); err != nil {
		t.Fatal(err)
	}
	w.settle()
	for number := uint64(firstAccount); number < firstAccount+30; number++ {
		h, err := w.eng.Holdings(t.Context(), number)
		if err != nil || h.Cash.Balance != openingCash {
			t.Errorf("account %d: %+v, %v", number, h.Cash, err)
		}
	}
}

func TestOpeningEnds(t *testing.T) {
	w := newWorld(t, options{})
	ctx, cancel := context.WithCancel(t.Context())
	release := w.journal.holdCommits()
	defer release()
	failed := make(chan error)
	go func() { failed <- openAccounts(ctx, w.eng, 100, 1) }()
	w.until("the commit", w.committing)
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("Open: %v", err)
	}
	release()
	if err := openAccounts(t.Context(), w.eng, 100, 1); err != nil {
		t.Errorf("Open: %v", err)
	}
	if n := len(w.eng.shards[0].accounts); n != 100 {
		t.Errorf("%d accounts are open", n)
	}
}
