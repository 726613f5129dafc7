package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// guard refuses requests for a host name that is not the console's, requests that other sites'
// pages have a visitor's browser send, and requests of somebody who may not even read. It tells the
// operations who asks; what a role allows is in the table of routes. It answers at most requestsMax
// others at a time.
type guard struct {
	hosts     hosts
	origins   *origins
	keys      Authenticator // nil: nobody has a key
	anonymous Role          // of who has shown no key
	logins    *logins
	failures  failures
	refusals  *refusals
	slots     chan struct{} // one element for each request being answered
	next      http.Handler

	wrong, limited atomic.Uint64 // failures to authenticate; requests refused because of earlier ones
}

// newGuard returns a guard for a console.
func newGuard(cfg *Config, logins *logins, next http.Handler) (*guard, error) {
	origins, err := newOrigins(cfg.Hosts)
	if err != nil {
		return nil, err
	}
	return &guard{
		hosts: newHosts(cfg.Hosts), origins: origins, keys: cfg.Keys, anonymous: cfg.Anonymous, logins: logins,
		refusals: newRefusals(cfg.Audit), slots: make(chan struct{}, requestsMax), next: next,
	}, nil
}

// Why a request is not authenticated.
var (
	errNoKey    = errors.New("no key was shown")
	errWrongKey = errors.New("the key is wrong")
	errByCookie = errors.New("a cookie was shown, which a browser also adds to what it is made to ask")
)

// limitedError says that an address has shown too many wrong keys, and how long it has to wait.
type limitedError time.Duration

func (e limitedError) Error() string {
	return "too many wrong keys or tokens came from this address; try again later"
}

// ServeHTTP checks the host name first: if it is wrong, a page may have been rebound to this
// address, and nothing else that its request says can be trusted. No page has a key, though.
func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := connOf(r)
	foreign := !c.socket && (r.URL.User != nil || !g.hosts.has(r.Host))
	who, err := g.authenticate(r, c, foreign)
	if errors.Is(err, errNoKey) {
		var done func()
		if who, r, done = g.loggedIn(r, who); done != nil {
			defer done()
			r, err = r.WithContext(context.WithValue(r.Context(), cookieKey{}, true)), errByCookie
		}
	}
	var limited limitedError
	switch {
	case errors.As(err, &limited):
		g.refuseLimited(w, r, who, time.Duration(limited))
	case foreign && err != nil:
		g.refuse(w, r, who, http.StatusMisdirectedRequest, codeMisdirected, misdirected(r.Host))
	case g.origins.check(r) != nil && !visitsLogin(r), errors.Is(err, errByCookie) && !saysItsOrigin(r):
		g.refuse(w, r, who, http.StatusForbidden, codeForbidden,
			"a page of another site may not ask this server; where it is yours, name its host in admin_hosts")
	case errors.Is(err, errWrongKey):
		g.unauthorized(w, r, who, "the key or token is not one that this console knows")
	case isOpen(r.URL.Path):
		g.admit(w, withIdentity(r, who))
	case who.Role == Nobody && err == nil:
		g.refuse(w, r, who, http.StatusForbidden, codeForbidden, "this key is not for the console: it needs the role "+
			"watch or operate")
	case who.Role == Nobody:
		g.unauthorized(w, r, who, wanted)
	case !isClean(r.URL.Path):
		notFound(w, r)
	default:
		g.admit(w, withIdentity(r, who))
	}
}

// wanted says to whoever has shown no key how to show one.
const wanted = "this console wants its token: name the file that holds it with --admin-token-file"

func misdirected(host string) string {
	if host == "" {
		return "the request names no host; send Host with the address that was asked, or the token"
	}
	return fmt.Sprintf("this console does not go by the name of %q; ask by an address, have the name in admin_hosts, "+
		"or send the token", clip(host))
}

