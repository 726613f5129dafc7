package console

import (
	"fmt"
	"net/http"

	"github.com/papertape/papertape/usertext"
)

const reasonBytesMax = 200 // of a kick; it is a sentence for the client, not a letter

// reasonDefault is what a client is told when it is kicked without a reason.
const reasonDefault = "an operator ended the session"

// kickRequest is the body of a kick, which may be left out.
type kickRequest struct {
	Reason *string `json:"reason,omitempty"` // what the client is told
}

func (s *Server) sessions(w http.ResponseWriter, _ *http.Request) {
	answer(w, newSessions(s.cfg.Sessions.Sessions()))
}

// kick ends a session, and answers with the session as it was.
func (s *Server) kick(w http.ResponseWriter, r *http.Request) {
	text := r.PathValue("uid")
	uid, err := parseNumber(text)
	if err != nil {
		badRequest(w, fmt.Sprintf("%q is not a session; write its uid, a number as GET /api/v1/sessions has it",
			clip(text)))
		return
	}
	var body kickRequest
	if r.ContentLength != 0 {
		err = decodeBody(w, r, &body)
	}
	if err == nil && body.Reason != nil {
		if err = checkReason(*body.Reason); err != nil {
			err = fmt.Errorf("reason: %w", err)
		}
	}
	if err != nil {
		badRequest(w, err.Error())
		return
	}
	reason := reasonDefault
	if body.Reason != nil {
		reason = *body.Reason
	}
	for _, in := range s.cfg.Sessions.Sessions() {
		if in.UID == uid && s.cfg.Sessions.Kick(uid, reason) {
			s.cfg.Log.Info().Uint64("uid", uid).Uint64("account", in.Account).Str("remote", in.Remote).
				Str("reason", reason).Func(signedBy(r)).Msg("session ended by an operator")
			answer(w, newSession(&in))
			return
		}
	}
	fail(w, http.StatusNotFound, codeUnknownSession,
		fmt.Sprintf("there is no session %d; GET /api/v1/sessions lists them", uid))
}

// checkReason returns what is wrong with a reason that is not a short line of text.
func checkReason(reason string) error { return usertext.CheckLine(reason, reasonBytesMax) }
