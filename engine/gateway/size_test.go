package gateway

import (
	"runtime"
	"testing"
	"unsafe"

	"github.com/papertape/papertape/engine/simulator"
)

// TestSessionSize limits what an idle connection costs: one byte more is the allocator's next size class.
func TestSessionSize(t *testing.T) {
	const limit = 288
	if size := unsafe.Sizeof(Session{}); size > limit {
		t.Errorf("a session takes %d bytes, over %d", size, limit)
	}
}

// TestGoroutinesDoNotGrow compares the number of goroutines with one client logged in and with 301. It must not run in
// parallel with other tests.
func TestGoroutinesDoNotGrow(t *testing.T) {
	s := start(t, nil)
	first := s.user(t, alice)
	first.trade(2) // the pool's workers are up
	before := runtime.NumGoroutine()
	for i := range 300 {
		s.user(t, simulator.FirstAccount+uint64(i))
	}
	if n := s.gw.Connections(); n != 301 {
		t.Fatalf("%d connections, want 301", n)
	}
	const slack = 4 // workers of the engine's pool
	eventually(t, "there are as many goroutines as before",
		func() bool { return runtime.NumGoroutine() <= before+slack },
		func() { t.Logf("%d goroutines, before %d", runtime.NumGoroutine(), before) })
}
