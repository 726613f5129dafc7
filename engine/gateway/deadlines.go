package gateway

import (
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
)

// turnSoon has the wheel turned in a tick's time, and from then on as long as it says so, for what the ticker would
// come to late: a backlog, and sessions that are ending. A wake-up costs more than the loop: for ten milliseconds
// after each the runtime looks some sixty times whether the loop is to lose its processor.
func (l *loop) turnSoon() {
	if l.turningSoon {
		return
	}
	l.turningSoon = true
	l.later(time.Duration(l.wheel.tick)*time.Millisecond, l.early)
}

// turnEarly is a tick that the loop has asked for.
func (l *loop) turnEarly() {
	l.turningSoon = false
	l.tick()
	if l.endings > 0 || len(l.backlog) > 0 {
		l.turnSoon()
	}
}

// tick turns the wheel.
func (l *loop) tick() {
	l.turning.Store(false)
	before := l.ticked
	l.now = l.gw.millis()
	l.ticked = l.now
	if before != 0 && l.now-before > toMillis(l.gw.cfg.Heartbeat) {
		// The process stood still. What clients sent meanwhile may not have been read yet: nobody is dead for that.
		l.wheel.each(func(s *Session) { s.lastRead = l.now })
	}
	l.lookAtBacklog()
	if !l.overdue {
		l.turnWheel()
	}
	l.relieve()
}

// duesAtOnce is how many sessions whose deadlines have passed a loop looks at before it gives way: each may have to
// be pinged.
const duesAtOnce = 128

func (l *loop) turnWheel() {
	l.overdue = !l.wheel.turn(l.now, duesAtOnce, l.due)
	if l.overdue {
		l.later(pause, l.dueOn)
	}
}

func (l *loop) goOnTurning() {
	l.now = l.gw.millis()
	l.turnWheel()
}

// schedule puts the session into the wheel at its earliest deadline.
func (l *loop) schedule(s *Session) { l.wheel.put(s, l.deadline(s)) }

func (l *loop) deadline(s *Session) millis {
	cfg := &l.gw.cfg
	if s.ending != 0 {
		return s.ending
	}
	var d millis
	switch {
	case s.closing != nil && s.closing.until != 0:
		d = s.closing.until
	case s.phase.Load() == phaseIn:
		d = min(s.lastRead+3*toMillis(cfg.Heartbeat), s.lastWrite+toMillis(cfg.Heartbeat))
	default:
		d = s.opened + toMillis(cfg.LoginTimeout)
	}
	if s.stalled != 0 {
		d = min(d, s.stalled+toMillis(cfg.StallTimeout))
	}
	return d
}

// due acts on the deadlines that have passed and puts the session back into the wheel.
func (l *loop) due(s *Session) {
	defer l.contain("deadline", s)
	cfg := &l.gw.cfg
	switch in := s.phase.Load() == phaseIn; {
	case s.phase.Load() == phaseClosed:
		return
	case s.ending != 0:
		if l.now >= s.ending {
			l.close(s)
			return
		}
	case s.stalled != 0 && l.now >= s.stalled+toMillis(cfg.StallTimeout):
		l.gw.stats.CutStalled.Add(1)
		l.cut(s, "nothing was read for "+cfg.StallTimeout.String())
		return
	case s.closing != nil && s.closing.until != 0:
		if s.closing.reason == 0 && l.now >= s.closing.until {
			l.close(s)
			return
		}
		l.write(s) // says its farewell when the time is up
	case !in && l.now >= s.opened+toMillis(cfg.LoginTimeout):
		l.gw.stats.LoginTimeouts.Add(1)
		text := "no login within " + cfg.LoginTimeout.String() + " of connecting"
		l.goodbye(s, papertapev1.GoodbyeReason_GOODBYE_REASON_LOGIN_TIMEOUT, text)
	case in && l.now >= s.lastRead+3*toMillis(cfg.Heartbeat):
		l.gw.stats.Idle.Add(1)
		text := "nothing was heard for three heartbeats of " + cfg.Heartbeat.String()
		l.closeAfterAnswers(s, papertapev1.GoodbyeReason_GOODBYE_REASON_IDLE, text, l.answersBy())
	case in && l.now >= s.lastWrite+toMillis(cfg.Heartbeat):
		l.ping(s)
	}
	if s.phase.Load() != phaseClosed {
		l.schedule(s)
	}
}

// ping asks the client for a sign of life.
func (l *loop) ping(s *Session) {
	s.pings++
	s.mu.Lock()
	l.frame = codec.AppendPing(l.frame[:0], uint64(s.pings), s.head)
	l.send(s)
	s.mu.Unlock()
	l.write(s)
	s.lastWrite = l.now
}
