package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/papertape/papertape/engine"
)

// Error codes, for programs.
const (
	codeBadRequest        = "bad_request"
	codeConflict          = "conflict"
	codeForbidden         = "forbidden"
	codeLimited           = "too_many_failures"
	codeInternal          = "internal"
	codeMediaType         = "unsupported_media_type"
	codeMethod            = "method_not_allowed"
	codeMisdirected       = "misdirected"
	codeNotATrade         = "not_a_trade"
	codeNotFound          = "not_found"
	codeNotKept           = "not_kept"
	codeNotReady          = "not_ready"
	codeReadOnly          = "read_only"
	codeStopping          = "stopping"
	codeBusy              = "busy"
	codeTimeout           = "timeout"
	codeUnauthorized      = "unauthorized"
	codeUnknownAccount    = "unknown_account"
	codeUnknownInstrument = "unknown_instrument"
	codeUnknownSession    = "unknown_session"
	codeUnknownTrade      = "unknown_trade"
)

// failBooks answers an error of the ledger.
func (s *Server) failBooks(w http.ResponseWriter, account uint64, err error) {
	switch {
	case errors.Is(err, engine.ErrUnknownAccount):
		fail(w, http.StatusNotFound, codeUnknownAccount, fmt.Sprintf("there is no account %d", account))
	case errors.Is(err, ErrNotReady):
		fail(w, http.StatusServiceUnavailable, codeNotReady, err.Error())
	case errors.Is(err, engine.ErrBusy):
		busy(w, 1, err.Error())
	case errors.Is(err, engine.ErrReadOnly):
		fail(w, http.StatusServiceUnavailable, codeReadOnly, err.Error())
	case errors.Is(err, engine.ErrStopped), errors.Is(err, context.Canceled):
		fail(w, http.StatusServiceUnavailable, codeStopping, "the server is stopping")
	case errors.Is(err, context.DeadlineExceeded):
		fail(w, http.StatusGatewayTimeout, codeTimeout,
			fmt.Sprintf("the ledger did not answer within %s; try again", answerTimeout))
	default:
		s.cfg.Log.Error().Err(err).Uint64("account", account).Msg("console: the ledger failed")
		fail(w, http.StatusInternalServerError, codeInternal, "the ledger could not be read; the server's log says why")
	}
}

// answer writes v as JSON with status 200. It is no error if the client has gone away.
func answer(w http.ResponseWriter, v any) { write(w, http.StatusOK, v) }

// badRequest answers 400. The message says what is wrong with the request, and what would be
// right.
func badRequest(w http.ResponseWriter, message string) {
	fail(w, http.StatusBadRequest, codeBadRequest, message)
}

func fail(w http.ResponseWriter, status int, code, message string) {
	write(w, status, failure{Error: ErrorBody{Code: code, Message: message}})
}

func write(w http.ResponseWriter, status int, v any) {
	header(w, "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// header sets the content type.
func header(w http.ResponseWriter, contentType string) {
	w.Header().Set("Content-Type", contentType)
}

// extendDeadline gives an answer that takes long to make more time to be written.
func extendDeadline(w http.ResponseWriter, long time.Duration) {
	// An error means that there is no deadline.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(long + writeTimeout))
}

// busy answers 503, and that the client may try again after so many seconds.
func busy(w http.ResponseWriter, seconds int, message string) {
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
	fail(w, http.StatusServiceUnavailable, codeBusy, message)
}

func notFound(w http.ResponseWriter, r *http.Request) {
	fail(w, http.StatusNotFound, codeNotFound, "there is nothing at "+clip(r.URL.Path)+
		"; see /livez, /readyz, /debug/pprof/ and /api/v1/openapi.yaml, which has it all")
}
