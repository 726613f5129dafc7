// Package positions is who holds what: accounts, orders, trades, and the arithmetic that joins them. It is a pure state
// machine. It has no goroutine, clock or I/O, and nothing in it depends on the order of a map: prices and time come in
// as arguments, and the same orders at the same prices give the same events and the same state, always.
//
// A Book has one owner. The owner asks what an order would do, makes the answer durable if it likes, and applies it:
//
//	book := positions.NewBook(universe)
//	var ev positions.Event
//	if refusal := book.Decide(&order, prices, now, &ev); refusal.Reason != positions.NoRefusal {
//		return refusal.Sentence(&order, universe)
//	}
//	book.Apply(&ev) // live, in recovery and in tests: it only sets what the event says
//
// An account is opened by an adjustment of cash (DecideAdjustment), which is its first event. A trade is taken back or
// corrected by DecideBust, which takes a Fold of the account's history.
//
// Money and prices are integers in 1/10000 of the currency, quantities are whole shares. A position is kept by moving
// average: a buy adds its amount to the cost; a sale of q out of Q shares takes cost*q/Q out of it, half to even, and
// realises the amount less what it took. Whatever would not fit 64 bits is refused as BadQuantity.
package positions

import (
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/papertape/papertape/market"
)

// Book is the accounts of one shard. It has a single owner; View and Holdings included, nothing in it is for two
// goroutines at once.
//
// What it weighs, on a 64-bit machine: an account 64 bytes, a row 40. An account keeps room for at most two fifths more
// rows than it ever held (a quarter, and what the allocator's size class adds). With its place in the index an account
// of 10 rows comes to about 550 bytes.
type Book struct {
	universe *market.Universe
	chunks   []*[chunkAccounts]account // accounts in the order they were opened; a chunk never moves
	opened   int                       // accounts in chunks
	index    map[uint64]uint32         // account number to its place in chunks; no pointers, so the collector skips it
	last     *account                  // the account found last: Apply follows Decide
}

// chunkAccounts is small enough that a shard with a few accounts weighs little, and large enough that a chunk is not an
// allocation per account.
const chunkAccounts = 64

// account is kept compact: see the test that holds its size.
type account struct {
	number uint64
	seq    uint64
	cash   Cash
	rows   []Row // by instrument, none with quantity 0
}

// NewBook is a book without accounts. The universe is that of every order and event to come.
func NewBook(u *market.Universe) *Book {
	return &Book{universe: u, index: make(map[uint64]uint32)}
}

// find is the account, or nil.
func (b *Book) find(number uint64) *account {
	if b.last != nil && b.last.number == number {
		return b.last
	}
	place, ok := b.index[number]
	if !ok {
		return nil
	}
	b.last = &b.chunks[place/chunkAccounts][place%chunkAccounts]
	return b.last
}

// open adds an account, which must not be there yet.
func (b *Book) open(number uint64) *account {
	if b.opened == len(b.chunks)*chunkAccounts {
		b.chunks = append(b.chunks, new([chunkAccounts]account))
	}
	acc := &b.chunks[b.opened/chunkAccounts][b.opened%chunkAccounts]
	acc.number = number
	b.index[number] = uint32(b.opened)
	b.opened++
	b.last = acc
	return acc
}

// Apply sets what ev says: rows, cash and sequence of its account, which an event with sequence 1 opens. It cannot
// fail. It panics where ev is not the account's next event or is of no known kind, which is an error of the program;
// the book is then as it was. The book keeps nothing of ev.
func (b *Book) Apply(ev *Event) {
	acc := b.find(ev.Account)
	var seq uint64
	if acc != nil {
		seq = acc.seq
	}
	if ev.Seq != seq+1 {
		panic(fmt.Sprintf("positions: event %d of account %d applied after event %d", ev.Seq, ev.Account, seq))
	}
	if ev.Kind < KindTrade || ev.Kind > KindAdjustment {
		panic(fmt.Sprintf("positions: event %d of account %d is of unknown kind %d", ev.Seq, ev.Account, ev.Kind))
	}
	if acc == nil {
		acc = b.open(ev.Account)
	}
	switch ev.Kind {
	case KindTrade:
		acc.set(&ev.Position.Row)
	case KindBust:
		for i := range ev.Bust.Positions {
			acc.set(&ev.Bust.Positions[i].Row)
		}
	}
	acc.cash = ev.Cash
	acc.seq = ev.Seq
}

// set puts row in the place of what the account has of its instrument; with quantity 0, nothing.
func (a *account) set(row *Row) {
	i, held := a.search(row.Instrument)
	switch {
	case held && row.Quantity == 0:
		a.rows = slices.Delete(a.rows, i, i+1)
	case held:
		a.rows[i] = *row
	case row.Quantity != 0:
		a.insert(i, row)
	}
}

