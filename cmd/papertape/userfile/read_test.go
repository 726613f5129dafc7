package userfile

import (
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestRead reads files and pipes (such as the shell's <(command)) of sizes up to the bound and
// beyond.
func TestRead(t *testing.T) {
	t.Chdir(t.TempDir())
	for size, fits := range map[int]bool{0: true, 1: true, 99: true, 100: true, 101: false, 100_000: false} {
		if err := os.WriteFile("file", []byte(strings.Repeat("x", size)), 0o600); err != nil {
			t.Fatal(err)
		}
		text, err := Read("file", 100)
		if fits != (err == nil) || fits && len(text) != size+min(size, 1) || !fits &&
			err.Error() != "file is larger than 100 bytes, the most that is read" {
			t.Errorf("%d bytes: %d, %v", size, len(text), err)
		}
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		go func() { // ends when all has been read, or the reader is closed
			_, _ = w.WriteString(strings.Repeat("x", size))
			_ = w.Close()
		}()
		text, err = ReadSecret("/dev/fd/"+strconv.Itoa(int(r.Fd())), 100)
		if size == 0 {
			fits = false // nobody has written to the pipe
		}
		if fits != (err == nil) || fits && len(text) != size+1 { // the newline is added
			t.Errorf("%d bytes from a pipe: %d, %v", size, len(text), err)
		}
		_ = r.Close()
	}
}

// TestSilentPipe checks that reading times out if a pipe is open for writing but nothing is written
// to it.
func TestSilentPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close() //nolint:errcheck // nothing was written
	defer r.Close() //nolint:errcheck // nothing was read
	if err := syscall.SetNonblock(int(w.Fd()), false); err != nil {
		t.Fatal(err)
	}
	_, err = read("/dev/fd/"+strconv.Itoa(int(r.Fd())), 100, false, time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "nothing more came out of it for 1ms") {
		t.Errorf("it said %v", err)
	}
}

// TestRootsGroup checks that a file of root that the group of a service may read counts as a
// secret, and that one that others may read does not.
func TestRootsGroup(t *testing.T) {
	for _, c := range []struct {
		mode       fs.FileMode
		owner, who uint32
		fine       bool
	}{
		{0o640, 0, 1000, true}, {0o440, 0, 1000, true}, {0o640, 0, 0, false}, {0o640, 1000, 1000, false},
		{0o644, 0, 1000, false},
		{0o660, 0, 1000, false}, {0o600, 1000, 1000, true}, {0o600, 1000, 0, true},
	} {
		if got := secretMode(c.mode, c.owner, c.who); got != c.fine {
			t.Errorf("mode %o of %d for %d: %v", c.mode, c.owner, c.who, got)
		}
	}
}
