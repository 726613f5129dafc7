package gateway

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"
	"github.com/panjf2000/gnet/v2/pkg/logging"
	"github.com/rs/zerolog"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/market"
)

// Config is what a gateway is made of. All fields are needed but Log, Hooks, Wrappers and those that say so.
type Config struct {
	Listen     string // host:port; port 0 takes a free one
	EventLoops int
	Server     string // name and version, for WELCOME

	Limits                    // to begin with
	RequestsInFlightMax   int // of one connection
	OutboxBytesMax        int // of one connection
	OutboxTotalBytesMax   int64
	SocketSendBufferBytes int

	Heartbeat       time.Duration
	LoginTimeout    time.Duration
	StallTimeout    time.Duration
	ShutdownTimeout time.Duration

	Universe *market.Universe
	Prices   func() *market.Prices // the current snapshot; any goroutine
	Log      zerolog.Logger

	PresenceAll bool // subscribers of presence are told of every account, not of their own alone

	Hooks    []Hooks   // called in this order
	Wrappers []Wrapper // called in this order
}

// Limits are how many connections there may be. They can change while the gateway serves.
type Limits struct {
	ConnectionsMax          int
	ConnectionsPreloginMax  int
	ConnectionsPerIPMax     int // 0: no limit
	ConnectionsPerSecondMax int // let in, with a second's worth at once; 0: no limit
}

// Gateway is the network edge of one server. It is the engine's Outlet.
type Gateway struct {
	cfg    Config
	limits atomic.Pointer[Limits] // replaced, never changed
	engine *engine.Engine         // set by Serve before the first connection
	start  time.Time
	gnet   gnet.Engine // set by OnBoot
	booted chan struct{}
	ended  chan struct{} // closed when gnet has stopped

	instance    uint64 // in every WELCOME
	uids        atomic.Uint64
	open        atomic.Int64 // connections that were let in
	prelogin    atomic.Int64 // those not logged in
	outboxBytes atomic.Int64 // bytes that clients have still to take, of all sessions
	halfFrames  atomic.Int64 // bytes of frames that have not come whole yet, of all sessions
	refused     atomic.Int64 // connections over a limit that wait for their client to close
	stuck       atomic.Int64 // half-closed connections with bytes that the kernel does not take
	draining    atomic.Bool  // orders and logins are refused
	closing     atomic.Bool  // everything else that needs the engine is refused too

	handlers map[codec.Type]Handler // of the embedder's messages; not changed after Serve
	presence *presence

	loops atomic.Pointer[[]*loop] // replaced, never changed, under loopsMu
	mu    sync.Mutex              // guards replacing loops, perIP and door
	perIP map[netip.Addr]int
	door  pace // of letting connections in

	quoted *market.Prices // the snapshot that was quoted last; owned by whoever calls Quote

	stats Stats
}

// Stats are counters since the start.
type Stats struct {
	Accepted, RefusedFull, LoginTimeouts, Idle  atomic.Uint64
	CutOutbox, CutStalled, CutTotal, Lost       atomic.Uint64
	Busy, ProtocolErrors, LoginsRefused, Logins atomic.Uint64
	QuotesSkipped, Kicked                       atomic.Uint64
	Panics                                      atomic.Uint64
}

// New returns a gateway that does not listen yet.
func New(cfg Config) *Gateway {
	g := &Gateway{
		cfg: cfg, start: time.Now(), instance: 1 + rand.Uint64N(math.MaxUint64), booted: make(chan struct{}), ended: make(chan struct{}), perIP: make(map[netip.Addr]int),
		handlers: make(map[codec.Type]Handler),
	}
	g.presence = newPresence(g, cfg.PresenceAll)
	g.cfg.Hooks = append([]Hooks{g.presence.hooks()}, cfg.Hooks...)
	g.loops.Store(new([]*loop))
	g.SetLimits(cfg.Limits)
	return g
}

// holds is how many bytes the server holds for its clients: what they have still to take, and halves of frames.
func (g *Gateway) holds() int64 { return g.outboxBytes.Load() + g.halfFrames.Load() }

// SetLimits replaces the limits that Config gave. Any goroutine may call it. Whoever connects from now on is held to the
// new ones; connections that are open stay open, also when they are more than the new limits let in.
func (g *Gateway) SetLimits(limits Limits) { g.limits.Store(&limits) }

// Connections returns how many connections are open.
func (g *Gateway) Connections() int { return int(g.open.Load()) }

