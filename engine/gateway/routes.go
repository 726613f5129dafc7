package gateway

import (
	"errors"
	"fmt"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/positions"
)

// route says what is done with a message type. Adding a message is adding a row and a handler.
type route struct {
	before func(*loop, *Session, codec.Frame) // until the login has succeeded; nil: NOT_LOGGED_IN, and the end
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
}

// handle routes one frame.
func (l *loop) handle(s *Session, f codec.Frame) {
	if refusal := l.requested(s, f); refusal != nil {
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
		l.reject(s, f.ID, papertapev1.RejectCode_REJECT_CODE_UNKNOWN_TYPE, fmt.Sprintf("there is no message type %d", uint16(f.Type)))
	case f.ID == 0:
		l.reject(s, 0, papertapev1.RejectCode_REJECT_CODE_MALFORMED, fmt.Sprintf("%v with id 0: a request needs an id that is not 0", f.Type))
	default:
		r.after(l, s, f)
	}
}

func login(l *loop, s *Session, f codec.Frame) {
	if s.phase.Load() == phaseLoggingIn {
		l.violation(s, f, &codec.Error{Code: papertapev1.RejectCode_REJECT_CODE_NOT_LOGGED_IN, Fatal: true,
			Text: "LOGIN while another LOGIN is being answered: wait for its answer"})
		return
	}
	in, err := codec.DecodeLogin(f.Payload)
	var bad *codec.Error
	if errors.As(err, &bad) && bad.Fatal {
		l.violation(s, f, err)
		return
	}
	s.logins++
	switch {
	case err != nil:
		l.refuseLogin(s, f.ID, bad.Code, bad.Text)
	case f.ID == 0:
		l.refuseLogin(s, 0, papertapev1.RejectCode_REJECT_CODE_MALFORMED, "LOGIN with id 0: a request needs an id that is not 0")
	case l.gw.draining.Load():
		l.refuseLogin(s, f.ID, papertapev1.RejectCode_REJECT_CODE_DRAINING, "the server is stopping")
	default:
		s.account.Store(in.Account)
		s.phase.Store(phaseLoggingIn)
		l.wheel.put(s, min(l.deadline(s), l.now+toMillis(l.gw.cfg.Heartbeat))) // the first ping may be due before the login was
		l.gw.engine.Login(&s.engine, engine.Login{
			ID: f.ID, Account: in.Account, Mode: engine.ResumeMode(in.Mode), LastSeq: in.LastSeq, Epoch: in.Epoch,
		})
	}
}

func loginAgain(l *loop, s *Session, f codec.Frame) {
	l.reject(s, f.ID, papertapev1.RejectCode_REJECT_CODE_ALREADY_LOGGED_IN,
		fmt.Sprintf("this connection is logged in to account %d; open another one for another login", s.Account()))
}

func serverOnly(l *loop, s *Session, f codec.Frame) {
	l.reject(s, f.ID, papertapev1.RejectCode_REJECT_CODE_MALFORMED, fmt.Sprintf("%v is sent by the server only", f.Type))
}

func ping(l *loop, s *Session, f codec.Frame) {
	if _, err := codec.DecodePing(f.Payload); err != nil {
		l.refuse(s, f, err)
		return
	}
	if f.ID == 0 {
		l.reject(s, 0, papertapev1.RejectCode_REJECT_CODE_MALFORMED, "PING with id 0: a request needs an id that is not 0")
		return
	}
	s.mu.Lock() // head has to be that of this place in the stream
	l.frame = codec.AppendPong(l.frame[:0], f.ID, s.head)
	l.send(s)
	s.mu.Unlock()
	l.gw.replied(s, l.frame)
}

func pong(l *loop, s *Session, f codec.Frame) {
	if _, err := codec.DecodePing(f.Payload); err != nil {
		l.refuse(s, f, err)
	}
}

func order(l *loop, s *Session, f codec.Frame) {
	r := l.add(s, f, engine.KindOrder)
	if r == nil {
		return
	}
	if err := codec.DecodeOrder(f.Payload, l.gw.cfg.Universe, &r.Order); err != nil {
		l.takeBack(s)
		l.refuse(s, f, err)
		return
	}
	r.Order.Origin = positions.OriginClient
}

func holdings(l *loop, s *Session, f codec.Frame) {
	if err := codec.DecodeHoldingsRequest(f.Payload); err != nil {
		l.refuse(s, f, err)
		return
	}
	l.add(s, f, engine.KindHoldings)
}

