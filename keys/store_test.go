package keys

import (
	"net/netip"
	"path/filepath"
	"testing"
	"time"
)

// storeOf returns a store with these keys, which all have the same secret.
func storeOf(t testing.TB, secret *Secret, list ...Key) *Store {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys")
	err := Edit(path, func(f *File) error {
		for i := range list {
			list[i].Verifier, list[i].Name = secret.Verifier(), "n"
			if err := f.Add(&list[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func accounts(t testing.TB, text string) Accounts {
	t.Helper()
	a, err := ParseAccounts(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestStoreLogin: what is looked for first is what is answered.
func TestStoreLogin(t *testing.T) {
	t.Parallel()
	secret, now := NewSecret(), time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	here := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	some := accounts(t, "5-7")
	s := storeOf(t, &secret, Key{ID: "trade", Role: Trade, Accounts: some}, Key{ID: "read", Role: Read, Accounts: some},
		Key{ID: "watch", Role: Watch}, Key{ID: "operate", Role: Operate},
		Key{ID: "ends", Role: Trade, Accounts: some, Expires: now}, Key{ID: "ended", Role: Watch,
			Expires: now.Add(-1e9), From: here},
		Key{ID: "here", Role: Watch, From: here}, Key{ID: "all", Role: Read, Accounts: accounts(t, "*")})
	nonce, clientNonce := make([]byte, NonceBytes), make([]byte, NonceBytes)
	clientNonce[0] = 1
	for _, c := range []struct {
		id      string
		account uint64
		from    string
		want    Refusal
	}{
		{"trade", 5, "10.0.0.1", Granted}, {"read", 7, "10.0.0.1", Granted}, {"all", 1 << 60, "10.0.0.1", Granted},
		{"trade", 8, "10.0.0.1", WrongAccount}, {"watch", 5, "10.0.0.1", WrongRole}, {"operate", 5, "10.0.0.1",
			WrongRole},
		{"ends", 5, "10.0.0.1", Expired}, {"ended", 5, "11.0.0.1", Expired}, {"here", 5, "11.0.0.1", WrongAddress},
		{"here", 5, "10.0.0.1", WrongRole}, {"nobody", 5, "10.0.0.1", Unproved}, {"", 5, "10.0.0.1", Unproved},
	} {
		l := Login{KeyID: c.id, Nonce: nonce, ClientNonce: clientNonce, Account: c.account,
			Proof: secret.Prove(nonce, clientNonce, c.account), From: netip.MustParseAddr(c.from), Now: now}
		k, got := s.Login(&l)
		if got != c.want || (k == nil) != (c.want == Unproved) {
			t.Errorf("%s for %d from %s: %v, want %v", c.id, c.account, c.from, got, c.want)
		}
		l.Proof[7] ^= 4
		if k, got := s.Login(&l); got != Unproved || k != nil {
			t.Errorf("%s with a wrong proof: %v", c.id, got)
		}
	}
	if _, got := s.Login(&Login{KeyID: "ends", Nonce: nonce, ClientNonce: clientNonce, Account: 5,
		Proof: secret.Prove(nonce, clientNonce, 5), Now: now.Add(-1)}); got != Granted {
		t.Errorf("a moment before it expires: %v", got)
	}
}

// TestBearer: the credential in one word, for roles of any kind.
func TestBearer(t *testing.T) {
	t.Parallel()
	secret, other, now := NewSecret(), NewSecret(), time.Now()
	here := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	s := storeOf(t, &secret, Key{ID: "op.1", Role: Operate, From: here}, Key{ID: "old", Role: Watch,
		Expires: now.Add(-time.Hour)})
	from, elsewhere := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("11.0.0.1")
	for _, c := range []struct {
		credential string
		from       netip.Addr
		want       Refusal
	}{
		{"op.1." + secret.Reveal(), from, Granted}, {"op.1." + secret.Reveal(), elsewhere, WrongAddress},
		{"old." + secret.Reveal(), from, Expired}, {"op.1." + other.Reveal(), from, Unproved},
		{"op.2." + secret.Reveal(), from, Unproved}, {"op.1", from, Unproved}, {"", from, Unproved},
		{"op.1." + secret.Verifier().String(), from, Unproved}, {secret.Reveal(), from, Unproved},
		{"op.1." + secret.Reveal() + "A", from, Unproved}, {"." + secret.Reveal(), from, Unproved},
	} {
		if k, got := s.Bearer(c.credential, c.from, now); got != c.want || (k == nil) != (c.want == Unproved) {
			t.Errorf("%.12s… from %v: %v, want %v", c.credential, c.from, got, c.want)
		}
	}
}

// The figures of docs/security.md come from these.
func BenchmarkLogin(b *testing.B) {
	secret := NewSecret()
	s := storeOf(b, &secret, Key{ID: "a", Role: Trade, Accounts: accounts(b, "*")})
	nonce, clientNonce := make([]byte, NonceBytes), make([]byte, NonceBytes)
	l := Login{KeyID: "a", Nonce: nonce, ClientNonce: clientNonce, Account: 7, Proof: secret.Prove(nonce, clientNonce,
		7),
		Now: time.Now()}
	for b.Loop() {
		if _, r := s.Login(&l); r != Granted {
			b.Fatal(r)
		}
	}
}
