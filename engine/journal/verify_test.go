package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/record"
)

// foldAll folds a history. It returns how many events it could fold, and the error of the next.
func foldAll(account uint64, events []positions.Event) (n int, err error) {
	f := newFold(universe, new(record.IDKey), account, func(upTo uint64, f func(*positions.Event) error) error {
		for i := range events[:upTo] {
			if err := f(&events[i]); err != nil {
				return err
			}
		}
		return nil
	})
	for i := range events {
		if err := f.add(&events[i]); err != nil {
			return i, err
		}
	}
	return len(events), nil
}

// lies are all ways in which an event can be wrong although its encoding is right. Each returns
// false if the event has no such field.
var lies = map[string]func(*positions.Event) bool{
	"balance":    func(ev *positions.Event) bool { ev.Cash.Balance++; return true },
	"fees paid":  func(ev *positions.Event) bool { ev.Cash.FeesPaid++; return true },
	"realised":   func(ev *positions.Event) bool { ev.Cash.Realised--; return true },
	"sequence":   func(ev *positions.Event) bool { ev.Seq++; return true },
	"kind":       func(ev *positions.Event) bool { ev.Kind = positions.KindTrade; return ev.Trade.Quantity == 0 },
	"adjustment": func(ev *positions.Event) bool { return adjusted(ev, func(a *positions.Adjustment) { a.Cash++ }) },

	"reset": func(ev *positions.Event) bool { return reset(ev, func(r *positions.Reset) { r.Cash++ }) },
	"reset's rows": func(ev *positions.Event) bool {
		return reset(ev, func(r *positions.Reset) { r.Gone = append(r.Gone, 40) })
	},
	"reset's change": func(ev *positions.Event) bool { ev.Change = positions.Closed; return ev.Reset != nil },
	"reset's value":  func(ev *positions.Event) bool { ev.TotalMarketValue++; return ev.Reset != nil },

	"quantity": func(ev *positions.Event) bool { ev.Trade.Quantity++; return traded(ev) },
	"price":    func(ev *positions.Event) bool { ev.Trade.Price++; return traded(ev) },
	"amount":   func(ev *positions.Event) bool { ev.Trade.Amount++; return traded(ev) },
	"fees":     func(ev *positions.Event) bool { ev.Trade.Fees++; return traded(ev) },
	"no fees":  func(ev *positions.Event) bool { ev.Trade.Fees = -1; return traded(ev) },
	"side":     func(ev *positions.Event) bool { ev.Trade.Side ^= 3; return traded(ev) },
	"no side":  func(ev *positions.Event) bool { ev.Trade.Side = 0; return traded(ev) },
	"instrument": func(ev *positions.Event) bool {
		ev.Trade.Instrument++
		return traded(ev)
	},
	"change":       func(ev *positions.Event) bool { ev.Change++; return traded(ev) || ev.Bust != nil },
	"row quantity": func(ev *positions.Event) bool { ev.Position.Quantity++; return traded(ev) },
	"row cost":     func(ev *positions.Event) bool { ev.Position.Cost++; return traded(ev) },
	"row realised": func(ev *positions.Event) bool { ev.Position.Realised++; return traded(ev) },
	"row version":  func(ev *positions.Event) bool { ev.Position.Version--; return traded(ev) },
	"sellable": func(ev *positions.Event) bool {
		ev.Position.Sellable = ev.Position.Quantity + 1
		return traded(ev)
	},

	"trade taken back": func(ev *positions.Event) bool {
		return busted(ev, func(b *positions.Bust) { b.TradeSeq = 1 })
	},
	"original": func(ev *positions.Event) bool {
		return busted(ev, func(b *positions.Bust) { b.Original.Price++ })
	},
	"original's id": func(ev *positions.Event) bool {
		return busted(ev, func(b *positions.Bust) { b.Original.Origin ^= 3 })
	},
	"a cascade": func(ev *positions.Event) bool {
		return busted(ev, func(b *positions.Bust) { b.Cascade = append(b.Cascade, 1) })
	},
	"of the future": func(ev *positions.Event) bool {
		return busted(ev, func(b *positions.Bust) { b.TradeSeq = ev.Seq })
	},
	"a long cascade": func(ev *positions.Event) bool {
		return busted(ev, func(b *positions.Bust) { b.Cascade = make([]uint64, 101) })
	},
	"bust row quantity": func(ev *positions.Event) bool {
		return busted(ev, func(b *positions.Bust) { b.Positions[0].Quantity++ })
	},
	"bust row cost": func(ev *positions.Event) bool {
		return busted(ev, func(b *positions.Bust) { b.Positions[0].Cost++ })
	},
	"bust row version": func(ev *positions.Event) bool {
		return busted(ev, func(b *positions.Bust) { b.Positions[0].Version++ })
	},
	"no bust rows": func(ev *positions.Event) bool { return busted(ev, func(b *positions.Bust) { b.Positions = nil }) },
	"replacement price": func(ev *positions.Event) bool {
		return corrected(ev, func(r *positions.Trade) { r.Price++; r.Amount = r.Price * r.Quantity })
	},
	"replacement revision": func(ev *positions.Event) bool {
		return corrected(ev, func(r *positions.Trade) { r.Revision++ })
	},
	"replacement side": func(ev *positions.Event) bool {
		return corrected(ev, func(r *positions.Trade) { r.Side ^= 3 })
	},
	"replacement of none": func(ev *positions.Event) bool {
		return corrected(ev, func(r *positions.Trade) { r.Quantity, r.Amount = 0, 0 })
	},
}

