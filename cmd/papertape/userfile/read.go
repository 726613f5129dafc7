package userfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/papertape/papertape/usertext"
)

// pipeLimit is how long a pipe is waited for, and then read.
const pipeLimit = 5 * time.Second

// Read reads a text of at most that many bytes from a file, or a pipe, such as a shell makes of <(command).
func Read(path string, most int) ([]byte, error) { return read(path, most, false, pipeLimit) }

// ReadSecret is Read of a file that nobody but its owner may read.
func ReadSecret(path string, most int) ([]byte, error) { return read(path, most, true, pipeLimit) }

func read(path string, most int, secret bool, limit time.Duration) ([]byte, error) {
	// Without O_NONBLOCK to open a pipe waits, without end where nobody writes.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, usertext.Unreadable(clip(path), err)
	}
	defer f.Close() //nolint:errcheck // only read
	in, err := f.Stat()
	switch {
	case err != nil:
		return nil, usertext.Unreadable(clip(path), err)
	case in.IsDir():
		return nil, fmt.Errorf("%s cannot be read: it is a directory", path)
	case secret && !isSecret(in):
		return nil, fmt.Errorf("%s may be read by others than its owner (its mode is %04o), and it holds a secret; "+
			"chmod 600 %[1]s", path, in.Mode().Perm())
	case in.Mode()&fs.ModeNamedPipe == 0:
		return usertext.ReadNamed(f, path, most)
	}
	if err := awaitWriter(f, limit); err != nil {
		return nil, usertext.Unreadable(path, err)
	}
	_ = f.SetReadDeadline(time.Now().Add(limit)) // a pipe has one
	return usertext.ReadNamed(&pipeReader{File: f, limit: limit}, path, most)
}

// pipeReader says in a sentence what a pipe does not give.
type pipeReader struct {
	*os.File
	limit time.Duration
	given bool
}

func (r *pipeReader) Read(p []byte) (int, error) {
	n, err := r.File.Read(p)
	r.given = r.given || n > 0
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, fmt.Errorf("nothing more came out of it for %s", r.limit)
	case errors.Is(err, io.EOF) && !r.given:
		return n, errors.New("it is a pipe that nobody writes to")
	}
	return n, err
}

// awaitWriter waits until somebody has written into a pipe, or has left it. Before that it gives an end of file.
func awaitWriter(pipe *os.File, limit time.Duration) error {
	conn, err := pipe.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = conn.Control(func(fd uintptr) {
		for end := time.Now().Add(limit); ; {
			left := max(0, time.Until(end))
			wanted := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}} //nolint:gosec // a descriptor
			_, failed = unix.Poll(wanted, int(left.Milliseconds()))
			if !errors.Is(failed, unix.EINTR) {
				return
			}
		}
	})
	return errors.Join(err, failed)
}

func isSecret(in fs.FileInfo) bool {
	owner, ok := in.Sys().(*syscall.Stat_t)
	return ok && secretMode(in.Mode(), owner.Uid, uint32(os.Geteuid())) //nolint:gosec // a user's number
}

// secretMode tells whether a file of this mode and owner keeps a secret for a user: nobody else may do anything
// with it. What belongs to root may be readable for a group, which is how a service of another user is given one.
func secretMode(mode fs.FileMode, owner, user uint32) bool {
	const others, othersButGroupsReading = 0o077, 0o037
	return mode&others == 0 || owner == 0 && user != 0 && mode&othersButGroupsReading == 0
}
