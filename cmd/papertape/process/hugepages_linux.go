//go:build !race

package process

import (
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// reserveBytesMin is the smallest heap that is worth the request.
const reserveBytesMin = 16 << 20

// ReserveHugePages asks for huge pages for the next bytes that the heap will use, and returns for
// how many it asked: fewer, or 0, if the process may not have that many. It takes up address space
// but no memory. Call it once, when the program starts. It runs a garbage collection, and the
// runtime clears address space that the heap has used before, which would take up the memory.
func ReserveHugePages(bytes int64) (int64, error) {
	available, err := reservableBytes()
	if err != nil {
		return 0, err
	}
	if bytes = min(bytes, available) &^ (int64(os.Getpagesize()) - 1); bytes < reserveBytesMin {
		return 0, nil
	}
	// The runtime allocates address space for a slice of this size without touching it, since
	// memory from the kernel is zeroed. The advice outlives the slice: the next allocations of the
	// heap are placed there.
	heap := make([]byte, bytes)
	start := (uintptr(unsafe.Pointer(unsafe.SliceData(heap))) +
		uintptr(os.Getpagesize()) - 1) &^ (uintptr(os.Getpagesize()) - 1)
	skip := int64(start - uintptr(unsafe.Pointer(unsafe.SliceData(heap))))
	err = unix.Madvise(heap[skip:], unix.MADV_HUGEPAGE)
	runtime.KeepAlive(heap)
	heap = nil
	debug.FreeOSMemory() // now, since it counts as used until the next collection
	if errors.Is(err, unix.EINVAL) {
		return 0, nil // the kernel has no huge pages
	}
	if err != nil {
		return 0, fmt.Errorf("ask for huge pages under %d bytes of the heap: %w", bytes, err)
	}
	return bytes, nil
}

// AdviseHugePages asks for huge pages under a piece of memory that is not in use yet. It changes
// nothing but speed, so it reports no errors.
func AdviseHugePages(memory []byte) { _ = unix.Madvise(memory, unix.MADV_HUGEPAGE) }

// reservableBytes returns how much address space the heap may take: half of the machine's memory,
// which the kernel does not treat as a mistake, and at most GOMEMLIMIT. It returns 0 if address
// space itself is limited.
func reservableBytes() (int64, error) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0, fmt.Errorf("ask how much memory there is: %w", err)
	}
	var space unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_AS, &space); err != nil {
		return 0, fmt.Errorf("ask how much address space there may be: %w", err)
	}
	if space.Cur != unix.RLIM_INFINITY || strictlyCommitted() {
		return 0, nil
	}
	memory := min(info.Totalram*uint64(info.Unit)/2, math.MaxInt64)
	return min(int64(memory), debug.SetMemoryLimit(-1)), nil
}

// strictlyCommitted reports whether the kernel counts address space as memory (vm.overcommit_memory
// is 2).
func strictlyCommitted() bool {
	mode, err := os.ReadFile("/proc/sys/vm/overcommit_memory")
	return err == nil && strings.TrimSpace(string(mode)) == "2"
}
