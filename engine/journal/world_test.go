package journal

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/record"
)

// world is a deliberately dumb engine. Its shards are a mutex and a book. An account is the
// slice of all its events, and its state after event n is computed from the first n events.
type world struct {
	shards  []*worldShard
	wanted  chan struct{}
	journal atomic.Pointer[Journal] // where steps and checkpoints go
	marked  int                     // checkpoints that became durable

	acks struct { // apart from the shards, because a step that waits for the disk holds its shard
		sync.Mutex
		list []ack
	}
}

// ack says that an account's events up to the n-th were acknowledged, and which block was the
// newest then.
type ack struct {
	account   uint64
	n         int
	committed uint64
}

type worldShard struct {
	mu            sync.Mutex // held during a step, and while an account is copied
	book          *positions.Book
	rng           *rand.Rand
	numbers       []uint64 // accounts, in the order in which they were opened
	accounts      map[uint64]*worldAccount
	accountNumber func(int) uint64 // the n-th account of this shard
	accountsMax   int              // accounts
	withoutResets bool             // as before there were any
}

type worldAccount struct {
	events         []positions.Event // events[n].Seq == n+1
	copied, stored int               // up to which event it was copied for a checkpoint, and stored with a mark
	unkeyed        int               // up to which event format 1 has remembered its order ids
}

// recordsOf returns the records of events.
func recordsOf(t *record.Table, events []positions.Event) (records []byte) {
	for i := range events {
		records = t.Append(records, &events[i])
	}
	return records
}

// commit commits events, as the engine does.
func commit(j *Journal, events ...positions.Event) error {
	return j.Commit(recordsOf(j.table, events), len(events))
}

func newWorld(shards, accounts int, seed uint64) *world {
	w := &world{wanted: make(chan struct{}, 1)}
	for i := range shards {
		w.shards = append(w.shards, &worldShard{
			book: positions.NewBook(universe), rng: rand.New(rand.NewPCG(seed, uint64(i))),
			accounts: make(map[uint64]*worldAccount), accountsMax: accounts,
			accountNumber: func(n int) uint64 { return uint64(100_001 + n*shards + i) },
		})
	}
	return w
}

// beforeResets makes no resets, as the programs of format 1.
func (w *world) beforeResets() *world {
	for _, s := range w.shards {
		s.withoutResets = true
	}
	return w
}

// step decides n events, commits them, and records them as acknowledged.
func (w *world) step(shard int, j *Journal, n int) error {
	s := w.shards[shard]
	s.mu.Lock()
	defer s.mu.Unlock()
	var events []positions.Event
	for range n {
		if ev, ok := s.decide(); ok {
			s.apply(ev)
			events = append(events, ev)
		}
	}
	if err := commit(j, events...); err != nil {
		return err
	}
	w.acks.Lock()
	defer w.acks.Unlock()
	for i := range events {
		w.acks.list = append(w.acks.list, ack{events[i].Account, int(events[i].Seq), j.Committed()})
	}
	return nil
}

func (s *worldShard) apply(ev positions.Event) {
	s.book.Apply(&ev)
	a := s.accounts[ev.Account]
	if a == nil {
		a = new(worldAccount)
		s.accounts[ev.Account] = a
		s.numbers = append(s.numbers, ev.Account)
	}
	a.events = append(a.events, ev)
}

// decide makes an event of an old or a new account: an adjustment, a trade, now and then a bust
// or a correction.
func (s *worldShard) decide() (ev positions.Event, ok bool) {
	prices, now := universe.Opening(), int64(1_767_225_600_000_000_000)+s.rng.Int64N(1e18)
	if len(s.numbers) < s.accountsMax && (len(s.numbers) == 0 || s.rng.IntN(8) == 0) {
		adjustment := positions.Adjustment{Cash: 1_000_000_000_0000, Reason: "opened", Actor: "test"}
		r := s.book.DecideAdjustment(s.accountNumber(len(s.numbers)), &adjustment, prices, now, &ev)
		return ev, r.Reason == positions.NoRefusal
	}
	number := s.numbers[s.rng.IntN(len(s.numbers))]
	switch n := s.rng.IntN(100); {
	case n < 4:
		adjustment := positions.Adjustment{Cash: s.rng.Int64N(1e9) - 1e7, Reason: "correction of cash", Actor: "test"}
		r := s.book.DecideAdjustment(number, &adjustment, prices, now, &ev)
		return ev, r.Reason == positions.NoRefusal
	case n < 14:
		return s.decideBust(number, prices, now)
	case n >= 98 && !s.withoutResets:
		reset := positions.Reset{
			Cash: s.rng.Int64N(1e12), Reason: "anew", Actor: "test", ID: fmt.Sprint("r", s.rng.Uint32()),
		}
		r := s.book.DecideReset(number, &reset, now, &ev)
		return ev, r.Reason == positions.NoRefusal
	}
	o := positions.Order{
		Account: number, Quantity: 1 + s.rng.Int64N(300), Instrument: market.ID(s.rng.IntN(8)),
		Side: positions.Side(1 + s.rng.IntN(2)), Origin: positions.Origin(1 + s.rng.IntN(3)),
	}
	if s.rng.IntN(2) == 0 {
		o.ID, _ = positions.MakeOrderID(fmt.Appendf(nil, "order-%d-%d", len(s.accounts[number].events), s.rng.Uint32()))
	}
	if s.rng.IntN(3) == 0 {
		o.Limit = prices.At(o.Instrument)
	}
	r := s.book.Decide(&o, prices, now, &ev)
	return ev, r.Reason == positions.NoRefusal
}

