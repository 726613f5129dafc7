package keys

import (
	"crypto/rand"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Store has the keys of a running server, as of the last time that their file was read. Any goroutine may use it.
type Store struct {
	path  string
	dummy Verifier // of no secret; computed with in the place of an unknown key

	reloading sync.Mutex
	keys      atomic.Pointer[map[string]*Key] // by id; replaced, never changed
}

// Open reads a file of keys.
func Open(path string) (*Store, error) {
	s := &Store{path: path}
	_, _ = rand.Read(s.dummy[:]) // never fails
	next, err := s.read()
	if err != nil {
		return nil, err
	}
	s.keys.Store(&next)
	return s, nil
}

func (s *Store) read() (map[string]*Key, error) {
	f, err := Load(s.path)
	if err != nil {
		return nil, err
	}
	byID := make(map[string]*Key, len(f.keys))
	for i := range f.keys {
		byID[f.keys[i].ID] = &f.keys[i]
	}
	return byID, nil
}

// Change is what a reload changed. The keys are as they were before.
type Change struct {
	Keys    int    // that there are now
	Added   []*Key // as they are now
	Gone    []*Key // or with another secret
	Expired []*Key
	Less    []*Key // that grant less now
}

// Reload reads the file again. After an error, nothing has changed.
func (s *Store) Reload() (*Change, error) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	next, err := s.read()
	if err != nil {
		return nil, err
	}
	before := *s.keys.Swap(&next)
	c, now := &Change{Keys: len(next)}, time.Now()
	for _, k := range before {
		switch _, fate := judge(k, next[k.ID], now); fate {
		case Revoked:
			c.Gone = append(c.Gone, k)
		case RanOut:
			c.Expired = append(c.Expired, k)
		case GrantsLess:
			c.Less = append(c.Less, k)
		}
	}
	for id, k := range next {
		if before[id] == nil {
			c.Added = append(c.Added, k)
		}
	}
	return c, nil
}

// Fate is what became of a key.
type Fate uint8

// The fates of a key.
const (
	Stands Fate = iota
	Revoked
	RanOut
	GrantsLess
)

// Still returns what became of a key that a session logged in with, and the key as it is now.
func (s *Store) Still(k *Key, now time.Time) (current *Key, f Fate) {
	return judge(k, (*s.keys.Load())[k.ID], now)
}

func judge(before, after *Key, now time.Time) (*Key, Fate) {
	switch {
	case after == nil || after.Verifier != before.Verifier:
		return nil, Revoked
	case after.Expired(now):
		return after, RanOut
	case after.grantsLess(before):
		return after, GrantsLess
	default:
		return after, Stands
	}
}

// Refusal says why somebody may not come in.
type Refusal uint8

// The refusals, in the order in which they are looked for. Whoever gets another than Unproved has the secret.
const (
	Granted      Refusal = iota
	Unproved             // no such key, or not its secret
	Expired              // the key is no longer valid
	WrongAddress         // the key may not be used from there
	WrongRole            // the key is for something else
	WrongAccount         // the key does not grant the account
)

var refusals = []string{
	Granted: "", Unproved: "the key or the proof is wrong", Expired: "the key has expired",
	WrongAddress: "the key may not be used from this address", WrongRole: "the key's role does not allow this",
	WrongAccount: "the key does not grant this account",
}

// String returns a sentence for the one who is refused.
func (r Refusal) String() string { return refusals[r] }

// Login is an attempt to log in to an account.
type Login struct {
	KeyID       string
	Nonce       []byte // of WELCOME
	ClientNonce []byte
	Proof       []byte
	Account     uint64
	From        netip.Addr
	Now         time.Time
}

// Login checks an attempt. The key is the one that is named, also where it is refused; nil if there is none, or if
// nobody has shown that he has it.
func (s *Store) Login(l *Login) (*Key, Refusal) {
	k, v := s.lookUp(l.KeyID)
	if proved := v.Proves(l.Proof, l.Nonce, l.ClientNonce, l.Account); !proved || k == nil {
		return nil, Unproved
	}
	if r := k.admits(l.From, l.Now); r != Granted {
		return k, r
	}
	switch {
	case !k.Role.LogsIn():
		return k, WrongRole
	case !k.Accounts.Has(l.Account):
		return k, WrongAccount
	}
	return k, Granted
}

// Bearer checks a credential that is written as ID.SECRET, as in an Authorization header. What the key's role allows is
// for the caller to decide.
func (s *Store) Bearer(credential string, from netip.Addr, now time.Time) (*Key, Refusal) {
	var id, text string
	if dot := strings.LastIndexByte(credential, '.'); dot >= 0 {
		id, text = credential[:dot], credential[dot+1:]
	}
	secret, err := ParseSecret(text)
	k, v := s.lookUp(id)
	if opened := v.Opens(&secret); !opened || err != nil || k == nil {
		return nil, Unproved
	}
	return k, k.admits(from, now)
}

// lookUp returns a key and its verifier. Without the key the verifier is the dummy, so that it takes as long.
func (s *Store) lookUp(id string) (*Key, *Verifier) {
	if k := (*s.keys.Load())[id]; k != nil {
		return k, &k.Verifier
	}
	return nil, &s.dummy
}

func (k *Key) admits(from netip.Addr, now time.Time) Refusal {
	switch {
	case k.Expired(now):
		return Expired
	case !k.Allows(from):
		return WrongAddress
	}
	return Granted
}
