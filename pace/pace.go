// Package pace limits how often something may happen, on average and in a burst. Its state is a
// single number.
//
// It implements the generic cell rate algorithm (ITU-T I.371, annex A). The caller reads the clock:
//
//	var orders pace.Limiter
//	if !orders.Allow(time.Since(start), perSecond) {
//		… // too many: refuse it
//	}
package pace

import "time"

// Burst bounds what may happen at once after a quiet time: as much as the rate allows in this time.
const Burst = time.Second

// Limiter enforces a rate. Its value is the algorithm's theoretical arrival time: the time at which
// everything allowed so far would have happened if it had come evenly, at the rate. The zero value
// has allowed nothing yet. A Limiter is not safe for concurrent use.
type Limiter time.Duration

// Allow reports whether one more may happen now, and counts it if so. now is the time since a fixed
// moment, and must not go back. The rate may change from call to call; what was allowed before
// still counts. A rate of 0 means no limit, and nothing is counted.
func (l *Limiter) Allow(now time.Duration, perSecond int) bool {
	if perSecond == 0 {
		return true
	}
	next := max(time.Duration(*l), now) + time.Second/time.Duration(perSecond)
	if next > now+Burst {
		return false
	}
	*l = Limiter(next)
	return true
}
