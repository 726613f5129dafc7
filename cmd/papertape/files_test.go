package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/papertape/papertape/console"
	"github.com/papertape/papertape/engine/simulator"
	"github.com/papertape/papertape/market"
)

// run runs papertape in the working directory, and returns its exit code and what it said on stderr.
func run(t *testing.T, args ...string) (code int, said string) {
	t.Helper()
	cmd := exec.Command("papertape", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Error(err)
		return -1, ""
	}
	return cmd.ProcessState.ExitCode(), stderr.String()
}

// wholeFiles are the ways in which a command is given a file that it reads whole. FILE stands for it.
var wholeFiles = []string{
	"serve --config FILE", "config check FILE", "config check --config FILE", "config print --config FILE", "config print FILE",
	"serve --admin-token-file FILE", "stats --admin-token-file FILE", "serve --simulator.script FILE", "torture --journal FILE",
}

// TestNoFile gives each of them what is no file, or has no end: it is refused in a sentence, at once, with exit
// code 2.
func TestNoFile(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Chdir(t.TempDir())
	if err := errors.Join(syscall.Mkfifo("pipe", 0o600), os.Mkdir("directory", 0o700), os.Symlink("loop", "loop")); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("n", 300)
	var waiting sync.WaitGroup // for the pipe, which takes its time
	defer waiting.Wait()
	for file, want := range map[string]string{
		"/dev/zero": "is larger than ", "directory": "directory cannot be read: it is a directory", "pipe": "pipe cannot be read: it is a pipe that nobody writes to",
		"loop": "loop cannot be read: too many levels of symbolic links", long: "is 300 bytes long", "missing": "no such file",
		"directory/file/" + long: "is 300 bytes long", "missing\x01": "", "/dev/full": "is larger than ",
	} {
		for _, args := range wholeFiles {
			var command []string
			for _, word := range strings.Fields(args) {
				command = append(command, strings.ReplaceAll(word, "FILE", file))
			}
			want := want
			if strings.Contains(args, "token") && strings.HasPrefix(file, "/dev/") {
				want = "may be read by others" // which is found before its length
			}
			waiting.Go(func() {
				code, said := run(t, command...)
				if code != exitUsage || !strings.Contains(said, want) || strings.Count(said, "\n") != 1 {
					t.Errorf("%.60s of %.20q: exit %d, %.300s\nwant %s", args, file, code, said, want)
				}
			})
		}
	}
}

// TestReadText reads what there is, up to the bound and not a byte more, and pipes too, as a shell makes them of
// <(command).
func TestReadText(t *testing.T) {
	t.Chdir(t.TempDir())
	for size, fits := range map[int]bool{0: true, 1: true, 99: true, 100: true, 101: false, 100_000: false} {
		write(t, "file", strings.Repeat("x", size))
		text, err := readText("file", 100, anybodys)
		if fits != (err == nil) || fits && len(text) != size+min(size, 1) || !fits && err.Error() != "file is larger than 100 bytes, the most that is read" {
			t.Errorf("%d bytes: %d, %v", size, len(text), err)
		}
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		go func() { // ends when it has been read, or the reader is gone
			_, _ = w.WriteString(strings.Repeat("x", size))
			_ = w.Close()
		}()
		text, err = readText("/dev/fd/"+strconv.Itoa(int(r.Fd())), 100, ownersOnly)
		if size == 0 {
			fits = false // nobody has written
		}
		if fits != (err == nil) || fits && len(text) != size+1 { // with the end of its line
			t.Errorf("%d bytes from a pipe: %d, %v", size, len(text), err)
		}
		_ = r.Close()
	}
}

// TestLoadScript: the errors name the file, and the line or the step.
func TestLoadScript(t *testing.T) {
	t.Chdir(t.TempDir())
	for text, want := range map[string]string{
		"steps:\n- {account: 7, at: 1s, side: hold, instrument: SH.600519, quantity: 1}\n": "script.yaml: scenario script: step 1: side: \"hold\"; it is buy or sell",
		"# one\r\n# \xb2\xe2\r\n":                       "scenario script: script.yaml:2: this is not text in UTF-8",
		strings.Repeat("#", simulator.ScriptBytesMax+1): "scenario script: script.yaml is larger than 4194304 bytes",
		"steps: []\n": "",
	} {
		write(t, "script.yaml", text)
		if _, err := loadScript("script.yaml", market.Default()); want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%.20q: %v, want %s", text, err, want)
		}
	}
	if _, err := loadScript("missing", market.Default()); err == nil || err.Error() != "scenario script: missing cannot be read: no such file or directory" {
		t.Errorf("of no file: %v", err)
	}
}

// TestSilentPipe: a pipe that somebody has open and writes nothing into is not waited for without end.
func TestSilentPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close() //nolint:errcheck // nothing was written
	defer r.Close() //nolint:errcheck // nor read
	if err := syscall.SetNonblock(int(w.Fd()), false); err != nil {
		t.Fatal(err)
	}
	_, err = readTextWithin("/dev/fd/"+strconv.Itoa(int(r.Fd())), 100, anybodys, time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "nothing more came out of it for 1ms") {
		t.Errorf("it said %v", err)
	}
}

