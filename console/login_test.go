package console

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/papertape/papertape/audit"
)

// pagePolicy is the content policy of a page.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; worker-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// isAPI reports whether the path of a route is described in openapi.yaml.
func isAPI(path string) bool {
	return strings.HasPrefix(path, "/api/") || strings.HasPrefix(path, "/debug/") ||
		path == "/livez" || path == "/readyz" || path == "/metrics"
}

// own are headers that the console's own pages send.
var own = []string{"Origin", "http://127.0.0.1:7301", "Sec-Fetch-Site", "same-origin"}

// logIn logs a browser in, and returns its headers from then on.
func (f *fixture) logIn(t *testing.T, body string) []string {
	t.Helper()
	w := f.ask("POST", loginPath, body, own...)
	if w.Code != 200 {
		t.Fatalf("login with %s: %d %s", body, w.Code, w.Body)
	}
	cookie := w.Result().Cookies()[0]
	return append([]string{"Cookie", cookie.Name + "=" + cookie.Value}, own...)
}

// checkLogins asks for what everybody may ask for, in the ways that its description has.
func (c *contract) checkLogins(t *testing.T, described map[string]node) {
	f, full := newFixtureWith(t, func(c *Config) { c.Keys, c.Anonymous = keyring{}, Nobody }), newFixture(t, "")
	for range requestsMax {
		full.server.guard.slots <- struct{}{}
	}
	guessed := newFixture(t, "0123456789abcdef")
	for range 1000 {
		guessed.server.guard.failures.count(sourceOf(netip.MustParseAddr("192.0.2.1"), false), time.Now())
	}
	check := func(name string, status int, w *httptest.ResponseRecorder) {
		t.Helper()
		if err := c.check(name, described[name], w); err != nil || w.Code != status {
			t.Errorf("%s: %d, want %d: %v", name, w.Code, status, err)
		}
	}
	login, logout, codes := "POST "+loginPath, "POST "+logoutPath, "POST "+codePath
	check(login, 200, f.ask("POST", loginPath, `{"token":"K.watch"}`))
	check(login, 400, f.ask("POST", loginPath, `{}`))
	check(login, 401, f.ask("POST", loginPath, `{"token":"x"}`))
	check(login, 403, f.ask("POST", loginPath, `{"token":"K.nobody"}`))
	check(login, 415, f.ask("POST", loginPath, `{}`, "Content-Type", "text/plain"))
	check(login, 421, f.askHost("evil.example", "POST", loginPath, `{}`))
	check(login, 429, guessed.ask("POST", loginPath, `{"token":"x"}`))
	check(login, 503, full.ask("POST", loginPath, `{}`))
	check(logout, 200, f.ask("POST", logoutPath, ""))
	check(logout, 400, f.ask("POST", logoutPath, "{}"))
	check(logout, 403, f.ask("POST", logoutPath, "", "Sec-Fetch-Site", "cross-site"))
	check(logout, 421, f.askHost("evil.example", "POST", logoutPath, ""))
	check(logout, 503, full.ask("POST", logoutPath, ""))
	made := f.ask("POST", codePath, "", "Authorization", "Bearer K.operate")
	_, code, _ := strings.Cut(made.Body.String(), `{"code":"`)
	code, _, _ = strings.Cut(code, `"`)
	check(codes, 200, made)
	request := `{"code":"` + code + `"}`
	if err := c.matchBody(described[login], &question{body: request, status: 200}); err != nil {
		t.Errorf("the body of a login: %v", err)
	}
	if err := c.matchBody(described[login], &question{body: `{"token":"x"}`, status: 200}); err != nil {
		t.Errorf("the body of a login: %v", err)
	}
	check(login, 200, f.ask("POST", loginPath, request))
}

// newLoginFixture is a console with a key of each role, where only health is for everybody.
func newLoginFixture(t *testing.T) *fixture {
	t.Helper()
	return newFixtureWith(t, func(c *Config) { c.Keys, c.Anonymous = keyring{}, Nobody })
}

