package engine

import (
	"runtime"
	"unsafe"
)

// blockBytes is the size of a block of history: some 75 events.
const blockBytes = 4096

type block [blockBytes]byte

// blocks hands out blocks of memory that Go's garbage collector does not know. It need not: a block
// holds no pointers. In the collector's heap as much again would be used as headroom before each
// collection. A block that was given back is handed out again, so memory that the kernel once gave
// is touched for the first time only once. It is never returned to the kernel before the engine is
// gone.
//
// The drainer of a shard owns it.
type blocks struct {
	free   []*block
	unused []byte // the rest of the newest slab
	slabs  *slabs
	advise func([]byte) // asks for huge pages; nil: does not
}

// slabs are what was asked of the kernel. They are apart, since they outlive the blocks by a moment.
type slabs struct{ all [][]byte }

// slabBytes is how much is asked of the kernel at a time: a multiple of a huge page. It gives memory
// only where it is touched.
const slabBytes = 8 << 20

func newBlocks(advise func([]byte)) *blocks {
	b := &blocks{slabs: new(slabs), advise: advise}
	runtime.AddCleanup(b, func(s *slabs) { s.release() }, b.slabs)
	return b
}

// take returns a block with any content.
func (b *blocks) take() *block {
	if n := len(b.free); n > 0 {
		taken := b.free[n-1]
		b.free = b.free[:n-1]
		return taken
	}
	if len(b.unused) < blockBytes {
		b.unused = b.slabs.acquire(slabBytes)
		if b.advise != nil {
			b.advise(b.unused)
		}
	}
	taken := (*block)(unsafe.Pointer(unsafe.SliceData(b.unused)))
	b.unused = b.unused[blockBytes:]
	return taken
}

// give takes a block back. Nobody may read it any more.
func (b *blocks) give(bl *block) { b.free = append(b.free, bl) }

// acquire returns memory of the kernel, or of Go's heap where the kernel gives none (ulimit -v): it is
// for the runtime to say that there is no memory at all.
func (s *slabs) acquire(size int) []byte {
	slab, err := mapMemory(size)
	if err != nil {
		return make([]byte, size)
	}
	s.all = append(s.all, slab)
	return slab
}

func (s *slabs) release() {
	for _, slab := range s.all {
		unmapMemory(slab)
	}
	s.all = nil
}
