package gateway

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/keys"
)

const unauthorized = papertapev1.RejectCode_REJECT_CODE_UNAUTHORIZED

// keyed is a server with a file of keys, which all have the same secret.
type keyed struct {
	*server
	path   string
	secret keys.Secret
	log    *lines
}

// lines is a log.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// startKeyed starts a server whose keys are these lines without their verifiers: "id role accounts rest".
func startKeyed(t *testing.T, change func(*Config, *engine.Config), list ...string) *keyed {
	t.Helper()
	k := prepareKeyed(t, change, list...)
	k.serve(t)
	return k
}

func prepareKeyed(t *testing.T, change func(*Config, *engine.Config), list ...string) *keyed {
	t.Helper()
	k := &keyed{path: filepath.Join(t.TempDir(), "keys"), secret: keys.NewSecret(), log: new(lines)}
	k.write(t, list...)
	store, err := keys.Open(k.path)
	if err != nil {
		t.Fatal(err)
	}
	k.server = newServer(t, func(g *Config, e *engine.Config) {
		g.Keys, g.Log = store, zerolog.New(k.log)
		if change != nil {
			change(g, e)
		}
	})
	return k
}

// write replaces the file of keys.
func (k *keyed) write(t *testing.T, list ...string) {
	t.Helper()
	text := "papertape keys 1\n"
	for _, line := range list {
		id, rest, _ := strings.Cut(line, " ")
		text += fmt.Sprintf("%s hmac:%v %s name=name-of-%s\n", id, k.secret.Verifier(), rest, id)
	}
	if err := os.WriteFile(k.path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// reload replaces the file and has the server follow. It returns how many sessions were ended.
func (k *keyed) reload(t *testing.T, list ...string) int {
	t.Helper()
	k.write(t, list...)
	if _, err := k.gw.cfg.Keys.Reload(); err != nil {
		t.Fatal(err)
	}
	return k.gw.KeysChanged()
}

// bearer is a peer that proves who it is.
type bearer struct {
	*peer
	nonce []byte // of WELCOME
}

func (k *keyed) bearer(t testing.TB) *bearer {
	t.Helper()
	p := k.peer(t)
	w := p.welcome()
	if len(w.GetNonce()) != 32 || w.GetProofVersion() != 2 {
		t.Fatalf("WELCOME has a nonce of %d bytes and proof_version %d", len(w.GetNonce()), w.GetProofVersion())
	}
	return &bearer{p, w.GetNonce()}
}

// proof is a LOGIN with a right proof.
func (k *keyed) proof(b *bearer, id string, account uint64) *papertapev1.Login {
	clientNonce := bytes.Repeat([]byte{7}, 32)
	return &papertapev1.Login{Account: account, Mode: quick, KeyId: id, ClientNonce: clientNonce,
		Proof: k.secret.Prove(b.nonce, clientNonce, account)}
}

// try sends a LOGIN and returns its id.
func (b *bearer) try(in *papertapev1.Login) uint64 {
	b.t.Helper()
	b.id++
	b.write(codec.Append(nil, codec.TypeLogin, 0, b.id, in))
	return b.id
}

// user logs in with a key.
func (k *keyed) user(t testing.TB, id string, account uint64) *bearer {
	t.Helper()
	b := k.bearer(t)
	b.try(k.proof(b, id, account))
	r := decoded(t, b.expect(codec.TypeLoginReply), new(papertapev1.LoginReply))
	b.account, b.seq = account, r.GetHeadSeq()
	return b
}

// TestLoginWithKey: who has a key and proves it comes in, and nobody else; each connection has a nonce of its own.
func TestLoginWithKey(t *testing.T) {
	t.Parallel()
	k := startKeyed(t, nil, fmt.Sprintf("desk trade %d,999999", alice), "old trade * expires=2020-01-01",
		"far trade * from=192.0.2.0/24", "watch watch -", "operate operate -")
	p := k.user(t, "desk", alice)
	p.trade(2)
	if n := p.nonce; bytes.Equal(n, k.bearer(t).nonce) {
		t.Error("two connections have the same nonce")
	}
	for _, c := range []struct {
		name   string
		change func(*papertapev1.Login)
		code   papertapev1.RejectCode
		text   string
	}{
		{"no key", func(l *papertapev1.Login) { l.KeyId, l.ClientNonce, l.Proof = "", nil, nil }, unauthorized,
			"asks for a key"},
		{"a wrong proof", func(l *papertapev1.Login) { l.Proof[31] ^= 1 }, unauthorized,
			"the key or the proof is wrong"},
		{"an unknown key", func(l *papertapev1.Login) { l.KeyId = "nobody" }, unauthorized,
			"the key or the proof is wrong"},
		{"another account", func(l *papertapev1.Login) { l.Account = bob }, unauthorized,
			"the key or the proof is wrong"},
		{"no id", func(l *papertapev1.Login) { l.KeyId = "" }, malformed, "key_id has 0 bytes"},
		{"a long id", func(l *papertapev1.Login) { l.KeyId = strings.Repeat("x", 65) }, malformed,
			"key_id has 65 bytes"},
		{"an id with a line break", func(l *papertapev1.Login) { l.KeyId = "a\nb" }, malformed, "printable"},
		{"a short nonce", func(l *papertapev1.Login) { l.ClientNonce = l.ClientNonce[:31] }, malformed,
			"client_nonce has 31"},
		{"a long nonce", func(l *papertapev1.Login) { l.ClientNonce = append(l.ClientNonce, 0) }, malformed,
			"client_nonce has 33"},
		{"no proof", func(l *papertapev1.Login) { l.Proof = nil }, malformed, "the proof has 0 bytes"},
		{"an expired key", func(l *papertapev1.Login) { l.KeyId = "old" }, unauthorized, "the key has expired"},
		{"from another address", func(l *papertapev1.Login) { l.KeyId = "far" }, unauthorized,
			"not be used from this address"},
		{"to watch", func(l *papertapev1.Login) { l.KeyId = "watch" }, unauthorized,
			"the key's role does not allow this"},
		{"to operate", func(l *papertapev1.Login) { l.KeyId = "operate" }, unauthorized,
			"the key's role does not allow this"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k.gw.attempts.forget()
			b := k.bearer(t)
			in := k.proof(b, "desk", alice)
			c.change(in)
			if r := b.rejected(b.try(in), c.code); !strings.Contains(r.GetText(), c.text) {
				t.Errorf("it says %q, want %q", r.GetText(), c.text)
			}
			b.try(k.proof(b, "desk", alice)) // the next try is right
			b.expect(codec.TypeLoginReply)
		})
	}
	if log := k.log.String(); !strings.Contains(log, `"remote":"127.0.0.1"`) || strings.Contains(log,
		k.secret.Reveal()) {
		t.Errorf("the log has\n%s", log)
	}
}

// forget forgives everybody.
func (a *attempts) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.of)
}

