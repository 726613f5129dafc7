package measure

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Costs are those of the kernel, and of the host under it in a virtual machine, that every server has, in microseconds. Figures of two
// machines differ by them first of all.
type Costs struct {
	Syscall    float64 // one that does nothing
	FirstTouch float64 // of 4 KiB with huge pages under them, memory that nobody has used for a while: a host takes such memory back
	NextTouch  float64 // the same memory, again from the kernel at once
}

const (
	touched  = 256 << 20
	syscalls = 200_000
)

// NewCosts takes half a second on most machines.
func NewCosts() (c Costs, err error) {
	began := time.Now()
	for range syscalls {
		_ = unix.Getppid() // which Go does not keep
	}
	c.Syscall = micros(time.Since(began), syscalls)
	if c.FirstTouch, err = touch(); err == nil {
		c.NextTouch, err = touch()
	}
	return c, err
}

// touch takes memory from the kernel, writes to each of its pages and gives it back. It returns what a page took.
func touch() (float64, error) {
	b, err := unix.Mmap(-1, 0, touched, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return 0, fmt.Errorf("map %d bytes to touch them: %w", touched, err)
	}
	_ = unix.Madvise(b, unix.MADV_HUGEPAGE) // a kernel without them has small ones
	page, began := os.Getpagesize(), time.Now()
	for i := 0; i < len(b); i += page {
		b[i] = 1
	}
	took := micros(time.Since(began), len(b)/page)
	return took, unix.Munmap(b)
}

func micros(d time.Duration, n int) float64 { return float64(d.Nanoseconds()) / 1e3 / float64(n) }
