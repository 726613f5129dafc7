package journal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/record"
)

// TestRuns: each run has what the one before committed and checkpointed, in any mix of modes.
// No goroutine is left running.
func TestRuns(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	for _, modes := range [][]Mode{{Sync, Sync, Sync}, {Interval, Interval, Sync}, {Sync, Interval, Interval}} {
		t.Run(fmt.Sprintf("%v", modes), func(t *testing.T) {
			disk, w := vfs.NewMem(), newWorld(3, 10, 7)
			var epoch uint64
			for i, mode := range modes {
				o := testOptions(t, disk, mode)
				j, r := mustRecover(t, "data", o)
				if err := w.compare(j, r, w.acked(everything)); err != nil {
					t.Fatal(err)
				}
				if i > 0 && j.Epoch() != epoch || j.Epoch() == 0 || !j.Keeps() {
					t.Fatalf("epoch %x after %x", j.Epoch(), epoch)
				}
				epoch = j.Epoch()
				for range 4 {
					w.run(t, j, 12, 5)
					mustCheckpoint(t, j, w)
				}
				w.run(t, j, 12, 5)
				if stats := j.Stats(); stats.Checkpoints != 4 || stats.Events == 0 ||
					stats.Commits != j.Committed() || stats.Bytes == 0 {
					t.Errorf("%+v", stats)
				}
				mustClose(t, j)
				if sum, err := Verify(context.Background(), "data", o); err != nil || !sum.Clean ||
					sum.Epoch != epoch || sum.Mode != mode {
					t.Fatalf("%+v, %v", sum, err)
				}
			}
			if w.marked != 12 {
				t.Errorf("%d checkpoints became durable", w.marked)
			}
		})
	}
}

// crashed is what a disk has after a power loss in which everything was lost that was not
// synced.
func crashed(disk *vfs.MemFS) *vfs.MemFS { return disk.CrashClone(vfs.CrashCloneCfg{}) }

// TestEpochs is the table in protocol.md, "Sequences".
func TestEpochs(t *testing.T) {
	clean := func(t *testing.T, disk *vfs.MemFS, j *Journal) *vfs.MemFS { mustClose(t, j); return disk }
	crash := func(t *testing.T, disk *vfs.MemFS, j *Journal) *vfs.MemFS {
		t.Helper()
		after := crashed(disk)
		mustClose(t, j)
		return after
	}
	backup := func(t *testing.T, disk *vfs.MemFS, j *Journal) *vfs.MemFS {
		t.Helper()
		if err := j.Backup("backup"); err != nil {
			t.Fatal(err)
		}
		mustClose(t, j)
		if err := errors.Join(disk.RemoveAll("data"), disk.Rename("backup", "data")); err != nil {
			t.Fatal(err)
		}
		return disk
	}
	for _, c := range []struct {
		name  string
		first Mode
		end   func(*testing.T, *vfs.MemFS, *Journal) *vfs.MemFS
		next  Mode
		stays bool
	}{
		{"sync, clean, sync", Sync, clean, Sync, true},
		{"sync, crash, sync", Sync, crash, Sync, true},
		{"sync, clean, interval", Sync, clean, Interval, true},
		{"sync, crash, interval", Sync, crash, Interval, true},
		{"interval, clean, interval", Interval, clean, Interval, true},
		{"interval, clean, sync", Interval, clean, Sync, true},
		{"interval, crash, interval", Interval, crash, Interval, false},
		{"interval, crash, sync", Interval, crash, Sync, false},
		{"sync, restored backup", Sync, backup, Sync, false},
		{"interval, restored backup", Interval, backup, Interval, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			disk, w := vfs.NewCrashableMem(), newWorld(1, 3, 1)
			j, _ := mustRecover(t, "data", testOptions(t, disk, c.first))
			w.run(t, j, 5, 3)
			epoch := j.Epoch()
			disk = c.end(t, disk, j)
			j, _ = mustRecover(t, "data", testOptions(t, disk, c.next))
			if (j.Epoch() == epoch) != c.stays {
				t.Errorf("epoch %x after %x", j.Epoch(), epoch)
			}
			// A new epoch is recorded, so the next start keeps it.
			epoch = j.Epoch()
			mustClose(t, j)
			if j, _ = mustRecover(t, "data", testOptions(t, disk, Sync)); j.Epoch() != epoch {
				t.Errorf("epoch %x after a clean end of %x", j.Epoch(), epoch)
			}
		})
	}
}

// TestModeIsRecordedFirst: a power loss right after Recover of an Interval run, before any
// commit, is an unclean end of an Interval run.
func TestModeIsRecordedFirst(t *testing.T) {
	disk := vfs.NewCrashableMem()
	j, _ := mustRecover(t, "data", testOptions(t, disk, Sync))
	epoch := j.Epoch()
	mustClose(t, j)
	mustRecover(t, "data", testOptions(t, disk, Interval))
	after := crashed(disk)
	if j, _ := mustRecover(t, "data", testOptions(t, after, Sync)); j.Epoch() == epoch {
		t.Error("the epoch stayed")
	}
}

