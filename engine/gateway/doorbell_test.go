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

// TestDoorbell: a loop that is rung while it writes looks at its dirty list once more. It is held in the middle of a
// write, by a hook, until an event for another of its sessions has been published.
func TestDoorbell(t *testing.T) {
	t.Parallel()
	writes, goOn := make(chan struct{}), make(chan struct{})
	s := start(t, func(g *Config, _ *engine.Config) {
		g.EventLoops, g.Heartbeat = 1, time.Hour // a heartbeat would write the session too
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
	s.onLoops(func(*loop) {}) // runs after all that the loop was rung for
	s.onLoops(func(*loop) {
		session.mu.Lock()
		defer session.mu.Unlock()
		if session.dirty {
			t.Error("the event still waits, and nobody will ring")
		}
	})
	if !t.Failed() {
		watcher.until(watcher.seq + 1)
	}
}

// ringFor executes an order of the account. When it returns the event is published, and the loops are rung.
func (s *server) ringFor(t testing.TB, account uint64) {
	t.Helper()
	order := positions.Order{Side: positions.Buy, Quantity: 1, Instrument: market.ID(0)}
	request := engine.Request{Kind: engine.KindOrder, Account: account, Order: order}
	if s.engine.Submit(account, []engine.Request{request}) != 1 {
		t.Error("the order was not taken")
	}
	if err := s.engine.Drain(context.Background()); err != nil { // the bell has been rung when nothing is under way
		t.Error(err)
	}
}

// turnstile is a hook on a loop. It holds the loop when one session ends, and looks at the session watched when
// another one does.
type turnstile struct {
	first, last chan uint64 // uids of the two
	held, goOn  chan struct{}
	watched     atomic.Pointer[Session]
	dirty       chan bool // whether the watched session still waited to be written then
}

func (h *turnstile) onDisconnect(c *Session) {
	select {
	case uid := <-h.first:
		if uid == c.UID() {
			close(h.held)
			<-h.goOn
		}
	case uid := <-h.last:
		if w := h.watched.Load(); uid == c.UID() {
			w.mu.Lock()
			h.dirty <- w.dirty
			w.mu.Unlock()
		}
	default:
	}
}

// TestWritesBetweenReads: a loop that has many reads to make writes what was published between them. The loop is held
// in a hook until there wait for it: a read of each of many sessions, an event of another session, and the end of one.
func TestWritesBetweenReads(t *testing.T) {
	t.Parallel()
	hook := &turnstile{
		first: make(chan uint64, 1), last: make(chan uint64, 1),
		held: make(chan struct{}), goOn: make(chan struct{}), dirty: make(chan bool, 1),
	}
	s := start(t, func(g *Config, _ *engine.Config) {
		g.EventLoops, g.Heartbeat = 1, time.Hour // a heartbeat would write, too
		g.Hooks = []Hooks{{OnDisconnect: hook.onDisconnect}}
	})
	watcher := s.user(t, alice)
	hook.watched.Store(s.sessionOf(t, watcher))
	begins, ends := s.user(t, bob), s.user(t, bob)
	readers := make([]*peer, readsAtOnce+1)
	for i := range readers {
		readers[i] = s.peer(t)
		readers[i].welcome()
	}
	hook.first <- s.sessionOf(t, begins).UID()
	uid := s.sessionOf(t, ends).UID()
	_ = begins.conn.Close()
	<-hook.held
	for _, r := range readers {
		r.write([]byte{0}) // the beginning of a frame
	}
	hook.last <- uid
	_ = ends.conn.Close()
	s.ringFor(t, alice)
	close(hook.goOn)
	if <-hook.dirty {
		t.Errorf("the event was not written between %d reads and what came after them", len(readers))
	}
	watcher.until(watcher.seq + 1)
}
