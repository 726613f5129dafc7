package scenario

import (
	"testing"
	"time"
)

// TestQuickIsQuick sums the expected durations of the steps: `make bench` has ten minutes,
// builds included.
func TestQuickIsQuick(t *testing.T) {
	r := &Runner{Size: Quick, files: 20_000}
	var all time.Duration
	for _, p := range plans() {
		var takes time.Duration
		for _, s := range p.steps(r) {
			takes += s.takes
		}
		t.Logf("%-12s %v", p.name, takes)
		all += takes
	}
	if all > 8*time.Minute {
		t.Errorf("the quick size takes %v", all)
	}
}
