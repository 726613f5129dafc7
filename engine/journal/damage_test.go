package journal

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"

	"github.com/papertape/papertape/positions"
)

// cloneDisk copies a directory of a disk in memory.
func cloneDisk(tb testing.TB, disk vfs.FS) *vfs.MemFS {
	tb.Helper()
	clone := vfs.NewMem()
	if ok, err := vfs.Clone(disk, clone, "data", "data"); err != nil || !ok {
		tb.Fatalf("the disk was not cloned: %v", err)
	}
	return clone
}

// filesOf are the files with something in them, by name.
func filesOf(tb testing.TB, disk *vfs.MemFS) (names []string) {
	tb.Helper()
	all, err := disk.List("data")
	if err != nil {
		tb.Fatal(err)
	}
	for _, name := range all {
		if b, err := disk.UnsafeGetFileDataBuffer("data/" + name); err == nil && len(b) > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func write(tb testing.TB, disk *vfs.MemFS, name string, data []byte) {
	tb.Helper()
	f, err := disk.Create("data/"+name, vfs.WriteCategoryUnspecified)
	if err == nil {
		_, err = f.Write(slices.Clone(data)) // with the race detector on, Pebble's disk spoils what it is given
	}
	if err = errors.Join(err, f.Close()); err != nil {
		tb.Fatal(err)
	}
}

// spoiltStart starts from a disk on which something is wrong, without what Pebble reads in the background: there, damage ends
// the process instead of a test (see TestDamageInBackground).
func spoiltStart(tb testing.TB, disk vfs.FS, log *logged) (*Journal, *recovered, error) {
	tb.Helper()
	o := testOptions(tb, disk, Sync)
	o.Log = zerolog.New(log)
	o.tune = func(p *pebble.Options) {
		small(p)
		p.DisableAutomaticCompactions, p.DisableTableStats = true, true
	}
	return recoverFrom("data", o)
}

// TestFlippedBits of every file, after a clean end and after a crash: damage with a name, or everything as it was; after a crash
// the last block may be gone as well, and then that is in the log. Never a panic, and never silence.
func TestFlippedBits(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	disk, w := vfs.NewCrashableMem(), newWorld(2, 5, 3)
	o := testOptions(t, disk, Sync)
	j, _ := mustRecover(t, "data", o)
	w.run(t, j, 60, 5)
	mustCheckpoint(t, j, w)
	w.run(t, j, 40, 5)
	mustCheckpoint(t, j, w)
	w.run(t, j, 60, 5)
	afterCrash := disk.CrashClone(vfs.CrashCloneCfg{})
	mustClose(t, j)
	y := newTally(t, "flipped bits")
	w.each(func(_ uint64, a *worldAccount) { y.sawBusts(a.events) })
	var files []spoilable
	for _, name := range filesOf(t, afterCrash) {
		files = append(files, spoilable{afterCrash, name, false})
	}
	for _, name := range filesOf(t, disk) {
		files = append(files, spoilable{disk, name, true})
	}
	forEach(*flips, func(n int) {
		f := files[n%len(files)]
		y.saw(kindOfFile(f.name), 1)
		f.flip(t, y, w, n)
	})
	y.must("damage", "as it was", "busts")
	if *flips >= 3000 {
		y.must("cut back", "logs", "tables", "manifests", "marks of clean ends")
	}
}

// spoilable is a file on a disk, after a clean end or after a crash.
type spoilable struct {
	disk  *vfs.MemFS
	name  string
	clean bool
}

// flip flips a bit that depends on n.
func (f spoilable) flip(t *testing.T, y *tally, w *world, n int) {
	rng := rand.New(rand.NewPCG(y.seed, uint64(n)))
	original, err := f.disk.UnsafeGetFileDataBuffer("data/" + f.name)
	if err != nil {
		t.Error(err)
		return
	}
	at := rng.IntN(len(original))
	if rng.IntN(3) == 0 {
		at = max(0, len(original)-1-rng.IntN(200)) // the end is where it matters most
	}
	bit := byte(1) << rng.IntN(8)
	spoilt := slices.Clone(original)
	spoilt[at] ^= bit
	disk := cloneDisk(t, f.disk)
	write(t, disk, f.name, spoilt)
	what, err := judgeSpoilt(t, w, disk, f.clean)
	if err != nil {
		y.found("flip %d, %s (after a clean end: %t), byte %d of %d, bit %02x: %v", n, f.name, f.clean, at, len(original), bit, err)
	}
	y.saw(what, 1)
	y.tried(1)
}

// judgeSpoilt says what became of a start from a spoilt disk, and whether that may be. All of w had been acknowledged.
func judgeSpoilt(t *testing.T, w *world, disk *vfs.MemFS, clean bool) (what string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a panic: %v\n%s", p, debug.Stack())
		}
	}()
	_, verified := Verify(context.Background(), "data", testOptions(t, disk, Sync))
	log := new(logged)
	j, r, err := spoiltStart(t, disk, log)
	if err != nil {
		if !strings.Contains(err.Error(), "data") || verified == nil {
			return "", fmt.Errorf("start: %w; verify: %w", err, verified)
		}
		return "damage", nil
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	err = w.compare(j, r, w.acked(everything))
	switch cut := strings.Contains(log.String(), "it has been cut back"); {
	case err == nil:
		return "as it was", nil
	case verified != nil && strings.Contains(err.Error(), "damaged"):
		return "damage", nil // of a part of the history: it is found when it is read
	case clean || !cut:
		return "", fmt.Errorf("verify: %w; what came back: %w; log: %s", verified, err, log)
	}
	return "cut back", w.compare(j, r, w.acked(j.start.number))
}

// TestCutFiles: a file that ends early, or is gone, is damage after a clean end.
func TestCutFiles(t *testing.T) {
	disk, w := vfs.NewMem(), newWorld(2, 5, 3)
	j, _ := mustRecover(t, "data", testOptions(t, disk, Sync))
	w.run(t, j, 60, 5)
	mustCheckpoint(t, j, w)
	w.run(t, j, 60, 5)
	mustClose(t, j)
	y := newTally(t, "cut files")
	rng := rand.New(rand.NewPCG(y.seed, 7))
	for _, file := range filesOf(t, disk) {
		original, err := disk.UnsafeGetFileDataBuffer("data/" + file)
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range []int{-1, 0, len(original) / 2, len(original) - 1, rng.IntN(len(original))} {
			spoilt := cloneDisk(t, disk)
			if size < 0 {
				if file == cleanFile {
					continue // as after a crash, and rightly so
				}
				if err := spoilt.Remove("data/" + file); err != nil {
					t.Fatal(err)
				}
			} else {
				write(t, spoilt, file, original[:size])
			}
			what, err := judgeSpoilt(t, w, spoilt, true)
			if err != nil {
				y.found("%s, %d bytes of %d: %v", file, size, len(original), err)
			}
			y.saw(what, 1)
			y.tried(1)
		}
	}
	y.must("damage")
}

// TestDamagedValues: what is wrong behind right checksums of Pebble is found by our own, by the chain or by the sequences, and
// named.
func TestDamagedValues(t *testing.T) {
	disk, w := vfs.NewMem(), newWorld(1, 4, 3)
	j, _ := mustRecover(t, "data", testOptions(t, disk, Sync))
	w.run(t, j, 30, 5)
	mustCheckpoint(t, j, w)
	mark := j.mark.number
	w.run(t, j, 10, 5)
	last := j.Committed()
	mustClose(t, j)
	value := func(db *pebble.DB, key []byte) []byte {
		v, closer, err := db.Get(key)
		if err != nil {
			t.Fatalf("%s: %v", nameKey(key), err)
		}
		defer func() { _ = closer.Close() }()
		return slices.Clone(v)
	}
	flip := func(key []byte) func(*pebble.DB) error {
		return func(db *pebble.DB) error {
			v := value(db, key)
			v[len(v)-1] ^= 1
			return db.Set(key, v, nil)
		}
	}
	move := func(from, to []byte) func(*pebble.DB) error {
		return func(db *pebble.DB) error { return db.Set(to, value(db, from), nil) }
	}
	remove := func(key []byte) func(*pebble.DB) error {
		return func(db *pebble.DB) error { return db.Delete(key, nil) }
	}
	body := func(key, body []byte) func(*pebble.DB) error {
		return func(db *pebble.DB) error { put(t, db, key, body); return nil }
	}
	for _, c := range []struct {
		name   string
		spoil  func(*pebble.DB) error
		want   string
		verify bool // alone
	}{
		{"a block", flip(blockKey(mark + 3)), fmt.Sprintf("commit %d: its checksum does not match", mark+3), false},
		{"the first block is missing", remove(blockKey(mark + 1)),
			fmt.Sprintf("commit %d: it is missing; the next one is %d", mark+1, mark+2), false},
		{"a block is missing", remove(blockKey(mark + 3)),
			fmt.Sprintf("commit %d: it is missing; the next one is %d", mark+3, mark+4), false},
		{"the last block is missing", remove(blockKey(last)),
			fmt.Sprintf("the end, commit %d: the last run ended cleanly with commit %d", last-1, last), false},
		{"a block too many", move(blockKey(last), blockKey(last+1)),
			fmt.Sprintf("commit %d: its checksum does not match", last+1), false},
		{"a block in the place of another", move(blockKey(mark+2), blockKey(mark+3)),
			fmt.Sprintf("commit %d: its checksum does not match", mark+3), false},
		{"another block", func(db *pebble.DB) error {
			b := value(db, blockKey(mark+3))
			b[valueHead+8+2] ^= 1
			sealValue(blockKey(mark+3), b)
			return db.Set(blockKey(mark+3), b, nil)
		}, fmt.Sprintf("commit %d: ", mark+3), false},
		{"a block of another history", func(db *pebble.DB) error {
			b := value(db, blockKey(mark+3))
			b[valueHead] ^= 1
			sealValue(blockKey(mark+3), b)
			return db.Set(blockKey(mark+3), b, nil)
		}, fmt.Sprintf("commit %d: it follows another commit %d than the one there is", mark+3, mark+2), false},
		{"the run record", flip(metaKey(metaRun)), `the record "run": its checksum does not match`, false},
		{"no run record", remove(metaKey(metaRun)), "the record of the last run: it is missing", false},
		{"an impossible run record", body(metaKey(metaRun), []byte{formatNumber, 1, 0, 0, 0, 0, 0, 0, 0, 9, 1}),
			`the record "run": a number in it is out of range`, false},
		{"the mark", flip(metaKey(metaMark)), `the record "mark": its checksum does not match`, false},
		{"no mark", remove(metaKey(metaMark)), "the last run ended cleanly", false},
		{"an account", flip(accountKey(100001)), "account 100001: its checksum does not match", false},
		{"an account that ends early", body(accountKey(100001), []byte{1}), "account 100001: it ends too early", false},
		{"rows out of order", body(accountKey(100001), rowsOutOfOrder()), "account 100001: its rows are not by instrument", false},
		{"an account that is missing", remove(accountKey(100001)), "account 100001", false},
		{"an account by another number", move(accountKey(100001), accountKey(7)), "account 7: its checksum does not match", false},
		{"an order id of nobody", body(orderIDKey(7, 1), make([]byte, 16)),
			"the order id of event 1 of account 7: there is no such account", false},
		{"an order id of the future", body(orderIDKey(100001, 1<<40), make([]byte, 16)),
			"the order id of event 1099511627776 of account 100001: the account is at event", false},
		{"a short order id", body(orderIDKey(100001, 1), make([]byte, 15)),
			"the order id of event 1 of account 100001: it ends too early", false},
		{"a run", flip(runKey(100001, 1)), "the history of account 100001 from event 1 on: its checksum does not match", true},
		{"no run", remove(runKey(100001, 1)),
			"the history of account 100001: it ends with event 0, and the account's checkpoint is of event", true},
		{"a run of another account",
			body(runKey(100001, 1), newListings(universe).appendRun(nil, w.shards[0].accounts[100002].events[:1])),
			"the history of account 100001 from event 1 on: event 1 of account 100002 is where event 1 should be", true},
		{"a run too many", body(runKey(100001, 1<<40), newListings(universe).appendRun(nil, nil)),
			"the history of account 100001 from event 1099511627776 on: it should begin with event", true},
		{"a run of nobody", body(runKey(7, 1), []byte{0}), "account 7: there is something of it, and no event", true},
		{"a key of nothing", func(db *pebble.DB) error { return db.Set([]byte("Z"), nil, nil) },
			"the unknown key 5a: nothing is kept under such a key", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			spoilt := cloneDisk(t, disk)
			edit(t, spoilt, func(db *pebble.DB) {
				if err := c.spoil(db); err != nil {
					t.Fatal(err)
				}
			})
			_, err := Verify(context.Background(), "data", testOptions(t, spoilt, Sync))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("verify: %v; want %s", err, c.want)
			}
			j, _, err := spoiltStart(t, spoilt, new(logged))
			if c.verify {
				if err != nil {
					t.Fatalf("start: %v", err)
				}
				mustClose(t, j)
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("start: %v; want %s", err, c.want)
			}
		})
	}
}

