package journal

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// injectFS returns a file system that calls f before each operation. errorfs alone does not see
// the writes to a recycled log; and where Pebble recycles one, its file system in memory locks
// a mutex twice, so that a clone could wait for ever. So recyclingFS renames and opens the file
// instead, which has the same effect.
func injectFS(disk vfs.FS, f func(errorfs.Op) error) vfs.FS {
	return recyclingFS{errorfs.Wrap(disk, errorfs.InjectorFunc(f))}
}

type recyclingFS struct{ vfs.FS }

func (d recyclingFS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := d.Rename(from, to); err != nil {
		return nil, err
	}
	return d.OpenReadWrite(to, c)
}

// crashDisk is a disk in memory that can lose power.
type crashDisk struct{ *vfs.MemFS }

// lose returns the disk as it may be after a power loss now: all that was synced, and some of
// the rest.
func (d crashDisk) lose(rng *rand.Rand) *vfs.MemFS {
	percent := []int{0, 100, 50, rng.IntN(101)}[rng.IntN(4)]
	return d.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng})
}

// beforeWrites returns a file system that calls f before each operation that writes.
func (d crashDisk) beforeWrites(f func(errorfs.Op)) vfs.FS {
	return injectFS(d, func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			f(op)
		}
		return nil
	})
}

// powerLoss is a moment at which power is lost, and what must be there afterwards.
type powerLoss struct {
	disk  *vfs.MemFS
	op    string
	acked map[uint64]int // events acknowledged, by account
	safe  map[uint64]int // events that may not be lost; mode Interval may lose more of acked, with a new epoch
	epoch uint64         // the epoch that clients were told; 0: none yet
	dirty bool           // whether the run was between its start and its end
}

// crashRun is the life of one disk: several runs of a server, with power lost at many moments.
type crashRun struct {
	t     *testing.T
	tally *counted
	mode  Mode
	disk  crashDisk
	w     *world

	mu     sync.Mutex // guards the following fields
	rng    *rand.Rand
	most   int
	losses []powerLoss

	running atomic.Pointer[Journal] // from Open to the end of Close
	serving atomic.Bool
	epoch   atomic.Uint64
}

// oneIn is the average number of operations between two losses of power.
const oneIn = 12

func (c *crashRun) moment(op errorfs.Op) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.losses) == c.most || c.rng.IntN(oneIn) != 0 {
		return
	}
	loss := powerLoss{op: fmt.Sprintf("%d %s", op.Kind, op.Path), epoch: c.epoch.Load(), dirty: c.serving.Load()}
	loss.acked = c.w.acked(everything)
	loss.safe = loss.acked
	if j := c.running.Load(); j != nil && c.mode == Interval {
		loss.safe = c.w.acked(j.synced.Load())
	}
	loss.disk = c.disk.lose(c.rng)
	if logsOn(loss.disk) > 2 {
		c.tally.saw("losses with more than two logs", 1)
	}
	c.losses = append(c.losses, loss)
	c.tally.saw(kindOfFile(op.Path), 1)
	c.tally.saw("losses after something was acknowledged", min(1, len(loss.safe)))
}

// logsOn counts the logs.
func logsOn(disk *vfs.MemFS) (n int) {
	names, _ := disk.List("data") // before the first start there is none
	for _, name := range names {
		if strings.HasSuffix(name, ".log") {
			n++
		}
	}
	return n
}

// kindOfFile says what a file is for.
func kindOfFile(path string) string {
	switch name := path[strings.LastIndexByte(path, '/')+1:]; {
	case strings.HasSuffix(name, ".log"):
		return "logs"
	case strings.HasSuffix(name, ".sst"):
		return "tables"
	case strings.HasPrefix(name, "MANIFEST"), strings.HasPrefix(name, markerPrefix):
		return "manifests"
	case strings.HasPrefix(name, cleanFile):
		return "marks of clean ends"
	}
	return "others"
}

// beginWithFormatOne has the first run start from a ledger of format 1.
func (c *crashRun) beginWithFormatOne(run uint64) {
	c.disk.MemFS, c.w = formatOneLedger(c.t, c.tally.seed+run, run%2 == 0)
	sum, err := Verify(context.Background(), "data", testOptions(c.t, c.disk, Sync))
	must(c.t, err)
	c.epoch.Store(sum.Epoch)
	c.tally.saw("ledgers of format 1", 1)
}

