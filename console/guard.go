package console

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"path"
	"strings"
)

// guard refuses requests for a host name that is not the console's, requests that other sites'
// pages have a visitor's browser send, and requests without the token if one is configured. It
// answers at most requestsMax others at a time.
type guard struct {
	hosts   hosts
	origins *origins
	token   *[sha256.Size]byte // hashed, so that comparing does not reveal the length; nil: no token is required
	slots   chan struct{}      // one element for each request being answered
	next    http.Handler
}

// newGuard returns a guard for the console's names, as Config.Hosts has them.
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

// ServeHTTP checks the host name first: if it is wrong, a page may have been rebound to this
// address, and nothing else that its request says can be trusted.
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
		notFound(w, r)
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

// authorized reports whether a request has the token.
func (g *guard) authorized(r *http.Request) bool {
	const scheme = "Bearer "
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), scheme)
	if !ok || g.token == nil {
		return false
	}
	got := sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(got[:], g.token[:]) == 1
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
