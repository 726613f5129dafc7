package gateway

import (
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine"
)

// TestTLSPieces sends everything, the handshake too, in pieces of one byte, in random ones, and at once: some 200 KB
// each way.
func TestTLSPieces(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]func() int{
		"one byte": func() int { return 1 },
		"random":   func() int { return 1 + rand.IntN(3000) },
		"at once":  func() int { return 1 << 30 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startTLS(t, nil)
			p := s.sealed(t, clientTLS(), func(c net.Conn) net.Conn { return pieces{c, size} })
			p.welcome()
			p.login(alice, quick, 0)
			sent := 0
			for sent < 200<<10 {
				orders := p.appendOrders(nil, 200)
				sent += len(orders)
				p.write(orders)
				p.executions(200)
			}
			st := p.tls.(*tls.Conn).ConnectionState()
			if st.Version != tls.VersionTLS13 || st.NegotiatedProtocol != alpn {
				t.Errorf("version %x, protocol %q", st.Version, st.NegotiatedProtocol)
			}
			p.alive()
			if n := s.gw.Stats().Handshakes.Load(); n != 1 {
				t.Errorf("%d handshakes counted, want 1", n)
			}
		})
	}
}

// TestTLSRecordPerByte puts every byte of the frames into a record of its own.
func TestTLSRecordPerByte(t *testing.T) {
	t.Parallel()
	s := startTLS(t, nil)
	p := s.sealed(t, clientTLS(), nil)
	p.welcome()
	for _, b := range p.loginFrame(alice, quick, 0) {
		p.write([]byte{b})
	}
	p.loggedIn(alice)
	orders := p.appendOrders(nil, 20)
	for i := range orders {
		p.write(orders[i : i+1])
	}
	p.executions(20)
}

func TestTLSResumes(t *testing.T) {
	t.Parallel()
	s := startTLS(t, nil)
	cfg := clientTLS()
	cfg.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	for i := range 3 {
		p := s.sealed(t, cfg, nil)
		p.welcome() // the ticket comes before it
		p.login(alice, quick, 0)
		p.trade(2)
		if p.tls.(*tls.Conn).ConnectionState().DidResume != (i > 0) {
			t.Errorf("connection %d: resumed %v", i, i == 0)
		}
	}
	s.gw.SetTLS(&tls.Config{Certificates: []tls.Certificate{serverCertificate()}})
	p := s.sealed(t, cfg, nil)
	p.welcome()
	if p.tls.(*tls.Conn).ConnectionState().DidResume {
		t.Error("a session is resumed that began under another configuration")
	}
}

// TestTLSMutual asks for client certificates: one is right, one is of a stranger, and one client has none.
func TestTLSMutual(t *testing.T) {
	t.Parallel()
	known, stranger := selfSigned(t, "desk.test"), selfSigned(t, "stranger.test")
	s := startTLS(t, func(g *Config, _ *engine.Config) {
		g.TLS.ClientAuth, g.TLS.ClientCAs = tls.RequireAndVerifyClientCert, poolOf(known)
	})
	with := func(c ...tls.Certificate) *peer {
		cfg := clientTLS()
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &append(c, tls.Certificate{})[0], nil
		}
		return s.sealed(t, cfg, nil)
	}
	p := with(known)
	p.welcome()
	p.login(alice, quick, 0)
	p.trade(2)
	for name, p := range map[string]*peer{"required": with(), "unknown certificate authority": with(stranger)} {
		if _, err := p.next(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want an alert that says %q", err, name)
		}
	}
	eventually(t, "two handshakes have failed", func() bool { return s.gw.Stats().HandshakesFailed.Load() == 2 })
}

// TestTLSDataWithFinished sends LOGIN in the same segment as the end of the handshake.
func TestTLSDataWithFinished(t *testing.T) {
	t.Parallel()
	s := startTLS(t, nil)
	p := s.peer(t)
	hold := &holding{Conn: p.conn}
	p.tls = tls.Client(&finishing{holding: hold}, clientTLS())
	conn := p.tls.(*tls.Conn)
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	p.write(p.loginFrame(alice, quick, 0))
	if err := hold.letGo(); err != nil {
		t.Fatal(err)
	}
	p.welcome()
	p.loggedIn(alice)
	p.trade(4)
}

// finishing lets the first write pass, and holds those that follow.
type finishing struct{ *holding }

func (c *finishing) Write(b []byte) (int, error) {
	n, err := c.holding.Write(b)
	c.hold = true
	return n, err
}

