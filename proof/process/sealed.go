package process

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/papertape/papertape/selfsigned"
)

const sealedLasts = 60 * 24 * time.Hour // long enough that no server warns of it

// Sealed has the servers of a proof use TLS, and their clients trust them. Without one, nil, all is plain.
type Sealed struct {
	certificate, key string // files
	client           *tls.Config
}

// NewSealed makes a certificate for servers on loopback. Its files are in the directory.
func NewSealed(dir string) (*Sealed, error) {
	certificate, key, err := selfsigned.Make([]string{"127.0.0.1"}, sealedLasts)
	if err != nil {
		return nil, err
	}
	s := &Sealed{certificate: filepath.Join(dir, "tls.crt"), key: filepath.Join(dir, "tls.key")}
	s.client = &tls.Config{
		RootCAs: x509.NewCertPool(), ServerName: "127.0.0.1", MinVersion: tls.VersionTLS13,
		NextProtos: []string{"papertape/1"},
	}
	if !s.client.RootCAs.AppendCertsFromPEM(certificate) {
		return nil, errors.New("a certificate was made that cannot be read")
	}
	return s, errors.Join(os.WriteFile(s.certificate, certificate, 0o600), os.WriteFile(s.key, key, 0o600))
}

// Flags are those of the server.
func (s *Sealed) Flags() []string {
	if s == nil {
		return nil
	}
	return []string{"--tls.cert", s.certificate, "--tls.key", s.key}
}

// ClientFlags are those of a client in a process of its own.
func (s *Sealed) ClientFlags() []string {
	if s == nil {
		return nil
	}
	return []string{"--tls", "--tls-ca", s.certificate, "--tls-server-name", "127.0.0.1"}
}

// Client is the configuration of a client, nil if there is no TLS.
func (s *Sealed) Client() *tls.Config {
	if s == nil {
		return nil
	}
	return s.client
}
