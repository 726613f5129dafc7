package gateway

import (
	"net"
	"time"

	"golang.org/x/sys/unix"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
)

// closing is what the loop keeps for a session that accepts no more requests: the server has ended it, the client has
// shut down its sending half, or a panic was contained. The requests accepted before are answered first.
type closing struct {
	reason   papertapev1.GoodbyeReason // 0: the client gets no GOODBYE
	farewell []byte                    // the last frames: GOODBYE, and before it perhaps the REJECT that says why
	until    millis                    // when the farewell goes out, whatever is unanswered; 0: never
	socket   *socket                   // the connection, if it is half-closed and gnet has let go of it
}

// unanswered says whether a request was accepted and is not answered yet. An answer counts as given only when it is in
// the outbox: a caller that gets false and then looks at the outbox finds it there.
func (s *Session) unanswered() bool {
	return s.phase.Load() == phaseLoggingIn || s.engine.InFlight() > 0
}

// inputOver says whether the session accepts no more requests. Later input is discarded.
func (s *Session) inputOver() bool { return s.closing != nil || s.phase.Load() >= phaseEnding }

// endedByServer says whether the server has ended the session.
func (s *Session) endedByServer() bool {
	return s.phase.Load() >= phaseEnding || s.closing != nil && s.closing.reason != 0
}

// socket returns the connection of a half-closed session, and nil for all others.
func (s *Session) socket() *socket {
	if s.closing == nil {
		return nil
	}
	return s.closing.socket
}

// beginClose begins to end a session. The session accepts no more requests; the accepted ones are answered; then the
// farewell is sent, at the time until at the latest. The caller must make sure that the session is written.
func (l *loop) beginClose(s *Session, reason papertapev1.GoodbyeReason, farewell []byte, until millis) {
	l.goroutine.Check()
	switch {
	case s.phase.Load() >= phaseEnding:
		return
	case s.endedByServer(): // the first reason stays, the earlier end counts
		s.closing.until = min(s.closing.until, until)
		l.schedule(s)
		return
	case s.closing == nil:
		s.closing = new(closing)
	}
	s.closing.reason, s.closing.farewell, s.closing.until = reason, farewell, until
	l.sayFarewell(s)
	l.lookAgain(s) // the last answer may be written before it counts as given, and then nobody rings for it again
	l.schedule(s)
}

// closeAfterAnswers ends a session with GOODBYE once its requests are answered.
func (l *loop) closeAfterAnswers(s *Session, reason papertapev1.GoodbyeReason, text string, until millis) {
	l.beginClose(s, reason, codec.AppendGoodbye(nil, reason, text, retryAfter(reason)), until)
	l.write(s)
}

// answersBy returns until when a session that ends now may wait for its answers.
func (l *loop) answersBy() millis { return l.now + toMillis(l.gw.cfg.StallTimeout) }

// sayFarewell appends the farewell if everything has been answered, or the time for that is over.
func (l *loop) sayFarewell(s *Session) {
	p := s.closing
	if p.reason == 0 || s.phase.Load() >= phaseEnding || s.unanswered() && l.now < p.until {
		return
	}
	s.mu.Lock()
	l.gw.outboxBytes.Add(int64(s.finishWith(p.reason, p.farewell)))
	s.mu.Unlock()
	p.farewell = nil
	l.leavePhase(s, phaseEnding)
}

// goodbye ends the session at once with GOODBYE, whatever is unanswered.
func (l *loop) goodbye(s *Session, reason papertapev1.GoodbyeReason, text string) {
	s.mu.Lock()
	l.gw.outboxBytes.Add(int64(s.finish(reason, text)))
	s.mu.Unlock()
	l.write(s)
}

// cut ends a session whose client does not read: with GOODBYE SLOW, as far as the socket accepts it, and a reset.
func (l *loop) cut(s *Session, why cause, text string) {
	s.decide(why)
	l.goodbye(s, papertapev1.GoodbyeReason_GOODBYE_REASON_SLOW, text)
	if s.phase.Load() != phaseClosed { // it was ending for another reason
		l.reset(s)
	}
}

