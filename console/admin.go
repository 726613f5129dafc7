package console

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/http"

	"github.com/papertape/papertape/usertext"
)

// A page of accounts.
const (
	accountsDefault = 100
	accountsMax     = 1000
)

const reasonBytesMax = 200 // of a kick; it is a sentence for the client, not a letter

// reasonDefault is what a client is told who was kicked without a reason.
const reasonDefault = "an operator ended the session"

// description is the OpenAPI document of this console.
//
//go:embed openapi.yaml
var description []byte

func (s *Server) openapi(w http.ResponseWriter, _ *http.Request) {
	header(w, "application/yaml")
	_, _ = w.Write(description)
}

func (s *Server) accounts(w http.ResponseWriter, r *http.Request) {
	after, limit := queryNumber(r, "after"), queryNumber(r, "limit")
	if limit == 0 {
		limit = accountsDefault
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerTimeout)
	defer cancel()
	list, err := s.cfg.Books.Accounts(ctx, after, int(min(limit, accountsMax)))
	if err != nil {
		s.failBooks(w, 0, err)
		return
	}
	answer(w, newAccounts(list))
}

func (s *Server) counters(w http.ResponseWriter, _ *http.Request) {
	answer(w, Counters{s.cfg.Counters()})
}

func (s *Server) instruments(w http.ResponseWriter, _ *http.Request) {
	answer(w, newInstruments(s.cfg.Universe, s.cfg.Prices()))
}

func (s *Server) sessions(w http.ResponseWriter, _ *http.Request) {
	answer(w, newSessions(s.cfg.Sessions.Sessions()))
}

// kick ends a session, and answers with what it was just before.
func (s *Server) kick(w http.ResponseWriter, r *http.Request) {
	text := r.PathValue("uid")
	uid, err := parseNumber(text)
	if err != nil {
		badRequest(w, fmt.Sprintf("%q is not a session; write its uid, a number as GET /api/v1/sessions has it", clip(text)))
		return
	}
	reason := cmp.Or(r.URL.Query().Get("reason"), reasonDefault)
	for _, in := range s.cfg.Sessions.Sessions() {
		if in.UID == uid && s.cfg.Sessions.Kick(uid, reason) {
			s.cfg.Log.Info().Uint64("uid", uid).Uint64("account", in.Account).Str("remote", in.Remote).Str("reason", reason).
				Str("by", r.RemoteAddr).Msg("session ended by an operator")
			answer(w, newSession(&in))
			return
		}
	}
	fail(w, http.StatusNotFound, codeUnknownSession, fmt.Sprintf("there is no session %d; GET /api/v1/sessions lists them", uid))
}

// checkReason says what is wrong with a reason that is not a short line of text.
func checkReason(reason string) error { return usertext.CheckLine(reason, reasonBytesMax) }

func (s *Server) logLevel(w http.ResponseWriter, _ *http.Request) {
	answer(w, logLevel{s.cfg.LogLevel.Level()})
}

func (s *Server) setLogLevel(w http.ResponseWriter, r *http.Request) {
	var body logLevel
	err := decodeBody(w, r, &body)
	if err == nil && body.Level == "" {
		err = errors.New(`the level is missing: write {"level": "debug"}`)
	}
	before := s.cfg.LogLevel.Level()
	if err == nil {
		err = s.cfg.LogLevel.SetLevel(body.Level)
	}
	if err != nil {
		badRequest(w, err.Error())
		return
	}
	// Without a level of its own, so that it is seen whatever the level is now.
	s.cfg.Log.Log().Str("from", before).Str("to", s.cfg.LogLevel.Level()).Str("by", r.RemoteAddr).Msg("log level changed")
	s.logLevel(w, r)
}
