package config

import (
	"crypto/tls"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/papertape/papertape/selfsigned"
)

// writePair writes a certificate and its key to the working directory.
func writePair(t *testing.T, name string, mode os.FileMode) {
	t.Helper()
	certificate, key, err := selfsigned.Make([]string{name}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for file, b := range map[string][]byte{name + ".crt": certificate, name + ".key": key} {
		if err := os.WriteFile(file, b, mode); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTLS loads certificates that are right and such as are not.
func TestTLS(t *testing.T) {
	t.Chdir(t.TempDir())
	writePair(t, "a", 0o600)
	writePair(t, "b", 0o600)
	writePair(t, "open", 0o644)
	if err := os.WriteFile("junk", []byte("not PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	pair := []string{"--tls.cert=a.crt", "--tls.key=a.key"}
	cfg, err := loadWith(t, "", nil, append(pair, "--listen=0.0.0.0:1", "--auth.keys-file=keys"))
	if err != nil {
		t.Fatal(err) // with keys, a certificate is enough for an address that others reach
	}
	if cfg.TLSConfig == nil || cfg.TLSConfig.Certificates[0].Leaf.Subject.CommonName != "a" ||
		cfg.TLSConfig.ClientAuth != tls.NoClientCert {
		t.Errorf("%+v", cfg.TLSConfig)
	}
	again, err := loadWith(t, "", nil, append(pair, "--tls.client-ca=b.crt"))
	if err != nil || again.TLSConfig.ClientAuth != tls.RequireAndVerifyClientCert || again.TLSConfig == cfg.TLSConfig {
		t.Errorf("with tls.client_ca: %v", err)
	}
	for want, args := range map[string][]string{
		"--tls.cert: a.crt and b.key are not a certificate and its key": {"--tls.cert=a.crt", "--tls.key=b.key"},
		"--tls.cert: gone cannot be read":                               {"--tls.cert=gone", "--tls.key=a.key"},
		"--tls.key: gone cannot be read":                                {"--tls.cert=a.crt", "--tls.key=gone"},
		"--tls.key: open.key may be read by others":                     {"--tls.cert=open.crt", "--tls.key=open.key"},
		"--tls.client-ca: junk holds no certificate":                    append(pair, "--tls.client-ca=junk"),
	} {
		if _, err := loadWith(t, "", nil, args); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v: %v, want %s", args, err, want)
		}
	}
}
