package gateway

import (
	"fmt"
	"net"
	"testing"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine"
)

const (
	full = papertapev1.GoodbyeReason_GOODBYE_REASON_FULL
	busy = papertapev1.RejectCode_REJECT_CODE_BUSY
)

// refusedAtTheDoor checks that a connection over a limit gets WELCOME, GOODBYE FULL, the end.
func refusedAtTheDoor(t *testing.T, p *peer) {
	t.Helper()
	p.welcome()
	if g := p.goodbye(full); g.GetRetryAfterMs() == 0 {
		t.Errorf("GOODBYE FULL does not say when to come back")
	}
	p.eof()
}

func TestConnectionsMax(t *testing.T) {
	t.Parallel()
	s := start(t, func(g *Config, _ *engine.Config) { g.ConnectionsMax = 3 })
	in := []*peer{s.user(t, alice), s.user(t, bob), s.user(t, carol)}
	refused := s.peer(t)
	refusedAtTheDoor(t, refused)
	if n := s.gw.Stats().RefusedFull.Load(); n != 1 {
		t.Errorf("%d refused connections counted, want 1", n)
	}
	in[0].trade(2)
	_ = in[1].conn.Close() // while the refused one has not closed yet
	eventually(t, "there is room again", func() bool { return s.gw.Connections() == 2 })
	late := s.user(t, bob)
	late.trade(2)
	refusedAtTheDoor(t, s.peer(t))
}

// TestCrowdAtTheDoor has more refused connections than may wait for their clients to close.
func TestCrowdAtTheDoor(t *testing.T) {
	t.Parallel()
	s := start(t, func(g *Config, _ *engine.Config) { g.ConnectionsMax = 1 })
	in := s.user(t, alice)
	const crowd = refusedMax + 50
	peers := make([]*peer, crowd)
	for i := range peers {
		peers[i] = s.peer(t)
	}
	eventually(t, "all were refused", func() bool { return s.gw.Stats().RefusedFull.Load() == crowd })
	eventually(t, "at most refusedMax of them are open", func() bool { return s.gw.refused.Load() <= refusedMax }) // counted until closed
	for _, p := range peers {
		p.cut()
	}
	in.trade(2)
}

func TestPreloginMax(t *testing.T) {
	t.Parallel()
	s := start(t, func(g *Config, _ *engine.Config) { g.ConnectionsPreloginMax = 2 })
	first, second := s.peer(t), s.peer(t)
	first.welcome()
	second.welcome()
	refusedAtTheDoor(t, s.peer(t))
	first.login(alice, quick, 0)
	third := s.peer(t)
	third.welcome()
	refusedAtTheDoor(t, s.peer(t))
	_ = second.conn.Close()
	eventually(t, "one is waited for", func() bool { return s.gw.prelogin.Load() == 1 })
	s.user(t, bob)
	if n := s.gw.Stats().RefusedFull.Load(); n != 2 {
		t.Errorf("%d refused connections counted, want 2", n)
	}
}

func TestConnectionsPerIP(t *testing.T) {
	t.Parallel()
	s := start(t, func(g *Config, _ *engine.Config) { g.ConnectionsPerIPMax = 2 })
	from := func(last byte) *peer {
		t.Helper()
		return s.peerWith(t, &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, last)}})
	}
	for i := range byte(3) {
		from(10 + i).welcome()
		second := from(10 + i)
		second.welcome()
		refusedAtTheDoor(t, from(10+i))
		_ = second.conn.Close()
		eventually(t, "one of the address is left", func() bool { return s.gw.Connections() == 2*int(i)+1 })
		from(10 + i).welcome()
		refusedAtTheDoor(t, from(10+i))
	}
	if n := s.gw.Stats().RefusedFull.Load(); n != 6 {
		t.Errorf("%d refused connections counted, want 6", n)
	}
}

// TestConnectionsPerSecond: a crowd is let in at the rate that is allowed, and whoever is not is told to come back.
func TestConnectionsPerSecond(t *testing.T) {
	t.Parallel()
	s := start(t, func(g *Config, _ *engine.Config) { g.ConnectionsPerSecondMax = 1 })
	began := time.Now()
	for {
		p := s.peer(t)
		p.welcome()
		if s.gw.Stats().RefusedFull.Load() == 1 { // counted before the WELCOME is written
			p.goodbye(full)
			p.eof()
			return
		}
		if time.Since(began) > patience {
			t.Fatal("nobody was refused")
		}
	}
}

