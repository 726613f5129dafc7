package console

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	stdlog "log"
	"net"
	"net/http"
	"time"

	"github.com/papertape/papertape/console/web"
)

// Limits of the console. It serves people and scripts, a few at a time. It has more connections
// than it answers requests at a time; the rest are always available for health checks.
const (
	connectionsMax = 512 // a further one closes the connection that has waited longest for a request
	perAddressMax  = 64  // likewise, of one address
	requestsMax    = 128 // answered at a time, not counting health; further ones are told to try again
	headerBytesMax = 16 << 10
	bodyBytesMax   = 64 << 10

	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	answerTimeout = 10 * time.Second // how long a handler may wait for the ledger
	walkTimeout   = 2 * time.Minute  // the same, for requests that go through all events of an account
	writeTimeout  = 30 * time.Second // for sending an answer; see extendDeadline for those that take long to make
	idleTimeout   = time.Minute
)

// Server is a console. Make one with New.
type Server struct {
	cfg      Config
	http     *http.Server
	guard    *guard
	counted  counted
	guarded  http.Handler // what is behind it
	logins   *logins
	web      *web.UI
	profiles profiles
	surveys  *surveys
	sampler  *sampler
	told     *summaries[string] // quotes, by the id of a key
	stopped  context.Context    // ends with stop
	listener *boundedListener
	socket   *boundedListener   // of its own, so that what comes by the network takes no place from it
	stop     context.CancelFunc // cancels the contexts of all requests
}

// New returns a console that does not serve yet.
func New(cfg Config) (*Server, error) {
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{
		cfg: cfg, stop: stop, stopped: ctx, surveys: newSurveys(), told: newSummaries[string](cfg.Audit),
		listener: &boundedListener{limit: connectionsMax, perAddress: perAddressMax},
		socket:   &boundedListener{limit: socketConnectionsMax},
	}
	s.logins = newLogins(cfg.Keys)
	s.sampler = newSampler(s)
	var err error
	if s.web, err = web.New(web.Config{Ask: s.askAPI, Viewer: viewerOf}); err != nil {
		stop()
		return nil, fmt.Errorf("console: %w", err)
	}
	s.guarded = s.mux()
	if s.guard, err = newGuard(&cfg, s.logins, s.guarded); err != nil {
		stop()
		return nil, fmt.Errorf("console: %w", err)
	}
	s.http = &http.Server{
		Handler:           secureHeaders(trackRequests(s.counted.countAnswers(s.handler()))),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext:       withConn,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerBytesMax,
		ErrorLog:          stdlog.New(cfg.Log, "", 0),

		DisableGeneralOptionsHandler: true, // it answers OPTIONS * without calling the handler
	}
	return s, nil
}

// Serve serves on ln until Shutdown; then it returns nil. It closes ln.
func (s *Server) Serve(ln net.Listener) error {
	s.listener.Listener = ln
	var on net.Listener = s.listener
	if s.cfg.TLS != nil {
		on = tls.NewListener(on, tlsConfig(s.cfg.TLS))
	}
	return withoutClosed(s.http.Serve(on))
}

// ServeSocket is Serve for the socket on this machine, which ListenSocket has made. Both may serve at
// the same time.
func (s *Server) ServeSocket(ln net.Listener) error {
	s.socket.Listener = ln
	return withoutClosed(s.http.Serve(s.socket))
}

func withoutClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// tlsConfig returns the configuration of a listener, which asks for the current one at each handshake.
// It offers HTTP/1 alone: a connection of HTTP/2 would be many requests, and have one place.
func tlsConfig(current func() *tls.Config) *tls.Config {
	harden := func(c *tls.Config) *tls.Config {
		c = c.Clone()
		c.MinVersion, c.NextProtos = tls.VersionTLS13, []string{"http/1.1"}
		return c
	}
	outer := harden(current())
	outer.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return harden(current()), nil }
	return outer
}

// FlushRefusals writes to the audit what is still to be said of refused requests.
func (s *Server) FlushRefusals() { s.guard.refusals.flush() }

// FlushQuotes writes to the audit what is still to be said of quotes that were told.
func (s *Server) FlushQuotes() { s.told.flush() }

// Refused returns how many requests had no key, or a wrong one, and how many were refused because of
// earlier wrong ones.
func (s *Server) Refused() (wrong, limited uint64) {
	return s.guard.wrong.Load(), s.guard.limited.Load()
}

// Shutdown stops listening, cancels what handlers wait for, and waits until they have answered.
// If ctx ends first, it closes the connections.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop()
	defer s.sampler.wait()
	if err := s.http.Shutdown(ctx); err != nil {
		return errors.Join(err, s.http.Close())
	}
	return nil
}
