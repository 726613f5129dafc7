package engine

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/papertape/papertape/positions"
)

// TestLives lets an engine trade, makes checkpoints slice by slice between the trades, and kills
// the engine again and again: in a step, in a checkpoint, between a checkpoint and its mark, and
// between the mark and Checkpointed. It compares what is left with a model that only knows the list
// of events that clients were sent.
func TestLives(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	rapid.Check(t, func(t *rapid.T) {
		l := newLives(t)
		defer func() { l.w.close() }()
		for range rapid.IntRange(1, 40).Draw(t, "moves") {
			l.move()
		}
		l.crash()
		l.trade()
		l.compare()
	})
}

// lives is one journal, the engines that use it one after the other, and what clients know.
type lives struct {
	t        *rapid.T
	o        options
	w        *world
	accounts []uint64
	traders  map[uint64]*conn // by account; a new connection in each life
	readers  []*follower

	// The model: the events that clients of each account were sent, in order.
	history map[uint64][]positions.Event
	used    []positions.Order // orders with ids, to be repeated

	cp *pausedCheckpoint
}

// follower is a client that only reads. At times it is disconnected, and then resumes where it left
// off.
type follower struct {
	account uint64
	seq     uint64 // of its newest event
	conn    *conn  // nil: disconnected
	read    int    // frames of conn that have been checked
}

func newLives(t *rapid.T) *lives {
	l := &lives{
		t: t, accounts: []uint64{alice, bob, carol, carol + 100, carol + 200}, traders: make(map[uint64]*conn),
		history: make(map[uint64][]positions.Event),
		o: options{
			keeps: true, shards: rapid.IntRange(1, 3).Draw(t, "shards"), tail: rapid.IntRange(1, 5).Draw(t, "tail"),
			ids: rapid.IntRange(1, 4).Draw(t, "ids"), slice: rapid.IntRange(1, 2).Draw(t, "accounts of a slice"),
			bytes:          rapid.SampledFrom([]int64{0, -1, 5 * chunkBytesMin}).Draw(t, "bytes"),
			uncheckpointed: rapid.SampledFrom([]int64{0, 0, 25}).Draw(t, "uncheckpointed"),
		},
	}
	l.w = makeWorld(t, l.o, l.accounts...)
	l.cp = &pausedCheckpoint{w: l.w}
	for _, number := range l.accounts {
		l.history[number] = l.w.journal.events(number)
		l.readers = append(l.readers, &follower{account: number})
	}
	l.connect()
	return l
}

// connect logs the traders in.
func (l *lives) connect() {
	for _, number := range l.accounts {
		l.traders[number] = l.w.loggedIn(number)
	}
}

func (l *lives) move() {
	switch kind := rapid.IntRange(0, 13).Draw(l.t, "move"); {
	case kind <= 3:
		l.trade()
	case kind == 4:
		l.tradeTogether()
	case kind <= 8:
		l.advance()
	case kind <= 10:
		l.comeOrGo(rapid.SampledFrom(l.readers).Draw(l.t, "follower"))
	case kind == 11:
		l.repeatAll()
	case kind == 12:
		l.cp.giveUp(l.t)
	default:
		l.crash()
	}
}

// --- trading

// trade sends orders one at a time, and compares the answers with the model.
func (l *lives) trade() {
	for range rapid.IntRange(1, 6).Draw(l.t, "orders") {
		o := l.draw()
		s := l.w.eng.shardOf(o.Account)
		full := s.memory.unstored >= s.unstoredMax
		c := l.traders[o.Account]
		id := c.order(o)
		l.w.settle()
		if f := l.answered(&o, c.answer(id)); full && f.kind == "EXECUTION" {
			l.t.Fatalf("an order was executed with %d events of %d not checkpointed", s.memory.unstored, s.unstoredMax)
		}
	}
	l.follow()
}