func TestPace(t *testing.T) {
	var p pace
	admitted := func(now time.Duration, perSecond, tries int) (n int) {
		for range tries {
			if p.admit(now, perSecond) {
				n++
			}
		}
		return n
	}
	for i, want := range []struct {
		now                 time.Duration
		perSecond, tries, n int
	}{
		{0, 0, 5, 5},
		{0, 10, 20, 10},                       // a second's worth
		{99 * time.Millisecond, 10, 5, 0},     // not yet
		{100 * time.Millisecond, 10, 5, 1},    // one more
		{500 * time.Millisecond, 10, 9, 4},    // those of 400 ms
		{500 * time.Millisecond, 100, 9, 0},   // another rate does not forget
		{time.Hour, 10, 20, 10},               // quiet since: no more than a second's worth
		{time.Hour + time.Second, 0, 30, 30},  // no limit counts nothing
		{time.Hour + time.Second, 10, 30, 10}, // a second later
	} {
		if n := admitted(want.now, want.perSecond, want.tries); n != want.n {
			t.Errorf("%d: at %s, %d a second: %d of %d were admitted, want %d", i, want.now, want.perSecond, n, want.tries, want.n)
		}
	}
}

func TestSessionsPerAccount(t *testing.T) {
	t.Parallel()
	s := start(t, func(_ *Config, e *engine.Config) { e.SessionsPerAccountMax = 2 })
	first := s.user(t, alice)
	s.user(t, alice)
	p := s.peer(t)
	p.welcome()
	p.write(p.loginFrame(alice, quick, 0))
	p.rejected(p.id, busy)
	p.goodbye(full)
	p.eof()
	s.user(t, bob)
	_ = first.conn.Close()
	eventually(t, "the session has ended", func() bool { return s.gw.Connections() < 4 && s.gw.open.Load() == 2 })
	eventually(t, "the account has room again", func() bool {
		p := s.peer(t)
		p.welcome()
		p.write(p.loginFrame(alice, quick, 0))
		return p.frame().Type == codec.TypeLoginReply // the engine hears of the end a little later than the gateway
	})
}

// answers sorts what comes for n requests.
func answers(p *peer, n int) (executed, busies int) {
	p.t.Helper()
	for range n {
		switch f := p.frame(); f.Type {
		case codec.TypeExecution:
			executed++
		case codec.TypeReject:
			if r := decoded(p.t, f, new(papertapev1.Reject)); r.GetCode() != busy || r.GetRetryAfterMs() == 0 {
				p.t.Fatalf("REJECT %s, want BUSY, and when to try again", says(f))
			}
			busies++
		default:
			p.t.Fatalf("%v %s, want EXECUTION or REJECT", f.Type, says(f))
		}
	}
	return executed, busies
}

func TestRequestsInFlightMax(t *testing.T) {
	t.Parallel()
	journal := newGatedJournal()
	s := start(t, func(_ *Config, e *engine.Config) { e.Journal = journal })
	p, other := s.user(t, alice), s.user(t, alice+1) // of the other shard, which does not wait for the first
	open := journal.shut(t)
	p.write(p.appendOrders(nil, 300))
	if executed, busies := answers(p, 44); executed != 0 || busies != 44 {
		t.Errorf("%d executed, %d BUSY; want 0 and 44 of 300 before the commit", executed, busies)
	}
	if n := s.sessionOf(t, p).engine.InFlight(); n != 256 {
		t.Errorf("%d requests in flight, want 256", n)
	}
	p.write(p.request(nil, codec.TypeHistory)) // counts as well
	p.rejected(p.id, busy)
	p.alive() // a PING does not
	open()
	if executed, busies := answers(p, 256); executed != 256 || busies != 0 {
		t.Errorf("%d executed, %d BUSY; want all 256", executed, busies)
	}
	if n := s.gw.Stats().Busy.Load(); n != 45 {
		t.Errorf("%d BUSY counted, want 45", n)
	}
	p.trade(2)
	other.trade(2)
	if n := s.sessionOf(t, p).engine.InFlight(); n != 0 {
		t.Errorf("%d requests in flight at the end, want 0", n)
	}
}

func TestInboxOrdersMax(t *testing.T) {
	t.Parallel()
	journal := newGatedJournal()
	s := start(t, func(_ *Config, e *engine.Config) { e.InboxOrdersMax, e.Shards, e.Journal = 8, 1, journal })
	p, other := s.user(t, alice), s.user(t, bob)
	open := journal.shut(t)
	p.write(p.appendOrder(nil))
	eventually(t, "the first order is being committed", journal.committing)
	p.write(p.appendOrders(nil, 20))
	if executed, busies := answers(p, 12); executed != 0 || busies != 12 {
		t.Errorf("%d executed, %d BUSY; want 0 and 12 of 20 before the commit", executed, busies)
	}
	other.write(other.appendOrders(nil, 5))
	if executed, busies := answers(other, 5); executed != 0 || busies != 5 {
		t.Errorf("%d executed, %d BUSY of another client; want 0 and 5: the inbox is full", executed, busies)
	}
	late := s.peer(t) // logins have a lane of their own
	late.welcome()
	late.write(late.loginFrame(carol, quick, 0))
	open()
	if executed, busies := answers(p, 9); executed != 9 || busies != 0 {
		t.Errorf("%d executed, %d BUSY; want 9 and 0", executed, busies)
	}
	late.expect(codec.TypeLoginReply)
	if n := s.gw.Stats().Busy.Load(); n != 17 {
		t.Errorf("%d BUSY counted, want 17", n)
	}
	p.orders++ // the ninth bought, the refused ones do not count
	p.trade(2)
	for _, p := range []*peer{p, other} {
		if n := s.sessionOf(t, p).engine.InFlight(); n != 0 {
			t.Errorf("%d requests in flight at the end, want 0", n)
		}
	}
}

