package gateway

import (
	"math/rand/v2"
	"sync/atomic"
	"testing"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/market"
)

// subscribe switches quotes on or off. When they are switched on, all of them come next.
func (p *peer) subscribe(on bool) {
	p.t.Helper()
	p.id++
	p.write(codec.Append(nil, codec.TypeSubscribe, 0, p.id, &papertapev1.Subscribe{Quotes: on, Presence: true}))
	f := p.expect(codec.TypeSubscribed)
	if r := decoded(p.t, f, new(papertapev1.Subscribed)); f.ID != p.id || r.GetQuotes() != on {
		p.t.Fatalf("SUBSCRIBED id %d quotes %t, want id %d, %t", f.ID, r.GetQuotes(), p.id, on)
	}
}

// quotes takes a QUOTES frame: prices by market and code.
func (p *peer) quotes() map[string]int64 {
	p.t.Helper()
	f := p.expect(codec.TypeQuotes)
	if f.ID != 0 || f.Flags != 0 {
		p.t.Fatalf("QUOTES id %d flags %d, want 0 and 0", f.ID, f.Flags)
	}
	prices := make(map[string]int64)
	for _, q := range decoded(p.t, f, new(papertapev1.Quotes)).GetQuotes() {
		prices[q.GetMarket()+q.GetCode()] = q.GetPrice()
	}
	return prices
}

// walking starts a server with prices that the test moves.
func walking(t *testing.T, change func(*Config)) (s *server, feed *market.Feed) {
	s = start(t, func(g *Config, e *engine.Config) {
		feed = market.Walk(g.Universe, 7)
		g.Prices, e.Prices = feed.Snapshot, feed.Snapshot
		if change != nil {
			change(g)
		}
	})
	s.gw.Quote(feed.Snapshot()) // the first quotes everything
	return s, feed
}

// all returns the price of each instrument.
func all(u *market.Universe, prices *market.Prices) map[string]int64 {
	m := make(map[string]int64)
	for id := range market.ID(u.Len()) {
		m[u.At(id).Market+u.At(id).Code] = prices.At(id)
	}
	return m
}

func wantQuotes(t *testing.T, got, want map[string]int64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d quotes, want %d", len(got), len(want))
	}
	for code, price := range want {
		if got[code] != price {
			t.Fatalf("%s is quoted at %d, want %d", code, got[code], price)
		}
	}
}

func TestQuotes(t *testing.T) {
	t.Parallel()
	s, feed := walking(t, nil)
	u := s.gw.cfg.Universe
	p, other := s.user(t, alice), s.user(t, bob)
	p.subscribe(true)
	before := all(u, feed.Snapshot())
	wantQuotes(t, p.quotes(), before)
	for i := range int64(20) {
		now := all(u, feed.Step(i))
		moved := make(map[string]int64)
		for code, price := range now {
			if price != before[code] {
				moved[code] = price
			}
		}
		before = now
		s.gw.Quote(feed.Snapshot())
		if len(moved) > 0 {
			wantQuotes(t, p.quotes(), moved)
		}
	}
	s.gw.Quote(feed.Snapshot()) // nothing moved
	p.subscribe(true)           // once more: all of them again
	wantQuotes(t, p.quotes(), before)
	p.subscribe(false)
	p.subscribe(false)
	feed.Step(21)
	s.gw.Quote(feed.Snapshot())
	s.onLoops(func(l *loop) {
		if len(l.subscribers) != 0 || l.quotes.Load() != nil {
			t.Errorf("loop %d has %d subscribers", l.index, len(l.subscribers))
		}
	})
	p.alive()
	other.alive() // never had any
}

// TestQuotesAreConflated has prices move three times while the loop is busy. All of the newest come, once.
func TestQuotesAreConflated(t *testing.T) {
	t.Parallel()
	busy, goOn := make(chan struct{}), make(chan struct{})
	var held atomic.Bool
	s, feed := walking(t, func(g *Config) {
		g.EventLoops = 1
		prices := g.Prices
		g.Prices = func() *market.Prices {
			if held.CompareAndSwap(true, false) {
				close(busy)
				<-goOn
			}
			return prices()
		}
	})
	p := s.user(t, alice)
	p.subscribe(true)
	p.quotes()
	held.Store(true)
	p.write(p.request(nil, codec.TypeInstruments))
	<-busy
	for i := range int64(3) {
		feed.Step(i)
		s.gw.Quote(feed.Snapshot())
	}
	close(goOn)
	p.expect(codec.TypeInstrumentsReply)
	wantQuotes(t, p.quotes(), all(s.gw.cfg.Universe, feed.Snapshot()))
	p.alive() // and only once
}

