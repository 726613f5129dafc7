package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/ants/v2"
	"github.com/rs/zerolog"

	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// Config is what an engine is made of. All fields are needed but Elapsed, ReadOnly and Log.
type Config struct {
	Shards                 int
	Workers                int   // size of the ants pool; at least Shards, better twice that
	InboxOrdersMax         int   // requests waiting in a shard; more are refused
	HistoryReadsMax        int   // reads of history outside the drainers at a time
	HistoryMemoryBytesMax  int64 // memory tails of all accounts together, but for what is not checkpointed
	UncheckpointedBytesMax int64 // events that are not checkpointed, each shard its share; for a journal that keeps
	SessionsPerAccountMax  int
	OrdersPerSecond        int // of one account, with a second's worth at once; 0: no limit

	Universe *market.Universe
	Prices   func() *market.Prices // the current snapshot; any goroutine
	Clock    func() int64          // nanoseconds since the Unix epoch; any goroutine. For the times of events: it may step back
	Elapsed  func() int64          // nanoseconds since any moment, never less than before; any goroutine. nil: since New
	Journal  Journal
	Outlet   Outlet
	ReadOnly func() bool // whether orders are refused at the moment; asked once a step, any goroutine. nil: never
	Log      zerolog.Logger

	// Fatal is called when an honest answer is no longer possible. It must not return.
	Fatal func(error)
}

// Engine is the shards and the pool that drains them.
type Engine struct {
	cfg      Config
	shards   []*shard
	pool     *ants.Pool
	queries  chan struct{} // one for each query of the process itself that is under way
	walks    chan struct{} // one for each walk under way
	reads    reads
	busts    turns
	drains   sync.WaitGroup // drainers that run or were submitted
	readers  sync.WaitGroup
	stopping chan struct{} // closed by Stop
	stopOnce sync.Once

	wanted       chan struct{} // holds one: a checkpoint
	underway     atomic.Bool   // a checkpoint has begun, and is neither durable nor given up
	checkpoints  sync.Mutex    // held by Checkpoint and Checkpointed
	checkpointed bool          // under it: Checkpoint succeeded, Checkpointed was not called yet
	sliceSize    sliceSize
	releaseSize  releaseSize

	// Counted since the start; any goroutine.
	busy      atomic.Int64  // shards that are armed, and reads that wait or have not posted yet
	overflows atomic.Uint64 // drains that ran on a fresh goroutine since the pool was full
	panics    atomic.Uint64 // contained
}

// New returns an engine with no accounts.
func New(cfg Config) (*Engine, error) {
	if cfg.Shards < 1 || cfg.Workers < cfg.Shards {
		return nil, fmt.Errorf("engine: %d shards on %d workers: there must be at least one shard, and a worker for each", cfg.Shards, cfg.Workers)
	}
	if cfg.InboxOrdersMax < 1 || cfg.HistoryReadsMax < 1 || cfg.SessionsPerAccountMax < 1 {
		return nil, errors.New("engine: every bound must be at least 1")
	}
	if share := cfg.UncheckpointedBytesMax / int64(cfg.Shards); cfg.Journal.Keeps() && share < eventBytes {
		return nil, fmt.Errorf("engine: events that are not checkpointed may come to %d bytes; each of %d shards needs at least %d",
			cfg.UncheckpointedBytesMax, cfg.Shards, eventBytes)
	}
	if cfg.Elapsed == nil {
		start := time.Now()
		cfg.Elapsed = func() int64 { return int64(time.Since(start)) }
	}
	pool, err := ants.NewPool(cfg.Workers, ants.WithNonblocking(true))
	if err != nil {
		return nil, fmt.Errorf("engine: pool: %w", err)
	}
	e := &Engine{
		cfg: cfg, pool: pool,
		queries: make(chan struct{}, queriesMax), walks: make(chan struct{}, walksMax),
		stopping: make(chan struct{}), wanted: make(chan struct{}, 1),
		sliceSize: defaultSlice, releaseSize: defaultRelease,
	}
	e.reads.init(e, cfg.HistoryReadsMax)
	e.busts.under = make(map[uint64]chan struct{})
	for range cfg.Shards {
		s := &shard{
			eng: e, keeps: cfg.Journal.Keeps(), unstoredMax: cfg.UncheckpointedBytesMax / int64(cfg.Shards) / eventBytes, idsMax: orderIDsMax,
			book: positions.NewBook(cfg.Universe), accounts: make(map[uint64]*account), publisher: cfg.Outlet.Publisher(),
		}
		s.run = s.drain
		s.memory.init(tailEvents, cfg.HistoryMemoryBytesMax/int64(cfg.Shards), s.keeps)
		e.shards = append(e.shards, s)
	}
	return e, nil
}

