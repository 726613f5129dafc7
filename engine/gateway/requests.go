package gateway

import (
	"errors"
	"fmt"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/positions"
)

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
		l.refuseLogin(s, 0, papertapev1.RejectCode_REJECT_CODE_MALFORMED,
			"LOGIN with id 0: a request needs an id that is not 0")
	case l.gw.draining.Load():
		l.refuseLogin(s, f.ID, papertapev1.RejectCode_REJECT_CODE_DRAINING, "the server is stopping")
	default:
		if refusal := l.authorize(s, &in); refusal != nil {
			l.refuseLogin(s, f.ID, refusal.Code, refusal.Text)
			return
		}
		s.account.Store(in.Account)
		s.phase.Store(phaseLoggingIn)
		// The first ping may be due before the login would have been.
		l.wheel.put(s, l.keyDeadline(s, min(l.deadline(s), l.now+toMillis(l.gw.cfg.Heartbeat))))
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
	l.reject(s, f.ID, papertapev1.RejectCode_REJECT_CODE_MALFORMED,
		fmt.Sprintf("%v is sent by the server only", f.Type))
}

func ping(l *loop, s *Session, f codec.Frame) {
	if _, err := codec.DecodePing(f.Payload); err != nil {
		l.refuse(s, f, err)
		return
	}
	if f.ID == 0 {
		l.reject(s, 0, papertapev1.RejectCode_REJECT_CODE_MALFORMED,
			"PING with id 0: a request needs an id that is not 0")
		return
	}
	s.mu.Lock() // head must be the one at this place in the stream
	l.frame = codec.AppendPong(l.frame[:0], f.ID, s.head)
	l.send(s)
	l.answered(s)
	s.mu.Unlock()
	l.gw.replied(s, l.frame)
}

func pong(l *loop, s *Session, f codec.Frame) {
	if _, err := codec.DecodePing(f.Payload); err != nil {
		l.refuse(s, f, err)
	}
}

func order(l *loop, s *Session, f codec.Frame) {
	if s.readOnly() {
		l.refuseReadOnly(s, f)
		return
	}
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
	in, err := codec.DecodeInstrumentsRequest(f.Payload, l.gw.cfg.Universe)
	if err != nil {
		l.refuse(s, f, err)
		return
	}
	l.frame = codec.AppendInstruments(l.frame[:0], f.ID, &in, l.gw.cfg.Prices(), l.gw.cfg.Universe)
	l.reply(s)
}

// subscribe switches quotes and presence on or off.
func subscribe(l *loop, s *Session, f codec.Frame) {
	in, err := codec.DecodeSubscribe(f.Payload, l.gw.cfg.Universe)
	if err != nil {
		l.refuse(s, f, err)
		return
	}
	if !s.greeted { // it did not wait for the answer to its login: its own coming is not presence news to it
		if l.write(s); s.phase.Load() == phaseClosed {
			return
		}
	}
	l.frame = codec.AppendSubscribed(l.frame[:0], f.ID, in)
	l.reply(s)
	l.subscribe(s, in)
	l.watch(s, in.Presence)
}
