package client

// Position is a row of an account: its holding of one instrument.
type Position struct {
	Market      string
	Code        string
	Name        string
	Quantity    int64 // shares
	Sellable    int64 // shares that may be sold today
	Price       Money // latest
	MarketValue Money // quantity times price
	Cost        Money // of all shares held, by moving average
	Realised    Money // profit realised since the row was opened
	RowVersion  uint64
}

// Cash is the cash of an account. FeesPaid and Realised are totals since the account was
// opened.
type Cash struct {
	Balance  Money
	FeesPaid Money
	Realised Money
}

// Holdings are the server's view of an account as of a sequence.
type Holdings struct {
	Account          uint64
	AsOfSeq          uint64
	Positions        []Position // ordered by market, then code
	TotalMarketValue Money
	Cash             *Cash // nil only if the server violates the protocol
	StateHash        uint64
}
