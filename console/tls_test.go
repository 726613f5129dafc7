package console

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// certificateFor returns a certificate for 127.0.0.1 that signs itself, and what trusts it.
func certificateFor(t *testing.T, serial int64) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{{127, 0, 0, 1}},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}

// TestTLS: with TLS the console has TLS 1.3 and HTTP/1 alone, a certificate that is renewed is used for the next
// connection, and its bounds hold as without.
func TestTLS(t *testing.T) {
	first, trustsFirst := certificateFor(t, 1)
	second, trustsSecond := certificateFor(t, 2)
	var current atomic.Pointer[tls.Config]
	current.Store(&tls.Config{Certificates: []tls.Certificate{first}})
	f := newFixtureWith(t, func(c *Config) {
		c.Keys, c.Anonymous, c.TLS = Token("0123456789abcdef"), Nobody, current.Load
	})
	address := strings.TrimPrefix(f.url, "http://")
	client := func(pool *x509.CertPool) *Client {
		return Dial(ClientConfig{
			Address: "https://" + address, Token: "0123456789abcdef", TLS: &tls.Config{RootCAs: pool},
		})
	}
	if _, err := client(trustsFirst).SetRate(t.Context(), 3); err != nil {
		t.Error(err)
	}
	if _, err := client(trustsSecond).SetRate(t.Context(), 4); err == nil || f.flow.state.Rate != 3 {
		t.Errorf("of another authority: %v", err)
	}
	if _, err := Dial(ClientConfig{Address: "https://" + address}).Accounts(t.Context(), 0, 0); err == nil {
		t.Error("a certificate that nobody vouches for is taken")
	}
	current.Store(&tls.Config{Certificates: []tls.Certificate{second}})
	if _, err := client(trustsSecond).SetRate(t.Context(), 5); err != nil {
		t.Errorf("renewed: %v", err)
	}
	old := &tls.Config{RootCAs: trustsSecond, MaxVersion: tls.VersionTLS12}
	if _, err := tls.Dial("tcp", address, old); err == nil {
		t.Error("TLS 1.2 is taken")
	}
	conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: trustsSecond, NextProtos: []string{"h2", "http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // nothing was written
	if got := conn.ConnectionState().NegotiatedProtocol; got != "http/1.1" {
		t.Errorf("it speaks %q", got)
	}
	eventually(t, "each connection has a place", func() bool { return f.server.listener.connections() == 1 })
	if _, err := NewClient(address, "").Accounts(t.Context(), 0, 0); err == nil {
		t.Error("it answers without TLS")
	}
}

// TestTokenStays: a token is sent to loopback, or by TLS, and nowhere else.
func TestTokenStays(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	plain := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) })}
	var serving sync.WaitGroup
	serving.Go(func() { _ = plain.Serve(ln) })
	defer serving.Wait()
	defer plain.Close() //nolint:errcheck // only a test
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	for _, host := range []string{"0.0.0.0", "desk.example", "10.0.0.7", "[::]", "localhost.example"} {
		_, err := NewClient(host+":"+port, "0123456789abcdef").Simulator(t.Context())
		if err == nil || !strings.Contains(err.Error(), "the token is not sent to "+host) {
			t.Errorf("%s: %v", host, err)
		}
	}
	if asked.Load() != 0 {
		t.Error("it was sent")
	}
	_, err = NewClient("127.0.0.1:"+port, "0123456789abcdef").Simulator(t.Context())
	if err == nil || asked.Load() != 1 {
		t.Errorf("to loopback: %v", err)
	}
}