func rowsOutOfOrder() []byte {
	l := newListings(universe)
	body := []byte{1, 0, 0, 0, 2}
	body = l.appendRow(body, &positions.Row{Quantity: 1, Version: 1, Instrument: 2})
	return l.appendRow(body, &positions.Row{Quantity: 1, Version: 1, Instrument: 1})
}

// TestReadNamesDamage: the history that a client asks for is not answered from a damaged run.
func TestReadNamesDamage(t *testing.T) {
	disk, w := vfs.NewMem(), newWorld(1, 2, 3)
	o := testOptions(t, disk, Sync)
	j, _ := mustRecover(t, "data", o)
	w.run(t, j, 30, 5)
	mustCheckpoint(t, j, w)
	mustClose(t, j)
	edit(t, disk, func(db *pebble.DB) { put(t, db, runKey(100001, 1), []byte{99}) })
	j, _ = mustRecover(t, "data", o)
	var damage *DamageError
	if events, err := j.Read(nil, 100001, 1, 10); !errors.As(err, &damage) || len(events) != 0 ||
		damage.Where != "the history of account 100001 from event 1 on" {
		t.Errorf("%d events, %v", len(events), err)
	}
	if events, err := j.Read(nil, 100002, 1, 3); err != nil || len(events) != 3 {
		t.Errorf("of another account: %d events, %v", len(events), err)
	}
}
