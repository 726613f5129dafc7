//go:build !race

package engine

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"
)

// TestBlocksReturn: what was asked of the kernel returns to it when nobody can reach the blocks any
// more.
func TestBlocksReturn(t *testing.T) {
	const slabs = 200
	held, at := make([]*blocks, slabs), make([]uintptr, slabs)
	for i := range held {
		held[i] = newBlocks(nil)
		at[i] = uintptr(unsafe.Pointer(held[i].take()))
	}
	if n := mapped(t, at); n != slabs {
		t.Fatalf("%d of %d slabs are mapped", n, slabs)
	}
	clear(held)
	runtime.KeepAlive(held)
	// Something else may be mapped where a slab was.
	for deadline := time.Now().Add(patience); mapped(t, at) > slabs/10; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d slabs are still mapped", mapped(t, at), slabs)
		}
		runtime.GC()
	}
}

// mapped returns how many addresses the process has something at.
func mapped(t *testing.T, addresses []uintptr) (n int) {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(strings.NewReader(string(maps))); lines.Scan(); {
		var from, to uintptr
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x ", &from, &to); err != nil {
			t.Fatalf("%q: %v", lines.Text(), err)
		}
		for _, a := range addresses {
			if from <= a && a < to {
				n++
			}
		}
	}
	return n
}
