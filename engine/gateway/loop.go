package gateway

import (
	"context"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/engine/owner"
	"github.com/papertape/papertape/market"
)

// loop is what the gateway keeps of one gnet event loop.
type loop struct {
	// Constant.
	gw    *Gateway
	el    gnet.EventLoop
	index int
	tasks tasks

	rung          atomic.Bool            // a flush is on its way
	tickPosted    atomic.Bool            // a tick of the ticker is on its way
	late          atomic.Bool            // it stands still
	tickAsked     atomic.Int64           // when the ticker asked for the tick that has not run, by tally.Now; 0: none
	longest       atomic.Int64           // since when its longest-stalled session has stalled, in millis; 0: none has
	quotes        atomic.Pointer[quotes] // what to send the subscribers next; nil: nothing
	quotesSkipped atomic.Bool            // some quotes were replaced before they were sent

	mu    sync.Mutex
	dirty []*Session // shared, under mu: sessions to write; each at most once per drainer

	// Owned by the loop's goroutine.
	goroutine     owner.Goroutine // checks that
	now           millis
	ticked        millis // the last tick
	wheel         wheel
	spareDirty    []*Session // an empty dirty list
	backlog       []*Session // sessions with unsent bytes, and those that are closing
	spareBacklog  []*Session
	retries       []*Session // those of them that are catching up
	spareRetries  []*Session
	retryPosted   bool             // a retry of these is on its way
	earlyPosted   bool             // a tick that the loop has asked for is on its way
	endings       int              // sessions that are ending
	reads         int              // since the loop gave way
	requests      []engine.Request // of the read being handled
	frame         []byte           // scratch for encoding
	plain         []byte           // scratch for decrypted input; nil: not needed yet
	sealed        []byte           // scratch for what crypto/tls writes; empty outside of a call to it
	subscribers   []*Session       // of quotes
	subscriptions []*subscription  // of these, in the same order
	quoting       sweep            // of them
	prices        *market.Prices   // the newest that they are sent; nil: none were sent yet
	pieces        []*Session       // subscribers whose turn for a piece it is
	piecesPosted  bool             // a task for these is on its way
	ids           []market.ID      // scratch
	quoted        *quotes          // what it sends
	quotedAll     bool             // they may have missed some before, and get everything
	overdue       bool             // more deadlines have passed; they are looked at after a pause

	watching
	measures

	missed int // ticks since the loop ran one; owned by the ticker
}

// tasks are what a loop can be asked to run, made once so that posting one allocates nothing for it.
type tasks struct {
	flush        gnet.Runnable // write the dirty sessions
	tick         gnet.Runnable // asked for by the ticker
	earlyTick    gnet.Runnable // asked for by the loop
	dues         gnet.Runnable // go on with deadlines that have passed
	retry        gnet.Runnable // look again at sessions that are catching up
	quote        gnet.Runnable // begin to send quotes
	quoteOn      gnet.Runnable // go on sending quotes
	pieces       gnet.Runnable // send quotes to those whose turn for a piece it is
	presence     gnet.Runnable // begin to tell of presence
	presenceNext gnet.Runnable // go on telling of presence
}

// newLoop makes the gateway's part of a gnet loop. It runs on that loop, and makes its goroutine the owner.
func newLoop(g *Gateway, el gnet.EventLoop, index int) *loop {
	l := &loop{gw: g, el: el, index: index, now: g.millis(), measures: newMeasures()}
	l.goroutine.Take()
	l.tasks = tasks{
		flush: l.task(l.flushDirty), tick: l.task(l.tickOnTime),
		earlyTick: l.task(l.tickEarly), dues: l.task(l.goOnTurning),
		retry: l.task(l.retryCatchingUp), quote: l.task(l.sendQuotes), quoteOn: l.task(l.goOnQuoting),
		pieces:   l.task(l.sendPieces),
		presence: l.task(l.tellPresence), presenceNext: l.task(l.goOnTelling),
	}
	l.watchers = make(map[uint64][]*Session)
	l.wheel.tick = toMillis(g.tick())
	l.wheel.at = l.now / l.wheel.tick * l.wheel.tick
	return l
}

