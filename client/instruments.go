package client

// Instrument is a tradable instrument and its price.
type Instrument struct {
	Market        string
	Code          string
	Name          string
	Price         Money
	PreviousClose Money
	Lot           uint32 // in shares; the quantity of an order is a multiple of it
	Tick          Money  // limit prices are multiples of it, as far as they are near PreviousClose
	Currency      string // ISO 4217
	Upper, Lower  Money  // the highest and the lowest price of the day; 0: there is no limit
	Status        MarketStatus
	MIC           string // of the exchange; empty: not known
}
