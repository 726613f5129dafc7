package keys

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestProofs compares with vectors that another language computed (python3, hmac and hashlib). They
// are for whoever writes a client.
func TestProofs(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/proofs.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Name, Secret, Verifier, Nonce, Proof string
		ClientNonce                          string `json:"client_nonce"`
		ClientKey                            string `json:"client_key"`
		Account                              uint64 `json:",string"`
	}
	if err := json.Unmarshal(text, &vectors); err != nil || len(vectors) < 4 {
		t.Fatalf("%d vectors, %v", len(vectors), err)
	}
	for _, v := range vectors {
		s, err := ParseSecret(v.Secret)
		if err != nil {
			t.Fatalf("%s: %v", v.Name, err)
		}
		nonce, clientNonce, proof := unhex(t, v.Nonce), unhex(t, v.ClientNonce), unhex(t, v.Proof)
		ck := s.clientKey()
		if got := hex.EncodeToString(ck[:]); got != v.ClientKey {
			t.Errorf("%s: the client key is %s", v.Name, got)
		}
		if got := s.Verifier().String(); got != v.Verifier {
			t.Errorf("%s: the verifier is %s", v.Name, got)
		}
		if got := hex.EncodeToString(s.Prove(nonce, clientNonce, v.Account)); got != v.Proof {
			t.Errorf("%s: the proof is %s", v.Name, got)
		}
		verifier := s.Verifier()
		if !verifier.Proves(proof, nonce, clientNonce, v.Account) || !verifier.Opens(&s) || s.Reveal() != v.Secret {
			t.Errorf("%s: it is refused", v.Name)
		}
	}
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// attempt is a right proof and what it was made of.
type attempt struct {
	verifier                  Verifier
	proof, nonce, clientNonce []byte
	account                   uint64
}

func (a *attempt) right() bool { return a.verifier.Proves(a.proof, a.nonce, a.clientNonce, a.account) }

func drawAttempt(t *rapid.T) (s Secret, a attempt) {
	bytes := rapid.SliceOfN(rapid.Byte(), NonceBytes, NonceBytes)
	s = Secret(bytes.Draw(t, "secret"))
	a = attempt{verifier: s.Verifier(), nonce: bytes.Draw(t, "nonce"), clientNonce: bytes.Draw(t, "client nonce"),
		account: rapid.Uint64().Draw(t, "account")}
	a.proof = s.Prove(a.nonce, a.clientNonce, a.account)
	return s, a
}

// TestProofIsBound: a proof is taken for what it was made for, and after any one bit of that is another, it is refused.
func TestProofIsBound(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		_, a := drawAttempt(t)
		if !a.right() {
			t.Fatal("a right proof is refused")
		}
		bit := rapid.IntRange(0, 32*8-1).Draw(t, "bit")
		for what, in := range map[string][]byte{
			"proof": a.proof, "nonce": a.nonce, "client nonce": a.clientNonce, "verifier": a.verifier[:],
		} {
			in[bit/8] ^= 1 << (bit % 8)
			if a.right() {
				t.Errorf("with another bit %d in its %s it is taken", bit, what)
			}
			in[bit/8] ^= 1 << (bit % 8)
		}
		a.account ^= 1 << (bit % 64)
		if a.right() {
			t.Error("it is taken for another account")
		}
	})
}

// TestOtherProofs: nonces in another order, other lengths, and what can be made of the verifier alone are refused.
func TestOtherProofs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, a := drawAttempt(t)
		b := a
		if b.nonce, b.clientNonce = a.clientNonce, a.nonce; string(a.nonce) != string(a.clientNonce) && b.right() {
			t.Error("with its nonces exchanged it is taken")
		}
		for what, proof := range map[string][]byte{
			"nothing": nil, "the verifier": a.verifier[:], "the mask": a.verifier.mask(make([]byte, 32), a.nonce,
				a.clientNonce, a.account),
			"the verifier, masked":       a.verifier.mask(a.verifier[:], a.nonce, a.clientNonce, a.account),
			"the verifier, as a secret":  (*Secret)(&a.verifier).Prove(a.nonce, a.clientNonce, a.account),
			"the secret":                 s[:],
			"a proof without its end":    a.proof[:31],
			"a proof with a byte behind": append(append([]byte(nil), a.proof...), 0),
		} {
			b := a
			if b.proof = proof; b.right() {
				t.Errorf("%s is taken for a proof", what)
			}
		}
		long := a
		long.nonce, long.clientNonce = append(append([]byte(nil), a.nonce...), a.clientNonce[0]), a.clientNonce[1:]
		if long.right() {
			t.Error("a byte that moved from one nonce to the other is not noticed")
		}
		stolen := Secret(a.verifier)
		if a.verifier.Opens(&stolen) {
			t.Error("the verifier opens what it verifies")
		}
	})
}

// TestSecretText: a secret has one text, errors do not repeat it, and it does not print.
func TestSecretText(t *testing.T) {
	t.Parallel()
	s := NewSecret()
	text := s.Reveal()
	if again, err := ParseSecret(text); err != nil || again != s || len(text) != secretCharacters {
		t.Fatalf("%q: %v", text, err)
	}
	last := text[:42] + string("ABCD"[(strings.IndexByte("ABCD", text[42])+1)%4])
	for _, bad := range []string{"", text[:42], text + "A", text + "=", text[:41] + "+/", last + "x", text + "\n"} {
		if _, err := ParseSecret(bad); err == nil || bad != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for bit := range 8 * len(Verifier{}) {
		v := s.Verifier()
		if v[bit/8] ^= 1 << (bit % 8); v.Opens(&s) {
			t.Errorf("a verifier with another bit %d is opened", bit)
		}
	}
	c := Credential{ID: "desk", Secret: s}
	for _, shown := range []string{
		fmt.Sprintf("%v %+v %#v %s %x %d %q", s, s, s, s, s, s, s), fmt.Sprintf("%v %+v %#v", &s, c, &c),
	} {
		if strings.Contains(shown, text) || strings.Contains(shown, hex.EncodeToString(s[:4])) ||
			strings.Contains(shown, fmt.Sprint(s[0], s[1])) || !strings.Contains(shown, "[secret]") {
			t.Errorf("it prints as %s", shown)
		}
	}
	if b, err := json.Marshal(c); err == nil {
		t.Errorf("it is encoded as %s", b)
	}
}

// TestCredential: the last line counts.
func TestCredential(t *testing.T) {
	t.Parallel()
	s := NewSecret()
	c := Credential{ID: "desk-7", Secret: s}
	for _, text := range []string{c.Line(), c.Line() + "\n", "a key:\n\n" + c.Line() + "\n\n", " desk-7\t" +
		s.Reveal()} {
		if got, err := ParseCredential([]byte(text)); err != nil || got != c {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{"", "desk-7", s.Reveal(), c.Line() + " more", c.Line() + "\nmore",
		"desk:7 " + s.Reveal()} {
		if _, err := ParseCredential([]byte(text)); err == nil || strings.Contains(err.Error(), s.Reveal()) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
