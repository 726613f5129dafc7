package client

import "time"

// Event is one change of an account, and the state of what it touched after it. [Account.Next], [Account.Order] and
// [Account.History] return it; nobody is to change it, since Order and Next return the same one.
//
// One of Trade, Bust and Adjustment says what happened. Where none is set, the server is younger than this package and
// did something that it does not know; the state after it is right all the same.
type Event struct {
	Account uint64
	Seq     uint64
	Time    time.Time // of the server, when it decided; not for ordering, which Seq is for

	Trade      *Trade
	Bust       *Bust
	Adjustment *Adjustment

	Change           Change     // of the row that the event is about
	Positions        []Position // every row that it touched, after it; one with quantity 0 is gone
	Cash             *Cash      // after it; nil where the event does not say
	TotalMarketValue Money      // of all rows, after it

	Replay    bool // sent again from history
	Execution bool // the answer to an order of this connection
}

// Trade is an order's execution.
type Trade struct {
	ID            string // account-seq
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
	Revision      uint32 // 0 as executed; one more with each correction
}

// Bust takes a trade back, or corrects it.
type Bust struct {
	TradeID     string
	Reason      string
	Actor       string
	Original    Trade    // as it was before
	Replacement *Trade   // as it stands now, where it was corrected; nil: it is taken back
	BustID      string   // the operator's key: the same one does nothing twice
	Cascade     []string // ids of trades taken back with it, since they depended on it
}

// Adjustment is a movement of cash that comes of no trade.
type Adjustment struct {
	Cash   Money // what was added; negative: taken away
	Reason string
	Actor  string
}

// History is a page of an account's events.
type History struct {
	Events    []*Event // newest first
	OldestSeq uint64   // the oldest event that the server keeps; 0: none
}
