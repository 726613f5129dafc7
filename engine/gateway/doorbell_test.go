package gateway

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// TestDoorbell: a loop that is rung while it writes looks at its list once more. It is held in the middle of a write, by a hook,
// until an event for another of its sessions has been published.
func TestDoorbell(t *testing.T) {
	t.Parallel()
	writes, goOn := make(chan struct{}), make(chan struct{})
	s := start(t, func(g *Config, _ *engine.Config) {
		g.EventLoops, g.Heartbeat = 1, time.Hour // a heartbeat would write what the bell did not
		g.Hooks = []Hooks{{OnLogin: func(c *Session) {
			if c.Account() == bob {
				close(writes)
				<-goOn
			}
		}}}
	})
	watcher := s.user(t, alice)
	session := s.sessionOf(t, watcher)
	late := s.peer(t)
	late.welcome()
	late.write(late.loginFrame(bob, papertapev1.ResumeMode_RESUME_MODE_QUICK, 0))
	<-writes
	s.ringFor(t, alice)
	close(goOn)
	s.onLoops(func(*loop) {}) // behind all that the loop was rung for
	s.onLoops(func(*loop) {
		session.mu.Lock()
		defer session.mu.Unlock()
		if session.dirty {
			t.Error("the event still waits for somebody to ring")
		}
	})
	if !t.Failed() {
		watcher.until(watcher.seq + 1)
	}
}

// ringFor has an event of the account published, and its loop rung, when it returns.
func (s *server) ringFor(t testing.TB, account uint64) {
	t.Helper()
	bought := engine.Request{
		Kind: engine.KindOrder, Account: account,
		Order: positions.Order{Side: positions.Buy, Quantity: 1, Instrument: market.ID(0)},
	}
	if s.engine.Submit(account, []engine.Request{bought}) != 1 {
		t.Error("the order was not taken")
	}
	if err := s.engine.Drain(context.Background()); err != nil { // the bell has been rung when nothing is under way
		t.Error(err)
	}
}

// TestWritesBetweenReads: a loop that has many reads to make writes between them what was published meanwhile. It is held by the hook of a
// session that ends, until one read for each of many others waits for it, and then an event of another, and then another end.
func TestWritesBetweenReads(t *testing.T) {
	t.Parallel()
	held, goOn, after := make(chan struct{}), make(chan struct{}), make(chan bool, 1)
	var watched atomic.Pointer[Session]
	first, last := make(chan uint64, 1), make(chan uint64, 1)
	s := start(t, func(g *Config, _ *engine.Config) {
		g.EventLoops, g.Heartbeat = 1, time.Hour // a heartbeat would write, too
		g.Hooks = []Hooks{{OnDisconnect: func(c *Session) {
			select {
			case uid := <-first:
				if uid == c.UID() {
					close(held)
					<-goOn
				}
			case uid := <-last:
				if w := watched.Load(); uid == c.UID() {
					w.mu.Lock()
					after <- w.dirty
					w.mu.Unlock()
				}
			default:
			}
		}}}
	})
	watcher := s.user(t, alice)
	watched.Store(s.sessionOf(t, watcher))
	begins, ends := s.user(t, bob), s.user(t, bob)
	readers := make([]*peer, readsAtOnce+1)
	for i := range readers {
		readers[i] = s.peer(t)
		readers[i].welcome()
	}
	first <- s.sessionOf(t, begins).UID()
	uid := s.sessionOf(t, ends).UID()
	_ = begins.conn.Close()
	<-held
	for _, r := range readers {
		r.write([]byte{0}) // the beginning of a frame
	}
	last <- uid
	_ = ends.conn.Close()
	s.ringFor(t, alice)
	close(goOn)
	if <-after {
		t.Errorf("the event was not written between %d reads and what came after them", len(readers))
	}
	watcher.until(watcher.seq + 1)
}
