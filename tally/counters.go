package tally

import (
	"math/bits"
	"sync/atomic"
)

// CountersMax is how many counters a set has room for.
const CountersMax = 64

// Counters are counters with one owner, told apart by small numbers, below CountersMax.
type Counters struct {
	// Owned by the owner.
	own     [CountersMax]uint64
	changed uint64 // a bit for each counter that has changed since Publish

	shown [CountersMax]atomic.Uint64 // written by the owner, read by anybody
}

// Count adds to a counter. The owner calls it.
func (c *Counters) Count(i int, n uint64) {
	c.own[i] += n
	c.changed |= 1 << i
}

// Set makes a counter something that can go down again. The owner calls it.
func (c *Counters) Set(i int, n uint64) {
	c.own[i] = n
	c.changed |= 1 << i
}

// Publish shows others what has changed. The owner calls it.
func (c *Counters) Publish() {
	for ; c.changed != 0; c.changed &= c.changed - 1 {
		i := bits.TrailingZeros64(c.changed)
		c.shown[i].Store(c.own[i])
	}
}

// Load returns what a counter was at the last Publish. Any goroutine may call it.
func (c *Counters) Load(i int) uint64 { return c.shown[i].Load() }
