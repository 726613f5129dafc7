package journal

import (
	"context"
	"encoding/binary"
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
	"github.com/papertape/papertape/record"
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

// filesOf returns the names of the files that are not empty.
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

func overwrite(tb testing.TB, disk *vfs.MemFS, name string, data []byte) {
	tb.Helper()
	f, err := disk.Create("data/"+name, vfs.WriteCategoryUnspecified)
	if err == nil {
		_, err = f.Write(slices.Clone(data)) // with the race detector, Pebble's file system overwrites its argument
	}
	if err = errors.Join(err, f.Close()); err != nil {
		tb.Fatal(err)
	}
}

// spoiltStart starts from a damaged disk, without Pebble's background reads: damage that they
// find ends the process, and so the test (see TestDamageInBackground).
func spoiltStart(tb testing.TB, disk vfs.FS, log *testLog) (*Journal, *recovered, error) {
	tb.Helper()
	o := testOptions(tb, disk, Sync)
	o.Log = zerolog.New(log)
	o.tune = func(p *pebble.Options) {
		smallPebble(p)
		p.DisableAutomaticCompactions, p.DisableTableStats = true, true
	}
	return recoverFrom("data", o)
}

// TestFlippedBits flips bits in every file, after a clean end and after a crash. The result is
// damage that names the place, or everything as it was. After a crash the last block may also
// be gone, and then the log says so. It is never a panic, and never silent.
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
	add := func(disk *vfs.MemFS, w *world, clean bool, format string) {
		for _, name := range filesOf(t, disk) {
			files = append(files, spoilable{disk, w, name, clean, format})
		}
	}
	add(afterCrash, w, false, "format 2")
	add(disk, w, true, "format 2")
	for _, clean := range []bool{false, true} {
		disk, w := formatOneLedger(t, 3, clean)
		add(disk, w, clean, "format 1")
	}
	disk, w = formatOneFixture(t, "killed")
	add(disk, w, false, "format 1")
	forEach(*flips, func(n int) {
		f := files[n%len(files)]
		y.saw(kindOfFile(f.name), 1)
		y.saw(f.format, 1)
		f.flip(t, y, n)
	})
	y.mustHaveSeen("format 1")
	y.mustHaveSeen("damage", "as it was", "busts")
	if *flips >= 3000 {
		y.mustHaveSeen("cut back", "logs", "tables", "manifests", "marks of clean ends")
	}
}

// spoilable is a file on a disk, after a clean end or after a crash.
type spoilable struct {
	disk   *vfs.MemFS
	w      *world // what is on it
	name   string
	clean  bool
	format string
}

// flip flips a bit that depends on n.
func (f spoilable) flip(t *testing.T, y *counted, n int) {
	rng := rand.New(rand.NewPCG(y.seed, uint64(n)))
	original, err := f.disk.UnsafeGetFileDataBuffer("data/" + f.name)
	if err != nil {
		t.Error(err)
		return
	}
	at := rng.IntN(len(original))
	if rng.IntN(3) == 0 {
		at = max(0, len(original)-1-rng.IntN(200)) // more often near the end, where it matters most
	}
	bit := byte(1) << rng.IntN(8)
	spoilt := slices.Clone(original)
	spoilt[at] ^= bit
	disk := cloneDisk(t, f.disk)
	overwrite(t, disk, f.name, spoilt)
	what, err := judgeSpoilt(t, f.w, disk, f.clean)
	if err != nil {
		y.found("flip %d, %s (%s, after a clean end: %t), byte %d of %d, bit %02x: %v",
			n, f.name, f.format, f.clean, at, len(original), bit, err)
	}
	y.saw(what, 1)
	y.tried(1)
}

// judgeSpoilt says what came of a start from a damaged disk, and whether that is allowed.
// Everything in w had been acknowledged.
func judgeSpoilt(t *testing.T, w *world, disk *vfs.MemFS, clean bool) (what string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a panic: %v\n%s", p, debug.Stack())
		}
	}()
	_, verified := Verify(context.Background(), "data", testOptions(t, disk, Sync))
	log := new(testLog)
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
		return "damage", nil // in the history: it is found when that is read
	case clean || !cut:
		return "", fmt.Errorf("verify: %w; what came back: %w; log: %s", verified, err, log)
	}
	return "cut back", w.compare(j, r, w.acked(j.openedAt.number))
}

