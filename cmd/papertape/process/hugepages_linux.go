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

// leastBytes is a heap that is not worth asking for.
const leastBytes = 16 << 20

// ReserveHugePages asks for huge pages under the next so many bytes that the heap will use, and says under how many it
// did: fewer, or none, where the process may not have so many. It takes address space, no memory. A program calls it
// once, when it starts: it collects garbage, and address space that the heap has used before would be cleared, which
// takes the memory.
func ReserveHugePages(bytes int64) (int64, error) {
	room, err := room()
	if err != nil {
		return 0, err
	}
	if bytes = min(bytes, room) &^ (int64(os.Getpagesize()) - 1); bytes < leastBytes {
		return 0, nil
	}
	// The runtime takes address space for a piece of the heap this large and does not touch it, since what comes from
	// the kernel is zero. What is asked for it outlives the piece: the next things that the heap needs are put there.
	heap := make([]byte, bytes)
	start := (uintptr(unsafe.Pointer(unsafe.SliceData(heap))) + uintptr(os.Getpagesize()) - 1) &^ (uintptr(os.Getpagesize()) - 1)
	skip := int64(start - uintptr(unsafe.Pointer(unsafe.SliceData(heap))))
	err = unix.Madvise(heap[skip:], unix.MADV_HUGEPAGE)
	runtime.KeepAlive(heap)
	heap = nil
	debug.FreeOSMemory() // now: until the next collection it would count as used
	if errors.Is(err, unix.EINVAL) {
		return 0, nil // a kernel without them
	}
	if err != nil {
		return 0, fmt.Errorf("ask for huge pages under %d bytes of the heap: %w", bytes, err)
	}
	return bytes, nil
}

// room is how much address space the heap may take: half of the machine's memory, which the kernel does not take for
// a mistake, and no more than GOMEMLIMIT; none where address space itself is limited.
func room() (int64, error) {
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

// strictlyCommitted says that the kernel counts address space as memory (vm.overcommit_memory is 2).
func strictlyCommitted() bool {
	mode, err := os.ReadFile("/proc/sys/vm/overcommit_memory")
	return err == nil && strings.TrimSpace(string(mode)) == "2"
}
