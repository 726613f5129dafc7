package process

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// RaiseFileLimit raises the limit of open files to what it may be raised to, and returns that. Accepting a connection
// with no file left ends gnet's engine, so the limit is to be checked before the server starts.
func RaiseFileLimit() (uint64, error) {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return 0, fmt.Errorf("read the limit of open files: %w", err)
	}
	if r.Cur < r.Max {
		r.Cur = r.Max
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
			return 0, fmt.Errorf("raise the limit of open files to %d: %w", r.Max, err)
		}
	}
	return r.Cur, nil
}
