package record

import (
	"fmt"

	"github.com/papertape/papertape/market"
)

// Listing is an instrument as a table remembers it.
type Listing struct{ Market, Code, Name, Currency string }

// Table numbers the instruments that records name. The table belongs to a ledger, and a number
// never changes its meaning. The instruments of a universe are found by market and code, so the
// universe may change around the table. A table never changes, and any goroutine may read it.
type Table struct {
	listings []Listing // by number
	numbers  []uint32  // by market.ID
	ids      []int32   // by number: a market.ID; -1: the universe does not have it
}

// NewTable returns a table that has only the instruments of u.
func NewTable(u *market.Universe) *Table { return ExtendTable(nil, u) }

// ExtendTable returns the table that begins with listings, by number, and goes on with those
// instruments of u that are not among them, in the order of u. It keeps listings.
func ExtendTable(listings []Listing, u *market.Universe) *Table {
	t := &Table{listings: listings[:len(listings):len(listings)], numbers: make([]uint32, u.Len())}
	type key struct{ market, code string }
	known := make(map[key]uint32, len(listings))
	for n, l := range listings {
		known[key{l.Market, l.Code}] = uint32(n)
	}
	for id := range u.Len() {
		in := u.At(market.ID(id))
		n, ok := known[key{in.Market, in.Code}]
		if !ok {
			n = uint32(len(t.listings))
			t.listings = append(t.listings, Listing{in.Market, in.Code, in.Name, in.Currency()})
		}
		t.numbers[id] = n
	}
	t.ids = make([]int32, len(t.listings))
	for n := range t.ids {
		t.ids[n] = -1
	}
	for id, n := range t.numbers {
		t.ids[n] = int32(id)
	}
	return t
}

// Listings returns all instruments of the table, by number. The slice must not be modified.
func (t *Table) Listings() []Listing { return t.listings }

// Number returns the number of an instrument of the universe.
func (t *Table) Number(id market.ID) uint64 { return uint64(t.numbers[id]) }

// ID returns the instrument with a number. The error is an [UnlistedError] if the universe does
// not have it, or ErrNumber if there is no such number.
func (t *Table) ID(number uint64) (market.ID, error) {
	if number >= uint64(len(t.ids)) {
		return 0, ErrNumber
	}
	id := t.ids[number]
	if id < 0 {
		l := &t.listings[number]
		return 0, UnlistedError{l.Market + "." + l.Code}
	}
	return market.ID(id), nil
}

// Universe returns u with those of listings that it lacks, as delisted instruments: with it, all that
// the ledger of listings has can be read. The error is a sentence if u is of another currency than
// the ledger, or too large.
func Universe(listings []Listing, u *market.Universe) (*market.Universe, error) {
	var gone []market.Instrument
	for _, l := range listings {
		if l.Currency != u.Currency() {
			return nil, fmt.Errorf("the ledger is in %s, as it has %s.%s, and the instruments are traded in %s: "+
				"use instruments in %[1]s, or another data directory", l.Currency, l.Market, l.Code, u.Currency())
		}
		if !u.Has(l.Market, l.Code) {
			gone = append(gone, l.delisted())
		}
	}
	return u.With(gone)
}

// Archive returns a universe for reading a ledger of these listings: u with those that it lacks, or
// they alone if they are of another currency.
func Archive(listings []Listing, u *market.Universe) (*market.Universe, error) {
	if len(listings) == 0 || listings[0].Currency == u.Currency() {
		return Universe(listings, u)
	}
	alone := make([]market.Instrument, len(listings))
	for n, l := range listings {
		alone[n] = l.delisted()
	}
	return market.Delisted(alone)
}

// delisted returns an instrument of which only the table knows. Its price means nothing.
func (l *Listing) delisted() market.Instrument {
	return market.Instrument{
		Market: l.Market, Code: l.Code, Name: l.Name, Lot: 1, Tick: 1, PreviousClose: market.MoneyUnit, Halted: true,
		Delisted: true,
	}
}

// UnlistedError says that an instrument of the ledger is not in the universe.
type UnlistedError struct{ Instrument string }

func (e UnlistedError) Error() string {
	return fmt.Sprintf("%q is not among the instruments: start with the instruments that were traded", e.Instrument)
}