// TestQuotesAreLeftOut has a subscriber that does not read. It is not cut for quotes, but misses some, and gets all of
// the newest when it has read.
func TestQuotesAreLeftOut(t *testing.T) {
	t.Parallel()
	s, feed := walking(t, func(g *Config) { g.SocketSendBufferBytes, g.OutboxBytesMax = 8<<10, 48<<10 })
	p, reader := s.lazy(t, alice), s.user(t, bob)
	p.subscribe(true)
	reader.subscribe(true)
	reader.quotes()
	for i := int64(0); s.gw.Stats().QuotesSkipped.Load() < 10; i++ {
		feed.Step(i)
		s.gw.Quote(feed.Snapshot())
		reader.quotes()
		if i > 2000 {
			t.Fatal("a subscriber that does not read misses nothing")
		}
	}
	p.write(p.request(nil, codec.TypePing))
	for f := p.frame(); f.Type != codec.TypePong; f = p.frame() {
		if f.Type != codec.TypeQuotes {
			t.Fatalf("%v %s, want QUOTES or PONG", f.Type, says(f))
		}
	}
	eventually(t, "the loop sees that nothing waits", func() bool {
		_, waiting := s.stalledSince(t, p)
		return waiting == 0
	})
	feed.Step(10_000)
	s.gw.Quote(feed.Snapshot())
	wantQuotes(t, p.quotes(), all(s.gw.cfg.Universe, feed.Snapshot()))
	if n := s.gw.Stats().CutOutbox.Load(); n != 0 {
		t.Errorf("%d sessions cut, want none", n)
	}
}

// TestQuotesAreLeftOutFirst has all outboxes together near their bound. Quotes are skipped for everybody, events are
// not.
func TestQuotesAreLeftOutFirst(t *testing.T) {
	t.Parallel()
	s, feed := walking(t, func(g *Config) {
		g.SocketSendBufferBytes, g.OutboxBytesMax, g.OutboxTotalBytesMax = 8<<10, 8<<20, 128<<10
	})
	stalled, trader, p := s.lazy(t, alice), s.user(t, alice), s.user(t, bob)
	p.subscribe(true)
	p.quotes()
	s.stall(t, stalled, trader, 80<<10)
	feed.Step(1)
	s.gw.Quote(feed.Snapshot())
	eventually(t, "the quotes are left out", func() bool { return s.gw.Stats().QuotesSkipped.Load() == 1 })
	p.trade(2)
	stalled.until(trader.seq)
	eventually(t, "nothing waits", func() bool { return s.gw.outboxBytes.Load() == 0 })
	feed.Step(2)
	s.gw.Quote(feed.Snapshot())
	wantQuotes(t, p.quotes(), all(s.gw.cfg.Universe, feed.Snapshot()))
	if n := s.gw.Stats().CutTotal.Load(); n != 0 {
		t.Errorf("%d sessions cut, want none", n)
	}
}

// TestSubscribersComeAndGo has subscribers vanish while they are being written to.
func TestSubscribersComeAndGo(t *testing.T) {
	t.Parallel()
	s, feed := walking(t, nil)
	keeper := s.user(t, alice)
	keeper.subscribe(true)
	keeper.quotes()
	for i := range int64(40) {
		p := s.user(t, bob)
		p.subscribe(true)
		if i%2 == 0 {
			_ = p.conn.SetLinger(0)
		}
		_ = p.conn.Close()
		feed.Step(i)
		s.gw.Quote(feed.Snapshot())
		keeper.quotes()
	}
	eventually(t, "one subscriber is left", func() bool {
		n := 0
		s.onLoops(func(l *loop) { n += len(l.subscribers) })
		return n == 1
	})
}

// TestSubscribersAgainstASet switches the quotes of eight sessions of one loop on and off at random: those get them for
// whom they are on, once each.
func TestSubscribersAgainstASet(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	s, feed := walking(t, func(g *Config) { g.EventLoops = 1 })
	var peers []*peer
	for range 8 {
		peers = append(peers, s.user(t, alice))
	}
	on := make(map[*peer]bool)
	for i := range int64(100) {
		p := peers[rng.IntN(len(peers))]
		on[p] = !on[p]
		p.subscribe(on[p])
		if on[p] {
			p.quotes()
		}
		feed.Step(i)
		s.gw.Quote(feed.Snapshot())
		s.onLoops(func(*loop) {}) // has sent them, also where nobody waits for them
		for _, p := range peers {
			if on[p] {
				p.quotes()
			}
		}
	}
	for _, p := range peers {
		p.alive() // and nothing else came
	}
}
