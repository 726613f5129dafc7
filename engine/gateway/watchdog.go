package gateway

import (
	"fmt"
	"time"
)

// lateAfter is how long a loop may take to run the ticker's tick. A loop that stands still, in a handler that blocks or
// a library that waits for itself, serves none of its connections, and nobody else would notice.
const lateAfter = 5 * time.Second

// watchdog notes that a loop has not run the last tick yet when the next is due. The ticker calls it. It counts its own
// ticks rather than the time: a process that was stopped as a whole has no loop that is late.
func (l *loop) watchdog(ran bool) {
	switch {
	case !ran:
		l.missed++
		late := time.Duration(l.missed) * l.gw.idleTick()
		if late >= l.gw.lateAfter && l.late.CompareAndSwap(false, true) {
			l.gw.cfg.Log.Error().Int("loop", l.index).Stringer("late", late).
				Msg("an event loop stands still: its connections are not served")
		}
	case l.missed > 0:
		l.missed = 0
		if l.late.CompareAndSwap(true, false) {
			l.gw.cfg.Log.Warn().Int("loop", l.index).Msg("the event loop goes on")
		}
	}
}

// Late returns an error while an event loop stands still. Any goroutine may call it.
func (g *Gateway) Late() error {
	for _, l := range *g.loops.Load() {
		if l.late.Load() {
			return fmt.Errorf("event loop %d stands still", l.index)
		}
	}
	return nil
}
