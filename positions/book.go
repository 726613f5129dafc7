// Package positions holds the accounts, orders and trades, and the arithmetic that joins
// them. It is a pure state machine: it has no goroutines, no clock and no I/O, and nothing
// in it depends on the iteration order of a map. Prices and time come in as arguments, so
// the same orders at the same prices always give the same events and the same state.
//
// A Book has one owner. The owner asks what an order would do, makes the answer durable if
// it likes, and applies it:
//
//	book := positions.NewBook(universe)
//	var ev positions.Event
//	if refusal := book.Decide(&order, prices, now, &ev); refusal.Reason != positions.NoRefusal {
//		return refusal.Sentence(&order, universe)
//	}
//	book.Apply(&ev) // live, in recovery and in tests: it only sets what the event says
//
// An adjustment of cash (DecideAdjustment) opens an account and is its first event.
// DecideBust takes a trade back or corrects it; it needs a Fold of the account's history.
//
// Money and prices are integers in 1/10000 of the currency, quantities are whole shares.
// Positions are kept at moving average cost. A buy adds its amount to the cost. A sale of q
// out of Q shares removes cost*q/Q from the cost, rounded half to even, and realises its
// amount minus the cost removed. An order whose result would not fit 64 bits is refused as
// BadQuantity.
package positions

import (
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/papertape/papertape/market"
)

// Book holds the accounts of one shard. It has a single owner: no method, View and Holdings
// included, may be called from two goroutines at once.
//
// On a 64-bit machine an account takes 64 bytes and a row 40. An account has room for at
// most two fifths more rows than it ever held: a quarter, plus rounding up to the
// allocator's size class. With its place in the index, an account of 10 rows takes about
// 550 bytes.
type Book struct {
	universe *market.Universe
	chunks   []*[chunkAccounts]account // in the order they were opened; a chunk never moves
	opened   int                       // number of accounts in chunks
	index    map[uint64]uint32         // account number to place in chunks; without pointers, the collector skips it
	last     *account                  // the account found last: Apply usually follows Decide
}

// chunkAccounts is small enough that a shard with few accounts takes little memory, and
// large enough that allocations are rare.
const chunkAccounts = 64

// account is kept small; TestSizes checks its size.
type account struct {
	number uint64
	seq    uint64
	cash   Cash
	rows   []Row // sorted by instrument; none has quantity 0
}

// NewBook returns a book without accounts. All orders and events to come must be of
// universe u.
func NewBook(u *market.Universe) *Book {
	return &Book{universe: u, index: make(map[uint64]uint32)}
}

// find returns the account, or nil.
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

// open adds an account, which must not exist yet.
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

// Apply sets what ev says: the rows, cash and sequence of its account. An event with
// sequence 1 opens the account. Apply cannot fail. It panics if ev is not the account's
// next event or is of an unknown kind, both of which are bugs; the book is then unchanged.
// The book keeps no reference to ev.
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

// set replaces the account's row of an instrument. Quantity 0 removes the row.
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

// insert grows the rows by a quarter, not by doubling as append would: there are many
// accounts, most of them hold few rows, and new rows are rare compared to trades.
func (a *account) insert(i int, row *Row) {
	if len(a.rows) == cap(a.rows) {
		rows := append([]Row(nil), make([]Row, len(a.rows)+1+len(a.rows)/4)...) // append rounds up to a size class
		a.rows = rows[:copy(rows, a.rows)]
	}
	a.rows = a.rows[:len(a.rows)+1]
	copy(a.rows[i+1:], a.rows[i:])
	a.rows[i] = *row
}

// search returns the index at which the row of an instrument is, or would be inserted.
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

// valuation sums market values. Its zero value is an empty sum.
type valuation struct {
	sum  uint64
	over uint64 // not 0: the sum exceeds 64 bits
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

// total returns the sum. If it does not fit, ok is false and total is math.MaxInt64.
func (v *valuation) total() (total int64, ok bool) {
	if v.over != 0 || v.sum > math.MaxInt64 {
		return math.MaxInt64, false
	}
	return int64(v.sum), true
}

// Seq returns the sequence of an account's newest event.
func (b *Book) Seq(account uint64) (uint64, bool) {
	acc := b.find(account)
	if acc == nil {
		return 0, false
	}
	return acc.seq, true
}

// Len returns the number of accounts.
func (b *Book) Len() int { return b.opened }

// Accounts returns the numbers of all accounts, ascending.
func (b *Book) Accounts() []uint64 {
	numbers := make([]uint64, b.opened)
	for i := range numbers {
		numbers[i] = b.chunks[i/chunkAccounts][i%chunkAccounts].number
	}
	slices.Sort(numbers)
	return numbers
}

// At returns the account that was opened as the i-th; 0 <= i < Len. Accounts are never closed, so a
// walk by i can be left and gone on with.
func (b *Book) At(i int) View {
	return View{&b.chunks[i/chunkAccounts][i%chunkAccounts]}
}

// Holdings values an account at prices. It appends the account's rows, ordered by market
// and code, to rows, which may be nil. Holdings.Positions is the appended part of all. A
// total that does not fit is given as math.MaxInt64.
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
		Account: account, Seq: acc.seq, Positions: mine, TotalMarketValue: View{acc}.MarketValue(prices),
		Cash: acc.cash,
		Hash: StateHash(b.universe, account, acc.seq, acc.cash, mine),
	}, all, true
}

// position values a row. All shares are sellable, as there are no settlement rules.
func position(row *Row, prices *market.Prices) Position {
	return Position{Row: *row, Sellable: row.Quantity, Price: prices.At(row.Instrument)}
}

// View is a read-only view of an account. It is valid until the next Apply, and only on the
// goroutine that owns the book.
type View struct{ acc *account }

// View returns a view of an account; ok is false if the account is not open.
func (b *Book) View(account uint64) (v View, ok bool) {
	acc := b.find(account)
	return View{acc}, acc != nil
}

// Account returns the account's number.
func (v View) Account() uint64 { return v.acc.number }

// Seq returns the sequence of the account's newest event.
func (v View) Seq() uint64 { return v.acc.seq }

// Cash returns the account's cash.
func (v View) Cash() Cash { return v.acc.cash }

// Len returns the number of rows.
func (v View) Len() int { return len(v.acc.rows) }

// Row returns the i-th row, ordered by market and code; 0 <= i < Len.
func (v View) Row(i int) Row { return v.acc.rows[i] }

// MarketValue returns the value of all rows together, or math.MaxInt64 if that does not fit.
func (v View) MarketValue(prices *market.Prices) int64 {
	var all valuation
	all.addRows(v.acc.rows, prices)
	total, _ := all.total()
	return total
}

// Find returns the row of an instrument, if the account holds it.
func (v View) Find(id market.ID) (Row, bool) {
	i, held := v.acc.search(id)
	if !held {
		return Row{}, false
	}
	return v.acc.rows[i], true
}
