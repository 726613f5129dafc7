package gateway

import (
	"testing"
	"unsafe"
)

// TestSessionSize holds what an idle connection costs the gateway: a size class of the allocator more is paid for each.
func TestSessionSize(t *testing.T) {
	const limit = 256
	if size := unsafe.Sizeof(Session{}); size > limit {
		t.Errorf("a session takes %d bytes, over %d", size, limit)
	}
}
