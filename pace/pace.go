// Package pace limits how often something may happen, on average and at once, with one number of state.
//
// It is the generic cell rate algorithm (ITU-T I.371, annex A). Reading a clock is the caller's part:
//
//	var orders pace.Limiter
//	if !orders.Allow(time.Since(start), perSecond) {
//		… // too many: refuse it
//	}
package pace

import "time"

// Burst is how much may happen at once after a quiet time: what the rate allows in this time.
const Burst = time.Second

// Limiter holds something to a rate. Its value is the time at which all that was allowed so far would have happened,
// had it come evenly at the rate (the algorithm's theoretical arrival time). The zero value has allowed nothing yet.
// A Limiter is not safe for concurrent use.
type Limiter time.Duration

// Allow reports whether one more may happen now, and counts it if so. now is the time since any fixed moment, and must
// not go back. The rate may change from call to call; what was allowed before still counts. 0 a second is no limit,
// and counts nothing.
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
