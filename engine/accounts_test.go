package engine

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/papertape/papertape/positions"
)

// TestAccounts: a listing agrees with each account's holdings, over all shards, in pages of any
// size.
func TestAccounts(t *testing.T) {
	var numbers []uint64
	for i := range uint64(40) {
		numbers = append(numbers, 100001+i*7)
	}
	shuffled := slices.Clone(numbers)
	slices.Reverse(shuffled)
	w := newWorld(t, options{shards: 3}, shuffled...)
	for _, number := range numbers[:5] {
		w.trade(number, 3)
	}
	w.loggedIn(numbers[1])
	w.loggedIn(numbers[1])
	leaving := w.loggedIn(numbers[2])
	leaving.logout()
	w.settle()
	w.prices.Store(testUniverse.Opening().With(ten, 11_0000))

	for _, limit := range []int{1, 2, 7, 39, 40, 41, accountsMax + 1} {
		var got []uint64
		for after := uint64(0); ; {
			page, total, err := w.eng.Accounts(t.Context(), after, limit)
			if err != nil || len(page) > limit || total != len(numbers) {
				t.Fatalf("%d accounts after %d, of at most %d of %d, %v", len(page), after, limit, total, err)
			}
			if len(page) == 0 {
				break
			}
			for _, info := range page {
				got = append(got, info.Number)
				w.checkInfo(info, map[uint64]int{numbers[1]: 2}[info.Number])
			}
			after = page[len(page)-1].Number
		}
		if !slices.Equal(got, numbers) {
			t.Errorf("in pages of %d: %v, want %v", limit, got, numbers)
		}
	}
	for _, none := range []struct {
		after uint64
		limit int
	}{{0, 0}, {0, -1}, {numbers[39], 5}, {math.MaxUint64, 5}} {
		if page, _, err := w.eng.Accounts(t.Context(), none.after, none.limit); len(page) != 0 || err != nil {
			t.Errorf("%+v: %v, %v; want none", none, page, err)
		}
	}
}

// checkInfo compares an account of a listing with its holdings.
func (w *world) checkInfo(info AccountInfo, sessions int) {
	w.t.Helper()
	h, err := w.eng.Holdings(context.Background(), info.Number)
	if err != nil {
		w.t.Fatalf("holdings of %d: %v", info.Number, err)
	}
	want := AccountInfo{
		Number: h.Account, Seq: h.Seq, Cash: h.Cash, TotalMarketValue: h.TotalMarketValue, Rows: len(h.Positions),
		Sessions: sessions,
	}
	newest, _, err := w.eng.History(context.Background(), info.Number, 0, 1)
	if err != nil || len(newest) != 1 {
		w.t.Fatalf("history of %d: %v", info.Number, err)
	}
	want.Time = newest[0].Time
	if info != want {
		w.t.Errorf("%+v, want %+v", info, want)
	}
}

// TestAccountsBound: a listing has at most accountsMax accounts, those with the smallest numbers.
func TestAccountsBound(t *testing.T) {
	w := newWorld(t, options{}, alice)
	if err := openAccounts(t.Context(), w.eng, 2*accountsMax+500, 1); err != nil {
		t.Fatal(err)
	}
	page, _, err := w.eng.Accounts(t.Context(), firstAccount+9, math.MaxInt)
	if err != nil || len(page) != accountsMax {
		t.Fatalf("%d accounts, %v; want %d", len(page), err, accountsMax)
	}
	for i, info := range page {
		if want := uint64(firstAccount + 10 + i); info.Number != want {
			t.Fatalf("account %d of the listing is %d, want %d", i, info.Number, want)
		}
	}
}

// TestAccountsLargeValue: a total value that overflows is capped at the largest int64, as in the
// holdings.
func TestAccountsLargeValue(t *testing.T) {
	w := newWorld(t, options{}, alice)
	c := w.loggedIn(alice)
	w.prices.Store(testUniverse.Opening().With(ten, 1).With(twenty, 1))
	c.order(orderOf(positions.Buy, ten, 1_000_000_000))
	c.order(orderOf(positions.Buy, twenty, 1_000_000_000))
	w.settle()
	w.prices.Store(testUniverse.Opening().With(ten, math.MaxInt64/1_000_000_000).
		With(twenty, math.MaxInt64/1_000_000_000))
	page, _, err := w.eng.Accounts(t.Context(), 0, 1)
	if err != nil || len(page) != 1 || page[0].Rows != 2 || page[0].TotalMarketValue != math.MaxInt64 {
		t.Fatalf("%+v, %v", page, err)
	}
	w.checkInfo(page[0], 1)
}

// TestAccountsAfterCommit: a listing waits for the commit of the events that it shows.
func TestAccountsAfterCommit(t *testing.T) {
	w := newWorld(t, options{}, alice)
	s := w.eng.shardOf(carol)
	w.until("the drainer to end", s.hold)
	release := w.journal.holdCommits()
	defer release()
	slots := make(chan struct{}, 2)
	slots <- struct{}{}
	s.post(&openItem{question: newQuestion[struct{}](slots), numbers: []uint64{carol}, opening: openingOf(1)})
	slots <- struct{}{}
	listing := &accountsItem{question: newQuestion[accountsFound](slots), limit: 9}
	s.post(listing)
	w.eng.execute(s.drainFunc)
	w.until("a commit", w.committing)
	if len(listing.answers) != 0 {
		t.Error("the listing was answered before the commit")
	}
	release()
	w.settle()
	found := (<-listing.answers).answer.list
	if len(found) != 2 || found[1].Number != carol || found[1].Seq != 1 || len(slots) != 0 {
		t.Errorf("%+v, and %d slots in use", found, len(slots))
	}
}

// TestAccountsEnd: a listing ends with its context, and with the engine.
func TestAccountsEnd(t *testing.T) {
	w := newWorld(t, options{shards: 2}, alice)
	release := w.journal.holdCommits()
	defer release()
	w.trade1(alice)
	w.until("a commit", w.committing)
	ctx, cancel := context.WithCancel(t.Context())
	answer := make(chan error)
	go func() {
		_, _, err := w.eng.Accounts(ctx, 0, 1)
		answer <- err
	}()
	w.until("the query in the lane", func() bool { return w.lane(alice) == 1 })
	cancel()
	if err := <-answer; !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	release()
	w.settle()
	w.eng.Stop()
	for range 20 {
		if _, _, err := w.eng.Accounts(t.Context(), 0, 1); !errors.Is(err, ErrStopped) {
			t.Fatalf("after Stop: %v", err)
		}
	}
}
