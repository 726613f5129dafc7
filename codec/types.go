package codec

import "fmt"

// Type is the message type of a frame. docs/protocol.md says what each type carries and who
// sends it.
type Type uint16

// The message types. Those from TypeEmbedder on are for programs that embed the server.
const (
	TypeWelcome          Type = 1
	TypeLogin            Type = 2
	TypeLoginReply       Type = 3
	TypePing             Type = 4
	TypePong             Type = 5
	TypeGoodbye          Type = 6
	TypeReject           Type = 7
	TypeOrder            Type = 16
	TypeExecution        Type = 17
	TypeHoldings         Type = 18
	TypeHoldingsReply    Type = 19
	TypeHistory          Type = 20
	TypeHistoryReply     Type = 21
	TypeInstruments      Type = 22
	TypeInstrumentsReply Type = 23
	TypeSubscribe        Type = 24
	TypeSubscribed       Type = 25
	TypeEvent            Type = 32
	TypeQuotes           Type = 33
	TypePresence         Type = 34
	TypeBars             Type = 64
	TypeBarsReply        Type = 65
	TypeTrades           Type = 66
	TypeTradesReply      Type = 67
	TypeClock            Type = 68
	TypeClockReply       Type = 69
	TypeCalendar         Type = 70
	TypeCalendarReply    Type = 71
	TypeEmbedder         Type = 0x8000
)

// String returns the name used in docs/protocol.md, followed by "reply" if request and
// reply share a name. Other types are given as numbers.
func (t Type) String() string {
	switch t {
	case TypeWelcome:
		return "WELCOME"
	case TypeLogin:
		return "LOGIN"
	case TypeLoginReply:
		return "LOGIN reply"
	case TypePing:
		return "PING"
	case TypePong:
		return "PONG"
	case TypeGoodbye:
		return "GOODBYE"
	case TypeReject:
		return "REJECT"
	case TypeOrder:
		return "ORDER"
	case TypeExecution:
		return "EXECUTION"
	case TypeHoldings:
		return "HOLDINGS"
	case TypeHoldingsReply:
		return "HOLDINGS reply"
	case TypeHistory:
		return "HISTORY"
	case TypeHistoryReply:
		return "HISTORY reply"
	case TypeInstruments:
		return "INSTRUMENTS"
	case TypeInstrumentsReply:
		return "INSTRUMENTS reply"
	case TypeSubscribe:
		return "SUBSCRIBE"
	case TypeSubscribed:
		return "SUBSCRIBED"
	case TypeEvent:
		return "EVENT"
	case TypeQuotes:
		return "QUOTES"
	case TypePresence:
		return "PRESENCE"
	case TypeBars:
		return "BARS"
	case TypeBarsReply:
		return "BARS reply"
	case TypeTrades:
		return "TRADES"
	case TypeTradesReply:
		return "TRADES reply"
	case TypeClock:
		return "CLOCK"
	case TypeClockReply:
		return "CLOCK reply"
	case TypeCalendar:
		return "CALENDAR"
	case TypeCalendarReply:
		return "CALENDAR reply"
	}
	return fmt.Sprintf("type 0x%04x", uint16(t))
}
