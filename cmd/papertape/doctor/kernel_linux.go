package doctor

import (
	"os"

	"golang.org/x/sys/unix"
)

// freeBytes returns the room on a disk for who is not root.
func freeBytes(dir string) int64 {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return Unknown
	}
	return int64(st.Bavail) * st.Bsize
}

// clockSynchronised asks the kernel whether somebody keeps the clock right.
func clockSynchronised() Answer {
	const timeError = 5 // TIME_ERROR of adjtimex(2)
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	switch {
	case err != nil:
		return Nobody
	case state == timeError || t.Status&unix.STA_UNSYNC != 0:
		return No
	default:
		return Yes
	}
}

// isLocked reports whether another process holds the lock of a file. The lock is not taken.
func isLocked(path string) bool {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return false // there is none, or it is not ours to look at
	}
	defer f.Close() //nolint:errcheck // nothing was written
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	return unix.FcntlFlock(f.Fd(), unix.F_GETLK, &lock) == nil && lock.Type != unix.F_UNLCK
}
