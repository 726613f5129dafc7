package positions

import (
	"runtime"
	"testing"

	"github.com/papertape/papertape/market"
)

// BenchmarkDecideApply10Rows places orders on accounts of ten rows: one account, or many in
// turn.
func BenchmarkDecideApply10Rows(b *testing.B) {
	b.Run("accounts=1", func(b *testing.B) {
		d := newDesk(b)
		decideApply(b, d, tenRows(d))
	})
	b.Run("accounts=10000", func(b *testing.B) {
		d := newDesk(b)
		d.book = crowd(d.u, 10_000)
		var orders []Order
		for _, side := range []Side{Buy, Sell} {
			for n := range 10_000 {
				o := Order{Account: uint64(100_001 + n*7919%10_000), Side: side, Quantity: 1,
					Instrument: market.ID(n % 10)}
				orders = append(orders, o)
			}
		}
		decideApply(b, d, orders)
	})
}

func decideApply(b *testing.B, d *desk, orders []Order) {
	var ev Event
	next := 0
	b.ReportAllocs()
	for b.Loop() {
		if r := d.book.Decide(&orders[next], d.prices, 1, &ev); r.Reason != NoRefusal {
			b.Fatal(r.Sentence(&orders[next], d.u))
		}
		d.book.Apply(&ev)
		if next++; next == len(orders) {
			next = 0
		}
	}
}

func BenchmarkHoldings10Rows(b *testing.B) {
	d := newDesk(b)
	tenRows(d)
	rows := make([]Position, 0, 16)
	b.ReportAllocs()
	for b.Loop() {
		d.book.Holdings(alice, d.prices, rows[:0])
	}
}

// BenchmarkStateHash hashes ten rows.
func BenchmarkStateHash(b *testing.B) {
	d := newDesk(b)
	tenRows(d)
	h := d.holdings(alice)
	b.ReportAllocs()
	for b.Loop() {
		StateHash(d.u, h.Account, h.Seq, h.Cash, h.Positions)
	}
}

// crowd returns a book of accounts from 100001 on, with ten rows each.
func crowd(u *market.Universe, accounts int) *Book {
	book := NewBook(u)
	ev := Event{Kind: KindTrade, Cash: Cash{Balance: million}}
	for n := range accounts {
		ev.Account = uint64(100_001 + n)
		for row := range 10 {
			ev.Seq = uint64(row + 1)
			ev.Position.Row = Row{Quantity: 100, Cost: 1000_0000, Version: ev.Seq, Instrument: market.ID(row)}
			book.Apply(&ev)
		}
	}
	return book
}

// BenchmarkMemory reports the memory per account of ten rows in a book of 100,000 accounts.
func BenchmarkMemory(b *testing.B) {
	const accounts = 100_000
	u := market.Default()
	var weight uint64
	for b.Loop() {
		before := heap()
		book := crowd(u, accounts)
		weight = heap() - before
		runtime.KeepAlive(book)
	}
	b.ReportMetric(float64(weight)/accounts, "bytes/account")
}

// heap returns the number of live bytes on the heap.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