// Epoch names the history behind the sequences.
func (e *Engine) Epoch() uint64 { return e.cfg.Journal.Epoch() }

// Submit hands requests to the shard of account and returns how many it took: fewer than all if the inbox is full. All
// requests must be of accounts of that shard. It never blocks and keeps nothing of the slice.
func (e *Engine) Submit(account uint64, requests []Request) int {
	return e.shardOf(account).submit(requests)
}

// Drain returns when everything that was taken has been answered. Nothing may be submitted meanwhile. The shards go on: queries
// of the process and checkpoints are still served.
func (e *Engine) Drain(ctx context.Context) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !e.idle() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("engine: requests were still being worked on: %w", ctx.Err())
		}
	}
	return nil
}

// idle says whether nothing is being worked on. One counter for drains and reads: a drain that starts a reader counts it
// before it stops counting itself, and a reader arms the shard before it stops, so it is 0 only when all is done.
func (e *Engine) idle() bool { return e.busy.Load() == 0 }

// Stop ends the drainers, the pool and all waiting. Call it after Drain, and after the last Checkpoint. What a failed Drain left
// behind is neither begun nor answered any more, but Stop waits for the steps and the reads that were under way: when it
// returns, nothing touches the books or the journal. A commit that never returns it waits for without end; who cannot, ends
// the process instead.
func (e *Engine) Stop() {
	e.stopOnce.Do(func() {
		close(e.stopping)
		for _, s := range e.shards {
			s.stop()
		}
		e.drains.Wait()
		e.readers.Wait()
		e.pool.Release()
	})
}

// Books calls f with each account's holdings, by shard, then by number. The engine must have been stopped: the books
// belong to the drainers.
func (e *Engine) Books(f func(positions.Holdings)) {
	for _, s := range e.shards {
		s.drainer.Take()
		for _, number := range s.book.Accounts() {
			h, _, _ := s.book.Holdings(number, e.cfg.Prices(), nil)
			f(h)
		}
		s.drainer.Release()
	}
}

// Stats are counters since the start.
type Stats struct {
	Requests, Events, Refused, Steps uint64
	RateLimited                      uint64 // orders refused since their account sent too many
	Busy, ReadOnly                   uint64 // orders refused since too much is not checkpointed, or as Config.ReadOnly says
	UncheckpointedBytes              int64  // now
	HistoryBusy                      uint64 // reads of history refused since too many were under way
	EventsDropped                    uint64 // from memory, oldest first
	PoolOverflows                    uint64 // drains that found the pool full and ran on a fresh goroutine
	Panics                           uint64 // contained
}

// Stats adds up the shards' counters.
func (e *Engine) Stats() Stats {
	st := Stats{PoolOverflows: e.overflows.Load(), Panics: e.panics.Load()}
	for _, s := range e.shards {
		st.Requests += s.stats.requests.Load()
		st.Events += s.stats.events.Load()
		st.Refused += s.stats.refused.Load()
		st.Steps += s.stats.steps.Load()
		st.RateLimited += s.stats.rateLimited.Load()
		st.Busy += s.stats.busy.Load()
		st.ReadOnly += s.stats.readOnly.Load()
		st.UncheckpointedBytes += s.stats.unstored.Load() * eventBytes
		st.HistoryBusy += s.stats.historyBusy.Load()
		st.EventsDropped += s.stats.dropped.Load()
	}
	return st
}

// ShardOf returns the index of the account's shard, below Shards: for callers that submit for many accounts at a time.
func (e *Engine) ShardOf(account uint64) int { return int(account % uint64(len(e.shards))) }

// Shards returns how many shards there are.
func (e *Engine) Shards() int { return len(e.shards) }

// shardOf spreads account numbers, which come in runs, evenly.
func (e *Engine) shardOf(account uint64) *shard {
	return e.shards[e.ShardOf(account)]
}

// execute runs a drain on the pool. A full pool must not leave a shard armed and unserved.
func (e *Engine) execute(drain func()) {
	if err := e.pool.Submit(drain); err != nil {
		e.overflows.Add(1)
		go drain() // ends by itself when the shard's mailbox is empty
	}
}

func (e *Engine) fatal(err error) {
	e.cfg.Fatal(err)
	panic("engine: Config.Fatal returned")
}
