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
)

// Journal implements engine.Journal. Open, Recover, then anything; Close last.
type Journal struct {
	store
	o     Options
	epoch uint64

	// Set by Open and Recover, before there is anybody else.
	record runRecord // of the run before; of this one after Recover
	mark   markRecord
	start  place // the newest block when the journal was opened

	// mu is held by whoever uses the database, for reading, and by Close.
	mu    sync.RWMutex
	state state

	queue chan *request // to the committer
	// Owned by the committer.
	newest place

	committed atomic.Uint64 // number of the newest commit that has returned
	synced    atomic.Uint64 // number of the newest block that is on the disk
	events    atomic.Uint64
	bytes     atomic.Uint64
	due       chan struct{} // holds one: CheckpointEvents have been committed since the last checkpoint
	sinceMark atomic.Uint64 // events committed since then

	checkpointing sync.Mutex // held for one; mark is under it
	checkpoints   atomic.Uint64
	checkpointed  atomic.Int64 // nanoseconds that the last one took

	low     atomic.Bool  // the disk has less than LowWaterBytes
	waiting atomic.Int32 // what is being written waits for room

	serving    atomic.Bool   // Recover has come to its end
	committing atomic.Bool   // somebody is told when what goes to Pebble's log now is on the disk; mode Sync
	leaving    chan struct{} // closed when the end of the run has come
	left       sync.Once     // closes leaving

	stop    chan struct{}
	workers sync.WaitGroup // committer, syncer, watcher

	failing sync.Once
	failed  chan struct{} // closed when a write or sync has failed
	failure error         // set before failed is closed

	// What Pebble's own goroutines run into is an error of Recover, or if that is past, the end of the process.
	background struct {
		sync.Mutex
		recovered bool
		err       error
	}
}

var _ engine.Journal = (*Journal)(nil)

// state is what may be done with a journal.
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

// Open opens the journal in dir, or begins one. It refuses a journal that another process has open, one of a newer
// format, a damaged one (*DamageError), a backup that is not whole, and a directory that has other files in it and no
// journal. What others may do with the directory and the journal's files is taken from them.
func Open(dir string, o Options) (*Journal, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	if o.Fatal == nil || o.Mode != Sync && o.Mode != Interval {
		return nil, errors.New("journal: Options.Fatal and a mode, Sync or Interval, must be set")
	}
	if err := mayOpen(o.FS, dir); err != nil {
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
		store:   store{disk: o.FS, dir: dir, lock: lock, l: newListings(o.Universe)},
		o:       o,
		queue:   make(chan *request, queueCommitsMax),
		due:     make(chan struct{}, 1),
		leaving: make(chan struct{}),
		stop:    make(chan struct{}),
		failed:  make(chan struct{}),
	}
	if err := j.open(); err != nil {
		return nil, errors.Join(err, j.unlock())
	}
	return j, nil
}

// open is Open under the lock.
func (j *Journal) open() error {
	found, err := j.inspect()
	if err != nil {
		return err
	}
	if found.exists && found.clean == nil {
		if err := j.survey(found); err != nil {
			return err
		}
	}
	if err := j.roomToStart(found); err != nil {
		return err
	}
	j.tighten(found.exists)
	events := &pebbleEvents{log: j.o.Log, fail: j.fail, background: j.inBackground, again: j.again}
	if j.db, err = openPebble(j.disk, j.dir, j.lock, false, &j.o, events); err != nil {
		return err
	}
	head, err := j.readHead(found)
	if err != nil {
		return err
	}
	j.record, j.mark, j.start = head.record, head.mark, head.last
	j.epoch = nextEpoch(head.record, found)
	j.tell(found, head)
	return nil
}

// nextEpoch is the epoch of a start: a new one wherever numbers could otherwise be given out twice.
func nextEpoch(before runRecord, found *found) uint64 {
	lost := before.mode == Interval && found.clean == nil
	if before.runs > 0 && !lost && !found.backup {
		return before.epoch
	}
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint64(b[:]) | 1
}

// tell says what an operator should know of the run before.
func (j *Journal) tell(found *found, head head) {
	log := j.o.Log.With().Str("dir", j.dir).Uint64("commit", head.last.number).Logger()
	for _, l := range found.torn {
		log.Warn().Str("log", l.name).Int64("at_byte", l.stop).Int64("bytes", l.torn).
			Msg("the last write before the crash is not whole: it has been cut back; nobody was told of it, unless the disk did this since")
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

// begin makes the run known to the next one, before its first write.
func (j *Journal) begin() error {
	if err := removeFile(j.disk, j.dir, cleanFile); err != nil {
		return err
	}
	j.record = runRecord{format: formatNumber, epoch: j.epoch, mode: j.o.Mode, runs: j.record.runs + 1}
	key, value := metaKey(metaRun), j.record.append(newValue(nil))
	sealValue(key, value)
	if err := j.db.Set(key, value, pebble.Sync); err != nil {
		return err
	}
	return removeFile(j.disk, j.dir, backupFile)
}

// Epoch names the history behind the sequences.
func (j *Journal) Epoch() uint64 { return j.epoch }

// Keeps returns true: all of it, for ever.
func (j *Journal) Keeps() bool { return true }

// Committed is the number of the newest commit that has returned.
func (j *Journal) Committed() uint64 { return j.committed.Load() }

// ReadOnly says that the disk has less room than the low-water mark, or that something waits for room: no order should
// be taken until there is.
func (j *Journal) ReadOnly() bool { return j.low.Load() || j.waiting.Load() > 0 }

// Stats count since Open, but for Commits.
type Stats struct {
	Commits        uint64 // number of the newest commit
	Events         uint64
	Bytes          uint64 // of blocks, before Pebble
	Checkpoints    uint64
	CheckpointTook time.Duration // the last one
	DiskBytes      uint64        // what the journal takes up on the disk
}

// Stats returns the counters.
func (j *Journal) Stats() Stats {
	s := Stats{
		Commits: j.committed.Load(), Events: j.events.Load(), Bytes: j.bytes.Load(),
		Checkpoints: j.checkpoints.Load(), CheckpointTook: time.Duration(j.checkpointed.Load()),
	}
	j.mu.RLock()
	defer j.mu.RUnlock()
	if j.state != closed {
		s.DiskBytes = j.db.Metrics().DiskSpaceUsage()
	}
	return s
}
