package process

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// RaiseFileLimit raises the process's soft limit of open files to the hard limit, and returns it.
// gnet's engine stops when it accepts a connection and no file descriptor is left, so check the
// limit before starting the server.
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
