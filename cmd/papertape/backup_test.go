package main

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/console"
)

// TestBackupWhileClosing checks that a backup is refused while the journal closes, or while another
// backup is made.
func TestBackupWhileClosing(t *testing.T) {
	l := startInProcess(t, filepath.Join(t.TempDir(), "data"), nil)
	l.at()
	out := filepath.Join(t.TempDir(), "out")
	l.ledger.backup.Lock()
	_, err := l.ledger.backUp(out)
	l.ledger.backup.Unlock()
	var conflict console.Conflict
	if !errors.As(err, &conflict) || !strings.Contains(err.Error(), "another backup") {
		t.Errorf("two backups at a time: %v", err)
	}
	if err := l.end(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.ledger.backUp(out); !errors.Is(err, console.ErrNotReady) {
		t.Errorf("a backup of a closed journal: %v", err)
	}
	if _, err := os.Lstat(out); err == nil {
		t.Error("a refused backup left a directory")
	}
}

// TestBackupPlaces checks that an unsuitable place for a backup is reported as the user's mistake,
// not as a failure of the server. Nothing is left there, and existing files are not touched.
func TestBackupPlaces(t *testing.T) {
	l := startInProcess(t, filepath.Join(t.TempDir(), "data"), nil)
	c := console.NewClient(l.at().admin, "")
	dir := t.TempDir()
	for _, name := range []string{"left.unfinished", "there"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{"loop": "loop", "dangling": "nowhere"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	before := entries(t, dir)
	for out, want := range map[string]string{
		"left": "left.unfinished is left over from a backup that was cut off, or another " +
			"one is writing it; remove it, or name another directory",
		"there":                          "there exists, and a backup is written over nothing",
		"dangling":                       "dangling exists, and a backup is written over nothing",
		"file/backup":                    "is not a directory, so no backup can be put into it",
		"missing/backup":                 "there is no directory",
		"loop/backup":                    "no backup can be put into",
		strings.Repeat("n", 245):         "the name of the backup is too long for its disk; write a shorter one",
		strings.Repeat("n", 255):         "the name of the backup is too long",
		strings.Repeat("n", 300):         "the name of the backup is too long",
		strings.Repeat("n/", 2000) + "n": "", // no such directory, or no such path
	} {
		_, err := c.Backup(t.Context(), filepath.Join(dir, out))
		var refused *console.Error
		if !errors.As(err, &refused) || refused.Status/100 != 4 || !strings.Contains(refused.Text, want) {
			t.Errorf("%.40s: %+v, want 4xx, %s", out, err, want)
		}
	}
	_, err := c.Backup(t.Context(), "/proc/backup")
	var refused *console.Error
	if !errors.As(err, &refused) || refused.Status != 409 ||
		!strings.HasPrefix(refused.Text, "no backup can be made there: ") {
		t.Errorf("where nobody may write: %+v", err)
	}
	if after := entries(t, dir); !reflect.DeepEqual(after, before) {
		t.Errorf("there are %q, before there were %q", after, before)
	}
	if _, err := c.Backup(t.Context(), filepath.Join(dir, strings.Repeat("n", 244))); err != nil {
		t.Errorf("the longest name: %v", err)
	}
	if err := l.end(); err != nil {
		t.Error(err)
	}
}

// entries returns the names in a directory.
func entries(t *testing.T, dir string) (names []string) {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		names = append(names, e.Name())
	}
	return names
}

// TestNewDirectory checks that places are refused where a backup would overwrite something or write
// into the data.
func TestNewDirectory(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, dir := range []string{"data/sub", "elsewhere"} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write(t, "file", "")
	if err := os.Symlink("data", "link"); err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for out, want := range map[string]string{
		"new": "", "elsewhere/new": "", "data2": "", here + "/new": "",
		"file": "file exists", "elsewhere": "elsewhere exists", "link": "link exists",
		"nowhere/new": "there is no directory nowhere",
		"file/new":    "file is not a directory", "data/new": "inside the data directory",
		"data/sub/new": "inside the data directory",
		"link/new":     "inside the data directory", "./data/../data/new": "inside the data directory",
		here + "/data/new": "inside the data directory",
	} {
		if err := checkNewDirectory("data", out); want == "" && err != nil || want != "" &&
			(err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", out, err, want)
		}
	}
}

// TestRestore backs up a running server, continues, and starts another server on the backup. That
// one has exactly the state at the backup, and an epoch of its own, so a client with newer events
// gets a snapshot.
func TestRestore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := startInProcess(t, filepath.Join(dir, "data"), nil)
	at := first.at()
	kept := buyAs(t, at.listen, "before")
	backup := filepath.Join(dir, "backup")
	if b, err := console.NewClient(at.admin, "").Backup(t.Context(), backup); err != nil || b.Out != backup ||
		b.Bytes == 0 {
		t.Fatalf("backup: %+v, %v", b, err)
	}
	late := buyAs(t, at.listen, "after")
	if err := first.end(); err != nil {
		t.Fatal(err)
	}
	second := startInProcess(t, backup, nil)
	at = second.at()
	c, err := client.Dial(t.Context(), at.listen, client.Options{
		Account: 100001, Mode: client.ModeResume, Epoch: first.ledger.Epoch(), LastSeq: late.Seq, DiscardEvents: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // the test is over
	r := c.LoginReply()
	if c.Welcome().Epoch == first.ledger.Epoch() || r.Mode != client.ModeSnapshot || !r.Resynced ||
		r.HeadSeq != kept.Seq {
		t.Errorf("epoch %x, was %x; the resume from event %d was answered with {%v}, want a snapshot as of event "+
			"%d, resynced",
			c.Welcome().Epoch, first.ledger.Epoch(), late.Seq, r, kept.Seq)
	}
	if ev := buyAs(t, at.listen, "before"); !ev.Replay || ev.Seq != kept.Seq {
		t.Errorf("an order of before the backup: event %d, a repeat: %v; want event %d again", ev.Seq, ev.Replay,
			kept.Seq)
	}
	if ev := buyAs(t, at.listen, "after"); ev.Replay || ev.Seq != late.Seq {
		t.Errorf("an order that the backup does not have: event %d, a repeat: %v; want it executed", ev.Seq, ev.Replay)
	}
	if err := second.end(); err != nil {
		t.Fatal(err)
	}
	third := startInProcess(t, backup, nil)
	third.at()
	if third.ledger.Epoch() != second.ledger.Epoch() {
		t.Error("the second start from a backup takes another epoch; only the first should")
	}
	if err := third.end(); err != nil {
		t.Error(err)
	}
}

// TestBackupNames checks that names to which a running server cannot write a backup are refused as
// usage errors, not as failures.
func TestBackupNames(t *testing.T) {
	l := startInProcess(t, filepath.Join(t.TempDir(), "data"), nil)
	c := console.NewClient(l.at().admin, "")
	dir := t.TempDir()
	for _, name := range []string{strings.Repeat("n", 300), strings.Repeat("n", 250),
		strings.Repeat("d/", 2100) + "d"} {
		var refused *console.Error
		if _, err := c.Backup(t.Context(), filepath.Join(dir, name)); !errors.As(err, &refused) ||
			refused.Status/100 != 4 {
			t.Errorf("%.20s: %v", name, err)
		}
	}
	if err := l.end(); err != nil {
		t.Error(err)
	}
}
