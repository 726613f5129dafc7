package client

import "time"

// The intervals of bars.
const (
	Minute uint32 = 60
	Day    uint32 = 86400
)

// BarsRequest asks for bars of an instrument. With a From they are the first Limit of that time or later, without it
// the last Limit.
type BarsRequest struct {
	Market   string
	Code     string
	Seconds  uint32    // Minute or Day
	From, To time.Time // From <= Bar.Time < To; zero: no bound
	Limit    int       // 0: 500; at most 1,000
}

// Bar is what was traded of an instrument in an interval. The bar under way is the last.
type Bar struct {
	Time                   time.Time // of its beginning
	Open, High, Low, Close Money
	Volume                 int64 // shares
	Amount                 Money // price times size of its trades
	Trades                 uint32
}

// TradesRequest asks for the trades of an instrument that the server keeps, by anybody. With a From they are the first
// Limit of that time or later, without it the last Limit.
type TradesRequest struct {
	Market string
	Code   string
	From   time.Time // zero: no bound
	Limit  int       // 0: 500; at most 1,000
}

// TapeTrade is a trade in the market, by anybody.
type TapeTrade struct {
	Time   time.Time
	Price  Money
	Size   int64  // shares; 0: not known
	Number uint64 // of the instrument's trades, from 1, since the server began to count
}

// Clock is the time of a market, and what comes next there.
type Clock struct {
	Time                time.Time // the server's, in which orders are executed
	Status              MarketStatus
	NextOpen, NextClose time.Time // zero: none is known
	Zone                string    // by IANA, such as Asia/Shanghai
	Tape                bool      // Time is that of a tape which is replayed
}

// CalendarDay is a trading day of a market.
type CalendarDay struct {
	Date     string // 2026-01-05
	Sessions []TradingSession
	Presumed bool // the exchange has not published that day yet
}

// TradingSession is a time in which a market is open.
type TradingSession struct{ Open, Close time.Time }
