package positions

import "github.com/papertape/papertape/market"

// Limits of the ledger. They bound the size of an account.
const (
	// MaxOrderShares is the size of the largest order; larger ones are refused as
	// BadQuantity.
	MaxOrderShares = 1_000_000_000
	// MaxRows is the maximum number of instruments that an account holds at once.
	MaxRows = 512
	// MaxOrderIDBytes is the maximum length of a client order id.
	MaxOrderIDBytes = 64
)

// Side is the direction of a trade. The values are those of the wire.
type Side uint8

// The two sides.
const (
	Buy  Side = 1
	Sell Side = 2
)

// Change says what an event did to a row. The values are those of the wire.
type Change uint8

// The changes.
const (
	Opened    Change = 1 // a new row
	Increased Change = 2
	Decreased Change = 3
	Closed    Change = 4 // the row was removed
	Unchanged Change = 5 // a bust or correction left the quantity the same
)

// Origin says who made a trade. The values are those of the wire.
type Origin uint8

// The origins.
const (
	OriginClient    Origin = 1
	OriginSimulator Origin = 2
	OriginOperator  Origin = 3
)

// OrderID is a client order id, stored by value, so that an order does not reference the
// bytes it came from. The zero OrderID means none. It is comparable.
type OrderID struct {
	n uint8
	b [MaxOrderIDBytes]byte
}

// Order is a request to trade. Quantities are shares; Limit is in 1/10000 of the currency,
// and 0 for a market order.
type Order struct {
	Account    uint64
	Quantity   int64
	Limit      int64
	Instrument market.ID
	Side       Side
	Origin     Origin
	ID         OrderID
}

// Trade is an executed order. Price, Amount and Fees are in 1/10000 of the currency.
type Trade struct {
	Quantity   int64
	Price      int64
	Amount     int64 // Quantity * Price
	Fees       int64
	Limit      int64  // the order's limit, 0 for a market order; not on the wire
	Revision   uint32 // 0 as executed; +1 with each correction
	Instrument market.ID
	Side       Side
	Origin     Origin
	OrderID    OrderID
}

// Row is the state of one instrument in an account. Cost and Realised are in 1/10000 of the
// currency.
type Row struct {
	Quantity   int64
	Cost       int64  // of the shares held, moving average
	Realised   int64  // since the quantity last left 0
	Version    uint64 // seq of the event that last changed the row
	Instrument market.ID
}

// Position is a row valued at a price, as events and holdings carry it.
type Position struct {
	Row
	Sellable int64
	Price    int64
}

// Cash is an account's money, in 1/10000 of the currency. FeesPaid and Realised count since
// the account was opened, or last reset.
type Cash struct {
	Balance  int64
	FeesPaid int64
	Realised int64
}

// Adjustment is a cash booking by an operator.
type Adjustment struct {
	Cash   int64
	Reason string
	Actor  string
	ID     string // the operator's idempotence key, or empty; not on the wire
}

// Reset begins an account anew: with cash, and without rows. What was traded before it can no
// longer be taken back. Fees paid and realised gain count from it.
type Reset struct {
	Cash   int64 // afterwards
	Reason string
	Actor  string
	ID     string      // the operator's idempotence key, or empty; not on the wire
	Gone   []market.ID // the instruments of the rows that went, ascending
}

// Bust takes back, or corrects, a trade that clients have already seen.
type Bust struct {
	TradeSeq    uint64 // the trade is named account-TradeSeq
	Reason      string
	Actor       string
	ID          string     // the operator's idempotence key
	Original    Trade      // before the bust; if it was corrected earlier, its last revision
	Replacement *Trade     // set for a correction
	Cascade     []uint64   // sequences of the dependent trades taken back, ascending
	Positions   []Position // the new row of each touched instrument, by market and code
}

// Kind says what an event is.
type Kind uint8

// The kinds of event.
const (
	KindTrade      Kind = 1
	KindBust       Kind = 2
	KindAdjustment Kind = 3
	KindReset      Kind = 4

	kindLast = KindReset
)

// Known reports whether k is a kind that this program knows.
func (k Kind) Known() bool { return k >= KindTrade && k <= kindLast }

// Event is one change of one account, with the absolute state of what it touched. It is a
// value: what its pointers lead to is never modified.
type Event struct {
	Account          uint64
	Seq              uint64
	Time             int64 // nanoseconds since the Unix epoch, UTC
	Cash             Cash
	TotalMarketValue int64
	Trade            Trade       // KindTrade
	Position         Position    // KindTrade: the row afterwards; Quantity 0: it was removed
	Bust             *Bust       // KindBust
	Adjustment       *Adjustment // KindAdjustment
	Reset            *Reset      // KindReset
	Kind             Kind
	Change           Change // 0 for an adjustment, which touches no row, and for a reset
}

// Holdings is the state of an account as of one sequence. Positions are ordered by market
// and code.
type Holdings struct {
	Account          uint64
	Seq              uint64
	Positions        []Position
	TotalMarketValue int64
	Cash             Cash
	Hash             uint64 // protocol.md, The state hash
}
