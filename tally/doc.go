// Package tally counts what one goroutine at a time does, for others to read.
//
// Counters and histograms live where they are written: one set for each shard and each event loop. So
// counting takes no lock and no cache line from anybody. An owner counts in plain memory, and shows
// others what has changed once a batch, since a store that others see costs some twenty times as much
// as one that they do not:
//
//	c.Count(framesSent, 1)           // the owner, often
//	latency.Observe(tally.Now()-at)  // likewise
//	c.Publish(); latency.Publish()   // the owner, at the end of its batch
//	...
//	sum.Add(&latency)                // anybody, for each owner in turn
//
// The owner may be another goroutine later, if something else orders the two, as the drains of a shard
// are.
package tally

import "time"

// start is when the process began: the zero of Now.
var start = time.Now()

// Now returns nanoseconds since the process began. It never steps back. It is for intervals that are
// measured and decide nothing, so tests have no say in it.
func Now() int64 { return int64(time.Since(start)) }
