package main

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/selfsigned"
)

// newCertificate replaces tls.crt and tls.key in the working directory.
func newCertificate(t *testing.T, name string, lasts time.Duration) *x509.CertPool {
	t.Helper()
	certificate, key, err := selfsigned.Make([]string{name, "127.0.0.1"}, lasts)
	if err != nil {
		t.Fatal(err)
	}
	write(t, "tls.crt", string(certificate))
	write(t, "tls.key", string(key))
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certificate)
	return pool
}

// TestCertificateRenewed replaces the certificate of a running server: new connections see the new one, and the old
// ones go on. What cannot be used changes nothing.
func TestCertificateRenewed(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts a server")
	}
	t.Chdir(t.TempDir())
	old := newCertificate(t, "old", 20*24*time.Hour)
	write(t, "c.yaml", "tls.cert: tls.crt\ntls.key: tls.key\n")
	p := startServe(t, "--config", "c.yaml", "--durability", "none")
	p.until("TLS certificate")
	addr := p.until("listening").Listen
	login := func(pool *x509.CertPool) (*client.Client, error) {
		return client.Dial(t.Context(), addr, client.Options{Account: 100017, TLS: &tls.Config{RootCAs: pool}})
	}
	first, err := login(old)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close() //nolint:errcheck // never fails
	renewed := newCertificate(t, "new", 10*24*time.Hour)
	p.signal(syscall.SIGHUP)
	if line := p.until("the TLS certificate expires soon"); line.Level != "warn" {
		t.Errorf("10 days before a certificate expires: %+v", line)
	}
	p.until("reloaded")
	second, err := login(renewed)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close() //nolint:errcheck // never fails
	if _, err := login(old); err == nil {
		t.Error("the old certificate is still shown")
	}
	for what, spoil := range map[string]func(){
		"c.yaml:1: tls.cert: tls.crt and tls.key are not": func() { write(t, "tls.key", "junk") },
		"c.yaml:2: tls.key: tls.key may be read": func() {
			if err := os.Chmod("tls.key", 0o644); err != nil { //nolint:gosec // that is what is tried
				t.Fatal(err)
			}
		},
		"tls.cert: TLS is turned on or off": func() { write(t, "c.yaml", "") },
	} {
		newCertificate(t, "newest", 20*24*time.Hour)
		spoil()
		p.signal(syscall.SIGHUP)
		if line := p.until("reload"); line.Level != "error" || !strings.HasPrefix(line.Error, what) {
			t.Errorf("%+v, want %s", line, what)
		}
		if err := os.Remove("tls.key"); err != nil {
			t.Fatal(err)
		}
		write(t, "c.yaml", "tls.cert: tls.crt\ntls.key: tls.key\n")
	}
	for _, c := range []*client.Client{first, second} {
		if _, err := c.Holdings(t.Context()); err != nil {
			t.Error(err)
		}
	}
	p.stop()
}
