package load

import (
	"testing"
	"time"
)

// TestLagClock sets the time of day back and forward while events are under way. No
// measured time changes.
func TestLagClock(t *testing.T) {
	const tick = int64(time.Millisecond)
	for _, by := range []time.Duration{-5 * time.Second, 5 * time.Second, -time.Hour, 24 * time.Hour,
		-20 * time.Millisecond} {
		var c lagClock
		now, day := 17*tick, int64(1_700_000_000*time.Second)
		measured := 0
		for i := range 3000 { // one event per millisecond, each under way for 2 ms
			made := day - 2*tick
			if i == 501 {
				made -= int64(by) // made before the clock was set, received after
			}
			c.reading(now, day)
			if lag, ok := c.since(now, made); ok {
				measured++
				if lag != 2*tick {
					t.Fatalf("set by %v: event %d took %v", by, i, time.Duration(lag))
				}
			}
			now, day = now+tick, day+tick+int64(i%2) // the time of day runs slightly faster
			if i == 500 {
				day += int64(by)
			}
		}
		if measured != 2000 {
			t.Errorf("set by %v: %d of 3000 events were measured, want all but those of a second", by, measured)
		}
	}
}
