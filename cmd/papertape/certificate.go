package main

import (
	"context"
	"crypto/tls"
	"time"
)

const (
	expiryWarning  = 14 * 24 * time.Hour // before a certificate expires
	expiryInterval = 24 * time.Hour      // between two looks at it
)

// useCertificate logs whose certificate the server shows from now on, and until when it is valid.
func (s *server) useCertificate(cfg *tls.Config) {
	if cfg == nil {
		return
	}
	leaf := cfg.Certificates[0].Leaf
	s.certificate.Store(leaf)
	s.consoleTLS.Store(cfg)
	s.log.Info().Stringer("subject", leaf.Subject).Strs("names", leaf.DNSNames).Time("expires", leaf.NotAfter).
		Bool("of_clients_too", cfg.ClientCAs != nil).Msg("TLS certificate")
	s.lookAtExpiry(time.Now())
}

// warnOfExpiry looks every day whether the certificate is about to expire, until ctx ends.
func (s *server) warnOfExpiry(ctx context.Context) {
	daily := time.NewTicker(expiryInterval)
	defer daily.Stop()
	for {
		select {
		case now := <-daily.C:
			s.lookAtExpiry(now)
		case <-ctx.Done():
			return
		}
	}
}

// lookAtExpiry warns of a certificate that expires soon.
func (s *server) lookAtExpiry(now time.Time) {
	leaf := s.certificate.Load()
	if leaf == nil || now.Before(leaf.NotAfter.Add(-expiryWarning)) {
		return
	}
	said := "the TLS certificate expires soon: renew it, and send SIGHUP"
	if now.After(leaf.NotAfter) {
		said = "the TLS certificate has expired, and clients refuse it: renew it, and send SIGHUP"
	}
	s.log.Warn().Stringer("subject", leaf.Subject).Time("expires", leaf.NotAfter).Msg(said)
}
