package journal

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"

	"github.com/papertape/papertape/engine"
)

// noCheckpoint is an engine that wants a checkpoint again and again, and counts those that are made of it.
type noCheckpoint struct {
	wanted chan struct{}
	asked  atomic.Int32
}

func (c *noCheckpoint) Checkpoint(context.Context, func([]engine.AccountState) error) (uint64, error) {
	c.asked.Add(1)
	return 0, nil
}
func (*noCheckpoint) Checkpointed()                       {}
func (c *noCheckpoint) CheckpointWanted() <-chan struct{} { return c.wanted }

// TestCheckpointPutOff: on a full disk no checkpoint is begun, since its failure would end the process; when there is room, it is
// made. A stop meanwhile leaves the journal as a crash does, without an error.
func TestCheckpointPutOff(t *testing.T) {
	var free atomic.Uint64
	log := new(logged)
	disk := vfs.NewMem()
	o := testOptions(t, disk, Sync)
	o.Log, o.LowWaterBytes = zerolog.New(log), 1000
	o.FreeBytes = func() (uint64, error) { return free.Load(), nil }
	free.Store(1000)
	j, _ := mustRecover(t, "data", o)
	e := &noCheckpoint{wanted: make(chan struct{})}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- j.Run(ctx, e) }()
	free.Store(249)
	for range 3 { // the second is taken when the first is done with
		e.wanted <- struct{}{}
	}
	if n := e.asked.Load(); n != 0 {
		t.Errorf("%d checkpoints were begun on a full disk", n)
	}
	if n := strings.Count(log.String(), "put off until there is some"); n != 1 {
		t.Errorf("that is said %d times, want once", n)
	}
	free.Store(250)
	e.wanted <- struct{}{}
	e.wanted <- struct{}{}
	if e.asked.Load() == 0 {
		t.Error("no checkpoint was made when there was room again")
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	free.Store(0)
	if err := j.Close(); err != nil {
		t.Errorf("Close on a full disk: %v", err)
	}
	if _, err := disk.Stat(disk.PathJoin("data", cleanFile)); err == nil {
		t.Error("it was ended with a mark of a clean stop, for which there was no room")
	}
	free.Store(1000)
	j, _ = mustRecover(t, "data", o)
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

// TestStartOnAFullDisk: it is refused in a sentence, before anything is written.
func TestStartOnAFullDisk(t *testing.T) {
	disk := vfs.NewMem()
	o := testOptions(t, disk, Sync)
	j, _ := mustRecover(t, "data", o)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	before := listing(t, disk, "data")
	o.LowWaterBytes = 160
	o.FreeBytes = func() (uint64, error) { return 9, nil }
	want := "the disk of data has 9 bytes left, and a start writes some: make room for at least 10; nothing was changed, and nothing is lost"
	if _, err := Open("data", o); err == nil || err.Error() != want {
		t.Errorf("Open: %v", err)
	}
	if after := listing(t, disk, "data"); after != before {
		t.Errorf("the directory has %s, and had %s", after, before)
	}
	o.FreeBytes = func() (uint64, error) { return 10, nil }
	if j, err := Open("data", o); err != nil {
		t.Error(err)
	} else if err := j.Close(); err != nil {
		t.Error(err)
	}
}

// TestOtherFiles: a ledger is not begun among other files, in a file, or in a backup that was cut off.
func TestOtherFiles(t *testing.T) {
	for name, test := range map[string]struct {
		files []string
		want  string // empty: it is begun
	}{
		"nothing":                        {nil, ""},
		"the root of a file system":      {[]string{"lost+found"}, ""},
		"a first start that was cut off": {[]string{"LOCK", "MANIFEST-000001", "temporary.000004.dbtmp", "OPENING.new"}, ""},
		"somebody's files":               {[]string{"LOCK", "etc", "bin"}, `data has no ledger, but other files, "bin" for one: name an empty directory`},
		"a hidden file":                  {[]string{".bashrc"}, `other files, ".bashrc" for one`},
		"numbers":                        {[]string{"000002.txt"}, `other files, "000002.txt" for one`},
		"a backup that was cut off":      {[]string{unfinishedFile}, "data is a backup that was cut off before it was whole: remove it, and make another"},
	} {
		t.Run(name, func(t *testing.T) {
			disk := vfs.NewMem()
			if err := disk.MkdirAll("data", privateDir); err != nil {
				t.Fatal(err)
			}
			for _, file := range test.files {
				if err := writeFile(disk, "data", file, "x"); err != nil {
					t.Fatal(err)
				}
			}
			j, err := Open("data", testOptions(t, disk, Sync))
			if err == nil {
				err = j.Close()
			}
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("Open: %v, want %q", err, test.want)
			}
		})
	}
}

// TestUnfinishedBackup: what a backup that was cut off leaves is taken for a journal by nobody, under whatever name.
func TestUnfinishedBackup(t *testing.T) {
	disk := vfs.NewMem()
	o := testOptions(t, disk, Sync)
	j, _ := mustRecover(t, "data", o)
	newWorld(1, 2, 1).run(t, j, 5, 3)
	if err := makeBackup(disk, "out", func(dir string) error { // as a crash would leave it
		if err := j.copyTo(dir); err != nil {
			return err
		}
		for from, to := range map[string]string{"out.unfinished": "renamed", "out.unfinished/ledger": "taken out"} {
			if err := copyTree(disk, from, to); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"renamed", "renamed/ledger"} {
		const want = "is a backup that was cut off before it was whole"
		if _, err := Open(dir, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open of %s: %v", dir, err)
		}
		if _, err := Verify(t.Context(), dir, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Verify of %s: %v", dir, err)
		}
	}
	if _, err := disk.Stat("out.unfinished"); err == nil {
		t.Error("out.unfinished is left of a backup that succeeded")
	}
	if _, err := Verify(t.Context(), "out", o); err != nil {
		t.Errorf("Verify of the backup: %v", err)
	}
	if err := disk.MkdirAll("out2.unfinished", privateDir); err != nil {
		t.Fatal(err)
	}
	if err := BackupStopped("data", "out2", o); err == nil || !strings.Contains(err.Error(), "would overwrite out2.unfinished: remove it") {
		t.Errorf("BackupStopped beside one that was cut off: %v", err)
	}
}

// copyTree copies a directory and those in it.
func copyTree(disk vfs.FS, from, to string) error {
	if err := disk.MkdirAll(to, privateDir); err != nil {
		return err
	}
	names, err := disk.List(from)
	if err != nil {
		return err
	}
	for _, name := range names {
		in, out := disk.PathJoin(from, name), disk.PathJoin(to, name)
		info, err := disk.Stat(in)
		switch {
		case err != nil:
			return err
		case info.IsDir():
			err = copyTree(disk, in, out)
		default:
			err = vfs.Copy(disk, in, out)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
