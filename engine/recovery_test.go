package engine

import (
	"strings"
	"testing"

	"github.com/papertape/papertape/positions"
)

// TestRecovery recovers an engine from a checkpoint and the commits after its mark, and continues
// with it.
func TestRecovery(t *testing.T) {
	o := options{keeps: true, tail: 2, ids: 3, shards: 2}
	w := newWorld(t, o, alice, bob)
	c := w.loggedIn(alice)
	order := func(n int64, id string) {
		c.order(buy(n, id))
		w.settle()
	}
	order(1, "a") // 2
	order(2, "b") // 3
	mark, err := w.eng.Checkpoint(t.Context(), w.journal.store)
	if err != nil {
		t.Fatal(err)
	}
	w.journal.mark = int(mark)
	w.eng.Checkpointed()
	order(3, "c") // 4
	order(4, "d") // 5; forgets a
	w.eng.Stop()
	if n := len(w.journal.stored[alice].IDs); n != 2 || len(w.journal.blocks) == w.journal.mark {
		t.Fatalf("%d ids are stored, %d blocks up to %d are dropped: the test needs both", n, len(w.journal.blocks),
			w.journal.mark)
	}

	o.journal, o.shards = w.journal.restart(0), 3
	again := newWorld(t, o, alice, bob)
	a := again.account(alice)
	if a.tail.head != 5 || a.tail.stored != 3 || a.tail.oldest != 4 {
		t.Fatalf("the tail holds %d to %d, stored is %d", a.tail.oldest, a.tail.head, a.tail.stored)
	}
	c = again.connect(alice)
	c.login(ModeResume, 1)
	again.settle()
	c.expect("LOGIN RESUME head=5 oldest=1 after=1 #1", "EVENT 2 replay", "EVENT 3 replay", "EVENT 4 replay",
		"EVENT 5 replay")
	for _, o := range []positions.Order{buy(2, "b"), buy(3, "c"), buy(4, "d"), buy(5, "d"), buy(1, "a")} {
		c.order(o)
		again.settle()
	}
	c.expect("REPEAT 3 #2", "REPEAT 4 #3", "REPEAT 5 #4", "FAILED DUPLICATE_ORDER_ID #5", "EXECUTION 6 #6")
	expectStored(t, again.stored(), "100100 at 6 from 4 +4 +5 +6 -2 -3")
	again.eng.Checkpointed()
}

// TestRecoveryWantsACheckpoint: a recovery that replays many events requests a checkpoint, and if
// they are too many, orders are refused until it is made.
func TestRecoveryWantsACheckpoint(t *testing.T) {
	w := newWorld(t, options{keeps: true, uncheckpointed: 6}, alice)
	for range 4 {
		w.trade1(alice)
	}
	w.settle()
	for _, shrunk := range []int64{6, 4} { // the second bound is smaller than when the events came
		w.eng.Stop()
		eng, err := New(w.eng.cfg)
		if err != nil {
			t.Fatal(err)
		}
		eng.shards[0].unstoredMax = shrunk * testRecordBytes
		if err := w.journal.recover(eng); err != nil {
			t.Fatal(err)
		}
		if len(eng.CheckpointWanted()) != 1 {
			t.Errorf("no checkpoint is wanted with 5 events of %d replayed", shrunk)
		}
		if full := eng.shards[0].uncheckpointedFull(); full != (shrunk < 5) {
			t.Errorf("full with 5 events of %d: %v", shrunk, full)
		}
		eng.Stop()
	}
}

func TestLoadRefuses(t *testing.T) {
	row := positions.Row{Instrument: ten, Quantity: 1, Cost: 5, Version: 5}
	for name, test := range map[string]struct {
		change func(*AccountState)
		want   string
	}{
		"no event": {func(st *AccountState) { st.Seq, st.IDs = 0, nil },
			"account 100100 is restored as of event 0"},
		"twice": {func(st *AccountState) { st.Account = bob }, "account 100200 is restored twice"},
		"negative": {func(st *AccountState) { st.Cash.Balance = -1 },
			"account 100100 as of event 5: a balance of -1"},
		"a row of 0":   {func(st *AccountState) { st.Rows[0].Quantity = 0 }, "the row of instrument 0 has quantity 0"},
		"row's future": {func(st *AccountState) { st.Rows[0].Version = 6 }, "was last changed by event 6"},
		"rows twice": {func(st *AccountState) { st.Rows = append(st.Rows, row) },
			"the row of instrument 0 comes after that of 0"},
		"too many ids": {func(st *AccountState) { st.IDs = make([]OrderIDRecord, orderIDsMax+1) },
			"remembers 4097 order ids"},
		"ids backward": {func(st *AccountState) { st.IDs[1].Seq = 2 }, "an order id of event 2 after one of 2"},
		"id's future": {func(st *AccountState) { st.IDs[1].Seq = 6 },
			"account 100100 as of event 5 has an order id of event 6"},
		"with events": {func(st *AccountState) { st.Runs = make([][]byte, 1) }, "loaded with events"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, options{keeps: true}, bob)
			st := AccountState{
				Account: alice, Seq: 5, Cash: positions.Cash{Balance: 7}, Rows: []positions.Row{row},
				IDs: []OrderIDRecord{{Seq: 2}, {Seq: 5}},
			}
			test.change(&st)
			err := w.eng.Load(&st)
			if err == nil || !strings.HasPrefix(err.Error(), "engine: load: ") ||
				!strings.Contains(err.Error(), test.want) {
				t.Errorf("Load: %v, want %q", err, test.want)
			}
			if a := w.account(alice); a != nil {
				t.Error("the account is there all the same")
			}
		})
	}
}

func TestReplayRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*positions.Event)
		want   string // empty: the event is skipped
	}{
		"had already": {func(ev *positions.Event) { ev.Seq = 2 }, ""},
		"a hole": {func(ev *positions.Event) { ev.Seq = 4 },
			"account 100100 is at event 2, so 3 is next; this is event 4"},
		"unknown": {func(ev *positions.Event) { ev.Account = bob },
			"account 100200 is at event 0, so 1 is next; this is event 3"},
		"no kind": {func(ev *positions.Event) { ev.Kind = 9 },
			"engine: replay: event 3 of account 100100: it is of unknown kind 9"},
		"no row": {func(ev *positions.Event) { ev.Position.Instrument = ten },
			"its trade is in instrument 2, its row in 0"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, options{keeps: true}, alice)
			w.trade1(alice)
			w.settle()
			ev := w.journal.events(alice)[1]
			ev.Seq = 3
			ev.Position.Version = 3
			test.change(&ev)
			err := w.eng.Replay(&ev, []byte("record"))
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("Replay: %v, want %q", err, test.want)
			}
			if a := w.account(alice); a.tail.head != 2 || w.account(bob) != nil {
				t.Errorf("the account is at %d", a.tail.head)
			}
		})
	}
}