func history(l *loop, s *Session, f codec.Frame) {
	in, err := codec.DecodeHistoryRequest(f.Payload)
	if err != nil {
		l.refuse(s, f, err)
		return
	}
	if r := l.add(s, f, engine.KindHistory); r != nil {
		r.Before, r.Limit = in.BeforeSeq, int32(in.Limit)
	}
}

func instruments(l *loop, s *Session, f codec.Frame) {
	ids, err := codec.DecodeInstrumentsRequest(f.Payload, l.gw.cfg.Universe)
	if err != nil {
		l.refuse(s, f, err)
		return
	}
	l.frame = codec.AppendInstruments(l.frame[:0], f.ID, ids, l.gw.cfg.Prices(), l.gw.cfg.Universe)
	l.reply(s)
}

// subscribe switches quotes and presence on or off.
func subscribe(l *loop, s *Session, f codec.Frame) {
	in, err := codec.DecodeSubscribe(f.Payload)
	if err != nil {
		l.refuse(s, f, err)
		return
	}
	if !s.known { // it did not wait for the answer to its login: it is not to be told of itself
		if l.write(s); s.phase.Load() == phaseClosed {
			return
		}
	}
	l.frame = codec.AppendSubscribed(l.frame[:0], f.ID, in)
	l.reply(s)
	l.subscribe(s, in.Quotes)
	l.watch(s, in.Presence)
}

// --- answers of the loop itself. They are written when the read has been handled.

// send appends l.frame to the session's outbox. s.mu must be held.
func (l *loop) send(s *Session) {
	before := s.waiting()
	if !s.append(l.frame) {
		return
	}
	l.gw.outboxBytes.Add(int64(len(l.frame)))
	if l.gw.tooMuch(before, len(l.frame)) {
		l.gw.outboxBytes.Add(int64(s.finish(papertapev1.GoodbyeReason_GOODBYE_REASON_SLOW, slowText)))
	}
}

// reply sends l.frame, which answers a request.
func (l *loop) reply(s *Session) {
	l.gw.replied(s, l.frame)
	s.mu.Lock()
	l.send(s)
	s.mu.Unlock()
}

// slowText goes with the GOODBYE to a client whose outbox is full.
const slowText = "too much was waiting to be read: come back and resume, nothing is lost"

func (l *loop) reject(s *Session, id uint64, code papertapev1.RejectCode, text string) {
	l.frame = codec.AppendReject(l.frame[:0], id, code, text, 0)
	l.reply(s)
}

func (l *loop) busy(s *Session, id uint64, text string) {
	l.gw.stats.Busy.Add(1)
	l.frame = codec.AppendReject(l.frame[:0], id, papertapev1.RejectCode_REJECT_CODE_BUSY, text+": try again", busyRetryAfter)
	l.reply(s)
}

// refuse answers a frame that codec did not accept, and ends the session if it cannot go on.
func (l *loop) refuse(s *Session, f codec.Frame, err error) {
	var bad *codec.Error
	if errors.As(err, &bad) && !bad.Fatal {
		l.reject(s, f.ID, bad.Code, bad.Text)
		return
	}
	l.violation(s, f, err)
}

// violation is answers to what came before, REJECT, GOODBYE PROTOCOL, close.
func (l *loop) violation(s *Session, f codec.Frame, err error) {
	l.gw.stats.ProtocolErrors.Add(1)
	bad := &codec.Error{Code: papertapev1.RejectCode_REJECT_CODE_MALFORMED, Text: err.Error()}
	errors.As(err, &bad)
	farewell := codec.AppendReject(nil, f.ID, bad.Code, bad.Text, 0)
	l.gw.replied(s, farewell)
	l.beginClose(s, protocolViolated, codec.AppendGoodbye(farewell, protocolViolated, bad.Text, 0), l.answersBy())
}

const protocolViolated = papertapev1.GoodbyeReason_GOODBYE_REASON_PROTOCOL

func (l *loop) refuseLogin(s *Session, id uint64, code papertapev1.RejectCode, text string) {
	l.gw.stats.LoginsRefused.Add(1)
	l.reject(s, id, code, text)
	if s.logins >= loginsMax {
		l.beginClose(s, protocolViolated, codec.AppendGoodbye(nil, protocolViolated, loginsText, 0), l.now)
	}
}

// loginsMax is how many times a connection may try to log in.
const (
	loginsMax  = 3
	loginsText = "three logins were refused"
)
