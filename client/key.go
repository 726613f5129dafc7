package client

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
)

// Key is a secret that authenticates logins to accounts. The secret itself is never sent: the
// login carries a proof that is valid for one connection.
type Key struct {
	ID     string
	Secret []byte
}

const (
	proofContext     = "papertape-v1"
	clientNonceBytes = 32
)

// prove adds the proof for the server's nonce to a login: HMAC-SHA256 with the secret over the
// context, both nonces and the account as 8 bytes, big-endian.
func (k *Key) prove(login *papertapev1.Login, nonce []byte) {
	login.KeyId = k.ID
	login.ClientNonce = make([]byte, clientNonceBytes)
	_, _ = rand.Read(login.ClientNonce) // never fails
	mac := hmac.New(sha256.New, k.Secret)
	for _, part := range [][]byte{
		[]byte(proofContext), nonce, login.ClientNonce, binary.BigEndian.AppendUint64(nil, login.GetAccount()),
	} {
		_, _ = mac.Write(part) // never fails
	}
	login.Proof = mac.Sum(nil)
}
