package gateway

import (
	"errors"
	"io"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/engine/simulator"
	"github.com/papertape/papertape/market"
)

const protocol = papertapev1.GoodbyeReason_GOODBYE_REASON_PROTOCOL

// TestGoodbyeArrives has clients that had sent a lot more when the server ended the connection: the last frames must not be
// lost to a reset.
func TestGoodbyeArrives(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	for _, tt := range []struct {
		name  string
		login bool
	}{{"before login", false}, {"after login", true}} {
		t.Run(tt.name, func(t *testing.T) {
			p := s.peer(t)
			p.welcome()
			if tt.login {
				p.login(alice, quick, 0)
			}
			p.write(append([]byte{0, 0, 0, 1}, make([]byte, 1<<20)...))
			p.rejected(0, papertapev1.RejectCode_REJECT_CODE_MALFORMED)
			p.goodbye(protocol)
			p.eof()
			ses := s.sessionOf(t, p)
			s.onLoops(func(l *loop) {
				if l == ses.loop && ses.conn.InboundBuffered() > 0 {
					t.Errorf("%d bytes are kept of what nobody will look at", ses.conn.InboundBuffered())
				}
			})
			if err := p.conn.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the connection is forgotten", func() bool { return s.gw.Connections() == 0 })
		})
	}
}

// TestAnswersBeforeTheEnd glues good requests before bytes that end the connection.
func TestAnswersBeforeTheEnd(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	p := s.user(t, alice)
	b := p.request(nil, codec.TypePing)
	b = p.request(b, codec.TypeInstruments)
	p.write(append(b, 0, 0, 0, 0))
	p.expect(codec.TypePong)
	p.expect(codec.TypeInstrumentsReply)
	p.rejected(0, papertapev1.RejectCode_REJECT_CODE_MALFORMED)
	p.goodbye(protocol)
	p.eof()
}

// TestClientThatNeverCloses is closed by the server after a second.
func TestClientThatNeverCloses(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	p := s.user(t, alice)
	p.write([]byte{0, 0, 0, 0})
	p.rejected(0, papertapev1.RejectCode_REJECT_CODE_MALFORMED)
	p.goodbye(protocol)
	p.eof()
	if n := s.gw.Connections(); n != 1 {
		t.Errorf("%d connections; want 1, which may take a second to close", n)
	}
	eventually(t, "the connection is closed", func() bool { return s.gw.Connections() == 0 })
	eventually(t, "sending fails", func() bool {
		_, err := p.conn.Write(make([]byte, 100))
		return err != nil
	})
}

// TestHalfClosed has clients that shut down their sending half; to gnet that is the end of the connection.
func TestHalfClosed(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	for _, login := range []bool{false, true} {
		p := s.peer(t)
		p.welcome()
		if login {
			p.login(alice, quick, 0)
		}
		p.alive()
		if err := p.conn.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		p.eof()
	}
	p := s.user(t, alice)
	p.write(p.appendOrder(nil)[:7]) // in the middle of a frame
	if err := p.conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	p.eof()
	s.user(t, bob).trade(2)
}

// TestResetWhileWriting has clients that vanish while much is being written to them.
func TestResetWhileWriting(t *testing.T) {
	t.Parallel()
	s := start(t, func(g *Config, _ *engine.Config) { g.SocketSendBufferBytes, g.OutboxBytesMax = 8<<10, 8<<20 })
	trader := s.user(t, alice)
	for i := range 20 {
		p := s.lazy(t, alice)
		if i%2 == 0 {
			s.stall(t, p, trader, 32<<10)
		} else {
			trader.write(trader.appendOrders(nil, 50)) // which are answered while it vanishes
		}
		if err := p.conn.SetLinger(0); err != nil {
			t.Fatal(err)
		}
		_ = p.conn.Close()
		if i%2 != 0 {
			trader.executions(50)
		}
	}
	eventually(t, "one is left", func() bool { return s.gw.Connections() == 1 })
	trader.trade(2)
}

