// Package market defines what is traded and at what price: instruments, the universe they
// form, and the price feed.
//
// An instrument is identified by market and code: 000001 is a bank in SZ and an index in
// SH, so a code alone is never a key. Inside the program an instrument is an ID, its index
// in a Universe. A Universe is sorted by market, then code, in byte order, so ascending IDs
// are in the order of lists and of the state hash.
//
// Prices are integers in 1/10000 of the currency. They are read as immutable snapshots. One
// goroutine owns the feed and makes the next snapshot:
//
//	universe := market.Default()
//	feed := market.Walk(universe, seed)
//	go feed.Run(ctx, time.Second, publish) // calls publish with each changed snapshot
//
//	id, err := universe.Parse("600519.SH")
//	price := feed.Snapshot().At(id) // any goroutine, no lock
//
// A Universe never changes after NewUniverse, and any goroutine may read it.
package market

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/papertape/papertape/usertext"
)

// Limits of a universe. They ensure that every list of instruments fits its frame.
const (
	// MaxInstruments is the maximum number of instruments in a universe. Those that are
	// delisted come on top, as long as an ID can number them all.
	MaxInstruments = 20_000
	// MaxNameBytes is the maximum length of an instrument's name, in bytes of UTF-8.
	MaxNameBytes = 48
	// MaxCodeBytes is the maximum length of a code.
	MaxCodeBytes = 16
	// MaxPrice is the highest price an instrument can have: 1,000,000,000.00.
	MaxPrice = 1_000_000_000 * MoneyUnit

	idsMax = 1 << 16
)

// ID is an instrument's index in its Universe.
type ID uint16

// Board is the board on which an instrument is listed. It determines the trading rules.
type Board uint8

// The boards. OtherBoard has no rules of its own here: an index, or a market abroad.
const (
	OtherBoard Board = iota
	MainBoard
	MainBoardST // the main board, under special treatment
	ChiNext
	STAR
	BSE
)

// Instrument is something that is traded.
type Instrument struct {
	Market        string // SH, SZ, BJ, HK or US
	Code          string // upper-case letters, digits, '.' and '-'; 1 to 16 bytes
	Name          string // 1 to 48 bytes of UTF-8, valid by usertext.CheckLine
	PreviousClose int64  // 1/10000 of the currency; also the opening price
	Lot           uint32 // shares
	Tick          int64  // the smallest price step, 1/10000 of the currency; with Ticks, that at PreviousClose
	LimitBps      int64  // maximum move of a day from PreviousClose, in 1/10000 of it; 0: no limit
	Board         Board
	Halted        bool // its price does not move
	AlwaysOpen    bool // it is traded whatever the hours of its market, so that clients can be tried at any time

	Ticks *Ticks // the smallest price step by price; nil: it is Tick everywhere
	MIC   string // of the exchange: one of its market's codes; empty: see ExchangeMIC
	// Delisted means that only the history of a ledger knows it: it is not listed, not found
	// and not traded, and its price means nothing.
	Delisted bool
}

// String returns the canonical spelling: SH.600519.
func (i *Instrument) String() string { return i.Market + "." + i.Code }

// Currency returns the currency of its market, by ISO 4217.
func (i *Instrument) Currency() string { return markets[marketIndex(i.Market)].currency }

// ExchangeMIC returns MIC or, if it is empty, the code of the market's exchange. It is empty
// for a market of several exchanges, such as US.
func (i *Instrument) ExchangeMIC() string {
	if m := &markets[marketIndex(i.Market)]; i.MIC == "" && !m.several {
		return m.mics[0]
	}
	return i.MIC
}

// TickAt returns the smallest price step at a price, in 1/10000 of the currency.
func (i *Instrument) TickAt(price int64) int64 {
	if i.Ticks == nil {
		return i.Tick
	}
	return i.Ticks.At(price)
}

// Limits returns the lowest and the highest price of the day, in 1/10000 of the currency:
// PreviousClose × (1 ± LimitBps), each rounded half up to the tick there. Without a limit
// they are one tick and MaxPrice.
func (i *Instrument) Limits() (low, high int64) { return i.LimitsFrom(i.PreviousClose) }

// LimitsFrom returns what Limits would be after another previous close.
func (i *Instrument) LimitsFrom(previousClose int64) (low, high int64) {
	if i.LimitBps == 0 {
		return i.TickAt(0), MaxPrice - MaxPrice%i.TickAt(MaxPrice)
	}
	low = i.moved(previousClose, wholeBps-i.LimitBps)
	return max(low, i.TickAt(0)), i.moved(previousClose, wholeBps+i.LimitBps)
}

