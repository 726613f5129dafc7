package journal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/rs/zerolog"
)

// logWorld is a run that power was lost in, with all that was written on the disk, and its newest log. It has several of
// Pebble's blocks, or one, and nothing was checkpointed or flushed.
type logWorld struct {
	w    *world
	disk *vfs.MemFS
	name string
	log  []byte
	ends []int // where the record of each block ends in the log; of mode Interval none
}

func newLogWorld(t *testing.T, mode Mode, steps, events int, more ...func(*Journal)) *logWorld {
	t.Helper()
	disk, w := vfs.NewCrashableMem(), newWorld(2, 5, 3)
	o := testOptions(t, disk, mode)
	o.tune, o.SyncInterval = nil, time.Hour // no flush, and in mode Interval no sync
	j, _ := mustRecover(t, "data", o)
	l := &logWorld{w: w}
	for range steps {
		w.run(t, j, 1, events)
		if mode == Sync && j.Committed() > uint64(len(l.ends)) {
			l.ends = append(l.ends, l.end(t, disk))
		}
	}
	if mode == Interval { // Pebble writes whole blocks of the log, when it comes to it
		whole := int(j.Stats().Bytes) / logBlockBytes * logBlockBytes
		until(t, "the log", func() bool { return l.end(t, disk) >= whole-logBlockBytes })
	}
	for _, f := range more {
		f(j)
	}
	l.disk = cloneDisk(t, disk)
	mustClose(t, j)
	b, err := l.disk.UnsafeGetFileDataBuffer("data/" + l.name)
	if err != nil {
		t.Fatal(err)
	}
	l.log = slices.Clone(b)
	return l
}

// end is where the newest log ends as Pebble reads it.
func (l *logWorld) end(t *testing.T, disk vfs.FS) int {
	t.Helper()
	logs, err := scanLogs(disk, "data")
	if err != nil || len(logs) == 0 {
		t.Fatalf("%d logs, %v", len(logs), err)
	}
	newest := logs[len(logs)-1]
	l.name = newest.name
	if newest.torn > logBlockBytes || newest.fact != "" || newest.block != 0 {
		t.Fatalf("a log that nothing has happened to: %+v", newest)
	}
	return int(newest.stop)
}

// start starts with another log in the place of the newest, and says what became of it: how many commits there are, whether
// something is said to be cut back, or what is damaged.
func (l *logWorld) start(t *testing.T, log []byte) (commits uint64, cut bool, err error) {
	t.Helper()
	disk, text := cloneDisk(t, l.disk), new(logged)
	write(t, disk, l.name, log)
	o := testOptions(t, disk, Sync)
	o.Log = zerolog.New(text)
	_, verified := Verify(context.Background(), "data", o)
	j, r, err := recoverFrom("data", o)
	if (err == nil) != (verified == nil) {
		t.Errorf("start: %v; verify: %v", err, verified)
	}
	if err != nil {
		var damage *DamageError
		if !errors.As(err, &damage) || !strings.Contains(err.Error(), l.name) && !strings.Contains(err.Error(), "WAL") {
			t.Errorf("the damage has no name: %v", err)
		}
		return 0, false, err
	}
	commits = j.Committed()
	err = errors.Join(l.w.compare(j, r, nil), j.Close())
	return commits, strings.Contains(text.String(), "it has been cut back"), err
}

// TestFlippedLog flips bits in the log of a run with sync: whatever is hit before the last block is damage, the last block is cut
// back, with a word about it; nothing that was acknowledged goes in silence, as Pebble by itself would let it.
func TestFlippedLog(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	y := newTally(t, "flipped log")
	for name, size := range map[string][3]int{"one block of the log": {40, 5, *flips * 3 / 4}, "many blocks of the log": {300, 8, *flips / 4}} {
		t.Run(name, func(t *testing.T) {
			l := newLogWorld(t, Sync, size[0], size[1])
			last, before := l.ends[len(l.ends)-1], l.ends[len(l.ends)-2]
			if (last > logBlockBytes) != strings.HasPrefix(name, "many") {
				t.Fatalf("the log has %d bytes", last)
			}
			forEach(size[2], func(n int) {
				rng := rand.New(rand.NewPCG(y.seed, uint64(n)))
				at := []int{
					rng.IntN(before), before + rng.IntN(last-before), before - 1 - rng.IntN(chunkHead+8),
					l.ends[rng.IntN(len(l.ends)-1)] + rng.IntN(chunkHead),
				}[n%4]
				l.flip(t, y, at, byte(1)<<rng.IntN(8))
			})
		})
	}
	y.must("damage", "cut back")
}

