package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/cmd/papertape/config"
	"github.com/papertape/papertape/console"
	"github.com/papertape/papertape/keys"
)

// papertape runs a command, which must succeed, and returns what it printed, to stdout and stderr.
func papertape(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("papertape", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("papertape %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// makeKey makes a key for account 100001 in the file "keys", and returns it.
func makeKey(t *testing.T, name string, flags ...string) keys.Credential {
	t.Helper()
	papertape(t, append([]string{"keys", "add", "--keys-file", "keys", "--role", "trade", "--accounts", "100001",
		"--name",
		name, "--out", name + ".key"}, flags...)...)
	c, err := keys.ReadCredential(name + ".key")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func dialWithKey(t *testing.T, addr, name string) (*client.Client, error) {
	t.Helper()
	key, err := client.ReadKey(name + ".key")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, err := client.Dial(ctx, addr, client.Options{Account: 100001, Key: key})
	if err == nil {
		t.Cleanup(func() { _ = c.Close() })
	}
	return c, err
}

// TestKeyRevokedWhileLive: a session learns that its key was revoked, and the session of another key stays. An account
// that is kept up to date does not come back.
func TestKeyRevokedWhileLive(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts a process")
	}
	t.Chdir(t.TempDir())
	desk := makeKey(t, "desk")
	makeKey(t, "other")
	server := startServe(t, "--auth.keys-file", "keys", "--durability", "none", "--log.format", "json")
	addr := server.until("listening").Listen
	c, err := dialWithKey(t, addr, "desk")
	if err != nil {
		t.Fatal(err)
	}
	other, err := dialWithKey(t, addr, "other")
	if err != nil {
		t.Fatal(err)
	}
	key, err := client.ReadKey("desk.key")
	if err != nil {
		t.Fatal(err)
	}
	kept, err := client.Open(t.Context(), addr, client.AccountOptions{Account: 100001, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = kept.Close() }()
	papertape(t, "keys", "revoke", desk.ID, "--keys-file", "keys")
	if _, err := other.Holdings(t.Context()); err != nil {
		t.Fatal(err)
	}
	server.signal(syscall.SIGHUP)
	server.until("keys reloaded")
	var bye *client.Goodbye
	for err == nil {
		_, err = c.Next(t.Context())
	}
	if !errors.As(err, &bye) || bye.Reason != client.GoodbyeKicked || bye.Text != "the key was revoked" {
		t.Errorf("the session ends with %v", err)
	}
	for err = nil; err == nil; {
		_, err = kept.Next(t.Context())
	}
	var refused *client.Reject
	if !errors.As(err, &refused) || refused.Code != client.Unauthorized {
		t.Errorf("the account ends with %v", err)
	}
	if _, err := other.Holdings(t.Context()); err != nil {
		t.Errorf("the other session: %v", err)
	}
	server.stop()
}

// TestKeysAtTheConsole asks a console that other machines reach, over TLS, with keys of each role; and has a key
// revoked by it.
func TestKeysAtTheConsole(t *testing.T) {
	t.Chdir(t.TempDir())
	pool := newCertificate(t, "server", 20*24*time.Hour)
	certificate, err := tls.LoadX509KeyPair("tls.crt", "tls.key")
	if err != nil {
		t.Fatal(err)
	}
	desk, risk := makeKey(t, "desk"), makeKey(t, "risk", "--role", "read")
	watch := makeKey(t, "watch", "--role", "watch", "--accounts", "-")
	operate := makeKey(t, "operate", "--role", "operate", "--accounts", "-")
	cfg := config.Default()
	cfg.Listen, cfg.Admin, cfg.Accounts, cfg.Data = "127.0.0.1:0", "0.0.0.0:0", 3, t.TempDir()
	cfg.Simulator.Rate, cfg.AuthKeysFile = 0, "keys"
	cfg.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}}
	s, err := newServer(cfg, nil, zerolog.New(zerolog.NewTestWriter(t)))
	if err != nil {
		t.Fatal(err)
	}
	l := run(t, s)
	at := l.at()
	_, port, err := net.SplitHostPort(at.admin)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(c *keys.Credential) *console.Client {
		token := ""
		if c != nil {
			token = c.ID + "." + c.Secret.Reveal()
		}
		return console.Dial(console.ClientConfig{Address: "https://127.0.0.1:" + port, Token: token, NoLocal: true,
			TLS: &tls.Config{RootCAs: pool}})
	}
	forged := keys.Credential{ID: operate.ID, Secret: keys.NewSecret()}
	for _, test := range []struct {
		key          *keys.Credential
		read, change int
	}{
		{nil, 401, 401}, {&forged, 401, 401}, {&desk, 403, 403}, {&risk, 403, 403}, {&watch, 200, 403},
		{&operate, 200, 200},
	} {
		c := ask(test.key)
		_, read := c.Simulator(t.Context())
		_, change := c.SetRate(t.Context(), 0)
		if statusOf(read) != test.read || statusOf(change) != test.change {
			t.Errorf("with %v: %v and %v, want %d and %d", test.key, read, change, test.read, test.change)
		}
	}

	secret, err := client.ReadKey("desk.key")
	if err != nil {
		t.Fatal(err)
	}
	session, err := client.Dial(t.Context(), at.listen, client.Options{Account: 100001, Key: secret,
		TLS: &tls.Config{RootCAs: pool}})
	if err != nil {
		t.Fatal(err)
	}
	papertape(t, "keys", "revoke", desk.ID, "--keys-file", "keys")
	r, err := http.NewRequestWithContext(t.Context(), "POST", "https://127.0.0.1:"+port+"/api/v1/keys/reload", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+operate.ID+"."+operate.Secret.Reveal())
	web := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true,
	}}
	answer, err := web.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	var got console.KeysReload
	if err != nil || answer.StatusCode != 200 || !jsonInto(string(text), &got) || got.SessionsEnded != 1 ||
		!slices.Equal(got.Gone, []string{desk.ID}) {
		t.Errorf("reload: %d %s, %v", answer.StatusCode, text, err)
	}
	for err == nil {
		_, err = session.Next(t.Context())
	}
	var bye *client.Goodbye
	if !errors.As(err, &bye) || bye.Reason != client.GoodbyeKicked {
		t.Errorf("the session ends with %v", err)
	}
	if err := l.end(); err != nil {
		t.Error(err)
	}
	lines, err := os.ReadFile(filepath.Join(cfg.Data, auditFile))
	if err != nil || !bytes.Contains(lines, []byte("gone ["+desk.ID+"]")) ||
		!bytes.Contains(lines, []byte(`"key":"`+operate.ID+`"`)) ||
		bytes.Contains(lines, []byte(operate.Secret.Reveal())) {
		t.Errorf("the audit: %v\n%s", err, lines)
	}
}

