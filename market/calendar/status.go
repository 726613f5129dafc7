package calendar

// Status says whether a market trades. The numbers are those of the wire; 3, a halt, is of an instrument
// and not of a market.
type Status uint8

// The statuses of a market.
const (
	StatusOpen    Status = 1 // continuous trading
	StatusClosed  Status = 2 // nothing is matched
	StatusAuction Status = 4 // orders are collected for a call auction
)