// TestLoginCookie: a cookie stands for its key in /api and /console, never in /debug, and cannot be read by scripts
// nor sent by other sites.
func TestLoginCookie(t *testing.T) {
	f := newLoginFixture(t)
	w := f.ask("POST", loginPath, `{"token":" K.operate\n"}`, own...)
	got := w.Header().Get("Set-Cookie")
	if want := "; Path=/; HttpOnly; SameSite=Strict"; w.Code != 200 || !strings.HasPrefix(got, "papertape-7301=") ||
		!strings.HasSuffix(got, want) {
		t.Errorf("%d, the cookie is %s", w.Code, got)
	}
	cookie := append([]string{"Cookie", strings.Split(got, ";")[0]}, own...)
	for path, want := range map[string]int{
		"/api/v1/log": 200, "/console/accounts": 200, "/debug/pprof/": 401, "/debug/pprof/cmdline": 401,
	} {
		if w := f.ask("GET", path, "", cookie...); w.Code != want {
			t.Errorf("GET %s with the cookie: %d, want %d", path, w.Code, want)
		}
		if w := f.ask("GET", path, "", own...); w.Code != 401 {
			t.Errorf("GET %s without it: %d", path, w.Code)
		}
	}
	if w := f.ask("PUT", logPath, `{"level":"debug"}`, cookie...); w.Code != 200 || f.level != "debug" {
		t.Errorf("a change with the cookie: %d %s", w.Code, w.Body)
	}
	viewer := f.logIn(t, `{"token":"K watch"}`)
	if w := f.ask("PUT", logPath, `{"level":"info"}`, viewer...); w.Code != 403 || f.level != "debug" {
		t.Errorf("a change by a viewer: %d %s", w.Code, w.Body)
	}
	r := httptest.NewRequest("POST", "https://desk.example/x", nil)
	r.TLS = new(tls.ConnectionState)
	if c := loginCookie(r, "v"); c.Name != "__Host-papertape-" || !c.Secure || c.Path != "/" || c.Domain != "" {
		t.Errorf("under TLS: %v", c)
	}
	r.Host = "desk.example:7301"
	if c := loginCookie(r, "v"); c.Name != "__Host-papertape-7301" {
		t.Errorf("of a port: %v", c)
	}
}

// TestCookieIsNoProofOfOrigin: what a page of another site has a browser send is refused although it has the cookie,
// and so is a change that does not say whose page asks; and a rebound name is.
func TestCookieIsNoProofOfOrigin(t *testing.T) {
	f := newLoginFixture(t)
	cookie := f.logIn(t, `{"token":"K.operate"}`)[:2]
	for _, one := range []struct {
		method, host string
		want         int
		header       []string
	}{
		{"PUT", "127.0.0.1:7301", 200, own},
		{"PUT", "127.0.0.1:7301", 200, []string{"Origin", "http://127.0.0.1:7301"}},
		{"PUT", "127.0.0.1:7301", 200, []string{"Sec-Fetch-Site", "same-origin"}},
		{"PUT", "127.0.0.1:7301", 403, nil},
		{"PUT", "127.0.0.1:7301", 403, []string{"Origin", "http://evil.example"}},
		{"PUT", "127.0.0.1:7301", 403, []string{"Origin", "http://127.0.0.1:8080"}},
		{"PUT", "127.0.0.1:7301", 403, []string{"Sec-Fetch-Site", "same-site"}},
		{"PUT", "127.0.0.1:7301", 403, []string{"Sec-Fetch-Site", "cross-site"}},
		{"GET", "127.0.0.1:7301", 403, []string{"Sec-Fetch-Site", "cross-site"}},
		{"GET", "127.0.0.1:7301", 200, nil},
		{"PUT", "evil.example:7301", 421, []string{"Origin", "http://evil.example:7301"}},
		{"GET", "evil.example:7301", 421, []string{"Sec-Fetch-Site", "same-origin"}},
	} {
		f.level = "info"
		body := ""
		if one.method == "PUT" {
			body = `{"level":"debug"}`
		}
		w := f.askHost(one.host, one.method, logPath, body, append(cookie, one.header...)...)
		changed := one.want == 200 && one.method == "PUT"
		if w.Code != one.want || (f.level == "debug") != changed {
			t.Errorf("%s %s with %v: %d %s, the level is %s", one.method, one.host, one.header, w.Code, w.Body, f.level)
		}
	}
}

// clocked are logins with a clock that a test turns.
func clocked(keys Authenticator) (l *logins, turn func(time.Duration)) {
	l = newLogins(keys)
	now := time.Unix(1_700_000_000, 0)
	l.now = func() time.Time { return now }
	return l, func(by time.Duration) { now = now.Add(by) }
}

func (l *logins) holds(id string) bool {
	_, done, ok := l.use(id, netip.Addr{})
	if ok {
		done()
	}
	return ok
}

// TestLoginEnds: after half an hour without a request, not while a stream is open, and after eight hours whatever
// happens.
func TestLoginEnds(t *testing.T) {
	l, turn := clocked(nil)
	operator := Identity{codeKey, "operator", Operate}
	id, err := l.begin(operator, "", netip.Addr{})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if turn(loginIdleMax - time.Second); !l.holds(id) {
			t.Fatal("it ended although it was used")
		}
	}
	if turn(loginIdleMax); l.holds(id) {
		t.Error("it did not end after half an hour")
	}
	id, _ = l.begin(operator, "", netip.Addr{})
	one, done, _ := l.use(id, netip.Addr{}) // a stream
	if turn(2 * time.Hour); !l.holds(id) {
		t.Error("it ended while a stream was open")
	}
	if done(); !l.holds(id) {
		t.Error("it ended with the stream")
	}
	r, ended := one.endsWith(httptest.NewRequest("GET", "/", nil), l.left(one))
	defer ended()
	if deadline, ok := r.Context().Deadline(); !ok || time.Until(deadline) > 6*time.Hour {
		t.Errorf("a stream may go on until %v", deadline)
	}
	for range 5 * 3 {
		turn(20 * time.Minute)
		l.holds(id)
	}
	if turn(time.Hour); l.holds(id) {
		t.Error("it did not end after eight hours")
	}
	if <-r.Context().Done(); l.by[id] != nil {
		t.Error("it is still known")
	}
}

