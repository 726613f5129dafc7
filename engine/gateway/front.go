package gateway

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/panjf2000/gnet/v2"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/memtls"
)

// front is what stands between a socket and the frames of its session: a PROXY header, then TLS. It belongs to the
// loop. A session that has neither has no front.
type front struct {
	stage    stage
	trusted  bool         // the peer is a proxy, and its own address is never limited
	proxied  *net.TCPAddr // the client, as the proxy names it; nil: the peer is the client
	hooked   bool         // OnConnect was told
	notified bool         // close_notify was sent
	secure   *memtls.Conn // nil: the client has sent nothing of a handshake yet
	rest     *buffer      // the decrypted part of a frame that has not come whole; nil: none
	records  records
}

// stage is how far a connection has come.
type stage uint8

const (
	stageHeader    stage = iota // waits for a PROXY header
	stageHandshake              // waits for TLS
	stageSealed                 // frames come and go in TLS records
	stagePlain                  // frames come and go as they are
)

// SetTLS replaces what new connections are encrypted with. It must be a new value each time: session tickets belong to
// it. A gateway that was made without TLS stays without. Any goroutine may call it.
func (g *Gateway) SetTLS(cfg *tls.Config) {
	if g.tls.Load() != nil && cfg != nil {
		g.tls.Store(serverTLS(cfg))
	}
}

// newFront returns the front that a new connection needs, nil if none.
func (g *Gateway) newFront(peer net.Addr) *front {
	trusted := len(g.cfg.ProxyFrom) > 0 && g.trusts(peer)
	switch {
	case trusted:
		return &front{stage: stageHeader, trusted: true}
	case g.tls.Load() != nil:
		return &front{stage: stageHandshake}
	}
	return nil
}

func (g *Gateway) trusts(peer net.Addr) bool {
	tcp, ok := peer.(*net.TCPAddr)
	if !ok {
		return false
	}
	ip, _ := netip.AddrFromSlice(tcp.IP)
	for _, p := range g.cfg.ProxyFrom {
		if p.Contains(ip.Unmap()) {
			return true
		}
	}
	return false
}

// remote returns the client's address: the one that a trusted proxy names, or else the peer's.
func (s *Session) remote() net.Addr {
	if s.front != nil && s.front.proxied != nil {
		return s.front.proxied
	}
	if k := s.socket(); k != nil {
		return k.remote
	}
	return s.conn.RemoteAddr()
}

// limitedAs returns the address whose connections are counted for the session. It is nil if none is: before the PROXY
// header has come, and for what a proxy asks for itself. from is the peer's address.
func (s *Session) limitedAs(from net.Addr) net.Addr {
	switch {
	case s.front == nil || !s.front.trusted:
		return from
	case s.front.proxied != nil:
		return s.front.proxied
	}
	return nil
}

// awaitHeader keeps a connection of a trusted proxy until its header has come. It takes room among the connections,
// but is not accepted yet. A connection that finds no room is closed: nothing may be said before the header.
func (l *loop) awaitHeader(s *Session) gnet.Action {
	g := l.gw
	open, prelogin := g.open.Add(1), g.prelogin.Add(1)
	l.schedule(s)
	limits := g.limits.Load()
	if open > int64(limits.ConnectionsMax) || prelogin > int64(limits.ConnectionsPreloginMax) {
		g.stats.RefusedFull.Add(1)
		return gnet.Close
	}
	if g.draining.Load() {
		return gnet.Close
	}
	return gnet.None
}

// headerCame goes on with a connection whose PROXY header has come.
func (l *loop) headerCame(s *Session, client netip.AddrPort) gnet.Action {
	f := s.front
	if client.IsValid() {
		f.proxied = net.TCPAddrFromAddrPort(client)
	}
	f.stage = stagePlain
	if l.gw.tls.Load() != nil {
		f.stage = stageHandshake
	}
	l.gw.open.Add(-1) // letIn counts it again, with its address
	l.gw.prelogin.Add(-1)
	return l.letIn(s)
}

// letInToHandshake is letIn for a connection that begins with TLS. It is welcomed when the handshake is done. If it is
// over a limit it is closed without a word: to say so would cost a handshake.
func (l *loop) letInToHandshake(exceeded string) gnet.Action {
	if exceeded != "" {
		l.gw.stats.RefusedFull.Add(1)
		return gnet.Close
	}
	if l.gw.draining.Load() {
		return gnet.Close
	}
	return gnet.None
}

// readThrough reads what has come for a session that has a front.
func (l *loop) readThrough(s *Session, c gnet.Conn, in []byte) gnet.Action {
	f := s.front
	if f.stage == stageHeader {
		client, n, err := cutProxyHeader(in)
		if err != nil {
			l.gw.stats.ProtocolErrors.Add(1)
			l.gw.cfg.Log.Debug().Err(err).Stringer("proxy", c.RemoteAddr()).Msg("no PROXY header")
			return gnet.Close
		}
		l.holdHalf(s, len(in)-n)
		if n == 0 {
			return gnet.None
		}
		if _, err := c.Discard(n); err != nil {
			return gnet.Close
		}
		action := l.headerCame(s, client)
		if action != gnet.None || s.phase.Load() == phaseClosed {
			return action
		}
		if in, err = c.Peek(-1); err != nil {
			return gnet.Close
		}
	}
	if f.stage == stagePlain {
		return l.readPlain(s, c, in)
	}
	l.feed(s, in)
	l.submit(s)
	if s.phase.Load() == phaseClosed {
		return gnet.None
	}
	if len(in) > 0 { // Discard(0) means everything
		if _, err := c.Discard(len(in)); err != nil {
			return gnet.Close
		}
	}
	return gnet.None
}