func traded(ev *positions.Event) bool { return ev.Kind == positions.KindTrade }

func adjusted(ev *positions.Event, lie func(*positions.Adjustment)) bool {
	if ev.Adjustment == nil {
		return false
	}
	a := *ev.Adjustment
	lie(&a)
	ev.Adjustment = &a
	return true
}

func reset(ev *positions.Event, lie func(*positions.Reset)) bool {
	if ev.Reset == nil {
		return false
	}
	r := *ev.Reset
	r.Gone = slices.Clone(r.Gone)
	lie(&r)
	ev.Reset = &r
	return true
}

func busted(ev *positions.Event, lie func(*positions.Bust)) bool {
	if ev.Bust == nil {
		return false
	}
	b := *ev.Bust
	b.Cascade, b.Positions = slices.Clone(b.Cascade), slices.Clone(b.Positions)
	lie(&b)
	ev.Bust = &b
	return true
}

func corrected(ev *positions.Event, lie func(*positions.Trade)) bool {
	if ev.Bust == nil || ev.Bust.Replacement == nil {
		return false
	}
	return busted(ev, func(b *positions.Bust) {
		r := *b.Replacement
		lie(&r)
		b.Replacement = &r
	})
}

// TestFold: histories that the books decide are accepted. A lie in any of their events is found
// there, or at the first event that it affects.
func TestFold(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	seen := make(map[string]int)
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(1, 1, rapid.Uint64().Draw(t, "seed"))
		s := w.shards[0]
		prices := universe.Opening()
		for i := range 80 {
			ev, ok := s.decide()
			if i > 20 && i%4 == 0 {
				ev, ok = s.decideBust(100001, prices, int64(i))
			}
			if ok {
				s.apply(ev)
			}
		}
		events := s.accounts[100001].events
		if n, err := foldAll(100001, events); err != nil {
			t.Fatalf("event %d: %v\n%+v", n+1, err, events[n])
		}
		places := []int{rapid.IntRange(0, len(events)-1).Draw(t, "event")}
		for i, kinds := 0, make(map[string]bool); i < len(events); i++ { // also the first of each kind
			kind := fmt.Sprint(events[i].Kind, events[i].Bust != nil && events[i].Bust.Replacement != nil)
			if !kinds[kind] {
				places = append(places, i)
			}
			kinds[kind] = true
		}
		for _, at := range places {
			tryLies(t, events, at, seen)
		}
	})
	for name := range lies {
		if seen[name] == 0 {
			t.Errorf("%s was never tried", name)
		}
	}
}

