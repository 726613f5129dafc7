package gateway

import (
	"context"
	cryptorand "crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"
	"github.com/panjf2000/gnet/v2/pkg/logging"
	"github.com/rs/zerolog"

	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/keys"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/tally"
)

// Config is what a gateway is made of. All fields are required except Log, Hooks, Wrappers and those that say so.
type Config struct {
	Listen     string // host:port; port 0 takes a free one
	EventLoops int
	Server     string // name and version, for WELCOME

	Limits                    // at the start; see SetLimits
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

	Bars  Bars                           // nil: none are kept
	Clock func(market string) ClockState // any goroutine; nil: no hours are kept
	// Calendar returns the trading days from one date to another, as 2026-01-05, both included. Any goroutine; nil: no
	// calendar is kept.
	Calendar func(market, from, to string) ([]CalendarDay, error)

	TLS       *tls.Config    // nil: connections are not encrypted; see SetTLS
	ProxyFrom []netip.Prefix // peers of which a PROXY header is required; it is never looked for elsewhere

	PresenceAll bool // subscribers of presence are told of all accounts, not only of their own

	Keys *keys.Store // who may log in to what; nil: everybody to everything. See KeysChanged

	Hooks    []Hooks   // called in this order
	Wrappers []Wrapper // called in this order
}

// Gateway is the network edge of one server. It is the engine's Outlet.
type Gateway struct {
	cfg      Config
	engine   *engine.Engine // set by Serve before the first connection
	start    time.Time
	began    int64                  // start, by tally.Now
	instance uint64                 // in every WELCOME
	handlers map[codec.Type]Handler // of the embedder's messages; not changed after Serve
	presence *presence
	nonceKey [32]byte // random

	gnet   gnet.Engine   // set by OnBoot
	booted chan struct{} // closed when gnet's loops have started
	ended  chan struct{} // closed when gnet has stopped

	admission
	attempts    attempts
	uids        atomic.Uint64
	outboxBytes atomic.Int64 // bytes that clients have still to take, of all sessions
	halfFrames  atomic.Int64 // bytes of frames that have not come whole yet, of all sessions
	stuck       atomic.Int64 // half-closed connections with bytes that the kernel does not take
	draining    atomic.Bool  // orders and logins are refused
	closing     atomic.Bool  // everything else that needs the engine is refused too

	tls     atomic.Pointer[tls.Config] // replaced, never changed; nil: none
	loops   atomic.Pointer[[]*loop]    // replaced, never changed, under loopsMu
	loopsMu sync.Mutex

	quoted *market.Prices // the snapshot that was quoted last; owned by the caller of Quote

	lateAfter time.Duration // the constant, except in a test

	gone endedSessions

	stats      Stats
	publishers []*publisher // complete before the first request
}

// Stats are counters since the start.
type Stats struct {
	Accepted, RefusedFull, LoginTimeouts, Idle  atomic.Uint64
	CutOutbox, CutStalled, CutTotal, Lost       atomic.Uint64
	Busy, ProtocolErrors, LoginsRefused, Logins atomic.Uint64
	Handshakes, HandshakesFailed                atomic.Uint64
	HandshakesRefused                           atomic.Uint64 // too many began at once
	QuotesSkipped, Kicked                       atomic.Uint64
	AuthFailed, AuthLimited, AuthRevoked        atomic.Uint64
	Panics                                      atomic.Uint64
}

// New returns a gateway that does not listen yet.
func New(cfg Config) *Gateway {
	g := &Gateway{
		cfg: cfg, start: time.Now(), began: tally.Now(), instance: 1 + rand.Uint64N(math.MaxUint64),
		lateAfter: lateAfter,
		booted:    make(chan struct{}), ended: make(chan struct{}), handlers: make(map[codec.Type]Handler),
	}
	_, _ = cryptorand.Read(g.nonceKey[:]) // never fails
	g.perIP = make(map[netip.Addr]int)
	g.presence = newPresence(g, cfg.PresenceAll)
	g.cfg.Hooks = append([]Hooks{g.presence.hooks()}, cfg.Hooks...)
	g.loops.Store(new([]*loop))
	if cfg.TLS != nil {
		g.tls.Store(serverTLS(cfg.TLS))
	}
	g.SetLimits(cfg.Limits)
	return g
}

// Stats returns the counters, which go on counting.
func (g *Gateway) Stats() *Stats { return &g.stats }

// Serve listens, and serves until ctx ends. Then it drains: new connections and orders are refused, what was taken is
// finished and answered, outboxes are flushed, everybody gets GOODBYE SHUTDOWN, and Serve returns nil. It returns an
// error if it could not listen, or gnet stopped by itself. ready is called once, with the address listened on.
func (g *Gateway) Serve(ctx context.Context, eng *engine.Engine, ready func(addr string)) error {
	g.engine = eng
	held, addr, err := hold(ctx, g.cfg.Listen)
	if err != nil {
		return err
	}
	ran := make(chan error, 1)
	go g.runLoops(addr, ran) // ends when gnet has stopped, which Serve waits for
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

// runLoops runs gnet until it stops, and sends what it returned.
func (g *Gateway) runLoops(addr string, ran chan<- error) {
	defer close(g.ended)
	err := gnet.Run(handler{g}, "tcp://"+addr, gnet.WithOptions(gnet.Options{
		NumEventLoop: g.cfg.EventLoops,
		ReuseAddr:    true, // or a restart would fail on TIME_WAIT
		// Each loop accepts for itself, one connection at a time: a limit is overshot by one per loop at most.
		ReusePort:        true,
		TCPNoDelay:       gnet.TCPNoDelay,
		SocketSendBuffer: g.cfg.SocketSendBufferBytes,
		Ticker:           true,
		Logger:           gnetLog{g.cfg.Log},
		LogLevel:         logging.WarnLevel,
	}))
	g.closeAllHalfClosed()
	ran <- err
}
