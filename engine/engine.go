package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/ants/v2"
	"github.com/rs/zerolog"

	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/record"
)

// Config describes an engine. All fields are required except WholeHistory, Elapsed, ReadOnly, AdviseMemory
// and Log.
type Config struct {
	Shards                 int
	Workers                int   // size of the ants pool; at least Shards, better twice that
	InboxOrdersMax         int   // requests waiting in a shard; further ones are refused
	HistoryReadsMax        int   // concurrent reads of history outside the drainers
	HistoryMemoryBytesMax  int64 // memory tails of all accounts together, without the events that are not checkpointed
	UncheckpointedBytesMax int64 // events not checkpointed, split evenly among the shards; for a journal that keeps
	SessionsPerAccountMax  int
	OrdersPerSecond        int // per account, with bursts of a second's worth; 0: no limit
	// WholeHistory has a journal that keeps nothing stand for one that does: memory drops no event. As soon
	// as it would have to, Fatal is called with an error that wraps ErrHistoryFull.
	WholeHistory bool

	Universe *market.Universe
	Journal  Journal
	Outlet   Outlet
	Log      zerolog.Logger

	// These functions are called on any goroutine.

	// Prices returns the current snapshot.
	Prices func() *market.Prices
	// Clock returns nanoseconds since the Unix epoch, for the times of events. It may step back.
	Clock func() int64
	// Elapsed returns nanoseconds since a fixed moment. It never steps back. nil: since New.
	Elapsed func() int64
	// ReadOnly reports whether orders are refused at the moment. It is called once per step. nil:
	// never.
	ReadOnly func() bool

	// AdviseMemory is given each piece of memory, of several megabytes, that will hold history, before
	// it is used: it may ask the kernel for huge pages. nil: nobody does.
	AdviseMemory func([]byte)

	// Fatal is called when no answer could be trusted any more. It must not return.
	Fatal func(error)
}

// Engine consists of the shards and the pool that runs their drainers.
type Engine struct {
	cfg      Config
	shards   []*shard
	pool     *ants.Pool
	queries  chan struct{} // holds one value for each pending question
	walks    chan struct{} // holds one value for each walk under way
	reads    reads
	busts    bustTurns
	drains   sync.WaitGroup // drainers running or submitted
	readers  sync.WaitGroup
	stopping chan struct{} // closed by Stop
	stopOnce sync.Once

	checkpointWanted   chan struct{} // has a buffer of one
	checkpointUnderway atomic.Bool   // a checkpoint has begun, and is neither durable nor abandoned
	checkpoints        sync.Mutex    // held by Checkpoint and Checkpointed
	checkpointed       bool          // guarded by checkpoints: Checkpoint succeeded, Checkpointed is still to come
	sliceSize          sliceSize
	releaseSize        releaseSize

	// Updated by any goroutine.
	busy      atomic.Int64  // armed shards, and reads that wait or have not posted their result yet
	overflows atomic.Uint64 // drains that ran on a new goroutine because the pool was full
	panics    atomic.Uint64 // panics that were recovered
}

// New returns an engine with no accounts.
func New(cfg Config) (*Engine, error) {
	if cfg.Shards < 1 || cfg.Workers < cfg.Shards {
		return nil, fmt.Errorf("engine: %d shards on %d workers: there must be at least one shard, "+
			"and a worker for each", cfg.Shards, cfg.Workers)
	}
	if cfg.InboxOrdersMax < 1 || cfg.HistoryReadsMax < 1 || cfg.SessionsPerAccountMax < 1 {
		return nil, errors.New("engine: every bound must be at least 1")
	}
	if share := cfg.UncheckpointedBytesMax / int64(cfg.Shards); cfg.Journal.Keeps() && share < blockBytes {
		return nil, fmt.Errorf("engine: events that are not checkpointed may come to %d bytes; "+
			"each of %d shards needs at least %d", cfg.UncheckpointedBytesMax, cfg.Shards, blockBytes)
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
		stopping: make(chan struct{}), checkpointWanted: make(chan struct{}, 1),
		sliceSize: defaultSlice, releaseSize: defaultRelease,
	}
	e.reads.init(e, cfg.HistoryReadsMax)
	e.busts.current = make(map[uint64]chan struct{})
	for range cfg.Shards {
		s := &shard{
			eng: e, keeps: cfg.Journal.Keeps(), idsMax: orderIDsMax,
			unstoredMax: cfg.UncheckpointedBytesMax / int64(cfg.Shards),
			book:        positions.NewBook(cfg.Universe), accounts: make(map[uint64]*account),
			publisher: cfg.Outlet.Publisher(), measures: newMeasures(),
		}
		s.drainFunc = s.drain
		s.memory.init(cfg.tailEvents(), cfg.HistoryMemoryBytesMax/int64(cfg.Shards), s.keeps,
			newBlocks(cfg.AdviseMemory))
		e.shards = append(e.shards, s)
	}
	e.Use(record.NewTable(cfg.Universe), record.NewIDKey())
	return e, nil
}