// TestOwnersOnly: a file with a secret that anybody but its owner may read, or write, is none.
func TestOwnersOnly(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Chdir(t.TempDir())
	write(t, "token", "0123456789abcdef\n")
	for mode, fine := range map[fs.FileMode]bool{
		0o600: true, 0o400: true, 0o700: true, 0o644: false, 0o666: false, 0o604: false, 0o640: false, 0o660: false, 0o620: false, 0o602: false,
		0o601: false, 0o610: false, 0o777: false,
	} {
		if err := os.Chmod("token", mode); err != nil {
			t.Fatal(err)
		}
		for _, args := range []string{"config print --admin-token-file token", "config check named.yaml", "healthcheck --admin 127.0.0.1:1 --admin-token-file token"} {
			write(t, "named.yaml", "admin_token_file: token\n")
			code, said := run(t, strings.Fields(args)...)
			refused := code == exitUsage && strings.Contains(said, "token may be read by others") && strings.Contains(said, "chmod 600 token")
			if refused == fine {
				t.Errorf("%s, mode %o: exit %d, %s", args, mode, code, said)
			}
		}
	}
}

// TestRootsGroup: what root has given to the group of a service is a secret all the same; what others may read is
// none.
func TestRootsGroup(t *testing.T) {
	for _, c := range []struct {
		mode       fs.FileMode
		owner, who uint32
		fine       bool
	}{
		{0o640, 0, 1000, true}, {0o440, 0, 1000, true}, {0o640, 0, 0, false}, {0o640, 1000, 1000, false}, {0o644, 0, 1000, false},
		{0o660, 0, 1000, false}, {0o600, 1000, 1000, true}, {0o600, 1000, 0, true},
	} {
		if got := secretMode(c.mode, c.owner, c.who); got != c.fine {
			t.Errorf("mode %o of %d for %d: %v", c.mode, c.owner, c.who, got)
		}
	}
}

// TestWrongPaths: a path that cannot be one is a matter of usage, and the sentence is about it.
func TestWrongPaths(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Chdir(t.TempDir())
	write(t, "file", "x")
	if err := os.Symlink("loop", "loop"); err != nil {
		t.Fatal(err)
	}
	made := startServe(t, "--data", "data", "--accounts", "1")
	made.until("listening")
	made.stop()
	long := strings.Repeat("n", 300)
	deep := strings.Repeat("d/", 2100) + "d"
	for _, path := range []string{long, "file/" + long, "new/" + long, deep, "loop/x", "file/x"} {
		for args, want := range map[string]string{
			"serve --data PATH": "data: ", "verify --data PATH": "--data: ", "export --out x --data PATH": "--data: ", "backup --out x --data PATH": "--data: ",
			"export --data data --out PATH": "--out: ", "backup --data data --out PATH": "--out: ", "config init --out PATH": "--out: ",
			"man --out PATH": "--out: ", "serve --cpuprofile PATH": "cpuprofile: ", "torture kills --kills 1 --data PATH": "--data: ",
		} {
			var command []string
			for _, word := range strings.Fields(args) {
				command = append(command, strings.ReplaceAll(word, "PATH", path))
			}
			code, said := run(t, command...)
			if code != exitUsage || !strings.Contains(said, want) || strings.Contains(said, openingFile) || strings.Count(said, "\n") != 1 {
				t.Errorf("%s, %.20s: exit %d, %.300s", args, path, code, said)
			}
		}
	}
	if _, err := os.Lstat("new"); err == nil {
		t.Error("new was made for what could not be made in it")
	}
}

// TestBackupNames: the names that a running server cannot write a backup to are refused as such, and not as failures.
func TestBackupNames(t *testing.T) {
	l := live(t, filepath.Join(t.TempDir(), "data"), nil)
	c := console.NewClient(l.at().admin, "")
	dir := t.TempDir()
	for _, name := range []string{strings.Repeat("n", 300), strings.Repeat("n", 250), strings.Repeat("d/", 2100) + "d"} {
		var refused *console.Error
		if _, err := c.Backup(t.Context(), filepath.Join(dir, name)); !errors.As(err, &refused) || refused.Status/100 != 4 {
			t.Errorf("%.20s: %v", name, err)
		}
	}
	if err := l.end(); err != nil {
		t.Error(err)
	}
}

// TestModes: what is written beside the ledger is for its owner alone, whatever the umask.
func TestModes(t *testing.T) {
	before := syscall.Umask(0)
	defer syscall.Umask(before)
	dir := t.TempDir()
	if err := (&openingRecord{Accounts: 1, Seed: 1}).write(dir); err != nil {
		t.Fatal(err)
	}
	in, err := os.Stat(filepath.Join(dir, openingFile))
	if err != nil || in.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", in.Mode(), err)
	}
}
