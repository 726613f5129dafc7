package gateway

import (
	"testing"
	"time"

	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine"
)

// smallOutboxes gives sessions a small outbox and a small send buffer.
func smallOutboxes(g *Config, _ *engine.Config) {
	g.SocketSendBufferBytes, g.OutboxBytesMax = 8<<10, 48<<10
}

func TestOutboxBytesMax(t *testing.T) {
	t.Parallel()
	s := start(t, smallOutboxes)
	stalled, trader := s.lazy(t, alice), s.user(t, alice)
	for s.gw.Stats().CutOutbox.Load() == 0 {
		trader.trade(20)
		if trader.seq > 4000 {
			t.Fatal("a client that does not read is not cut")
		}
	}
	trader.trade(100) // is not held up
	eventually(t, "the stalled one is gone", func() bool { return s.gw.Connections() == 1 })
	stalled.cut()
	if stalled.seq == 1 || stalled.seq >= trader.seq {
		t.Errorf("the stalled one saw seq %d, the other %d", stalled.seq, trader.seq)
	}
	if n := s.gw.Stats().CutOutbox.Load(); n != 1 {
		t.Errorf("%d sessions cut, want 1", n)
	}
}

// TestOutboxHoldsOneLargeFrame: a frame larger than the outbox fits if nothing else waits.
func TestOutboxHoldsOneLargeFrame(t *testing.T) {
	t.Parallel()
	s := start(t, func(g *Config, _ *engine.Config) { g.OutboxBytesMax = 512 })
	p := s.user(t, alice)
	p.write(p.request(nil, codec.TypeInstruments))
	if f := p.expect(codec.TypeInstrumentsReply); len(f.Payload) <= 512 {
		t.Fatalf("INSTRUMENTS of %d bytes do not reach the cap", len(f.Payload))
	}
	p.alive()
}

// TestOutboxOfOwnAnswers has a client that keeps asking and never reads.
func TestOutboxOfOwnAnswers(t *testing.T) {
	t.Parallel()
	s := start(t, smallOutboxes)
	p := s.lazy(t, alice)
	eventually(t, "a client that does not read is cut", func() bool {
		if err := p.conn.SetWriteDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		_, err := p.conn.Write(p.request(nil, codec.TypeInstruments))
		return err != nil || s.gw.Stats().CutOutbox.Load() > 0
	})
	eventually(t, "it is gone", func() bool { return s.gw.Connections() == 0 })
	if n := s.gw.Stats().CutOutbox.Load(); n != 1 {
		t.Errorf("%d sessions cut, want 1", n)
	}
}

// stall has the trader trade until some bytes at least wait for a client that does not read.
func (s *server) stall(t *testing.T, stalled, trader *peer, some int) {
	t.Helper()
	for {
		since, waiting := s.stalledSince(t, stalled)
		if since != 0 && waiting >= some {
			return
		}
		trader.trade(20)
		if trader.seq > 10_000 {
			t.Fatalf("%d bytes wait after %d events, want %d", waiting, trader.seq, some)
		}
	}
}

// settled waits until the kernel has taken nothing for a while, so that this client stays the longest-stalled one.
func (s *server) settled(t *testing.T, p *peer) {
	t.Helper()
	eventually(t, "the kernel has taken what it will", func() bool {
		since, _ := s.stalledSince(t, p)
		return since != 0 && s.gw.millis() > since+400
	})
}

const stallTimeout = time.Hour

// longStalls gives sessions an outbox that holds all of a test, and deadlines so far away that only the test brings
// them about (stallOn): how long the machine takes to stall a client, or to have it read, decides nothing.
func longStalls(g *Config, _ *engine.Config) {
	g.SocketSendBufferBytes, g.OutboxBytesMax = 8<<10, 8<<20
	g.StallTimeout, g.Heartbeat = stallTimeout, time.Hour
}

// stallOn has a client that is stalled have been so for a while longer. It reports whether it was, and how many bytes
// wait for it.
func (s *server) stallOn(p *peer, longer time.Duration) (stalled bool, waiting int) {
	s.onLoops(func(l *loop) {
		var ses *Session
		l.wheel.each(func(other *Session) {
			if other.uid == p.uid {
				ses = other
			}
		})
		if ses == nil {
			return
		}
		ses.mu.Lock()
		waiting = ses.waiting()
		ses.mu.Unlock()
		if stalled = ses.stalled != 0; stalled {
			ses.stalled -= toMillis(longer)
			l.schedule(ses)
		}
	})
	return stalled, waiting
}

func TestStallTimeout(t *testing.T) {
	t.Parallel()
	s := start(t, longStalls)
	stalled, trader := s.lazy(t, alice), s.user(t, alice)
	s.stall(t, stalled, trader, 32<<10)
	s.stallOn(stalled, stallTimeout/2)
	s.tick(t)
	if n := s.gw.Stats().CutStalled.Load(); n != 0 {
		t.Fatalf("%d sessions cut after half the stall timeout, want none", n)
	}
	eventually(t, "the stalled one is cut", func() bool {
		s.stallOn(stalled, stallTimeout) // again, where the kernel has taken something meanwhile
		return s.gw.Stats().CutStalled.Load() == 1
	})
	eventually(t, "and gone", func() bool { return s.gw.Connections() == 1 })
	stalled.cut()
	trader.trade(2)
	if n := s.gw.Stats().CutStalled.Load(); n != 1 {
		t.Errorf("%d sessions cut, want 1", n)
	}
}

// TestSlowReaderIsNotStalled has a client that takes longer than the stall timeout to read what waits, but keeps
// reading.
func TestSlowReaderIsNotStalled(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	s := start(t, longStalls)
	slow, trader := s.lazy(t, alice), s.user(t, alice)
	s.stall(t, slow, trader, 48<<10)
	const pause = stallTimeout * 2 / 3
	var took time.Duration
	for slow.seq < trader.seq {
		stalled, waited := s.stallOn(slow, pause)
		if stalled {
			took += pause
		}
		s.tick(t)
		for waiting := waited; waiting == waited && slow.seq < trader.seq; { // until the kernel has taken something
			slow.until(min(slow.seq+25, trader.seq)) // some 4 kB
			s.tick(t)                                // the loop looks what was taken
			_, waiting = s.stallOn(slow, 0)
		}
	}
	if took <= 2*stallTimeout {
		t.Fatalf("everything was taken within %v, so nothing was tried", took)
	}
	slow.alive()
}

// TestWaitingCountsBoth: bytes in the outbox wait, and bytes that the socket has not taken.
func TestWaitingCountsBoth(t *testing.T) {
	s := &Session{unsent: 100}
	for _, want := range []int{100, 150, 200} {
		if got := s.waiting(); got != want {
			t.Errorf("%d bytes wait, want %d", got, want)
		}
		if !s.append(make([]byte, 50)) {
			t.Fatal("nothing can be appended")
		}
	}
	before := s.waiting()
	if n := s.finish(protocol, "text"); n == 0 || s.waiting() != before+n {
		t.Errorf("GOODBYE is %d bytes, and %d wait where %d did before", n, s.waiting(), before)
	}
	if s.append(make([]byte, 50)) || s.finish(protocol, "text") != 0 {
		t.Error("something was appended after GOODBYE")
	}
}