// TestPanicIsContained has a handler panic on the loop. It costs that connection, and nobody else's requests are touched.
func TestPanicIsContained(t *testing.T) {
	t.Parallel()
	var panics atomic.Bool
	s := start(t, func(g *Config, _ *engine.Config) {
		g.EventLoops = 1
		prices := g.Prices
		g.Prices = func() *market.Prices {
			if panics.Load() {
				panic("told to")
			}
			return prices()
		}
	})
	other, neighbour := s.user(t, alice+1), s.user(t, alice)
	p := s.user(t, alice)
	panics.Store(true)
	p.write(p.request(nil, codec.TypeInstruments))
	p.cut()
	if n := s.gw.Stats().Panics.Load(); n != 1 {
		t.Errorf("%d panics counted, want 1", n)
	}
	for _, q := range []*peer{other, neighbour} {
		q.trade(4)
	}

	// Requests that were read together with the one that panics: they must not be taken for those of the next client.
	p = s.user(t, alice)
	before := s.engine.Stats().Requests
	b := p.request(nil, codec.TypeHoldings)
	b = p.request(b, codec.TypeHoldings)
	p.write(p.request(b, codec.TypeInstruments))
	p.cut()
	if n := s.gw.Stats().Panics.Load(); n != 2 {
		t.Errorf("%d panics counted, want 2", n)
	}
	panics.Store(false)
	other.trade(4)
	if n := s.engine.Stats().Requests - before; n != 4 {
		t.Errorf("%d requests reached the engine, want the 4 of the other client, or a client's requests went with another's", n)
	}
	other.write(other.request(nil, codec.TypeInstruments))
	other.expect(codec.TypeInstrumentsReply)
}

// TestGoroutinesDoNotGrow compares the number of goroutines with none and with 300 clients logged in. It must not run
// beside other tests.
func TestGoroutinesDoNotGrow(t *testing.T) {
	s := start(t, nil)
	first := s.user(t, alice)
	first.trade(2) // the pool's workers are up
	before := runtime.NumGoroutine()
	for i := range 300 {
		s.user(t, simulator.FirstAccount+uint64(i))
	}
	if n := s.gw.Connections(); n != 301 {
		t.Fatalf("%d connections, want 301", n)
	}
	const slack = 4 // workers of the engine's pool
	eventually(t, "there are as many goroutines as before", func() bool { return runtime.NumGoroutine() <= before+slack },
		func() { t.Logf("%d goroutines, before %d", runtime.NumGoroutine(), before) })
}

func TestTakenPort(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	second := newServer(t, func(g *Config, _ *engine.Config) { g.Listen = s.addr })
	defer second.engine.Stop()
	err := second.gw.Serve(t.Context(), second.engine, func(string) { t.Error("ready was called") })
	if !errors.Is(err, ErrListen) {
		t.Errorf("Serve: %v, want ErrListen", err)
	}
	s.user(t, alice).trade(2)
}

func TestAddressThatCannotBe(t *testing.T) {
	t.Parallel()
	for _, listen := range []string{"127.0.0.1", "127.0.0.1:99999", "192.0.2.1:0"} {
		s := newServer(t, func(g *Config, _ *engine.Config) { g.Listen = listen })
		if err := s.gw.Serve(t.Context(), s.engine, func(string) { t.Error("ready was called") }); !errors.Is(err, ErrListen) {
			t.Errorf("Serve on %s: %v, want ErrListen", listen, err)
		}
		s.engine.Stop()
	}
}

// TestRestartOnTheSamePort starts again where connections are in TIME_WAIT, which those are that the server closed first.
func TestRestartOnTheSamePort(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	addr := s.addr
	for range 3 {
		peers := []*peer{s.user(t, alice), s.user(t, bob)}
		peers[0].trade(2)
		s.cancel()
		for _, p := range peers {
			p.goodbye(papertapev1.GoodbyeReason_GOODBYE_REASON_SHUTDOWN)
			p.eof()
			_ = p.conn.Close()
		}
		if err := s.stop(); err != nil {
			t.Fatal(err)
		}
		s = start(t, func(g *Config, _ *engine.Config) { g.Listen = addr })
	}
	s.user(t, alice).trade(2)
}

func TestRaiseFileLimit(t *testing.T) {
	n, err := RaiseFileLimit()
	if err != nil || n == 0 {
		t.Fatalf("limit %d, %v", n, err)
	}
	if again, err := RaiseFileLimit(); err != nil || again != n {
		t.Errorf("the second time: limit %d, %v; want %d", again, err, n)
	}
}

// TestClosedBeforeWelcome has clients that are gone when they are welcomed.
func TestClosedBeforeWelcome(t *testing.T) {
	t.Parallel()
	s := start(t, func(g *Config, _ *engine.Config) { g.ConnectionsMax = 2 })
	for range 200 {
		c := s.dial(t)
		_ = c.SetLinger(0)
		_ = c.Close()
	}
	eventually(t, "all are forgotten", func() bool { return s.gw.Connections() == 0 && s.gw.refused.Load() == 0 })
	p := s.user(t, alice)
	p.trade(2)
	if err := p.conn.SetReadDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	if n, err := p.conn.Read(make([]byte, 1)); n != 0 || errors.Is(err, io.EOF) {
		t.Errorf("read %d bytes, %v; want nothing", n, err)
	}
}
