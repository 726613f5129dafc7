package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/papertape/papertape/cmd/papertape/config"
	"github.com/papertape/papertape/console"
	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/engine/gateway"
	"github.com/papertape/papertape/engine/simulator"
	"github.com/papertape/papertape/keys"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/market/bars"
	"github.com/papertape/papertape/market/calendar"
)

// server is a complete Papertape server. serve and demo run it, and tests run it in their own
// process.
type server struct {
	cfg      *config.Config
	log      zerolog.Logger
	universe *market.Universe // with what only the history in the ledger names, as delisted
	feed     *market.Feed
	hours    *calendar.Calendars
	tape     tapeReader                 // nil: nothing is replayed
	bars     atomic.Pointer[bars.Store] // nil until the data directory is locked
	gw       *gateway.Gateway
	keys     *keys.Store // nil: clients need none
	engine   *engine.Engine
	ledger   *ledger // nil: durability is none
	access   *access
	console  atomic.Pointer[console.Server] // nil until it serves
	opening  openingRecord
	// openingFound means that opening was read from the data directory, and does not come from the
	// configuration.
	openingFound bool
	flow         *simulator.Flow
	runner       *simulator.Runner // nil: no script
	timeline     *tapeClock        // nil: the machine's clock is gone by
	level        *logLevel         // the log's level; nil: fixed
	terminal     io.Writer         // for messages to a person; nil: none
	out          *logQueue         // the log's destination; nil: another one

	certificate atomic.Pointer[x509.Certificate] // of TLS; nil: none
	consoleTLS  atomic.Pointer[tls.Config]       // of the console, where other machines reach it

	unready   atomic.Pointer[unready] // nil: ready
	started   time.Time
	listening atomic.Pointer[string]  // where clients connect; nil: nowhere yet
	admin     atomic.Pointer[string]  // where the console listens
	health    atomic.Pointer[string]  // where health listens; nil: nowhere of its own
	inForce   func() []config.InForce // the settings; nil: those that the server was built with are not known
	recovered atomic.Bool             // the books are restored, and the engine may be asked
}

// addresses are the addresses of a running server, and the number of its accounts.
type addresses struct {
	listen, admin string
	health        string // or why health has no listener of its own
	accounts      int
}

// newServer builds a server from a checked configuration. script overrides cfg.Simulator.Script.
func newServer(cfg *config.Config, script *simulator.Script, log zerolog.Logger) (*server, error) {
	s := &server{cfg: cfg, log: log, access: newAccess(cfg), started: time.Now()}
	s.setUnready(console.StateStarting, "starting")
	if err := s.chooseLedger(); err != nil {
		return nil, err
	}
	if err := s.chooseUniverse(); err != nil {
		return nil, err
	}
	universe := s.universe
	if err := s.openFeed(); err != nil {
		return nil, err
	}
	if script == nil && cfg.Simulator.Script != "" {
		var err error
		if script, err = loadScript(cfg.Simulator.Script, universe); err != nil {
			return nil, cfg.Wrong("simulator.script", "%w", err)
		}
	}
	var hooks []gateway.Hooks
	var wrappers []gateway.Wrapper
	if s.timeline != nil {
		wrappers = append(wrappers, s.watchForOrders())
	}
	if script != nil {
		s.runner = simulator.NewRunner(script)
		hooks = append(hooks, gateway.Hooks{OnLogin: s.loggedIn})
	}
	connections, err := connectionsMax(cfg)
	if err != nil {
		return nil, err
	}
	if s.keys, err = openKeys(cfg); err != nil {
		return nil, err
	}
	s.access.keys = s.keys
	s.gw = gateway.New(gateway.Config{
		Listen: cfg.Listen, EventLoops: cfg.EventLoopCount(), Server: "papertape " + version,
		Limits:              connectionLimits(cfg, connections),
		RequestsInFlightMax: cfg.RequestsInFlightMax, OutboxBytesMax: int(cfg.OutboxBytesMax),
		OutboxTotalBytesMax:   cfg.OutboxTotalBytesMax,
		SocketSendBufferBytes: int(cfg.SocketSendBufferBytes),
		Heartbeat:             cfg.Heartbeat, LoginTimeout: cfg.LoginTimeout, StallTimeout: cfg.StallTimeout,
		ShutdownTimeout: cfg.ShutdownTimeout,
		TLS:             cfg.TLSConfig, ProxyFrom: cfg.ProxyProtocolFrom,
		Universe: universe, Prices: s.feed.Snapshot, Log: log, PresenceAll: cfg.Presence == "all", Hooks: hooks,
		Wrappers: wrappers,
		Keys:     s.keys, Bars: keptBars{s}, Clock: s.clockOf, Calendar: s.calendarOf,
	})
	s.feed.Watch(s.quoted)
	var journal engine.Journal = engine.NewMemoryJournal()
	readOnly := func() bool { return false }
	if s.ledger != nil {
		journal, readOnly = s.ledger, s.ledger.readOnly
	}
	s.engine, err = engine.New(engine.Config{
		Shards: cfg.ShardCount(), Workers: cfg.WorkerCount(),
		InboxOrdersMax: cfg.InboxOrdersMax, HistoryReadsMax: cfg.HistoryReadsMax,
		HistoryMemoryBytesMax: cfg.HistoryMemoryBytesMax, SessionsPerAccountMax: cfg.SessionsPerAccountMax,
		OrdersPerSecond: cfg.OrdersPerSecond,
		Universe:        universe, Prices: s.feed.Snapshot, Clock: s.clock(), WholeHistory: cfg.Export != "",
		Journal: journal, UncheckpointedBytesMax: cfg.UncheckpointedBytesMax, ReadOnly: readOnly,
		Outlet: s.gw, Log: log, Fatal: s.fatal, AdviseMemory: adviseMemory(cfg),
	})
	if err != nil {
		return nil, err
	}
	s.flow, err = simulator.NewFlow(s.engine, simulator.FlowConfig{
		Accounts: s.opening.Accounts, Seed: cfg.Seed, Rate: cfg.Simulator.Rate, Universe: universe,
	})
	return s, err
}

