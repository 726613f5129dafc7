package engine

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
)

// TestReconnectStorm: 10,000 sessions come back at once, and all need events that memory no longer
// has. No more than the maximum of readers are at work. Waiting sessions need no goroutine and may
// leave at any time, and every session that stays gets all its events.
func TestReconnectStorm(t *testing.T) {
	const sessions, accounts, reads = 10_000, 40, 8
	w := newWorld(t, options{keeps: true, shards: 4, tail: 1, reads: reads, sessions: sessions})
	if err := openAccounts(t.Context(), w.eng, accounts, 1); err != nil {
		t.Fatal(err)
	}
	for i := range accounts {
		for range 5 {
			w.trade1(firstAccount + uint64(i))
		}
	}
	w.settle()
	w.checkpoint()
	before := runtime.NumGoroutine()
	release := w.journal.holdReads()
	defer release()
	all := make([]*conn, sessions)
	for i := range all {
		c := w.connect(firstAccount + uint64(i%accounts))
		c.login(ModeResume, w.journal.head(c.account)-3)
		all[i] = c
	}
	w.until("all logged in", func() bool { return w.outlet.published() == sessions })
	w.until("all readers at work, all others waiting", func() bool {
		return w.readersReading() == reads && w.eng.busy.Load() == sessions &&
			!slices.ContainsFunc(w.eng.shards, (*shard).isArmed)
	})
	if n := runtime.NumGoroutine() - before; n > reads+2*len(w.eng.shards) {
		t.Errorf("%d goroutines for %d readers", n, reads)
	}
	for i := 0; i < sessions; i += 2 {
		all[i].logout()
	}
	w.until("those who left wait no longer", func() bool {
		return w.eng.busy.Load() <= sessions/2+reads && !slices.ContainsFunc(w.eng.shards, (*shard).isArmed)
	})
	release()
	w.settle()
	for i, c := range all {
		head := w.journal.head(c.account)
		want := []string{fmt.Sprintf("LOGIN RESUME head=%d oldest=1 after=%d #1", head, head-3)}
		if i%2 == 1 {
			want = append(want, events(int(head)-2, int(head), " replay")...)
		}
		c.expect(want...)
	}
	w.journal.set(func() {
		if n := w.journal.reads; n > sessions/2+reads {
			t.Errorf("%d reads for the %d sessions that stayed", n, sessions/2)
		}
	})
	if r := &w.eng.reads; len(r.free) != r.slots || r.slots > reads || r.waiting.next != &r.waiting {
		t.Errorf("%d slots, %d of them free", r.slots, len(r.free))
	}
}

func (s *shard) isArmed() bool { return !s.disarmed() }

// TestReadsWaitForTheDrainer: a result keeps its slot until the drainer has used it. Otherwise the
// results of a storm would pile up before a shard that is held up.
func TestReadsWaitForTheDrainer(t *testing.T) {
	const reads = 2
	w := newWorld(t, options{keeps: true, tail: 1, reads: reads}, alice)
	w.trade(alice, 5)
	asking := w.loggedIn(alice)
	var all []*conn
	releaseReads := w.journal.holdReads()
	defer releaseReads()
	for range 6 {
		c := w.connect(alice)
		c.login(ModeRestart, 0)
		all = append(all, c)
	}
	w.until("two readers, four waiting", func() bool { return w.readersReading() == reads && w.eng.busy.Load() == 6 })
	release := w.journal.holdCommits()
	defer release()
	asking.order(buy(1))
	w.until("the commit", w.committing)
	releaseReads()
	w.until("the results in the lane", func() bool { return w.lane(alice) == reads })
	w.journal.set(func() {
		if n := w.journal.reads; n != reads {
			t.Errorf("%d reads were begun while nobody uses their results", n)
		}
	})
	release()
	w.settle()
	for _, c := range all {
		c.expect(append(append([]string{"LOGIN RESTART head=6 oldest=1 after=0 #1"}, events(1, 6, " replay")...),
			"EVENT 7")...)
	}
	w.checkpoint()
	asking.history(3, 2) // the slots are free again
	w.settle()
	asking.expect("EXECUTION 7 #2", "HISTORY 2 1 oldest=1 #3")
}
