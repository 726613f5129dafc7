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

// TestRead reads what there is, up to the bound and not a byte more, and pipes too, as a shell makes them of
// <(command).
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
		go func() { // ends when it has been read, or the reader is gone
			_, _ = w.WriteString(strings.Repeat("x", size))
			_ = w.Close()
		}()
		text, err = ReadSecret("/dev/fd/"+strconv.Itoa(int(r.Fd())), 100)
		if size == 0 {
			fits = false // nobody has written
		}
		if fits != (err == nil) || fits && len(text) != size+1 { // with the end of its line
			t.Errorf("%d bytes from a pipe: %d, %v", size, len(text), err)
		}
		_ = r.Close()
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
	_, err = read("/dev/fd/"+strconv.Itoa(int(r.Fd())), 100, false, time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "nothing more came out of it for 1ms") {
		t.Errorf("it said %v", err)
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
		{0o640, 0, 1000, true}, {0o440, 0, 1000, true}, {0o640, 0, 0, false}, {0o640, 1000, 1000, false},
		{0o644, 0, 1000, false},
		{0o660, 0, 1000, false}, {0o600, 1000, 1000, true}, {0o600, 1000, 0, true},
	} {
		if got := secretMode(c.mode, c.owner, c.who); got != c.fine {
			t.Errorf("mode %o of %d for %d: %v", c.mode, c.owner, c.who, got)
		}
	}
}
