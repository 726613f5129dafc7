package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/papertape/papertape/client"
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

// TestSecretsStaySecret looks for secrets, and for what follows from them, in everything that a run says: the log at
// its
// most talkative, the answers of the console, and what the commands print.
func TestSecretsStaySecret(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts a process")
	}
	t.Chdir(t.TempDir())
	desk := makeKey(t, "desk")
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
		answer, err := http.Get("http://" + at.Admin + path)
		if err != nil {
			t.Fatal(err)
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
	for _, c := range []keys.Credential{desk, wrong} {
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
