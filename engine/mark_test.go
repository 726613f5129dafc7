package engine

import "testing"

// TestMarkOfOneShard: a shard that needs several slices notes its number before the first. If it
// commits events of an account that has been copied already, between two slices, they are after the
// mark.
func TestMarkOfOneShard(t *testing.T) {
	w := newWorld(t, options{keeps: true, shards: 1, slice: 1}, alice, bob, carol)
	before := w.journal.Committed()
	slices := 0
	mark, err := w.eng.Checkpoint(t.Context(), func(states []AccountState) error {
		slices++
		w.trade1(states[0].Account)
		w.settle()
		return w.journal.store(states)
	})
	if err != nil || mark != before || slices != 3 {
		t.Errorf("mark %d, %v after %d slices; want %d after 3", mark, err, slices, before)
	}
}
