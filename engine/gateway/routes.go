package gateway

import (
	"fmt"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
)

// route says how a message type is handled. To the gateway a new message is a row and a handler.
type route struct {
	before func(*loop, *Session, codec.Frame) // before the login has succeeded; nil: NOT_LOGGED_IN, and the end
	after  func(*loop, *Session, codec.Frame) // logged in; nil: UNKNOWN_TYPE
}

// routes are the messages of the protocol, by type.
var routes = [...]route{
	codec.TypeWelcome:          {after: serverOnly},
	codec.TypeLogin:            {before: login, after: loginAgain},
	codec.TypeLoginReply:       {after: serverOnly},
	codec.TypePing:             {before: ping, after: ping},
	codec.TypePong:             {before: pong, after: pong},
	codec.TypeGoodbye:          {after: serverOnly},
	codec.TypeReject:           {after: serverOnly},
	codec.TypeOrder:            {after: order},
	codec.TypeExecution:        {after: serverOnly},
	codec.TypeHoldings:         {after: holdings},
	codec.TypeHoldingsReply:    {after: serverOnly},
	codec.TypeHistory:          {after: history},
	codec.TypeHistoryReply:     {after: serverOnly},
	codec.TypeInstruments:      {after: instruments},
	codec.TypeInstrumentsReply: {after: serverOnly},
	codec.TypeSubscribe:        {after: subscribe},
	codec.TypeSubscribed:       {after: serverOnly},
	codec.TypeEvent:            {after: serverOnly},
	codec.TypeQuotes:           {after: serverOnly},
	codec.TypePresence:         {after: serverOnly},
	codec.TypeBars:             {after: bars},
	codec.TypeBarsReply:        {after: serverOnly},
	codec.TypeTrades:           {after: trades},
	codec.TypeTradesReply:      {after: serverOnly},
	codec.TypeClock:            {after: clock},
	codec.TypeClockReply:       {after: serverOnly},
	codec.TypeCalendar:         {after: calendar},
	codec.TypeCalendarReply:    {after: serverOnly},
}

// handle routes one frame.
func (l *loop) handle(s *Session, f codec.Frame) {
	if refusal := l.wrapRequest(s, f); refusal != nil {
		l.refuse(s, f, refusal)
		return
	}
	var r route
	if int(f.Type) < len(routes) {
		r = routes[f.Type]
	}
	if s.phase.Load() != phaseIn {
		if r.before == nil {
			l.violation(s, f, &codec.Error{Code: papertapev1.RejectCode_REJECT_CODE_NOT_LOGGED_IN, Fatal: true,
				Text: fmt.Sprintf("%v before login: send LOGIN first and wait for its answer", f.Type)})
			return
		}
		r.before(l, s, f)
		return
	}
	if f.ID != 0 && f.Type >= codec.TypeEmbedder && l.embed(s, f) {
		return
	}
	switch {
	case r.after == nil:
		l.reject(s, f.ID, papertapev1.RejectCode_REJECT_CODE_UNKNOWN_TYPE,
			fmt.Sprintf("there is no message type %d", uint16(f.Type)))
	case f.ID == 0:
		l.reject(s, 0, papertapev1.RejectCode_REJECT_CODE_MALFORMED,
			fmt.Sprintf("%v with id 0: a request needs an id that is not 0", f.Type))
	default:
		r.after(l, s, f)
	}
}
