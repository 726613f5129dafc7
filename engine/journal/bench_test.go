package journal

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/rs/zerolog"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/record"
)

var benchEvents = flag.Int("benchevents", 1_000_000,
	"events that BenchmarkRecover replays, and that BenchmarkRead has stored")

// flow makes events of many accounts that look like real trading: an opening, then trades.
type flow struct {
	seqs []uint64 // newest sequence, by account
	next int
	base uint64
}

const flowBatch = 16

func newFlow(base uint64, accounts int) *flow {
	return &flow{seqs: make([]uint64, accounts), base: base}
}

// fill sets events to the next ones of the flow.
func (f *flow) fill(events []positions.Event) {
	for i := range events {
		account := f.base + uint64(f.next)
		f.seqs[f.next]++
		events[i] = flowEvent(account, f.seqs[f.next])
		f.next = (f.next + 1) % len(f.seqs)
	}
}

func flowEvent(account, seq uint64) positions.Event {
	ev := positions.Event{
		Account: account, Seq: seq, Time: 1_767_225_600_000_000_000 + int64(seq)*1_234_567,
		Cash: positions.Cash{Balance: 1_000_000_0000 + int64(seq)*7777, Realised: int64(seq) * 321},
	}
	if seq == 1 {
		ev.Kind = positions.KindAdjustment
		ev.Adjustment = &positions.Adjustment{Cash: 1_000_000_0000, Reason: "account opened", Actor: "papertape"}
		return ev
	}
	id := market.ID(seq % 10)
	price := universe.At(id).PreviousClose
	ev.Kind, ev.Change, ev.TotalMarketValue = positions.KindTrade, positions.Increased, 7_000_000_0000
	ev.Trade = positions.Trade{
		Quantity: 100, Price: price, Amount: 100 * price, Instrument: id, Side: positions.Buy,
		Origin: positions.OriginClient,
	}
	ev.Position = positions.Position{
		Row: positions.Row{Quantity: int64(seq) * 100, Cost: int64(seq) * 100 * price, Version: seq,
			Instrument: id},
		Sellable: int64(seq) * 100, Price: price,
	}
	return ev
}

func benchOptions(b *testing.B, mode Mode) Options {
	b.Helper()
	return Options{Mode: mode, Universe: universe, Log: zerolog.Nop(), Fatal: func(err error) { panic(err) }}
}

// cpu returns the user and system time that the process has used.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func percentile(d []time.Duration, p int) float64 {
	slices.Sort(d)
	return float64(d[min(len(d)-1, len(d)*p/100)].Microseconds())
}