// tradeTogether sends orders that are served in the same steps as part of a checkpoint.
func (l *lives) tradeTogether() {
	type sent struct {
		order positions.Order
		id    uint64
	}
	var all []sent
	l.w.together(func() {
		for range rapid.IntRange(1, 12).Draw(l.t, "orders") {
			o := l.draw()
			all = append(all, sent{o, l.traders[o.Account].order(o)})
		}
		l.cp.push()
		l.w.until("the checkpoint in a lane", func() bool {
			return l.cp.hasEnded() || slices.ContainsFunc(l.w.eng.shards, (*shard).asked)
		})
	})
	for _, s := range all {
		l.answered(&s.order, l.traders[s.order.Account].answer(s.id))
	}
	l.pull()
	l.follow()
}

// asked reports whether the control lane holds part of a checkpoint.
func (s *shard) asked() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.control, func(it item) bool {
		_, of := it.(*sliceItem)
		return of
	})
}

// answer returns the answer to a request, of which there must be one.
func (c *conn) answer(id uint64) frame {
	c.w.t.Helper()
	var answers []frame
	for _, f := range c.all() {
		if f.id == id {
			answers = append(answers, f)
		}
	}
	if len(answers) != 1 {
		c.w.t.Fatalf("request %d was answered %v", id, answers)
	}
	return answers[0]
}

func (l *lives) draw() positions.Order {
	o := buy(int64(len(l.used)) + 1)
	if rapid.IntRange(0, 3).Draw(l.t, "sells") == 0 {
		o.Side = positions.Sell
	}
	o.Account = rapid.SampledFrom(l.accounts).Draw(l.t, "account")
	switch rapid.IntRange(0, 3).Draw(l.t, "with an id") {
	case 0, 1:
		o.ID, _ = positions.MakeOrderID(fmt.Append(nil, "order ", len(l.used)))
		l.used = append(l.used, o)
	case 2:
		if len(l.used) > 0 {
			o = rapid.SampledFrom(l.used).Draw(l.t, "order again")
			if rapid.IntRange(0, 3).Draw(l.t, "other content") == 0 {
				o.Quantity++
			}
		}
	}
	return o
}

// answered compares the answer to an order with the model, and adds the event to the model.
func (l *lives) answered(o *positions.Order, f frame) frame {
	history := l.history[o.Account]
	if first, ok := l.remembered(o); ok {
		want := "REPEAT"
		if t := first.Trade; t.Side != o.Side || t.Quantity != o.Quantity || t.Instrument != o.Instrument ||
			t.Limit != o.Limit {
			want = "FAILED"
		}
		if f.kind != want || want == "REPEAT" && !reflect.DeepEqual(f.ev, first) ||
			want == "FAILED" && f.failure != FailureDuplicateOrderID {
			l.t.Fatalf("order %q of %d was executed by %+v; it is answered %s %+v", o.ID.String(), o.Account, first, f,
				f.ev)
		}
		return f
	}
	if f.kind == "FAILED" && f.failure == FailureUncheckpointed {
		if s := l.w.eng.shardOf(o.Account); s.memory.unstored < s.unstoredMax {
			l.t.Fatalf("BUSY with %d events of %d not checkpointed", s.memory.unstored, s.unstoredMax)
		}
		return f
	}
	var ev positions.Event
	r := fold(history).Decide(o, l.w.prices.Load(), f.ev.Time, &ev)
	if r.Reason != positions.NoRefusal {
		if f.kind != "REFUSED" || f.refusal.Reason != r.Reason {
			l.t.Fatalf("an order is answered %s, want %v", f, r.Reason)
		}
		return f
	}
	if f.kind != "EXECUTION" || !reflect.DeepEqual(f.ev, ev) {
		l.t.Fatalf("an order is answered %s %+v, want %+v", f, f.ev, ev)
	}
	l.history[o.Account] = append(history, ev)
	return f
}

// remembered returns the event that executed the order's id, if it is among the newest ids that the
// account remembers.
func (l *lives) remembered(o *positions.Order) (positions.Event, bool) {
	if o.ID.IsZero() {
		return positions.Event{}, false
	}
	n := 0
	for _, ev := range slices.Backward(l.history[o.Account]) {
		if ev.Trade.OrderID.IsZero() {
			continue
		}
		if n++; n > l.o.ids {
			break
		}
		if ev.Trade.OrderID == o.ID {
			return ev, true
		}
	}
	return positions.Event{}, false
}