// insert makes room by a quarter at a time, not by doubling as append would: most accounts hold few rows, there are
// many accounts, and rows come rarely compared to trades.
func (a *account) insert(i int, row *Row) {
	if len(a.rows) == cap(a.rows) {
		rows := append([]Row(nil), make([]Row, len(a.rows)+1+len(a.rows)/4)...) // append rounds up to a size class
		a.rows = rows[:copy(rows, a.rows)]
	}
	a.rows = a.rows[:len(a.rows)+1]
	copy(a.rows[i+1:], a.rows[i:])
	a.rows[i] = *row
}

// search is where the row of an instrument is, or would be.
func (a *account) search(id market.ID) (int, bool) {
	low, high := 0, len(a.rows)
	for low < high {
		middle := int(uint(low+high) >> 1)
		if a.rows[middle].Instrument < id {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low, low < len(a.rows) && a.rows[low].Instrument == id
}

// valuation adds up market values. The zero one is 0.
type valuation struct {
	sum  uint64
	over uint64 // not 0: the sum went past 64 bits
}

func (v *valuation) add(quantity, price int64) {
	high, low := bits.Mul64(uint64(quantity), uint64(price))
	sum, carry := bits.Add64(v.sum, low, 0)
	v.sum = sum
	v.over |= high | carry
}

func (v *valuation) addRows(rows []Row, prices *market.Prices) {
	for i := range rows {
		v.add(rows[i].Quantity, prices.At(rows[i].Instrument))
	}
}

// total is the sum; where that does not fit, ok is false and total the largest that does.
func (v *valuation) total() (total int64, ok bool) {
	if v.over != 0 || v.sum > math.MaxInt64 {
		return math.MaxInt64, false
	}
	return int64(v.sum), true
}

// Seq is the sequence of an account's newest event.
func (b *Book) Seq(account uint64) (uint64, bool) {
	acc := b.find(account)
	if acc == nil {
		return 0, false
	}
	return acc.seq, true
}

// Len is how many accounts there are.
func (b *Book) Len() int { return b.opened }

// Accounts are the numbers of all accounts, ascending.
func (b *Book) Accounts() []uint64 {
	numbers := make([]uint64, b.opened)
	for i := range numbers {
		numbers[i] = b.chunks[i/chunkAccounts][i%chunkAccounts].number
	}
	slices.Sort(numbers)
	return numbers
}

// Holdings values an account at prices. Its rows, by market and code, are appended to rows, which may be nil;
// Holdings.Positions is the appended part of all. A total that does not fit is given as the largest that does.
func (b *Book) Holdings(account uint64, prices *market.Prices, rows []Position) (h Holdings, all []Position, ok bool) {
	acc := b.find(account)
	if acc == nil {
		return Holdings{}, rows, false
	}
	all = slices.Grow(rows, len(acc.rows))
	for i := range acc.rows {
		all = append(all, position(&acc.rows[i], prices))
	}
	mine := all[len(rows):len(all):len(all)]
	return Holdings{
		Account: account, Seq: acc.seq, Positions: mine, TotalMarketValue: View{acc}.MarketValue(prices), Cash: acc.cash,
		Hash: StateHash(b.universe, account, acc.seq, acc.cash, mine),
	}, all, true
}

// position is a row at prices. All of it is sellable: these rules know no settlement.
func position(row *Row, prices *market.Prices) Position {
	return Position{Row: *row, Sellable: row.Quantity, Price: prices.At(row.Instrument)}
}

// View is a read-only look at an account. It is valid until the next Apply, on the goroutine that owns the book.
type View struct{ acc *account }

// View looks at an account; ok is false where it is not open.
func (b *Book) View(account uint64) (v View, ok bool) {
	acc := b.find(account)
	return View{acc}, acc != nil
}

// Account is the account's number.
func (v View) Account() uint64 { return v.acc.number }

// Seq is the sequence of its newest event.
func (v View) Seq() uint64 { return v.acc.seq }

// Cash is its money.
func (v View) Cash() Cash { return v.acc.cash }

// Len is how many rows it has.
func (v View) Len() int { return len(v.acc.rows) }

// Row is the i-th row, by market and code, 0 <= i < Len.
func (v View) Row(i int) Row { return v.acc.rows[i] }

// MarketValue is what all rows together are worth, or the largest amount where that does not fit.
func (v View) MarketValue(prices *market.Prices) int64 {
	var all valuation
	all.addRows(v.acc.rows, prices)
	total, _ := all.total()
	return total
}

// Find is the row of an instrument, if it is held.
func (v View) Find(id market.ID) (Row, bool) {
	i, held := v.acc.search(id)
	if !held {
		return Row{}, false
	}
	return v.acc.rows[i], true
}
