package console

import (
	"context"
	"errors"
	"fmt"
	stdlog "log"
	"net"
	"net/http"
	"time"
)

// Limits of the console. It serves people and scripts, a few at a time. It has more connections
// than it answers requests at a time; the rest are always available for health checks.
const (
	connectionsMax = 512 // a further one closes the connection that has waited longest for a request
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
	profiles profiles
	listener *boundedListener
	stop     context.CancelFunc // cancels the contexts of all requests
}

// New returns a console that does not serve yet.
func New(cfg Config) (*Server, error) {
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{cfg: cfg, stop: stop, listener: &boundedListener{limit: connectionsMax}}
	var err error
	if s.guard, err = newGuard(cfg.Hosts, cfg.Token, s.mux()); err != nil {
		stop()
		return nil, fmt.Errorf("console: %w", err)
	}
	s.http = &http.Server{
		Handler:           secureHeaders(trackRequests(s.handler())),
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
	err := s.http.Serve(s.listener)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Shutdown stops listening, cancels what handlers wait for, and waits until they have answered.
// If ctx ends first, it closes the connections.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop()
	if err := s.http.Shutdown(ctx); err != nil {
		return errors.Join(err, s.http.Close())
	}
	return nil
}
