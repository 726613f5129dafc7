package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/papertape/papertape/engine"
)

// Codes of errors, for programs.
const (
	codeBadRequest     = "bad_request"
	codeConflict       = "conflict"
	codeForbidden      = "forbidden"
	codeInternal       = "internal"
	codeMediaType      = "unsupported_media_type"
	codeMethod         = "method_not_allowed"
	codeMisdirected    = "misdirected"
	codeNotATrade      = "not_a_trade"
	codeNotFound       = "not_found"
	codeNotKept        = "not_kept"
	codeNotReady       = "not_ready"
	codeReadOnly       = "read_only"
	codeStopping       = "stopping"
	codeBusy           = "busy"
	codeTimeout        = "timeout"
	codeUnauthorized   = "unauthorized"
	codeUnknownAccount = "unknown_account"
	codeUnknownSession = "unknown_session"
	codeUnknownTrade   = "unknown_trade"
)

// A page of history: the numbers of the wire protocol.
const (
	historyDefault = 20
	historyMax     = 100
)

func (s *Server) live(w http.ResponseWriter, _ *http.Request) { answer(w, status{"alive"}) }

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	if err := s.cfg.Ready(); err != nil {
		fail(w, http.StatusServiceUnavailable, codeNotReady, err.Error())
		return
	}
	answer(w, status{"ready"})
}

func (s *Server) holdings(w http.ResponseWriter, r *http.Request) {
	account, ok := accountOf(w, r)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerTimeout)
	defer cancel()
	h, err := s.cfg.Books.Holdings(ctx, account)
	if err != nil {
		s.failBooks(w, account, err)
		return
	}
	answer(w, newHoldings(s.cfg.Universe, &h))
}

func (s *Server) history(w http.ResponseWriter, r *http.Request) {
	account, ok := accountOf(w, r)
	if !ok {
		return
	}
	before, limit := queryNumber(r, "before"), queryNumber(r, "limit")
	if limit == 0 {
		limit = historyDefault
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerTimeout)
	defer cancel()
	events, oldest, err := s.cfg.Books.History(ctx, account, before, int(min(limit, historyMax)))
	if err != nil {
		s.failBooks(w, account, err)
		return
	}
	answer(w, newHistory(s.cfg.Universe, account, oldest, events))
}

func (s *Server) simulator(w http.ResponseWriter, _ *http.Request) {
	st := s.cfg.Simulator.State()
	answer(w, Simulator{Rate: st.Rate, Fills: st.Fills, Refused: st.Refused, None: st.None, Skipped: st.Skipped})
}

func (s *Server) setSimulator(w http.ResponseWriter, r *http.Request) {
	var body setRate
	err := decodeBody(w, r, &body)
	if err == nil && body.Rate == nil {
		err = errors.New(`the rate is missing: write {"rate": 2000}`)
	}
	if err == nil {
		err = s.cfg.Simulator.SetRate(*body.Rate)
	}
	if err != nil {
		badRequest(w, err.Error())
		return
	}
	s.cfg.Log.Info().Float64("rate", *body.Rate).Str("by", r.RemoteAddr).Msg("simulator rate changed")
	s.simulator(w, r)
}

// failBooks answers what the ledger could not.
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
		fail(w, http.StatusGatewayTimeout, codeTimeout, fmt.Sprintf("the ledger did not answer within %s; try again", answerTimeout))
	default:
		s.cfg.Log.Error().Err(err).Uint64("account", account).Msg("console: the ledger failed")
		fail(w, http.StatusInternalServerError, codeInternal, "the ledger could not be read; the server's log says why")
	}
}

// accountOf reads the account of the path, or answers 400.
func accountOf(w http.ResponseWriter, r *http.Request) (uint64, bool) {
	text := r.PathValue("account")
	account, err := parseNumber(text)
	if err != nil {
		badRequest(w, fmt.Sprintf("%q is not an account; write its number, as in 100001", clip(text)))
		return 0, false
	}
	return account, true
}

// answer writes v as JSON with status 200. A client that goes away meanwhile is nobody's error.
func answer(w http.ResponseWriter, v any) { write(w, http.StatusOK, v) }

// badRequest answers what is wrong with a question, and what would be right.
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

// header says what kind of answer follows.
func header(w http.ResponseWriter, contentType string) {
	w.Header().Set("Content-Type", contentType)
}
