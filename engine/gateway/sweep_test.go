package gateway

import (
	"context"
	"testing"
	"time"

	"github.com/panjf2000/gnet/v2"

	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/engine/simulator"
)

// slowSweep is a sweep whose visits take a whole spell each.
type slowSweep struct {
	sweep
	list    []*Session
	visited map[uint64]int // by uid
	spells  int
	ended   chan struct{} // closed at its end
}

// visit has two sessions leave the list when it comes to session 10: one that was visited, and that one.
func (w *slowSweep) visit(s *Session) {
	w.visited[s.uid]++
	if s.uid == 10 {
		w.list[18], w.list[10] = w.list[19], w.list[18]
		w.list = w.list[:18]
	}
	for began := time.Now(); time.Since(began) < spell; {
	}
}

// task is a spell of the sweep.
func (w *slowSweep) task(l *loop) gnet.Runnable {
	var on gnet.Runnable
	on = gnet.RunnableFunc(func(context.Context) error {
		w.spells++
		l.sweepOn(&w.sweep, func() []*Session { return w.list }, w.visit, on)
		if !w.underWay {
			close(w.ended)
		}
		return nil
	})
	return on
}

// TestSweepGivesWay: a loop that does something for many sessions does other work in between. It visits each session
// once, even if some leave the list meanwhile, and comes to an end.
func TestSweepGivesWay(t *testing.T) {
	t.Parallel()
	const sessions = 20
	s := start(t, func(g *Config, _ *engine.Config) { g.EventLoops = 1 })
	s.user(t, alice)
	l := (*s.gw.loops.Load())[0]
	w := &slowSweep{visited: make(map[uint64]int), ended: make(chan struct{})}
	for i := range sessions {
		w.list = append(w.list, &Session{uid: uint64(i), loop: l})
	}
	w.begin(len(w.list))
	if err := l.el.Execute(t.Context(), w.task(l)); err != nil {
		t.Fatal(err)
	}
	<-w.ended
	for i := range uint64(sessions) {
		if w.visited[i] != 1 {
			t.Errorf("session %d was visited %d times, want once", i, w.visited[i])
		}
	}
	if w.spells != sessions {
		t.Errorf("%d visits of a spell each took %d tasks of the loop, want one for each", sessions, w.spells)
	}
}

// TestSweepEndsWithAPanic: a visit that panics costs its session, and the others are still visited.
func TestSweepEndsWithAPanic(t *testing.T) {
	t.Parallel()
	s := start(t, func(g *Config, _ *engine.Config) { g.EventLoops = 1 })
	unlucky, p := s.user(t, alice), s.user(t, bob)
	victim, n := s.sessionOf(t, unlucky), 0
	s.onLoops(func(l *loop) {
		list := []*Session{{}, victim, {}}
		w := sweep{left: len(list), underWay: true}
		goOn := gnet.RunnableFunc(func(context.Context) error { return nil })
		for w.underWay {
			l.sweepOn(&w, func() []*Session { return list }, func(s *Session) {
				if n++; s == victim {
					panic("a visit is made to panic")
				}
			}, goOn)
		}
		if n != 3 {
			t.Errorf("%d visits, want 3", n)
		}
	})
	unlucky.cut()
	p.alive()
}

// TestManySubscribersOfQuotes has prices move while a loop is still sending the previous ones, and subscribers leave
// meanwhile. Those that stay get the newest in the end.
func TestManySubscribersOfQuotes(t *testing.T) {
	t.Parallel()
	s, feed := walking(t, func(g *Config) { g.EventLoops = 1 })
	var peers []*peer
	for i := range uint64(60) {
		p := s.user(t, simulator.FirstAccount+i)
		p.subscribe(true)
		p.quotes()
		peers = append(peers, p)
	}
	s.onLoops(func(l *loop) { l.quoting.underWay = true }) // as if a sweep took long
	for i := range int64(3) {
		feed.Step(i)
		s.gw.Quote(feed.Snapshot())
	}
	for _, p := range peers[:20] {
		_ = p.conn.Close()
	}
	eventually(t, "some have left", func() bool { return s.gw.Connections() == 40 })
	s.onLoops(func(l *loop) {
		l.quoting.underWay = false
		l.quoted = s.gw.newQuotes(feed.Snapshot(), feed.Snapshot())
		l.goOnQuoting()
	})
	for _, p := range peers[20:] {
		wantQuotes(t, p.quotes(), all(s.gw.cfg.Universe, feed.Snapshot()))
		p.alive()
	}
}

// TestPingsGiveWay has more clients fall silent at once than a loop pings in one turn. All of them are pinged.
func TestPingsGiveWay(t *testing.T) {
	t.Parallel()
	const many = 2*duesAtOnce + 10
	s := start(t, func(g *Config, _ *engine.Config) { g.EventLoops, g.Heartbeat = 1, time.Hour })
	var peers []*peer
	for i := range many {
		peers = append(peers, s.user(t, simulator.FirstAccount+uint64(i)))
	}
	s.onLoops(func(l *loop) {
		l.wheel.each(func(s *Session) {
			s.lastWrite -= toMillis(time.Hour)
			s.lastRead = l.now
		})
		slot, at := int32((l.wheel.at/l.wheel.tick+1)%wheelSlots), l.wheel.at+l.wheel.tick
		l.wheel.each(func(s *Session) {
			if s.slot != slot {
				l.wheel.put(s, at)
			}
		})
		l.now = max(l.now, at)
		l.turnWheel()
		if !l.overdue {
			t.Errorf("%d deadlines were all acted on at once", many)
		}
	})
	for _, p := range peers {
		p.expect(codec.TypePing)
	}
}
