package gateway

import (
	"cmp"
	"slices"
)

// holds is how many bytes the server holds for its clients: what they have still to take, and halves of frames.
func (g *Gateway) holds() int64 { return g.outboxBytes.Load() + g.halfFrames.Load() }

// relieve cuts sessions while all outboxes together exceed their bound: the one that has stalled longest first, and of
// several loops only the loop that has it. What the others have is as of their last tick.
func (l *loop) relieve() {
	l.relieveOfHalves()
	for {
		longest := l.longestStalled()
		if longest == nil || l.gw.holds() <= l.gw.cfg.OutboxTotalBytesMax || l.gw.stalledLonger(l, longest.stalled) {
			return
		}
		l.gw.stats.CutTotal.Add(1)
		l.cut(longest, causeTotal,
			"all clients together have more waiting than the server holds, and this one has waited longest")
	}
}

// relieveOfHalves cuts sessions that have sent half a frame while all such halves take more than a quarter of what
// the server may hold for its clients. Those of the loop that were silent longest are cut first.
func (l *loop) relieveOfHalves() {
	most := l.gw.cfg.OutboxTotalBytesMax / 4
	if l.gw.halfFrames.Load() <= most {
		return
	}
	var halves []*Session
	l.wheel.each(func(s *Session) {
		if s.halfFrame > 0 {
			halves = append(halves, s)
		}
	})
	slices.SortFunc(halves, func(a, b *Session) int { return cmp.Compare(a.lastRead, b.lastRead) })
	for _, s := range halves {
		if l.gw.halfFrames.Load() <= most {
			return
		}
		l.gw.stats.CutTotal.Add(1)
		l.cut(s, causeTotal,
			"half a frame came and not the rest, and of all clients together the server holds no more of those")
	}
}

// holdHalf notes how many bytes of half a frame gnet keeps for a session.
func (l *loop) holdHalf(s *Session, n int) {
	l.gw.halfFrames.Add(int64(n) - int64(s.halfFrame))
	s.halfFrame = int32(n)
	if l.gw.halfFrames.Load() > l.gw.cfg.OutboxTotalBytesMax/4 {
		l.tickSoon()
	}
}

// longestStalled returns the session of the loop that has stalled longest, nil if none has, and tells the other loops.
func (l *loop) longestStalled() *Session {
	var longest *Session
	for _, s := range l.backlog {
		if s.stalled != 0 && s.phase.Load() != phaseClosed && (longest == nil || s.stalled < longest.stalled) {
			longest = s
		}
	}
	if longest == nil {
		l.longest.Store(0)
	} else {
		l.longest.Store(int64(longest.stalled))
	}
	return longest
}

// stalledLonger says whether another loop has a session that has stalled for longer. If two are equal, the loop with
// the lower index acts.
func (g *Gateway) stalledLonger(than *loop, since millis) bool {
	for _, l := range *g.loops.Load() {
		at := millis(l.longest.Load())
		if l != than && at != 0 && (at < since || at == since && l.index < than.index) {
			return true
		}
	}
	return false
}
