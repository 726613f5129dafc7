package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/cmd/papertape/config"
	"github.com/papertape/papertape/engine/journal"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

const (
	universeHead = "market,code,name,previous_close\n"
	universeRows = "SH,600519,Moutai,1480.00\nSH,600036,Bank,42.00\nSZ,000001,Ping An,10.00\n"
)

// startWith starts a server with this universe. err is why it did not start.
func startWith(t *testing.T, dir, universe string) (l *inProcessServer, err error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mine.csv")
	if err := os.WriteFile(path, []byte(universe), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.Listen, cfg.Admin, cfg.Accounts, cfg.Simulator.Rate, cfg.Data = "127.0.0.1:0", "127.0.0.1:0", 8, 0, dir
	cfg.Universe, cfg.Prices.Source = path, "fixed"
	s, err := newServer(cfg, nil, zerolog.New(zerolog.NewTestWriter(t)))
	if err != nil {
		return nil, err
	}
	l = run(t, s)
	select {
	case a := <-l.ready:
		l.ready <- a
		return l, nil
	case err := <-l.ended:
		return nil, err
	}
}

// TestUniverseChanges: between two starts all of a universe may change, but what an account holds.
func TestUniverseChanges(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	var serving *server
	must := func(universe string, do func(c *client.Client)) {
		t.Helper()
		l, err := startWith(t, dir, universeHead+universe)
		if err != nil {
			t.Fatal(err)
		}
		serving = l.server
		c := dial(t, l.at().listen)
		if do != nil {
			do(c)
		}
		_ = c.Close()
		if err := l.end(); err != nil {
			t.Fatal(err)
		}
	}
	const traded, unused = "SH,600001,Traded,5.00\n", "SH,600000,Unused,5.00\n"
	ctx := context.Background()
	must(universeRows, nil) // the accounts are opened, with rows
	must(universeRows+traded+unused, func(c *client.Client) {
		for _, do := range []func(context.Context, string, string, int64) (*client.Event, error){c.Buy, c.Sell} {
			if _, err := do(ctx, "SH", "600001", 100); err != nil {
				t.Fatal(err)
			}
		}
	})
	// Reordered, renamed, with one added, and without those that nobody holds.
	must("SZ,000001,Renamed,11.00\nBJ,899101,New,3.00\nSH,600036,Bank,42.00\nSH,600519,Moutai,1480.00\n",
		func(c *client.Client) {
			h, err := c.History(ctx, 0, 100)
			if err != nil || h.Events[0].Trade.Code != "600001" {
				t.Errorf("the history: %+v, %v", h, err)
			}
			if _, err := c.Buy(ctx, "SH", "600001", 100); err == nil || !strings.Contains(err.Error(), "600001") {
				t.Errorf("what is delisted was bought: %v", err)
			}
			_, _, err = serving.engine.Bust(ctx, &positions.BustRequest{Account: h.Events[0].Account,
				TradeSeq: h.Events[0].Seq, Reason: "wrong", Actor: "ops", ID: "b-1"})
			if err == nil || !strings.Contains(err.Error(), "SH.600001 again, which is not traded here any more") {
				t.Errorf("what is delisted is held again: %v", err)
			}
			list, err := c.Instruments(ctx)
			if err != nil || len(list) != 4 || list[3].Name != "Renamed" {
				t.Errorf("%+v, %v", list, err)
			}
		})
	for _, u := range []*market.Universe{market.Default(), market.US()} {
		o := journalOptions(zerolog.Nop())
		o.Universe = u
		if _, err := journal.Verify(ctx, dir, o); err != nil {
			t.Error(err)
		}
		if _, err := journal.Export(ctx, dir, filepath.Join(t.TempDir(), "out"), o); err != nil {
			t.Error(err)
		}
	}
	_, err := startWith(t, dir, universeHead+"BJ,899101,New,3.00\n")
	if err == nil || !strings.Contains(err.Error(), "is not among the instruments of ") ||
		!strings.Contains(err.Error(), "and account 10000") {
		t.Errorf("without what is held: %v", err)
	}
	_, err = startWith(t, dir, universeHead+"US,AAPL,Apple,200.00\n")
	if err == nil || !strings.Contains(err.Error(), "the ledger is in CNY") {
		t.Errorf("in another currency: %v", err)
	}
	must(universeRows, nil)
}

// TestUniverseOf: what is shipped is found by name, and everything else is a file.
func TestUniverseOf(t *testing.T) {
	for name, want := range map[string]string{"cn": "CNY", "us": "USD"} {
		if u, err := universeOf(name); err != nil || u.Currency() != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := universeOf("nowhere"); err == nil ||
		!strings.Contains(err.Error(), "write cn or us, or the name of a file") {
		t.Error(err)
	}
}
