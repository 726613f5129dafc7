package client

import (
	"fmt"
	"strings"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
)

// The enumerations use the numbers of the wire. A value that this package does not know yet
// keeps its number: it can be compared, and String shows it as RejectCode(57).
type (
	// Side is the side of an order or a trade.
	Side int32

	// ResumeMode says how a session begins.
	ResumeMode int32

	// Change says what an event did to its row.
	Change int32

	// Origin says who made a trade.
	Origin int32

	// RejectCode says why a server refused a request.
	RejectCode int32

	// GoodbyeReason says why a server ended a connection.
	GoodbyeReason int32

	// MarketStatus says whether an instrument is traded at the moment.
	MarketStatus int32
)

// The two sides.
const (
	Buy  = Side(papertapev1.Side_SIDE_BUY)
	Sell = Side(papertapev1.Side_SIDE_SELL)
)

// How a session begins: with which events or holdings.
const (
	ModeSnapshot = ResumeMode(papertapev1.ResumeMode_RESUME_MODE_SNAPSHOT) // the current holdings, then live
	ModeResume   = ResumeMode(papertapev1.ResumeMode_RESUME_MODE_RESUME)   // those after Options.LastSeq, then live
	ModeRestart  = ResumeMode(papertapev1.ResumeMode_RESUME_MODE_RESTART)  // all that the server keeps, then live
	ModeQuick    = ResumeMode(papertapev1.ResumeMode_RESUME_MODE_QUICK)    // live events only
)

// What an event did to its row.
const (
	NoChange  = Change(papertapev1.Change_CHANGE_UNSPECIFIED) // it touched no row
	Opened    = Change(papertapev1.Change_CHANGE_OPENED)
	Increased = Change(papertapev1.Change_CHANGE_INCREASED)
	Decreased = Change(papertapev1.Change_CHANGE_DECREASED)
	Closed    = Change(papertapev1.Change_CHANGE_CLOSED)
	Unchanged = Change(papertapev1.Change_CHANGE_UNCHANGED) // a bust or correction that leaves the quantity as it was
)

// Who made a trade.
const (
	OriginClient    = Origin(papertapev1.Origin_ORIGIN_CLIENT)
	OriginSimulator = Origin(papertapev1.Origin_ORIGIN_SIMULATOR)
	OriginOperator  = Origin(papertapev1.Origin_ORIGIN_OPERATOR)
)

// Why a server refused a request.
const (
	Malformed          = RejectCode(papertapev1.RejectCode_REJECT_CODE_MALFORMED)
	UnknownType        = RejectCode(papertapev1.RejectCode_REJECT_CODE_UNKNOWN_TYPE)
	TooLarge           = RejectCode(papertapev1.RejectCode_REJECT_CODE_TOO_LARGE)
	NotLoggedIn        = RejectCode(papertapev1.RejectCode_REJECT_CODE_NOT_LOGGED_IN)
	AlreadyLoggedIn    = RejectCode(papertapev1.RejectCode_REJECT_CODE_ALREADY_LOGGED_IN)
	Unauthorized       = RejectCode(papertapev1.RejectCode_REJECT_CODE_UNAUTHORIZED)
	UnknownAccount     = RejectCode(papertapev1.RejectCode_REJECT_CODE_UNKNOWN_ACCOUNT)
	UnknownInstrument  = RejectCode(papertapev1.RejectCode_REJECT_CODE_UNKNOWN_INSTRUMENT)
	BadQuantity        = RejectCode(papertapev1.RejectCode_REJECT_CODE_BAD_QUANTITY)
	BadPrice           = RejectCode(papertapev1.RejectCode_REJECT_CODE_BAD_PRICE)
	InsufficientShares = RejectCode(papertapev1.RejectCode_REJECT_CODE_INSUFFICIENT_SHARES)
	InsufficientCash   = RejectCode(papertapev1.RejectCode_REJECT_CODE_INSUFFICIENT_CASH)
	LimitNotMarketable = RejectCode(papertapev1.RejectCode_REJECT_CODE_LIMIT_NOT_MARKETABLE)
	DuplicateOrderID   = RejectCode(papertapev1.RejectCode_REJECT_CODE_DUPLICATE_ORDER_ID)
	NotSellableToday   = RejectCode(papertapev1.RejectCode_REJECT_CODE_NOT_SELLABLE_TODAY)
	MarketClosed       = RejectCode(papertapev1.RejectCode_REJECT_CODE_MARKET_CLOSED)
	AccountBlocked     = RejectCode(papertapev1.RejectCode_REJECT_CODE_ACCOUNT_BLOCKED)
	Busy               = RejectCode(papertapev1.RejectCode_REJECT_CODE_BUSY)
	RateLimited        = RejectCode(papertapev1.RejectCode_REJECT_CODE_RATE_LIMITED)
	Draining           = RejectCode(papertapev1.RejectCode_REJECT_CODE_DRAINING)
	ReadOnly           = RejectCode(papertapev1.RejectCode_REJECT_CODE_READ_ONLY)
	Internal           = RejectCode(papertapev1.RejectCode_REJECT_CODE_INTERNAL)
)

