package gateway

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
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
	backlog      []*Session // sessions with unsent bytes
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
	_, _ = s.conn.Write(buf.b) // on an error gnet has closed the connection, and OnClose has run
	buf.free()
	if s.phase.Load() != phaseClosed {
		s.lastWrite = l.now
		l.settle(s, unsent)
	}
}

// settle looks at what the socket has taken of the bytes that were unsent, and does what follows from it.
func (l *loop) settle(s *Session, unsent int) {
	left := s.conn.OutboundBuffered()
	l.gw.outboxBytes.Add(int64(left - unsent))
	s.mu.Lock()
	s.unsent = left
	end := s.end
	catchUp := s.catchUp
	caughtUp := catchUp && s.waiting() == 0
	if caughtUp {
		s.catchUp = false
	}
	missed := s.presenceMissed && s.waiting() == 0
	if missed {
		s.presenceMissed = false
	}
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
	if missed {
		l.gw.presence.catchUp(s)
	}
	if left > 0 && !s.backlog {
		s.backlog = true
		l.backlog = append(l.backlog, s)
		l.schedule(s)
		l.turnSoon()
	}
	if left > 0 && catchUp && !s.piece {
		s.piece = true
		l.pieces = append(l.pieces, s)
		l.retrySoon()
	}
	if end != 0 {
		l.wind(s, end, left)
	}
}

// retryMillis is how soon a session that is catching up is looked at again when its socket did not take a whole piece: gnet
// has no hook for it. The others are looked at each tick.
const retryMillis = 5

func (l *loop) retrySoon() {
	if l.retrying {
		return
	}
	l.retrying = true
	time.AfterFunc(retryMillis*time.Millisecond, func() { _ = l.el.Execute(context.Background(), l.again) })
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

// lookAtBacklog looks again at every session with unsent bytes.
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
	if s.phase.Load() != phaseClosed {
		l.settle(s, s.unsent) // only the loop writes unsent, so it may read it without the mutex
	}
}

// relieve cuts sessions while all outboxes together pass their bound: the one that has stalled longest first, and of several
// loops only the one that has it. What the others have is as of their last tick.
func (l *loop) relieve() {
	for {
		longest := l.longestStalled()
		if longest == nil || l.gw.outboxBytes.Load() <= l.gw.cfg.OutboxTotalBytesMax || l.gw.stalledLonger(l, longest.stalled) {
			return
		}
		l.gw.stats.CutTotal.Add(1)
		l.cut(longest, "all clients together have more waiting than the server holds, and this one has waited longest")
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

// turnSoon has the wheel turned in a tick's time, and from then on as long as it says so, for what the ticker would come to late: a
// backlog, and sessions that are ending. A wake-up costs more than the loop: for ten milliseconds after each the runtime looks some sixty
// times whether the loop is to lose its processor.
func (l *loop) turnSoon() {
	if l.turningSoon {
		return
	}
	l.turningSoon = true
	time.AfterFunc(time.Duration(l.wheel.tick)*time.Millisecond, func() { _ = l.el.Execute(context.Background(), l.early) })
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
	l.wheel.turn(l.now, l.due)
	l.relieve()
}

// schedule puts the session into the wheel at its earliest deadline.
func (l *loop) schedule(s *Session) { l.wheel.put(s, l.deadline(s)) }

func (l *loop) deadline(s *Session) millis {
	cfg := &l.gw.cfg
	if s.ending != 0 {
		return s.ending
	}
	var d millis
	if s.phase.Load() == phaseIn {
		d = min(s.lastRead+3*toMillis(cfg.Heartbeat), s.lastWrite+toMillis(cfg.Heartbeat))
	} else {
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
			_ = l.el.Close(s.conn)
			return
		}
	case s.stalled != 0 && l.now >= s.stalled+toMillis(cfg.StallTimeout):
		l.gw.stats.CutStalled.Add(1)
		l.cut(s, "nothing was read for "+cfg.StallTimeout.String())
		return
	case !in && l.now >= s.opened+toMillis(cfg.LoginTimeout):
		l.gw.stats.LoginTimeouts.Add(1)
		l.goodbye(s, papertapev1.GoodbyeReason_GOODBYE_REASON_LOGIN_TIMEOUT, "no login within "+cfg.LoginTimeout.String()+" of connecting")
	case in && l.now >= s.lastRead+3*toMillis(cfg.Heartbeat):
		l.gw.stats.Idle.Add(1)
		l.goodbye(s, papertapev1.GoodbyeReason_GOODBYE_REASON_IDLE, "nothing was heard for three heartbeats of "+cfg.Heartbeat.String())
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

// goodbye says why, and ends the session.
func (l *loop) goodbye(s *Session, reason papertapev1.GoodbyeReason, text string) {
	s.mu.Lock()
	l.gw.outboxBytes.Add(int64(s.finish(reason, text)))
	s.mu.Unlock()
	l.write(s)
}

// cut ends a session that does not read: GOODBYE SLOW as far as the socket takes it, and a reset.
func (l *loop) cut(s *Session, text string) {
	l.goodbye(s, papertapev1.GoodbyeReason_GOODBYE_REASON_SLOW, text)
	if s.phase.Load() != phaseClosed { // it was ending for another reason
		l.reset(s)
	}
}

// reset closes a connection without waiting for what it has not taken.
func (l *loop) reset(s *Session) {
	_ = s.conn.SetLinger(0)
	_ = l.el.Close(s.conn)
}

// lingerFor is how long an ended session may take to close its side.
const lingerFor = time.Second

// wind brings an ending session to its end: GOODBYE is with gnet, of which left bytes are not with the kernel yet.
func (l *loop) wind(s *Session, reason papertapev1.GoodbyeReason, left int) {
	if s.ending == 0 {
		l.leavePhase(s, phaseEnding)
		s.ending = l.now + toMillis(lingerFor)
		l.endings++
		l.schedule(s)
		l.turnSoon()
	}
	switch {
	case reason == papertapev1.GoodbyeReason_GOODBYE_REASON_SLOW:
		l.reset(s)
	case left == 0 && !s.shutDown:
		s.shutDown = true
		_ = unix.Shutdown(s.conn.Fd(), unix.SHUT_WR) // fails if the client is gone: the poller tells
	}
}

// leavePhase moves the session to phaseEnding or phaseClosed and counts what it no longer is.
func (l *loop) leavePhase(s *Session, to uint32) {
	if from := s.phase.Swap(to); from == phaseNew || from == phaseLoggingIn {
		l.gw.prelogin.Add(-1)
	}
}

// closed forgets a session whose connection is gone.
func (l *loop) closed(s *Session) {
	l.leavePhase(s, phaseClosed)
	if s.ending != 0 {
		l.endings--
	}
	l.wheel.remove(s)
	l.subscribe(s, false)
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
	if s.known {
		l.tell(s, onLogout)
	}
	if !s.refused {
		l.tell(s, onDisconnect)
	}
}

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
	if s != nil && s.phase.Load() != phaseClosed {
		_ = l.el.Close(s.conn)
	}
}
