package client

import "time"

// Instrument is something that can be traded, and its price.
type Instrument struct {
	Market        string
	Code          string
	Name          string
	Price         Money
	PreviousClose Money
	Lot           uint32 // shares: an order is of a multiple of it
	Tick          Money  // limits are multiples of it
}

// Quote is the price of an instrument.
type Quote struct {
	Market string
	Code   string
	Price  Money
	Time   time.Time
}