// TestSecondServer: a journal can only be open once.
func TestSecondServer(t *testing.T) {
	for name, disk := range map[string]vfs.FS{"memory": vfs.NewMem(), "disk": nil} {
		t.Run(name, func(t *testing.T) {
			dir := "data"
			if disk == nil {
				dir = t.TempDir()
			}
			o := testOptions(t, disk, Sync)
			j, _ := mustRecover(t, dir, o)
			const want = "is in use: another papertape has it open"
			if _, err := Open(dir, o); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("open: %v", err)
			}
			if _, err := Verify(context.Background(), dir, o); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("verify: %v", err)
			}
			if err := BackupStopped(dir, dir+"-backup", o); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("backup: %v", err)
			}
			mustClose(t, j)
			j, _ = mustRecover(t, dir, o) // it can be opened again once it is closed
			mustClose(t, j)
		})
	}
}

// putValue writes a value as the journal does.
func putValue(tb testing.TB, db *pebble.DB, key, body []byte) {
	tb.Helper()
	value := append(newValue(nil), body...)
	sealValue(key, value)
	if err := db.Set(key, value, pebble.Sync); err != nil {
		tb.Fatal(err)
	}
}

// editDB opens the database of a closed journal and calls f with it.
func editDB(tb testing.TB, disk vfs.FS, f func(db *pebble.DB)) {
	tb.Helper()
	opts := pebbleOptions(disk, nil, false, quietEvents())
	smallPebble(opts)
	db, err := pebble.Open("data", opts)
	if err != nil {
		tb.Fatal(err)
	}
	f(db)
	if err := errors.Join(db.Flush(), db.Close()); err != nil {
		tb.Fatal(err)
	}
}

