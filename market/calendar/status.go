package calendar

import "github.com/papertape/papertape/market"

// Status says whether a market trades. A halt is of an instrument, and not of a market.
type Status = market.Status

// The statuses of a market.
const (
	StatusOpen    = market.StatusOpen
	StatusClosed  = market.StatusClosed
	StatusAuction = market.StatusAuction
)