// TestLoginsMax: a further one ends the one that was used longest ago, and is refused if all have streams.
func TestLoginsMax(t *testing.T) {
	l, turn := clocked(nil)
	ids := make([]string, loginsMax)
	for i := range ids {
		ids[i], _ = l.begin(Identity{}, "", netip.Addr{})
		turn(time.Second)
	}
	l.holds(ids[0])
	_, err := l.begin(Identity{}, "", netip.Addr{})
	if err != nil || !l.holds(ids[0]) || l.holds(ids[1]) || len(l.by) != loginsMax {
		t.Errorf("one more: %v, %d of them", err, len(l.by))
	}
	for id := range l.by {
		l.use(id, netip.Addr{})
	}
	if _, err := l.begin(Identity{}, "", netip.Addr{}); err == nil || len(l.by) != loginsMax {
		t.Errorf("with streams in all: %v, %d of them", err, len(l.by))
	}
}

// revocable knows a token until it is revoked.
type revocable struct{ role Role }

func (k *revocable) Authenticate(bearer string, _ netip.Addr) (Identity, bool) {
	return Identity{"K", "desk", k.role}, bearer == "T" && k.role != Nobody
}

// TestRevokedKeyEndsLogins: at its next request, and its streams at once.
func TestRevokedKeyEndsLogins(t *testing.T) {
	for _, becomes := range []Role{Nobody, Watch} {
		key := &revocable{Operate}
		l := newLogins(key)
		id, _ := l.begin(Identity{"K", "desk", Operate}, "T", netip.Addr{})
		one, _, _ := l.use(id, netip.Addr{})
		if key.role = becomes; l.endRevoked() != 1 || one.ends.Err() == nil || l.holds(id) {
			t.Errorf("as %s: the login goes on", becomes)
		}
		key.role = Operate
		id, _ = l.begin(Identity{"K", "desk", Operate}, "T", netip.Addr{})
		if key.role = becomes; l.holds(id) {
			t.Errorf("as %s: the login goes on without being told", becomes)
		}
	}
}

