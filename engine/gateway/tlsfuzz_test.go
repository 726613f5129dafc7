package gateway

import (
	"bytes"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/papertape/papertape/memtls"
)

// feedAll feeds bytes in pieces, and returns why no more are taken.
func feedAll(t *testing.T, s *memtls.Conn, b []byte, piece int) error {
	t.Helper()
	scratch := make([]byte, plainBytes)
	for len(b) > 0 {
		n := min(piece, len(b))
		s.Feed(b[:n])
		b = b[n:]
		done, err := s.Handshake()
		if err != nil {
			return err
		}
		for done {
			n, err := s.Read(scratch)
			if errors.Is(err, memtls.ErrNoInput) {
				break
			}
			if err != nil {
				return err
			}
			if n == 0 {
				t.Fatal("a read returned nothing")
			}
		}
	}
	return nil
}

// FuzzFeed feeds a server anything, in pieces: instead of a hello, mixed into one, and after the handshake, in the open
// or in a record that the client has encrypted. All must be taken or refused, and nothing may wait for itself.
func FuzzFeed(f *testing.F) {
	f.Add(helloOf(f), byte(0), uint16(100), uint16(0))
	f.Add([]byte("hello"), byte(1), uint16(7), uint16(3))
	f.Add([]byte{contentHandshake, 3, 3, 0, 1, 0}, byte(2), uint16(1), uint16(0))
	f.Add(keyUpdateAsked, byte(3), uint16(50), uint16(contentHandshake))
	f.Add(bytes.Repeat(keyUpdateAsked, 30), byte(3), uint16(50), uint16(contentHandshake))
	f.Add([]byte{2, 40}, byte(3), uint16(50), uint16(contentAlert))
	serving := serverTLS(&tls.Config{Certificates: []tls.Certificate{serverCertificate()}})
	f.Fuzz(func(t *testing.T, b []byte, mode byte, size, at uint16) {
		var answer, said []byte
		piece := int(size)%2000 + 1
		server := memtls.Server(serving, &answer)
		defer server.Drop()
		if mode%4 == 0 {
			_ = feedAll(t, server, b, piece)
			return
		}
		var log bytes.Buffer
		cfg := clientTLS()
		cfg.KeyLogWriter = &log
		client := memtls.Client(cfg, &said)
		defer client.Drop()
		_, _ = client.Handshake()
		hello := said
		said = nil
		if mode%4 == 1 {
			copy(hello[int(at)%len(hello):], b)
			_ = feedAll(t, server, hello, piece)
			return
		}
		err := feedAll(t, server, hello, piece)
		if err == nil {
			if err = feedAll(t, client, answer, 1<<20); err == nil {
				err = feedAll(t, server, said, piece)
			}
		}
		if done, failed := server.Handshake(); err != nil || failed != nil || !done {
			t.Fatalf("a handshake that nobody disturbed is not done: %v, %v", err, failed)
		}
		if mode%4 == 3 && len(b) <= 1<<14 {
			b = sealerOf(t, log.String()).seal(byte(at), b)
		}
		_ = feedAll(t, server, b, piece)
	})
}

// sealerOf returns the client's sending half of a connection, by the log of its secrets.
func sealerOf(t testing.TB, log string) *sealer {
	t.Helper()
	c := &sealer{t: t}
	for line := range strings.Lines(log) {
		if words := strings.Fields(line); words[0] == "CLIENT_TRAFFIC_SECRET_0" {
			secret, err := hex.DecodeString(words[2])
			if err != nil {
				t.Fatal(err)
			}
			c.use(secret)
		}
	}
	return c
}
