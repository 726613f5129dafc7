package client

import (
	"fmt"
	"strings"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
)

// AccountEvent and the other messages are those of the wire, as they are. Money is in 1/10000 of the account's currency,
// quantities are shares, times are nanoseconds since the Unix epoch.
//
//nolint:revive // the group is documented together
type (
	AccountEvent = papertapev1.AccountEvent
	Adjustment   = papertapev1.Adjustment
	Bust         = papertapev1.Bust
	Cash         = papertapev1.Cash
	History      = papertapev1.History
	Holdings     = papertapev1.Holdings
	Instrument   = papertapev1.Instrument
	LoginReply   = papertapev1.LoginReply
	Order        = papertapev1.Order
	Position     = papertapev1.Position
	Quote        = papertapev1.Quote
	Trade        = papertapev1.Trade
	Welcome      = papertapev1.Welcome

	// EventTrade is one of the things that an AccountEvent can be, with EventBust and EventAdjustment: values of its field What.
	EventTrade      = papertapev1.AccountEvent_Trade
	EventBust       = papertapev1.AccountEvent_Bust
	EventAdjustment = papertapev1.AccountEvent_Adjustment

	Change        = papertapev1.Change
	GoodbyeReason = papertapev1.GoodbyeReason
	Origin        = papertapev1.Origin
	RejectCode    = papertapev1.RejectCode
	ResumeMode    = papertapev1.ResumeMode
	Side          = papertapev1.Side
)

// The two sides.
const (
	Buy  = papertapev1.Side_SIDE_BUY
	Sell = papertapev1.Side_SIDE_SELL
)

// How a session begins.
const (
	ModeSnapshot = papertapev1.ResumeMode_RESUME_MODE_SNAPSHOT // the holdings now, then live events
	ModeResume   = papertapev1.ResumeMode_RESUME_MODE_RESUME   // the events after Options.LastSeq, then live ones
	ModeRestart  = papertapev1.ResumeMode_RESUME_MODE_RESTART  // every event kept, then live ones
	ModeQuick    = papertapev1.ResumeMode_RESUME_MODE_QUICK    // live events only
)

// What an event did to its row.
const (
	NoChange  = papertapev1.Change_CHANGE_UNSPECIFIED // it touched no row
	Opened    = papertapev1.Change_CHANGE_OPENED
	Increased = papertapev1.Change_CHANGE_INCREASED
	Decreased = papertapev1.Change_CHANGE_DECREASED
	Closed    = papertapev1.Change_CHANGE_CLOSED
	Unchanged = papertapev1.Change_CHANGE_UNCHANGED // a bust or correction that leaves the quantity as it was
)

// Who made a trade.
const (
	OriginClient    = papertapev1.Origin_ORIGIN_CLIENT
	OriginSimulator = papertapev1.Origin_ORIGIN_SIMULATOR
	OriginOperator  = papertapev1.Origin_ORIGIN_OPERATOR
)

// The refusals that a program is likely to act on; the others are in papertapev1.
const (
	UnknownAccount     = papertapev1.RejectCode_REJECT_CODE_UNKNOWN_ACCOUNT
	InsufficientShares = papertapev1.RejectCode_REJECT_CODE_INSUFFICIENT_SHARES
	InsufficientCash   = papertapev1.RejectCode_REJECT_CODE_INSUFFICIENT_CASH
	LimitNotMarketable = papertapev1.RejectCode_REJECT_CODE_LIMIT_NOT_MARKETABLE
	DuplicateOrderID   = papertapev1.RejectCode_REJECT_CODE_DUPLICATE_ORDER_ID
	MarketClosed       = papertapev1.RejectCode_REJECT_CODE_MARKET_CLOSED
	Busy               = papertapev1.RejectCode_REJECT_CODE_BUSY
	RateLimited        = papertapev1.RejectCode_REJECT_CODE_RATE_LIMITED
	Draining           = papertapev1.RejectCode_REJECT_CODE_DRAINING
	ReadOnly           = papertapev1.RejectCode_REJECT_CODE_READ_ONLY
	Internal           = papertapev1.RejectCode_REJECT_CODE_INTERNAL
)

// The prefixes that protobuf wants the values of these enums to share; they are not shown to people.
const (
	rejectCodePrefix    = "REJECT_CODE_"
	goodbyeReasonPrefix = "GOODBYE_REASON_"
)

// name is a value of a protobuf enum without the prefix that its values share.
func name(v fmt.Stringer, prefix string) string { return strings.TrimPrefix(v.String(), prefix) }