// wholeHistory reports whether memory must not drop any event.
func (c *Config) wholeHistory() bool { return c.WholeHistory && !c.Journal.Keeps() }

// tailEvents returns how many events of an account stay in memory.
func (c *Config) tailEvents() int {
	if c.wholeHistory() {
		return math.MaxInt
	}
	return tailEvents
}

// Epoch identifies the history that the sequences belong to.
func (e *Engine) Epoch() uint64 { return e.cfg.Journal.Epoch() }

// Submit passes requests to the shard of account and returns how many it took: fewer than all if
// the inbox is full. All requests must be of accounts of that shard. Submit never blocks and does
// not keep the slice.
func (e *Engine) Submit(account uint64, requests []Request) int {
	return e.shardOf(account).submit(requests)
}

// Drain waits until every accepted request has been answered. Nothing may be submitted meanwhile.
// The shards keep running: queries of the process and checkpoints are still served.
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

// idle reports whether no work is pending. Drains and reads share one counter. A drain that starts
// a read counts it before it stops counting itself, and a read arms the shard before it stops
// counting itself, so the counter is 0 only when everything is done.
func (e *Engine) idle() bool { return e.busy.Load() == 0 }

// Stop ends the drainers, the pool and all waiting calls. Call it after Drain, and after the last
// Checkpoint. Requests that a failed Drain left behind are neither decided nor answered. Stop waits
// for the steps and the reads under way: when it returns, nothing touches the books or the journal.
// If a commit never returns, neither does Stop; a caller that cannot wait ends the process instead.
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

// Books calls f with the holdings of each account, by shard, then by number. The engine must have
// been stopped, since the drainers own the books.
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
	RateLimited                      uint64 // orders refused because their account sent too many
	Busy                             uint64 // orders refused because too many events are not checkpointed
	ReadOnly                         uint64 // orders refused by Config.ReadOnly
	UncheckpointedBytes              int64  // at present
	HistoryBusy                      uint64 // reads of history refused because too many were under way
	EventsDropped                    uint64 // events dropped from memory
	HistoryEvents, HistoryBytes      int64  // events in memory, and what they take
	PoolOverflows                    uint64 // drains that ran on a new goroutine because the pool was full
	Panics                           uint64 // panics that were recovered
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
		st.UncheckpointedBytes += s.stats.unstored.Load()
		st.HistoryBusy += s.stats.historyBusy.Load()
		st.EventsDropped += s.stats.dropped.Load()
		st.HistoryEvents += s.stats.historyEvents.Load()
		st.HistoryBytes += s.stats.historyBytes.Load()
	}
	return st
}

// ShardOf returns the index of the account's shard, for callers that submit requests of many
// accounts at a time.
func (e *Engine) ShardOf(account uint64) int { return int(account % uint64(len(e.shards))) }

// Shards returns the number of shards.
func (e *Engine) Shards() int { return len(e.shards) }

// shardOf returns the shard of an account. Account numbers come in runs, which the modulus spreads
// evenly.
func (e *Engine) shardOf(account uint64) *shard {
	return e.shards[e.ShardOf(account)]
}

// execute runs a drain on the pool. If the pool is full it starts a goroutine, since an armed shard
// must be served.
func (e *Engine) execute(drain func()) {
	if err := e.pool.Submit(drain); err != nil {
		e.overflows.Add(1)
		go drain() // ends when the shard's mailbox is empty
	}
}

func (e *Engine) fatal(err error) {
	e.cfg.Fatal(err)
	panic("engine: Config.Fatal returned")
}
