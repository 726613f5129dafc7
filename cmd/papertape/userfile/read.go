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

// pipeTimeout bounds the wait for a writer of a pipe, and then the time for reading it.
const pipeTimeout = 5 * time.Second

// Read reads a text of at most bytesMax bytes from a file, or from a pipe such as the shell's
// <(command).
func Read(path string, bytesMax int) ([]byte, error) { return read(path, bytesMax, false, pipeTimeout) }

// ReadSecret is like Read, but refuses a file that others than its owner may read.
func ReadSecret(path string, bytesMax int) ([]byte, error) {
	return read(path, bytesMax, true, pipeTimeout)
}

func read(path string, bytesMax int, secret bool, timeout time.Duration) ([]byte, error) {
	// Without O_NONBLOCK, opening a pipe blocks until somebody writes to it.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, usertext.Unreadable(clip(path), err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, usertext.Unreadable(clip(path), err)
	case info.IsDir():
		return nil, fmt.Errorf("%s cannot be read: it is a directory", path)
	case secret && !isSecret(info):
		return nil, fmt.Errorf("%s may be read by others than its owner (its mode is %04o), and it holds a secret; "+
			"chmod 600 %[1]s", path, info.Mode().Perm())
	case info.Mode()&fs.ModeNamedPipe == 0:
		return usertext.ReadNamed(f, path, bytesMax)
	}
	if err := awaitWriter(f, timeout); err != nil {
		return nil, usertext.Unreadable(path, err)
	}
	_ = f.SetReadDeadline(time.Now().Add(timeout)) // pipes support deadlines
	return usertext.ReadNamed(&pipeReader{File: f, timeout: timeout}, path, bytesMax)
}

// pipeReader turns a timeout or an empty pipe into an error that is a sentence.
type pipeReader struct {
	*os.File
	timeout  time.Duration
	gotBytes bool
}

func (r *pipeReader) Read(p []byte) (int, error) {
	n, err := r.File.Read(p)
	r.gotBytes = r.gotBytes || n > 0
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, fmt.Errorf("nothing more came out of it for %s", r.timeout)
	case errors.Is(err, io.EOF) && !r.gotBytes:
		return n, errors.New("it is a pipe that nobody writes to")
	}
	return n, err
}

// awaitWriter waits until somebody has written to a pipe or closed it. Before that, a read would
// return end of file.
func awaitWriter(pipe *os.File, timeout time.Duration) error {
	conn, err := pipe.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = conn.Control(func(fd uintptr) {
		for end := time.Now().Add(timeout); ; {
			left := max(0, time.Until(end))
			wanted := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}} //nolint:gosec // a file descriptor
			_, failed = unix.Poll(wanted, int(left.Milliseconds()))
			if !errors.Is(failed, unix.EINTR) {
				return
			}
		}
	})
	return errors.Join(err, failed)
}

func isSecret(info fs.FileInfo) bool {
	owner, ok := info.Sys().(*syscall.Stat_t)
	return ok && secretMode(info.Mode(), owner.Uid, uint32(os.Geteuid())) //nolint:gosec // a user ID
}

// secretMode reports whether a file with this mode and owner is a secret of user: nobody else may
// access it. A file that belongs to root may be readable by its group, since services that run as
// another user are given their secrets that way.
func secretMode(mode fs.FileMode, owner, user uint32) bool {
	const others, othersButGroupsReading = 0o077, 0o037
	return mode&others == 0 || owner == 0 && user != 0 && mode&othersButGroupsReading == 0
}
