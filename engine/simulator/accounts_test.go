package simulator

import (
	"fmt"
	"hash/fnv"
	"reflect"
	"testing"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// opened opens accounts in the usual way in a new engine, and returns its journal, and its books
// after it has stopped.
func opened(t *testing.T, count int, seed uint64, shards int) (*tape, map[uint64]positions.Holdings) {
	t.Helper()
	accounts := Accounts{Count: count, Seed: seed, Universe: market.Default()}
	journal := new(tape)
	eng, err := engine.New(engine.Config{
		Shards: shards, Workers: 2 * shards, InboxOrdersMax: 1, HistoryReadsMax: 1, HistoryMemoryBytesMax: 1 << 30,
		SessionsPerAccountMax: 1, Universe: accounts.Universe, Prices: market.Fixed(accounts.Universe).Snapshot,
		Clock:   func() int64 { return 12345 },
		Journal: journal, Outlet: nobody{}, Fatal: func(err error) { panic(err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // opening existing accounts changes nothing
		if err := accounts.Open(t.Context(), eng); err != nil {
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
	journal, books := opened(t, 100, 1, 4)
	if len(books) != 100 {
		t.Fatalf("%d accounts", len(books))
	}
	empty := 0
	for number := uint64(100001); number <= 100100; number++ {
		h, ok := books[number]
		if !ok {
			t.Fatalf("account %d is missing", number)
		}
		events := journal.ofAccount(number)
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
			if i == 0 && (ev.Kind != positions.KindAdjustment || ev.Adjustment.Cash != ev.Cash.Balance ||
				ev.Adjustment.Cash < OpeningCash) {
				t.Errorf("account %d begins with %+v", number, ev)
			}
			if i > 0 && (ev.Kind != positions.KindTrade || ev.Trade.Origin != positions.OriginOperator ||
				ev.Change != positions.Opened) {
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

// TestOpeningIsSeeded: the same seed gives the same accounts, however many shards there are.
// Another seed gives other accounts.
func TestOpeningIsSeeded(t *testing.T) {
	_, one := opened(t, 150, 1, 1)
	_, same := opened(t, 150, 1, 3)
	_, more := opened(t, 200, 1, 2)
	_, other := opened(t, 150, 2, 1)
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

// TestOpeningIsAtomic: the events of an account's opening are in one commit, so a crash leaves all
// of them or none.
func TestOpeningIsAtomic(t *testing.T) {
	journal, _ := opened(t, 200, 1, 3)
	for i, block := range journal.blocks {
		seen := make(map[uint64]uint64)
		for _, ev := range block {
			seen[ev.Account] = ev.Seq
		}
		for number, seq := range seen {
			if want := len(journal.ofAccount(number)); int(seq) != want {
				t.Fatalf("commit %d ends with event %d of account %d, whose opening has %d", i+1, seq, number, want)
			}
		}
	}
}

// TestOpeningStays: a seed gives the same openings in every version, so that an interrupted opening
// continues as it began.
func TestOpeningStays(t *testing.T) {
	h, u := fnv.New64a(), market.Default()
	for number := uint64(FirstAccount); number < FirstAccount+1000; number++ {
		opening := OpeningOf(number, 1, u)
		a := opening.Adjustment
		_, _ = fmt.Fprint(h, number, a.Cash, a.Reason, a.Actor)
		for _, o := range opening.Orders {
			_, _ = fmt.Fprint(h, o.Account, o.Instrument, o.Side, o.Quantity, o.Origin, o.Limit)
		}
	}
	if got := h.Sum64(); got != 0x68f10d7c94bc9f02 {
		t.Errorf("the openings of 1000 accounts have the hash %#x, and are others than before", got)
	}
}
