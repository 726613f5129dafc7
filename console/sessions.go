package console

import (
	"fmt"
	"math"
	"net/http"

	"github.com/papertape/papertape/engine/gateway"
	"github.com/papertape/papertape/usertext"
)

const reasonBytesMax = 200 // of a kick; it is a sentence for the client, not a letter

// reasonDefault is what a client is told when it is kicked without a reason.
const reasonDefault = "an operator ended the session"

// kickRequest is the body of a kick, which may be left out.
type kickRequest struct {
	Reason *string `json:"reason,omitempty"` // what the client is told
}

// sessionsMax is how many sessions a page has at most.
const sessionsMax = 1000

// sessionOrders are the words by which sessions are sorted.
var sessionOrders = map[string]gateway.SessionOrder{
	"uid": gateway.ByUID, "account": gateway.ByAccount, "waiting": gateway.ByWaiting, "in_flight": gateway.ByInFlight,
	"frames_sent": gateway.ByFramesSent, "bytes_sent": gateway.ByBytesSent,
	"frames_received": gateway.ByFramesReceived, "bytes_received": gateway.ByBytesReceived,
}

// sessionStates are the words for what a session does.
var sessionStates = map[string]gateway.SessionState{
	"not_logged_in": gateway.NotLoggedIn, "catching_up": gateway.CatchingUp, "live": gateway.Live,
}

var sessionsQuery = acceptParameters(number("limit"), number("after"), number("account"),
	oneOf("state", "catching_up", "live", "not_logged_in"), number("min_waiting"), text("remote"),
	sorted("sort", sessionOrders))

func (s *Server) sessions(w http.ResponseWriter, r *http.Request) {
	limit, after := queryNumber(r, "limit"), queryNumber(r, "after")
	by, descending := sortOf(r, sessionOrders)
	q := gateway.SessionSearch{
		After: after, Account: queryNumber(r, "account"), State: sessionStates[r.URL.Query().Get("state")],
		MinWaiting: int(min(queryNumber(r, "min_waiting"), math.MaxInt32)), Remote: r.URL.Query().Get("remote"),
		By: by, Descending: descending, Limit: int(min(limit, sessionsMax)),
	}
	byUID := q.By == gateway.ByUID && !q.Descending
	switch {
	case limit == 0 && !byUID:
		badRequest(w, "sort needs a limit, as in limit=100: without one all sessions are answered, by uid")
		return
	case after > 0 && !byUID:
		badRequest(w, "after goes with sessions by uid, and not with sort")
		return
	case limit == 0:
		q.Limit = math.MaxInt
	}
	answer(w, s.findSessions(q))
}

func (s *Server) findSessions(q gateway.SessionSearch) Sessions {
	list, total, totals := s.cfg.Sessions.FindSessions(q)
	return newSessions(list, total, totals)
}

// The number of ended sessions on a page.
const endedDefault = 100

var endedQuery = acceptParameters(number("limit"), number("account"), oneOf("cause", gateway.EndCauses()...))

func (s *Server) endedSessions(w http.ResponseWriter, r *http.Request) {
	limit := queryNumber(r, "limit")
	if limit == 0 {
		limit = endedDefault
	}
	account, cause := queryNumber(r, "account"), r.URL.Query().Get("cause")
	list, all := s.cfg.Sessions.Ended(int(min(limit, sessionsMax)), func(e *gateway.EndedSession) bool {
		return (account == 0 || e.Account == account) && (cause == "" || e.Cause == cause)
	})
	answer(w, newEndedSessions(list, all))
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
