package console

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/netip"

	"github.com/rs/zerolog"
)

// Role is what somebody may do at a console. Each role may also do what the ones below it may.
type Role uint8

// The roles.
const (
	Nobody  Role = iota // may ask for health only
	Watch               // may read
	Operate             // may change things, and profile the process
)

// String returns the name of a role as key files have it.
func (r Role) String() string {
	return [...]string{"nobody", "watch", "operate"}[r]
}

// Identity is who makes a request.
type Identity struct {
	Key  string // the id of a key; "socket" for who came through the socket; "" for who showed nothing
	Name string // for people, and the actor of a bust
	Role Role
}

// Authenticator knows to whom bearer tokens belong. Its method is safe for concurrent use.
type Authenticator interface {
	// Authenticate returns whose token this is if it may be used from that address. An identity
	// without a role (Nobody) is known, and may do nothing here.
	Authenticate(bearer string, from netip.Addr) (Identity, bool)
}

// tokenKey is the id of a token from a file of its own.
const tokenKey = "token"

// token is an Authenticator that knows one token.
type token struct {
	hash [sha256.Size]byte // so that comparing does not reveal the length
}

// Token returns an Authenticator that knows one token, of an operator.
func Token(secret string) Authenticator { return token{sha256.Sum256([]byte(secret))} }

// Authenticate implements Authenticator.
func (t token) Authenticate(bearer string, _ netip.Addr) (Identity, bool) {
	got := sha256.Sum256([]byte(bearer))
	return Identity{tokenKey, actorDefault, Operate}, subtle.ConstantTimeCompare(got[:], t.hash[:]) == 1
}

// Authenticators ask each other in turn. The zero value knows nobody.
type Authenticators []Authenticator

// Authenticate implements Authenticator.
func (a Authenticators) Authenticate(bearer string, from netip.Addr) (Identity, bool) {
	for _, one := range a {
		if who, ok := one.Authenticate(bearer, from); ok {
			return who, true
		}
	}
	return Identity{}, false
}

// identityKey is the context key for the Identity of a request.
type identityKey struct{}

func withIdentity(r *http.Request, who Identity) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), identityKey{}, who))
}

// identityOf returns who makes a request that the guard has let in.
func identityOf(r *http.Request) Identity {
	who, _ := r.Context().Value(identityKey{}).(Identity)
	return who
}

// signedBy adds to a line of the log who makes a request, and from where.
func signedBy(r *http.Request) func(*zerolog.Event) {
	return func(e *zerolog.Event) { e.Str("actor", actorOf(r)).Str("by", remoteOf(r)) }
}

// actorOf returns the name under which a request changes something.
func actorOf(r *http.Request) string { return actorName(identityOf(r)) }

// actorName returns the name under which somebody changes something.
func actorName(who Identity) string {
	if who.Name != "" {
		return who.Name
	}
	return actorDefault
}