// TestGrantBeforeExistence: the answer about an account that is not granted does not tell whether there is one.
func TestGrantBeforeExistence(t *testing.T) {
	t.Parallel()
	const missing = 999_999_999
	k := startKeyed(t, nil, fmt.Sprintf("desk trade %d", alice), "all read *")
	b := k.bearer(t)
	here := b.rejected(b.try(k.proof(b, "desk", bob)), unauthorized)
	nowhere := b.rejected(b.try(k.proof(b, "desk", missing)), unauthorized)
	if here.GetText() != nowhere.GetText() {
		t.Errorf("%q and %q", here.GetText(), nowhere.GetText())
	}
	b.rejected(b.try(k.proof(b, "all", missing)), papertapev1.RejectCode_REJECT_CODE_UNKNOWN_ACCOUNT)
	b.goodbye(protocolViolated) // the third
}

// TestProofOfAnotherConnection: a proof that was heard is good for nothing.
func TestProofOfAnotherConnection(t *testing.T) {
	t.Parallel()
	k := startKeyed(t, nil, fmt.Sprintf("desk trade %d-%d", alice, bob))
	heard := k.proof(k.bearer(t), "desk", alice)
	b := k.bearer(t)
	b.rejected(b.try(heard), unauthorized)
	own := k.proof(b, "desk", alice)
	own.Account = alice + 1 // granted, and not what it was made for
	b.rejected(b.try(own), unauthorized)
}

