package gateway

import (
	"errors"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
)

// Answers that the loop gives itself go to the session's outbox. It is written when the read has been handled.

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
	l.answered(s)
	s.mu.Unlock()
}

// answered times the frame that was sent last: it answers a request of this read. s.mu must be held.
func (l *loop) answered(s *Session) {
	if s.out != nil {
		s.out.timed(0, l.readAt)
	}
}

// slowText goes with the GOODBYE to a client whose outbox is full.
const slowText = "too much was waiting to be read: come back and resume, nothing is lost"

func (l *loop) reject(s *Session, id uint64, code papertapev1.RejectCode, text string) {
	l.countReject(code)
	l.frame = codec.AppendReject(l.frame[:0], id, code, text, 0)
	l.reply(s)
}

// busy answers a request that was refused for overload.
func (l *loop) busy(s *Session, id uint64, text string) {
	l.gw.stats.Busy.Add(1)
	l.countReject(papertapev1.RejectCode_REJECT_CODE_BUSY)
	l.frame = codec.AppendReject(l.frame[:0], id, papertapev1.RejectCode_REJECT_CODE_BUSY,
		text+": try again", busyRetryAfter)
	l.reply(s)
}

// refuse answers a frame that codec did not accept. It ends the session if the error is fatal.
func (l *loop) refuse(s *Session, f codec.Frame, err error) {
	var bad *codec.Error
	if errors.As(err, &bad) && !bad.Fatal {
		l.reject(s, f.ID, bad.Code, bad.Text)
		return
	}
	l.violation(s, f, err)
}

// violation ends a session that broke the protocol. Earlier frames are answered first; then the server sends REJECT
// and GOODBYE PROTOCOL, and closes.
func (l *loop) violation(s *Session, f codec.Frame, err error) {
	l.gw.stats.ProtocolErrors.Add(1)
	bad := &codec.Error{Code: papertapev1.RejectCode_REJECT_CODE_MALFORMED, Text: err.Error()}
	errors.As(err, &bad)
	l.countReject(bad.Code)
	farewell := codec.AppendReject(nil, f.ID, bad.Code, bad.Text, 0)
	l.gw.replied(s, farewell)
	l.beginClose(s, protocolViolated, codec.AppendGoodbye(farewell, protocolViolated, bad.Text, 0), l.answersBy())
}

const protocolViolated = papertapev1.GoodbyeReason_GOODBYE_REASON_PROTOCOL

// refuseLogin answers a login that the loop refuses without passing it to the engine.
func (l *loop) refuseLogin(s *Session, id uint64, code papertapev1.RejectCode, text string) {
	l.gw.stats.LoginsRefused.Add(1)
	retry := time.Duration(0)
	if code == papertapev1.RejectCode_REJECT_CODE_BUSY {
		retry = failureEvery
	}
	l.countReject(code)
	l.frame = codec.AppendReject(l.frame[:0], id, code, text, retry)
	l.reply(s)
	if s.outOfLogins() {
		l.beginClose(s, protocolViolated, codec.AppendGoodbye(nil, protocolViolated, loginsText, 0), l.now)
	}
}

// busyRetryAfter is how long a client should wait before it repeats a request that was refused for overload.
const busyRetryAfter = 50 * time.Millisecond