// BenchmarkFsync measures the disk alone: it appends and syncs 4 KiB, as the commit of one
// waiting shard does.
func BenchmarkFsync(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "file"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	page := make([]byte, 4096)
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		if _, err := f.Write(page); err != nil {
			b.Fatal(err)
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	b.ReportMetric(percentile(took, 50), "p50-µs")
	b.ReportMetric(percentile(took, 99), "p99-µs")
}

// BenchmarkCommit measures commits of 16 events by shards that wait for each. An operation is
// an event. The case "none" has no journal, and measures how long it takes to make the events.
func BenchmarkCommit(b *testing.B) {
	for _, shards := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("none/shards=%d", shards), func(b *testing.B) {
			commits := newFlows(shards, false)
			used := commits.run(b, engine.NewMemoryJournal())
			b.ReportMetric(float64(used.Nanoseconds())/1000/float64(b.N), "cpu-µs/event")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
	for _, mode := range []Mode{Interval, Sync} {
		for _, shards := range []int{1, 8, 64} {
			b.Run(fmt.Sprintf("%s/shards=%d", mode, shards), func(b *testing.B) { benchCommit(b, mode, shards, false) })
		}
		b.Run(fmt.Sprintf("%s/shards=64/checkpoints", mode), func(b *testing.B) { benchCommit(b, mode, 64, true) })
	}
}

func benchCommit(b *testing.B, mode Mode, shards int, checkpoints bool) {
	o := benchOptions(b, mode)
	o.CheckpointInterval = time.Second
	j := benchJournal(b, b.TempDir(), o)
	var run sync.WaitGroup
	ctx, stop := context.WithCancel(context.Background())
	flows := newFlows(shards, checkpoints)
	flows.journal = j
	if checkpoints {
		run.Add(1)
		go func() {
			defer run.Done()
			if err := j.Run(ctx, flows); err != nil {
				b.Error(err)
			}
		}()
	}
	used := flows.run(b, j)
	stop()
	run.Wait()
	m := j.db.Metrics()
	written := m.WAL.BytesWritten
	for _, l := range m.Levels {
		written += l.TableBytesFlushed + l.TableBytesCompacted
	}
	events := float64(j.Stats().Events)
	b.ReportMetric(events/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(used.Nanoseconds())/1000/events, "cpu-µs/event")
	b.ReportMetric(float64(written)/events, "written-B/event")
	b.ReportMetric(events/float64(j.Committed()), "events/block")
	if err := j.Close(); err != nil {
		b.Fatal(err)
	}
}

// benchJournal returns a new journal that is ready for commits.
func benchJournal(b *testing.B, dir string, o Options) *Journal {
	b.Helper()
	j, err := Open(dir, o)
	if err == nil {
		err = j.Recover(context.Background(), refusing{}, nil)
	}
	if err != nil {
		b.Fatal(err)
	}
	return j
}

// flows stands in for an engine; it has just enough for checkpoints.
type flows struct {
	shards  []*flowShard
	journal *Journal
}

type flowShard struct {
	mu     sync.Mutex
	flow   *flow
	events [flowBatch]positions.Event
	table  *record.Table
	commit []byte
	keep   bool
	dirty  map[uint64]*flowAccount // since the last checkpoint
}

type flowAccount struct {
	last    positions.Event
	records []byte
	count   uint64
}

func newFlows(shards int, keep bool) *flows {
	f := new(flows)
	for i := range shards {
		f.shards = append(f.shards, &flowShard{
			flow: newFlow(uint64(1_000_000*(i+1)), 1000), table: record.NewTable(universe), keep: keep,
		})
	}
	return f
}

// run has all shards commit about b.N events, and returns the CPU time that this took.
func (f *flows) run(b *testing.B, j engine.Journal) time.Duration {
	var left atomic.Int64
	left.Store(int64(b.N))
	before := cpu(b)
	b.ResetTimer()
	var all sync.WaitGroup
	for _, s := range f.shards {
		all.Add(1)
		go func() {
			defer all.Done()
			for left.Add(-flowBatch) > -flowBatch {
				if err := s.step(j); err != nil {
					b.Error(err)
				}
			}
		}()
	}
	all.Wait()
	b.StopTimer()
	return cpu(b) - before
}

func (s *flowShard) step(j engine.Journal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flow.fill(s.events[:])
	s.commit = s.commit[:0]
	for i := range s.events {
		s.commit = s.table.Append(s.commit, &s.events[i])
	}
	if err := j.Commit(s.commit, len(s.events)); err != nil {
		return err
	}
	if s.keep {
		if s.dirty == nil {
			s.dirty = make(map[uint64]*flowAccount)
		}
		for i := range s.events {
			a := s.dirty[s.events[i].Account]
			if a == nil {
				a = new(flowAccount)
				s.dirty[s.events[i].Account] = a
			}
			a.last, a.records, a.count = s.events[i], s.table.Append(a.records, &s.events[i]), a.count+1
		}
	}
	return nil
}

func (f *flows) Checkpoint(_ context.Context, store func([]engine.AccountState) error) (uint64, error) {
	mark := ^uint64(0)
	for _, s := range f.shards {
		s.mu.Lock()
		mark = min(mark, f.journal.Committed())
		dirty := s.dirty
		s.dirty = nil
		s.mu.Unlock()
		for number, a := range dirty {
			last := &a.last
			st := engine.AccountState{
				Account: number, Seq: last.Seq, Cash: last.Cash, Runs: [][]byte{a.records}, Count: a.count,
			}
			for id := range market.ID(10) {
				row := last.Position.Row
				row.Instrument = id
				st.Rows = append(st.Rows, row)
			}
			if err := store([]engine.AccountState{st}); err != nil {
				return 0, err
			}
		}
	}
	return mark, nil
}

func (f *flows) Checkpointed() {}

func (f *flows) CheckpointWanted() <-chan struct{} { return nil }

// BenchmarkRead reads pages of history out of -benchevents stored events of 10,000 accounts,
// stored in the order in which checkpoints write them. An operation is a page of 100 events.
func BenchmarkRead(b *testing.B) {
	const accounts, perCheckpoint = 10_000, 20
	j := benchJournal(b, b.TempDir(), benchOptions(b, Interval))
	seq := uint64(0)
	for range max(1, *benchEvents/accounts/perCheckpoint) {
		w := checkpointWriter{j: j}
		for account := range uint64(accounts) {
			st := engine.AccountState{Account: 100_001 + account, Seq: seq + perCheckpoint, Count: perCheckpoint}
			var run []byte
			for i := range uint64(perCheckpoint) {
				ev := flowEvent(st.Account, seq+i+1)
				run = j.table.Append(run, &ev)
			}
			st.Runs = [][]byte{run}
			if err := w.accounts([]engine.AccountState{st}); err != nil {
				b.Fatal(err)
			}
		}
		if err := w.flush(); err != nil {
			b.Fatal(err)
		}
		seq += perCheckpoint
	}
	if err := j.db.Flush(); err != nil {
		b.Fatal(err)
	}
	b.Logf("%d events on %d bytes of disk", seq*accounts, j.db.Metrics().DiskSpaceUsage())
	for _, limit := range []int{20, 100} {
		b.Run(fmt.Sprintf("events=%d", limit), func(b *testing.B) {
			rng := rand.New(rand.NewPCG(1, 2))
			var page []positions.Event
			var took []time.Duration
			var err error
			b.ReportAllocs()
			for b.Loop() {
				account, from := 100_001+rng.Uint64N(accounts), 1+rng.Uint64N(max(1, seq-uint64(limit)))
				began := time.Now()
				page, err = j.Read(page[:0], account, from, limit)
				took = append(took, time.Since(began))
				if err != nil || len(page) != min(limit, int(seq-from+1)) {
					b.Fatalf("%d events of account %d from %d, %v", len(page), account, from, err)
				}
			}
			b.ReportMetric(percentile(took, 50), "p50-µs")
			b.ReportMetric(percentile(took, 99), "p99-µs")
		})
	}
	if err := j.Close(); err != nil {
		b.Fatal(err)
	}
}

var _ pebble.Logger = (*pebbleEvents)(nil)