// smallOutboxes makes the server's side of a connection take little.
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
	trader.trade(100) // is served all the while
	eventually(t, "the stalled one is gone", func() bool { return s.gw.Connections() == 1 })
	stalled.cut()
	if stalled.seq == 1 || stalled.seq >= trader.seq {
		t.Errorf("the stalled one saw seq %d, the other %d", stalled.seq, trader.seq)
	}
	if n := s.gw.Stats().CutOutbox.Load(); n != 1 {
		t.Errorf("%d sessions cut, want 1", n)
	}
}

// TestOutboxHoldsOneLargeFrame has a cap below the size of a single answer.
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

// TestOutboxOfOwnAnswers has a client that asks and asks and never reads.
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

// stall has trader push to a client that does not read until at least some bytes wait for it that its socket does not take.
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

// settled waits until the kernel has taken nothing more for a while, so that what stalls later stalls later for good.
func (s *server) settled(t *testing.T, p *peer) {
	t.Helper()
	eventually(t, "the kernel has taken what it will", func() bool {
		since, _ := s.stalledSince(t, p)
		return since != 0 && s.gw.millis() > since+400
	})
}

func TestStallTimeout(t *testing.T) {
	t.Parallel()
	s := start(t, func(g *Config, _ *engine.Config) {
		g.SocketSendBufferBytes, g.OutboxBytesMax, g.StallTimeout = 8<<10, 8<<20, 300*time.Millisecond
	})
	stalled, trader := s.lazy(t, alice), s.user(t, alice)
	s.stall(t, stalled, trader, 32<<10) // more than the kernel may take later
	eventually(t, "the stalled one is cut", func() bool { return s.gw.Stats().CutStalled.Load() == 1 })
	eventually(t, "and gone", func() bool { return s.gw.Connections() == 1 })
	stalled.cut()
	trader.trade(2)
	if n := s.gw.Stats().CutStalled.Load(); n != 1 {
		t.Errorf("%d sessions cut, want 1", n)
	}
}

// TestSlowReaderIsNotStalled has a client that takes longer than the stall timeout for what waits, but takes some.
func TestSlowReaderIsNotStalled(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	const timeout = 1500 * time.Millisecond
	s := start(t, func(g *Config, _ *engine.Config) {
		g.SocketSendBufferBytes, g.OutboxBytesMax, g.StallTimeout = 8<<10, 8<<20, timeout
	})
	slow, trader := s.lazy(t, alice), s.user(t, alice)
	s.stall(t, slow, trader, 100<<10)
	began := time.Now()
	for slow.seq < trader.seq {
		slow.until(min(slow.seq+25, trader.seq)) // some 4 kB
		time.Sleep(80 * time.Millisecond)        // being slow is what this client is for
	}
	if took := time.Since(began); took < timeout {
		t.Fatalf("everything was taken within %v, so nothing was tried", took)
	}
	slow.alive()
}

// TestOutboxTotalBytesMax has three clients that do not read; the one that has waited longest goes first.
func TestOutboxTotalBytesMax(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	const total = 300 << 10
	s := start(t, func(g *Config, _ *engine.Config) {
		g.EventLoops, g.SocketSendBufferBytes, g.OutboxBytesMax, g.OutboxTotalBytesMax = 1, 8<<10, 8<<20, total
	})
	accounts := []uint64{alice, bob, carol}
	var stalled, traders []*peer
	for i, account := range accounts {
		stalled, traders = append(stalled, s.lazy(t, account)), append(traders, s.user(t, account))
		s.stall(t, stalled[i], traders[i], []int{120 << 10, 60 << 10, 32 << 10}[i])
		s.settled(t, stalled[i])
	}
	for s.gw.Stats().CutTotal.Load() == 0 {
		traders[2].trade(20)
		s.tick(t)
		if n := s.gw.outboxBytes.Load(); n > total+32<<10 {
			t.Fatalf("%d bytes wait in all outboxes, of %d at most", n, total)
		}
	}
	eventually(t, "one is gone", func() bool { return s.gw.Connections() == 5 })
	stalled[0].cut()
	for i, p := range stalled[1:] {
		p.until(traders[i+1].seq)
		p.alive()
	}
	for _, p := range traders {
		p.trade(2)
	}
	if n := s.gw.Stats().CutTotal.Load(); n != 1 {
		t.Errorf("%d sessions cut, want 1", n)
	}
}

