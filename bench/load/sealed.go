package load

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/papertape/papertape/memtls"
)

// sealed is the TLS of a connection.
type sealed struct {
	*memtls.Conn
	done bool // the handshake is
}

// config returns the TLS of a plan, nil if it has none.
func (p *Plan) config() (*tls.Config, error) {
	if p.Authority == "" {
		return nil, nil //nolint:nilnil // no TLS is no error
	}
	text, err := os.ReadFile(p.Authority)
	if err != nil {
		return nil, fmt.Errorf("the server's authority: %w", err)
	}
	host, _, err := net.SplitHostPort(p.Address)
	if err != nil {
		return nil, fmt.Errorf("the server's address: %w", err)
	}
	cfg := &tls.Config{
		RootCAs: x509.NewCertPool(), ServerName: host, MinVersion: tls.VersionTLS13,
		NextProtos:                  []string{"papertape/1"},
		DynamicRecordSizingDisabled: true,
	}
	if !cfg.RootCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate", p.Authority)
	}
	return cfg, nil
}

// seal begins TLS on a connection that has just been made.
func (w *worker) seal(c *conn) {
	c.sealed = &sealed{Conn: memtls.Client(w.tls, &w.ciphertext)}
	if _, err := c.sealed.Handshake(); err != nil {
		w.ended(c, fmt.Errorf("handshake: %w", err))
		return
	}
	w.sayOwn(c)
}

// sayOwn sends what crypto/tls has to say.
func (w *worker) sayOwn(c *conn) {
	if b := w.ciphertext; len(b) > 0 {
		w.ciphertext = b[:0]
		w.sendRaw(c, b)
	}
}

// send sends frames, encrypted if the load is.
func (w *worker) send(c *conn, b []byte) {
	if c.sealed == nil {
		w.sendRaw(c, b)
		return
	}
	if err := c.sealed.Write(b); err != nil {
		w.ended(c, fmt.Errorf("encrypt: %w", err))
		return
	}
	w.sayOwn(c)
}

// readSealed is read for a connection with TLS: it returns what has come decrypted, or EAGAIN if that is nothing.
func (w *worker) readSealed(c *conn, b []byte) (n int, err error) {
	n, err = read(int(c.fd), w.raw)
	if n <= 0 || err != nil {
		return n, err
	}
	c.sealed.Feed(w.raw[:n])
	if !c.sealed.done {
		c.sealed.done, err = c.sealed.Handshake()
		if w.sayOwn(c); err != nil {
			return 0, fmt.Errorf("handshake: %w", err)
		}
		if !c.sealed.done {
			return 0, unix.EAGAIN
		}
	}
	for n = 0; ; {
		m, err := c.sealed.Read(b[n:])
		n += m
		switch {
		case err == nil:
		case n > 0:
			return n, nil // the next read fails in the same way, or there is no more
		case errors.Is(err, memtls.ErrNoInput):
			return 0, unix.EAGAIN
		default:
			return 0, err
		}
	}
}
