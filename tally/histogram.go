package tally

import (
	"math/bits"
	"sync/atomic"
)

// BoundsMax is how many bounds a histogram may have.
const BoundsMax = 15

// Bounds of histograms, ascending. Times are in nanoseconds.
var (
	// Latencies are for what a client waits for. The limits of alerts are among them.
	Latencies = []int64{
		100e3, 250e3, 500e3, 1e6, 2.5e6, 5e6, 10e6, 25e6, 50e6, 100e6, 250e6, 1e9, 2.5e9,
	}
	// Syncs are for writes to the disk.
	Syncs = []int64{50e3, 100e3, 250e3, 500e3, 1e6, 2.5e6, 5e6, 10e6, 25e6, 50e6, 100e6, 250e6}
	// Sizes are for how many there are of something.
	Sizes = []int64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024}
)

// Histogram counts values by bounds, with one owner. Make one with NewHistogram.
type Histogram struct {
	bounds []int64 // constant

	// Owned by the owner.
	own     [BoundsMax + 1]uint64 // by bound; after them those above all
	ownSum  int64
	changed uint32 // a bit for each count that has changed since Publish

	shown    [BoundsMax + 1]atomic.Uint64 // written by the owner, read by anybody
	shownSum atomic.Int64
}

// NewHistogram returns a histogram with these bounds, which it keeps. A value belongs to the first
// bound that it is not above.
func NewHistogram(bounds []int64) Histogram {
	if len(bounds) > BoundsMax {
		panic("tally: a histogram of more bounds than BoundsMax")
	}
	return Histogram{bounds: bounds}
}

// Observe counts a value. One below 0 counts as 0. The owner calls it.
func (h *Histogram) Observe(v int64) {
	v = max(0, v)
	i := 0
	for i < len(h.bounds) && v > h.bounds[i] {
		i++
	}
	h.own[i]++
	h.ownSum += v
	h.changed |= 1 << i
}

// Publish shows others what has changed. The owner calls it.
func (h *Histogram) Publish() {
	if h.changed == 0 {
		return
	}
	h.shownSum.Store(h.ownSum)
	for ; h.changed != 0; h.changed &= h.changed - 1 {
		i := bits.TrailingZeros32(h.changed)
		h.shown[i].Store(h.own[i])
	}
}

// Sum is the sum of histograms with the same bounds.
type Sum struct {
	Bounds []int64
	Counts []uint64 // by bound; after them those above all
	Total  int64    // of the values
}

// NewSum returns a sum of no histograms.
func NewSum(bounds []int64) Sum { return Sum{Bounds: bounds, Counts: make([]uint64, len(bounds)+1)} }

// Add adds what a histogram was at its last Publish. While it is being published, the total may be
// ahead of the counts. Any goroutine may call it, on a sum of its own.
func (s *Sum) Add(h *Histogram) {
	for i := range s.Counts {
		s.Counts[i] += h.shown[i].Load()
	}
	s.Total += h.shownSum.Load()
}

// Count returns how many values there were.
func (s Sum) Count() (n uint64) {
	for _, c := range s.Counts {
		n += c
	}
	return n
}

// Since returns what was added since an earlier sum of the same histograms.
func (s Sum) Since(before Sum) Sum {
	d := NewSum(s.Bounds)
	for i := range s.Counts {
		d.Counts[i] = s.Counts[i] - before.Counts[i]
	}
	d.Total = s.Total - before.Total
	return d
}

// Quantile returns the value that a part of all values, 0.99 of them for example, is not above. Between
// two bounds values count as spread evenly, as Prometheus has it; a value above the last bound counts as
// that bound. Without values it is 0.
func (s Sum) Quantile(part float64) int64 {
	rank := part * float64(s.Count())
	if rank == 0 {
		return 0
	}
	below, lower := 0.0, int64(0)
	for i, bound := range s.Bounds {
		if n := float64(s.Counts[i]); n > 0 && below+n >= rank {
			return lower + int64(float64(bound-lower)*(rank-below)/n)
		}
		below, lower = below+float64(s.Counts[i]), bound
	}
	return lower
}