// TestTLSCloseNotify has a client say that it sends no more, with orders under way: it gets its answers, and then an
// orderly end.
func TestTLSCloseNotify(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*peer) error{
		"close_notify": func(p *peer) error { return p.tls.(*tls.Conn).CloseWrite() },
		"FIN":          func(p *peer) error { return p.conn.CloseWrite() },
		"both": func(p *peer) error {
			return errors.Join(p.tls.(*tls.Conn).CloseWrite(), p.conn.CloseWrite())
		},
	} {
		s := startTLS(t, nil)
		p, kept := s.recorded(t, alice)
		p.write(p.appendOrders(nil, 100))
		if err := end(p); err != nil {
			t.Fatal(name, err)
		}
		p.executions(100)
		p.eof()
		kept.closesInOrder(t)
	}
}

// TestTLSGoodbye ends sessions from the server's side.
func TestTLSGoodbye(t *testing.T) {
	t.Parallel()
	s := startTLS(t, nil)
	p, kept := s.recorded(t, alice)
	s.gw.Kick(p.uid, "test")
	p.goodbye(papertapev1.GoodbyeReason_GOODBYE_REASON_KICKED)
	p.eof()
	kept.closesInOrder(t)
	p, kept = s.recorded(t, alice)
	p.write([]byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0})
	p.expect(codec.TypeReject)
	p.goodbye(papertapev1.GoodbyeReason_GOODBYE_REASON_PROTOCOL)
	p.eof()
	kept.closesInOrder(t)
}