func (s *worldShard) decideBust(number uint64, prices *market.Prices, now int64) (ev positions.Event, ok bool) {
	history := s.accounts[number].events
	r := bustRequest(s.rng, number, len(history))
	f := positions.NewFold(universe, &r)
	for i := range history {
		if err := f.Add(&history[i]); err != nil {
			panic(err)
		}
	}
	o := s.book.DecideBust(f, prices, now, &ev)
	return ev, o.Reason == positions.NoBustRefusal && o.Repeats == 0
}

// bustRequest busts or corrects one of an account's first n events. It prefers early ones, so
// that there are corrections of corrections, and busts of trades whose shares were sold since.
func bustRequest(rng *rand.Rand, account uint64, n int) positions.BustRequest {
	if rng.IntN(2) == 0 {
		n = min(n, 12)
	}
	r := positions.BustRequest{
		Account: account, TradeSeq: 1 + uint64(rng.IntN(n)), Reason: "wrong price", Actor: "test",
		Policy: positions.PolicyCascade,
	}
	if rng.IntN(4) == 0 {
		r.Policy = positions.PolicyReject
	}
	if rng.IntN(2) == 0 {
		r.Correct, r.Price, r.Quantity = true, 1+rng.Int64N(100_0000), 1+rng.Int64N(300)
	}
	if rng.IntN(2) == 0 {
		r.ID = fmt.Sprintf("bust-%d", rng.Uint32())
	}
	return r
}

// Checkpoint does as the engine does: per shard, first the mark, then account by account, with
// steps in between.
func (w *world) Checkpoint(ctx context.Context, store func([]engine.AccountState) error) (uint64, error) {
	mark := ^uint64(0)
	for _, s := range w.shards {
		noted, numbers := w.note(s)
		mark = min(mark, noted)
		for _, number := range numbers {
			st, ok := s.copy(number, w.journal.Load())
			if !ok {
				continue
			}
			if err := store([]engine.AccountState{st}); err != nil {
				return 0, err
			}
			if err := ctx.Err(); err != nil {
				return 0, err
			}
		}
	}
	return mark, nil
}

func (w *world) note(s *worldShard) (noted uint64, numbers []uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return w.journal.Load().Committed(), slices.Clone(s.numbers)
}

func (s *worldShard) copy(number uint64, j *Journal) (st engine.AccountState, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[number]
	if a.stored == len(a.events) {
		return st, false
	}
	v, _ := s.book.View(number)
	st = engine.AccountState{Account: number, Seq: v.Seq(), Cash: v.Cash(), Rows: v.AppendRows(nil)}
	for left := a.events[a.stored:]; len(left) > 0; { // as they lie in the chunks of the engine's memory
		n := min(len(left), 1+s.rng.IntN(64))
		st.Runs = append(st.Runs, recordsOf(j.table, left[:n]))
		st.Count, left = st.Count+uint64(n), left[n:]
	}
	before, now := a.rememberedIDs(a.stored, &j.idKey), a.rememberedIDs(len(a.events), &j.idKey)
	for _, r := range now {
		if !slices.Contains(before, r) {
			st.IDs = append(st.IDs, r)
		}
	}
	for _, r := range before {
		if !slices.Contains(now, r) {
			st.Forgotten = append(st.Forgotten, r)
		}
	}
	a.copied = len(a.events)
	return st, true
}

func (w *world) Checkpointed() {
	for _, s := range w.shards {
		s.mu.Lock()
		for _, a := range s.accounts {
			a.stored = max(a.stored, a.copied)
		}
		s.mu.Unlock()
	}
	w.marked++
}

func (w *world) CheckpointWanted() <-chan struct{} { return w.wanted }

// rememberedIDs returns the order ids of the last orderIDsMax trades that have one, among the first n
// events.
func (a *worldAccount) rememberedIDs(n int, key *record.IDKey) (ids []engine.OrderIDRecord) {
	for i := range a.events[:n] {
		if ev := &a.events[i]; ev.Kind == positions.KindTrade && !ev.Trade.OrderID.IsZero() {
			ids = append(ids, orderIDOf(&orderOf{ev.Seq, ev.Trade}, universe, key, i >= a.unkeyed))
		}
	}
	return ids[max(0, len(ids)-orderIDsMax):]
}

