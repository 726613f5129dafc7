package client

// Position is a row of an account: what it holds of an instrument.
type Position struct {
	Market      string
	Code        string
	Name        string
	Quantity    int64 // shares
	Sellable    int64 // of them, today
	Price       Money // latest
	MarketValue Money // quantity times price
	Cost        Money // of all shares held, moving average
	Realised    Money // profit since the row was opened
	RowVersion  uint64
}

// Cash is an account's. What was paid and realised counts since the account was opened.
type Cash struct {
	Balance  Money
	FeesPaid Money
	Realised Money
}

// Holdings are an account as the server has it, as of a sequence.
type Holdings struct {
	Account          uint64
	AsOfSeq          uint64
	Positions        []Position // by market, then code
	TotalMarketValue Money
	Cash             *Cash // nil only from a server that does not keep to the protocol
	StateHash        uint64
}