// flip flips a bit of the log.
func (l *logWorld) flip(t *testing.T, y *tally, at int, bit byte) {
	last, before := l.ends[len(l.ends)-1], l.ends[len(l.ends)-2]
	log := slices.Clone(l.log)
	log[at] ^= bit
	commits, cut, err := l.start(t, log)
	what := fmt.Sprintf("byte %d of %d, the last record begins at %d, bit %02x", at, last, before, bit)
	switch n := uint64(len(l.ends)); {
	case at >= before && (err != nil || commits < n && !cut || commits < n-1):
		y.found("%s: %d commits of %d, said: %t, error %v", what, commits, n, cut, err)
	case at < before && err == nil && commits != n:
		y.found("%s: %d commits of %d, and no damage", what, commits, n)
	case err != nil:
		y.saw("damage", 1)
	case cut:
		y.saw("cut back", 1)
	}
	y.tried(1)
}

// TestFlippedLastBlock: where something else was synced behind the last block, the log itself says that the block was.
func TestFlippedLastBlock(t *testing.T) {
	l := newLogWorld(t, Sync, 12, 5, func(j *Journal) {
		for range 3 { // what Pebble's log says lags behind its syncs
			must(t, j.db.LogData(nil, pebble.Sync))
		}
	})
	last, before := l.ends[len(l.ends)-1], l.ends[len(l.ends)-2]
	for at := before; at < last; at += 7 {
		log := slices.Clone(l.log)
		log[at] ^= 4
		if commits, _, err := l.start(t, log); err == nil {
			t.Errorf("byte %d of the record from %d to %d: %d commits of %d, and no damage", at, before, last, commits, len(l.ends))
		}
	}
}

// TestFlippedOlderLog: with the number of the next log at its end, an older log looks as if it had been closed there, and Pebble
// would leave out what it ends with.
func TestFlippedOlderLog(t *testing.T) {
	disk := vfs.NewCrashableMem()
	var flushes sync.Mutex
	o := testOptions(t, inject(disk, func(op errorfs.Op) error {
		if op.Kind == errorfs.OpCreate && isTable(op) {
			flushes.Lock()
			defer flushes.Unlock()
		}
		return nil
	}), Sync)
	o.tune = func(o *pebble.Options) { small(o); o.MemTableStopWritesThreshold = 100 }
	j, _ := mustRecover(t, "data", o)
	flushes.Lock() // so that all logs are needed
	w := newWorld(2, 5, 3)
	for range 8 {
		w.run(t, j, 12, 5)
		mustCheckpoint(t, j, w)
	}
	crashed := cloneDisk(t, disk)
	flushes.Unlock()
	mustClose(t, j)
	logs, err := scanLogs(crashed, "data")
	if err != nil || len(logs) < 4 {
		t.Fatalf("%d logs, %v", len(logs), err)
	}
	for _, l := range logs[:len(logs)-1] {
		log, err := crashed.UnsafeGetFileDataBuffer("data/" + l.name)
		must(t, err)
		log = slices.Clone(log)
		s, last := logScan{number: number(log)}, 0
		for at := 0; at < int(l.stop); at++ {
			if c, ok := s.chunk(log[at:]); ok {
				last, at = at, at+c.size-1
			}
		}
		binary.LittleEndian.PutUint32(log[last+7:], s.number+1)
		spoilt := cloneDisk(t, crashed)
		write(t, spoilt, l.name, log)
		for name, err := range opens(testOptions(t, spoilt, Sync)) {
			if want := fmt.Sprintf("the log %s: what was written at byte %d is spoilt", l.name, last); err == nil ||
				!strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %s", name, err, want)
			}
		}
	}
}