func (w *world) each(f func(number uint64, a *worldAccount)) {
	for _, s := range w.shards {
		s.mu.Lock()
		for _, number := range slices.Sorted(maps.Keys(s.accounts)) {
			f(number, s.accounts[number])
		}
		s.mu.Unlock()
	}
}

// acked returns, by account, how many events were acknowledged when the block upTo was the
// newest.
func (w *world) acked(upTo uint64) map[uint64]int {
	w.acks.Lock()
	defer w.acks.Unlock()
	acked := make(map[uint64]int)
	for _, a := range w.acks.list {
		if a.committed <= upTo {
			acked[a.account] = max(acked[a.account], a.n)
		}
	}
	return acked
}

const everything = ^uint64(0)

// stateAfter computes the state of an account from its events.
func stateAfter(events []positions.Event) (cash positions.Cash, rows map[market.ID]positions.Row) {
	rows = make(map[market.ID]positions.Row)
	set := func(r positions.Row) {
		if rows[r.Instrument] = r; r.Quantity == 0 {
			delete(rows, r.Instrument)
		}
	}
	for i := range events {
		cash = events[i].Cash
		switch ev := &events[i]; ev.Kind {
		case positions.KindTrade:
			set(ev.Position.Row)
		case positions.KindBust:
			for _, p := range ev.Bust.Positions {
				set(p.Row)
			}
		case positions.KindReset:
			clear(rows)
		}
	}
	return cash, rows
}

func stateHash(account uint64, events []positions.Event) uint64 {
	cash, byID := stateAfter(events)
	var rows []positions.Position
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		rows = append(rows, positions.Position{Row: byID[id]})
	}
	return positions.StateHash(universe, account, uint64(len(events)), cash, rows)
}

// goOnFrom returns a world that goes on from what was recovered of w. It forgets what was not
// recovered, as if it had never been decided.
func (w *world) goOnFrom(r *recovered, seed uint64) *world {
	next := newWorld(len(w.shards), w.shards[0].accountsMax, seed)
	for i, s := range next.shards {
		for n := range s.accountsMax {
			number := s.accountNumber(n)
			got := r.accounts[number]
			if got == nil {
				break // accounts of a shard are opened in this order
			}
			for _, ev := range w.shards[i].accounts[number].events[:got.seq] {
				s.apply(ev)
			}
			s.accounts[number].stored = int(got.loaded.Seq)
			s.accounts[number].unkeyed = w.shards[i].accounts[number].unkeyed
			next.acks.list = append(next.acks.list, ack{number, int(got.seq), 0})
		}
	}
	return next
}

// smallPebble makes Pebble do with few events what it does with many: flushes, compactions, new
// and recycled logs.
func smallPebble(o *pebble.Options) {
	o.MemTableSize = 16 << 10
	o.MemTableStopWritesThreshold = 4
	o.CacheSize = 1 << 20
	o.L0CompactionThreshold = 2
	o.L0StopWritesThreshold = 1000
	for i := range o.Levels {
		o.Levels[i].BlockSize = 1 << 10
	}
	o.LBaseMaxBytes = 64 << 10
	for i := range o.TargetFileSizes {
		o.TargetFileSizes[i] = 16 << 10
	}
}

// testOptions returns options for a small journal on a disk in memory. A failure of the disk
// fails the test.
func testOptions(tb testing.TB, disk vfs.FS, mode Mode) Options {
	tb.Helper()
	return Options{
		Mode: mode, Universe: universe, FS: disk, Log: zerolog.Nop(), tune: smallPebble,
		SyncInterval: 2 * time.Millisecond, CheckpointInterval: time.Hour, watchInterval: 2 * time.Millisecond,
		Fatal: func(err error) {
			tb.Errorf("the disk failed: %v", err)
			select {}
		},
	}
}

// mustRecover opens a journal and recovers it. The end of the test closes it, unless the test
// has.
func mustRecover(tb testing.TB, dir string, o Options) (*Journal, *recovered) {
	tb.Helper()
	j, r, err := recoverFrom(dir, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := j.Close(); err != nil {
			tb.Error(err)
		}
	})
	return j, r
}

func mustClose(tb testing.TB, j *Journal) {
	tb.Helper()
	if err := j.Close(); err != nil {
		tb.Fatal(err)
	}
}

// run makes steps on all shards in turn.
func (w *world) run(tb testing.TB, j *Journal, steps, events int) {
	tb.Helper()
	w.journal.Store(j)
	for i := range steps {
		if err := w.step(i%len(w.shards), j, events); err != nil {
			tb.Fatal(err)
		}
	}
}

func mustCheckpoint(tb testing.TB, j *Journal, w *world) {
	tb.Helper()
	w.journal.Store(j)
	if err := j.Checkpoint(context.Background(), w); err != nil {
		tb.Fatal(err)
	}
}

// testLog is a log that a test can read.
type testLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *testLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *testLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