func tryLies(t *rapid.T, events []positions.Event, at int, seen map[string]int) {
	for name, lie := range lies {
		spoilt := slices.Clone(events)
		if !lie(&spoilt[at]) {
			continue
		}
		seen[name]++
		n, err := foldAll(100001, spoilt)
		if err == nil || n < at ||
			!strings.HasPrefix(err.Error(), fmt.Sprintf("account 100001, event %d: ", spoilt[n].Seq)) {
			t.Fatalf("%s of event %d was not found: event %d, %v", name, at+1, n+1, err)
		}
	}
}

// TestFoldGolden is the example in ledger.md: buy 100 @ 10, buy 100 @ 20, sell 50 @ 18, bust
// the second buy.
func TestFoldGolden(t *testing.T) {
	events := goldenHistory(t)
	n, err := foldAll(7, events)
	if err != nil {
		t.Fatalf("event %d: %v", n, err)
	}
	if row := events[4].Bust.Positions[0].Row; row.Quantity != 50 || row.Cost != 500_0000 || row.Realised != 400_0000 {
		t.Errorf("%+v", row)
	}
	// It is not what selling 100 @ 20 would have left.
	spoilt := slices.Clone(events)
	busted(&spoilt[4], func(b *positions.Bust) { b.Positions[0].Cost, b.Positions[0].Realised = 750_0000, 650_0000 })
	if n, err := foldAll(7, spoilt); n != 4 || err == nil ||
		!strings.Contains(err.Error(), "50 "+universe.At(0).String()) {
		t.Errorf("event %d: %v", n+1, err)
	}
}

// goldenHistory is the history of account 7, with a bust and a correction in it.
func goldenHistory(tb testing.TB) []positions.Event {
	tb.Helper()
	book, prices := positions.NewBook(universe), universe.Opening()
	at := time.Date(2026, 1, 2, 9, 30, 0, 123456789, time.UTC)
	var events []positions.Event
	apply := func(ev positions.Event, reason any, refused bool) {
		if refused {
			tb.Fatal(reason)
		}
		book.Apply(&ev)
		events = append(events, ev)
		at = at.Add(time.Second)
	}
	var ev positions.Event
	adjustment := positions.Adjustment{Cash: 1_000_000_0000, Reason: "account opened", Actor: "papertape"}
	r := book.DecideAdjustment(7, &adjustment, prices, at.UnixNano(), &ev)
	apply(ev, r.Reason, r.Reason != positions.NoRefusal)
	trade := func(side positions.Side, quantity, price int64, id string, origin positions.Origin) {
		t := positions.Trade{Quantity: quantity, Price: price, Amount: quantity * price, Side: side, Origin: origin}
		t.OrderID, _ = positions.MakeOrderID([]byte(id))
		v, _ := book.View(7)
		row, _ := v.Find(0)
		after, cash, err := stepTrade(row, v.Cash(), &t)
		if err != nil {
			tb.Fatal(err)
		}
		after.Version = v.Seq() + 1
		apply(positions.Event{
			Account: 7, Seq: after.Version, Time: at.UnixNano(), Cash: cash, TotalMarketValue: after.Quantity * price,
			Trade:    t,
			Position: positions.Position{Row: after, Sellable: after.Quantity, Price: price}, Kind: positions.KindTrade,
			Change: changeOf(row.Quantity, after.Quantity),
		}, nil, false)
	}
	bust := func(r positions.BustRequest) {
		f := positions.NewFold(universe, &r)
		for i := range events {
			if err := f.Add(&events[i]); err != nil {
				tb.Fatal(err)
			}
		}
		var ev positions.Event
		o := book.DecideBust(f, prices, at.UnixNano(), &ev)
		apply(ev, o, o.Reason != positions.NoBustRefusal)
	}
	trade(positions.Buy, 100, 10_0000, "first order", positions.OriginClient)
	trade(positions.Buy, 100, 20_0000, "", positions.OriginSimulator)
	trade(positions.Sell, 50, 18_0000, "", positions.OriginClient)
	bust(positions.BustRequest{Account: 7, TradeSeq: 3, Reason: "wrong price", Actor: "ops", ID: "b-1"})
	bust(positions.BustRequest{
		Account: 7, TradeSeq: 2, Reason: "wrong price", Actor: "ops", Correct: true, Price: 9_9800, Quantity: 100,
	})
	bust(positions.BustRequest{Account: 7, TradeSeq: 2, Reason: "it never was", Actor: "ops",
		Policy: positions.PolicyCascade})
	books := func(r positions.BookingRequest) {
		r.Account, r.Actor = 7, "ops"
		var ev positions.Event
		refusal := book.DecideBooking(&r, prices, at.UnixNano(), &ev)
		apply(ev, refusal, refusal.Reason != positions.NoRefusal)
	}
	trade(positions.Buy, 10, 10_0000, "", positions.OriginClient)
	books(positions.BookingRequest{Kind: positions.Withdrawal, Amount: 5_0000, Reason: "paid out", ID: "w-1"})
	books(positions.BookingRequest{Kind: positions.ResetTo, Amount: 500_0000, Reason: "a new term", ID: "r-1"})
	trade(positions.Buy, 20, 10_0000, "", positions.OriginClient)
	books(positions.BookingRequest{Kind: positions.ResetTo, Reason: "the end"})
	return events
}