// live is a few runs of a server, each with a clean end.
func (c *crashRun) live() error {
	disk := noLinkFS{c.disk.beforeWrites(c.moment)}
	o := testOptions(c.t, disk, c.mode)
	for range 3 {
		j, err := Open("data", o)
		if err != nil {
			return err
		}
		r := &recovered{accounts: make(map[uint64]*recoveredAccount)}
		if err := j.Recover(context.Background(), r, nil); err != nil {
			return err
		}
		c.running.Store(j)
		c.epoch.Store(j.Epoch())
		if err := c.w.compare(j, r, c.w.acked(everything)); err != nil {
			return err
		}
		c.serving.Store(true)
		if err := c.serve(j); err != nil {
			return err
		}
		m := j.db.Metrics()
		c.tally.saw("flushes", int(m.Flush.Count))
		c.tally.saw("compactions", int(m.Compact.Count))
		c.serving.Store(false)
		if err := j.Close(); err != nil {
			return err
		}
		c.running.Store(nil)
	}
	return nil
}

// serve has all shards make steps, with checkpoints at the same time.
func (c *crashRun) serve(j *Journal) error {
	c.w.journal.Store(j)
	errs := make(chan error, len(c.w.shards)+1)
	var steps sync.WaitGroup
	for i := range c.w.shards {
		steps.Add(1)
		go func() {
			defer steps.Done()
			for range 15 {
				if err := c.w.step(i, j, 1+i%4*3); err != nil {
					errs <- err
					return
				}
			}
		}()
	}
	over := make(chan struct{})
	go func() { steps.Wait(); close(over) }()
	for {
		if err := j.Checkpoint(context.Background(), c.w); err != nil {
			return err
		}
		select {
		case <-over:
			close(errs)
			return <-errs
		default:
			runtime.Gosched()
		}
	}
}

// judge starts from what a loss of power has left.
func (c *crashRun) judge(n int) error {
	loss := &c.losses[n]
	o := testOptions(c.t, loss.disk, Sync)
	if n%6 == 0 {
		if _, err := Verify(context.Background(), "data", o); err != nil && loss.epoch != 0 {
			return fmt.Errorf("verify: %w", err)
		}
	}
	again := new(secondLoss)
	if n%3 == 2 {
		o.FS = again.after(loss, rand.New(rand.NewPCG(c.tally.seed, uint64(n))))
	}
	j, r, err := recoverFrom("data", o)
	if err != nil {
		return err
	}
	again.recovered(j, r)
	err = c.holds(j, r, loss)
	if err == nil && n%3 == 1 {
		err = c.goOn(j, r, loss.disk, uint64(n))
	}
	if err = errors.Join(err, j.Close()); err == nil {
		err = c.judgeAgain(&again.powerLoss)
	}
	return err
}

// holds checks that everything is there that must be after a loss of power, and that the epoch
// is right.
func (c *crashRun) holds(j *Journal, r *recovered, loss *powerLoss) error {
	same, acked := j.Epoch() == loss.epoch, loss.safe
	if same {
		acked = loss.acked
	}
	if err := c.w.compare(j, r, acked); err != nil || loss.epoch == 0 {
		return err
	}
	switch {
	case c.mode == Sync && !same:
		return errors.New("the epoch is another, although nothing is lost")
	case c.mode == Interval && same && loss.dirty:
		return errors.New("the epoch stayed, although the run did not end cleanly")
	}
	return nil
}

// secondLoss is a loss of power during the start that follows a loss of power, or during the
// end of that run.
type secondLoss struct {
	mu sync.Mutex
	powerLoss
	rng  *rand.Rand
	left int // operations until the loss
}

// startOperations is about the number of operations in a start and its end.
const startOperations = 120

// after returns the disk that a loss has left, and lets it lose power again.
func (l *secondLoss) after(loss *powerLoss, rng *rand.Rand) vfs.FS {
	disk := crashDisk{loss.disk}
	l.powerLoss, l.rng, l.left = *loss, rng, rng.IntN(startOperations)
	l.disk = nil
	return disk.beforeWrites(func(op errorfs.Op) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.left--; l.left == -1 {
			l.disk, l.op = disk.lose(l.rng), fmt.Sprintf("%d %s", op.Kind, op.Path)
		}
	})
}

