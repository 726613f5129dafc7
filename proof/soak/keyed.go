//go:build linux

package soak

import (
	"crypto/rand"
	"path/filepath"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/keys"
)

// keyed is the key that all clients have. Without one, nil, the server asks for none.
type keyed struct {
	id     string
	secret keys.Secret
	file   string
}

// newKeyed makes a key, and the server's file of keys in a directory.
func newKeyed(dir string) (*keyed, error) {
	k := &keyed{id: keys.NewID(), secret: keys.NewSecret(), file: filepath.Join(dir, "keys")}
	all, err := keys.ParseAccounts("*")
	if err != nil {
		return nil, err
	}
	return k, keys.Edit(k.file, func(f *keys.File) error {
		return f.Add(&keys.Key{ID: k.id, Verifier: k.secret.Verifier(), Role: keys.Trade, Accounts: all, Name: "soak"})
	})
}

// sign proves the key, with a secret that need not be the right one.
func (k *keyed) sign(w *papertapev1.Welcome, login *papertapev1.Login, secret *keys.Secret) {
	login.KeyId, login.ClientNonce = k.id, make([]byte, 32)
	_, _ = rand.Read(login.ClientNonce) // never fails
	login.Proof = secret.Prove(w.GetNonce(), login.GetClientNonce(), login.GetAccount())
}

// forger logs in with a key whose secret it does not know.
type forger struct {
	attacker
	keyed   *keyed
	pending []byte
	tried   bool
}

func (a *forger) received(b []byte) {
	if a.tried {
		return
	}
	a.pending = append(a.pending, b...)
	f, n, err := cut(a.pending)
	if err != nil || n == 0 {
		return
	}
	var w papertapev1.Welcome
	if f.kind != typeWelcome || w.UnmarshalVT(f.payload) != nil {
		return // it was refused before it could try
	}
	a.tried = true
	a.count.tried++
	login, secret := &papertapev1.Login{Account: firstAccount}, keys.NewSecret()
	a.keyed.sign(&w, login, &secret)
	a.conn.send(appendFrame(nil, typeLogin, 0, 1, login))
}
