package client

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/keys"
)

// Key is what authenticates logins to accounts. The secret itself is never sent: the login carries
// a proof that is valid for one connection. A Key prints without its secret.
type Key struct {
	id     string
	secret keys.Secret
}

// NewKey returns the key with this id and secret, as papertape keys add prints them.
func NewKey(id, secret string) (*Key, error) {
	if err := keys.CheckID(id); err != nil {
		return nil, err
	}
	s, err := keys.ParseSecret(secret)
	if err != nil {
		return nil, err
	}
	return &Key{id, s}, nil
}

// ParseKey reads a key from a text whose last line is the id and the secret, as papertape keys add
// prints it.
func ParseKey(text []byte) (*Key, error) {
	c, err := keys.ParseCredential(text)
	if err != nil {
		return nil, err
	}
	return &Key{c.ID, c.Secret}, nil
}

// ReadKey reads a key from a file, as ParseKey does. It refuses a file that others may read.
func ReadKey(path string) (*Key, error) {
	c, err := keys.ReadCredential(path)
	if err != nil {
		return nil, err
	}
	return &Key{c.ID, c.Secret}, nil
}

// ID returns the key's id, which is no secret.
func (k *Key) ID() string { return k.id }

// Format prints the key's id, whatever the verb.
func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "key "+k.id) }

// ErrKeyNeeded is returned if the server asks for a key and the options have none.
var ErrKeyNeeded = errors.New("this server asks for a key, and none was given: name its file, as with --key FILE")

// proveTo adds the proof that the server's WELCOME asks for to a login. key may be nil.
func (w *Welcome) proveTo(key *Key, login *papertapev1.Login) error {
	switch {
	case len(w.Nonce) == 0:
		return nil
	case key == nil:
		return ErrKeyNeeded
	case w.ProofVersion != keys.ProofVersion:
		return fmt.Errorf("the server asks for a proof of version %d, and this program makes version %d: %w",
			w.ProofVersion, keys.ProofVersion, errProofVersion)
	case len(w.Nonce) != keys.NonceBytes:
		return protocolErrorf("the nonce of WELCOME has %d bytes: expected %d", len(w.Nonce), keys.NonceBytes)
	}
	login.KeyId = key.id
	login.ClientNonce = make([]byte, keys.NonceBytes)
	_, _ = rand.Read(login.ClientNonce) // never fails
	login.Proof = key.secret.Prove(w.Nonce, login.ClientNonce, login.GetAccount())
	return nil
}

var errProofVersion = errors.New("one of the two is too old")
