package main

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/cmd/papertape/config"
)

// patience bounds a wait for something that should happen at once.
const patience = 2 * time.Minute

// inProcessServer is a server that runs in the test's own process.
type inProcessServer struct {
	*server
	t     *testing.T
	ready chan addresses
	stop  context.CancelFunc
	ended chan error
}

// startInProcess starts a server with a few accounts on dir. change may be nil.
func startInProcess(t *testing.T, dir string, change func(*server)) *inProcessServer {
	t.Helper()
	cfg := config.Default()
	cfg.Listen, cfg.Admin, cfg.Accounts, cfg.Simulator.Rate, cfg.Data = "127.0.0.1:0", "127.0.0.1:0", 3, 0, dir
	cfg.CheckpointInterval, cfg.LoginTimeout = time.Hour, time.Minute // which a busy machine may need
	s, err := newServer(cfg, nil, zerolog.New(zerolog.NewTestWriter(t)))
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(s)
	}
	return run(t, s)
}

// run runs a server until the test, or end, stops it.
func run(t *testing.T, s *server) *inProcessServer {
	t.Helper()
	l := &inProcessServer{server: s, t: t, ready: make(chan addresses, 1), ended: make(chan error, 1)}
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	go func() { l.ended <- s.run(ctx, func(a addresses) { l.ready <- a }) }() // end waits for it
	t.Cleanup(stop)
	return l
}

// at returns the server's addresses once it is ready.
func (l *inProcessServer) at() addresses {
	l.t.Helper()
	select {
	case at := <-l.ready:
		return at
	case err := <-l.ended:
		l.t.Fatalf("the server did not start: %v", err)
	case <-time.After(patience):
		l.t.Fatal("the server did not start")
	}
	return addresses{}
}

// end stops the server and waits for it.
func (l *inProcessServer) end() error {
	l.t.Helper()
	l.stop()
	select {
	case err := <-l.ended:
		return err
	case <-time.After(patience):
		l.t.Fatal("the server did not stop")
	}
	return nil
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// freeAddress returns an address whose port was free a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close() //nolint:errcheck // it was never used
	return ln.Addr().String()
}

// buyAs buys with an order ID.
func buyAs(t *testing.T, addr, id string) *client.Event {
	t.Helper()
	c := dial(t, addr)
	defer c.Close() //nolint:errcheck // the order was answered
	ev, err := c.Order(t.Context(), client.Order{Side: client.Buy, Market: "SZ", Code: "000001", Quantity: 100,
		ClientOrderID: id})
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

func dial(t *testing.T, addr string) *client.Client {
	t.Helper()
	c, err := client.Dial(t.Context(), addr, client.Options{Account: 100001, DiscardEvents: true})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