func fold(history []positions.Event) *positions.Book {
	book := positions.NewBook(testUniverse)
	for i := range history {
		book.Apply(&history[i])
	}
	return book
}

// repeatAll repeats every order whose id should be remembered.
func (l *lives) repeatAll() {
	for _, o := range l.used {
		if _, ok := l.remembered(&o); !ok {
			continue
		}
		id := l.traders[o.Account].order(o)
		l.w.settle()
		l.answered(&o, l.traders[o.Account].answer(id))
	}
}

// --- clients that only read

func (l *lives) comeOrGo(f *follower) {
	if f.conn != nil {
		f.conn.logout()
		l.w.settle()
		f.conn = nil
		return
	}
	f.conn, f.read = l.w.connect(f.account), 0
	f.conn.piece = rapid.IntRange(1, 4).Draw(l.t, "piece")
	f.conn.login(ModeResume, f.seq)
	l.w.settle()
	head := len(l.history[f.account])
	want := LoginReply{Account: f.account, HeadSeq: uint64(head), OldestSeq: 1, After: f.seq, Epoch: 77,
		Mode: ModeResume}
	if got := f.conn.all()[0].reply; got != want {
		l.t.Fatalf("a resume after %d is answered %+v, want %+v", f.seq, got, want)
	}
	f.read = 1
	l.check(f)
}

// follow lets each follower read once, which need not complete its replay.
func (l *lives) follow() {
	for _, f := range l.readers {
		if f.conn != nil {
			f.conn.read()
			l.w.settle()
			l.check(f)
		}
	}
}

// check compares what a follower was sent with the model: each event once, in order.
func (l *lives) check(f *follower) {
	frames := f.conn.all()
	for _, fr := range frames[f.read:] {
		f.seq++
		if fr.kind != "EVENT" || fr.ev.Seq != f.seq || f.seq > uint64(len(l.history[f.account])) ||
			!reflect.DeepEqual(fr.ev, l.history[f.account][f.seq-1]) {
			l.t.Fatalf("a follower of %d was sent %s where event %d comes next: %+v", f.account, fr, f.seq, fr.ev)
		}
	}
	f.read = len(frames)
}

// --- checkpoints

// advance begins a checkpoint, or continues the one under way.
func (l *lives) advance() {
	for range rapid.IntRange(1, 6).Draw(l.t, "slices") {
		l.cp.push()
		if l.pull() {
			return
		}
	}
}

// pull takes the next slice of the checkpoint. If the checkpoint ends instead, its mark becomes
// durable.
func (l *lives) pull() (ended bool) {
	mark, ended := l.cp.pull()
	if !ended {
		return false
	}
	l.w.journal.set(func() { l.w.journal.mark = int(mark) })
	if rapid.IntRange(0, 3).Draw(l.t, "crash after the mark") == 0 {
		l.crash()
		return true
	}
	l.w.eng.Checkpointed()
	l.w.settle()
	l.checkMemory()
	return true
}

// checkMemory checks the invariants of each shard's memory.
func (l *lives) checkMemory() {
	for i, s := range l.w.eng.shards {
		var accounts []*account
		for _, number := range l.accounts {
			if l.w.eng.ShardOf(number) == i {
				accounts = append(accounts, l.w.account(number))
			}
		}
		if err := s.memory.check(accounts); err != nil {
			l.t.Fatalf("shard %d: %v", i, err)
		}
		for _, a := range accounts {
			if a.ids == nil {
				continue
			}
			if n := a.ids.first - a.ids.base; n > int(a.tail.head-a.tail.stored) {
				l.t.Fatalf("account %d keeps %d forgotten ids for %d events that are not checkpointed",
					a.number, n, a.tail.head-a.tail.stored)
			}
		}
	}
}

// --- the end of a life, and the next