// TestReadOnly: with a key for reading everything can be asked, and nothing can be ordered.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	k := prepareKeyed(t, nil, "eyes read *", "hands trade *")
	k.gw.Handle(typeRows, rowsHandler(t, k.gw.cfg.Universe))
	k.serve(t)
	p, trader := k.user(t, "eyes", alice), k.user(t, "hands", alice)
	p.write(p.appendOrder(nil))
	if r := p.rejected(p.id, unauthorized); r.GetText() != readOnlyText {
		t.Errorf("it says %q", r.GetText())
	}
	p.write(p.request(nil, codec.TypeHoldings))
	p.expect(codec.TypeHoldingsReply)
	p.write(p.request(nil, codec.TypeHistory))
	p.expect(codec.TypeHistoryReply)
	for _, b := range []*bearer{p, trader} {
		b.id++
		b.write(codec.AppendFrame(nil, typeRows, 0, b.id, []byte("rows")))
		b.expect(typeRows + 1)
	}
	p.id++
	p.write(codec.AppendFrame(nil, typeRows, 0, p.id, []byte("buy")))
	p.rejected(p.id, unauthorized)
	trader.id++
	trader.write(codec.AppendFrame(nil, typeRows, 0, trader.id, []byte("buy")))
	trader.executions(1)
	trader.trade(1)
	p.until(trader.seq) // it sees what others trade
}

// TestRevoked: after a reload, the sessions of keys that are gone, have expired or grant less end, and the others go
// on.
func TestRevoked(t *testing.T) {
	t.Parallel()
	all := []string{"gone", "expired", "less", "stays", "more"}
	list := make([]string, len(all))
	for i, id := range all {
		list[i] = id + " trade 1-999999"
	}
	list[4] = "more read 1-999999"
	k := startKeyed(t, nil, list...)
	sessions := make(map[string]*bearer)
	for _, id := range all {
		sessions[id] = k.user(t, id, alice)
	}
	if n := k.reload(t, "expired trade 1-999999 expires=2020-01-01", "less trade 1-999998", "stays trade *",
		"more trade 1-999999"); n != 3 {
		t.Errorf("%d sessions were ended, want 3", n)
	}
	for id, want := range map[string]string{"gone": "the key was revoked",
		"expired": "the key was revoked: it has expired",
		"less":    "the key was revoked: it grants less than before"} {
		p := sessions[id]
		if g := p.goodbye(kicked); g.GetText() != want {
			t.Errorf("%s: %q, want %q", id, g.GetText(), want)
		}
		p.eof()
	}
	sessions["more"].trade(1) // it may trade now
	sessions["stays"].until(sessions["more"].seq)
	if n := k.gw.stats.AuthRevoked.Load(); n != 3 {
		t.Errorf("auth_revoked is %d, want 3", n)
	}
	if n := k.reload(t); n != 2 {
		t.Errorf("%d sessions were ended with the last keys, want 2", n)
	}
}

// TestRevokedUnderLoad: what was taken before is answered, and no session of the key is left.
func TestRevokedUnderLoad(t *testing.T) {
	t.Parallel()
	k := startKeyed(t, nil, "desk trade *", "other trade *")
	const each = 50
	var sessions []*bearer
	for i := range uint64(8) {
		sessions = append(sessions, k.user(t, "desk", alice+i))
	}
	other := k.user(t, "other", bob)
	var trading sync.WaitGroup
	for _, p := range sessions {
		p.write(p.appendOrders(nil, each))
		trading.Go(func() {
			executed := 0
			for {
				switch f := p.frame(); f.Type {
				case codec.TypeExecution:
					executed++
					continue
				case codec.TypeGoodbye:
					if executed > each {
						t.Errorf("%d orders were executed of %d", executed, each)
					}
					return
				default:
					t.Errorf("%v %s", f.Type, says(f))
					return
				}
			}
		})
	}
	if n := k.reload(t, "other trade *"); n != len(sessions) {
		t.Errorf("%d sessions were ended, want %d", n, len(sessions))
	}
	trading.Wait()
	other.trade(1)
}

// TestExpires: a session ends when its key does, without a reload.
func TestExpires(t *testing.T) {
	t.Parallel()
	soon := time.Now().Add(4 * time.Second).UTC().Truncate(time.Second) // a busy machine needs a while for a login
	slow := func(g *Config, _ *engine.Config) {
		g.LoginTimeout, g.Heartbeat = time.Minute,
			time.Minute
	} // no other deadline
	k := startKeyed(t, slow, "soon trade * expires="+soon.Format(time.RFC3339), "later trade * expires=2999-01-01")
	p, q := k.user(t, "soon", alice), k.user(t, "later", bob)
	p.trade(1)
	if g := p.goodbye(kicked); g.GetText() != "the key was revoked: it has expired" {
		t.Errorf("it says %q", g.GetText())
	}
	if late := time.Since(soon); late < 0 || late > patience {
		t.Errorf("it ended %v after the key", late)
	}
	p.eof()
	q.trade(1)
}

