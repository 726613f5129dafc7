package journal

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/papertape/papertape/positions"
)

// held is how long a sync is held up to see whether somebody does not wait for it.
const held = 500 * time.Millisecond

// TestAnswerAfterTheSync holds up the sync of a block: its commit returns after it, and not before.
func TestAnswerAfterTheSync(t *testing.T) {
	g := &gate{waits: make(chan struct{}, 1)}
	o := testOptions(t, g.on(vfs.NewMem()), Sync)
	o.tune = nil
	j, _ := mustRecover(t, "data", o)
	select {
	case <-g.waits: // of the opening
	default:
	}
	g.mu.Lock()
	returned := make(chan error, 1)
	go func() { returned <- j.Commit([]positions.Event{opening(1)}) }()
	synced := false
	for limit := time.After(patience); !synced; {
		select {
		case <-g.waits:
			synced = true
		case err := <-returned:
			g.mu.Unlock()
			t.Fatalf("a commit has returned before anything was synced: %v", err)
		case <-limit:
			g.mu.Unlock()
			t.Fatal("nothing is synced")
		}
	}
	select {
	case err := <-returned:
		t.Errorf("a commit has returned during its sync: %v", err)
		returned <- err
	case <-time.After(held):
	}
	g.mu.Unlock()
	if err := <-returned; err != nil {
		t.Error(err)
	}
}