// moved returns price × bps/10000, rounded half up to the tick there.
func (i *Instrument) moved(price, bps int64) int64 {
	tick := i.TickAt(price * bps / wholeBps)
	return halfUp(price*bps, wholeBps*tick) * tick
}

const wholeBps = 10_000

// halfUp returns n/d rounded half up, for n >= 0 and d > 0. With prices up to MaxPrice it
// cannot overflow.
func halfUp(n, d int64) int64 {
	quotient, rest := n/d, n%d
	if rest >= d-rest {
		quotient++
	}
	return quotient
}

// Universe is the set of all instruments. It is immutable.
type Universe struct {
	instruments []Instrument
	listed      []ID                        // those that are not delisted, ascending
	byMarket    [len(markets)]map[string]ID // code to ID, without those that are delisted
	opening     *Prices
}

// NewUniverse checks and sorts list: 1 to 20,000 instruments, known markets, no duplicates,
// names of at most 48 bytes, prices positive, on the tick and at most MaxPrice. It does not
// keep the list itself.
func NewUniverse(list []Instrument) (*Universe, error) {
	if len(list) == 0 || len(list) > MaxInstruments {
		return nil, fmt.Errorf("a universe of %d instruments: it must have 1 to %d", len(list), MaxInstruments)
	}
	return newUniverse(slices.Clone(list))
}

// newUniverse keeps list.
func newUniverse(list []Instrument) (*Universe, error) {
	u := &Universe{instruments: list}
	slices.SortStableFunc(u.instruments, func(a, b Instrument) int {
		return cmp.Or(cmp.Compare(a.Market, b.Market), cmp.Compare(a.Code, b.Code))
	})
	for n := range u.instruments {
		i := &u.instruments[n]
		if err := i.Check(); err != nil {
			return nil, fmt.Errorf("instrument %s: %w", i, err)
		}
		if n > 0 && u.instruments[n-1].Market == i.Market && u.instruments[n-1].Code == i.Code {
			return nil, fmt.Errorf("instrument %s: it is listed twice; a market and code must be unique", i)
		}
		if i.Delisted {
			continue
		}
		u.listed = append(u.listed, ID(n)) //nolint:gosec // idsMax bounds it
		m := marketIndex(i.Market)
		if u.byMarket[m] == nil {
			u.byMarket[m] = make(map[string]ID)
		}
		u.byMarket[m][i.Code] = ID(n)
	}
	u.opening = opening(u)
	return u, nil
}

// Check returns why no universe can have the instrument, as a sentence without its name.
func (i *Instrument) Check() error {
	if err := usertext.CheckLine(i.Name, MaxNameBytes); err != nil {
		return fmt.Errorf("the name %w", err)
	}
	m := marketIndex(i.Market)
	switch {
	case m < 0 || markets[m].name != i.Market:
		return fmt.Errorf("%q is not a market; it must be one of %s", i.Market, marketNames())
	case i.Code == "" || len(i.Code) > MaxCodeBytes || strings.Trim(i.Code, codeBytes) != "":
		return fmt.Errorf("the code must be 1 to %d upper-case letters, digits, '.' or '-'", MaxCodeBytes)
	case i.Lot == 0:
		return fmt.Errorf("the lot is 0 shares; it must be at least 1")
	case i.Tick <= 0 || i.Tick > MaxPrice:
		return fmt.Errorf("the tick is %s; it must be above 0", FormatMoney(i.Tick))
	case i.PreviousClose <= 0 || i.PreviousClose > MaxPrice || i.PreviousClose%i.Tick != 0:
		return fmt.Errorf("the previous close is %s; it must be above 0, at most %s and on the tick of %s",
			FormatMoney(i.PreviousClose), FormatMoney(MaxPrice), FormatMoney(i.Tick))
	case i.LimitBps < 0 || i.LimitBps > wholeBps:
		return fmt.Errorf("the day's limit is %d/10000; it must be 0 (none) to 10000", i.LimitBps)
	case i.MIC != "" && !slices.Contains(markets[m].mics, i.MIC):
		return fmt.Errorf("%q is not the MIC of an exchange of %s; it must be one of %s", i.MIC, i.Market,
			strings.Join(markets[m].mics, ", "))
	case i.Ticks != nil && i.Ticks.At(i.PreviousClose) != i.Tick:
		return fmt.Errorf("the tick is %s, and the table has %s at the previous close", FormatMoney(i.Tick),
			FormatMoney(i.Ticks.At(i.PreviousClose)))
	}
	return nil
}

const codeBytes = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-"

// Len returns the number of instruments. Their IDs are 0 to Len-1.
func (u *Universe) Len() int { return len(u.instruments) }

// Listed returns the number of instruments that are traded: all but those that are delisted.
func (u *Universe) Listed() int { return len(u.listed) }

