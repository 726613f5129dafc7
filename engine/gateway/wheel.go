package gateway

// wheel is a timing wheel. It belongs to one loop. Every session of the loop stands in exactly one slot.
//
// A slot is a doubly linked list through the sessions, so moving one costs a few pointer writes and no allocation. A deadline
// beyond the horizon is put at the horizon and looked at again there.
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

// turn moves the wheel on to now and calls due for each session whose slot came up, most of them at most; due puts it
// back or removes it. It returns false if there were more: those are met first the next time.
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

// each calls f for every session. f may remove the session it is given, or put it elsewhere, where it may be met again.
func (w *wheel) each(f func(*Session)) {
	for i := range w.slots {
		for s := w.slots[i]; s != nil; {
			next := s.next
			f(s)
			s = next
		}
	}
}