// crash ends the engine, possibly with commits that never return, and recovers the next one.
func (l *lives) crash() {
	w := l.w
	sent, survivors := l.interrupt()
	l.cp.giveUp(l.t)
	w.eng.Stop()
	next := w.journal.restart(survivors)
	w.close()

	l.w = makeWorld(l.t, l.renewed(next), l.accounts...)
	l.cp = &pausedCheckpoint{w: l.w}
	for _, f := range l.readers {
		f.conn = nil
	}
	for _, number := range l.accounts {
		l.adopt(number, sent)
	}
	l.checkMemory()
	pressed := slices.ContainsFunc(l.w.eng.shards, (*shard).wantsCheckpoint)
	if wanted := len(l.w.eng.checkpointWanted) > 0; wanted != pressed {
		l.t.Fatalf("after the recovery a checkpoint is wanted: %v, want %v", wanted, pressed)
	}
	l.compare()
	l.connect()
}

// interrupt submits orders whose commits wait and then fail. It returns the orders, and how many of
// the commits reach the disk all the same.
func (l *lives) interrupt() (sent []positions.Order, survivors int) {
	w := l.w
	if !rapid.Bool().Draw(l.t, "in a step") {
		return nil, 0
	}
	release := w.journal.holdCommits()
	for range rapid.IntRange(1, 8).Draw(l.t, "orders") {
		o := l.draw()
		sent = append(sent, o)
		w.eng.Submit(o.Account, []Request{{Kind: KindOrder, Account: o.Account, Order: o}})
	}
	// Each shard ends up either idle, if all its orders were refused, or in a commit.
	w.until("all shards in a commit or idle", func() bool {
		w.journal.mu.Lock()
		defer w.journal.mu.Unlock()
		return w.eng.busy.Load() == int64(w.journal.committing)
	})
	survivors = rapid.IntRange(0, len(w.journal.pending)).Draw(l.t, "survivors")
	w.journal.set(func() { w.journal.failure = errCrash })
	committing := len(w.journal.pending)
	release()
	for range committing {
		_ = w.fatal()
	}
	return sent, survivors
}

func (l *lives) renewed(j *fakeJournal) options {
	o := l.o
	o.journal = j
	o.shards = rapid.IntRange(1, 3).Draw(l.t, "shards")
	return o
}

// adopt adds to the model the events that survived the crash although no client was sent them. They
// must be of orders that were sent.
func (l *lives) adopt(number uint64, sent []positions.Order) {
	known, all := l.history[number], l.w.journal.events(number)
	if len(all) < len(known) || !reflect.DeepEqual(all[:len(known)], known) {
		l.t.Fatalf("account %d had %d events; the journal has %d", number, len(known), len(all))
	}
	for _, ev := range all[len(known):] {
		if !slices.ContainsFunc(sent, func(o positions.Order) bool {
			return o.Account == number && o.ID == ev.Trade.OrderID && o.Quantity == ev.Trade.Quantity &&
				o.Side == ev.Trade.Side
		}) {
			l.t.Fatalf("account %d has an event that nobody ordered: %+v", number, ev)
		}
	}
	l.history[number] = all
}

// compare compares the holdings and the history of all accounts with the model.
func (l *lives) compare() {
	for _, number := range l.accounts {
		want, _, _ := fold(l.history[number]).Holdings(number, l.w.prices.Load(), nil)
		got, err := l.w.eng.Holdings(l.t.Context(), number)
		if err != nil || !sameHoldings(got, want) || got.Hash != want.Hash {
			l.t.Fatalf("account %d is %+v, %v; its events give %+v", number, got, err, want)
		}
		var events []positions.Event
		for before := uint64(0); before != 1; {
			page, oldest, err := l.w.eng.History(l.t.Context(), number, before, 3)
			if err != nil || oldest != 1 || len(page) == 0 {
				l.t.Fatalf("history of %d before %d: %d events, oldest %d, %v", number, before, len(page), oldest, err)
			}
			events = append(events, page...)
			before = page[len(page)-1].Seq
		}
		slices.Reverse(events)
		if !reflect.DeepEqual(events, l.history[number]) {
			l.t.Fatalf("account %d has a history of %d events, and they are not the %d that clients were sent",
				number, len(events), len(l.history[number]))
		}
	}
}