// TestVerifyCheckpoints: a checkpoint that differs from what the events lead to is found.
func TestVerifyCheckpoints(t *testing.T) {
	disk := vfs.NewMem()
	o := testOptions(t, disk, Sync)
	j, _ := mustRecover(t, "data", o)
	w := newWorld(1, 2, 9)
	w.run(t, j, 30, 6)
	mustCheckpoint(t, j, w)
	w.run(t, j, 10, 6)
	mustClose(t, j)
	_, r := mustRecover(t, "data", testOptions(t, cloneDisk(t, disk), Sync))
	account := r.accounts[100001].loaded
	if len(account.Rows) == 0 || len(account.IDs) == 0 {
		t.Fatal("there is nothing to lie about")
	}
	for name, c := range map[string]struct {
		spoil func(*engine.AccountState, *pebble.DB)
		want  string
	}{
		"cash": {func(st *engine.AccountState, _ *pebble.DB) { st.Cash.Balance++ }, "has cash"},
		"row":  {func(st *engine.AccountState, _ *pebble.DB) { st.Rows[0].Cost++ }, "and its events come to"},
		"a row less": {func(st *engine.AccountState, _ *pebble.DB) {
			st.Rows = st.Rows[1:]
		}, "rows, and its events come to"},
		"no such row": {
			func(st *engine.AccountState, _ *pebble.DB) { st.Rows[len(st.Rows)-1].Instrument = 40 },
			"and its events come to 0 ",
		},
		"sequence": {func(st *engine.AccountState, _ *pebble.DB) {
			st.Seq++
		}, "and the account's checkpoint is of event"},
		"an earlier":     {func(st *engine.AccountState, _ *pebble.DB) { st.Seq-- }, ""},
		"order id":       {func(st *engine.AccountState, db *pebble.DB) { spoilID(t, db, st.IDs[0], 1) }, "order ids"},
		"order id's end": {func(st *engine.AccountState, db *pebble.DB) { spoilID(t, db, st.IDs[0], 15) }, "order ids"},
		"content":        {func(st *engine.AccountState, db *pebble.DB) { spoilID(t, db, st.IDs[0], 16) }, "order ids"},
		"an id less": {func(st *engine.AccountState, db *pebble.DB) {
			must(t, db.Delete(orderIDKey(100001, st.IDs[0].Seq), nil))
		}, "order ids"},
		"an id more": {
			func(_ *engine.AccountState, db *pebble.DB) { putValue(t, db, orderIDKey(100001, 1), make([]byte, 24)) },
			"order ids",
		},
		"other events": {func(_ *engine.AccountState, db *pebble.DB) {
			spoilRun(t, db, w.shards[0].accounts[100001].events[:account.Seq])
		}, "event 2: "},
	} {
		t.Run(name, func(t *testing.T) {
			spoilt := cloneDisk(t, disk)
			editDB(t, spoilt, func(db *pebble.DB) {
				st := account
				st.Rows = slices.Clone(st.Rows)
				c.spoil(&st, db)
				putValue(t, db, accountKey(100001), appendAccount(nil, &st, record.NewTable(universe)))
			})
			_, err := Verify(context.Background(), "data", testOptions(t, spoilt, Sync))
			if err == nil || !strings.Contains(err.Error(), "account 100001") ||
				!strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
		})
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func spoilID(tb testing.TB, db *pebble.DB, r engine.OrderIDRecord, at int) {
	tb.Helper()
	body := appendOrderID(nil, &r)
	body[at] ^= 1
	putValue(tb, db, orderIDKey(100001, r.Seq), body)
}

// spoilRun changes the second event of a stored run.
func spoilRun(tb testing.TB, db *pebble.DB, events []positions.Event) {
	tb.Helper()
	events = slices.Clone(events[:min(len(events), runEventsMax)])
	events[1].Cash.Balance++
	putValue(tb, db, runKey(100001, 1), runOf(events))
}

// TestVerifyBlocksAgainstRuns: an event that is in a block and in a run must be the same in
// both.
func TestVerifyBlocksAgainstRuns(t *testing.T) {
	disk := vfs.NewMem()
	o := testOptions(t, disk, Sync)
	j, _ := mustRecover(t, "data", o)
	w := newWorld(1, 2, 9)
	w.run(t, j, 20, 6)
	given := errors.New("given up")
	if err := j.Checkpoint(context.Background(), &interruptedCheckpoint{w, 1, given}); !errors.Is(err, given) {
		t.Fatal(err)
	}
	mustClose(t, j)
	if _, err := Verify(context.Background(), "data", o); err != nil {
		t.Fatal(err)
	}
	events := slices.Clone(w.shards[0].accounts[100001].events)
	events[0].TotalMarketValue++ // no other check would notice
	editDB(t, disk, func(db *pebble.DB) {
		putValue(t, db, runKey(100001, 1), runOf(events[:min(len(events), runEventsMax)]))
	})
	const want = "event 1 of account 100001: the history has another than commit 1"
	if _, err := Verify(context.Background(), "data", o); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v", err)
	}
}

// TestVerifyGivenUp: the end of the context is returned as such, not as damage.
func TestVerifyGivenUp(t *testing.T) {
	disk := vfs.NewMem()
	o := testOptions(t, disk, Sync)
	j, _ := mustRecover(t, "data", o)
	w := newWorld(1, 2, 9)
	w.run(t, j, 20, 6)
	mustCheckpoint(t, j, w)
	mustClose(t, j)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Verify(ctx, "data", o); !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "damage") {
		t.Errorf("%v", err)
	}
}

