//go:build !race

package engine

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestBlocksReturn: what was asked of the kernel returns to it when nobody can reach the blocks any
// more.
func TestBlocksReturn(t *testing.T) {
	before := addressSpace(t)
	const slabs = 400
	held := make([]*blocks, slabs)
	for i := range held {
		held[i] = newBlocks(nil)
		held[i].take()[0] = 1
	}
	if grown := addressSpace(t) - before; grown < slabs*slabBytes {
		t.Fatalf("the process has grown by %d bytes, want at least %d", grown, slabs*slabBytes)
	}
	clear(held)
	runtime.KeepAlive(held)
	for deadline := time.Now().Add(patience); addressSpace(t)-before > slabs*slabBytes/10; {
		if time.Now().After(deadline) {
			t.Fatalf("the process still has %d bytes more", addressSpace(t)-before)
		}
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
}

// addressSpace returns the size of the process's address space.
func addressSpace(t *testing.T) int64 {
	t.Helper()
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(statm))[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}
