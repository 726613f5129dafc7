package client_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/codec"
)

// askingForKeys serves WELCOME with a nonce, and expects no LOGIN.
func askingForKeys(t *testing.T, version uint32, nonce string) string {
	return serve(t, func(p *peer) {
		p.send(codec.AppendWelcome(nil, &papertapev1.Welcome{Protocol: 1, Epoch: epoch, HeartbeatMs: 60_000,
			Nonce: []byte(nonce), ProofVersion: version}))
		p.waitClosed()
	})
}

// TestKeyNeeded: a client without a key says that one is needed, and an account does not try again.
func TestKeyNeeded(t *testing.T) {
	const nonce = "thirty-two bytes of the server's"
	if _, err := client.Dial(patience(t), askingForKeys(t, 2, nonce), client.Options{Account: 1}); !errors.Is(err,
		client.ErrKeyNeeded) {
		t.Errorf("without a key: %v", err)
	}
	addr := askingForKeys(t, 2, nonce)
	if _, err := client.Open(patience(t), addr, client.AccountOptions{Account: 1, Wait: true}); !errors.Is(err,
		client.ErrKeyNeeded) {
		t.Errorf("an account without a key: %v", err)
	}
	key, err := client.NewKey("desk", strings.Repeat("A", 43))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		version uint32
		nonce   string
		want    string
	}{{3, nonce, "proof of version 3"}, {2, "short", "nonce of WELCOME has 5 bytes"}} {
		_, err := client.Dial(patience(t), askingForKeys(t, c.version, c.nonce), client.Options{Account: 1, Key: key})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("version %d, nonce %q: %v", c.version, c.nonce, err)
		}
	}
}

// TestKeyFile: a key is read from a file that only its owner may read, and prints without its secret.
func TestKeyFile(t *testing.T) {
	secret := base64.RawURLEncoding.EncodeToString([]byte("thirty-two bytes between us only"))
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte("the key:\ndesk "+secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	key, err := client.ReadKey(path)
	if err != nil || key.ID() != "desk" {
		t.Fatalf("%v, %v", key, err)
	}
	for _, shown := range []string{
		fmt.Sprintf("%v %+v %#v %s %x", key, key, key, key, key), fmt.Sprintf("%v %+v %#v %x", *key, *key, *key, *key),
		fmt.Sprintf("%+v", client.Options{Key: key}),
	} {
		if strings.Contains(shown, secret) || strings.Contains(shown, "116 104 105") || strings.Contains(shown,
			"74686972") ||
			strings.Contains(shown, "0x74, 0x68") {
			t.Errorf("it prints as %s", shown)
		}
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := client.ReadKey(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a file that others may read: %v", err)
	}
	for _, text := range []string{"", "desk", "desk short", "desk " + secret + "A", "de:sk " + secret} {
		if _, err := client.ParseKey([]byte(text)); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
