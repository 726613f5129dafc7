//go:build linux

package soak

import (
	"crypto/tls"
	"errors"

	"github.com/papertape/papertape/memtls"
)

// sealed is the TLS of a connection.
type sealed struct {
	*memtls.Conn
	done bool // the handshake is
}

// seal begins TLS on a connection that has just been made, if the loop's connections have it.
func (l *loop) seal(c *conn) {
	if l.tls == nil {
		return
	}
	c.sealed = &sealed{Conn: memtls.Client(l.tls, &l.ciphertext)}
	c.openSealed(nil)
}

// helloOf returns what a client of TLS says first.
func helloOf(cfg *tls.Config) (hello []byte) {
	c := memtls.Client(cfg, &hello)
	_, _ = c.Handshake() // waits for the server
	c.Drop()
	return hello
}

// flush sends what crypto/tls has to say.
func (c *conn) flush() {
	if out := c.loop.ciphertext; len(out) > 0 {
		c.loop.ciphertext = out[:0]
		c.sendRaw(out)
	}
}

// send sends frames, encrypted if the connection is.
func (c *conn) send(b []byte) {
	switch {
	case c.loop.tls == nil || c.fd < 0:
		c.sendRaw(b)
	case c.sealed == nil || !c.sealed.done:
		c.early = append(c.early, b...)
	default:
		_ = c.sealed.Write(b) // fails only after an alert, with which the connection ends
		c.flush()
	}
}

// openSealed goes on with the handshake, and hands on what comes decrypted.
func (c *conn) openSealed(b []byte) {
	c.sealed.Feed(b)
	if !c.sealed.done {
		done, err := c.sealed.Handshake()
		if c.flush(); err != nil {
			c.end(err)
			return
		}
		if !done {
			return
		}
		c.sealed.done = true
		early := c.early
		if c.early = nil; len(early) > 0 {
			c.send(early)
		}
	}
	for c.fd >= 0 {
		n, err := c.sealed.Read(c.loop.plain)
		if n > 0 {
			c.owner.received(c.loop.plain[:n])
		}
		if err != nil {
			if !errors.Is(err, memtls.ErrNoInput) && c.fd >= 0 {
				c.end(err)
			}
			return
		}
	}
}

// drop forgets the TLS of a connection that is closed.
func (c *conn) drop() {
	if c.sealed != nil {
		c.sealed.Drop()
	}
}
