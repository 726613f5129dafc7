package client_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/selfsigned"
)

// pair makes a certificate for a name, and what trusts it.
func pair(t *testing.T, name string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	certificate, key, err := selfsigned.Make([]string{name}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	both, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certificate)
	return both, pool
}

// overTLS plays a script behind TLS.
func overTLS(cfg *tls.Config, script func(*peer)) func(*peer) {
	return func(p *peer) {
		sealed := tls.Server(p.Conn, cfg)
		if sealed.Handshake() == nil {
			script(&peer{Conn: sealed, t: p.t})
		}
	}
}

// TestTLS logs in over TLS: to a server that is who it should be, and to others.
func TestTLS(t *testing.T) {
	certificate, pool := pair(t, "127.0.0.1")
	mine, minePool := pair(t, "desk")
	cfg := &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"papertape/1"},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: minePool}
	script := overTLS(cfg, func(p *peer) {
		p.hello(0)
		p.waitClosed()
	})
	key := testKey(t)
	addr := serve(t, script, script, script)
	right := &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{mine}}
	c, err := client.Dial(t.Context(), addr, client.Options{Account: account, TLS: right, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	for want, cfg := range map[string]*tls.Config{
		"unknown authority": {Certificates: []tls.Certificate{mine}},
		"papertape.example": {RootCAs: pool, ServerName: "papertape.example", Certificates: []tls.Certificate{mine}},
	} {
		_, err := client.Dial(t.Context(), addr, client.Options{Account: account, TLS: cfg})
		var failed *tls.CertificateVerificationError
		if !errors.As(err, &failed) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestTLSAgainstPlain has a server that does not speak TLS, and one that says nothing at all.
func TestTLSAgainstPlain(t *testing.T) {
	addr := serve(t, func(p *peer) {
		p.send(welcome(0))
		p.waitClosed()
	}, func(p *peer) { p.waitClosed() })
	if _, err := client.Dial(t.Context(), addr, client.Options{Account: account, TLS: new(tls.Config)}); err == nil ||
		!strings.Contains(err.Error(), "does not look like a TLS handshake") {
		t.Errorf("against a plain server: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := client.Dial(ctx, addr, client.Options{Account: account, TLS: new(tls.Config)})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("against a silent server: %v", err)
	}
}

// elsewhere is a connection that seems to lead to another machine.
type elsewhere struct{ net.Conn }

func (elsewhere) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 7300} }

// TestKeyInPlaintext gives a key for a connection to another machine.
func TestKeyInPlaintext(t *testing.T) {
	script := func(p *peer) {
		p.hello(0)
		p.waitClosed()
	}
	addr := serve(t, func(p *peer) {
		p.waitClosed()
		if len(p.buf) > 0 {
			t.Errorf("the client said %q", p.buf)
		}
	}, script, script, func(p *peer) { p.waitClosed() })
	o := client.Options{Account: account, Key: testKey(t)}
	o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		return elsewhere{c}, err
	}
	if _, err := client.Dial(t.Context(), addr, o); !errors.Is(err, client.ErrPlaintext) {
		t.Errorf("%v, want ErrPlaintext", err)
	}
	o.AllowPlaintext = true
	allowed, err := client.Dial(t.Context(), addr, o)
	if err != nil {
		t.Fatalf("allowed: %v", err)
	}
	_ = allowed.Close()
	o.AllowPlaintext, o.Dial = false, nil
	local, err := client.Dial(t.Context(), addr, o)
	if err != nil {
		t.Fatalf("on this machine: %v", err)
	}
	_ = local.Close()
	_, err = client.Open(t.Context(), addr, client.AccountOptions{Account: account, Key: o.Key, Wait: true,
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, address)
			return elsewhere{c}, err
		}})
	if !errors.Is(err, client.ErrPlaintext) {
		t.Errorf("an account that waits for its server: %v, want ErrPlaintext at once", err)
	}
}

// testKey returns a key that no server knows.
func testKey(t *testing.T) *client.Key {
	t.Helper()
	key, err := client.NewKey("PK1", strings.Repeat("A", 43))
	if err != nil {
		t.Fatal(err)
	}
	return key
}
