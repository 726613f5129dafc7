package gateway

import (
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
)

// write hands the session's outbox to the socket.
func (l *loop) write(s *Session) {
	l.goroutine.Check()
	defer l.contain("write", s)
	if s.closing != nil {
		l.sayFarewell(s)
	}
	s.mu.Lock()
	buf, greet := s.out, s.greet
	s.out, s.dirty, s.greet = nil, false, false
	if buf == nil {
		s.mu.Unlock()
		return
	}
	s.unsent += len(buf.b)
	unsent := s.unsent
	s.mu.Unlock()
	if greet {
		s.greeted = true
		l.callHooks(s, onLogin)
	}
	b := buf.b
	if s.front != nil {
		b, unsent = l.seal(s, b, unsent)
	}
	if s.phase.Load() != phaseClosed {
		l.give(s, b)
		l.countWrite(len(b), buf)
	}
	buf.free()
	if s.phase.Load() != phaseClosed {
		s.lastWrite = l.now
		l.settle(s, unsent)
	}
}

// give hands bytes to the socket.
func (l *loop) give(s *Session, b []byte) {
	if s.socket() == nil {
		_, _ = s.conn.Write(b) // on an error gnet has closed the connection, and OnClose has run
	} else {
		l.writeHalfClosed(s, b)
	}
}

// settle counts what the socket has taken of the bytes that were unsent, and does what follows from it.
func (l *loop) settle(s *Session, unsent int) {
	left, due := s.buffered(), s.closing != nil && s.unanswered()
	l.gw.outboxBytes.Add(int64(left - unsent))
	s.mu.Lock()
	s.unsent = left
	end := papertapev1.GoodbyeReason(s.end)
	if s.out != nil {
		end = 0 // GOODBYE may be in it
	}
	catchUp := s.catchUp
	caughtUp := catchUp && s.waiting() == 0
	if caughtUp {
		s.catchUp = false
	}
	done := !due && s.allSent()
	s.mu.Unlock()
	l.noteStall(s, left, unsent)
	if caughtUp {
		l.gw.engine.CatchUp(&s.engine, s.Account())
	}
	if left == 0 {
		l.pieceSoon(s)
	}
	if s.presenceMissed && done {
		l.tellMissed(s)
	}
	if left > 0 || s.closing != nil {
		l.lookAgain(s)
	}
	if left > 0 && catchUp {
		l.retrySoon(s)
	}
	if s.socket() != nil {
		if l.countStuck(s, left > 0); s.phase.Load() == phaseClosed {
			return
		}
	}
	switch {
	case end != 0:
		l.finishEnding(s, end, left)
	case done && s.closing != nil && s.closing.reason == 0:
		if l.notifyClose(s) {
			l.close(s)
		}
	}
}

// noteStall notes since when the socket has taken nothing.
func (l *loop) noteStall(s *Session, left, unsent int) {
	switch {
	case left == 0 && s.stalled != 0:
		s.stalled = 0
		l.countWaiting(-1)
	case left == 0:
	case s.stalled == 0:
		s.stalled = l.now
		l.countWaiting(1)
	case left < unsent:
		s.stalled = l.now
	}
}

// lookAgain has the loop look at the session at the next tick, because nobody rings for what it waits for.
func (l *loop) lookAgain(s *Session) {
	if s.inBacklog || s.phase.Load() == phaseClosed {
		return
	}
	s.inBacklog = true
	l.backlog = append(l.backlog, s)
	l.schedule(s)
	l.tickSoon()
}

// retryMillis is how soon the loop looks again at a session that is catching up and whose socket did not take a whole
// piece: gnet has no hook for it. The others are looked at each tick.
const retryMillis = 5

func (l *loop) retrySoon(s *Session) {
	if s.inRetries {
		return
	}
	s.inRetries = true
	l.retries = append(l.retries, s)
	if l.retryPosted {
		return
	}
	l.retryPosted = true
	l.later(retryMillis*time.Millisecond, l.tasks.retry)
}

// retryCatchingUp looks again at the sessions that are catching up.
func (l *loop) retryCatchingUp() {
	l.retryPosted = false
	l.tellTime()
	list := l.retries
	l.retries, l.spareRetries = l.spareRetries, nil
	for _, s := range list {
		s.inRetries = false
		l.look(s)
	}
	clear(list)
	l.spareRetries = list[:0]
}

// lookAtBacklog looks again at every session with unsent bytes, and at those that are closing.
func (l *loop) lookAtBacklog() {
	list := l.backlog
	l.backlog, l.spareBacklog = l.spareBacklog, nil
	for _, s := range list {
		s.inBacklog = false
		l.look(s)
	}
	clear(list)
	l.spareBacklog = list[:0]
}

func (l *loop) look(s *Session) {
	defer l.contain("look", s)
	if s.closing != nil {
		l.write(s) // it may be time for the farewell
	}
	if k := s.socket(); k != nil && len(k.rest) > 0 {
		l.writeHalfClosed(s, nil)
	}
	if s.phase.Load() != phaseClosed {
		l.settle(s, s.unsent) // only the loop writes unsent, so it may read it without the mutex
	}
}
