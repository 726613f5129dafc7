package engine

import (
	"context"
	"errors"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// opened is an engine with accounts opened in the ordinary way, its journal, and its books after it was stopped.
func opened(t *testing.T, o Opening, shards int) (*fakeJournal, map[uint64]positions.Holdings) {
	t.Helper()
	universe := market.Default()
	journal := newFakeJournal(false)
	eng, err := New(Config{
		Shards: shards, Workers: 2 * shards, InboxOrdersMax: 1, HistoryReadsMax: 1, HistoryMemoryBytesMax: 1 << 30, SessionsPerAccountMax: 1,
		Universe: universe, Prices: market.Fixed(universe).Snapshot, Clock: func() int64 { return 12345 },
		Journal: journal, Outlet: &fakeOutlet{journal: journal}, Fatal: func(err error) { panic(err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // opening what is open changes nothing
		if err := eng.Open(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	if err := eng.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	eng.Stop()
	books := make(map[uint64]positions.Holdings)
	eng.Books(func(h positions.Holdings) { books[h.Account] = h })
	return journal, books
}

func TestOpening(t *testing.T) {
	journal, books := opened(t, Opening{Accounts: 100, Seed: 1}, 4)
	if len(books) != 100 {
		t.Fatalf("%d accounts", len(books))
	}
	empty := 0
	for number := uint64(100001); number <= 100100; number++ {
		h, ok := books[number]
		if !ok {
			t.Fatalf("account %d is missing", number)
		}
		events := journal.events(number)
		if len(events) != len(h.Positions)+1 || h.Seq != uint64(len(events)) {
			t.Errorf("account %d: %d events for %d rows, sequence %d", number, len(events), len(h.Positions), h.Seq)
		}
		if h.Cash != (positions.Cash{Balance: 1_000_000_0000}) || len(h.Positions) > 12 {
			t.Errorf("account %d opens with %+v and %d rows", number, h.Cash, len(h.Positions))
		}
		for i, ev := range events {
			if ev.Seq != uint64(i+1) {
				t.Errorf("account %d: event %d has sequence %d", number, i, ev.Seq)
			}
			if i == 0 && (ev.Kind != positions.KindAdjustment || ev.Adjustment.Cash != ev.Cash.Balance || ev.Adjustment.Cash < OpeningCash) {
				t.Errorf("account %d begins with %+v", number, ev)
			}
			if i > 0 && (ev.Kind != positions.KindTrade || ev.Trade.Origin != positions.OriginOperator || ev.Change != positions.Opened) {
				t.Errorf("account %d goes on with %+v", number, ev)
			}
		}
		if len(h.Positions) == 0 {
			empty++
		}
	}
	if len(books[100100].Positions) != 0 || empty < 5 || empty > 40 {
		t.Errorf("100100 has %d rows, %d accounts are empty", len(books[100100].Positions), empty)
	}
}

// TestOpeningIsSeeded: the same seed gives the same accounts, however many shards there are; another seed gives others.
func TestOpeningIsSeeded(t *testing.T) {
	_, one := opened(t, Opening{Accounts: 150, Seed: 1}, 1)
	_, same := opened(t, Opening{Accounts: 150, Seed: 1}, 3)
	_, more := opened(t, Opening{Accounts: 200, Seed: 1}, 2)
	_, other := opened(t, Opening{Accounts: 150, Seed: 2}, 1)
	if !reflect.DeepEqual(one, same) {
		t.Error("the same seed gives other accounts in three shards")
	}
	if reflect.DeepEqual(one, other) {
		t.Error("another seed gives the same accounts")
	}
	for number, h := range one {
		if !reflect.DeepEqual(more[number], h) {
			t.Errorf("account %d depends on how many there are", number)
		}
	}
	if len(more) != 200 {
		t.Errorf("%d accounts", len(more))
	}
}

// TestOpeningContinues with the accounts that are missing; those that are there are left alone, whatever the seed is now, and
// whatever they did since.
func TestOpeningContinues(t *testing.T) {
	whole := newWorld(t, options{shards: 2})
	if err := whole.eng.Open(t.Context(), Opening{Accounts: 40, Seed: 1}); err != nil {
		t.Fatal(err)
	}
	whole.settle()
	for done := 0; done <= 40; done += 8 {
		w := newWorld(t, options{shards: 2, keeps: true})
		if err := w.eng.Open(t.Context(), Opening{Accounts: done, Seed: 1}); err != nil {
			t.Fatal(err)
		}
		for i := 0; i < done; i += 3 { // these are used before it goes on
			w.trade1(FirstAccount + uint64(i))
		}
		w.settle()
		for i := range 3 { // with another seed it changes nothing that is there
			o := Opening{Accounts: 40, Seed: 1}
			if i > 0 {
				o.Seed = 7
			}
			if err := w.eng.Open(t.Context(), o); err != nil {
				t.Fatal(err)
			}
		}
		w.settle()
		for i := range 40 {
			number := FirstAccount + uint64(i)
			got, want := w.journal.events(number), whole.journal.events(number)
			if i < done && i%3 == 0 {
				if n := len(got); n != len(want)+1 || got[n-1].Trade.Origin != positions.OriginClient {
					t.Fatalf("cut off after %d accounts: account %d has %d events, want those of its opening, %d, and one",
						done, number, n, len(want))
				}
				got = got[:len(want)]
			}
			for i := range got {
				got[i].Time = want[min(i, len(want)-1)].Time
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("cut off after %d accounts: account %d was opened by %d events, want %d", done, number, len(got), len(want))
			}
		}
	}
}

// TestOpeningIsAtomic: the events of an account's opening are committed together, so that a crash leaves all of them or none.
func TestOpeningIsAtomic(t *testing.T) {
	journal, _ := opened(t, Opening{Accounts: 200, Seed: 1}, 3)
	for i, block := range journal.blocks {
		seen := make(map[uint64]uint64)
		for _, ev := range block {
			seen[ev.Account] = ev.Seq
		}
		for number, seq := range seen {
			if want := len(journal.events(number)); int(seq) != want {
				t.Fatalf("commit %d ends with event %d of account %d, whose opening has %d", i+1, seq, number, want)
			}
		}
	}
}

// TestOpeningWaits where too much is not checkpointed, and is not possible where the journal takes nothing.
func TestOpeningWaits(t *testing.T) {
	var full atomic.Bool
	w := newWorld(t, options{keeps: true, shards: 2, uncheckpointed: 30, readOnly: full.Load})
	opened := make(chan error, 1)
	go func() { opened <- w.eng.Open(t.Context(), Opening{Accounts: 100, Seed: 1}) }()
	for waiting := true; waiting; {
		select {
		case err := <-opened:
			if err != nil {
				t.Fatal(err)
			}
			waiting = false
		case <-w.eng.CheckpointWanted():
			w.settle()
			if n := w.eng.Stats().UncheckpointedBytes / eventBytes; n > 2*(30+1+openingRowsMax) { // an account is opened whole
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
	if err := w.eng.Open(t.Context(), Opening{Accounts: 100, Seed: 1}); err != nil {
		t.Errorf("Open, where all are open: %v", err)
	}
	if err := w.eng.Open(t.Context(), Opening{Accounts: 101, Seed: 1}); !errors.Is(err, ErrReadOnly) {
		t.Errorf("Open without room on the disk: %v", err)
	}
}

// TestOpeningAtOpeningPrices: what the prices do meanwhile does not matter.
func TestOpeningAtOpeningPrices(t *testing.T) {
	w := newWorld(t, options{})
	w.prices.Store(testUniverse.Opening().With(ten, 99_0000).With(twenty, 1_0000))
	if err := w.eng.Open(t.Context(), Opening{Accounts: 30, Seed: 1}); err != nil {
		t.Fatal(err)
	}
	w.settle()
	for number := uint64(FirstAccount); number < FirstAccount+30; number++ {
		h, err := w.eng.Holdings(t.Context(), number)
		if err != nil || h.Cash.Balance != OpeningCash {
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
	go func() { failed <- w.eng.Open(ctx, Opening{Accounts: 100, Seed: 1}) }()
	w.until("the commit", w.committing)
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("Open: %v", err)
	}
	release()
	if err := w.eng.Open(t.Context(), Opening{Accounts: 100, Seed: 1}); err != nil {
		t.Errorf("Open: %v", err)
	}
	if n := len(w.eng.shards[0].accounts); n != 100 {
		t.Errorf("%d accounts are open", n)
	}
}
