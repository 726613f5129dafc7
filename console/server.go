package console

import (
	"context"
	"errors"
	"fmt"
	stdlog "log"
	"maps"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/engine/gateway"
	"github.com/papertape/papertape/engine/simulator"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// Limits of the console. It serves people and scripts, a few at a time. The connections that it answers at once are fewer
// than those it has, by as many as can always ask for its health.
const (
	connectionsMax = 512 // for the next one, that is closed which has asked for nothing for the longest time
	requestsMax    = 128 // answered at a time, health not counted; the next one is told to try again
	headerBytesMax = 16 << 10
	bodyBytesMax   = 64 << 10

	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	answerTimeout = 10 * time.Second // what a handler may wait for the ledger
	walkTimeout   = 2 * time.Minute  // where it goes through all of an account's events
	writeTimeout  = 30 * time.Second // for what an answer takes to be read; allow puts it off where it takes long to make
	idleTimeout   = time.Minute
)

// Books answers questions about accounts. All methods wait for the ledger until ctx ends, and return
// engine.ErrUnknownAccount, engine.ErrStopped or ErrNotReady where that is so.
type Books interface {
	Holdings(ctx context.Context, account uint64) (positions.Holdings, error)
	// History returns up to limit events with sequences below before (0: from the newest), newest first, and the oldest
	// sequence kept (0: none).
	History(ctx context.Context, account, before uint64, limit int) (events []positions.Event, oldest uint64, err error)
	// Accounts lists up to limit accounts with numbers above after, ascending.
	Accounts(ctx context.Context, after uint64, limit int) ([]engine.AccountInfo, error)
	// Walk gives see the account's events from a sequence on, in order, up to the newest. Its errors are engine.ErrNotKept
	// and engine.ErrBusy, too.
	Walk(ctx context.Context, account, from uint64, see func(*positions.Event)) error
}

// Busts takes trades back, and corrects them.
type Busts interface {
	// Bust returns the event that did it; repeated: before, under the same id. A refusal is an *engine.BustRefusedError; other
	// errors are those of Books, engine.ErrBusy and engine.ErrReadOnly.
	Bust(ctx context.Context, r *positions.BustRequest) (ev positions.Event, repeated bool, err error)
}

// SessionList is the connections of clients. Its methods may be called by any goroutine.
type SessionList interface {
	Sessions() []gateway.SessionInfo
	Kick(uid uint64, reason string) bool // false: there is none
}

// LogLevel is the level of the log, which may be changed by any goroutine while the server runs.
type LogLevel interface {
	Level() string
	SetLevel(level string) error // the error says which levels there are
}

// SimulatedFlow is the flow of simulated trades. Its methods may be called by any goroutine.
type SimulatedFlow interface {
	SetRate(rate float64) error // fills a second; the error says which rates there are
	State() simulator.State
}

// Config is what a console shows.
type Config struct {
	Universe  *market.Universe
	Prices    func() *market.Prices // the current snapshot; any goroutine
	Books     Books
	Busts     Busts
	Sessions  SessionList
	Simulator SimulatedFlow
	LogLevel  LogLevel                                  // nil: it cannot be changed, and there is nothing at /api/v1/log
	Ready     func() error                              // nil, or why the server is not ready
	Counters  func() []Counter                          // any goroutine
	Backup    func(dir string) (bytes int64, err error) // to a new directory; any goroutine; nil: nothing is kept
	Token     string                                    // "": none is asked for
	Hosts     []string                                  // names it goes by, as ParseHost returns them, beside localhost
	Log       zerolog.Logger
}

// Server is a console. Make it with New.
type Server struct {
	cfg      Config
	http     *http.Server
	guard    *guard
	profiles profiles
	places   *places
	stop     context.CancelFunc // ends the contexts of all requests
}

// New returns a console that does not serve yet.
func New(cfg Config) (*Server, error) {
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{cfg: cfg, stop: stop, places: &places{most: connectionsMax}}
	var err error
	if s.guard, err = newGuard(cfg.Hosts, cfg.Token, s.mux()); err != nil {
		stop()
		return nil, fmt.Errorf("console: %w", err)
	}
	s.http = &http.Server{
		Handler:           sealed(occupying(s.handler())),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext:       inPlace,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerBytesMax,
		ErrorLog:          stdlog.New(cfg.Log, "", 0),

		DisableGeneralOptionsHandler: true, // which answers OPTIONS * past the handler
	}
	return s, nil
}

// Serve answers on ln, which it closes, until Shutdown; then it returns nil.
func (s *Server) Serve(ln net.Listener) error {
	s.places.Listener = ln
	err := s.http.Serve(s.places)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Shutdown stops listening, tells handlers that wait for the ledger to give up, and waits until they have answered. When ctx
// ends first, connections are cut.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop()
	if err := s.http.Shutdown(ctx); err != nil {
		return errors.Join(err, s.http.Close())
	}
	return nil
}

// operation is what a method does at a path.
type operation struct {
	handle http.HandlerFunc
	query  func(*http.Request) error // checks it; nil: there are no parameters
	body   bodyKind
}

// methods are the operations of one path.
type methods map[string]operation

// routes are the paths of a console and what is there, as http.ServeMux has them.
type routes map[string]methods

// health is for whoever asks, by whatever name: a supervisor has no token, and there is nothing to be learned that it may
// not know.
func (s *Server) health() routes {
	return routes{
		"/livez":  {"GET": {handle: s.live}},
		"/readyz": {"GET": {handle: s.ready}},
	}
}

// guarded is for those whom the guard lets in.
func (s *Server) guarded() routes {
	page := func(from string) func(*http.Request) error { return takes(number(from), number("limit")) }
	all := routes{
		"/api/v1/openapi.yaml":                {"GET": {handle: s.openapi}},
		"/api/v1/accounts":                    {"GET": {handle: s.accounts, query: page("after")}},
		"/api/v1/accounts/{account}/holdings": {"GET": {handle: s.holdings}},
		"/api/v1/accounts/{account}/history":  {"GET": {handle: s.history, query: page("before")}},
		backupPath:                            {"POST": {handle: s.backup, body: jsonBody}},
		bustsPath:                             {"POST": {handle: s.bust, body: jsonBody}},
		correctionsPath:                       {"POST": {handle: s.correct, body: jsonBody}},
		"/api/v1/counters":                    {"GET": {handle: s.counters}},
		"/api/v1/instruments":                 {"GET": {handle: s.instruments}},
		"/api/v1/sessions":                    {"GET": {handle: s.sessions}},
		"/api/v1/sessions/{uid}":              {"DELETE": {handle: s.kick, query: takes(parameter{"reason", checkReason})}},
		"/api/v1/simulator":                   {"GET": {handle: s.simulator}, "PUT": {handle: s.setSimulator, body: jsonBody}},
		"/api/v1/trades/{id}":                 {"GET": {handle: s.trade}},
	}
	if s.cfg.LogLevel != nil {
		all["/api/v1/log"] = methods{"GET": {handle: s.logLevel}, "PUT": {handle: s.setLogLevel, body: jsonBody}}
	}
	maps.Copy(all, s.profiles.routes())
	return all
}

// mux is what the guard lets through to.
func (s *Server) mux() http.Handler {
	guarded := http.NewServeMux()
	for path, m := range s.guarded() {
		guarded.Handle(path, m)
	}
	guarded.HandleFunc("/", nothingAt)
	return guarded
}

func (s *Server) handler() http.Handler {
	health := s.health()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if m, ok := health[r.URL.Path]; ok {
			m.ServeHTTP(w, r)
			return
		}
		s.guard.ServeHTTP(w, r)
	})
}

// ServeHTTP picks the operation of the method, or answers 405 in JSON, which http.ServeMux would not.
func (m methods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet // net/http drops the body
	}
	if o, ok := m[method]; ok {
		o.serve(w, r)
		return
	}
	var allowed []string
	for _, name := range []string{"GET", "PUT", "POST", "DELETE"} {
		if _, ok := m[name]; ok {
			allowed = append(allowed, name)
		}
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	fail(w, http.StatusMethodNotAllowed, codeMethod,
		r.URL.Path+" takes "+strings.Join(allowed, " or ")+", not "+clip(r.Method))
}

// serve handles a request whose form is right.
func (o *operation) serve(w http.ResponseWriter, r *http.Request) {
	query := o.query
	if query == nil {
		query = takes()
	}
	if err := query(r); err != nil {
		badRequest(w, err.Error())
		return
	}
	if !o.body.refuse(w, r) {
		o.handle(w, r)
	}
}

// allow puts the end of an answer off that takes so long to be made.
func allow(w http.ResponseWriter, long time.Duration) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(long + writeTimeout)) // where there is a deadline
}