// authenticate returns who makes a request. With errNoKey, that is somebody who has the role of
// everybody.
func (g *guard) authenticate(r *http.Request, c *connection, foreign bool) (Identity, error) {
	anonymous := Identity{Role: g.anonymous}
	if c.socket && c.ours { // a process of another user is asked for what it would be by HTTP
		return Identity{socketKey, actorDefault, Operate}, nil
	}
	given := r.Header["Authorization"]
	if len(given) == 0 || g.keys == nil {
		return anonymous, errNoKey
	}
	address := remoteAddress(r)
	from, now := sourceOf(address, foreign), time.Now()
	if wait := g.failures.wait(from, now); wait > 0 {
		return Identity{}, limitedError(wait)
	}
	const scheme = "Bearer "
	if bearer, ok := strings.CutPrefix(given[0], scheme); ok && len(given) == 1 {
		if who, ok := g.keys.Authenticate(bearer, address); ok {
			return who, nil
		}
	}
	g.failures.count(from, now)
	return Identity{}, errWrongKey
}

// loggedIn returns who a browser is logged in as, and its request, which ends when the login does. done is nil if
// it is not logged in.
func (g *guard) loggedIn(r *http.Request, anonymous Identity) (who Identity, with *http.Request, done func()) {
	if !takesCookies(r.URL.Path) {
		return anonymous, r, nil
	}
	cookie, err := r.Cookie(cookieName(r))
	if err != nil {
		return anonymous, r, nil
	}
	one, used, ok := g.logins.use(cookie.Value, remoteAddress(r))
	if !ok {
		return anonymous, r, nil
	}
	with, ended := one.endsWith(r, g.logins.left(one))
	return one.who, with, func() {
		ended()
		used()
	}
}

// cookieKey is the context key for that a request is authenticated by a cookie.
type cookieKey struct{}

func byCookie(r *http.Request) bool { return r.Context().Value(cookieKey{}) != nil }

// remoteAddress returns the address that a request comes from.
func remoteAddress(r *http.Request) netip.Addr {
	at, _ := netip.ParseAddrPort(r.RemoteAddr)
	return at.Addr()
}

// refuseLimited answers that an address has shown too many wrong keys, and how long it has to wait.
func (g *guard) refuseLimited(w http.ResponseWriter, r *http.Request, who Identity, wait time.Duration) {
	g.limited.Add(1)
	seconds := int((wait + time.Second - 1) / time.Second)
	w.Header().Set("Retry-After", strconv.Itoa(max(1, seconds)))
	g.refuse(w, r, who, http.StatusTooManyRequests, codeLimited, limitedError(wait).Error())
}

// unauthorized answers 401, or shows a person the page to log in.
func (g *guard) unauthorized(w http.ResponseWriter, r *http.Request, who Identity, message string) {
	if isPage(r) {
		http.Redirect(w, r, loginPage+"?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
		return
	}
	g.wrong.Add(1)
	w.Header().Set("WWW-Authenticate", "Bearer")
	g.refuse(w, r, who, http.StatusUnauthorized, codeUnauthorized, message)
}

// refuse answers a request that is not let in, and has the audit know.
func (g *guard) refuse(w http.ResponseWriter, r *http.Request, who Identity, status int, code, message string) {
	g.refusals.note(r, who, status, code)
	fail(w, status, code, message)
}

// allow reports whether who makes a request has a role, and refuses the request if not.
func (g *guard) allow(w http.ResponseWriter, r *http.Request, need Role) bool {
	who := identityOf(r)
	switch {
	case who.Role >= need:
		return true
	case who.Key == "":
		g.unauthorized(w, r, who, fmt.Sprintf("%s %s needs a key or token of role %s, as admin.token in the data "+
			"directory has one: name a file that holds it with --admin-token-file. On the server's machine its user "+
			"and root need none", r.Method, clip(r.URL.Path), need))
	default:
		g.refuse(w, r, who, http.StatusForbidden, codeForbidden,
			fmt.Sprintf("%s %s needs the role %s, and this key has %s", r.Method, clip(r.URL.Path), need, who.Role))
	}
	return false
}

// isClean reports whether a path is in its shortest form. http.ServeMux would redirect the
// others.
func isClean(p string) bool {
	clean := path.Clean(p)
	return strings.HasPrefix(p, "/") && (p == clean || p == clean+"/")
}

func (g *guard) admit(w http.ResponseWriter, r *http.Request) {
	select {
	case g.slots <- struct{}{}:
		defer func() { <-g.slots }()
		g.next.ServeHTTP(w, r)
	default:
		busy(w, 1, fmt.Sprintf("%d requests are being answered already; try again", requestsMax))
	}
}
