package keys

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Lengths in bytes.
const (
	NonceBytes = 32 // of the server's nonce and of the client's
	ProofBytes = sha256.Size

	secretBytes      = 32
	secretCharacters = 43
)

// ProofVersion is what WELCOME calls the proof of this package.
const ProofVersion = 2

const (
	clientKeyContext = "papertape-v2 client key"
	proofContext     = "papertape-v2"
)

// text32 writes 32 bytes as 43 characters. Being strict, it reads only what it writes.
var text32 = base64.RawURLEncoding.Strict()

func decode32(text string) (raw []byte, ok bool) {
	if len(text) != secretCharacters {
		return nil, false
	}
	raw, err := text32.DecodeString(text)
	return raw, err == nil && len(raw) == secretBytes // it skips line breaks
}

// Secret is what only the holder of a key has. Reveal returns its text; printing it does not.
type Secret [secretBytes]byte

// NewSecret returns a random secret.
func NewSecret() (s Secret) {
	_, _ = rand.Read(s[:]) // never fails
	return s
}

// ParseSecret reads the text of a secret. The error does not contain the text.
func ParseSecret(text string) (s Secret, err error) {
	raw, ok := decode32(text)
	if !ok {
		return Secret{}, fmt.Errorf("the secret must be %d characters, as papertape keys add prints them",
			secretCharacters)
	}
	return Secret(raw), nil
}

// Reveal returns the text of the secret.
func (s *Secret) Reveal() string { return text32.EncodeToString(s[:]) }

// Format prints a placeholder, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[secret]") }

// MarshalText prevents that a secret is encoded by accident.
func (s Secret) MarshalText() ([]byte, error) { return nil, errors.New("a secret is not encoded") }

// clientKey returns CK.
func (s *Secret) clientKey() [sha256.Size]byte {
	mac := hmac.New(sha256.New, s[:])
	_, _ = io.WriteString(mac, clientKeyContext)
	return [sha256.Size]byte(mac.Sum(nil))
}

// Verifier returns what the server keeps of the secret.
func (s *Secret) Verifier() Verifier {
	ck := s.clientKey()
	return sha256.Sum256(ck[:])
}

// Prove returns the proof for a LOGIN to an account, on the connection whose WELCOME had the nonce.
func (s *Secret) Prove(nonce, clientNonce []byte, account uint64) []byte {
	ck, v := s.clientKey(), s.Verifier()
	return v.mask(ck[:], nonce, clientNonce, account)
}

// Verifier tells whether somebody has a secret, and cannot be used in its place.
type Verifier [sha256.Size]byte

// ParseVerifier reads the text of a verifier.
func ParseVerifier(text string) (v Verifier, err error) {
	raw, ok := decode32(text)
	if !ok {
		return Verifier{}, fmt.Errorf("the verifier must be %d characters of base64url", secretCharacters)
	}
	return Verifier(raw), nil
}

// String returns the text of the verifier.
func (v Verifier) String() string { return text32.EncodeToString(v[:]) }

// mask returns 32 bytes XOR the HMAC of a login.
func (v *Verifier) mask(bytes, nonce, clientNonce []byte, account uint64) []byte {
	mac := hmac.New(sha256.New, v[:])
	_, _ = io.WriteString(mac, proofContext)
	_, _ = mac.Write(nonce) // never fails
	_, _ = mac.Write(clientNonce)
	var number [8]byte
	binary.BigEndian.PutUint64(number[:], account)
	_, _ = mac.Write(number[:])
	masked := mac.Sum(nil)
	subtle.XORBytes(masked, masked, bytes)
	return masked
}

// Proves reports whether a proof was made with the secret, for this account and these nonces.
func (v *Verifier) Proves(proof, nonce, clientNonce []byte, account uint64) bool {
	if len(proof) != ProofBytes || len(nonce) != NonceBytes || len(clientNonce) != NonceBytes {
		return false
	}
	return v.isOf(v.mask(proof, nonce, clientNonce, account))
}

// Opens reports whether this is the secret.
func (v *Verifier) Opens(s *Secret) bool {
	ck := s.clientKey()
	return v.isOf(ck[:])
}

func (v *Verifier) isOf(clientKey []byte) bool {
	hash := sha256.Sum256(clientKey)
	return subtle.ConstantTimeCompare(hash[:], v[:]) == 1
}
