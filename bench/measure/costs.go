package measure

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Costs are how long basic operations of the kernel take, in microseconds. On a virtual
// machine they include the work of the host. All servers pay them alike, so they are the
// first thing to compare when the figures of two machines differ.
type Costs struct {
	Syscall float64 // a system call that does nothing
	// FirstTouch is the first write to 4 KiB, in huge pages, of memory that was unused for a
	// while, and which a host therefore may have reclaimed.
	FirstTouch float64
	NextTouch  float64 // the same for memory that was returned to the kernel just before
}

const (
	touchedBytes = 256 << 20
	syscallCount = 200_000
)

// NewCosts measures the costs. It takes half a second on most machines.
func NewCosts() (c Costs, err error) {
	began := time.Now()
	for range syscallCount {
		_ = unix.Getppid() // Go does not cache its result
	}
	c.Syscall = microsEach(time.Since(began), syscallCount)
	if c.FirstTouch, err = touch(); err == nil {
		c.NextTouch, err = touch()
	}
	return c, err
}

// touch takes memory from the kernel, writes to each page, and returns it. It reports the
// time per page.
func touch() (float64, error) {
	b, err := unix.Mmap(-1, 0, touchedBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return 0, fmt.Errorf("map %d bytes to touch them: %w", touchedBytes, err)
	}
	_ = unix.Madvise(b, unix.MADV_HUGEPAGE) // a kernel without huge pages uses small ones
	page, began := os.Getpagesize(), time.Now()
	for i := 0; i < len(b); i += page {
		b[i] = 1
	}
	took := microsEach(time.Since(began), len(b)/page)
	return took, unix.Munmap(b)
}

// microsEach returns the microseconds that each of n operations took.
func microsEach(d time.Duration, n int) float64 { return float64(d.Nanoseconds()) / 1e3 / float64(n) }
