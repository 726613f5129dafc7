package venue

import (
	"errors"
	"fmt"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/positions"
)

// Request is a decoded frame, or the reason why it was not decoded.
type Request struct {
	Type        codec.Type // 0: a simulated fill
	ID          uint64
	Order       positions.Order
	Login       *codec.Login
	Instruments codec.InstrumentsRequest
	Refusal     *codec.Error // the answer to a frame that is not handled
	Draw        uint64       // random seed of a simulated fill
}

// Decode decodes a frame and keeps no reference to it. An error in the frame is reported
// when the request is handled, after the answers to earlier ones. Nothing more may be read
// after a fatal refusal.
func (v *Venue) Decode(s *Session, f codec.Frame) Request {
	r := Request{Type: f.Type, ID: f.ID}
	if s.account.Load() == nil && f.Type != codec.TypeLogin && f.Type != codec.TypePing && f.Type != codec.TypePong {
		r.Refusal = refusal(papertapev1.RejectCode_REJECT_CODE_NOT_LOGGED_IN,
			"%v before login: send LOGIN first and wait for its answer", f.Type)
		r.Refusal.Fatal = true
		return r
	}
	var err error
	switch f.Type {
	case codec.TypeOrder:
		err = codec.DecodeOrder(f.Payload, v.universe, &r.Order)
	case codec.TypeLogin:
		var in codec.Login
		in, err = codec.DecodeLogin(f.Payload)
		r.Login = &in
	case codec.TypePing, codec.TypePong:
		_, err = codec.DecodePing(f.Payload)
	case codec.TypeHoldings:
		err = codec.DecodeHoldingsRequest(f.Payload)
	case codec.TypeInstruments:
		r.Instruments, err = codec.DecodeInstrumentsRequest(f.Payload, v.universe)
	default:
		err = refusal(papertapev1.RejectCode_REJECT_CODE_UNKNOWN_TYPE, "%v is not served here", f.Type)
	}
	if err == nil && f.ID == 0 {
		err = refusal(papertapev1.RejectCode_REJECT_CODE_MALFORMED,
			"%v with id 0: a request needs an id that is not 0", f.Type)
	}
	if err != nil {
		r.Refusal = refusalOf(err)
	}
	return r
}

// Broken returns the request that represents bytes which are not a frame.
func Broken(err error) Request { return Request{Refusal: refusalOf(err)} }

func refusal(code papertapev1.RejectCode, format string, args ...any) *codec.Error {
	return &codec.Error{Code: code, Text: fmt.Sprintf(format, args...)}
}

func refusalOf(err error) *codec.Error {
	var bad *codec.Error
	if errors.As(err, &bad) {
		return bad
	}
	return refusal(papertapev1.RejectCode_REJECT_CODE_INTERNAL, "%v", err)
}