// TestCutFiles: a truncated or missing file is damage after a clean end.
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
					continue // without this file the end counts as a crash, which is right
				}
				if err := spoilt.Remove("data/" + file); err != nil {
					t.Fatal(err)
				}
			} else {
				overwrite(t, spoilt, file, original[:size])
			}
			what, err := judgeSpoilt(t, w, spoilt, true)
			if err != nil {
				y.found("%s, %d bytes of %d: %v", file, size, len(original), err)
			}
			y.saw(what, 1)
			y.tried(1)
		}
	}
	y.mustHaveSeen("damage")
}

// TestDamagedValues: damage that Pebble's checksums do not show is found by ours, by the chain
// or by the sequences, and the error names it.
func TestDamagedValues(t *testing.T) {
	disk, w := vfs.NewMem(), newWorld(1, 4, 3)
	j, _ := mustRecover(t, "data", testOptions(t, disk, Sync))
	w.run(t, j, 30, 5)
	mustCheckpoint(t, j, w)
	mark := j.mark.number
	w.run(t, j, 10, 5)
	last := j.Committed()
	mustClose(t, j)
	cases := append(damagedBlocks(mark, last), damagedAccounts(w.shards[0].accounts[100002].events[:1])...)
	cases = append(cases, damagedTable()...)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			spoilt := cloneDisk(t, disk)
			editDB(t, spoilt, func(db *pebble.DB) {
				if err := c.spoil(db); err != nil {
					t.Fatal(err)
				}
			})
			_, err := Verify(context.Background(), "data", testOptions(t, spoilt, Sync))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("verify: %v; want %s", err, c.want)
			}
			j, _, err := spoiltStart(t, spoilt, new(testLog))
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

// damagedValue is a change of a value that keeps Pebble's checksums right.
type damagedValue struct {
	name   string
	spoil  func(*pebble.DB) error
	want   string
	verify bool // only Verify finds it
}

func damagedBlocks(mark, last uint64) []damagedValue {
	return []damagedValue{
		{"a block", flipLast(blockKey(mark + 3)), fmt.Sprintf("commit %d: its checksum does not match", mark+3), false},
		{"the first block is missing", removeKey(blockKey(mark + 1)),
			fmt.Sprintf("commit %d: it is missing; the next one is %d", mark+1, mark+2), false},
		{"a block is missing", removeKey(blockKey(mark + 3)),
			fmt.Sprintf("commit %d: it is missing; the next one is %d", mark+3, mark+4), false},
		{"the last block is missing", removeKey(blockKey(last)),
			fmt.Sprintf("the end, commit %d: the last run ended cleanly with commit %d", last-1, last), false},
		{"a block too many", copyValue(blockKey(last), blockKey(last+1)),
			fmt.Sprintf("commit %d: its checksum does not match", last+1), false},
		{"a block in the place of another", copyValue(blockKey(mark+2), blockKey(mark+3)),
			fmt.Sprintf("commit %d: its checksum does not match", mark+3), false},
		{"another block", func(db *pebble.DB) error {
			b := mustGet(db, blockKey(mark+3))
			b[valueHead+8+2] ^= 1
			sealValue(blockKey(mark+3), b)
			return db.Set(blockKey(mark+3), b, nil)
		}, fmt.Sprintf("commit %d: ", mark+3), false},
		{"a block of another history", func(db *pebble.DB) error {
			b := mustGet(db, blockKey(mark+3))
			b[valueHead] ^= 1
			sealValue(blockKey(mark+3), b)
			return db.Set(blockKey(mark+3), b, nil)
		}, fmt.Sprintf("commit %d: it follows another commit %d than the one there is", mark+3, mark+2), false},
		{"the run record", flipLast(metaKey(metaRun)), `the record "run": its checksum does not match`, false},
		{"no run record", removeKey(metaKey(metaRun)), "the record of the last run: it is missing", false},
		{"an impossible run record", setBody(metaKey(metaRun), []byte{formatNumber, 1, 0, 0, 0, 0, 0, 0, 0, 9, 1, 50}),
			`the record "run": a number in it is out of range`, false},
		{"the mark", flipLast(metaKey(metaMark)), `the record "mark": its checksum does not match`, false},
		{"no mark", removeKey(metaKey(metaMark)), "the last run ended cleanly", false},
	}
}

