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

// logWorld is a run that has lost power after everything was written to the disk, and its
// newest log. The log has one or several of Pebble's blocks, and nothing was checkpointed or
// flushed.
type logWorld struct {
	w    *world
	disk *vfs.MemFS
	name string
	log  []byte
	ends []int // where the record of each block ends in the log; empty in mode Interval
}

func newLogWorld(t *testing.T, mode Mode, steps, events int, more ...func(*Journal)) *logWorld {
	t.Helper()
	disk, w := vfs.NewCrashableMem(), newWorld(2, 5, 3)
	o := testOptions(t, disk, mode)
	o.tune, o.SyncInterval = nil, time.Hour // no flush, and no sync in mode Interval
	j, _ := mustRecover(t, "data", o)
	mustClose(t, j) // the table of instruments is in an earlier log
	j, _ = mustRecover(t, "data", o)
	l := &logWorld{w: w}
	for range steps {
		w.run(t, j, 1, events)
		if mode == Sync && j.Committed() > uint64(len(l.ends)) {
			l.ends = append(l.ends, l.end(t, disk))
		}
	}
	if mode == Interval { // Pebble writes whole blocks of the log, at some later time
		whole := int(j.Stats().Bytes) / logBlockBytes * logBlockBytes
		waitUntil(t, "the log", func() bool { return l.end(t, disk) >= whole-logBlockBytes })
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

// end returns where Pebble stops reading the newest log.
func (l *logWorld) end(t *testing.T, disk vfs.FS) int {
	t.Helper()
	logs, err := scanLogs(disk, "data")
	if err != nil || len(logs) == 0 {
		t.Fatalf("%d logs, %v", len(logs), err)
	}
	newest := logs[len(logs)-1]
	l.name = newest.name
	if newest.torn > logBlockBytes || newest.evidence != "" || newest.block != 0 {
		t.Fatalf("a log that nothing has happened to: %+v", newest)
	}
	return int(newest.stopsAt)
}

// start starts with other contents of the newest log. It returns how many commits came back,
// and whether a cut was logged, or else the damage.
func (l *logWorld) start(t *testing.T, log []byte) (commits uint64, cut bool, err error) {
	t.Helper()
	disk, text := cloneDisk(t, l.disk), new(testLog)
	overwrite(t, disk, l.name, log)
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

// TestFlippedLog flips bits in the log of a Sync run. Before the last block the result is
// damage; in the last block the block is cut off, and that is logged. Nothing that was
// acknowledged disappears silently, as it would with Pebble alone.
func TestFlippedLog(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	y := newTally(t, "flipped log")
	sizes := map[string][3]int{"one block of the log": {40, 5, *flips * 3 / 4},
		"many blocks of the log": {300, 8, *flips / 4}}
	for name, size := range sizes {
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
	y.mustHaveSeen("damage", "cut back")
}

// flip flips a bit of the log.
func (l *logWorld) flip(t *testing.T, y *counted, at int, bit byte) {
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

// TestFlippedLastBlock: if something else was synced after the last block, the log itself
// proves that the block was on the disk.
func TestFlippedLastBlock(t *testing.T) {
	l := newLogWorld(t, Sync, 12, 5, func(j *Journal) {
		for range 3 { // the sync offsets in Pebble's log lag behind its syncs
			must(t, j.db.LogData(nil, pebble.Sync))
		}
	})
	last, before := l.ends[len(l.ends)-1], l.ends[len(l.ends)-2]
	for at := before; at < last; at += 7 {
		log := slices.Clone(l.log)
		log[at] ^= 4
		if commits, _, err := l.start(t, log); err == nil {
			t.Errorf("byte %d of the record from %d to %d: %d commits of %d, and no damage",
				at, before, last, commits, len(l.ends))
		}
	}
}

// TestFlippedOlderLog: if the number in an older log's last chunk is flipped to that of the
// next log, the log looks as if it had been closed there, and Pebble would ignore the end of
// it.
func TestFlippedOlderLog(t *testing.T) {
	disk := vfs.NewCrashableMem()
	var flushes sync.Mutex
	o := testOptions(t, injectFS(disk, func(op errorfs.Op) error {
		if op.Kind == errorfs.OpCreate && isTable(op) {
			flushes.Lock()
			defer flushes.Unlock()
		}
		return nil
	}), Sync)
	o.tune = func(o *pebble.Options) { smallPebble(o); o.MemTableStopWritesThreshold = 100 }
	j, _ := mustRecover(t, "data", o)
	flushes.Lock() // without flushes, all logs are needed
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
		s, last := logScan{number: logNumberOf(log)}, 0
		for at := 0; at < int(l.stopsAt); at++ {
			if c, ok := s.chunk(log[at:]); ok {
				last, at = at, at+c.size-1
			}
		}
		binary.LittleEndian.PutUint32(log[last+7:], s.number+1)
		spoilt := cloneDisk(t, crashed)
		overwrite(t, spoilt, l.name, log)
		for name, err := range openAll(testOptions(t, spoilt, Sync)) {
			if want := fmt.Sprintf("the log %s: what was written at byte %d is spoilt", l.name, last); err == nil ||
				!strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %s", name, err, want)
			}
		}
	}
}

// TestTornLog tears the log at every byte. Behind it the log ends, or there are zeros, or
// garbage, as in pages that were never written. All blocks before the tear are there; the torn
// one is cut off, and that is logged.
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
	y.mustHaveSeen("cut back")
}

// tear replaces the log from a byte on with something else.
func (l *logWorld) tear(t *testing.T, y *counted, at int, what string, rest []byte) {
	log := append(slices.Clone(l.log[:at]), rest...)
	for at < len(log) && log[at] == l.log[at] {
		at++ // equal by chance
	}
	whole, begins := l.wholeAt(at)
	commits, cut, err := l.start(t, log)
	must, may := at >= begins+chunkHead, at > begins
	if whole == 0 {
		must, may = false, true // the first record in the log is not a block but the record of the run
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

// wholeAt returns how many records of blocks end before a byte of the log, and where the next
// one begins.
func (l *logWorld) wholeAt(at int) (n uint64, begins int) {
	for _, end := range l.ends {
		if end > at {
			break
		}
		n, begins = n+1, end
	}
	return n, begins
}

// TestLogOfInterval: parts of what was written and never synced may be gone. That is no damage:
// it is cut off, that is logged, and the epoch changes anyway.
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
		at := 1<<10 + rng.IntN(len(l.log)-logBlockBytes-1<<10) // after the record of the run, which was synced
		log := slices.Clone(l.log)
		clear(log[at:min(at+4096, len(log)-logBlockBytes)])
		if commits, cut, err := l.start(t, log); err != nil || !cut || commits >= whole {
			y.found("a page at byte %d of %d: %d commits of %d, said: %t, error %v",
				at, len(log), commits, whole, cut, err)
		}
		y.tried(1)
	}
}

// logNumberOf returns the number of the log that a chunk belongs to.
func logNumberOf(chunk []byte) uint32 { return binary.LittleEndian.Uint32(chunk[7:]) }

// setLogNumber changes it.
func setLogNumber(chunk []byte, n uint32) {
	binary.LittleEndian.PutUint32(chunk[7:], n)
	binary.LittleEndian.PutUint32(chunk, chunkSum(chunk[6:]))
}

// TestOtherLogsPages: what a recycled log contains of its former life is not part of it.
func TestOtherLogsPages(t *testing.T) {
	l := newLogWorld(t, Sync, 20, 5)
	last := l.ends[len(l.ends)-1]
	former := slices.Clone(l.log[:last])
	for i := 0; i+chunkHead <= len(former); i++ { // turns all chunks into chunks of another log, with right checksums
		if s := (&logScan{number: logNumberOf(former[i:])}); former[i+6] >= chunkFull && former[i+6] <= chunkLast {
			if c, ok := s.chunk(former[i:]); ok {
				setLogNumber(former[i:i+c.size], logNumberOf(former[i:])-1)
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
