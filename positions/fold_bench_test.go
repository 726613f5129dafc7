package positions

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/papertape/papertape/market"
)

// trader makes a long history of one account: it buys and sells ten instruments in turn.
type trader struct {
	*desk
	n int
}

// next fills events with the trader's next events, and books them.
func (d *trader) next(events []Event) {
	for i := range events {
		if d.n == 0 {
			a := &Adjustment{Cash: million * 1000}
			if r := d.book.DecideAdjustment(alice, a, d.prices, 1, &events[i]); r.Reason != NoRefusal {
				d.Fatal(r.AdjustmentSentence(alice))
			}
		} else {
			o := Order{Account: alice, Instrument: market.ID(d.n / 7 % 10), Side: Buy, Quantity: int64(3 + d.n%5)}
			if v, _ := d.book.View(alice); d.n%7 >= 4 {
				row, _ := v.Find(o.Instrument)
				o.Side, o.Quantity = Sell, row.Quantity/2
			}
			if r := d.book.Decide(&o, d.prices, 1, &events[i]); r.Reason != NoRefusal {
				d.Fatal(r.Sentence(&o, d.u))
			}
		}
		d.book.Apply(&events[i])
		d.n++
	}
}

// longFold returns a fold of n events of an account, without keeping them.
func longFold(b *testing.B, n int, r *BustRequest, timed bool) (*trader, *Fold) {
	d := &trader{desk: newDesk(b)}
	f := NewFold(d.u, r)
	events := make([]Event, 10_000)
	for range n / len(events) {
		b.StopTimer()
		d.next(events)
		if timed {
			b.StartTimer()
		}
		for i := range events {
			if err := f.Add(&events[i]); err != nil {
				b.Fatal(err)
			}
		}
	}
	return d, f
}

var foldSizes = []int{10_000, 1_000_000}

// BenchmarkFoldAdd adds a whole history to a fold.
func BenchmarkFoldAdd(b *testing.B) {
	for _, n := range foldSizes {
		b.Run(fmt.Sprintf("events=%d", n), func(b *testing.B) {
			var weight uint64
			for b.Loop() {
				b.StopTimer()
				before := heap()
				d, f := longFold(b, n, validRequest(2), true)
				b.StopTimer()
				weight = heap() - before
				runtime.KeepAlive(f)
				runtime.KeepAlive(d)
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/event")
			b.ReportMetric(float64(weight)/float64(n), "bytes/event")
		})
	}
}

// BenchmarkDecideBust measures the book owner's part once the whole history is added:
// correcting the price of the newest or the oldest trade, or finding that too many trades
// depend on the latter to take it back.
func BenchmarkDecideBust(b *testing.B) {
	for _, n := range foldSizes {
		for _, what := range []string{"newest", "oldest", "cascade"} {
			b.Run(fmt.Sprintf("events=%d/%s", n, what), func(b *testing.B) {
				r := validRequest(2)
				if what == "newest" {
					r.TradeSeq = uint64(n)
				}
				if r.Correct = what != "cascade"; !r.Correct {
					r.Policy = PolicyCascade
				}
				d, f := longFold(b, n, r, false)
				// A fold does not read these two before it decides.
				r.Quantity, r.Price = f.target.trade.Quantity, f.target.trade.Price+1
				want := NoBustRefusal
				if !r.Correct {
					r.Quantity, r.Price, want = 0, 0, BustCascadeTooLong
				}
				var ev Event
				b.StartTimer()
				for b.Loop() {
					if o := d.book.DecideBust(f, d.prices, 1, &ev); o.Reason != want {
						b.Fatal(o.Reason, o.Sentence(r, d.u))
					}
				}
			})
		}
	}
}
