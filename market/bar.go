package market

// Bar is what was traded of an instrument in an interval. Prices are in 1/10000 of the currency.
type Bar struct {
	Time                   int64 // of its beginning, in nanoseconds since the Unix epoch
	Open, High, Low, Close int64
	Volume                 int64 // shares
	Amount                 int64 // price * size of its trades
	Trades                 uint32
}

// TapeTrade is a trade that a feed has told of.
type TapeTrade struct {
	Time   int64  // nanoseconds since the Unix epoch
	Price  int64  // 1/10000 of the currency
	Size   int64  // shares; 0: not told
	Number uint64 // of the instrument's trades, from 1, since the store began
}