func (l *loop) task(run func()) gnet.Runnable {
	return gnet.RunnableFunc(func(context.Context) error {
		l.goroutine.Check()
		defer l.publishMeasures()
		defer l.contain("loop", nil)
		run()
		return nil
	})
}

// loopOf returns the gateway's part of a gnet loop. It learns of a loop with the loop's first connection, and runs on
// that loop.
func (g *Gateway) loopOf(el gnet.EventLoop) *loop {
	for _, l := range *g.loops.Load() {
		if l.el == el {
			return l
		}
	}
	g.loopsMu.Lock()
	defer g.loopsMu.Unlock()
	old := *g.loops.Load()
	l := newLoop(g, el, len(old))
	loops := append(old[:len(old):len(old)], l)
	g.loops.Store(&loops)
	return l
}

// onEachLoop runs f on every loop and returns when all have run, or gnet has stopped, which drops what waits then.
func (g *Gateway) onEachLoop(f func(*loop)) {
	loops := *g.loops.Load()
	ran, waiting := make(chan struct{}, len(loops)), 0
	for _, l := range loops {
		if l.el.Execute(context.Background(), gnet.RunnableFunc(func(context.Context) error {
			l.goroutine.Check()
			defer func() { ran <- struct{}{} }()
			defer l.publishMeasures()
			defer l.contain("loop", nil)
			f(l)
			return nil
		})) == nil {
			waiting++
		}
	}
	for range waiting {
		select {
		case <-ran:
		case <-g.ended:
			return
		}
	}
}

// later has the loop run a task after a while. A loop that ran a task from within a task would not read in between.
func (l *loop) later(d time.Duration, r gnet.Runnable) {
	time.AfterFunc(d, func() { _ = l.el.Execute(context.Background(), r) }) // fails only when the loop has stopped
}

// ring sees to it that the loop writes its dirty sessions. Any goroutine may call it.
func (l *loop) ring() {
	if l.rung.CompareAndSwap(false, true) {
		_ = l.el.Execute(context.Background(), l.tasks.flush) // fails only when the loop has stopped
	}
}

// flushDirty writes each dirty session once. The flag is cleared before the list is taken: a drainer that adds
// after that rings again.
func (l *loop) flushDirty() {
	l.rung.Store(false)
	l.tellTime()
	l.mu.Lock()
	list := l.dirty
	l.dirty, l.spareDirty = l.spareDirty, nil
	l.mu.Unlock()
	for _, s := range list {
		l.write(s)
	}
	clear(list)
	l.spareDirty = list[:0]
}

const inTraffic = "traffic"

// contain is deferred around all work for one session: a panic costs that session and nobody else. A check that finds
// the wrong goroutine is not contained.
func (l *loop) contain(where string, s *Session) {
	l.goroutine.Check()
	p := recover()
	if p == nil {
		return
	}
	l.gw.contained(where, p)
	for i := range l.requests { // of the read that was being handled: they must not go out with another session's
		l.requests[i].Session.End()
	}
	clear(l.requests)
	l.requests = l.requests[:0]
	switch {
	case s == nil || s.phase.Load() == phaseClosed:
	case where == inTraffic && s.closing == nil: // nothing of its stream is lost: what it asked before is answered
		s.decide(causeServer)
		s.closing = &closing{until: l.answersBy()}
		l.lookAgain(s)
	default:
		s.decide(causeServer)
		l.close(s)
	}
}

func (g *Gateway) contained(where string, p any) {
	g.stats.Panics.Add(1)
	g.cfg.Log.Error().Str("in", where).Any("panic", p).Bytes("stack", debug.Stack()).
		Msg("panic contained; its connection is closed")
}