// Stats returns the counters; they go on counting.
func (g *Gateway) Stats() *Stats { return &g.stats }

// Serve listens, and serves until ctx ends; then it drains: new connections and orders are refused, what was taken is
// finished and answered, outboxes are flushed, everybody gets GOODBYE SHUTDOWN. It returns nil after that, and an error if it
// could not listen or gnet stopped by itself. ready is called once, with the address listened on.
func (g *Gateway) Serve(ctx context.Context, eng *engine.Engine, ready func(addr string)) error {
	g.engine = eng
	held, addr, err := hold(ctx, g.cfg.Listen)
	if err != nil {
		return err
	}
	ran := make(chan error, 1)
	go func() { // ends when gnet has stopped, which Serve waits for
		defer close(g.ended)
		err := gnet.Run(handler{g}, "tcp://"+addr, gnet.WithOptions(gnet.Options{
			NumEventLoop:     g.cfg.EventLoops,
			ReuseAddr:        true, // or a restart would fail on TIME_WAIT
			ReusePort:        true, // each loop accepts for itself, one connection at a time: a limit is overshot by one per loop at most
			TCPNoDelay:       gnet.TCPNoDelay,
			SocketSendBuffer: g.cfg.SocketSendBufferBytes,
			Ticker:           true,
			Logger:           gnetLog{g.cfg.Log},
			LogLevel:         logging.WarnLevel,
		}))
		g.closeAllHalfClosed()
		ran <- err
	}()
	select {
	case <-g.booted:
		_ = held.Close()
	case err := <-ran:
		_ = held.Close()
		return fmt.Errorf("%w %s: %w", ErrListen, addr, err)
	}
	ready(addr)
	select {
	case err := <-ran:
		return fmt.Errorf("the event loops stopped by themselves (accepting failed?): %w", errors.Join(errStopped, err))
	case <-ctx.Done():
	}
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.cfg.ShutdownTimeout)
	defer cancel()
	err = g.drain(deadline)
	now, cancelNow := context.WithCancel(context.WithoutCancel(ctx))
	cancelNow()
	_ = g.gnet.Stop(now) // it would look every half second whether it is done; ran tells at once
	return errors.Join(err, <-ran)
}

var errStopped = errors.New("gnet returned without being stopped")

// drain says goodbye in the order that the protocol gives.
func (g *Gateway) drain(ctx context.Context) error {
	// Orders are refused first. Queries are answered meanwhile, but not for ever: somebody always asks something.
	g.refuse(&g.draining)
	queries, cancelQueries := context.WithTimeout(ctx, g.cfg.ShutdownTimeout/4)
	defer cancelQueries()
	_ = g.engine.Drain(queries)
	g.refuse(&g.closing)
	err := g.engine.Drain(ctx)
	if err == nil {
		err = g.waitFor(ctx, func() bool { return g.outboxBytes.Load() <= 0 })
	}
	// An execution that a replay has not come to yet is still answered. Clients get the last part of the time to read
	// their GOODBYE; a client that does not read is not waited for longer.
	var rest time.Duration
	if until, ok := ctx.Deadline(); ok {
		rest = max(0, time.Until(until))
	}
	g.onEachLoop(func(l *loop) {
		l.now = g.millis()
		until := l.now + toMillis(rest)
		l.wheel.each(func(s *Session) {
			l.closeAfterAnswers(s, papertapev1.GoodbyeReason_GOODBYE_REASON_SHUTDOWN, stoppingText, until)
		})
	})
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*(rest+lingerFor))
	defer cancel()
	_ = g.waitFor(last, func() bool { return g.open.Load() == 0 }) // who has not closed by then is closed by Stop
	if errors.Is(err, errOutboxes) {
		return nil // who did not read was told GOODBYE as far as the socket took it, and resumes
	}
	return err
}

// refuse closes a gate, and returns when no loop is still handling a read that found it open.
func (g *Gateway) refuse(gate *atomic.Bool) {
	gate.Store(true)
	g.onEachLoop(func(*loop) {})
}

const stoppingText = "the server is stopping: come back later and resume"

var errOutboxes = errors.New("some clients did not read what was waiting for them")

