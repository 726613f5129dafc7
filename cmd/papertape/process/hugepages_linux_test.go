//go:build !race

package process

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TestReserveHugePages checks that the next allocations of the heap lie in mappings for which huge
// pages were asked, and that the request itself took up no memory.
func TestReserveHugePages(t *testing.T) {
	if _, err := os.Stat("/sys/kernel/mm/transparent_hugepage/enabled"); err != nil {
		t.Skip("this kernel has no huge pages to ask for")
	}
	const bytes = 256 << 20
	before := resident(t)
	if n, err := ReserveHugePages(bytes); n != bytes || err != nil {
		t.Fatalf("asked for %d bytes: %d, %v", bytes, n, err)
	}
	if more := resident(t) - before; more > bytes/8 {
		t.Errorf("asking for %d bytes took %d of memory", bytes, more)
	}
	var stats runtime.MemStats
	if runtime.ReadMemStats(&stats); stats.HeapInuse > bytes/8 || stats.HeapIdle-stats.HeapReleased > bytes/8 {
		t.Errorf("of the heap %d bytes are in use and %d kept; what was asked for is to be neither", stats.HeapInuse,
			stats.HeapIdle-stats.HeapReleased)
	}
	var kept [][]byte
	huge := 0
	for range 64 {
		kept = append(kept, make([]byte, 1<<20))
	}
	asked := askedFor(t)
	for _, b := range kept {
		at := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
		if slices.ContainsFunc(asked, func(r [2]uintptr) bool { return at >= r[0] && at+uintptr(len(b)) <= r[1] }) {
			huge++
		}
	}
	if huge < len(kept)*3/4 {
		t.Errorf("%d of %d MiB of the heap lie where huge pages were asked for", huge, len(kept))
	}
}

func TestReserveHugePagesIsBounded(t *testing.T) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		t.Fatal(err)
	}
	if available, err := reservableBytes(); err != nil || available > int64(info.Totalram*uint64(info.Unit)/2) {
		t.Errorf("room for %d bytes in %d, %v", available, info.Totalram, err)
	}
	for _, bytes := range []int64{0, -1, reserveBytesMin - 1} {
		if n, err := ReserveHugePages(bytes); n != 0 || err != nil {
			t.Errorf("asked for %d bytes: %d, %v", bytes, n, err)
		}
	}
}

// TestNoAddressSpaceToSpare limits the address space, and checks that nothing is reserved: the
// runtime ends a program if the kernel refuses address space for its heap.
func TestNoAddressSpaceToSpare(t *testing.T) {
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_AS, &before); err != nil {
		t.Fatal(err)
	}
	less := unix.Rlimit{Cur: 1 << 40, Max: before.Max}
	if err := unix.Setrlimit(unix.RLIMIT_AS, &less); err != nil {
		t.Skip("the limit of address space cannot be set:", err)
	}
	defer func() {
		if err := unix.Setrlimit(unix.RLIMIT_AS, &before); err != nil {
			t.Error(err)
		}
	}()
	if n, err := ReserveHugePages(64 << 20); n != 0 || err != nil {
		t.Errorf("reserved %d bytes where address space is limited, %v", n, err)
	}
}

// resident returns the resident memory of this process.
func resident(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var size, pages int64
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// askedFor returns the mappings with advice to use huge pages (flag hg). Adjacent ones are joined.
func askedFor(t *testing.T) (list [][2]uintptr) {
	t.Helper()
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // it was read
	var at [2]uintptr
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		if flags, ok := strings.CutPrefix(line, "VmFlags:"); ok {
			if !slices.Contains(strings.Fields(flags), "hg") {
				continue
			}
			if n := len(list); n > 0 && list[n-1][1] == at[0] {
				list[n-1][1] = at[1]
			} else {
				list = append(list, at)
			}
			continue
		}
		var low, high uintptr
		if n, _ := fmt.Sscanf(line, "%x-%x ", &low, &high); n == 2 {
			at = [2]uintptr{low, high}
		}
	}
	return list
}
