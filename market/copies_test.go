package market

import (
	"fmt"
	"runtime"
	"testing"
	"unsafe"
)

// largeUniverse returns a universe of n instruments.
func largeUniverse(t testing.TB, n int) *Universe {
	list := make([]Instrument, n)
	for i := range list {
		list[i] = listOf(fmt.Sprintf("%05d", i))[0]
	}
	return universeOf(t, list)
}

// TestCopies: to change a quote of the largest universe one page is copied, and the table of pages. What is
// not changed is shared, and what says nothing new copies nothing.
func TestCopies(t *testing.T) {
	f := NewFeed(largeUniverse(t, MaxInstruments), FeedConfig{})
	updates := []Update{{ID: 100, Says: SaysLast | SaysSize, Last: MoneyUnit, Size: 100}}
	apply := func() { f.Apply(updates[0].Time, updates, nil) }
	apply()
	const times = 200
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range times {
		updates[0].Time++
		apply()
	}
	runtime.ReadMemStats(&after)
	pages := (MaxInstruments + pageLen - 1) / pageLen
	most := (unsafe.Sizeof(page{}) + unsafe.Sizeof((*page)(nil))*uintptr(pages) + unsafe.Sizeof(Prices{})) * 5 / 4
	if each := (after.TotalAlloc - before.TotalAlloc) / times; each > uint64(most) {
		t.Errorf("%d bytes are allocated to change a quote, want at most %d", each, most)
	}
	if allocs := testing.AllocsPerRun(times, func() { updates[0].Time++; apply() }); allocs > 3 {
		t.Errorf("%v allocations to change a quote: want those of a page, a table and a snapshot", allocs)
	}
	updates[0].Time-- // late
	if allocs := testing.AllocsPerRun(times, apply); allocs > 0 {
		t.Errorf("%v allocations for an update that changes nothing", allocs)
	}
	p, q := f.Snapshot(), f.Apply(updates[0].Time+2, []Update{{ID: 100, Time: updates[0].Time + 2}}, nil)
	shared := 0
	for n := range p.pages {
		if p.pages[n] == q.pages[n] {
			shared++
		}
	}
	if shared != pages-1 {
		t.Errorf("%d of %d pages are shared after one change", shared, pages)
	}
	ids := make([]ID, 0, 1)
	if allocs := testing.AllocsPerRun(times, func() { ids = q.Changed(p, ids[:0]) }); allocs > 0 || len(ids) != 1 {
		t.Errorf("%v allocations to find what changed: %v", allocs, ids)
	}
}

// BenchmarkApply applies one update of each of so many instruments, as a feed does in a second.
func BenchmarkApply(b *testing.B) {
	for _, n := range []int{50, MaxInstruments} {
		b.Run(fmt.Sprintf("instruments=%d", n), func(b *testing.B) {
			f := NewFeed(largeUniverse(b, n), FeedConfig{})
			updates := make([]Update, n)
			for i := range updates {
				updates[i] = Update{ID: ID(i), Says: SaysBid | SaysAsk | SaysLast | SaysSize, Bid: 10 * MoneyUnit,
					Ask: 10*MoneyUnit + 100, Last: 10 * MoneyUnit, Size: 100}
			}
			now := int64(0)
			b.ReportAllocs()
			for b.Loop() {
				now++
				for i := range updates {
					updates[i].Time = now
				}
				f.Apply(now, updates, nil)
			}
		})
	}
}
