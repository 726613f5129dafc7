package gateway

import (
	"cmp"
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"
	"github.com/papertape/papertape/engine"
)

// loop is what the gateway keeps of one gnet event loop.
type loop struct {
	// Constant.
	gw    *Gateway
	el    gnet.EventLoop
	index int
	flush gnet.Runnable
	turn  gnet.Runnable
	early gnet.Runnable
	again gnet.Runnable
	quote gnet.Runnable

	quoteOn, tellRound, tellOn, dueOn gnet.Runnable

	rung    atomic.Bool            // a flush is on its way
	turning atomic.Bool            // a tick of the ticker is on its way
	longest atomic.Int64           // since when the longest-stalled session of the loop has stalled, in millis; 0: none
	quotes  atomic.Pointer[quotes] // what the subscribers are to be sent; nil: nothing
	skipped atomic.Bool            // some quotes were replaced before they were sent

	mu    sync.Mutex
	dirty []*Session // shared, under mu: sessions to write; each at most once per drainer

	// Owned by the loop.
	now          millis
	ticked       millis // the last tick
	wheel        wheel
	spare        []*Session // an empty dirty list
	backlog      []*Session // sessions with unsent bytes, and those that are closing
	spareBacklog []*Session
	pieces       []*Session // those of them that are catching up
	sparePieces  []*Session
	retrying     bool             // a retry of the pieces is on its way
	turningSoon  bool             // a tick that the loop has asked for is on its way
	endings      int              // sessions that are ending
	reads        int              // since the loop gave way
	requests     []engine.Request // of the read being handled
	frame        []byte           // scratch for encoding
	subscribers  []*Session       // of quotes
	quoting      sweep            // of them
	quoted       *quotes          // what it sends
	quotedAll    bool             // they may have missed some before
	overdue      bool             // the rest of the sessions whose deadlines have passed is looked at after a pause

	watching
}

// ring sees to it that the loop writes its dirty sessions.
func (l *loop) ring() {
	if l.rung.CompareAndSwap(false, true) {
		_ = l.el.Execute(context.Background(), l.flush) // fails only when the loop has stopped
	}
}

// flushDirty writes each dirty session once. The flag is cleared before the list is taken: whoever adds to the list after
// that rings again.
func (l *loop) flushDirty() {
	l.rung.Store(false)
	l.now = l.gw.millis()
	l.mu.Lock()
	list := l.dirty
	l.dirty, l.spare = l.spare, nil
	l.mu.Unlock()
	for _, s := range list {
		l.write(s)
	}
	clear(list)
	l.spare = list[:0]
}

// readsAtOnce is how many reads a loop makes before it looks whether there is something to write. gnet hands it up to 1,024 that are
// ready, and what they asked for is answered sooner, and while the kernel's part of their sockets is still in the processor's caches, when
// drainers and writes have their turn between.
const readsAtOnce = 32

// giveWay lets the drainers run where all processors are taken, and writes what they have answered.
func (l *loop) giveWay() {
	l.reads = 0
	runtime.Gosched()
	if l.rung.Load() {
		l.flushDirty()
	}
}

// write hands the session's outbox to the socket.
func (l *loop) write(s *Session) {
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
		s.known = true
		l.tell(s, onLogin)
	}
	if s.socket() == nil {
		_, _ = s.conn.Write(buf.b) // on an error gnet has closed the connection, and OnClose has run
	} else {
		l.writeHalfClosed(s, buf.b)
	}
	buf.free()
	if s.phase.Load() != phaseClosed {
		s.lastWrite = l.now
		l.settle(s, unsent)
	}
}

// settle looks at what the socket has taken of the bytes that were unsent, and does what follows from it.
func (l *loop) settle(s *Session, unsent int) {
	left, due := s.buffered(), s.closing != nil && s.unanswered()
	l.gw.outboxBytes.Add(int64(left - unsent))
	s.mu.Lock()
	s.unsent = left
	end := s.end
	if s.out != nil {
		end = 0 // GOODBYE may be in it
	}
	catchUp := s.catchUp
	caughtUp := catchUp && s.waiting() == 0
	if caughtUp {
		s.catchUp = false
	}
	done := !due && s.sent()
	s.mu.Unlock()
	switch {
	case left == 0:
		s.stalled = 0
	case left < unsent || s.stalled == 0:
		s.stalled = l.now
	}
	if caughtUp {
		l.gw.engine.CatchUp(&s.engine, s.Account())
	}
	if s.presenceMissed && done {
		l.tellMissed(s)
	}
	if left > 0 || s.closing != nil {
		l.lookAgain(s)
	}
	if left > 0 && catchUp && !s.piece {
		s.piece = true
		l.pieces = append(l.pieces, s)
		l.retrySoon()
	}
	if s.socket() != nil {
		if l.countStuck(s, left > 0); s.phase.Load() == phaseClosed {
			return
		}
	}
	switch {
	case end != 0:
		l.wind(s, end, left)
	case done && s.closing != nil && s.closing.reason == 0:
		l.close(s)
	}
}

