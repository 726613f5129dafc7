package load

import "time"

// lagClock says how long ago an event was, by the time that is in it. That is a time of day, so it takes the time of day here, on
// the same machine, to say what has passed since; and that may be set meanwhile. What was under way when it was set would seem to
// have taken hours, or less than nothing, and is not measured. The zero one is ready. It belongs to one goroutine.
type lagClock struct {
	offset int64 // from the monotonic clock to the time of day
	from   int64 // by the monotonic clock: when what comes is measured again
	known  bool  // the offset is
}

const (
	lagSetLeast = 10 * time.Millisecond // two readings of both clocks do not differ by that much unless one was set
	lagPause    = time.Second           // by then nothing is under way any more that was when the clock was set
)

// reading takes a reading of both clocks, in nanoseconds. It is to be called before since, each time that something has come.
func (c *lagClock) reading(monotonic, day int64) {
	offset := day - monotonic
	if by := offset - c.offset; c.known && (by >= int64(lagSetLeast) || by <= -int64(lagSetLeast)) {
		c.from = monotonic + int64(lagPause)
	}
	c.offset, c.known = offset, true
}

// since is what has passed, at the last reading, since a time of day; false where that cannot be said.
func (c *lagClock) since(monotonic, day int64) (ns int64, ok bool) {
	return monotonic + c.offset - day, monotonic >= c.from
}
