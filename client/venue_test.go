package client_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/engine/gateway"
	"github.com/papertape/papertape/engine/simulator"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// venue is a real server: an engine behind a gateway. Used through a link, its address stays
// the same when it is restarted.
type venue struct {
	heartbeat   time.Duration
	connections int
	outboxBytes int
	sendBytes   int // size of the kernel's send buffer of a connection

	universe *market.Universe
	prices   *market.Feed
	outlet   *outlet
	engine   *engine.Engine
	gateway  *gateway.Gateway
	addr     string
	stop     context.CancelFunc // of the gateway
	stopped  chan error         // what Serve returned
}

// outlet lets an engine outlive its gateway, so that a server can be restarted with its
// history, as durability allows. The gateway is replaced while the engine is idle.
type outlet struct {
	mu         sync.Mutex
	publishers []*publisher
}

type publisher struct{ engine.Publisher }

func (o *outlet) Publisher() engine.Publisher {
	o.mu.Lock()
	defer o.mu.Unlock()
	p := new(publisher)
	o.publishers = append(o.publishers, p)
	return p
}

func (o *outlet) change(g *gateway.Gateway) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range o.publishers {
		p.Publisher = g.Publisher()
	}
}

const venueAccounts = 100 // from 100001 on; the last one begins with cash only

// startVenue starts a server and stops it when the test ends.
func startVenue(t *testing.T, change func(*venue)) *venue {
	t.Helper()
	v := newVenue()
	if change != nil {
		change(v)
	}
	if err := v.begin(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := v.end(); err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	return v
}

func newVenue() *venue {
	universe := market.Default()
	return &venue{
		heartbeat: 15 * time.Second, connections: 1000, outboxBytes: 256 << 10, sendBytes: 64 << 10,
		universe: universe, prices: market.Fixed(universe),
	}
}

// begin starts a new history, with its own epoch, and serves it.
func (v *venue) begin() (err error) {
	v.outlet = new(outlet)
	v.engine, err = engine.New(engine.Config{
		Shards: 2, Workers: 4, InboxOrdersMax: 8192, HistoryReadsMax: 64, HistoryMemoryBytesMax: 1 << 30,
		SessionsPerAccountMax: 64, Universe: v.universe, Prices: v.prices.Snapshot,
		Clock:   func() int64 { return time.Now().UnixNano() },
		Journal: engine.NewMemoryJournal(), Outlet: v.outlet, Log: zerolog.Nop(),
		Fatal: func(err error) { fmt.Fprintln(os.Stderr, err); os.Exit(1) },
	})
	if err != nil {
		return err
	}
	if err := v.serve(); err != nil {
		v.engine.Stop()
		return err
	}
	return nil
}

// serve opens a gateway for the engine.
func (v *venue) serve() error {
	v.gateway = gateway.New(gateway.Config{
		Listen: "127.0.0.1:0", EventLoops: 2, Server: "venue",
		Limits: gateway.Limits{ConnectionsMax: v.connections, ConnectionsPreloginMax: 1000}, RequestsInFlightMax: 256,
		OutboxBytesMax: v.outboxBytes, OutboxTotalBytesMax: 1 << 30, SocketSendBufferBytes: v.sendBytes,
		Heartbeat: v.heartbeat, LoginTimeout: 5 * time.Second, StallTimeout: 10 * time.Second,
		ShutdownTimeout: 5 * time.Second, Universe: v.universe, Bars: venueTape{}, Clock: venueClock,
		Calendar: venueCalendar,
		Prices:   v.prices.Snapshot, Log: zerolog.Nop(),
	})
	v.outlet.change(v.gateway)
	accounts := simulator.Accounts{Count: venueAccounts, Seed: 1, Universe: v.universe}
	if err := accounts.Open(context.Background(), v.engine); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	listening := make(chan string, 1)
	v.stop, v.stopped = stop, make(chan error, 1)
	go func() { v.stopped <- v.gateway.Serve(ctx, v.engine, func(addr string) { listening <- addr }) }()
	select {
	case v.addr = <-listening:
		return nil
	case err := <-v.stopped:
		stop()
		return err
	}
}

// close says goodbye to all clients and closes the gateway. The history stays.
func (v *venue) close() error {
	v.stop()
	if err := <-v.stopped; err != nil {
		return err
	}
	return v.engine.Drain(context.Background()) // of the logouts
}

func (v *venue) end() error {
	err := v.close()
	v.engine.Stop()
	return err
}

// trade makes exactly one event that no client ordered: it buys a few shares of an instrument,
// or sells all of them.
func (v *venue) trade(account uint64) {
	i := market.ID(rand.IntN(5))
	request := engine.Request{Kind: engine.KindDecide, Account: account, Decider: anyTrade{i}}
	for v.engine.Submit(account, []engine.Request{request}) == 0 {
		time.Sleep(time.Millisecond)
	}
}

type anyTrade struct{ instrument market.ID }

func (a anyTrade) Decide(
	view positions.View, prices *market.Prices, _ int64, _ uint64, orders []positions.Order,
) []positions.Order {
	o := positions.Order{Instrument: a.instrument, Side: positions.Buy, Quantity: rand.Int64N(5) + 1,
		Origin: positions.OriginSimulator}
	row, held := view.Find(a.instrument)
	if held && (rand.IntN(3) == 0 || view.Cash().Balance < 10*prices.At(a.instrument)) {
		o.Side, o.Quantity = positions.Sell, row.Quantity
	}
	return append(orders, o)
}

func (anyTrade) Done(uint64, []positions.Event, positions.Refusal) {}

// serverAccount returns the server's account after everything submitted has been processed.
func (v *venue) serverAccount(t *testing.T, account uint64) positions.Holdings {
	t.Helper()
	if err := v.engine.Drain(patience(t)); err != nil {
		t.Fatal(err)
	}
	h, err := v.engine.Holdings(patience(t), account)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// catchUp takes updates until the account has reached the server's sequence, and compares the
// two.
func (v *venue) catchUp(t *testing.T, a *client.Account, number uint64) {
	t.Helper()
	want := v.serverAccount(t, number)
	for a.State().Seq < want.Seq || a.State().Epoch != v.engine.Epoch() {
		if _, err := a.Next(patience(t)); err != nil {
			t.Fatalf("at seq %d of %d: %v", a.State().Seq, want.Seq, err)
		}
	}
	v.compare(t, a, number)
}

func (v *venue) compare(t *testing.T, a *client.Account, number uint64) {
	t.Helper()
	s, want := a.State(), v.serverAccount(t, number)
	if hash := positions.StateHash(v.universe, number, want.Seq, want.Cash, want.Positions); s.Seq != want.Seq ||
		s.Hash() != hash {
		t.Errorf("account %d: seq %d and hash %016x here, seq %d and hash %016x there", number, s.Seq, s.Hash(),
			want.Seq, hash)
	}
}