// TestLogout ends the login, and what it was asked.
func TestLogout(t *testing.T) {
	kept := audit.New(audit.Options{})
	if err := kept.OpenMemory(); err != nil {
		t.Fatal(err)
	}
	f := newFixtureWith(t, func(c *Config) { c.Keys, c.Anonymous, c.Audit = keyring{}, Nobody, kept })
	f.ledger.wait = make(chan struct{})
	cookie := f.logIn(t, `{"token":"K.operate"}`)
	waits := make(chan int)
	go func() { waits <- f.ask("GET", "/api/v1/accounts/100017/holdings", "", cookie...).Code }()
	<-f.ledger.wait
	if w := f.ask("POST", logoutPath, "", cookie...); w.Code != 200 ||
		!strings.Contains(w.Header().Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if code := <-waits; code != 503 {
		t.Errorf("what was asked before: %d", code)
	}
	if w := f.ask("GET", logPath, "", cookie...); w.Code != 401 {
		t.Errorf("after it: %d", w.Code)
	}
	var said []string
	for _, line := range kept.Memory() {
		said = append(said, fmt.Sprint(line.What, " ", line.Name, " ", line.Path, line.Body))
	}
	if got := strings.Join(said[:2], ", "); got != "login desk /api/v1/login, logout desk /api/v1/logout" {
		t.Errorf("the audit has %s", got)
	}
}

// TestLoginGuesses: wrong tokens and codes count as wrong keys do.
func TestLoginGuesses(t *testing.T) {
	f := newLoginFixture(t)
	for i := range failuresAtOnce {
		body := `{"token":"x"}`
		if i%2 == 0 {
			body = `{"code":"x"}`
		}
		if w := f.ask("POST", loginPath, body, own...); w.Code != 401 {
			t.Errorf("guess %d: %d %s", i, w.Code, w.Body)
		}
	}
	if w := f.ask("POST", loginPath, `{"token":"K.operate"}`, own...); w.Code != 429 ||
		w.Header().Get("Retry-After") == "" {
		t.Errorf("one more: %d %v", w.Code, w.Header())
	}
}

// TestLoginCodes: a code is of use once, for a quarter of an hour; a browser that is logged in cannot make one.
func TestLoginCodes(t *testing.T) {
	f := newLoginFixture(t)
	code := f.server.LoginCode()
	if code.Path != "/console/login#"+code.Code {
		t.Errorf("the path is %s", code.Path)
	}
	body := `{"code":"` + code.Code + `"}`
	cookie := f.logIn(t, body)
	if w := f.ask("PUT", logPath, `{"level":"debug"}`, cookie...); w.Code != 200 {
		t.Errorf("a change: %d %s", w.Code, w.Body)
	}
	if w := f.ask("POST", loginPath, body, own...); w.Code != 401 ||
		!strings.Contains(w.Body.String(), "papertape console") {
		t.Errorf("the same code again: %d %s", w.Code, w.Body)
	}
	if w := f.ask("POST", codePath, "", cookie...); w.Code != 403 {
		t.Errorf("a browser makes a code: %d %s", w.Code, w.Body)
	}
	l, turn := clocked(nil)
	old := l.code(Identity{})
	turn(codeAgeMax + time.Second)
	if _, err := l.redeem(old); err == nil {
		t.Error("a code that is too old is taken")
	}
	first := l.code(Identity{})
	for range codesMax {
		l.code(Identity{})
	}
	if _, err := l.redeem(first); err == nil || len(l.codes) != codesMax {
		t.Errorf("%v, %d codes", err, len(l.codes))
	}
	if _, err := l.redeem(""); err == nil {
		t.Error("no code is taken for one")
	}
}

// TestLoginWaysIn: a person who is not logged in is shown the page to log in, and a program is told 401.
func TestLoginWaysIn(t *testing.T) {
	f := newLoginFixture(t)
	w := f.ask("GET", "/console/accounts?q=1", "", "Accept", "text/html,*/*")
	if got := w.Header().Get("Location"); w.Code != 303 || got != "/console/login?next=%2Fconsole%2Faccounts%3Fq%3D1" {
		t.Errorf("%d to %s", w.Code, got)
	}
	visit := []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}
	for path, want := range map[string]int{"/console/login": 200, "/console/accounts": 403, loginPath: 403, "/": 403} {
		if w := f.ask("GET", path, "", visit...); w.Code != want {
			t.Errorf("a link of another site to %s: %d, want %d", path, w.Code, want)
		}
	}
	for from, to := range map[string]string{"/": "/console/", "/console": "/console/"} {
		if w := f.ask("GET", from, ""); w.Code != 302 || w.Header().Get("Location") != to {
			t.Errorf("GET %s: %d to %s", from, w.Code, w.Header().Get("Location"))
		}
	}
	for next, want := range map[string]string{
		"/console/accounts?q=1": "/console/accounts?q=1", "//evil.example/console/": "/console/",
		"https://evil.example/console/": "/console/", "/console/../api/v1/logout": "/console/", "/api/v1/x": "/console/",
		"javascript:alert(1)": "/console/", "/console/login": "/console/",
		`/console/\evil`: `/console/%5Cevil`, "": "/console/",
	} {
		next = strings.NewReplacer("/", "%2F", "?", "%3F", `\`, "%5C").Replace(next)
		r := httptest.NewRequest("GET", "/console/login?next="+next, nil)
		r.Host = "127.0.0.1:7301"
		w := httptest.NewRecorder()
		f.server.http.Handler.ServeHTTP(w, r)
		if !bytes.Contains(w.Body.Bytes(), []byte(`data-next="`+want+`"`)) || w.Code != 200 {
			t.Errorf("next=%s: %d %s", next, w.Code, w.Body)
		}
	}
	if w := f.ask("POST", loginPath, `{"token":"x","code":"y"}`, own...); w.Code != http.StatusBadRequest {
		t.Errorf("both: %d", w.Code)
	}
	if w := f.ask("GET", f.server.web.Base()+"console.css", ""); w.Code != 200 ||
		!strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
		t.Errorf("a file: %d %v", w.Code, w.Header())
	}
	for _, path := range []string{"/console/static/000000000000/console.css", f.server.web.Base() + "x.css"} {
		if w := f.ask("GET", path, ""); w.Code != 404 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

// TestPagesEndWithTheirRequest: a page's questions end when whoever asked has gone.
func TestPagesEndWithTheirRequest(t *testing.T) {
	f := newFixture(t, "")
	f.ledger.wait = make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-f.ledger.wait
		cancel()
	}()
	r := httptest.NewRequestWithContext(ctx, "GET", "/console/accounts", nil)
	r.Host = "127.0.0.1:7301"
	w := httptest.NewRecorder()
	f.server.http.Handler.ServeHTTP(w, r)
	if w.Code != 503 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
