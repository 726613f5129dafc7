package gateway

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/market"
)

const (
	shutdown = papertapev1.GoodbyeReason_GOODBYE_REASON_SHUTDOWN
	draining = papertapev1.RejectCode_REJECT_CODE_DRAINING
)

// tallied counts what a client sent, and how it was answered.
type tallied struct{ sent, executed, draining int }

// orderOn sends orders while there is room, until ended is closed or the server has closed. It returns how many.
func (p *peer) orderOn(room chan<- struct{}, ended <-chan struct{}) (sent int) {
	var b []byte
	for {
		select {
		case room <- struct{}{}:
		case <-ended:
			return sent
		}
		b = p.appendOrder(b[:0])
		if _, err := p.conn.Write(b); err != nil {
			return sent
		}
		sent++
	}
}

// trader keeps up to sixteen orders in flight until GOODBYE SHUTDOWN and the end of the connection.
func (p *peer) trader(began *atomic.Int64) (n tallied) {
	var writing sync.WaitGroup
	room := make(chan struct{}, 16)
	ended := make(chan struct{})
	writing.Go(func() { n.sent = p.orderOn(room, ended) })
	for done := false; !done; {
		switch f := p.frame(); f.Type {
		case codec.TypeExecution:
			if n.executed++; n.executed == 100 {
				began.Add(1)
			}
			<-room
		case codec.TypeReject:
			if r := decoded(p.t, f, new(papertapev1.Reject)); r.GetCode() != draining {
				p.t.Errorf("REJECT %s, want DRAINING", says(f))
			}
			n.draining++
			<-room
		case codec.TypeEvent:
		case codec.TypeGoodbye:
			if g := decoded(p.t, f, new(papertapev1.Goodbye)); g.GetReason() != shutdown || g.GetRetryAfterMs() == 0 {
				p.t.Errorf("GOODBYE %s, retry after %d ms; want SHUTDOWN and when to come back",
					says(f), g.GetRetryAfterMs())
			}
			done = true
		default:
			p.t.Errorf("%v %s", f.Type, says(f))
		}
	}
	if _, err := p.next(); !errors.Is(err, io.EOF) {
		p.t.Errorf("after GOODBYE: %v, want the end", err)
	}
	close(ended)
	writing.Wait()
	return n
}

// TestShutdownUnderLoad stops a server whose clients order as fast as they can. All of them get GOODBYE. No client has
// an event that the books do not have, and none that reads misses an event that they have.
func TestShutdownUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	for range 3 {
		// Nobody is cut for being slow: on a busy machine that could be a watcher.
		s := start(t, func(g *Config, _ *engine.Config) { g.OutboxBytesMax, g.ShutdownTimeout = 1<<30, 20*time.Second })
		accounts := []uint64{alice, alice + 1, bob, bob + 1, carol, carol - 1}
		peers := make([]*peer, len(accounts))
		tallies := make([]tallied, len(accounts))
		watchers := make([]*peer, len(accounts)) // a second session of each account, which only reads
		var began atomic.Int64
		var clients sync.WaitGroup
		for i, account := range accounts {
			peers[i], watchers[i] = s.user(t, account), s.user(t, account)
			clients.Go(func() { tallies[i] = peers[i].trader(&began) })
			clients.Go(func() {
				f := watchers[i].frame()
				for ; f.Type == codec.TypeEvent; f = watchers[i].frame() {
				}
				if f.Type != codec.TypeGoodbye {
					t.Errorf("a watcher got %v %s, want GOODBYE", f.Type, says(f))
				}
			})
		}
		eventually(t, "all clients are being answered", func() bool { return began.Load() == int64(len(peers)) })
		s.cancel()
		clients.Wait()
		if err := s.stop(); err != nil {
			t.Fatalf("Serve: %v", err)
		}
		books := s.books()
		for i, account := range accounts {
			if got := peers[i].seq; got > books[account] {
				t.Errorf("account %d: a client has seq %d, and the book is at %d", account, got, books[account])
			} else if got != books[account] {
				t.Errorf("account %d: the book is at seq %d, a client that read everything at %d",
					account, books[account], got)
			}
			if got := watchers[i].seq; got != books[account] {
				t.Errorf("account %d: the book is at seq %d, a watcher that read everything at %d",
					account, books[account], got)
			}
		}
		t.Logf("%+v", tallies)
	}
}

