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

// TestSweepGivesWay: a loop that does something for many sessions does other work in between, visits each session
// once, also when some leave the list on the way, and ends.
func TestSweepGivesWay(t *testing.T) {
	t.Parallel()
	const sessions = 20
	s := start(t, func(g *Config, _ *engine.Config) { g.EventLoops = 1 })
	s.user(t, alice)
	l := (*s.gw.loops.Load())[0]
	var (
		w       sweep
		list    []*Session
		visited = make(map[uint64]int)
		spells  int
		ended   = make(chan struct{})
		on      gnet.Runnable
	)
	for i := range sessions {
		list = append(list, &Session{uid: uint64(i), loop: l})
	}
	visit := func(s *Session) {
		visited[s.uid]++
		if s.uid == 10 { // two leave: one that was visited, and the one that is
			list[18], list[10] = list[19], list[18]
			list = list[:18]
		}
		for began := time.Now(); time.Since(began) < spell; { // each takes a spell
		}
	}
	on = gnet.RunnableFunc(func(context.Context) error {
		spells++
		l.sweepOn(&w, func() []*Session { return list }, visit, on)
		if !w.underWay {
			close(ended)
		}
		return nil
	})
	w.begin(len(list))
	if err := l.el.Execute(t.Context(), on); err != nil {
		t.Fatal(err)
	}
	<-ended
	for i := range uint64(sessions) {
		if visited[i] != 1 {
			t.Errorf("session %d was visited %d times, want once", i, visited[i])
		}
	}
	if spells != sessions {
		t.Errorf("%d visits of a spell each were done in %d tasks of the loop, want one for each", sessions, spells)
	}
}

// TestSweepEndsWithAPanic: a visit that panics costs its session, and the others are visited.
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

// TestManySubscribersOfQuotes has the prices move while a loop is still busy with those before, and subscribers leave
// meanwhile. Those that stay have the newest in the end.
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
	s.onLoops(func(l *loop) { l.quoting.underWay = true }) // as if a round took long
	for i := range int64(3) {
		feed.Step(i)
		s.gw.Quote(feed.Snapshot())
	}
	for _, p := range peers[:20] {
		_ = p.conn.Close()
	}
	eventually(t, "some have left", func() bool { return s.gw.Connections() == 40 })
	s.onLoops(func(l *loop) { l.quoting.underWay = false; l.quoted = &quotes{}; l.goOnQuoting() })
	for _, p := range peers[20:] {
		wantQuotes(t, p.quotes(), all(s.gw.cfg.Universe, feed.Snapshot()))
		p.alive()
	}
}

// TestPingsGiveWay has more clients fall silent at once than a loop pings in one go. All are pinged.
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
