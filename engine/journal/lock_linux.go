package journal

import "golang.org/x/sys/unix"

// setLock takes a lock that belongs to the open file. It excludes the locks that belong to a
// process, which earlier versions took, and is excluded by them.
const setLock = unix.F_OFD_SETLK
