package journal

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/papertape/papertape/engine"
)

// stepBeforeMark is a world in which a step is committed between the last account of a
// checkpoint and its mark.
type stepBeforeMark struct {
	*world
	step func() error
}

// Checkpoint is part of Checkpointer.
func (o stepBeforeMark) Checkpoint(ctx context.Context, store func([]engine.AccountState) error) (uint64, error) {
	mark, err := o.world.Checkpoint(ctx, store)
	if err == nil {
		err = o.step()
	}
	return mark, err
}

// TestPowerLossInACheckpoint loses power before each operation of a checkpoint and after the
// last, with everything lost that was not synced. All that was acknowledged by then must be
// there, also what was acknowledged after the accounts were copied. The moments are not random,
// so it finds what TestPowerLoss may miss with few moments.
func TestPowerLossInACheckpoint(t *testing.T) {
	disk, w := crashDisk{vfs.NewCrashableMem()}, newWorld(2, 5, 3)
	var mu sync.Mutex
	var losses []powerLoss // nil: none are recorded
	lose := func(when string) {
		acked := w.acked(everything) // before the power is lost
		losses = append(losses, powerLoss{disk: disk.CrashClone(vfs.CrashCloneCfg{}), op: when, acked: acked})
	}
	j, _ := mustRecover(t, "data", testOptions(t, disk.beforeWrites(func(op errorfs.Op) {
		mu.Lock()
		defer mu.Unlock()
		if losses != nil {
			lose(fmt.Sprintf("before %d %s", op.Kind, op.Path))
		}
	}), Sync))
	w.run(t, j, 20, 5)
	mustCheckpoint(t, j, w)
	w.run(t, j, 20, 5)
	mu.Lock()
	lose("before the checkpoint")
	mu.Unlock()
	if err := j.Checkpoint(t.Context(), stepBeforeMark{w, func() error { return w.step(1, j, 5) }}); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	lose("after the checkpoint")
	tried := losses
	losses = nil
	mu.Unlock()
	if len(tried) < 4 { // the first, the last, the step's commit, the mark
		t.Errorf("power was lost %d times: nothing was tried", len(tried))
	}
	for i := range tried {
		j2, r, err := recoverFrom("data", testOptions(t, tried[i].disk, Sync))
		if err == nil {
			err = w.compare(j2, r, tried[i].acked)
			mustClose(t, j2)
		}
		if err != nil {
			t.Errorf("power lost %s: %v", tried[i].op, err)
		}
	}
}
