package console

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// Bounds of the logins of browsers.
const (
	loginsMax    = 64               // at a time; a further one ends the one that was used longest ago
	loginIdleMax = 30 * time.Minute // without a request; an open stream counts as one
	loginAgeMax  = 8 * time.Hour
	codesMax     = 16 // codes that were not used yet; a further one takes the place of the oldest
	codeAgeMax   = 15 * time.Minute
)

// cookiePrefix begins the name of the cookie. The port follows, since a browser sends the cookies of a
// host to each of its ports: two consoles on one machine must not end each other's logins.
const cookiePrefix = "papertape-"

// codeKey is the key id of who logged in by a code that a command on the server's machine has made.
const codeKey = "code"

// logins are the browsers that are logged in, and the codes by which some may. It is in memory: a start of
// the server ends all of them. It is safe for concurrent use.
type logins struct {
	keys Authenticator    // nil: nobody has a key
	now  func() time.Time // the clock; tests have another

	mu    sync.Mutex
	by    map[string]*login
	codes []loginCode // the oldest first
}

// login is a browser that is logged in. The fields below the first group are guarded by logins.mu.
type login struct {
	who    Identity
	bearer string // which is shown to the keys at each request, so that a revoked key ends the login; "": by a code
	ends   context.Context
	end    context.CancelFunc
	begun  time.Time

	used   time.Time
	from   netip.Addr // of the last request
	active int        // requests being answered
}

type loginCode struct {
	text string
	who  Identity
	made time.Time
}

var (
	errWrongCode = errors.New("this link was used, or is older than 15 minutes; papertape console makes another")
	errAllActive = errors.New("64 browsers are logged in, and all of them are open; log out with one of them")
)

func newLogins(keys Authenticator) *logins {
	return &logins{keys: keys, now: time.Now, by: make(map[string]*login)}
}

// code makes a code that logs a browser in once.
func (l *logins) code(who Identity) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.codes) >= codesMax {
		l.codes = l.codes[1:]
	}
	c := loginCode{rand.Text(), who, l.now()}
	l.codes = append(l.codes, c)
	return c.text
}

// redeem returns whose code it is, and takes it out of use.
func (l *logins) redeem(text string) (Identity, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, c := range l.codes {
		if subtle.ConstantTimeCompare([]byte(c.text), []byte(text)) == 1 {
			l.codes = append(l.codes[:i:i], l.codes[i+1:]...)
			if l.now().Sub(c.made) > codeAgeMax {
				break
			}
			return c.who, nil
		}
	}
	return Identity{}, errWrongCode
}

// begin logs a browser in, and returns the value of its cookie.
func (l *logins) begin(who Identity, bearer string, from netip.Addr) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget()
	if len(l.by) >= loginsMax && !l.makeRoom() {
		return "", errAllActive
	}
	now := l.now()
	one := &login{who: who, bearer: bearer, begun: now, used: now, from: from}
	one.ends, one.end = context.WithCancel(context.Background())
	id := rand.Text() + rand.Text()
	l.by[id] = one
	return id, nil
}

// makeRoom ends the login that was used longest ago, if one is not being used. l.mu must be held.
func (l *logins) makeRoom() bool {
	oldest := ""
	for id, one := range l.by {
		if one.active == 0 && (oldest == "" || one.used.Before(l.by[oldest].used)) {
			oldest = id
		}
	}
	if oldest != "" {
		l.drop(oldest)
	}
	return oldest != ""
}

// forget drops the logins that have ended. l.mu must be held.
func (l *logins) forget() {
	now := l.now()
	for id, one := range l.by {
		if one.over(now) {
			l.drop(id)
		}
	}
}

func (one *login) over(now time.Time) bool {
	return now.Sub(one.begun) >= loginAgeMax || one.active == 0 && now.Sub(one.used) >= loginIdleMax
}

// drop ends a login, and the streams that it has open. l.mu must be held.
func (l *logins) drop(id string) {
	l.by[id].end()
	delete(l.by, id)
}

// end logs a browser out.
func (l *logins) end(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.by[id] != nil {
		l.drop(id)
	}
}

// use returns the login of a cookie for one request, until done is called. The login's end cancels ctx.
func (l *logins) use(id string, from netip.Addr) (one *login, done func(), ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	one = l.by[id]
	if one == nil {
		return nil, nil, false
	}
	if one.from = from; one.over(l.now()) || !l.stands(one) {
		l.drop(id)
		return nil, nil, false
	}
	one.active, one.used = one.active+1, l.now()
	return one, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		one.active, one.used = one.active-1, l.now()
	}, true
}

// stands reports whether the key of a login still gives what it gave. l.mu must be held.
func (l *logins) stands(one *login) bool {
	if one.bearer == "" {
		return true
	}
	who, ok := l.keys.Authenticate(one.bearer, one.from)
	return ok && who == one.who
}

// endsWith returns a request that ends when a login does: after so long, or earlier.
func (one *login) endsWith(r *http.Request, left time.Duration) (*http.Request, func()) {
	ctx, cancel := context.WithTimeout(r.Context(), left)
	stop := context.AfterFunc(one.ends, cancel)
	return r.WithContext(ctx), func() {
		stop()
		cancel()
	}
}

// left returns how long a login may last yet.
func (l *logins) left(one *login) time.Duration { return loginAgeMax - l.now().Sub(one.begun) }

// endRevoked ends the logins whose key is gone, or gives less than it did.
func (l *logins) endRevoked() (ended int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, one := range l.by {
		if !l.stands(one) {
			l.drop(id)
			ended++
		}
	}
	return ended
}

// cookieName returns the name of the cookie for a console under the host of a request.
func cookieName(r *http.Request) string {
	name := cookiePrefix
	if i := strings.LastIndexByte(r.Host, ':'); i >= 0 && isPort(r.Host[i+1:]) {
		name += r.Host[i+1:]
	}
	if r.TLS != nil {
		return "__Host-" + name
	}
	return name
}

// loginCookie returns the cookie that logs a browser in, or with "" the one that logs it out.
func loginCookie(r *http.Request, value string) *http.Cookie {
	c := &http.Cookie{
		Name: cookieName(r), Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil,
	}
	if value == "" {
		c.MaxAge = -1
	}
	return c
}

// takesCookies reports whether a cookie counts at a path: never at the profiles.
func takesCookies(path string) bool {
	return strings.HasPrefix(path, "/api/") || path == "/console" || strings.HasPrefix(path, "/console/")
}