// TestShutdownWithQueries stops a server whose clients ask for their holdings as fast as they can. They are answered
// while orders are finished, but must not keep the server from ending.
func TestShutdownWithQueries(t *testing.T) {
	t.Parallel()
	s := start(t, func(g *Config, _ *engine.Config) { g.ShutdownTimeout = patience })
	var clients sync.WaitGroup
	var began atomic.Int64
	for _, account := range []uint64{alice, alice + 1, bob, bob + 1, carol, carol - 1} {
		p := s.user(t, account)
		clients.Go(func() {
			var b []byte
			for range 64 {
				b = p.request(b, codec.TypeHoldings)
			}
			p.write(b)
			for n := 0; ; n++ {
				f := p.frame()
				if f.Type == codec.TypeGoodbye {
					break
				}
				refused := f.Type == codec.TypeReject && decoded(t, f, new(papertapev1.Reject)).GetCode() == draining
				if f.Type != codec.TypeHoldingsReply && !refused {
					t.Errorf("%v %s, want HOLDINGS, or at the very end DRAINING", f.Type, says(f))
				}
				if n == 100 {
					began.Add(1)
				}
				if _, err := p.conn.Write(p.request(nil, codec.TypeHoldings)); err != nil {
					break
				}
			}
		})
	}
	eventually(t, "all clients are being answered", func() bool { return began.Load() == 6 })
	s.cancel()
	clients.Wait()
	if err := s.stop(); err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// TestShutdownRefusesQueriesAtLast has an order that takes long to commit. Queries are answered for a part of the
// shutdown timeout and then refused, so that clients that always ask something do not keep the server from ending.
func TestShutdownRefusesQueriesAtLast(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	journal := newGatedJournal()
	s := start(t, func(_ *Config, e *engine.Config) { e.Journal = journal })
	p, q := s.user(t, alice), s.user(t, alice+1) // of the other shard, which is idle
	open := journal.shut(t)
	p.write(p.appendOrder(nil))
	eventually(t, "the order is being committed", journal.committing)
	s.cancel()
	eventually(t, "the server is draining", s.gw.draining.Load)
	q.write(q.request(nil, codec.TypeHoldings))
	q.expect(codec.TypeHoldingsReply)
	eventually(t, "queries are refused", s.gw.closing.Load)
	for _, query := range []codec.Type{codec.TypeHoldings, codec.TypeHistory} {
		q.write(q.request(nil, query))
		q.rejected(q.id, draining)
	}
	q.alive()
	open()
	p.executions(1)
	for _, p := range []*peer{p, q} {
		p.goodbye(shutdown)
		p.eof()
		_ = p.conn.Close()
	}
	if err := s.stop(); err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// TestShutdownFinishesWhatItTook begins a shutdown while orders are being committed. They are answered, later ones are
// refused, and so are new connections.
func TestShutdownFinishesWhatItTook(t *testing.T) {
	t.Parallel()
	journal := newGatedJournal()
	s := start(t, func(_ *Config, e *engine.Config) { e.Journal = journal })
	p := s.user(t, alice)
	waiting := s.peer(t) // connected, not logged in
	waiting.welcome()
	open := journal.shut(t)
	p.write(p.appendOrders(nil, 10))
	eventually(t, "the orders are being committed", journal.committing)
	s.cancel()
	eventually(t, "the server is draining", s.gw.draining.Load)

	p.write(p.appendOrders(nil, 5))
	for range 5 {
		if r := decoded(t, p.expect(codec.TypeReject), new(papertapev1.Reject)); r.GetCode() != draining {
			t.Fatalf("REJECT %v, want DRAINING", r.GetCode())
		}
	}
	p.alive()
	waiting.write(waiting.loginFrame(bob, quick, 0))
	waiting.rejected(waiting.id, draining)
	late := s.peer(t)
	late.welcome()
	late.goodbye(shutdown)
	late.eof()

	open()
	p.executions(10)
	for _, p := range []*peer{p, waiting} {
		p.goodbye(shutdown)
		p.eof()
		_ = p.conn.Close()
	}
	_ = late.conn.Close()
	if err := s.stop(); err != nil {
		t.Errorf("Serve: %v", err)
	}
	if got := s.books()[alice]; got != p.seq {
		t.Errorf("the book is at seq %d, the client at %d", got, p.seq)
	}
}

// TestShutdownWhileALoopReads begins a shutdown when a loop has decoded an order and not submitted it yet. The order
// was taken, so it is answered before GOODBYE.
func TestShutdownWhileALoopReads(t *testing.T) {
	t.Parallel()
	journal := newGatedJournal()
	reading, goOn := make(chan struct{}), make(chan struct{})
	var held atomic.Bool
	s := start(t, func(g *Config, e *engine.Config) {
		e.Journal = journal
		prices := g.Prices
		g.Prices = func() *market.Prices {
			if held.CompareAndSwap(true, false) {
				close(reading)
				<-goOn
			}
			return prices()
		}
	})
	p := s.user(t, alice)
	open := journal.shut(t)
	held.Store(true)
	p.write(p.request(p.appendOrder(nil), codec.TypeInstruments))
	<-reading
	s.cancel()
	eventually(t, "the server is draining", s.gw.draining.Load)
	time.Sleep(20 * time.Millisecond) // a server that did not wait for its loops would be saying GOODBYE now
	close(goOn)
	eventually(t, "the order is being committed", journal.committing)
	p.expect(codec.TypeInstrumentsReply)
	open()
	p.executions(1)
	p.goodbye(shutdown)
	p.eof()
}

// TestShutdownWithAClientThatDoesNotRead: the shutdown ends at its timeout, and that is no error.
func TestShutdownWithAClientThatDoesNotRead(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	const timeout = time.Second
	s := start(t, func(g *Config, _ *engine.Config) {
		g.SocketSendBufferBytes, g.OutboxBytesMax, g.ShutdownTimeout = 8<<10, 8<<20, timeout
	})
	stalled, trader := s.lazy(t, alice), s.user(t, alice)
	s.stall(t, stalled, trader, 64<<10)
	ended := make(chan error, 1)
	go func() { ended <- s.stop() }()
	trader.goodbye(shutdown)
	trader.eof()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("Serve: %v", err)
		}
	case <-time.After(patience):
		t.Fatalf("the server has not ended after %v; its timeout is %v", patience, timeout)
	}
	stalled.cut()
	if got := s.books()[alice]; got != trader.seq || stalled.seq > got {
		t.Errorf("the book is at seq %d, the client that reads at %d, the other at %d", got, trader.seq, stalled.seq)
	}
}

// TestShutdownThatCannotFinish: Serve returns an error if a commit does not come back within the timeout.
func TestShutdownThatCannotFinish(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	journal := newGatedJournal()
	s := newServer(t, func(g *Config, e *engine.Config) {
		g.ShutdownTimeout, e.Journal = 200*time.Millisecond, journal
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() { ended <- s.gw.Serve(ctx, s.engine, func(addr string) { ready <- addr }) }()
	s.addr = <-ready
	p := s.user(t, alice)
	open := journal.shut(t)
	p.write(p.appendOrder(nil))
	eventually(t, "the order is being committed", journal.committing)
	cancel()
	p.goodbye(shutdown)
	p.eof()
	if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Serve: %v, want that the deadline was exceeded", err)
	}
	open()
	if err := s.engine.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	s.engine.Stop()
	s.closeAll()
}

// TestShutdownWithoutConnections: the server ends, and does not listen any more.
func TestShutdownWithoutConnections(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.cancel()
	if err := s.stop(); err != nil {
		t.Errorf("Serve: %v", err)
	}
	if c, err := net.DialTimeout("tcp", s.addr, patience); err == nil {
		_ = c.Close()
		t.Error("the port is still listened on")
	}
}