// TestFailedLogins: an address that has failed too often is not listened to for a while, whatever the
// key; that costs the others nothing, and is in the log once.
func TestFailedLogins(t *testing.T) {
	t.Parallel()
	k := startKeyed(t, nil, "desk trade *")
	before := k.user(t, "desk", bob)
	for i := range failuresAtOnce {
		b := k.bearer(t)
		in := k.proof(b, fmt.Sprintf("guess-%d", i), alice)
		b.rejected(b.try(in), unauthorized)
	}
	b := k.bearer(t)
	for range 10 * failuresAtOnce { // however slow this test is, that is not forgiven while it runs
		k.gw.attempts.failed(addressOf(b.conn.LocalAddr()), time.Since(k.gw.start))
	}
	r := b.rejected(b.try(k.proof(b, "desk", alice)), papertapev1.RejectCode_REJECT_CODE_BUSY)
	if r.GetRetryAfterMs() != 1000 {
		t.Errorf("retry after %d ms", r.GetRetryAfterMs())
	}
	before.trade(1)
	k.gw.attempts.forget()
	b.try(k.proof(b, "desk", alice))
	b.expect(codec.TypeLoginReply)
	st := k.gw.Stats()
	if st.AuthFailed.Load() != failuresAtOnce || st.AuthLimited.Load() != 1 {
		t.Errorf("auth_failed %d, auth_limited %d", st.AuthFailed.Load(), st.AuthLimited.Load())
	}
	log := k.log.String()
	if strings.Count(log, "refused") != 1 || !strings.Contains(log, `"key":"guess-0"`) {
		t.Errorf("the log has\n%s", log)
	}
}

// TestPresenceWithKeys: of all accounts only who may see all of them is told.
func TestPresenceWithKeys(t *testing.T) {
	t.Parallel()
	k := startKeyed(t, func(g *Config, _ *engine.Config) { g.PresenceAll = true }, "all read *",
		fmt.Sprintf("some read %d-%d", alice, bob))
	all, some := k.user(t, "all", alice), k.user(t, "some", alice)
	all.subscribePresence(true)
	some.subscribePresence(true)
	other := k.user(t, "all", bob)
	want := fmt.Sprintf("%d %d online=true 1", bob, other.uid)
	if got := all.present(); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	same := k.user(t, "all", alice)
	want = fmt.Sprintf("%d %d online=true 3", alice, same.uid)
	if got := some.present(); got != want {
		t.Errorf("who may see some accounts is told of %s first, want %s", got, want)
	}
	if n := k.reload(t, "all read *", "some read *"); n != 0 {
		t.Fatalf("%d sessions were ended", n)
	}
	third := k.user(t, "all", bob)
	want = fmt.Sprintf("%d %d online=true 2", bob, third.uid)
	if got := some.present(); got != want {
		t.Errorf("with a greater key it is told of %s, want %s", got, want)
	}
}

// TestSessionsHaveKeys: the list of sessions says with whose key each came.
func TestSessionsHaveKeys(t *testing.T) {
	t.Parallel()
	k := startKeyed(t, nil, "desk trade *")
	p := k.user(t, "desk", alice)
	k.bearer(t)
	for _, in := range k.gw.Sessions() {
		if want := map[uint64]string{p.uid: "name-of-desk"}[in.UID]; in.Key != want {
			t.Errorf("session %d: key %q, want %q", in.UID, in.Key, want)
		}
	}
}

// TestWithoutKeys: where no keys are asked for, WELCOME has no nonce, and what a LOGIN says of a key does not matter.
func TestWithoutKeys(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	p := s.peer(t)
	if w := p.welcome(); len(w.GetNonce()) != 0 || w.GetProofVersion() != 0 {
		t.Errorf("a nonce of %d bytes, proof_version %d", len(w.GetNonce()), w.GetProofVersion())
	}
	b := &bearer{peer: p}
	b.try(&papertapev1.Login{Account: alice, Mode: quick, KeyId: "x", Proof: []byte("y")})
	b.expect(codec.TypeLoginReply)
	if s.gw.KeysChanged() != 0 {
		t.Error("sessions without keys were ended")
	}
}
