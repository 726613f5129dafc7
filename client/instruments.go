package client

// Instrument is a tradable instrument and its price.
type Instrument struct {
	Market        string
	Code          string
	Name          string
	Price         Money
	PreviousClose Money
	Lot           uint32 // in shares; the quantity of an order is a multiple of it
	Tick          Money  // limit prices are multiples of it
}