// chooseLedger decides where the ledger is, and which accounts it has or will be opened with.
func (s *server) chooseLedger() error {
	s.opening = openingRecord{Accounts: s.cfg.Accounts, Seed: s.cfg.Seed}
	if s.ledger = newLedger(s.cfg, s.log, s.fatal); s.ledger == nil {
		return nil
	}
	before, found, err := readOpening(s.cfg.Data)
	if s.openingFound = found; found {
		s.opening = before
	}
	return err
}

// fatal ends the process at once: any further answer might be wrong.
func (s *server) fatal(err error) {
	err = explainFull(err)
	s.log.Error().Err(err).Msg("the server cannot go on")
	if s.out != nil {
		s.out.stop()
	}
	os.Exit(1)
}

// run serves until ctx ends. It starts the console, which reports progress; recovers the ledger;
// and starts the prices, the gateway and the simulators. Then, in reverse order, it stops the
// simulators, drains the gateway, closes the ledger and stops the console. ready is called once.
func (s *server) run(ctx context.Context, ready func(addresses)) error {
	admin, stopConsole, err := s.serveConsole(ctx)
	if err != nil {
		return err
	}
	defer stopConsole()
	health, stopHealth, err := s.serveHealth(ctx)
	if err != nil {
		return err
	}
	defer stopHealth()
	closeLedger, err := s.openLedger(ctx)
	if err == nil {
		err = s.serve(ctx, func(listen string) { ready(addresses{listen, admin, health, s.opening.Accounts}) })
		if err == nil {
			err = s.export(context.WithoutCancel(ctx))
		}
	}
	if err = errors.Join(err, closeLedger()); err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		s.log.Info().Msg("told to stop before it was ready")
		return nil
	}
	return err
}

// serveConsole starts the console, and returns its address and a function to stop it.
func (s *server) serveConsole(ctx context.Context) (address string, stop func(), err error) {
	ln, err := net.Listen("tcp", s.cfg.Admin)
	if err != nil {
		return "", nil, config.Errorf("admin: listen on %s: %w "+
			"(is another server running there? name another address with --admin)", s.cfg.Admin, err)
	}
	admin, err := s.newConsole()
	if err != nil {
		return "", nil, errors.Join(err, ln.Close())
	}
	s.console.Store(admin)
	at := ln.Addr().String()
	s.admin.Store(&at)
	var serving sync.WaitGroup
	serving.Go(func() { _ = admin.Serve(ln) }) // ends with Shutdown
	switch socket, err := console.ListenSocket(ln.Addr().String()); {
	case err != nil:
		s.log.Warn().Err(err).Msg("there is no socket for the commands, so they need a token to change something")
	default:
		serving.Go(func() { _ = admin.ServeSocket(socket) }) // likewise
	}
	return ln.Addr().String(), func() {
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = admin.Shutdown(limit)
		serving.Wait()
	}, nil
}