// TestTLSOldVersion has a client that knows only TLS 1.2, one that wants another protocol, and one that speaks none.
func TestTLSOldVersion(t *testing.T) {
	t.Parallel()
	s := startTLS(t, nil)
	old, other := clientTLS(), clientTLS()
	old.MaxVersion = tls.VersionTLS12
	other.NextProtos = []string{"h2"}
	for want, cfg := range map[string]*tls.Config{
		"protocol version not supported": old, "no application protocol": other,
	} {
		p := s.sealed(t, cfg, nil)
		if _, err := p.next(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	plain := s.peer(t)
	plain.write(plain.loginFrame(alice, quick, 0))
	plain.cut()
	if n := s.gw.Stats().HandshakesFailed.Load(); n != 3 {
		t.Errorf("%d failed handshakes counted, want 3", n)
	}
	s.sealedUser(t, alice).trade(2)
}

// TestTLSHostile has clients with valid keys send what crypto/tls never would. Each is taken or ends its own
// connection, and no loop stands still.
func TestTLSHostile(t *testing.T) {
	t.Parallel()
	s := startTLS(t, nil)
	many := func(b []byte, n int) (all []byte) {
		for range n {
			all = append(all, b...)
		}
		return all
	}
	for name, send := range map[string]func(*sealer){
		"three KeyUpdates in a record": func(c *sealer) { c.write(c.seal(contentHandshake, many(keyUpdate, 3))) },
		"thirty KeyUpdates in a record": func(c *sealer) {
			c.write(c.seal(contentHandshake, many(keyUpdateAsked, 30)))
		},
		"one and a half": func(c *sealer) {
			c.write(c.seal(contentHandshake, many(keyUpdate, 2)[:7]))
			c.write(c.seal(contentHandshake, keyUpdate[2:]))
		},
		"one in five records": func(c *sealer) {
			for i := range keyUpdate {
				c.write(c.seal(contentHandshake, keyUpdate[i:i+1]))
			}
			c.write(c.seal(contentData, []byte("the key is another now")))
		},
		"a bad KeyUpdate":     func(c *sealer) { c.write(c.seal(contentHandshake, []byte{24, 0, 0, 1, 7})) },
		"16 MB are announced": func(c *sealer) { c.write(c.seal(contentHandshake, []byte{24, 0xff, 0xff, 0xff, 0})) },
		"a ticket":            func(c *sealer) { c.write(c.seal(contentHandshake, []byte{4, 0, 0, 3, 1, 2, 3})) },
		"a hello": func(c *sealer) {
			c.write(c.seal(contentHandshake, append([]byte{1, 0, 0, 32}, make([]byte, 32)...)))
		},
		"empty records":       func(c *sealer) { c.empty(40) },
		"a record of no type": func(c *sealer) { c.write(c.seal(0, nil)) },
		"an alert":            func(c *sealer) { c.write(c.seal(contentAlert, []byte{2, 80})) },
		"garbage in a record": func(c *sealer) {
			c.write(append([]byte{contentData, 3, 3, 0, 64}, make([]byte, 64)...))
		},
		"an oversized record": func(c *sealer) {
			c.write(append([]byte{contentData, 3, 3, 0xff, 0xff}, make([]byte, 65535)...))
		},
		"plaintext":            func(c *sealer) { c.write([]byte("GET / HTTP/1.1\r\n\r\n")) },
		"a handshake in clear": func(c *sealer) { c.write([]byte{contentHandshake, 3, 3, 0, 4, 1, 0, 0, 0}) },
		"half a KeyUpdate, then data": func(c *sealer) {
			c.write(c.seal(contentHandshake, keyUpdate[:3]))
			c.write(c.seal(contentData, []byte("data")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, p := s.sealer(t)
			send(c)
			p.cut()
		})
	}
	s.sealedUser(t, alice).trade(10)
	s.sealedUser(t, bob).trade(10)
}

// empty sends empty records.
func (c *sealer) empty(n int) {
	var all []byte
	for range n {
		all = append(all, c.seal(contentData, nil)...)
	}
	c.write(all)
}

// TestTLSKeyUpdate has a client change its key in the right way, and ask the server to change its own.
func TestTLSKeyUpdate(t *testing.T) {
	t.Parallel()
	s := startTLS(t, nil)
	c, p := s.sealer(t)
	c.write(c.seal(contentData, p.loginFrame(alice, quick, 0)))
	c.write(c.seal(contentHandshake, keyUpdateAsked))
	p.expect(codec.TypeLoginReply)
	// The server's next record is under another key, which the client of crypto/tls follows.
	s.gw.Kick(p.uid, "test")
	p.goodbye(papertapev1.GoodbyeReason_GOODBYE_REASON_KICKED)
	p.eof()
}

// TestTLSDeafClient asks for a new key again and again, and never reads the answers: they count as bytes that it has to
// take, and it is cut.
func TestTLSDeafClient(t *testing.T) {
	t.Parallel()
	s := startTLS(t, func(g *Config, _ *engine.Config) {
		g.OutboxBytesMax, g.SocketSendBufferBytes = 64<<10, 4096
	})
	c, p := s.sealerOver(t, s.peerWith(t, smallBuffers()))
	c.write(c.seal(contentData, p.loginFrame(alice, quick, 0)))
	p.loggedIn(alice)
	if err := c.conn.SetDeadline(time.Now().Add(4 * patience)); err != nil {
		t.Fatal(err)
	}
	const enough = 30_000 // answers of 27 bytes
	most, frame := int64(0), codec.AppendFrame(nil, codec.TypeEmbedder, 0, 1, make([]byte, 4000))
	for i := 0; i < enough && s.gw.Stats().CutOutbox.Load() == 0; i++ {
		record := c.seal(contentHandshake, keyUpdateAsked)
		c.rekey() // crypto/tls wants some data between two updates
		record = append(record, c.seal(contentData, frame[i%len(frame):][:1])...)
		if _, err := c.conn.Write(record); err != nil {
			break
		}
		most = max(most, s.gw.outboxBytes.Load())
	}
	// What was written may still wait in the server's socket, and the count may come after the end of the connection.
	eventually(t, "a session is cut for its outbox", func() bool {
		most = max(most, s.gw.outboxBytes.Load())
		return s.gw.Stats().CutOutbox.Load() == 1
	})
	if most == 0 || most > 2*64<<10 {
		t.Errorf("up to %d bytes were counted, with a bound of %d", most, 64<<10)
	}
}

// TestTLSGivenUp gives up handshakes in each state. Nothing may be left of them.
func TestTLSGivenUp(t *testing.T) {
	s := startTLS(t, nil)
	s.sealedUser(t, alice).trade(2)
	before := runtime.NumGoroutine()
	hello := helloOf(t)
	for i := range 200 {
		c := s.dial(t)
		if i%4 > 0 {
			if _, err := c.Write(hello[:len(hello)*(i%4)/3]); err != nil {
				t.Fatal(err)
			}
		}
		if i%8 < 4 {
			_ = c.SetLinger(0)
		}
		defer c.Close() //nolint:errcheck // it may be closed
		if i%5 == 0 {
			_ = c.Close()
		}
	}
	eventually(t, "the handshakes have begun", func() bool { return s.gw.Stats().Accepted.Load() == 201 })
	s.closeAll()
	eventually(t, "all are forgotten", func() bool { return s.gw.Connections() == 0 })
	eventually(t, "their coroutines have ended", func() bool { return runtime.NumGoroutine() <= before },
		func() { t.Logf("%d goroutines, before %d", runtime.NumGoroutine(), before) })
}

// helloOf returns what a client sends first.
func helloOf(t testing.TB) []byte {
	t.Helper()
	near, far := net.Pipe()
	defer near.Close()                                           //nolint:errcheck // a pipe
	go func() { _ = tls.Client(far, clientTLS()).Handshake() }() // ends when the pipe is closed
	hello := make([]byte, 4096)
	n, err := io.ReadAtLeast(near, hello, 5)
	if err != nil {
		t.Fatal(err)
	}
	return hello[:n]
}

// TestTLSFullHouse has connections over a limit: they are closed without a word, and before a handshake is paid for.
func TestTLSFullHouse(t *testing.T) {
	t.Parallel()
	s := startTLS(t, func(g *Config, _ *engine.Config) { g.ConnectionsMax = 1 })
	in := s.sealedUser(t, alice)
	p := s.peer(t)
	p.eof()
	if n := s.gw.Stats().RefusedFull.Load(); n != 1 {
		t.Errorf("%d refused connections counted, want 1", n)
	}
	in.trade(2)
}

func TestTLSHandshakeRate(t *testing.T) {
	t.Parallel()
	s := startTLS(t, func(g *Config, _ *engine.Config) { g.HandshakesPerSecondMax = 5 })
	hello := helloOf(t)
	idle := s.peer(t) // who sends nothing costs nothing
	began := time.Now()
	answered := 0
	for range 50 {
		p := s.peer(t)
		p.write(hello)
		if err := p.fill(); err == nil {
			answered++
		}
	}
	if most := 5 + int(5*time.Since(began).Seconds()) + 1; answered < 5 || answered > most {
		t.Errorf("%d handshakes were begun in %v, want 5 to %d", answered, time.Since(began), most)
	}
	if n := s.gw.Stats().HandshakesRefused.Load(); n != uint64(50-answered) {
		t.Errorf("%d counted as refused, want %d", n, 50-answered)
	}
	limits := *s.gw.limits.Load()
	limits.HandshakesPerSecondMax = 0
	s.gw.SetLimits(limits)
	idle.tls = tls.Client(idle.conn, clientTLS())
	idle.welcome()
}

// TestTLSSlowHandshake sends the hello byte by byte, or nothing, and is shown out after login_timeout.
func TestTLSSlowHandshake(t *testing.T) {
	t.Parallel()
	s := startTLS(t, func(g *Config, _ *engine.Config) { g.LoginTimeout = 200 * time.Millisecond })
	began := time.Now()
	silent, slow := s.peer(t), s.peer(t)
	var sending sync.WaitGroup
	sending.Go(func() {
		for _, b := range helloOf(t) {
			if _, err := slow.conn.Write([]byte{b}); err != nil {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
	silent.cut()
	slow.cut()
	if took := time.Since(began); took < 200*time.Millisecond || took > patience {
		t.Errorf("they were shown out after %v", took)
	}
	sending.Wait()
	if n := s.gw.Stats().LoginTimeouts.Load(); n != 2 {
		t.Errorf("%d login timeouts, want 2", n)
	}
}

// TestTLSRenewedUnderLoad replaces the certificate again and again while clients come, trade and go. Each sees the old
// one or the new one, and nobody is disturbed.
func TestTLSRenewedUnderLoad(t *testing.T) {
	t.Parallel()
	s := startTLS(t, nil)
	certificates := []tls.Certificate{serverCertificate(), selfSigned(t, "papertape.test")}
	cfg := clientTLS()
	cfg.RootCAs = poolOf(certificates...)
	cfg.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	long := s.sealedUser(t, carol)
	stop := make(chan struct{})
	var renewing, clients sync.WaitGroup
	renewing.Go(func() {
		for i := 1; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
			s.gw.SetTLS(&tls.Config{Certificates: certificates[i%2 : i%2+1]})
		}
	})
	var seen [2]atomic.Int64
	for i := range uint64(4) {
		clients.Go(func() {
			for range 10 {
				p := s.sealed(t, cfg, nil)
				p.welcome()
				p.login(alice+i, quick, 0)
				p.trade(10)
				leaf := p.tls.(*tls.Conn).ConnectionState().PeerCertificates[0]
				for j := range certificates {
					if leaf.Equal(certificates[j].Leaf) {
						seen[j].Add(1)
					}
				}
				_ = p.tls.Close()
			}
		})
	}
	long.trade(1000)
	clients.Wait()
	close(stop)
	renewing.Wait()
	if a, b := seen[0].Load(), seen[1].Load(); a == 0 || b == 0 || a+b != 40 {
		t.Errorf("the certificates were seen %d and %d times, want 40 in all and each at least once", a, b)
	}
}

// TestTLSHalfRecords sends half a record, and half a message of the handshake in whole records: what crypto/tls keeps
// of them counts as halves of frames.
func TestTLSHalfRecords(t *testing.T) {
	t.Parallel()
	s := startTLS(t, nil)
	c, p := s.sealer(t)
	c.write(append([]byte{contentData, 3, 3, 0x40, 0}, make([]byte, 9000)...))
	eventually(t, "half a record is counted", func() bool { return s.gw.halfFrames.Load() == 9005 })
	_ = p.conn.Close()
	eventually(t, "it is forgotten", func() bool { return s.gw.halfFrames.Load() == 0 })
	c, _ = s.sealer(t)
	for i := range 3 {
		part := make([]byte, 10000)
		if i == 0 {
			copy(part, []byte{24, 0, 0xff, 0xff})
		}
		c.write(c.seal(contentHandshake, part))
	}
	eventually(t, "the records are counted", func() bool { return s.gw.halfFrames.Load() > 30000 })
}

// TestTLSHelloRetry has the server ask for another share of the key: a handshake of one more round trip.
func TestTLSHelloRetry(t *testing.T) {
	t.Parallel()
	s := startTLS(t, func(g *Config, _ *engine.Config) { g.TLS.CurvePreferences = []tls.CurveID{tls.CurveP256} })
	cfg := clientTLS()
	cfg.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256} // a share of the first is sent
	p := s.sealed(t, cfg, nil)
	p.welcome()
	p.login(alice, quick, 0)
	p.trade(3)
	if state := p.tls.(*tls.Conn).ConnectionState(); !state.HelloRetryRequest || state.CurveID != tls.CurveP256 {
		t.Errorf("hello retried: %v, with %v; want a retry, and P-256", state.HelloRetryRequest, state.CurveID)
	}
}

// TestTLSDrain stops a server with clients in each state.
func TestTLSDrain(t *testing.T) {
	t.Parallel()
	s := startTLS(t, nil)
	in, waits, silent := s.sealedUser(t, alice), s.sealed(t, clientTLS(), nil), s.peer(t)
	waits.welcome()
	ended := make(chan error, 1)
	go func() { ended <- s.stop() }()
	for _, p := range []*peer{in, waits} {
		p.goodbye(papertapev1.GoodbyeReason_GOODBYE_REASON_SHUTDOWN)
		p.eof()
		_ = p.conn.Close()
	}
	silent.cut()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestTLSHooks counts hooks: they are for clients that were welcomed.
func TestTLSHooks(t *testing.T) {
	t.Parallel()
	var came, left atomic.Int64
	s := startTLS(t, func(g *Config, _ *engine.Config) {
		g.Hooks = []Hooks{{
			OnConnect:    func(*Session) { came.Add(1) },
			OnDisconnect: func(*Session) { left.Add(1) },
		}}
	})
	s.sealedUser(t, alice)
	p := s.peer(t)
	p.write([]byte("this is no hello of TLS, and never was"))
	p.cut()
	s.closeAll()
	eventually(t, "both are gone", func() bool { return s.gw.Connections() == 0 })
	if came.Load() != 1 || left.Load() != 1 {
		t.Errorf("%d came, %d left; want 1 and 1", came.Load(), left.Load())
	}
}

// TestWatchdog blocks a loop.
func TestWatchdog(t *testing.T) {
	t.Parallel()
	var log lines
	s := newServer(t, func(g *Config, _ *engine.Config) {
		g.EventLoops, g.StallTimeout, g.Log = 1, 160*time.Millisecond, zerolog.New(&log) // a tick each 20 ms
	})
	s.gw.lateAfter = 100 * time.Millisecond
	s.serve(t)
	s.user(t, alice).trade(2)
	eventually(t, "the loop is in time", func() bool { return s.gw.Late() == nil })
	release := make(chan struct{})
	go s.gw.onEachLoop(func(*loop) { <-release })
	eventually(t, "the loop is late", func() bool { return s.gw.Late() != nil })
	close(release)
	eventually(t, "it is back", func() bool { return s.gw.Late() == nil })
	for _, want := range []string{`"level":"error"`, "stands still", "goes on"} { // it is said when it is so already
		eventually(t, "the log has "+want, func() bool { return strings.Contains(log.String(), want) },
			func() { t.Log(log.String()) })
	}
}
