package gateway

import (
	"crypto/tls"
	"encoding/binary"
)

// alpn is the name of the protocol inside TLS. A client that names others only is refused.
const alpn = "papertape/1"

// serverTLS returns a copy of a configuration with what the gateway insists on.
func serverTLS(cfg *tls.Config) *tls.Config {
	cfg = cfg.Clone()
	cfg.MinVersion = tls.VersionTLS13
	cfg.NextProtos = []string{alpn}
	cfg.DynamicRecordSizingDisabled = true // outboxes are written whole, so small records gain nothing
	return cfg
}

// seal encrypts an outbox into the loop's scratch, and counts from there on what the socket is to take: ciphertext. It
// returns nil if the connection was closed: because nothing can be encrypted, or because it ends before it was
// welcomed, when nothing can be said.
func (l *loop) seal(s *Session, b []byte, unsent int) ([]byte, int) {
	switch s.front.stage {
	case stagePlain:
		return b, unsent
	case stageHeader, stageHandshake:
		l.close(s)
		return nil, 0
	}
	err := s.front.secure.Write(b)
	sealed := l.takeSealed()
	if err != nil {
		l.close(s)
		return nil, 0
	}
	return sealed, l.countMore(s, len(sealed)-len(b))
}

// takeSealed returns what crypto/tls has written, valid until it writes again. A scratch that has become very large is
// not kept.
func (l *loop) takeSealed() []byte {
	sealed := l.sealed
	if l.sealed = sealed[:0]; cap(sealed) > sealedKept {
		l.sealed = nil
	}
	return sealed
}

const sealedKept = 1 << 20

// countMore adds bytes to what the socket has still to take, and returns the sum.
func (l *loop) countMore(s *Session, n int) (unsent int) {
	l.gw.outboxBytes.Add(int64(n))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unsent += n
	return s.unsent
}

// flush writes what crypto/tls has to say by itself: its part of the handshake, answers to KeyUpdate, alerts. A client
// that makes it say much and does not read is cut.
func (l *loop) flush(s *Session) {
	sealed := l.takeSealed()
	if len(sealed) == 0 {
		return
	}
	unsent := l.countMore(s, len(sealed))
	l.give(s, sealed)
	if s.phase.Load() == phaseClosed {
		return
	}
	if l.settle(s, unsent); s.phase.Load() != phaseClosed && s.unsent > l.gw.cfg.OutboxBytesMax {
		l.gw.stats.CutOutbox.Add(1)
		s.decide(causeOutbox)
		l.reset(s)
	}
}

// notifyClose sends close_notify, once. It returns false if it has: then the caller's work was done meanwhile, or will
// be when the socket has taken that.
func (l *loop) notifyClose(s *Session) bool {
	f := s.front
	if f == nil || f.stage != stageSealed || f.notified {
		return true
	}
	f.notified = true
	_ = f.secure.CloseWrite() // the socket is closed after it in any case
	if len(l.sealed) == 0 {
		return true
	}
	l.flush(s)
	return false
}

// records counts what crypto/tls holds of input that it cannot deliver yet, which it does not tell. It is half a
// record, and the records of a message of the handshake that has not come whole.
type records struct {
	header [5]byte
	have   int // bytes of the record that is coming
	quiet  int // bytes of whole records since something was delivered
}

func (r *records) add(in []byte) {
	for len(in) > 0 {
		if r.have < len(r.header) {
			n := copy(r.header[r.have:], in)
			r.have, in = r.have+n, in[n:]
			continue
		}
		size := len(r.header) + int(binary.BigEndian.Uint16(r.header[3:]))
		n := min(len(in), size-r.have)
		r.have, in = r.have+n, in[n:]
		if r.have == size {
			r.quiet += size
			r.have = 0
		}
	}
}

// delivered notes that a message has come whole.
func (r *records) delivered() { r.quiet = 0 }

func (r *records) held() int { return r.have + r.quiet }
