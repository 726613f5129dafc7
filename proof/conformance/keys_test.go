package conformance

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	pb "github.com/papertape/papertape/api/papertape/v1"
)

// key is a key as papertape keys add gives it.
type key struct {
	id, text string
	secret   []byte
	file     string // with both
}

// prove returns the proof of a login, as protocol.md describes it.
func prove(secret, nonce, clientNonce []byte, account uint64) []byte {
	mac := func(key []byte, text ...byte) []byte {
		m := hmac.New(sha256.New, key)
		m.Write(text)
		return m.Sum(nil)
	}
	clientKey := mac(secret, []byte("papertape-v2 client key")...)
	verifier := sha256.Sum256(clientKey)
	message := append(append([]byte("papertape-v2"), nonce...), clientNonce...)
	proof := mac(verifier[:], binary.BigEndian.AppendUint64(message, account)...)
	for i := range proof {
		proof[i] ^= clientKey[i]
	}
	return proof
}

// login returns a LOGIN with a proof for this connection.
func (k *key) login(s *session, account uint64) *pb.Login {
	clientNonce := make([]byte, 32)
	_, _ = rand.Read(clientNonce) // never fails
	return &pb.Login{
		Account: account, Mode: snapshot, KeyId: k.id, ClientNonce: clientNonce,
		Proof: prove(k.secret, s.welcome.Nonce, clientNonce, account),
	}
}

