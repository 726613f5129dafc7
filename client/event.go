package client

import "time"

// Event is one change of an account, together with the state afterwards of what it touched.
// [Account.Next], [Account.Order] and [Account.History] return events. They must not be
// modified, since Order and Next return the same one.
//
// One of Trade, Bust, Adjustment and Reset says what happened. If none is set, the server is newer
// than this package and did something that the package does not know; the state afterwards is
// correct all the same.
type Event struct {
	Account uint64
	Seq     uint64
	Time    time.Time // the server's, when it decided; Seq gives the order, not Time

	Trade      *Trade
	Bust       *Bust
	Adjustment *Adjustment
	Reset      *Reset

	Change           Change     // of the row that the event concerns
	Positions        []Position // every row touched, as it is afterwards; one with quantity 0 was removed
	Cash             *Cash      // afterwards; nil if the event does not say
	TotalMarketValue Money      // of all rows, afterwards

	Replay    bool // sent again from history
	Execution bool // it answers an order of this connection
}

// Trade is the execution of an order.
type Trade struct {
	ID            string // in the form account-seq
	Side          Side
	Market        string
	Code          string
	Name          string
	Quantity      int64 // shares
	Price         Money
	Amount        Money // quantity times price
	Fees          Money
	Origin        Origin
	ClientOrderID string
	Revision      uint32 // 0 as executed, then one more with each correction
}

// Bust cancels a trade or corrects it.
type Bust struct {
	TradeID     string
	Reason      string
	Actor       string
	Original    Trade    // before the bust
	Replacement *Trade   // the corrected trade; nil if the trade was cancelled
	BustID      string   // the operator's idempotency key
	Cascade     []string // ids of trades cancelled with it because they depended on it
}

// Adjustment is a movement of cash that no trade caused.
type Adjustment struct {
	Cash   Money // the amount added; negative if it was taken away
	Reason string
	Actor  string
}

// Reset began the account anew: with its cash, and without the rows that it held, which are in
// Event.Positions with quantity 0. Fees paid and realised gain count from it, and no trade before it
// is taken back any more.
type Reset struct {
	Cash   Money // afterwards
	Reason string
	Actor  string
}

// History is a page of an account's events.
type History struct {
	Events    []*Event // newest first
	OldestSeq uint64   // of the oldest event that the server keeps; 0 if there is none
}