// serve accepts clients until ctx ends. It returns when the last one has been sent GOODBYE and
// nobody submits requests any more. ready is called once, with the address.
func (s *server) serve(ctx context.Context, ready func(listen string)) error {
	stopKeeping := s.keepBars(ctx)
	defer stopKeeping() // after all that changes quotes
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	var background sync.WaitGroup
	defer background.Wait()
	defer stopWork()
	s.useCertificate(s.cfg.TLSConfig)
	background.Go(func() { s.warnOfExpiry(work) })
	background.Go(func() { s.turn(work) })
	background.Go(func() { s.drivePrices(work) })
	s.logHeads(work, &background)

	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	listening, served := make(chan string, 1), make(chan error, 1)
	go func() { // waited for below
		served <- s.gw.Serve(serving, s.engine, func(addr string) { listening <- addr })
	}()
	var simulators sync.WaitGroup
	played := make(chan error, 1)
	select {
	case err := <-served:
		return asConfigError(err)
	case addr := <-listening:
		s.simulate(work, &simulators, played)
		s.listening.Store(&addr)
		s.unready.Store(nil)
		ready(addr)
	}
	var err error
	select {
	case err = <-served: // the event loops stopped by themselves
	case err = <-played: // the tape has ended
		played <- err
		err = nil
	case <-ctx.Done():
	}
	s.setUnready(console.StateDraining, "draining")
	stopWork()
	simulators.Wait() // the gateway drains after the last simulator has stopped submitting
	if err != nil {
		return err
	}
	stopServing()
	err = <-served
	select {
	case failure := <-played:
		err = errors.Join(failure, err)
	default:
	}
	return err
}

// simulate starts whoever trades by himself. The end of a tape is told to played.
func (s *server) simulate(work context.Context, simulators *sync.WaitGroup, played chan<- error) {
	if s.timeline != nil {
		simulators.Go(func() { played <- s.playTape(work) })
		return
	}
	simulators.Go(func() { s.flow.Run(work) })
	if s.runner != nil {
		simulators.Go(func() { s.runner.Run(work, exchange{s.engine, s}) })
	}
}

// asConfigError turns an error to listen on an address into a configuration error.
func asConfigError(err error) error {
	if errors.Is(err, gateway.ErrListen) {
		return config.Error{Err: err}
	}
	return err
}

// unready is why a server is not ready.
type unready struct {
	state, why string
	percent    int // of the recovery
}

func (s *server) setUnready(state, why string) { s.unready.Store(&unready{state: state, why: why}) }

// ready returns the reason why the server is not ready, or nil. A server with an event loop that stands still is not.
func (s *server) ready() error {
	if why := s.unready.Load(); why != nil {
		return errors.New(why.why)
	}
	return s.gw.Late()
}

// newConsole returns the server's console.
func (s *server) newConsole() (*console.Server, error) {
	cfg := console.Config{
		Universe: s.universe, Prices: s.feed.Snapshot, Books: books{s}, Busts: books{s}, Bookings: books{s},
		Sessions:  s.gw,
		Simulator: operatedFlow{s.flow, s}, Market: s, Bars: keptBars{s}, Clock: s.clockOf, Calendar: s.calendarOf,
		About: s.about, Limits: s.limits, Checks: s.checks, Journal: s.journalState, Settings: s.settings,
		AuditPages: s.access.audit, Latencies: &latencies{server: s},
		Counters: s.counters, Metrics: s.metrics(), Ready: s.ready, Hosts: s.cfg.AdminHosts, Log: s.log,
		Keys: s.access, Anonymous: anonymousRole(s.cfg), Audit: s.access.audit,
	}
	if s.cfg.BackupDir != "" {
		var err error
		if cfg.BackupDir, err = filepath.Abs(s.cfg.BackupDir); err != nil {
			return nil, err
		}
	}
	if s.ledger != nil {
		cfg.Backup = s.ledger.backUp
	}
	if s.level != nil {
		cfg.LogLevel = s.level
	}
	if s.runner != nil {
		cfg.Script = s.runner.Progress
	}
	if s.keys != nil {
		cfg.ReloadKeys = s.reloadKeysFor
	}
	if s.cfg.TLSConfig != nil && !config.IsLoopback(s.cfg.Admin) {
		s.consoleTLS.Store(s.cfg.TLSConfig)
		cfg.TLS = s.consoleTLS.Load
	}
	return console.New(cfg)
}