// feed takes ciphertext: for the handshake, and after that for frames, which it handles. It never keeps in. What a
// session sends that takes no more requests is thrown away as it is.
func (l *loop) feed(s *Session, in []byte) {
	f := s.front
	if s.inputOver() {
		l.holdHalf(s, 0)
		return
	}
	if len(in) == 0 {
		return
	}
	if f.secure == nil {
		if !l.gw.mayHandshake(time.Since(l.gw.start)) {
			l.gw.stats.HandshakesRefused.Add(1)
			l.close(s)
			return
		}
		f.secure = memtls.Server(l.gw.tls.Load(), &l.sealed)
	}
	f.records.add(in)
	f.secure.Feed(in)
	defer f.secure.Feed(nil)
	if f.stage == stageHandshake && !l.shakeHands(s) {
		if s.phase.Load() != phaseClosed {
			l.holdHalf(s, f.records.held())
		}
		return
	}
	l.decrypt(s)
}

// shakeHands goes on with the handshake, and welcomes the client when it is done. It returns false if there is nothing
// to decrypt yet.
func (l *loop) shakeHands(s *Session) bool {
	f := s.front
	l.reads = readsAtOnce - 1 // a step takes as long as many reads: the loop gives way before the next
	done, err := f.secure.Handshake()
	l.flush(s)
	switch {
	case s.phase.Load() == phaseClosed:
		return false
	case err != nil:
		l.gw.stats.HandshakesFailed.Add(1)
		l.gw.cfg.Log.Debug().Err(err).Stringer("client", s.remote()).Msg("TLS handshake failed")
		l.hangUp(s)
		return false
	case !done:
		return false
	}
	f.stage = stageSealed
	f.records.delivered()
	l.gw.stats.Handshakes.Add(1)
	l.welcome(s)
	f.hooked = true
	l.callHooks(s, onConnect)
	l.write(s)
	return !s.inputOver()
}

// decrypt handles the frames of the records that have come. The part of a frame that is left is kept: gnet holds only
// ciphertext.
func (l *loop) decrypt(s *Session) {
	f := s.front
	if l.plain == nil {
		l.plain = make([]byte, plainBytes)
	}
	held := 0
	if f.rest != nil {
		held = copy(l.plain, f.rest.b)
		f.rest.free()
		f.rest = nil
	}
	for !s.inputOver() {
		n, err := f.secure.Read(l.plain[held:])
		if l.flush(s); s.phase.Load() == phaseClosed {
			return
		}
		if n > 0 {
			f.records.delivered()
			held += n
			used := l.handleFrames(s, l.plain[:held])
			if s.phase.Load() == phaseClosed {
				return
			}
			held = copy(l.plain, l.plain[used:held])
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, memtls.ErrNoInput) {
			l.sealedEnd(s, err)
		}
		break
	}
	if s.phase.Load() == phaseClosed {
		return
	}
	if s.inputOver() {
		held = 0
		f.records.delivered()
	}
	if held > 0 {
		f.rest = newBuffer()
		f.rest.b = append(f.rest.b, l.plain[:held]...)
	}
	if half := held + f.records.held(); half != int(s.halfFrame) {
		l.holdHalf(s, half)
	}
}

// sealedEnd acts on the end of what a client sends. Its close_notify is what a shut down sending half is without TLS:
// what it asked before is answered. Everything else is an attack or a broken client, which crypto/tls has answered with
// an alert, and to which nothing more can be encrypted.
func (l *loop) sealedEnd(s *Session, err error) {
	if !errors.Is(err, io.EOF) {
		l.gw.stats.ProtocolErrors.Add(1)
		l.gw.cfg.Log.Debug().Err(err).Stringer("client", s.remote()).Msg("TLS broken")
		l.hangUp(s)
		return
	}
	l.submit(s)
	if s.phase.Load() == phaseClosed || s.inputOver() {
		return
	}
	s.closing = new(closing)
	l.settle(s, s.unsent)
}

// hangUp ends a connection to which nothing more can be said. What its socket has taken, an alert perhaps, is still
// sent.
func (l *loop) hangUp(s *Session) {
	s.mu.Lock()
	dropped := 0
	if s.out != nil {
		dropped = len(s.out.b)
		s.out.free()
		s.out = nil
	}
	s.end = goodbye(papertapev1.GoodbyeReason_GOODBYE_REASON_PROTOCOL)
	s.because(causeProtocol)
	s.mu.Unlock()
	l.gw.outboxBytes.Add(-int64(dropped))
	s.front.notified = true
	l.finishEnding(s, papertapev1.GoodbyeReason(s.end), s.unsent)
}

// dropFront forgets what a session's front holds.
func (l *loop) dropFront(f *front) {
	if f.secure != nil {
		f.secure.Drop()
	}
	if f.rest != nil {
		f.rest.free()
		f.rest = nil
	}
}

// plainBytes is the scratch for decrypted input: a record, and what is left of a frame from before.
const plainBytes = 32 << 10
