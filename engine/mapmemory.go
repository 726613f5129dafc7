//go:build !race

package engine

import "golang.org/x/sys/unix"

// mapMemory returns size bytes of zeroed memory outside Go's heap.
func mapMemory(size int) ([]byte, error) {
	return unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
}

func unmapMemory(slab []byte) {
	_ = unix.Munmap(slab) // it cannot fail for what mapMemory returned
}
