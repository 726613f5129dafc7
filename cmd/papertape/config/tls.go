package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"strings"

	"github.com/papertape/papertape/cmd/papertape/userfile"
)

// CertificateBytesMax is the largest file of certificates, or of a key, that is read.
const CertificateBytesMax = 1 << 20

// handshakesPerProcessor is a fraction of what a processor can do: orders go on during a storm.
const handshakesPerProcessor = 500

// HandshakesPerSecond returns TLS.HandshakesPerSecondMax, or 500 for each processor that Go uses if that is 0.
func (c *Config) HandshakesPerSecond() int {
	if c.TLS.HandshakesPerSecondMax > 0 {
		return c.TLS.HandshakesPerSecondMax
	}
	return handshakesPerProcessor * runtime.GOMAXPROCS(0)
}

// loadTLS reads the files of tls.cert, tls.key and tls.client_ca. Each call makes a new configuration, so that session
// tickets do not outlive a reload.
func (c *Config) loadTLS() error {
	for _, needs := range []struct{ key, value, other, otherValue string }{
		{"tls.cert", c.TLS.Cert, "tls.key", c.TLS.Key},
		{"tls.key", c.TLS.Key, "tls.cert", c.TLS.Cert},
		{"tls.client_ca", c.TLS.ClientCA, "tls.cert", c.TLS.Cert},
	} {
		if needs.value != "" && needs.otherValue == "" {
			return c.Wrong(needs.key, "it needs %s too", needs.other)
		}
	}
	if c.TLS.Cert == "" {
		return nil
	}
	chain, err := userfile.Read(c.TLS.Cert, CertificateBytesMax)
	if err != nil {
		return c.Wrong("tls.cert", "%w", err)
	}
	key, err := userfile.ReadSecret(c.TLS.Key, CertificateBytesMax)
	if err != nil {
		return c.Wrong("tls.key", "%w", err)
	}
	certificate, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return c.Wrong("tls.cert", "%s and %s are not a certificate and its key: %s", c.TLS.Cert, c.TLS.Key, words(err))
	}
	c.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS13}
	if c.TLS.ClientCA == "" {
		return nil
	}
	if c.TLSConfig.ClientCAs, err = ReadAuthorities(c.TLS.ClientCA); err != nil {
		return c.Wrong("tls.client_ca", "%w", err)
	}
	c.TLSConfig.ClientAuth = tls.RequireAndVerifyClientCert
	return nil
}

// words is an error of crypto/tls without the name of the package.
func words(err error) string { return strings.TrimPrefix(err.Error(), "tls: ") }

// ReadAuthorities reads the certificates of a PEM file.
func ReadAuthorities(path string) (*x509.CertPool, error) {
	text, err := userfile.Read(path, CertificateBytesMax)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate in the form of PEM", path)
	}
	return pool, nil
}

// parsePrefix accepts a network such as 10.0.0.0/24, or one address.
func parsePrefix(text string) (netip.Prefix, error) {
	if ip, err := netip.ParseAddr(text); err == nil && ip.Zone() == "" {
		return netip.PrefixFrom(ip.Unmap(), ip.Unmap().BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil || p.Addr().Is4In6() {
		return p, fmt.Errorf("%q is not a network; write one as 10.0.0.0/24, or an address", text)
	}
	if p.Masked() != p {
		return p, fmt.Errorf("%s has bits beyond its length; write %s", text, p.Masked())
	}
	if p.Bits() == 0 {
		return p, errors.New("a header believed from anyone is worse than none; name the proxies' networks")
	}
	return p, nil
}
