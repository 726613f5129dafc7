package gateway

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine"
)

// selfSigned makes a certificate for this name and for 127.0.0.1.
func selfSigned(t testing.TB, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if leaf, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func poolOf(certificates ...tls.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for i := range certificates {
		pool.AddCert(certificates[i].Leaf)
	}
	return pool
}

// serverCertificate is that of all servers of the tests that need no other.
var serverCertificate = sync.OnceValue(func() tls.Certificate { return selfSigned(panicking{}, "papertape.test") })

// panicking reports failures outside of a test.
type panicking struct{ testing.TB }

func (panicking) Helper()           {}
func (panicking) Fatal(args ...any) { panic(args) }
func (panicking) Error(args ...any) { panic(args) }

// startTLS is start with TLS.
func startTLS(t testing.TB, change func(*Config, *engine.Config)) *server {
	t.Helper()
	log := new(lines)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(log.String())
		}
	})
	return start(t, func(g *Config, e *engine.Config) {
		// Busy machines must not end what a test does not want to end.
		g.LoginTimeout, g.StallTimeout, g.Log = time.Minute, time.Minute, zerolog.New(log)
		g.TLS = &tls.Config{Certificates: []tls.Certificate{serverCertificate()}}
		if change != nil {
			change(g, e)
		}
	})
}

// clientTLS is the configuration of a client that trusts the server of startTLS.
func clientTLS() *tls.Config {
	return &tls.Config{RootCAs: poolOf(serverCertificate()), ServerName: "papertape.test", NextProtos: []string{alpn}}
}

// sealed dials with TLS. through may wrap the connection.
func (s *server) sealed(t testing.TB, cfg *tls.Config, through func(net.Conn) net.Conn) *peer {
	t.Helper()
	p := s.peer(t)
	var conn net.Conn = p.conn
	if through != nil {
		conn = through(conn)
	}
	p.tls = tls.Client(conn, cfg)
	return p
}

// sealedUser dials with TLS and logs in, for live events only.
func (s *server) sealedUser(t testing.TB, account uint64) *peer {
	t.Helper()
	p := s.sealed(t, clientTLS(), nil)
	p.welcome()
	p.login(account, quick, 0)
	return p
}

// loggedIn takes the answer to a LOGIN for live events.
func (p *peer) loggedIn(account uint64) {
	p.t.Helper()
	p.account = account
	p.seq = decoded(p.t, p.expect(codec.TypeLoginReply), new(papertapev1.LoginReply)).GetHeadSeq()
}

// pieces writes in pieces of a size.
type pieces struct {
	net.Conn
	size func() int
}

func (c pieces) Write(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = c.Conn.Write(b[n:min(len(b), n+c.size())])
		n += m
	}
	return n, err
}

// recording keeps what was read.
type recording struct {
	net.Conn
	got bytes.Buffer
}

func (c *recording) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.got.Write(b[:n])
	return n, err
}

// closesInOrder checks that the last record has the length of an alert. crypto/tls takes an end without close_notify
// for an orderly one.
func (c *recording) closesInOrder(t testing.TB) {
	t.Helper()
	const alertBytes = 2 + 1 + 16 // with the type of the content, and a tag
	last := 0
	for b := c.got.Bytes(); len(b) >= 5; {
		last = int(binary.BigEndian.Uint16(b[3:]))
		b = b[min(5+last, len(b)):]
	}
	if last != alertBytes {
		t.Errorf("the last record has %d bytes; close_notify would have %d", last, alertBytes)
	}
}

// recorded dials with TLS and logs in, and records what comes.
func (s *server) recorded(t testing.TB, account uint64) (*peer, *recording) {
	t.Helper()
	var kept *recording
	p := s.sealed(t, clientTLS(), func(c net.Conn) net.Conn {
		kept = &recording{Conn: c}
		return kept
	})
	p.welcome()
	p.login(account, quick, 0)
	return p, kept
}

// holding keeps what is written until it is let go.
type holding struct {
	net.Conn
	held bytes.Buffer
	hold bool
}

func (c *holding) Write(b []byte) (int, error) {
	if c.hold {
		return c.held.Write(b)
	}
	return c.Conn.Write(b)
}

func (c *holding) letGo() error {
	c.hold = false
	_, err := c.Conn.Write(c.held.Bytes())
	return err
}

// sealer is a client's sending half after a handshake, in whose records anything can be: crypto/tls sends only what is
// right.
type sealer struct {
	t      testing.TB
	conn   net.Conn
	secret []byte
	aead   cipher.AEAD
	iv     []byte
	seq    uint64
}

// Types of the contents of records, and messages.
const (
	contentAlert     = 21
	contentHandshake = 22
	contentData      = 23
)

var (
	keyUpdate      = []byte{24, 0, 0, 1, 0}
	keyUpdateAsked = []byte{24, 0, 0, 1, 1}
)

// sealer dials, completes the handshake, and takes WELCOME.
func (s *server) sealer(t testing.TB) (*sealer, *peer) {
	t.Helper()
	return s.sealerOver(t, s.peer(t))
}

func (s *server) sealerOver(t testing.TB, p *peer) (*sealer, *peer) {
	t.Helper()
	var log bytes.Buffer
	cfg := clientTLS()
	cfg.KeyLogWriter = &log
	p.tls = tls.Client(p.conn, cfg)
	p.welcome()
	if suite := p.tls.(*tls.Conn).ConnectionState().CipherSuite; suite != tls.TLS_AES_128_GCM_SHA256 {
		t.Skipf("the handshake chose %s, and this test can only do AES", tls.CipherSuiteName(suite))
	}
	c := sealerOf(t, log.String())
	c.conn = p.conn
	return c, p
}

// use makes the keys from a secret.
func (c *sealer) use(secret []byte) {
	block, err := aes.NewCipher(expand(c.t, secret, "key", 16))
	if err == nil {
		c.aead, err = cipher.NewGCM(block)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.secret, c.iv, c.seq = secret, expand(c.t, secret, "iv", 12), 0
}

// rekey goes on with the next key, as has to be done after a KeyUpdate.
func (c *sealer) rekey() { c.use(expand(c.t, c.secret, "traffic upd", sha256.Size)) }

// expand is HKDF-Expand-Label of RFC 8446.
func expand(t testing.TB, secret []byte, label string, n int) []byte {
	info := binary.BigEndian.AppendUint16(nil, uint16(n))
	info = append(append(info, byte(6+len(label))), "tls13 "+label...)
	key, err := hkdf.Expand(sha256.New, secret, string(append(info, 0)), n)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// seal returns a record with this content.
func (c *sealer) seal(content byte, b []byte) []byte {
	plain := append(append([]byte(nil), b...), content)
	record := []byte{contentData, 3, 3}
	record = binary.BigEndian.AppendUint16(record, uint16(len(plain)+c.aead.Overhead()))
	nonce := append([]byte(nil), c.iv...)
	for i, b := range binary.BigEndian.AppendUint64(nil, c.seq) {
		nonce[4+i] ^= b
	}
	c.seq++
	return c.aead.Seal(record, nonce, plain, record)
}

func (c *sealer) write(b []byte) {
	c.t.Helper()
	if _, err := c.conn.Write(b); err != nil {
		c.t.Fatal(err)
	}
}
