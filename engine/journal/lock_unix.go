//go:build unix && !linux

package journal

import "golang.org/x/sys/unix"

// setLock takes a lock that belongs to the process.
const setLock = unix.F_SETLK