// TestExport writes a file for each account, from runs and from blocks, and overwrites none.
func TestExport(t *testing.T) {
	disk := vfs.NewMem()
	o := testOptions(t, disk, Sync)
	j, _ := mustRecover(t, "data", o)
	w := newWorld(1, 1, 1)
	s := w.shards[0]
	history := goldenHistory(t)
	s.accountNumber = func(int) uint64 { return 7 }
	for i, ev := range history {
		s.apply(ev)
		if err := commit(j, ev); err != nil {
			t.Fatal(err)
		}
		if i == 3 {
			mustCheckpoint(t, j, w)
		}
	}
	if err := commit(j, opening(8)); err != nil {
		t.Fatal(err)
	}
	mustClose(t, j)
	out := filepath.Join(t.TempDir(), "export")
	sum, err := Export(context.Background(), "data", out, o)
	if err != nil || sum.Accounts != 2 || sum.Events != 13 {
		t.Fatalf("%+v, %v", sum, err)
	}
	got, err := os.ReadFile(filepath.Join(out, "7.txt"))
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "export.txt")
	if *update {
		must(t, os.WriteFile(golden, got, 0o644))
	}
	if want, err := os.ReadFile(golden); err != nil || string(got) != string(want) {
		t.Errorf("%v, got\n%s", err, got)
	}
	if other, err := os.ReadFile(filepath.Join(out, "8.txt")); err != nil || strings.Count(string(other), "\n") != 2 {
		t.Errorf("%v: %s", err, other)
	}
	if _, err := Export(context.Background(), "data", out, o); !errors.Is(err, os.ErrExist) {
		t.Errorf("a second one over it: %v", err)
	}
	if sum, err := Verify(context.Background(), "data", o); err != nil || sum.Events != 13 {
		t.Errorf("%+v, %v", sum, err)
	}
}
