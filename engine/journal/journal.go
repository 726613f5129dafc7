package journal

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/record"
)

// Journal implements engine.Journal. Call Open first, then Recover, then anything else, and
// Close last.
type Journal struct {
	store
	o     Options
	epoch uint64

	// Set by Open and Recover, before there are other goroutines.
	record   runRecord // of the last run; after Recover, of this one
	mark     markRecord
	openedAt blockID // the newest block when the journal was opened
	idKey    record.IDKey

	// mu is read-locked while the database is used, and locked by Close.
	mu    sync.RWMutex
	state state

	queue chan *request // to the committer
	// Owned by the committer.
	newest blockID

	committed     atomic.Uint64 // number of the newest commit that has returned
	synced        atomic.Uint64 // number of the newest block that is synced
	events        atomic.Uint64
	bytes         atomic.Uint64
	checkpointDue chan struct{} // capacity 1; CheckpointEvents have been committed since the last checkpoint
	sinceMark     atomic.Uint64 // events committed since the last checkpoint

	checkpointing sync.Mutex // held during a checkpoint; guards mark
	checkpoints   atomic.Uint64
	checkpointed  atomic.Int64 // nanoseconds that the last checkpoint took
	checkpointAt  atomic.Int64 // when it ended, in nanoseconds since the Unix epoch; 0: there was none

	low     atomic.Bool  // less than LowWaterBytes of the disk is free
	waiting atomic.Int32 // writes that wait for room on the disk

	serving    atomic.Bool   // Recover has succeeded
	committing atomic.Bool   // mode Sync: a commit is being written to Pebble's log, and its caller waits
	ending     chan struct{} // closed when the run is about to end
	endOnce    sync.Once     // for closing ending

	stop    chan struct{}
	workers sync.WaitGroup // committer, syncer, watcher

	failing sync.Once
	failed  chan struct{} // closed when a write or sync has failed
	failure error         // set before failed is closed

	// A failure of Pebble's own goroutines is returned by Recover, or ends the process once Recover has
	// returned.
	background struct {
		sync.Mutex
		recovered bool
		err       error
	}
}

var _ engine.Journal = (*Journal)(nil)

// state says what may be done with a journal.
type state uint8

const (
	opened state = iota
	running
	closed
)

var (
	errClosed       = errors.New("the journal is closed")
	errNotRecovered = errors.New("the journal was not recovered")
)

// Open opens the journal in dir, or begins one. It refuses a journal that another process has
// open, one of a newer format, a damaged one (*DamageError), an unfinished backup, and a
// directory that contains other files and no journal. It takes away what others may do with the
// directory and the journal's files.
func Open(dir string, o Options) (*Journal, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	if o.Fatal == nil || o.Mode != Sync && o.Mode != Interval {
		return nil, errors.New("journal: Options.Fatal and a mode, Sync or Interval, must be set")
	}
	if err := checkMayOpen(o.FS, dir); err != nil {
		return nil, err
	}
	if err := makeDir(o.FS, dir); err != nil {
		return nil, fmt.Errorf("the directory of the journal cannot be made: %w", err)
	}
	lock, err := lockDir(o.FS, dir)
	if err != nil {
		return nil, err
	}
	j := &Journal{
		store:         store{disk: o.FS, dir: dir, lock: lock, universe: o.Universe},
		o:             o,
		queue:         make(chan *request, queueCommitsMax),
		checkpointDue: make(chan struct{}, 1),
		ending:        make(chan struct{}),
		stop:          make(chan struct{}),
		failed:        make(chan struct{}),
	}
	if err := j.open(); err != nil {
		return nil, errors.Join(err, j.unlock())
	}
	return j, nil
}

// open is the part of Open that holds the lock.
func (j *Journal) open() error {
	found, err := j.inspect()
	if err != nil {
		return err
	}
	if found.exists && found.clean == nil {
		if err := j.readBeforeOpening(found); err != nil {
			return err
		}
	}
	if err := j.roomToStart(found); err != nil {
		return err
	}
	j.tighten(found.exists)
	events := &pebbleEvents{log: j.o.Log, fail: j.fail, background: j.failedInBackground, waitForRoom: j.retryWhileFull}
	if j.db, err = openPebble(j.disk, j.dir, j.lock, false, &j.o, events); err != nil {
		return err
	}
	head, err := j.readHead(found)
	if err != nil {
		return err
	}
	j.record, j.mark, j.openedAt, j.idKey = head.record, head.mark, head.last, head.idKey
	if j.record.format != formatNumber {
		j.idKey = record.NewIDKey()
	}
	j.epoch = nextEpoch(head.record, found)
	j.logStart(found, head)
	if j.migrates() {
		j.logMigration()
	}
	return nil
}

