package console

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	stdlog "log"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/engine/gateway"
	"github.com/papertape/papertape/engine/simulator"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// Limits of the console. It serves people and scripts, a few at a time.
const (
	connectionsMax = 128 // further ones wait in the listener's backlog
	headerBytesMax = 16 << 10
	bodyBytesMax   = 64 << 10

	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	answerTimeout = 10 * time.Second // what a handler may wait for the ledger
	writeTimeout  = 30 * time.Second // net/http/pprof extends it for profiles
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
	Log       zerolog.Logger
}

// Server is a console. Make it with New.
type Server struct {
	cfg  Config
	http *http.Server
	stop context.CancelFunc // ends the contexts of all requests
}

// New returns a console that does not serve yet.
func New(cfg Config) *Server {
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{cfg: cfg, stop: stop}
	s.http = &http.Server{
		Handler:           s.handler(),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerBytesMax,
		ErrorLog:          stdlog.New(cfg.Log, "", 0),
	}
	return s
}

// Serve answers on ln, which it closes, until Shutdown; then it returns nil.
func (s *Server) Serve(ln net.Listener) error {
	err := s.http.Serve(limit(ln, connectionsMax))
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

// methods are the handlers of one path.
type methods map[string]http.HandlerFunc

// routes are the paths of a console and what is there, as http.ServeMux has them.
type routes map[string]methods

// health is for whoever asks: a supervisor has no token.
func (s *Server) health() routes {
	return routes{
		"/livez":  {"GET": s.live},
		"/readyz": {"GET": s.ready},
	}
}

// guarded is for those who have the token, where there is one.
func (s *Server) guarded() routes {
	all := routes{
		"/api/v1/openapi.yaml":                {"GET": s.openapi},
		"/api/v1/accounts":                    {"GET": s.accounts},
		"/api/v1/accounts/{account}/holdings": {"GET": s.holdings},
		"/api/v1/accounts/{account}/history":  {"GET": s.history},
		backupPath:                            {"POST": s.backup},
		bustsPath:                             {"POST": s.bust},
		correctionsPath:                       {"POST": s.correct},
		"/api/v1/counters":                    {"GET": s.counters},
		"/api/v1/instruments":                 {"GET": s.instruments},
		"/api/v1/sessions":                    {"GET": s.sessions},
		"/api/v1/sessions/{uid}":              {"DELETE": s.kick},
		"/api/v1/simulator":                   {"GET": s.simulator, "PUT": s.setSimulator},
		"/api/v1/trades/{id}":                 {"GET": s.trade},

		// Importing net/http/pprof puts these on the default mux of the process as well; nothing serves that one.
		"/debug/pprof/":        {"GET": pprof.Index},
		"/debug/pprof/cmdline": {"GET": pprof.Cmdline},
		"/debug/pprof/profile": {"GET": pprof.Profile},
		"/debug/pprof/symbol":  {"GET": pprof.Symbol, "POST": pprof.Symbol},
		"/debug/pprof/trace":   {"GET": pprof.Trace},
	}
	if s.cfg.LogLevel != nil {
		all["/api/v1/log"] = methods{"GET": s.logLevel, "PUT": s.setLogLevel}
	}
	return all
}

func (s *Server) handler() http.Handler {
	open, guarded := http.NewServeMux(), http.NewServeMux()
	for path, m := range s.health() {
		open.Handle(path, m)
	}
	for path, m := range s.guarded() {
		guarded.Handle(path, m)
	}
	open.Handle("/", s.guard(guarded))
	guarded.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, http.StatusNotFound, codeNotFound,
			"there is nothing at "+r.URL.Path+"; see /livez, /readyz, /debug/pprof/ and /api/v1/openapi.yaml, which has it all")
	})
	return open
}

// ServeHTTP picks the handler of the method, or answers 405 in JSON, which http.ServeMux would not.
func (m methods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet // net/http drops the body
	}
	if handler, ok := m[method]; ok {
		handler(w, r)
		return
	}
	var allowed []string
	for _, name := range []string{"GET", "PUT", "POST", "DELETE"} {
		if m[name] != nil {
			allowed = append(allowed, name)
		}
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	fail(w, http.StatusMethodNotAllowed, codeMethod, r.URL.Path+" takes "+strings.Join(allowed, " or ")+", not "+r.Method)
}

// guard keeps out who has no token, and pages of other sites that make a visitor's browser write to a console on loopback.
func (s *Server) guard(next http.Handler) http.Handler {
	const scheme = "Bearer "
	want := sha256.Sum256([]byte(s.cfg.Token)) // hashed, so that comparing does not tell the length either
	origins := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := origins.Check(r); err != nil {
			fail(w, http.StatusForbidden, codeForbidden, "a page of another site may not change this server")
			return
		}
		if s.cfg.Token != "" {
			given, ok := strings.CutPrefix(r.Header.Get("Authorization"), scheme)
			got := sha256.Sum256([]byte(given))
			if !ok || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
				w.Header().Set("WWW-Authenticate", strings.TrimSpace(scheme))
				fail(w, http.StatusUnauthorized, codeUnauthorized,
					"this console wants its token: name the file that holds it with --admin-token-file")
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}