// TestOutboxTotalOverLoops is the same with the stalled clients on different loops: the longest-stalled of the server goes,
// whichever loop it is on, and not also the longest-stalled of each loop.
func TestOutboxTotalOverLoops(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	for _, first := range []int{0, 1} {
		t.Run(fmt.Sprintf("the longest on loop %d", first), func(t *testing.T) { outboxTotalOverLoops(t, first) })
	}
}

func outboxTotalOverLoops(t *testing.T, first int) {
	t.Parallel()
	const total = 300 << 10
	s := start(t, func(g *Config, _ *engine.Config) {
		g.EventLoops, g.SocketSendBufferBytes, g.OutboxBytesMax, g.OutboxTotalBytesMax = 2, 8<<10, 8<<20, total
	})
	var stalled, traders []*peer
	for i, account := range []uint64{alice, bob} {
		p := s.lazy(t, account)
		for s.sessionOf(t, p).loop.index != (first+i)%2 { // the kernel chooses the loop
			_ = p.conn.Close()
			p = s.lazy(t, account)
		}
		trader := s.user(t, account)
		stalled, traders = append(stalled, p), append(traders, trader)
		s.stall(t, p, trader, 120<<10)
		s.settled(t, p)
	}
	for s.gw.Stats().CutTotal.Load() == 0 {
		traders[1].trade(20)
		s.tick(t)
		if traders[1].seq > 4000 {
			t.Fatal("nobody is cut")
		}
	}
	s.tick(t) // of the other loop as well
	stalled[0].cut()
	stalled[1].until(traders[1].seq)
	stalled[1].alive()
	if n := s.gw.Stats().CutTotal.Load(); n != 1 {
		t.Errorf("%d sessions cut, want 1", n)
	}
}

// TestOutboxTotalMetByAnEndingSession has a client that was told GOODBYE, has not read it, and is the longest-stalled when
// all outboxes together pass their bound. Cutting it must not go on for ever.
func TestOutboxTotalMetByAnEndingSession(t *testing.T) {
	t.Parallel()
	const total = 200 << 10
	s := start(t, func(g *Config, _ *engine.Config) {
		g.EventLoops, g.SocketSendBufferBytes, g.OutboxBytesMax, g.OutboxTotalBytesMax = 1, 8<<10, 8<<20, total
	})
	ending, trader := s.lazy(t, alice), s.user(t, alice)
	second, other := s.lazy(t, bob), s.user(t, bob)
	s.stall(t, ending, trader, 120<<10)
	s.settled(t, ending)
	s.stall(t, second, other, 32<<10)
	ending.write([]byte{0, 0, 0, 0}) // no frame: REJECT, GOODBYE PROTOCOL
	eventually(t, "it is ending", func() bool { return s.gw.Stats().ProtocolErrors.Load() == 1 })
	for s.gw.outboxBytes.Load() <= total {
		other.trade(20)
	}
	eventually(t, "somebody is cut", func() bool { return s.gw.Stats().CutTotal.Load() > 0 || s.gw.Connections() < 4 })
	other.trade(2)
	trader.trade(2)
	second.until(other.seq)
	second.alive()
	if n := s.gw.Stats().CutTotal.Load(); n > 1 {
		t.Errorf("%d sessions cut, want one at most", n)
	}
}

// TestWaitingCountsBoth has bytes in the outbox, and others that the socket has not taken.
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

// TestSetLimits changes each limit of connections while some are open. Connections made while an address was not limited
// count against its limit.
func TestSetLimits(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	first, second := s.user(t, alice), s.user(t, bob)
	roomy := Limits{ConnectionsMax: 1000, ConnectionsPreloginMax: 1000}
	limits := roomy
	for what, change := range map[string]func(){
		"in all":       func() { limits.ConnectionsMax = 2 },
		"before login": func() { limits.ConnectionsPreloginMax = 1 },
		"per IP":       func() { limits.ConnectionsPerIPMax = 2 },
	} {
		limits = roomy
		var waiting *peer
		if what == "before login" {
			waiting = s.peer(t)
			waiting.welcome()
		}
		change()
		s.gw.SetLimits(limits)
		refusedAtTheDoor(t, s.peer(t))
		first.trade(2)
		second.trade(2)
		s.gw.SetLimits(roomy)
		third := s.peer(t)
		third.welcome()
		for _, p := range []*peer{waiting, third} {
			if p != nil {
				_ = p.conn.Close()
			}
		}
		eventually(t, what+": the others are gone", func() bool { return s.gw.Connections() == 2 })
	}
}
