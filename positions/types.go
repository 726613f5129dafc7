package positions

import "github.com/papertape/papertape/market"

// Limits of the ledger. They bound what one account can weigh.
const (
	// MaxOrderShares is the largest order; more is refused as BadQuantity.
	MaxOrderShares = 1_000_000_000
	// MaxRows is how many instruments an account can hold at once.
	MaxRows = 512
	// MaxOrderIDBytes is the longest client order id.
	MaxOrderIDBytes = 64
)

// Side says which way a trade goes. Its values are those of the wire.
type Side uint8

// The two sides.
const (
	Buy  Side = 1
	Sell Side = 2
)

// Change says what an event did to a row. Its values are those of the wire.
type Change uint8

// The four movements, and the one that leaves the quantity alone.
const (
	Opened    Change = 1 // a new row
	Increased Change = 2
	Decreased Change = 3
	Closed    Change = 4 // the row is gone
	Unchanged Change = 5 // a bust or correction that leaves the quantity as it was
)

// Origin says who made a trade. Its values are those of the wire.
type Origin uint8

// Who makes trades.
const (
	OriginClient    Origin = 1
	OriginSimulator Origin = 2
	OriginOperator  Origin = 3
)

// OrderID is a client order id by value, so that an order holds no reference to the bytes it came from.
// The zero OrderID means none. It is comparable.
type OrderID struct {
	n uint8
	b [MaxOrderIDBytes]byte
}

// Order is a request to trade. Quantities are shares; Limit is in 1/10000 of the currency, 0 for a market order.
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
	Limit      int64  // of the order that it executed; 0: a market order. Not on the wire
	Revision   uint32 // 0 as executed; +1 with each correction
	Instrument market.ID
	Side       Side
	Origin     Origin
	OrderID    OrderID
}

// Row is what an account keeps of one instrument. Cost and Realised are in 1/10000 of the currency.
type Row struct {
	Quantity   int64
	Cost       int64  // of the shares held, moving average
	Realised   int64  // since the quantity last left 0
	Version    uint64 // seq of the event that last changed the row
	Instrument market.ID
}

// Position is a row at a price: what events and holdings carry.
type Position struct {
	Row
	Sellable int64
	Price    int64
}

// Cash is an account's money, in 1/10000 of the currency. FeesPaid and Realised count since the account was opened.
type Cash struct {
	Balance  int64
	FeesPaid int64
	Realised int64
}

// Adjustment is a booking of cash by an operator.
type Adjustment struct {
	Cash   int64
	Reason string
	Actor  string
}

// Bust is the taking back, or the correction, of a trade that was already shown.
type Bust struct {
	TradeSeq    uint64 // the trade's name is account-TradeSeq
	Reason      string
	Actor       string
	ID          string     // the operator's idempotence key
	Original    Trade      // as it stood until then; of a trade corrected before, its last revision
	Replacement *Trade     // set for a correction
	Cascade     []uint64   // sequences of the trades taken back with it, ascending
	Positions   []Position // of every instrument of which a trade was touched, the row after it, by market and code
}

// Kind says what an event is.
type Kind uint8

// The kinds of event.
const (
	KindTrade      Kind = 1
	KindBust       Kind = 2
	KindAdjustment Kind = 3
)

// Event is one change of one account, with the absolute state of what it touched after it. It is a value: what its
// pointers lead to is never written again.
type Event struct {
	Account          uint64
	Seq              uint64
	Time             int64 // nanoseconds since the Unix epoch, UTC
	Cash             Cash
	TotalMarketValue int64
	Trade            Trade       // KindTrade
	Position         Position    // KindTrade: the row it touched, after it (Quantity 0: the row is gone)
	Bust             *Bust       // KindBust
	Adjustment       *Adjustment // KindAdjustment
	Kind             Kind
	Change           Change // 0 for an adjustment, which touches no row
}

// Holdings is an account as of one sequence. Positions are by market and code.
type Holdings struct {
	Account          uint64
	Seq              uint64
	Positions        []Position
	TotalMarketValue int64
	Cash             Cash
	Hash             uint64 // protocol.md, The state hash
}
