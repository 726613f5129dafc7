package console

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/papertape/papertape/audit"
)

const (
	loginPath  = "/api/v1/login"
	logoutPath = "/api/v1/logout"
	codePath   = "/api/v1/login/codes"
	loginPage  = "/console/login"
)

// loginRequest is the body of a login. One of its members is there.
type loginRequest struct {
	Token *string `json:"token"` // of a key, ID.SECRET, or of the server's token file
	Code  *string `json:"code"`  // as a command on the server's machine has made it
}

// LoggedIn says as whom a browser is logged in, and until when at most.
type LoggedIn struct {
	Name    string    `json:"name"`
	Role    string    `json:"role"`
	Expires time.Time `json:"expires"`
}

// LoginCode is a code that logs a browser in once, within 15 minutes.
type LoginCode struct {
	Code string `json:"code"`
	Path string `json:"path"` // of the page that takes it, with the code in its fragment, which no log sees
}

// login gives a browser a cookie for a token or a code. What is wrong counts as a wrong key does, by address.
func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	var body loginRequest
	if err := decodeBody(w, r, &body); err != nil {
		badRequest(w, err.Error())
		return
	}
	if (body.Token == nil) == (body.Code == nil) {
		badRequest(w, "a login takes token or code, one of them")
		return
	}
	from, now := sourceOf(remoteAddress(r), false), time.Now()
	if wait := s.guard.failures.wait(from, now); wait > 0 {
		s.guard.refuseLimited(w, r, Identity{}, wait)
		return
	}
	who, bearer, err := s.whoLogsIn(r, &body)
	if err != nil {
		s.guard.failures.count(from, now)
		s.guard.wrong.Add(1)
		s.guard.refuse(w, r, who, http.StatusUnauthorized, codeUnauthorized, err.Error())
		return
	}
	if who.Role == Nobody {
		s.guard.refuse(w, r, who, http.StatusForbidden, codeForbidden,
			"this key is not for the console: it needs the role watch or operate")
		return
	}
	id, err := s.logins.begin(who, bearer, remoteAddress(r))
	if err != nil {
		busy(w, 1, err.Error())
		return
	}
	http.SetCookie(w, loginCookie(r, id))
	s.noteLogin(r, who, "login")
	answer(w, LoggedIn{Name: actorName(who), Role: who.Role.String(), Expires: time.Now().Add(loginAgeMax).UTC()})
}

// errWrongToken is what is said of a token that nobody knows.
var errWrongToken = errors.New("the key or token is not one that this console knows")

// whoLogsIn returns whose token or code a login shows.
func (s *Server) whoLogsIn(r *http.Request, body *loginRequest) (who Identity, bearer string, err error) {
	if body.Code != nil {
		who, err = s.logins.redeem(strings.TrimSpace(*body.Code))
		return who, "", err
	}
	bearer = bearerOf(*body.Token)
	if s.cfg.Keys != nil {
		if who, ok := s.cfg.Keys.Authenticate(bearer, remoteAddress(r)); ok {
			return who, bearer, nil
		}
	}
	return Identity{}, "", errWrongToken
}

// bearerOf returns a token as programs send it. The line of a file of keys has a blank where they have a dot.
func bearerOf(text string) string {
	if fields := strings.Fields(text); len(fields) == 2 {
		return fields[0] + "." + fields[1]
	}
	return strings.TrimSpace(text)
}

// logout ends the login of the browser that asks, and its streams.
func (s *Server) logout(w http.ResponseWriter, r *http.Request) {
	if cookie, err := r.Cookie(cookieName(r)); err == nil {
		s.noteLogin(r, identityOf(r), "logout")
		s.logins.end(cookie.Value)
	}
	http.SetCookie(w, loginCookie(r, ""))
	answer(w, status{"logged_out"})
}

// makeCode answers with a code for whoever showed a key, or came by the socket. A browser that is logged in gets
// none: it would never have to log in again.
func (s *Server) makeCode(w http.ResponseWriter, r *http.Request) {
	if byCookie(r) {
		fail(w, http.StatusForbidden, codeForbidden,
			"a browser cannot log another one in; papertape console, on the server's machine, can")
		return
	}
	answer(w, s.newCode(identityOf(r)))
}

// LoginCode makes a code for an operator, which a terminal shows to who has started the server.
func (s *Server) LoginCode() LoginCode { return s.newCode(Identity{codeKey, actorDefault, Operate}) }

func (s *Server) newCode(who Identity) LoginCode {
	code := s.logins.code(Identity{codeKey, actorName(who), who.Role})
	return LoginCode{Code: code, Path: loginPage + "#" + code}
}

// KeysChanged ends the logins of browsers whose key is gone, or gives less than it did.
func (s *Server) KeysChanged() (ended int) { return s.logins.endRevoked() }

// noteLogin writes to the audit that a browser was logged in, or out.
func (s *Server) noteLogin(r *http.Request, who Identity, what string) {
	if s.cfg.Audit == nil {
		return
	}
	line := recordOf(r, who)
	line.Step, line.What, line.Status = audit.Noted, what, http.StatusOK
	_, err := s.cfg.Audit.Write(line)
	s.logUnwritten(&line, err)
}