// TestTornLog tears the log at every byte: it ends there, or what follows is zero, or of no meaning, as in pages that were never
// written. The blocks before are there, each of them; the one that was torn is cut back, and that is said.
func TestTornLog(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	y := newTally(t, "torn log")
	l := newLogWorld(t, Sync, min(40, 1+*flips/150), 1)
	forEach(l.ends[len(l.ends)-1], func(at int) {
		rest := make([]byte, len(l.log)-at)
		l.tear(t, y, at, "is zero", rest)
		l.tear(t, y, at, "ends", nil)
		rng := rand.New(rand.NewPCG(y.seed, uint64(at)))
		for i := range rest {
			rest[i] = byte(rng.Uint32())
		}
		l.tear(t, y, at, "is of no meaning", rest)
	})
	y.must("cut back")
}

// tear has the log go on with something else from a byte on.
func (l *logWorld) tear(t *testing.T, y *tally, at int, what string, rest []byte) {
	log := append(slices.Clone(l.log[:at]), rest...)
	for at < len(log) && log[at] == l.log[at] {
		at++ // by chance
	}
	whole, begins := l.wholeAt(at)
	commits, cut, err := l.start(t, log)
	must, may := at >= begins+chunkHead, at > begins
	if whole == 0 {
		must, may = false, true // the record of the run is before the first block
	}
	if err != nil || commits != whole || must && !cut || cut && !may {
		y.found("the log %s at %d, in a record that begins at %d: %d commits of %d, said: %t, error %v",
			what, at, begins, commits, whole, cut, err)
	}
	if cut {
		y.saw("cut back", 1)
	}
	y.tried(1)
}

// wholeAt is how many records of blocks end before a byte of the log, and where the next one begins.
func (l *logWorld) wholeAt(at int) (n uint64, begins int) {
	for _, end := range l.ends {
		if end > at {
			break
		}
		n, begins = n+1, end
	}
	return n, begins
}

// TestLogOfInterval: what was written and never synced may be gone in parts. That is no damage; it is cut back, with a word
// about it, and the epoch is another anyway.
func TestLogOfInterval(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	l := newLogWorld(t, Interval, 300, 8)
	if len(l.log) < 2*logBlockBytes {
		t.Fatalf("the log has %d bytes", len(l.log))
	}
	whole, _, err := l.start(t, l.log)
	if err != nil {
		t.Fatal(err)
	}
	y := newTally(t, "log of interval")
	rng := rand.New(rand.NewPCG(y.seed, 7))
	const pages = 12
	for range pages {
		at := 1<<10 + rng.IntN(len(l.log)-logBlockBytes-1<<10) // behind the record of the run, which was synced
		log := slices.Clone(l.log)
		clear(log[at:min(at+4096, len(log)-logBlockBytes)])
		if commits, cut, err := l.start(t, log); err != nil || !cut || commits >= whole {
			y.found("a page at byte %d of %d: %d commits of %d, said: %t, error %v", at, len(log), commits, whole, cut, err)
		}
		y.tried(1)
	}
}

// number and renumber read and change which log a chunk belongs to.
func number(chunk []byte) uint32 { return binary.LittleEndian.Uint32(chunk[7:]) }

func renumber(chunk []byte, n uint32) {
	binary.LittleEndian.PutUint32(chunk[7:], n)
	binary.LittleEndian.PutUint32(chunk, chunkSum(chunk[6:]))
}

// TestOtherLogsPages: what a recycled log holds of its former life is no part of it.
func TestOtherLogsPages(t *testing.T) {
	l := newLogWorld(t, Sync, 20, 5)
	last := l.ends[len(l.ends)-1]
	former := slices.Clone(l.log[:last])
	for i := 0; i+chunkHead <= len(former); i++ { // all chunks of another log, checksums and all
		if s := (&logScan{number: number(former[i:])}); former[i+6] >= chunkFull && former[i+6] <= chunkLast {
			if c, ok := s.chunk(former[i:]); ok {
				renumber(former[i:i+c.size], number(former[i:])-1)
				i += c.size - 1
			}
		}
	}
	for _, cut := range []int{0, 1, 100, l.ends[5], l.ends[5] + 1} {
		log := append(slices.Clone(l.log[:last]), former[cut:]...)
		if commits, said, err := l.start(t, log); err != nil || said || commits != uint64(len(l.ends)) {
			t.Errorf("from byte %d on: %d commits of %d, said: %t, error %v", cut, commits, len(l.ends), said, err)
		}
	}
}