// Why a server ended a connection.
const (
	GoodbyeShutdown     = GoodbyeReason(papertapev1.GoodbyeReason_GOODBYE_REASON_SHUTDOWN)
	GoodbyeLoginTimeout = GoodbyeReason(papertapev1.GoodbyeReason_GOODBYE_REASON_LOGIN_TIMEOUT)
	GoodbyeIdle         = GoodbyeReason(papertapev1.GoodbyeReason_GOODBYE_REASON_IDLE)
	GoodbyeSlow         = GoodbyeReason(papertapev1.GoodbyeReason_GOODBYE_REASON_SLOW)
	GoodbyeKicked       = GoodbyeReason(papertapev1.GoodbyeReason_GOODBYE_REASON_KICKED)
	GoodbyeFull         = GoodbyeReason(papertapev1.GoodbyeReason_GOODBYE_REASON_FULL)
	GoodbyeProtocol     = GoodbyeReason(papertapev1.GoodbyeReason_GOODBYE_REASON_PROTOCOL)
)

// Whether an instrument is traded.
const (
	MarketOpen    = MarketStatus(papertapev1.MarketStatus_MARKET_STATUS_OPEN)
	MarketShut    = MarketStatus(papertapev1.MarketStatus_MARKET_STATUS_CLOSED) // outside trading hours
	MarketHalted  = MarketStatus(papertapev1.MarketStatus_MARKET_STATUS_HALTED)
	MarketAuction = MarketStatus(papertapev1.MarketStatus_MARKET_STATUS_AUCTION)
)

// String returns the name of the side: BUY or SELL.
func (s Side) String() string { return nameOf(s, papertapev1.Side_name, "SIDE_") }

// String returns the name of the mode, for example SNAPSHOT.
func (m ResumeMode) String() string { return nameOf(m, papertapev1.ResumeMode_name, "RESUME_MODE_") }

// String returns the name of the change, for example OPENED. For NoChange it is UNSPECIFIED.
func (c Change) String() string { return nameOf(c, papertapev1.Change_name, "CHANGE_") }

// String returns the name of the origin: CLIENT, SIMULATOR or OPERATOR.
func (o Origin) String() string { return nameOf(o, papertapev1.Origin_name, "ORIGIN_") }

// String returns the name of the code, for example INSUFFICIENT_CASH.
func (c RejectCode) String() string { return nameOf(c, papertapev1.RejectCode_name, "REJECT_CODE_") }

// String returns the name of the reason, for example SHUTDOWN.
func (g GoodbyeReason) String() string {
	return nameOf(g, papertapev1.GoodbyeReason_name, "GOODBYE_REASON_")
}

// String returns the name of the status: OPEN, CLOSED, HALTED or AUCTION.
func (s MarketStatus) String() string {
	return nameOf(s, papertapev1.MarketStatus_name, "MARKET_STATUS_")
}

// nameOf returns the protocol's name of a value, without the prefix that protobuf requires of
// all names of an enumeration.
func nameOf[E ~int32](value E, names map[int32]string, prefix string) string {
	if name, known := names[int32(value)]; known {
		return strings.TrimPrefix(name, prefix)
	}
	return fmt.Sprintf("%s(%d)", strings.TrimPrefix(fmt.Sprintf("%T", value), "client."), int32(value))
}
