package measure

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Costs are costs of the kernel, and of the host below a virtual machine, that all servers
// share, in microseconds. They are the first reason why figures of two machines differ.
type Costs struct {
	Syscall float64 // a system call that does nothing
	// FirstTouch is for 4 KiB in huge pages, in memory that was unused for a while: a host
	// reclaims such memory.
	FirstTouch float64
	NextTouch  float64 // the same memory, immediately taken from the kernel again
}

const (
	touched  = 256 << 20
	syscalls = 200_000
)

// NewCosts takes half a second on most machines.
func NewCosts() (c Costs, err error) {
	began := time.Now()
	for range syscalls {
		_ = unix.Getppid() // Go does not cache its result
	}
	c.Syscall = micros(time.Since(began), syscalls)
	if c.FirstTouch, err = touch(); err == nil {
		c.NextTouch, err = touch()
	}
	return c, err
}

// touch takes memory from the kernel, writes to each page, and returns it. It reports the
// time per page.
func touch() (float64, error) {
	b, err := unix.Mmap(-1, 0, touched, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return 0, fmt.Errorf("map %d bytes to touch them: %w", touched, err)
	}
	_ = unix.Madvise(b, unix.MADV_HUGEPAGE) // a kernel without huge pages uses small ones
	page, began := os.Getpagesize(), time.Now()
	for i := 0; i < len(b); i += page {
		b[i] = 1
	}
	took := micros(time.Since(began), len(b)/page)
	return took, unix.Munmap(b)
}

func micros(d time.Duration, n int) float64 { return float64(d.Nanoseconds()) / 1e3 / float64(n) }