// statusOf returns the status of an answer of the console by the error of its client; 200 without one.
func statusOf(err error) int {
	var answered *console.Error
	switch {
	case err == nil:
		return 200
	case errors.As(err, &answered):
		return answered.Status
	}
	return 0
}

// TestSecretsStaySecret looks for secrets, and for what follows from them, in everything that a run
// says: the log at its most talkative, the answers of the console, and what the commands print.
func TestSecretsStaySecret(t *testing.T) {
	if testing.Short() || raceDetector {
		t.Skip("it starts processes, one after the other")
	}
	t.Chdir(t.TempDir())
	desk := makeKey(t, "desk")
	operate := makeKey(t, "operate", "--role", "operate", "--accounts", "-")
	said := new(bytes.Buffer)
	cmd := exec.Command("papertape", "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--durability",
		"none",
		"--auth.keys-file", "keys", "--log.level", "trace", "--log.format", "json")
	log, err := os.Create("log")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	at := awaitListening(t, "log")
	if _, err := dialWithKey(t, at.Listen, "desk"); err != nil {
		t.Fatal(err)
	}
	wrong := keys.Credential{ID: desk.ID, Secret: keys.NewSecret()}
	write(t, "wrong.key", wrong.Line()+"\n")
	_, err = dialWithKey(t, at.Listen, "wrong")
	fmt.Fprintln(said, err)
	for _, args := range [][]string{
		{"keys", "list", "--keys-file", "keys", "-o", "json"}, {"keys", "check", "--keys-file", "keys"},
		{"config", "print", "--auth.keys-file", "keys", "-o", "json"}, {"sessions", "--admin", at.Admin, "-o", "json"},
		{"stats", "--admin", at.Admin}, {"client", "--server", at.Listen, "--account", "100001", "--key", "desk.key",
			"holding"},
		{"client", "--server", at.Listen, "--account", "100001", "--key", "keys", "holding"},
		{"serve", "--auth.keys-file", "desk.key", "--durability", "none"}, {"keys", "check", "--keys-file", "desk.key"},
	} {
		out, err := exec.Command("papertape", args...).CombinedOutput()
		fmt.Fprintln(said, string(out), err)
	}
	for _, path := range []string{"/metrics", "/debug/pprof/cmdline", "/debug/pprof/goroutine?debug=2"} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+at.Admin+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+operate.ID+"."+operate.Secret.Reveal())
		answer, err := http.DefaultClient.Do(r)
		if err != nil || strings.Contains(path, "pprof") && answer.StatusCode != 200 {
			t.Fatalf("%s: %v, %v", path, answer, err)
		}
		_, _ = io.Copy(said, answer.Body)
		_ = answer.Body.Close()
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	logged, err := os.ReadFile("log")
	if err != nil {
		t.Fatal(err)
	}
	said.Write(logged)
	if !strings.Contains(said.String(), desk.ID) || !bytes.Contains(logged, []byte("a login was refused")) {
		t.Errorf("it says nothing of the key:\n%s", said)
	}
	for _, c := range []keys.Credential{desk, operate, wrong} {
		verifier := c.Secret.Verifier()
		for what, text := range map[string]string{
			"the secret": c.Secret.Reveal(), "a part of the secret": c.Secret.Reveal()[8:24],
			"the secret's bytes": hex.EncodeToString(c.Secret[:]), "the verifier": verifier.String(),
		} {
			if at := strings.Index(said.String(), text); at >= 0 {
				t.Errorf("%s is in what is said: %s", what, said.String()[max(0, at-200):at])
			}
		}
	}
}

// awaitListening returns where a server listens, by its log.
func awaitListening(t *testing.T, path string) (at logLine) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		text, err := os.ReadFile(filepath.Clean(path))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, `"listening"`) && jsonInto(line, &at) {
				return at
			}
		}
	}
	t.Fatal("the server does not listen")
	return at
}

func jsonInto(line string, to any) bool { return json.Unmarshal([]byte(line), to) == nil }