// damagedAccounts takes events of account 100002.
func damagedAccounts(other []positions.Event) []damagedValue {
	return []damagedValue{
		{"an account", flipLast(accountKey(100001)), "account 100001: its checksum does not match", false},
		{"an account that ends early", setBody(accountKey(100001), []byte{1}), "account 100001: it ends too early",
			false},
		{"rows out of order", setBody(accountKey(100001), rowsOutOfOrder()),
			"account 100001: its rows are not by instrument", false},
		{"an account that is missing", removeKey(accountKey(100001)), "account 100001", false},
		{"an account by another number", copyValue(accountKey(100001), accountKey(7)),
			"account 7: its checksum does not match", false},
		{"an order id of nobody", setBody(orderIDKey(7, 1), make([]byte, 24)),
			"the order id of event 1 of account 7: there is no such account", false},
		{"an order id of the future", setBody(orderIDKey(100001, 1<<40), make([]byte, 24)),
			"the order id of event 1099511627776 of account 100001: the account is at event", false},
		{"a short order id", setBody(orderIDKey(100001, 1), make([]byte, 23)),
			"the order id of event 1 of account 100001: it ends too early", false},
		{"a run", flipLast(runKey(100001, 1)),
			"the history of account 100001 from event 1 on: its checksum does not match", true},
		{"no run", removeKey(runKey(100001, 1)),
			"the history of account 100001: it ends with event 0, and the account's checkpoint is of event", true},
		{"a run of another account",
			setBody(runKey(100001, 1), runOf(other)),
			"the history of account 100001 from event 1 on: event 1 of account 100002 is where event 1 should be",
			true},
		{"a run too many", setBody(runKey(100001, 1<<40), runOf(nil)),
			"the history of account 100001 from event 1099511627776 on: it should begin with event", true},
		{"a run of nobody", setBody(runKey(7, 1), []byte{0}), "account 7: there is something of it, and no event",
			true},
		{"a key of nothing", func(db *pebble.DB) error { return db.Set([]byte("Z"), nil, nil) },
			"the unknown key 5a: nothing is kept under such a key", true},
	}
}

func mustGet(db *pebble.DB, key []byte) []byte {
	v, closer, err := db.Get(key)
	if err != nil {
		panic(fmt.Sprintf("%s: %v", nameKey(key), err))
	}
	defer func() { _ = closer.Close() }()
	return slices.Clone(v)
}

// flipLast flips the last bit of a value.
func flipLast(key []byte) func(*pebble.DB) error {
	return func(db *pebble.DB) error {
		v := mustGet(db, key)
		v[len(v)-1] ^= 1
		return db.Set(key, v, nil)
	}
}

func copyValue(from, to []byte) func(*pebble.DB) error {
	return func(db *pebble.DB) error { return db.Set(to, mustGet(db, from), nil) }
}

func removeKey(key []byte) func(*pebble.DB) error {
	return func(db *pebble.DB) error { return db.Delete(key, nil) }
}

// setBody writes a value with this body and a right checksum.
func setBody(key, body []byte) func(*pebble.DB) error {
	value := append(newValue(nil), body...)
	sealValue(key, value)
	return func(db *pebble.DB) error { return db.Set(key, value, nil) }
}

func rowsOutOfOrder() []byte {
	t := record.NewTable(universe)
	body := []byte{1, 0, 0, 0, 2}
	body = t.AppendRow(body, &positions.Row{Quantity: 1, Version: 1, Instrument: 2})
	return t.AppendRow(body, &positions.Row{Quantity: 1, Version: 1, Instrument: 1})
}

// runOf returns the body of a run.
func runOf(events []positions.Event) []byte {
	body := binary.AppendUvarint(nil, uint64(len(events)))
	return append(body, recordsOf(record.NewTable(universe), events)...)
}

// TestReadNamesDamage: Read returns an error for a damaged run rather than events from it.
func TestReadNamesDamage(t *testing.T) {
	disk, w := vfs.NewMem(), newWorld(1, 2, 3)
	o := testOptions(t, disk, Sync)
	j, _ := mustRecover(t, "data", o)
	w.run(t, j, 30, 5)
	mustCheckpoint(t, j, w)
	mustClose(t, j)
	editDB(t, disk, func(db *pebble.DB) { putValue(t, db, runKey(100001, 1), []byte{99}) })
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