// ListedIDs returns the IDs of the instruments that are traded, ascending. The slice must not be
// modified.
func (u *Universe) ListedIDs() []ID { return u.listed }

// ListedFrom returns up to most of ListedIDs, beginning with the first that is index or above.
func (u *Universe) ListedFrom(index, most int) []ID {
	n, _ := slices.BinarySearchFunc(u.listed, index, func(id ID, index int) int { return int(id) - index })
	return u.listed[n:min(len(u.listed), n+most)]
}

// After returns the index of the first instrument behind a market and code in the order of the
// universe, whether or not it has that one; Len if there is none.
func (u *Universe) After(market, code string) int {
	n, found := slices.BinarySearchFunc(u.instruments, &Instrument{Market: market, Code: code},
		func(i Instrument, of *Instrument) int {
			return cmp.Or(cmp.Compare(i.Market, of.Market), cmp.Compare(i.Code, of.Code))
		})
	if found {
		n++
	}
	return n
}

// Currency returns the currency of the first instrument. A server has one currency, and its
// universe is checked for that when it is read.
func (u *Universe) Currency() string { return u.instruments[0].Currency() }

// With returns the universe with more instruments, which may be delisted. A ledger needs
// those that its history names.
func (u *Universe) With(more []Instrument) (*Universe, error) {
	if len(more) == 0 {
		return u, nil
	}
	if all := len(u.instruments) + len(more); all > idsMax {
		return nil, fmt.Errorf("%d instruments, with those that the history of the ledger names: there can be %d; "+
			"use a smaller universe, or a new data directory", all, idsMax)
	}
	return newUniverse(append(slices.Clone(u.instruments), more...))
}

// Delisted returns a universe in which nothing is traded, to read the history of a ledger by.
func Delisted(list []Instrument) (*Universe, error) {
	if len(list) == 0 || len(list) > idsMax {
		return nil, fmt.Errorf("%d instruments: there can be 1 to %d", len(list), idsMax)
	}
	return newUniverse(slices.Clone(list))
}

// Has reports whether the universe has an instrument, delisted or not, by canonical market and code.
func (u *Universe) Has(market, code string) bool {
	n := u.After(market, code)
	return n > 0 && u.instruments[n-1].Market == market && u.instruments[n-1].Code == code
}

// At returns the instrument of an ID, which must not be modified. It panics if id is not in
// this universe.
func (u *Universe) At(id ID) *Instrument { return &u.instruments[id] }

// Lookup finds an instrument by market, canonical (SH) or MIC (XSHG), and code, both
// spelled exactly as in the universe. It does not allocate.
func (u *Universe) Lookup(market, code []byte) (ID, bool) {
	if len(market) > maxMarketBytes {
		return 0, false
	}
	m := marketIndex(string(market))
	if m < 0 {
		return 0, false
	}
	id, ok := u.byMarket[m][string(code)]
	return id, ok
}

// Opening returns the snapshot at the start of a day: each instrument is bought, sold and was last traded
// at its PreviousClose; version 0, time 0.
func (u *Universe) Opening() *Prices { return u.opening }

// markets lists the markets an instrument can be listed on, with their MIC codes.
var markets = [...]struct {
	name, currency string
	mics           []string
	several        bool // the codes are of several exchanges, and not of one
}{
	{"BJ", "CNY", []string{"XBSE", "BJSE"}, false},
	{"HK", "HKD", []string{"XHKG"}, false},
	{"SH", "CNY", []string{"XSHG"}, false},
	{"SZ", "CNY", []string{"XSHE"}, false},
	{"US", "USD", []string{"XNYS", "XNAS", "ARCX"}, true},
}

// Canonical returns the market of a canonical name or a MIC, and the MIC if it is one of several
// exchanges; ok is false if it is neither.
func Canonical(name string) (market, mic string, ok bool) {
	n := marketIndex(name)
	if n < 0 {
		return "", "", false
	}
	if m := &markets[n]; m.several && m.name != name {
		mic = name
	}
	return markets[n].name, mic, true
}

const maxMarketBytes = 4

// marketIndex returns the index in markets of a canonical name or MIC code, or -1. It is a
// switch, not a search, because every order calls it. A test compares it with markets.
func marketIndex(name string) int {
	switch name {
	case "BJ", "XBSE", "BJSE":
		return 0
	case "HK", "XHKG":
		return 1
	case "SH", "XSHG":
		return 2
	case "SZ", "XSHE":
		return 3
	case "US", "XNYS", "XNAS", "ARCX":
		return 4
	}
	return -1
}

func marketNames() string {
	var names []string
	for _, m := range markets {
		names = append(names, m.name)
	}
	return strings.Join(names, ", ")
}
