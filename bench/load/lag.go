package load

import "time"

// lagClock computes how long ago an event happened, from the time in the event. That is a
// time of day, so it is compared with the time of day on the same machine, which may be set
// meanwhile. Events under way at that moment would seem to have taken hours, or negative
// time, so they are not measured. The zero value is ready to use. A lagClock must be used
// by one goroutine only.
type lagClock struct {
	offset int64 // from the monotonic clock to the time of day
	from   int64 // measure again from here on, by the monotonic clock
	known  bool  // whether offset is set
}

const (
	// Two readings of both clocks differ by that much only if one was set.
	lagSetLeast = 10 * time.Millisecond
	// After this time, no event from before the clock was set is still under way.
	lagPause = time.Second
)

// reading takes a reading of both clocks, in nanoseconds. Call it before since, whenever
// something has arrived.
func (c *lagClock) reading(monotonic, day int64) {
	offset := day - monotonic
	if by := offset - c.offset; c.known && (by >= int64(lagSetLeast) || by <= -int64(lagSetLeast)) {
		c.from = monotonic + int64(lagPause)
	}
	c.offset, c.known = offset, true
}

// since returns the time from a time of day to the last reading, or false if it is unknown.
func (c *lagClock) since(monotonic, day int64) (ns int64, ok bool) {
	return monotonic + c.offset - day, monotonic >= c.from
}