// reset closes a connection and drops the bytes that its socket has not sent yet.
func (l *loop) reset(s *Session) {
	if k := s.socket(); k != nil {
		_ = unix.SetsockoptLinger(k.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	} else {
		_ = s.conn.SetLinger(0)
	}
	l.close(s)
}

// close closes a connection. Bytes that its socket has accepted are still sent.
func (l *loop) close(s *Session) {
	if s.socket() != nil {
		l.closeHalfClosed(s)
	} else {
		_ = l.el.Close(s.conn)
	}
}

// lingerFor is how long an ended session may take to close its side.
const lingerFor = time.Second

// finishEnding closes a session whose GOODBYE is written, step by step. left is how many bytes the kernel has not taken
// yet.
func (l *loop) finishEnding(s *Session, reason papertapev1.GoodbyeReason, left int) {
	if s.ending == 0 {
		l.leavePhase(s, phaseEnding)
		s.ending = l.now + toMillis(lingerFor)
		l.endings++
		l.schedule(s)
		l.tickSoon()
	}
	switch {
	case reason == papertapev1.GoodbyeReason_GOODBYE_REASON_SLOW:
		l.reset(s)
	case left == 0 && !l.notifyClose(s): // this was called again meanwhile
	case left == 0 && s.socket() != nil: // the client has ended its side already
		l.close(s)
	case left == 0 && !s.shutDown:
		s.shutDown = true
		_ = unix.Shutdown(s.conn.Fd(), unix.SHUT_WR) // fails if the client is gone: the poller tells
	}
}

// loginsMax is how many times a connection may try to log in.
const (
	loginsMax  = 3
	loginsText = "three logins were refused"
)

// outOfLogins says whether a session must end because a login was refused too often. Both the loop and the drainer that
// answers a login call it: the loop counts a login before the drainer sees it, and no other while the drainer has it.
func (s *Session) outOfLogins() bool { return s.logins >= loginsMax }

// leavePhase moves the session to phaseEnding or phaseClosed and counts what it no longer is.
func (l *loop) leavePhase(s *Session, to uint32) {
	if from := s.phase.Swap(to); from == phaseNew || from == phaseLoggingIn {
		l.gw.prelogin.Add(-1)
	}
}

// forget removes a session whose connection, which came from this address, is gone.
func (l *loop) forget(s *Session, from net.Addr) {
	l.goroutine.Check()
	if s.refused {
		l.gw.refused.Add(-1)
	} else {
		l.gw.leave(s.limitedAs(from))
	}
	if s.front != nil {
		l.dropFront(s.front)
	}
	l.leavePhase(s, phaseClosed)
	l.countEnd(s)
	if s.ending != 0 {
		l.endings--
	}
	l.wheel.remove(s)
	l.holdHalf(s, 0)
	l.subscribe(s, codec.Subscribe{})
	l.watch(s, false)
	l.remember(s, from)
	s.mu.Lock()
	waiting, out := s.waiting(), s.out
	s.out, s.unsent, s.detached = nil, 0, true
	s.mu.Unlock()
	if out != nil {
		out.free()
	}
	l.gw.outboxBytes.Add(-int64(waiting))
	if account := s.Account(); account != 0 {
		l.gw.engine.Logout(&s.engine, account)
	}
	if s.greeted {
		l.callHooks(s, onLogout)
	}
	if !s.refused && (s.front == nil || s.front.hooked) {
		l.callHooks(s, onDisconnect)
	}
	s.closing = nil // its socket is closed
}

// countEnd counts the end of a session by its cause, where nothing else has: who ends a session for another reason
// than these counts that there.
func (l *loop) countEnd(s *Session) {
	if s.stalled != 0 {
		l.countWaiting(-1)
	}
	if s.refused || s.front != nil && !s.front.hooked {
		return
	}
	switch s.endedBy() {
	case causeClient:
		l.counts.Count(countLeft, 1)
	case causeShutdown:
		l.counts.Count(countShutDown, 1)
	}
}

// retryAfter returns how long a client that was sent away for this reason should wait before it comes back.
func retryAfter(reason papertapev1.GoodbyeReason) time.Duration {
	switch reason {
	case papertapev1.GoodbyeReason_GOODBYE_REASON_SHUTDOWN, papertapev1.GoodbyeReason_GOODBYE_REASON_FULL:
		return time.Second
	case papertapev1.GoodbyeReason_GOODBYE_REASON_SLOW:
		return 100 * time.Millisecond
	}
	return 0
}
