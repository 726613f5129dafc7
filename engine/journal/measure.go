package journal

import (
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/papertape/papertape/tally"
)

// measures are what the journal has timed. Pebble reads the clock at each commit in any case, so timing
// commits costs no reading of its own.
type measures struct {
	// Owned by the committer.
	block  tally.Histogram // a block, until its commits return
	events tally.Histogram // of a block

	// Owned by who syncs: the committer (Sync) or the syncer (Interval).
	sync tally.Histogram

	// Written by their owners, read by anybody.
	lastSync     atomic.Int64 // when the last sync ended, by tally.Now; 0: there was none
	lastSyncTook atomic.Int64 // nanoseconds
	checkpointAt atomic.Int64 // when the last checkpoint was durable, or the journal recovered; Unix nanoseconds
}

func (m *measures) init() {
	m.block, m.sync = tally.NewHistogram(tally.Syncs), tally.NewHistogram(tally.Syncs)
	m.events = tally.NewHistogram(blockSizes)
}

// blockSizes are bounds for the events of a block: commits of several shards share one.
var blockSizes = []int64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384}

// committed notes what a block has taken. The committer calls it.
func (m *measures) committed(b *pebble.Batch, events int, mode Mode) {
	stats := b.CommitStats()
	m.block.Observe(int64(stats.TotalDuration))
	m.block.Publish()
	m.events.Observe(int64(events))
	m.events.Publish()
	if mode == Sync {
		m.synced(stats.CommitWaitDuration)
	}
}

// synced notes what a sync has taken, which has just ended.
func (m *measures) synced(took time.Duration) {
	m.sync.Observe(int64(took))
	m.sync.Publish()
	m.lastSync.Store(tally.Now())
	m.lastSyncTook.Store(int64(took))
}

// Measures are what a journal has timed since it was opened, and what it measures now. Times in sums are
// in nanoseconds.
type Measures struct {
	Commit tally.Sum // a block, until its commits return
	Sync   tally.Sum // of a block, and with Interval of all that were written since the last
	Events tally.Sum // of a block

	SyncAge, SyncTook time.Duration // of the last sync; SyncTook 0: there was none
	CheckpointAt      time.Time     // when the last one was durable; before the first: when the journal was recovered

	DiskFreeBytes uint64
	DiskFreeKnown bool   // the file system says how much is free
	LowWaterBytes uint64 // with less than this free, ReadOnly
	WALBytes      uint64
}

// NoMeasures returns those of a journal that has done nothing.
func NoMeasures() Measures {
	return Measures{
		Commit: tally.NewSum(tally.Syncs), Sync: tally.NewSum(tally.Syncs), Events: tally.NewSum(blockSizes),
	}
}

// Measures returns what has been measured. Any goroutine may call it, once Recover has returned.
func (j *Journal) Measures() Measures {
	m := NoMeasures()
	m.LowWaterBytes, m.SyncTook = j.o.LowWaterBytes, time.Duration(j.measures.lastSyncTook.Load())
	m.Commit.Add(&j.measures.block)
	m.Sync.Add(&j.measures.sync)
	m.Events.Add(&j.measures.events)
	if at := j.measures.lastSync.Load(); at != 0 {
		m.SyncAge = time.Duration(tally.Now() - at)
	}
	if at := j.measures.checkpointAt.Load(); at != 0 {
		m.CheckpointAt = time.Unix(0, at)
	}
	if free, err := j.freeBytes(); err == nil {
		m.DiskFreeBytes, m.DiskFreeKnown = free, true
	}
	j.mu.RLock()
	defer j.mu.RUnlock()
	if j.state != closed {
		m.WALBytes = j.db.Metrics().WAL.Size
	}
	return m
}
