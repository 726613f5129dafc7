package process

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// RaiseFileLimit raises the process's limit of open files as far as the process may, and returns the limit. gnet's
// engine ends if it accepts a connection with no file left, so the limit should be checked before the server starts.
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