// addKey makes a key with the command.
func addKey(t testing.TB, dir, name string, args ...string) *key {
	t.Helper()
	k := &key{file: filepath.Join(dir, name+".key")}
	cmd, err := command(dir, nil, append([]string{"keys", "add", "--keys-file", filepath.Join(dir, "keys"), "--name",
		name,
		"--out", k.file}, args...))
	if err != nil {
		t.Fatal(err)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("keys add: %v\n%s", err, out)
	}
	text, err := os.ReadFile(k.file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	k.id, k.text, _ = strings.Cut(lines[len(lines)-1], " ")
	if k.secret, err = base64.RawURLEncoding.DecodeString(k.text); err != nil || len(k.secret) != 32 {
		t.Fatalf("the secret has %d bytes, %v", len(k.secret), err)
	}
	return k
}

// TestToolProof compares this package's proof with the published vectors.
func TestToolProof(t *testing.T) {
	text, err := os.ReadFile("../../keys/testdata/proofs.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Name, Secret, Nonce, Proof string
		ClientNonce                string `json:"client_nonce"`
		Account                    uint64 `json:",string"`
	}
	if err := json.Unmarshal(text, &vectors); err != nil || len(vectors) == 0 {
		t.Fatalf("%d vectors, %v", len(vectors), err)
	}
	for _, v := range vectors {
		var nonce, clientNonce []byte
		secret, err := base64.RawURLEncoding.DecodeString(v.Secret)
		if _, err2 := fmt.Sscanf(v.Nonce+" "+v.ClientNonce, "%x %x", &nonce, &clientNonce); err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		if got := fmt.Sprintf("%x", prove(secret, nonce, clientNonce, v.Account)); got != v.Proof {
			t.Errorf("%s: the proof is %s, want %s", v.Name, got, v.Proof)
		}
	}
}

// TestKeys judges a server that asks for keys.
func TestKeys(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts a server")
	}
	t.Parallel()
	const unauthorized = pb.RejectCode_REJECT_CODE_UNAUTHORIZED
	dir := t.TempDir()
	desk := addKey(t, dir, "desk", "--role", "trade", "--accounts", "100001,100005-100007,4711")
	reader := addKey(t, dir, "reader", "--role", "read", "--accounts", "*")
	watch := addKey(t, dir, "watch", "--role", "watch")
	far := addKey(t, dir, "far", "--role", "trade", "--accounts", "*", "--from", "192.0.2.0/24")
	srv := start(t, "--auth.keys-file", filepath.Join(dir, "keys"))
	t.Run("WELCOME asks for a proof, with a nonce for each connection", func(t *testing.T) {
		a, b := dial(t, srv), dial(t, srv)
		if len(a.welcome.Nonce) != 32 || a.welcome.ProofVersion != 2 ||
			string(a.welcome.Nonce) == string(b.welcome.Nonce) {
			t.Errorf("nonce %x, then %x; proof_version %d", a.welcome.Nonce, b.welcome.Nonce, a.welcome.ProofVersion)
		}
	})
	t.Run("a key to trade", func(t *testing.T) {
		s := dial(t, srv)
		s.loginWith(desk.login(s, 100_006))
		s.execute(buy("SZ", "000001", 100))
		s.holdings()
		s.alive()
	})
	t.Run("a key to read", func(t *testing.T) {
		s := dial(t, srv)
		s.loginWith(reader.login(s, 100_002))
		s.rejected(s.answer(s.send(kOrder, buy("SZ", "000001", 100))), unauthorized)
		s.holdings()
		s.alive()
	})
	for name, attempt := range map[string]func(*session) *pb.Login{
		"without a key":                         func(*session) *pb.Login { return &pb.Login{Account: 100_001} },
		"an account that is not granted":        func(s *session) *pb.Login { return desk.login(s, 100_002) },
		"an account that is neither":            func(s *session) *pb.Login { return desk.login(s, 999_999) },
		"a key for the console":                 func(s *session) *pb.Login { return watch.login(s, 100_001) },
		"a key for another address":             func(s *session) *pb.Login { return far.login(s, 100_001) },
		"a proof of another connection's nonce": func(*session) *pb.Login { return desk.login(dial(t, srv), 100_001) },
		"another account's proof": func(s *session) *pb.Login {
			in := desk.login(s, 100_005)
			in.Account = 100_006
			return in
		},
		"another key's proof": func(s *session) *pb.Login {
			in := desk.login(s, 100_001)
			in.KeyId = reader.id
			return in
		},
		"a key that is not there": func(s *session) *pb.Login {
			in := desk.login(s, 100_001)
			in.KeyId = "nobody"
			return in
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := dial(t, srv)
			s.rejected(s.answer(s.send(kLogin, attempt(s))), unauthorized)
		})
	}
	t.Run("a granted account that is not there", func(t *testing.T) {
		srv := start(t, "--auth.keys-file", filepath.Join(dir, "keys")) // the other has heard too many wrong logins
		s := dial(t, srv)
		s.rejected(s.answer(s.send(kLogin, desk.login(s, 4711))), pb.RejectCode_REJECT_CODE_UNKNOWN_ACCOUNT)
		in := desk.login(s, 100_001)
		in.ClientNonce = in.ClientNonce[:31]
		s.rejected(s.answer(s.send(kLogin, in)), pb.RejectCode_REJECT_CODE_MALFORMED)
		s.rejected(s.answer(s.send(kLogin, watch.login(s, 100_001))), unauthorized)
		s.goodbye(pb.GoodbyeReason_GOODBYE_REASON_PROTOCOL)
	})
}

// TestPythonClient logs in with docs/login.py, which has nothing in common with this project but the page.
func TestPythonClient(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts a server")
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3")
	}
	t.Parallel()
	dir := t.TempDir()
	desk := addKey(t, dir, "desk", "--role", "trade", "--accounts", "100100")
	srv, open := start(t, "--auth.keys-file", filepath.Join(dir, "keys")), sharedServer(t)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{srv.listen, "100100", desk.file}, "account 100100, sequence 1, 0 positions, cash 1000000.00\n"},
		{[]string{srv.listen, "100100"}, "this server asks for a key: name its file\n"},
		{[]string{srv.listen, "100099", desk.file}, "refused, code 6: the key does not grant this account\n"},
		{[]string{open.listen, "100100"}, "account 100100, "},
	} {
		out, err := exec.Command(python, append([]string{"../../docs/login.py"}, c.args...)...).CombinedOutput()
		if !strings.HasPrefix(string(out), c.want) || (err == nil) != strings.HasPrefix(c.want, "account") {
			t.Errorf("login.py %v: %v\n%swant %s", c.args[1:], err, out, c.want)
		}
	}
}
