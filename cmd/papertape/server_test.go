package main

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/cmd/papertape/config"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/proof/shadow"
)

// TestStopUnderLoad stops a server during orders and simulated fills. Every client must get
// GOODBYE, after exactly the events of its account up to the last. The books are read after the
// server has returned.
func TestStopUnderLoad(t *testing.T) {
	t.Parallel()
	const accounts = 8
	cfg := config.Default()
	cfg.Listen, cfg.Admin, cfg.Accounts, cfg.Simulator.Rate = "127.0.0.1:0", "127.0.0.1:0", accounts, 4000
	cfg.Data, cfg.LoginTimeout = filepath.Join(t.TempDir(), "data"), time.Minute
	s, err := newServer(cfg, nil, zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.WarnLevel))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ready, ended := make(chan addresses, 1), make(chan error, 1)
	go func() { ended <- s.run(ctx, func(a addresses) { ready <- a }) }()
	at := <-ready

	var watchers sync.WaitGroup
	shadows := make([]*shadow.Shadow, 2*accounts) // two sessions for each account
	enough := make(chan struct{}, len(shadows))
	for i := range shadows {
		c, err := client.Dial(ctx, at.listen, client.Options{Account: uint64(100001 + i%accounts)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		var findings []string
		if shadows[i], findings = shadow.FromHoldings(c.LoginReply().Holdings); len(findings) > 0 {
			t.Fatal(findings)
		}
		watchers.Go(func() { watch(t, c, shadows[i], enough) })
		go order(c) // ends with the connection, which the watcher waits for
	}
	for range shadows {
		<-enough
	}
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("run: %v", err)
		}
	case <-time.After(cfg.ShutdownTimeout + 10*time.Second):
		t.Fatal("the server did not stop within its shutdown_timeout")
	}
	watchers.Wait()

	books := make(map[uint64]*papertapev1.Holdings)
	s.engine.Books(func(h positions.Holdings) { books[h.Account] = onTheWire(t, &h) })
	for i, computed := range shadows {
		book := books[computed.Account()]
		if computed.Seq() != book.AsOfSeq {
			t.Errorf("session %d of account %d has events up to %d, the book up to %d", i, computed.Account(),
				computed.Seq(), book.AsOfSeq)
			continue
		}
		for _, finding := range computed.CheckHoldings(listShown(t, book)) {
			t.Errorf("session %d: %s", i, finding)
		}
	}
}

// listShown converts a list from the wire to the SDK's type.
func listShown(t *testing.T, m *papertapev1.Holdings) *client.Holdings {
	t.Helper()
	payload, err := m.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	h, err := client.DecodeHoldings(payload)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// watch applies events until the server sends GOODBYE. It reports when it has seen a good number of
// them.
func watch(t *testing.T, c *client.Client, computed *shadow.Shadow, enough chan<- struct{}) {
	for n := 1; ; n++ {
		ev, err := c.Next(context.Background())
		if err != nil {
			var bye *client.Goodbye
			if !errors.As(err, &bye) || bye.Reason != client.GoodbyeShutdown {
				t.Errorf("account %d ended with: %v", computed.Account(), err)
			}
			return
		}
		for _, finding := range computed.Apply(ev) {
			t.Error(finding)
		}
		if n == 200 {
			enough <- struct{}{}
		}
	}
}

// order buys and sells until the server accepts no more orders.
func order(c *client.Client) {
	for {
		for _, trade := range []func(context.Context, string, string, int64) (*client.Event, error){c.Buy, c.Sell} {
			var refused *client.Reject
			if _, err := trade(context.Background(), "SZ", "000001", 100); err != nil && !errors.As(err, &refused) {
				return
			}
		}
	}
}

// onTheWire converts h to what a client would receive.
func onTheWire(t *testing.T, h *positions.Holdings) *papertapev1.Holdings {
	t.Helper()
	f, _, err := codec.Cut(codec.AppendHoldings(nil, 1, h, market.Default()), codec.LimitToClient)
	if err != nil {
		t.Fatal(err)
	}
	var m papertapev1.Holdings
	if err := codec.Unmarshal(f.Payload, &m); err != nil {
		t.Fatal(err)
	}
	return &m
}

// TestAdminHosts checks that a running server answers to the host names it was given, and to no
// others.
func TestAdminHosts(t *testing.T) {
	l := startInProcess(t, filepath.Join(t.TempDir(), "data"),
		func(s *server) { s.cfg.AdminHosts = []string{"desk.example"} })
	address := l.at().admin
	for host, want := range map[string]int{"": 200, "desk.example": 200, "evil.example": 421} {
		req, err := http.NewRequest(http.MethodGet, "http://"+address+"/api/v1/accounts", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Host, req.Close = host, true
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("by the name %q: %s, want %d", host, resp.Status, want)
		}
	}
	if err := l.end(); err != nil {
		t.Error(err)
	}
}