// lookAgain has the loop look at the session at the next tick, as nobody rings for what it waits for.
func (l *loop) lookAgain(s *Session) {
	if s.backlog || s.phase.Load() == phaseClosed {
		return
	}
	s.backlog = true
	l.backlog = append(l.backlog, s)
	l.schedule(s)
	l.turnSoon()
}

// retryMillis is how soon a session that is catching up is looked at again when its socket did not take a whole piece: gnet
// has no hook for it. The others are looked at each tick.
const retryMillis = 5

func (l *loop) retrySoon() {
	if l.retrying {
		return
	}
	l.retrying = true
	l.later(retryMillis*time.Millisecond, l.again)
}

// retryPieces looks again at the sessions that are catching up.
func (l *loop) retryPieces() {
	l.retrying = false
	l.now = l.gw.millis()
	list := l.pieces
	l.pieces, l.sparePieces = l.sparePieces, nil
	for _, s := range list {
		s.piece = false
		l.look(s)
	}
	clear(list)
	l.sparePieces = list[:0]
}

// lookAtBacklog looks again at every session with unsent bytes, and at those that are closing.
func (l *loop) lookAtBacklog() {
	list := l.backlog
	l.backlog, l.spareBacklog = l.spareBacklog, nil
	for _, s := range list {
		s.backlog = false
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

// relieve cuts sessions while all outboxes together pass their bound: the one that has stalled longest first, and of several
// loops only the one that has it. What the others have is as of their last tick.
func (l *loop) relieve() {
	l.relieveOfHalves()
	for {
		longest := l.longestStalled()
		if longest == nil || l.gw.holds() <= l.gw.cfg.OutboxTotalBytesMax || l.gw.stalledLonger(l, longest.stalled) {
			return
		}
		l.gw.stats.CutTotal.Add(1)
		l.cut(longest, "all clients together have more waiting than the server holds, and this one has waited longest")
	}
}

// relieveOfHalves cuts sessions that have sent half a frame while all such halves take more than a quarter of what
// clients may have the server hold: those of the loop first that were heard longest ago.
func (l *loop) relieveOfHalves() {
	most := l.gw.cfg.OutboxTotalBytesMax / 4
	if l.gw.halfFrames.Load() <= most {
		return
	}
	var halves []*Session
	l.wheel.each(func(s *Session) {
		if s.held > 0 {
			halves = append(halves, s)
		}
	})
	slices.SortFunc(halves, func(a, b *Session) int { return cmp.Compare(a.lastRead, b.lastRead) })
	for _, s := range halves {
		if l.gw.halfFrames.Load() <= most {
			return
		}
		l.gw.stats.CutTotal.Add(1)
		l.cut(s, "half a frame came and not the rest, and of all clients together the server holds no more of those")
	}
}

// holdHalf notes how many bytes of half a frame gnet keeps of a session.
func (l *loop) holdHalf(s *Session, n int) {
	l.gw.halfFrames.Add(int64(n) - int64(s.held))
	s.held = int32(n)
	if l.gw.halfFrames.Load() > l.gw.cfg.OutboxTotalBytesMax/4 {
		l.turnSoon()
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

// stalledLonger says whether another loop has a session that has stalled for longer. Of equals the loop with the lower index
// acts.
func (g *Gateway) stalledLonger(than *loop, since millis) bool {
	for _, l := range *g.loops.Load() {
		at := millis(l.longest.Load())
		if l != than && at != 0 && (at < since || at == since && l.index < than.index) {
			return true
		}
	}
	return false
}

const inTraffic = "traffic"

// contain is deferred around all that is done for one session: a panic costs that session and nobody else.
func (l *loop) contain(where string, s *Session) {
	p := recover()
	if p == nil {
		return
	}
	l.gw.contained(where, p)
	for i := range l.requests { // of the read that was being handled: they are not to go with another session's
		l.requests[i].Session.End()
	}
	clear(l.requests)
	l.requests = l.requests[:0]
	switch {
	case s == nil || s.phase.Load() == phaseClosed:
	case where == inTraffic && s.closing == nil: // nothing of its stream is lost: what it asked before is answered
		s.closing = &closing{until: l.answersBy()}
		l.lookAgain(s)
	default:
		l.close(s)
	}
}
