package tally

import (
	"slices"
	"sync"
	"testing"
)

func TestCounters(t *testing.T) {
	var c Counters
	c.Count(0, 2)
	c.Count(CountersMax-1, 3)
	if got := c.Load(0); got != 0 {
		t.Errorf("before Publish others see %d, want 0", got)
	}
	c.Publish()
	c.Count(0, 1)
	c.Set(7, 9)
	c.Set(7, 4)
	c.Publish()
	for i := range CountersMax {
		want := map[int]uint64{0: 3, 7: 4, CountersMax - 1: 3}[i]
		if got := c.Load(i); got != want {
			t.Errorf("counter %d: %d, want %d", i, got, want)
		}
	}
}

func TestHistogram(t *testing.T) {
	bounds := []int64{10, 20}
	a, b := NewHistogram(bounds), NewHistogram(bounds)
	for _, v := range []int64{-5, 0, 10, 11, 20, 21, 1000} {
		a.Observe(v)
	}
	b.Observe(15)
	s := NewSum(bounds)
	if s.Add(&a); s.Count() != 0 {
		t.Errorf("before Publish others see %d values, want none", s.Count())
	}
	a.Publish()
	b.Publish()
	b.Publish() // again, with nothing new
	s.Add(&a)
	s.Add(&b)
	if want := []uint64{3, 3, 2}; !slices.Equal(s.Counts, want) {
		t.Errorf("counts %v, want %v", s.Counts, want)
	}
	if s.Count() != 8 || s.Total != 10+11+20+21+1000+15 {
		t.Errorf("%d values that come to %d, want 8 that come to 1077", s.Count(), s.Total)
	}
}

func TestTooManyBounds(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a histogram of 16 bounds was made")
		}
	}()
	NewHistogram(make([]int64, BoundsMax+1))
}

func TestBoundsAscend(t *testing.T) {
	for _, bounds := range [][]int64{Latencies, Syncs, Sizes} {
		if !slices.IsSorted(bounds) || len(slices.Compact(slices.Clone(bounds))) != len(bounds) {
			t.Errorf("%v does not ascend", bounds)
		}
		NewHistogram(bounds)
	}
}

// TestReadWhileCounted is for the race detector.
func TestReadWhileCounted(t *testing.T) {
	const rounds = 1000
	h := NewHistogram(Sizes)
	var c Counters
	var owner sync.WaitGroup
	owner.Go(func() {
		for range rounds {
			h.Observe(3)
			c.Count(1, 1)
			h.Publish()
			c.Publish()
		}
	})
	for before := uint64(0); before < rounds; {
		s := NewSum(Sizes)
		s.Add(&h)
		if n := s.Count(); n < before {
			t.Fatalf("it went back from %d to %d", before, n)
		} else {
			before = n
		}
	}
	owner.Wait()
	if c.Load(1) != rounds {
		t.Errorf("%d counted, want %d", c.Load(1), rounds)
	}
}

func TestNow(t *testing.T) {
	if a, b := Now(), Now(); a < 0 || b < a {
		t.Errorf("%d, then %d", a, b)
	}
}

func BenchmarkObserve(b *testing.B) {
	h := NewHistogram(Latencies)
	for i := range b.N {
		h.Observe(int64(i) & (1<<20 - 1))
	}
}

func BenchmarkObserveAndPublish(b *testing.B) {
	h := NewHistogram(Latencies)
	for i := range b.N {
		h.Observe(int64(i) & (1<<20 - 1))
		h.Publish()
	}
}

func BenchmarkCount(b *testing.B) {
	var c Counters
	for i := range b.N {
		c.Count(i&7, 1)
	}
}

func BenchmarkCountAndPublish(b *testing.B) {
	var c Counters
	for range b.N {
		c.Count(3, 1)
		c.Publish()
	}
}

func BenchmarkNow(b *testing.B) {
	for range b.N {
		Now()
	}
}

func TestQuantile(t *testing.T) {
	h := NewHistogram([]int64{10, 20, 40})
	before := NewSum(h.bounds)
	for range 50 {
		h.Observe(5)
	}
	h.Publish()
	before.Add(&h)
	if n := NewSum(h.bounds).Quantile(0.99); n != 0 {
		t.Errorf("of nothing: %d", n)
	}
	for range 90 {
		h.Observe(15)
	}
	for range 10 {
		h.Observe(30)
	}
	h.Publish()
	now := NewSum(h.bounds)
	now.Add(&h)
	since := now.Since(before)
	if since.Count() != 100 || since.Total != 90*15+10*30 {
		t.Errorf("since then: %+v", since)
	}
	for part, want := range map[float64]int64{0.45: 15, 0.9: 20, 0.95: 30, 1: 40} {
		if got := since.Quantile(part); got != want {
			t.Errorf("%v: %d, want %d", part, got, want)
		}
	}
	h.Observe(1000)
	h.Publish()
	most := NewSum(h.bounds)
	most.Add(&h)
	if got := most.Quantile(1); got != 40 {
		t.Errorf("above the last bound: %d", got)
	}
}