// recovered counts everything that came back as acknowledged from now on, because clients may
// be told of it.
func (l *secondLoss) recovered(j *Journal, r *recovered) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.disk != nil {
		return
	}
	l.acked = make(map[uint64]int)
	for number, a := range r.accounts {
		l.acked[number] = int(a.seq)
	}
	l.safe, l.epoch, l.dirty = l.acked, j.Epoch(), false
}

func (c *crashRun) judgeAgain(loss *powerLoss) error {
	if loss.disk == nil {
		return nil
	}
	c.tally.saw("starts again", 1)
	o := testOptions(c.t, loss.disk, Sync)
	j, r, err := recoverFrom("data", o)
	if err == nil {
		err = errors.Join(c.holds(j, r, loss), j.Close())
	}
	if err == nil && loss.epoch != 0 {
		_, err = Verify(context.Background(), "data", o)
	}
	if err != nil {
		return fmt.Errorf("power lost again before operation %s: %w", loss.op, err)
	}
	return nil
}

// goOn uses the recovered journal, and then loses power again, with everything lost that was
// not synced.
func (c *crashRun) goOn(j *Journal, r *recovered, disk *vfs.MemFS, seed uint64) error {
	w := c.w.goOnFrom(r, seed)
	w.journal.Store(j)
	for i := range 12 {
		if err := w.step(i%len(w.shards), j, 3); err != nil {
			return err
		}
		if i%5 == 2 {
			if err := j.Checkpoint(context.Background(), w); err != nil {
				return err
			}
		}
	}
	again := testOptions(c.t, disk.CrashClone(vfs.CrashCloneCfg{}), Sync)
	j2, r2, err := recoverFrom("data", again)
	if err != nil {
		return err
	}
	if err = w.compare(j2, r2, w.acked(everything)); err == nil && j2.Epoch() != j.Epoch() {
		err = errors.New("the epoch changed at the second loss")
	}
	if err = errors.Join(err, j2.Close()); err == nil {
		_, err = Verify(context.Background(), "data", again)
	}
	return err
}

// TestPowerLoss loses power at seeded moments of commits, checkpoints, flushes, compactions,
// starts and ends. Every event that was acknowledged must be there once, in its place, and the
// state must be that of a dumb model. The events include busts and corrections. A third of the
// starts afterwards lose power again.
func TestPowerLoss(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	y := newTally(t, "power loss")
	for tried, run := 0, uint64(0); tried < *crashPoints && !t.Failed(); run++ {
		c := &crashRun{
			t: t, tally: y, mode: Sync, disk: crashDisk{vfs.NewCrashableMem()}, w: newWorld(4, 6, y.seed+run),
			rng: rand.New(rand.NewPCG(y.seed+run, 1)), most: min(100, *crashPoints-tried),
		}
		if run%4 == 1 {
			c.mode = Interval
		}
		if run%3 == 2 {
			c.beginWithFormatOne(run)
		}
		if err := c.live(); err != nil {
			y.found("run %d: %v", run, err)
			return
		}
		c.w.each(func(_ uint64, a *worldAccount) { y.sawBusts(a.events) })
		tried += len(c.losses)
		c.judgeAll(run)
	}
	y.mustHaveSeen("losses after something was acknowledged")
	if *crashPoints >= 3000 { // with so many, all of these occur whatever the seed and the machine
		y.mustHaveSeen("logs", "tables", "manifests", "flushes", "compactions", "marks of clean ends",
			"losses with more than two logs", "starts again")
		y.mustHaveSeen("busts", "corrections", "corrections of corrections", "busts of corrections", "cascades")
		y.mustHaveSeen("ledgers of format 1")
	}
}

func (c *crashRun) judgeAll(run uint64) {
	forEach(len(c.losses), func(n int) {
		if err := c.judge(n); err != nil {
			c.tally.found("run %d (%s), loss %d, before operation %s: %v", run, c.mode, n, c.losses[n].op, err)
		}
		c.losses[n].disk = nil
		c.tally.tried(1)
	})
}

// forEach calls f with 0 to n-1, on all processors.
func forEach(n int, f func(int)) {
	var next atomic.Int64
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		}()
	}
	all.Wait()
}