// nextEpoch is the epoch of a start: a new one wherever numbers could otherwise be given out
// twice.
func nextEpoch(before runRecord, found *inspection) uint64 {
	lost := before.mode == Interval && found.clean == nil
	if before.runs > 0 && !lost && !found.backup {
		return before.epoch
	}
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint64(b[:]) | 1
}

// logStart logs what an operator should know of the last run.
func (j *Journal) logStart(found *inspection, head head) {
	log := j.o.Log.With().Str("dir", j.dir).Uint64("commit", head.last.number).Logger()
	for _, l := range found.torn {
		log.Warn().Str("log", l.name).Int64("at_byte", l.stopsAt).Int64("bytes", l.torn).
			Msg("the last write before the crash is not whole: it has been cut back; " +
				"nobody was told of it, unless the disk did this since")
	}
	if head.record.runs > 0 && found.clean == nil {
		log.Warn().Stringer("durability", head.record.mode).Msg("the run before did not end cleanly")
	}
	if head.record.runs > 0 && j.epoch != head.record.epoch {
		why := "events may have been lost with durability interval"
		if found.backup {
			why = "this is a restored backup"
		}
		log.Warn().Str("because", why).Msg("a new epoch begins: clients will resync")
	}
}

// begin records this run for the next one, before anything else is written. In the same batch are
// the instruments that the ledger has not had so far, so no event can name one that is not stored.
func (j *Journal) begin() error {
	if err := removeFile(j.disk, j.dir, cleanFile); err != nil {
		return err
	}
	next := runRecord{
		format: formatNumber, epoch: j.epoch, mode: j.o.Mode, runs: j.record.runs + 1,
		listings: uint64(len(j.table.Listings())),
	}
	key, value := metaKey(metaRun), next.append(newRunValue(nil))
	sealValue(key, value)
	b := j.db.NewBatch()
	err := errors.Join(j.storeTable(b), b.Set(key, value, nil))
	if err == nil {
		err = b.Commit(pebble.Sync)
	}
	if err = errors.Join(err, b.Close()); err != nil {
		return err
	}
	if j.migrates() {
		j.o.Log.Info().Str("dir", j.dir).Msg("the ledger is of format 2 now")
	}
	j.record = next
	return removeFile(j.disk, j.dir, backupFile)
}

// Epoch identifies the history that the sequences belong to.
func (j *Journal) Epoch() uint64 { return j.epoch }

// Keeps returns true: the journal keeps the whole history for ever.
func (j *Journal) Keeps() bool { return true }

// Committed returns the number of the newest commit that has returned.
func (j *Journal) Committed() uint64 { return j.committed.Load() }

// ReadOnly reports whether less of the disk is free than the low-water mark, or a write waits
// for room. No orders should be taken then.
func (j *Journal) ReadOnly() bool { return j.low.Load() || j.waiting.Load() > 0 }

// Stats are counters since Open, apart from Commits and DiskBytes.
type Stats struct {
	Commits        uint64 // number of the newest commit
	CommitsBefore  uint64 // the same, when the journal had been recovered
	Events         uint64
	Bytes          uint64 // of blocks, before Pebble
	Checkpoints    uint64
	CheckpointTook time.Duration // of the last checkpoint
	CheckpointAt   time.Time     // when it ended; the zero time: there was none since Open
	DiskBytes      uint64        // size of the journal on the disk
}

// Stats returns the counters.
func (j *Journal) Stats() Stats {
	s := Stats{
		Commits: j.committed.Load(), CommitsBefore: j.openedAt.number, Events: j.events.Load(), Bytes: j.bytes.Load(),
		Checkpoints: j.checkpoints.Load(), CheckpointTook: time.Duration(j.checkpointed.Load()),
	}
	if at := j.checkpointAt.Load(); at != 0 {
		s.CheckpointAt = time.Unix(0, at)
	}
	j.mu.RLock()
	defer j.mu.RUnlock()
	if j.state != closed {
		s.DiskBytes = j.db.Metrics().DiskSpaceUsage()
	}
	return s
}
