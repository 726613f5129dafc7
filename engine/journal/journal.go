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
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/market"
)

// Mode says when Commit returns.
type Mode uint8

// The two modes.
const (
	Sync     Mode = 1 // when the events are on the disk: nothing is lost by anything but the disk itself
	Interval Mode = 2 // when they are written: a crash, of the process too, loses what came since the last sync
)

// String is the mode as the configuration spells it.
func (m Mode) String() string {
	switch m {
	case Sync:
		return "sync"
	case Interval:
		return "interval"
	}
	return fmt.Sprintf("Mode(%d)", uint8(m))
}

// Options of a journal. Mode, Universe and, for Open, Fatal must be set; the zero value of all else is its default.
type Options struct {
	Mode     Mode
	Universe *market.Universe
	FS       vfs.FS         // nil: the operating system's
	Log      zerolog.Logger // nothing is logged per event

	SyncInterval       time.Duration // 100 ms; mode Interval only
	CheckpointInterval time.Duration // 5 s
	CheckpointEvents   uint64        // 1,000,000: a checkpoint comes after so many at the latest

	// LowWaterBytes (256 MiB) is how much of the disk must be free: with less the journal is read-only.
	LowWaterBytes uint64
	// FreeBytes says how much is free; nil asks the file system.
	FreeBytes func() (uint64, error)

	// Fatal is called when a write or a sync has failed, perhaps before Open has returned. It ends the process and must not return:
	// nobody may be answered.
	Fatal func(error)

	tune func(*pebble.Options) // tests make everything small, so that all of it happens
}

const (
	defaultSyncInterval       = 100 * time.Millisecond
	defaultCheckpointInterval = 5 * time.Second
	defaultCheckpointEvents   = 1_000_000
	defaultLowWaterBytes      = 256 << 20
)

func (o *Options) setDefaults() error {
	if o.Universe == nil {
		return errors.New("journal: Options.Universe is not set")
	}
	if o.FS == nil {
		o.FS = newPrivateDisk()
	}
	if o.SyncInterval <= 0 {
		o.SyncInterval = defaultSyncInterval
	}
	if o.CheckpointInterval <= 0 {
		o.CheckpointInterval = defaultCheckpointInterval
	}
	if o.CheckpointEvents == 0 {
		o.CheckpointEvents = defaultCheckpointEvents
	}
	if o.LowWaterBytes == 0 {
		o.LowWaterBytes = defaultLowWaterBytes
	}
	return nil
}

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

	readOnly atomic.Bool

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

// Open opens the journal in dir, or begins one. It refuses a journal that another process has open, one of a newer format,
// and a damaged one (*DamageError).
func Open(dir string, o Options) (*Journal, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	if o.Fatal == nil || o.Mode != Sync && o.Mode != Interval {
		return nil, errors.New("journal: Options.Fatal and a mode, Sync or Interval, must be set")
	}
	if err := makeDir(o.FS, dir); err != nil {
		return nil, fmt.Errorf("the directory of the journal cannot be made: %w", err)
	}
	lock, err := lockDir(o.FS, dir)
	if err != nil {
		return nil, err
	}
	if err := holdsNothingElse(o.FS, dir); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	j := &Journal{
		store:  store{disk: o.FS, dir: dir, lock: lock, l: newListings(o.Universe)},
		o:      o,
		queue:  make(chan *request, queueCommitsMax),
		due:    make(chan struct{}, 1),
		stop:   make(chan struct{}),
		failed: make(chan struct{}),
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
	if err := j.roomToStart(); err != nil {
		return err
	}
	if err := j.tighten(); err != nil {
		j.o.Log.Warn().Err(err).Str("dir", j.dir).Msg("the data directory could not be closed to others: other users of this machine may read it")
	}
	events := &pebbleEvents{log: j.o.Log, fail: j.fail, background: j.inBackground}
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

// fail ends the process: what was to be written is not, or may not be, on the disk. It does not return.
func (j *Journal) fail(err error) {
	j.end(fmt.Errorf("the journal in %s: a write or a sync has failed, so nothing more can be acknowledged: %w", j.dir, err))
}

func (j *Journal) end(err error) {
	j.failing.Do(func() {
		j.failure = err
		close(j.failed)
	})
	j.o.Fatal(j.failure)
	panic("journal: Options.Fatal returned")
}

// inBackground is called when a flush or a compaction fails, which Pebble tries again and again, until no commit gets through.
func (j *Journal) inBackground(err error) {
	b := &j.background
	b.Lock()
	recovered := b.recovered
	if b.err == nil {
		b.err = err
	}
	b.Unlock()
	switch {
	case !recovered:
	case pebble.IsCorruptionError(err):
		j.end(j.damage("the database", err))
	default:
		j.fail(err)
	}
}

// recoveredWell ends the time in which such an error has somebody to go to.
func (j *Journal) recoveredWell() error {
	b := &j.background
	b.Lock()
	defer b.Unlock()
	b.recovered = b.err == nil
	if b.err != nil {
		return j.damage("the database", b.err)
	}
	return nil
}

// Epoch names the history behind the sequences.
func (j *Journal) Epoch() uint64 { return j.epoch }

// Keeps returns true: all of it, for ever.
func (j *Journal) Keeps() bool { return true }

// Committed is the number of the newest commit that has returned.
func (j *Journal) Committed() uint64 { return j.committed.Load() }

// ReadOnly says that the disk has less room than the low-water mark: no order should be taken until it has.
func (j *Journal) ReadOnly() bool { return j.readOnly.Load() }

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

// Close ends the run: all that was committed is synced, and it is left in writing where the journal ends. Run must have
// returned, and the engine have stopped. After a failure, where Recover did not come to its end, and where the disk has no room
// for a checkpoint, nothing is written.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	was := j.state
	if was == closed {
		return nil
	}
	j.state = closed
	close(j.stop)
	close(j.queue)
	select {
	case <-j.failed:
		return j.failure // the database hangs on what failed
	default:
	}
	j.workers.Wait()
	var err error
	end := was == running && j.roomForCheckpoint() // else it is as if the process had been killed, which loses nothing
	if end {
		err = j.db.Flush() // so that the next start has no log to read
	}
	if err = errors.Join(err, j.closeDB()); err == nil && end {
		mark := cleanMark{epoch: j.epoch, last: j.newest, mark: j.mark.number}
		err = writeFile(j.disk, j.dir, cleanFile, mark.text())
	}
	if err = errors.Join(err, j.unlock()); err != nil {
		return fmt.Errorf("the journal in %s could not be closed: %w", j.dir, err)
	}
	return nil
}
