package journal

import "golang.org/x/sys/unix"

// setLock takes a lock that belongs to the open file. Those that belong to a process, as earlier versions took them, and these
// exclude each other.
const setLock = unix.F_OFD_SETLK