// TestNewerFormats: they are refused with an error that says what to do.
func TestNewerFormats(t *testing.T) {
	fill := func(t *testing.T) (*vfs.MemFS, Options) {
		t.Helper()
		disk := vfs.NewMem()
		o := testOptions(t, disk, Sync)
		j, _ := mustRecover(t, "data", o)
		newWorld(1, 3, 1).run(t, j, 5, 3)
		mustClose(t, j)
		return disk, o
	}
	t.Run("ours", func(t *testing.T) {
		disk, o := fill(t)
		editDB(t, disk, func(db *pebble.DB) {
			putValue(t, db, metaKey(metaRun), append([]byte{formatNumber + 1}, "whatever a later format says"...))
		})
		for name, err := range openAll(o) {
			want := fmt.Sprintf("is of format %d, and this papertape knows the formats up to %d: use a newer papertape",
				formatNumber+1, formatNumber)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	t.Run("pebble's", func(t *testing.T) {
		disk, o := fill(t)
		names, err := disk.List("data")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if strings.HasPrefix(name, "marker.format-version.") {
				next := "data/marker.format-version.000099." + (pebble.FormatNewest + 1).String()
				if err := disk.Rename("data/"+name, next); err != nil {
					t.Fatal(err)
				}
			}
		}
		for name, err := range openAll(o) {
			if err == nil || !strings.Contains(err.Error(), "was written by a newer papertape: use that one") {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// TestOlderProgramRefuses: a program of format 1 reads the file CLEAN and the record of the run, and there
// it finds a newer format.
func TestOlderProgramRefuses(t *testing.T) {
	disk := vfs.NewMem()
	o := testOptions(t, disk, Sync)
	j, _ := mustRecover(t, "data", o)
	newWorld(1, 3, 1).run(t, j, 5, 3)
	mustClose(t, j)
	text, ok, err := readFile(disk, "data", cleanFile)
	if err != nil || !ok || !strings.HasPrefix(text, "papertape journal closed\nformat 1\n") {
		t.Errorf("CLEAN: %q, %v", text, err)
	}
	editDB(t, disk, func(db *pebble.DB) {
		value := mustGet(db, metaKey(metaRun))
		if value[sumBytes] != 1 || value[valueHead] != formatNumber {
			t.Errorf("the record of the run is %x", value)
		}
	})
}

// openAll tries everything that opens a journal.
func openAll(o Options) map[string]error {
	j, _, err := recoverFrom("data", o)
	if err == nil {
		err = j.Close()
	}
	_, verify := Verify(context.Background(), "data", o)
	return map[string]error{"open": err, "verify": verify}
}

// TestNoJournal: readers do not create a journal.
func TestNoJournal(t *testing.T) {
	disk := vfs.NewMem()
	o := testOptions(t, disk, Sync)
	if err := disk.MkdirAll("empty", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"empty", "nowhere"} {
		_, verify := Verify(context.Background(), dir, o)
		_, export := Export(context.Background(), dir, t.TempDir(), o)
		backup := BackupStopped(dir, "out", o)
		for name, err := range map[string]error{"verify": verify, "export": export, "backup": backup} {
			if err == nil || !strings.Contains(err.Error(), "there is no journal in "+dir) {
				t.Errorf("%s of %s: %v", name, dir, err)
			}
		}
	}
}

// TestWrongOptions: missing options are reported at once.
func TestWrongOptions(t *testing.T) {
	good := testOptions(t, vfs.NewMem(), Sync)
	for name, spoil := range map[string]func(*Options){
		"universe": func(o *Options) { o.Universe = nil }, "fatal": func(o *Options) { o.Fatal = nil },
		"mode": func(o *Options) { o.Mode = 0 },
	} {
		o := good
		spoil(&o)
		if _, err := Open("data", o); err == nil {
			t.Errorf("opened without %s", name)
		}
	}
}

// TestOrderOfCalls: a call that comes too early or too late returns an error; it does not
// panic.
func TestOrderOfCalls(t *testing.T) {
	o := testOptions(t, vfs.NewMem(), Sync)
	j, err := Open("data", o)
	if err != nil {
		t.Fatal(err)
	}
	events := goldenEvents(t)[:1]
	if err := commit(j, events...); err != errNotRecovered {
		t.Errorf("commit before Recover: %v", err)
	}
	if err := j.Backup("backup"); err != errNotRecovered {
		t.Errorf("backup before Recover: %v", err)
	}
	r := &recovered{accounts: make(map[uint64]*recoveredAccount)}
	if err := j.Recover(context.Background(), r, nil); err != nil {
		t.Fatal(err)
	}
	if err := j.Recover(context.Background(), r, nil); err == nil {
		t.Error("recovered twice")
	}
	if err := j.Commit(nil, 0); err != nil || j.Committed() != 0 {
		t.Errorf("a commit of nothing: %v, commit %d", err, j.Committed())
	}
	mustClose(t, j)
	mustClose(t, j)
	if err := commit(j, events...); err != errClosed {
		t.Errorf("commit after Close: %v", err)
	}
	if _, err := j.Read(nil, 1, 1, 1); err != errClosed {
		t.Errorf("read after Close: %v", err)
	}
	if err := j.Recover(context.Background(), r, nil); err == nil {
		t.Error("recovered after Close")
	}
	_ = j.Stats()
}

// TestRecoverFails: the error names the place at which the engine failed, nothing is written,
// and the next start finds everything as it was.
func TestRecoverFails(t *testing.T) {
	disk, w := vfs.NewMem(), newWorld(1, 3, 1)
	o := testOptions(t, disk, Sync)
	j, _ := mustRecover(t, "data", o)
	w.run(t, j, 20, 3)
	mustCheckpoint(t, j, w)
	w.run(t, j, 5, 3)
	mustClose(t, j)
	refused := errors.New("refused")
	for _, c := range []struct {
		into refusing
		want string
	}{
		{refusing{load: refused}, "account 100001: refused"},
		{refusing{replay: refused}, "commit "},
	} {
		j, err := Open("data", o)
		if err != nil {
			t.Fatal(err)
		}
		err = j.Recover(context.Background(), c.into, nil)
		var damage *DamageError
		if !errors.Is(err, refused) || !errors.As(err, &damage) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v", err)
		}
		mustClose(t, j)
	}
	j, err := Open("data", o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := j.Recover(ctx, refusing{}, nil); !errors.Is(err, context.Canceled) ||
		strings.Contains(err.Error(), "damage") {
		t.Errorf("given up: %v", err)
	}
	mustClose(t, j)
	j, r := mustRecover(t, "data", o)
	if err := w.compare(j, r, w.acked(everything)); err != nil {
		t.Error(err)
	}
}

type refusing struct{ load, replay error }

func (r refusing) Use(*record.Table, record.IDKey)       {}
func (r refusing) Load(*engine.AccountState) error       { return r.load }
func (r refusing) ShardOf(account uint64) int            { return int(account) }
func (r refusing) Replay(*positions.Event, []byte) error { return r.replay }

// TestProgress: the progress reaches the total and never exceeds it.
func TestProgress(t *testing.T) {
	disk, w := vfs.NewMem(), newWorld(2, 20, 1)
	o := testOptions(t, disk, Sync)
	j, _ := mustRecover(t, "data", o)
	w.run(t, j, 80, 8)
	mustCheckpoint(t, j, w)
	w.run(t, j, 10, 8)
	mustClose(t, j)
	j, err := Open("data", o)
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, j)
	var last, calls, total uint64
	err = j.Recover(context.Background(), &recovered{accounts: make(map[uint64]*recoveredAccount)},
		func(done, of uint64) {
			if done != last+1 || done > of {
				t.Errorf("%d of %d after %d", done, of, last)
			}
			last, total = done, of
			calls++
		})
	accounts := 0
	w.each(func(uint64, *worldAccount) { accounts++ })
	if err != nil || last != total || calls != j.openedAt.number-j.mark.number+uint64(accounts) {
		t.Errorf("%d calls, %d of %d, %d accounts: %v", calls, last, total, accounts, err)
	}
}
