package main

import (
	"crypto/tls"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/papertape/papertape/cmd/papertape/config"
	"github.com/papertape/papertape/cmd/papertape/userfile"
)

// tlsFlags are the flags of a command that connects to a server.
type tlsFlags struct {
	on, allowPlaintext  bool
	ca, cert, key, name string
}

func (f *tlsFlags) register(flags *pflag.FlagSet) {
	flags.Var(boolFlag{&f.on}, "tls", "connect with TLS")
	flags.Var(boolFlag{&f.allowPlaintext}, "allow-plaintext", "consent to log in with a key to another machine "+
		"without --tls, on a trusted network")
	flags.Var(pathFlag{&f.ca}, "tls-ca", "with --tls: a `file` with authorities that vouch for the server, or with "+
		"its own certificate (PEM); without it, those of this machine")
	flags.Var(pathFlag{&f.cert}, "tls-cert", "with --tls: a `file` with the client's certificate (PEM), if the server "+
		"asks for one")
	flags.Var(pathFlag{&f.key}, "tls-key", "with --tls-cert: the `file` with its key (PEM)")
	flags.StringVar(&f.name, "tls-server-name", "", "with --tls: the `name` in the server's certificate, if it is not "+
		"that of its address")
}

// config returns what the flags describe, nil without --tls.
func (f *tlsFlags) config() (*tls.Config, error) {
	for _, needs := range []struct{ name, value, other, otherValue string }{
		{"tls-cert", f.cert, "tls-key", f.key}, {"tls-key", f.key, "tls-cert", f.cert},
	} {
		if needs.value != "" && needs.otherValue == "" {
			return nil, usageError{fmt.Errorf("--%s needs --%s too", needs.name, needs.other)}
		}
	}
	if !f.on {
		for name, value := range map[string]string{"tls-ca": f.ca, "tls-cert": f.cert, "tls-server-name": f.name} {
			if value != "" {
				return nil, usageError{fmt.Errorf("--%s has no meaning without --tls", name)}
			}
		}
		return nil, nil //nolint:nilnil // no TLS is no error
	}
	cfg := &tls.Config{ServerName: f.name, MinVersion: tls.VersionTLS13}
	var err error
	if f.ca != "" {
		if cfg.RootCAs, err = config.ReadAuthorities(f.ca); err != nil {
			return nil, usageError{fmt.Errorf("--tls-ca: %w", err)}
		}
	}
	if f.cert != "" {
		certificate, err := readCertificate(f.cert, f.key)
		if err != nil {
			return nil, usageError{err}
		}
		cfg.Certificates = []tls.Certificate{certificate}
	}
	return cfg, nil
}

func readCertificate(certFile, keyFile string) (certificate tls.Certificate, err error) {
	chain, err := userfile.Read(certFile, config.CertificateBytesMax)
	if err != nil {
		return certificate, fmt.Errorf("--tls-cert: %w", err)
	}
	key, err := userfile.ReadSecret(keyFile, config.CertificateBytesMax)
	if err != nil {
		return certificate, fmt.Errorf("--tls-key: %w", err)
	}
	if certificate, err = tls.X509KeyPair(chain, key); err != nil {
		return certificate, fmt.Errorf("%s and %s are not a certificate and its key: %w", certFile, keyFile, err)
	}
	return certificate, nil
}
