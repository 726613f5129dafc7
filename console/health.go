package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

func live(w http.ResponseWriter, _ *http.Request) { answer(w, status{"alive"}) }

// answerReady returns a handler that says whether a server is ready. Asked with verbose, it says in plain
// text how each check stands, for people and for kubectl.
func answerReady(ready func() error, checks func() []Check) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("verbose") {
			answerChecks(w, ready(), checks)
			return
		}
		if err := ready(); err != nil {
			fail(w, http.StatusServiceUnavailable, codeNotReady, err.Error())
			return
		}
		answer(w, status{"ready"})
	}
}

// answerChecks answers a line a check. The status is that of an answer without verbose: a check that is bad
// does not make a server unready by itself.
func answerChecks(w http.ResponseWriter, unready error, checks func() []Check) {
	var text strings.Builder
	if checks != nil {
		for _, c := range checks() {
			mark := '+'
			if !c.OK {
				mark = '-'
			}
			_, _ = fmt.Fprintf(&text, "[%c]%s %s\n", mark, c.Name, c.Detail)
		}
	}
	header(w, "text/plain; charset=utf-8")
	if unready != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = fmt.Fprintf(&text, "readyz check failed: %v\n", unready)
	} else {
		text.WriteString("readyz check passed\n")
	}
	_, _ = io.WriteString(w, text.String())
}

// Limits of a health server. What asks it needs one connection for a moment.
const (
	healthConnectionsMax = 64
	healthHeaderBytesMax = 4 << 10
	healthTimeout        = 2 * time.Second
)

// Health answers /livez and /readyz on an address of its own, and nothing else: so whoever may reach
// it reaches nothing more, and what happens to the console does not happen to it. Make one with
// NewHealth.
type Health struct{ http *http.Server }

// NewHealth returns a health server that does not serve yet. ready returns nil, or why the server is
// not ready; checks are what /readyz?verbose says.
func NewHealth(ready func() error, checks func() []Check, log zerolog.Logger) *Health {
	all := healthRoutes(ready, checks)
	serve := func(w http.ResponseWriter, r *http.Request) {
		m, ok := all[r.URL.Path]
		if !ok {
			fail(w, http.StatusNotFound, codeNotFound,
				"there is nothing but /livez and /readyz here; the rest is at the address of the console")
			return
		}
		m.ServeHTTP(w, r)
	}
	return &Health{&http.Server{
		Handler:     secureHeaders(trackRequests(http.HandlerFunc(serve))),
		ConnContext: withConn, ReadHeaderTimeout: healthTimeout, ReadTimeout: healthTimeout,
		WriteTimeout: healthTimeout, IdleTimeout: healthTimeout, MaxHeaderBytes: healthHeaderBytesMax,
		ErrorLog: stdlog.New(log, "", 0), DisableGeneralOptionsHandler: true,
	}}
}

// Serve serves on ln until Shutdown; then it returns nil. It closes ln.
func (h *Health) Serve(ln net.Listener) error {
	err := h.http.Serve(&boundedListener{Listener: ln, limit: healthConnectionsMax})
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Shutdown stops it. If ctx ends before all have their answers, it closes the connections.
func (h *Health) Shutdown(ctx context.Context) error {
	if err := h.http.Shutdown(ctx); err != nil {
		return errors.Join(err, h.http.Close())
	}
	return nil
}
