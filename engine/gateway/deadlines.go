package gateway

import (
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
)

// millis is the coarse time of a loop, in milliseconds since the gateway was made. It is never 0.
type millis int64

func (g *Gateway) millis() millis { return toMillis(time.Since(g.start)) + 1 }

func toMillis(d time.Duration) millis { return millis(d / time.Millisecond) }

// tick is the width of a wheel's slots, and how often a wheel turns that has something to look at (see tickSoon): an
// eighth of the shortest deadline, between 5 and 50 ms.
func (g *Gateway) tick() time.Duration { return g.eighth(50 * time.Millisecond) }

// idleTick is how often all wheels turn: an eighth of the shortest deadline too, but up to half a second.
func (g *Gateway) idleTick() time.Duration { return g.eighth(500 * time.Millisecond) }

func (g *Gateway) eighth(most time.Duration) time.Duration {
	return max(5*time.Millisecond, min(most, min(g.cfg.Heartbeat, g.cfg.StallTimeout, g.cfg.LoginTimeout)/8))
}

// tickSoon has the loop tick after one slot's time, and go on ticking at that rate while it has a backlog or sessions
// that are ending: the ticker would come too late for those. A loop does not always tick so fast because a wake-up
// costs more than the tick: for ten milliseconds after each, the runtime looks some sixty times whether the loop is to
// lose its processor.
func (l *loop) tickSoon() {
	if l.earlyPosted {
		return
	}
	l.earlyPosted = true
	l.later(time.Duration(l.wheel.tick)*time.Millisecond, l.tasks.earlyTick)
}

// tickEarly is a tick that the loop has asked for.
func (l *loop) tickEarly() {
	l.earlyPosted = false
	l.tick()
	if l.endings > 0 || len(l.backlog) > 0 {
		l.tickSoon()
	}
}

// tick looks at the backlog and at the deadlines.
func (l *loop) tick() {
	l.tickPosted.Store(false)
	before := l.ticked
	l.now = l.gw.millis()
	l.ticked = l.now
	if before != 0 && l.now-before > toMillis(l.gw.cfg.Heartbeat) {
		// The process stood still. What clients sent meanwhile may not have been read yet: nobody is idle for that.
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
		l.later(pause, l.tasks.dues)
	}
}

func (l *loop) goOnTurning() {
	l.now = l.gw.millis()
	l.turnWheel()
}

// schedule puts the session into the wheel at its earliest deadline.
func (l *loop) schedule(s *Session) {
	l.goroutine.Check()
	l.wheel.put(s, l.deadline(s))
}

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
		d = l.keyDeadline(s, min(s.lastRead+3*toMillis(cfg.Heartbeat), s.lastWrite+toMillis(cfg.Heartbeat)))
	default:
		d = s.opened + toMillis(cfg.LoginTimeout)
	}
	if s.stalled != 0 {
		d = min(d, s.stalled+toMillis(cfg.StallTimeout))
	}
	return d
}

// due acts on the deadlines that have passed, and puts the session back into the wheel.
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
		l.cut(s, causeStalled, "nothing was read for "+cfg.StallTimeout.String())
		return
	case s.closing != nil && s.closing.until != 0:
		if s.closing.reason == 0 && l.now >= s.closing.until {
			l.close(s)
			return
		}
		l.write(s) // with the farewell when the time is up
	case !in && l.now >= s.opened+toMillis(cfg.LoginTimeout):
		l.gw.stats.LoginTimeouts.Add(1)
		text := "no login within " + cfg.LoginTimeout.String() + " of connecting"
		l.goodbye(s, papertapev1.GoodbyeReason_GOODBYE_REASON_LOGIN_TIMEOUT, text)
	case in && s.keyExpired():
		l.revoke(s, revokedText+": it has expired")
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

// wheel is a timing wheel. It belongs to one loop. Every session of the loop stands in exactly one slot.
//
// A slot is a doubly linked list through the sessions, so moving one costs a few pointer writes and no allocation. A
// deadline beyond the horizon is put at the horizon, and looked at again there.
type wheel struct {
	slots [wheelSlots]*Session
	tick  millis // width of a slot
	at    millis // the wheel has been turned up to here, a multiple of tick
	count int
}

const wheelSlots = 1024

// put places s at its deadline, no earlier than the next tick.
func (w *wheel) put(s *Session, deadline millis) {
	if s.slot >= 0 {
		w.remove(s)
	}
	ticks := (deadline - w.at + w.tick - 1) / w.tick
	ticks = max(1, min(ticks, wheelSlots-1))
	s.slot = int32((w.at/w.tick + ticks) % wheelSlots)
	s.prev, s.next = nil, w.slots[s.slot]
	if s.next != nil {
		s.next.prev = s
	}
	w.slots[s.slot] = s
	w.count++
}

func (w *wheel) remove(s *Session) {
	if s.slot < 0 {
		return
	}
	if s.prev == nil {
		w.slots[s.slot] = s.next
	} else {
		s.prev.next = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	}
	s.prev, s.next, s.slot = nil, nil, -1
	w.count--
}

// turn moves the wheel on to now, takes out the sessions whose slots came up, most of them at most, and calls due for
// each; due may put it back. It returns false if there were more: the next turn begins with those.
func (w *wheel) turn(now millis, most int, due func(*Session)) (done bool) {
	if now-w.at > wheelSlots*w.tick { // the process stood still: each slot once is enough
		w.at = now/w.tick*w.tick - wheelSlots*w.tick
	}
	for {
		slot := w.at / w.tick % wheelSlots
		for s := w.slots[slot]; s != nil; s = w.slots[slot] {
			if most--; most < 0 {
				return false
			}
			w.remove(s)
			due(s)
		}
		if w.at+w.tick > now {
			return true
		}
		w.at += w.tick
	}
}

// each calls f for every session. f may remove the session it is given, or move it, in which case it may be called for
// it again.
func (w *wheel) each(f func(*Session)) {
	for i := range w.slots {
		for s := w.slots[i]; s != nil; {
			next := s.next
			f(s)
			s = next
		}
	}
}