// waitFor polls; every drain is over in milliseconds or ends at its deadline. Outboxes get half of what time there is.
func (g *Gateway) waitFor(ctx context.Context, done func() bool) error {
	limit := time.Duration(1<<62 - 1)
	if d, ok := ctx.Deadline(); ok {
		limit = time.Until(d) / 2
	}
	for end := time.Now().Add(limit); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return errOutboxes
		}
	}
	return nil
}

// onEachLoop runs f on every loop and returns when all have run, or gnet has stopped: it drops what waits then.
func (g *Gateway) onEachLoop(f func(*loop)) {
	loops := *g.loops.Load()
	ran, waiting := make(chan struct{}, len(loops)), 0
	for _, l := range loops {
		if l.el.Execute(context.Background(), gnet.RunnableFunc(func(context.Context) error {
			defer func() { ran <- struct{}{} }()
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

// loopOf returns what the gateway keeps of a gnet loop; it learns of one with its first connection.
func (g *Gateway) loopOf(el gnet.EventLoop) *loop {
	for _, l := range *g.loops.Load() {
		if l.el == el {
			return l
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	old := *g.loops.Load()
	l := &loop{gw: g, el: el, index: len(old), now: g.millis()}
	task := func(f func()) gnet.Runnable {
		return gnet.RunnableFunc(func(context.Context) error {
			defer l.contain("loop", nil)
			f()
			return nil
		})
	}
	l.flush, l.turn, l.early = task(l.flushDirty), task(l.tick), task(l.turnEarly)
	l.again, l.quote, l.quoteOn = task(l.retryPieces), task(l.sendQuotes), task(l.goOnQuoting)
	l.tellRound, l.tellOn, l.dueOn = task(l.tellPresence), task(l.goOnTelling), task(l.goOnTurning)
	l.watchers = make(map[uint64][]*Session)
	l.wheel.tick = toMillis(g.tick())
	l.wheel.at = l.now / l.wheel.tick * l.wheel.tick
	loops := append(old[:len(old):len(old)], l)
	g.loops.Store(&loops)
	return l
}

// tick is the width of a wheel's slots, and how often a wheel turns that has something to look at (see turnSoon): an eighth of the
// shortest deadline, between 5 and 50 ms.
func (g *Gateway) tick() time.Duration { return g.eighth(50 * time.Millisecond) }

// idleTick is how often all wheels turn: an eighth of the shortest deadline too, but up to half a second.
func (g *Gateway) idleTick() time.Duration { return g.eighth(500 * time.Millisecond) }

func (g *Gateway) eighth(most time.Duration) time.Duration {
	return max(5*time.Millisecond, min(most, min(g.cfg.Heartbeat, g.cfg.StallTimeout, g.cfg.LoginTimeout)/8))
}

func (g *Gateway) millis() millis { return toMillis(time.Since(g.start)) + 1 }

func toMillis(d time.Duration) millis { return millis(d / time.Millisecond) }

func (g *Gateway) contained(where string, p any) {
	g.stats.Panics.Add(1)
	g.cfg.Log.Error().Str("in", where).Any("panic", p).Bytes("stack", debug.Stack()).Msg("panic contained; its connection is closed")
}

// retryAfter is when a client that was sent away for this reason may come back.
func retryAfter(reason papertapev1.GoodbyeReason) time.Duration {
	switch reason {
	case papertapev1.GoodbyeReason_GOODBYE_REASON_SHUTDOWN, papertapev1.GoodbyeReason_GOODBYE_REASON_FULL:
		return time.Second
	case papertapev1.GoodbyeReason_GOODBYE_REASON_SLOW:
		return 100 * time.Millisecond
	}
	return 0
}

// busyRetryAfter is when to try again what was refused for overload.
const busyRetryAfter = 50 * time.Millisecond

// gnetLog hands gnet's own words to the logger.
type gnetLog struct{ log zerolog.Logger }

func (g gnetLog) Debugf(format string, args ...any) { g.log.Debug().Msgf("gnet: "+format, args...) }
func (g gnetLog) Infof(format string, args ...any)  { g.log.Debug().Msgf("gnet: "+format, args...) }
func (g gnetLog) Warnf(format string, args ...any)  { g.log.Warn().Msgf("gnet: "+format, args...) }
func (g gnetLog) Errorf(format string, args ...any) { g.log.Error().Msgf("gnet: "+format, args...) }

// Fatalf logs only: it is gnet's last word before Run returns, and Serve reports that.
func (g gnetLog) Fatalf(format string, args ...any) { g.log.Error().Msgf("gnet: "+format, args...) }
