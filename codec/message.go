package codec

import (
	"fmt"
	"slices"
	"unicode/utf8"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
)

// Message is implemented by all generated messages.
type Message interface {
	SizeVT() int
	MarshalToSizedBufferVT(b []byte) (int, error)
}

// Append appends any generated message as one frame. Clients use it, and the server uses it
// for messages that have no function of their own here. The strings of m must be valid
// UTF-8.
func Append(dst []byte, t Type, flags Flags, id uint64, m Message) []byte {
	start := len(dst)
	size := m.SizeVT()
	dst = beginFrame(slices.Grow(dst, HeaderBytes+size), t, flags, id)
	dst = dst[:len(dst)+size]
	if n, err := m.MarshalToSizedBufferVT(dst[len(dst)-size:]); err != nil || n != size {
		panic(fmt.Sprintf("codec: a message of %d bytes was encoded to %d: %v", size, n, err)) // a bug in the generator
	}
	return endFrame(dst, start)
}

// Unmarshal decodes a payload into m, and discards what m held before. Clients and tests
// use it. An error is a fatal *Error, MALFORMED, which includes strings that are not valid
// UTF-8; m must not be used then. m does not reference the payload.
func Unmarshal(payload []byte, m interface {
	UnmarshalVT(b []byte) error
	Reset()
}) error {
	m.Reset()
	err := m.UnmarshalVT(payload)
	if err == nil && !validStrings(m) {
		err = fmt.Errorf("a string is not valid UTF-8")
	}
	if err != nil {
		return &Error{
			Code:  papertapev1.RejectCode_REJECT_CODE_MALFORMED,
			Text:  fmt.Sprintf("the payload does not parse as %T: %v", m, err),
			Fatal: true,
		}
	}
	return nil
}

// validStrings reports whether all strings of m are valid UTF-8, which the generated code
// does not check. Messages without strings are not listed. Nil is valid.
func validStrings(m any) bool {
	switch m := m.(type) {
	case *papertapev1.Welcome:
		return validTexts(m.GetServer())
	case *papertapev1.Login:
		return validTexts(m.GetClient(), m.GetKeyId())
	case *papertapev1.LoginReply:
		return validStrings(m.GetHoldings())
	case *papertapev1.Goodbye:
		return validTexts(m.GetText())
	case *papertapev1.Reject:
		return validTexts(m.GetText())
	case *papertapev1.Order:
		return validTexts(m.GetMarket(), m.GetCode(), m.GetClientOrderId())
	case *papertapev1.Position:
		return validTexts(m.GetMarket(), m.GetCode(), m.GetName())
	case *papertapev1.Holdings:
		return validMessages(m.GetPositions())
	case *papertapev1.Trade:
		return validTexts(m.GetId(), m.GetMarket(), m.GetCode(), m.GetName(), m.GetClientOrderId())
	case *papertapev1.Bust:
		return validTexts(m.GetTradeId(), m.GetReason(), m.GetActor(), m.GetBustId()) &&
			validTexts(m.GetCascade()...) &&
			validStrings(m.GetOriginal()) && validStrings(m.GetReplacement())
	case *papertapev1.Adjustment:
		return validTexts(m.GetReason(), m.GetActor())
	case *papertapev1.Reset:
		return validTexts(m.GetReason(), m.GetActor())
	case *papertapev1.AccountEvent:
		return validStrings(m.GetTrade()) && validStrings(m.GetBust()) && validStrings(m.GetAdjustment()) &&
			validStrings(m.GetReset_()) && validMessages(m.GetPositions())
	case *papertapev1.History:
		return validMessages(m.GetEvents())
	case *papertapev1.InstrumentsRequest:
		return validTexts(m.GetCodes()...) && validTexts(m.GetAfter())
	case *papertapev1.Instrument:
		return validTexts(m.GetMarket(), m.GetCode(), m.GetName(), m.GetCurrency(), m.GetMic())
	case *papertapev1.Instruments:
		return validMessages(m.GetInstruments())
	case *papertapev1.Quote:
		return validTexts(m.GetMarket(), m.GetCode())
	case *papertapev1.Quotes:
		return validMessages(m.GetQuotes())
	case *papertapev1.Subscribe:
		return validTexts(m.GetCodes()...)
	case *papertapev1.BarsRequest:
		return validTexts(m.GetMarket(), m.GetCode())
	case *papertapev1.TradesRequest:
		return validTexts(m.GetMarket(), m.GetCode())
	case *papertapev1.ClockRequest:
		return validTexts(m.GetMarket())
	case *papertapev1.Clock:
		return validTexts(m.GetZone())
	case *papertapev1.CalendarRequest:
		return validTexts(m.GetMarket(), m.GetFrom(), m.GetTo())
	case *papertapev1.CalendarDay:
		return validTexts(m.GetDate())
	case *papertapev1.Calendar:
		return validMessages(m.GetDays())
	}
	return true
}

func validTexts(texts ...string) bool {
	for _, text := range texts {
		if !utf8.ValidString(text) {
			return false
		}
	}
	return true
}

func validMessages[M any](messages []*M) bool {
	for _, m := range messages {
		if !validStrings(m) {
			return false
		}
	}
	return true
}
