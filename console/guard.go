package console

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"
)

// sealed says of every answer that no other page may show it, embed it, run it or keep it.
func sealed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy",
			"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		next.ServeHTTP(w, r)
	})
}

// guard keeps out who asks by a name that is not the console's, pages of other sites that have a visitor's browser ask,
// and who has no token where there is one. At most requestsMax of the others are answered at a time.
type guard struct {
	hosts   hosts
	origins *origins
	token   *[sha256.Size]byte // hashed, so that comparing does not tell the length either; nil: none is asked for
	slots   chan struct{}      // one for each request that is being answered
	next    http.Handler
}

// newGuard takes hosts as Config has them.
func newGuard(names []string, token string, next http.Handler) (*guard, error) {
	origins, err := newOrigins(names)
	if err != nil {
		return nil, err
	}
	g := &guard{hosts: newHosts(names), origins: origins, slots: make(chan struct{}, requestsMax), next: next}
	if token != "" {
		hashed := sha256.Sum256([]byte(token))
		g.token = &hashed
	}
	return g, nil
}

// ServeHTTP asks in this order, as the first question is whose browser it may be, and nothing else a rebound page says
// counts.
func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	authorized := g.authorized(r)
	switch {
	case !authorized && (r.URL.User != nil || !g.hosts.has(r.Host)): // no page of another site has the token
		fail(w, http.StatusMisdirectedRequest, codeMisdirected, misdirected(r.Host))
	case g.origins.check(r) != nil:
		fail(w, http.StatusForbidden, codeForbidden,
			"a page of another site may not ask this server; where it is yours, name its host in admin_hosts")
	case g.token != nil && !authorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
		fail(w, http.StatusUnauthorized, codeUnauthorized,
			"this console wants its token: name the file that holds it with --admin-token-file")
	case !isClean(r.URL.Path):
		nothingAt(w, r)
	default:
		g.admit(w, r)
	}
}

func misdirected(host string) string {
	if host == "" {
		return "the request names no host; send Host with the address that was asked, or the token"
	}
	return fmt.Sprintf("this console does not go by the name of %q; ask by an address, have the name in admin_hosts, "+
		"or send the token", clip(host))
}

// authorized says whether a request has the token.
func (g *guard) authorized(r *http.Request) bool {
	const scheme = "Bearer "
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), scheme)
	if !ok || g.token == nil {
		return false
	}
	got := sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(got[:], g.token[:]) == 1
}

// isClean says whether a path is one, and the shortest of those that mean the same. http.ServeMux would send whoever
// asks to that one.
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

// busy answers that there is too much of something for so many seconds.
func busy(w http.ResponseWriter, seconds int, message string) {
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
	fail(w, http.StatusServiceUnavailable, codeBusy, message)
}

func nothingAt(w http.ResponseWriter, r *http.Request) {
	fail(w, http.StatusNotFound, codeNotFound, "there is nothing at "+clip(r.URL.Path)+
		"; see /livez, /readyz, /debug/pprof/ and /api/v1/openapi.yaml, which has it all")
}
