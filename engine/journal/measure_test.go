package journal

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/papertape/papertape/tally"
)

// TestMeasures commits blocks one after the other, in each mode.
func TestMeasures(t *testing.T) {
	for _, mode := range []Mode{Sync, Interval} {
		o := testOptions(t, vfs.NewMem(), mode)
		o.FreeBytes = func() (uint64, error) { return 5 << 30, nil }
		j, _ := mustRecover(t, "data", o)
		recovered := j.Measures()
		if recovered.CheckpointAt.IsZero() || time.Since(recovered.CheckpointAt) > time.Hour {
			t.Errorf("%v: the checkpoint before the first is of %v", mode, recovered.CheckpointAt)
		}
		const blocks = 5
		for i := range uint64(blocks) {
			if err := commit(j, opening(1+2*i), opening(2+2*i)); err != nil {
				t.Fatal(err)
			}
		}
		waitUntil(t, "the sync of all", func() bool {
			return j.synced.Load() == j.committed.Load() && j.Measures().Sync.Count() > 0
		})
		m := j.Measures()
		if m.Commit.Count() != blocks || m.Events.Count() != blocks || m.Events.Total != 2*blocks {
			t.Errorf("%v: %d blocks timed, %d of %d events; want %d of %d", mode, m.Commit.Count(), m.Events.Count(),
				m.Events.Total, blocks, 2*blocks)
		}
		if mode == Sync && m.Sync.Count() != blocks || m.Sync.Count() > blocks {
			t.Errorf("%v: %d syncs timed, want %d, or with interval fewer", mode, m.Sync.Count(), blocks)
		}
		if m.Commit.Total <= 0 || m.SyncAge < 0 || m.SyncTook < 0 {
			t.Errorf("%v: %+v", mode, m)
		}
		if !m.DiskFreeKnown || m.DiskFreeBytes != 5<<30 || m.LowWaterBytes != defaultLowWaterBytes || m.WALBytes == 0 {
			t.Errorf("%v: %+v", mode, m)
		}
		mustClose(t, j)
		if m := j.Measures(); m.WALBytes != 0 || m.Commit.Count() != blocks {
			t.Errorf("%v: after the end %+v", mode, m)
		}
	}
}

// TestSlowSyncIsTimed: what the disk takes is in the time of the sync and of the commit.
func TestSlowSyncIsTimed(t *testing.T) {
	g := &gate{waits: make(chan struct{}, 1)}
	o := testOptions(t, g.wrap(vfs.NewMem()), Sync)
	o.tune = nil
	j, _ := mustRecover(t, "data", o)
	g.mu.Lock()
	select { // of the start
	case <-g.waits:
	default:
	}
	done := make(chan error, 1)
	go func() { done <- commit(j, opening(1)) }()
	<-g.waits
	const held = 60 * time.Millisecond
	for until := tally.Now() + int64(held); tally.Now() < until; {
		time.Sleep(time.Millisecond)
	}
	g.mu.Unlock()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if m := j.Measures(); m.Sync.Total < int64(held) || m.Commit.Total < int64(held) || m.SyncTook < held {
		t.Errorf("a sync of %v or more is timed as %v, its commit as %v, the last sync as %v", held,
			time.Duration(m.Sync.Total), time.Duration(m.Commit.Total), m.SyncTook)
	}
	mustClose(t, j)
}

// TestCheckpointTimes: a checkpoint moves the time of the last one, and one that is put off does not.
func TestCheckpointTimes(t *testing.T) {
	o := testOptions(t, vfs.NewMem(), Sync)
	j, _ := mustRecover(t, "data", o)
	w := newWorld(1, 2, 1)
	w.run(t, j, 5, 3)
	before := j.Measures().CheckpointAt
	if err := j.Checkpoint(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	after := j.Measures().CheckpointAt
	if !after.After(before) {
		t.Errorf("the last checkpoint was at %v before, and at %v after it", before, after)
	}
	j.waiting.Add(1) // a write waits for room
	if err := j.Checkpoint(t.Context(), w); err == nil {
		t.Fatal("a checkpoint was made without room")
	}
	j.waiting.Add(-1)
	if now := j.Measures().CheckpointAt; !now.Equal(after) {
		t.Errorf("a checkpoint that was put off counts: %v, want %v", now, after)
	}
	mustClose(t, j)
}
