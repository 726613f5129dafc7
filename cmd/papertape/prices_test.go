package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/papertape/papertape/cmd/papertape/config"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/market/calendar"
	"github.com/papertape/papertape/market/tape"
)

// pricesConfig is a configuration of a server on dir whose checkpoints come only at its stop.
func pricesConfig(dir string) *config.Config {
	cfg := config.Default()
	cfg.Listen, cfg.Admin, cfg.Accounts, cfg.Simulator.Rate, cfg.Data = "127.0.0.1:0", "127.0.0.1:0", 2, 0, dir
	cfg.CheckpointInterval, cfg.Prices.Interval = time.Hour, time.Hour
	return cfg
}

// TestWalkOverRestarts: so many ticks with restarts between them are as many in one run. A start from a file
// that is damaged, and one with another seed, walk from the beginning.
func TestWalkOverRestarts(t *testing.T) {
	dir := t.TempDir()
	whole := market.Walk(market.Default(), 1)
	tick := time.Date(2100, 3, 2, 0, 0, 0, 0, time.UTC).UnixNano() // later than any Turn of the server
	for range 3 {
		s, err := newServer(pricesConfig(dir), nil, zerolog.New(zerolog.NewTestWriter(t)))
		if err != nil {
			t.Fatal(err)
		}
		l := run(t, s)
		l.at()
		for range 5 {
			tick++
			s.feed.Step(tick)
			whole.Step(tick)
		}
		if err := l.end(); err != nil {
			t.Fatal(err)
		}
		for n := range whole.Snapshot().Len() {
			if got, want := s.feed.Snapshot().Quote(market.ID(n)), whole.Snapshot().Quote(market.ID(n)); got != want {
				t.Fatalf("after %d ticks instrument %d is %+v, want %+v", tick, n, got, want)
			}
		}
	}
	path := filepath.Join(dir, walkFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*config.Config){
		"another seed":   func(cfg *config.Config) { cfg.Seed = 2 },
		"in memory":      func(cfg *config.Config) { cfg.Durability = config.DurabilityNone },
		"a file cut off": func(*config.Config) { _ = os.WriteFile(path, text[:len(text)/2], 0o600) },
	} {
		cfg := pricesConfig(dir)
		change(cfg)
		s, err := newServer(cfg, nil, zerolog.Nop())
		if err != nil {
			t.Fatal(err)
		}
		if steps := s.feed.Walked().Steps(); steps != 0 {
			t.Errorf("%s: the walk stands at step %d", name, steps)
		}
	}
}

// TestSpread: American instruments have a spread unless another one is set.
func TestSpread(t *testing.T) {
	for _, c := range []struct {
		universe *market.Universe
		set      int
		want     int64
	}{
		{market.Default(), config.SpreadAuto, 0}, {market.US(), config.SpreadAuto, 1}, {market.Default(), 3, 3},
		{market.US(), 0, 0},
	} {
		cfg := config.Default()
		cfg.Prices.SpreadTicks = c.set
		if got := spreadTicks(cfg, c.universe); got != c.want {
			t.Errorf("%d ticks, want %d", got, c.want)
		}
	}
}

// madeTape is a tape of one instrument, with a price at each of some moments.
type madeTape struct {
	moments []int64
	at      int
	failure error
	closed  bool
}

func (m *madeTape) Next() (int64, []market.Update, error) {
	if m.at == len(m.moments) {
		if m.failure != nil {
			return 0, nil, m.failure
		}
		return 0, nil, io.EOF
	}
	m.at++
	t := m.moments[m.at-1]
	u := market.Update{ID: 1, Time: t, Says: market.SaysLast | market.SaysSize, Last: int64(m.at), Size: 10}
	return t, []market.Update{u}, nil
}

func (m *madeTape) Rewind() error        { m.at = 0; return nil }
func (m *madeTape) Report() *tape.Report { return &tape.Report{Kind: tape.Trades} }
func (m *madeTape) Close() error         { m.closed = true; return nil }

const second = int64(time.Second)

// TestReplay checks when the moments of a tape are applied, what times quotes have, and how a replay ends.
func TestReplay(t *testing.T) {
	start := time.Date(2026, 3, 2, 1, 30, 0, 0, time.UTC).UnixNano()
	moments := []int64{start, start + second, start + 4*second}
	day := int64(24 * time.Hour)
	for name, c := range map[string]struct {
		speed   float64
		loop    bool
		failure error
		waits   []time.Duration // from the first snapshot on
		times   []int64         // of the quotes
		says    string
	}{
		"as it was": {speed: 1, waits: []time.Duration{0, time.Second, 4 * time.Second}, times: moments,
			says: "the replay has ended; the last quotes stay"},
		"faster": {speed: 2, waits: []time.Duration{0, time.Second / 2, 2 * time.Second}, times: moments,
			says: "the replay has ended"},
		"as fast as it goes": {speed: 0, waits: []time.Duration{0, 0, 0}, times: moments, says: "the replay has ended"},
		"again": {speed: 1, loop: true, times: append(slices.Clone(moments), start+day, start+day+second),
			waits: []time.Duration{0, time.Second, 4 * time.Second, 24 * time.Hour, 24*time.Hour + time.Second},
			says:  "the replay begins again"},
		"broken": {speed: 0, failure: errors.New("t.csv: it is cut off"), times: moments,
			waits: []time.Duration{0, 0, 0}, says: "t.csv: it is cut off"},
	} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			made := &madeTape{moments: moments, failure: c.failure}
			hours := calendar.RoundTheClock()
			feed := market.NewFeed(market.Default(), market.FeedConfig{Hours: hours})
			ctx, cancel := context.WithCancel(t.Context())
			began, n := time.Now(), 0
			feed.Watch(func(_, after *market.Prices, applied []market.Update) {
				if len(applied) == 0 {
					return
				}
				if n == len(c.waits) {
					t.Fatalf("%s: a moment too many", name)
				}
				if got := time.Since(began); got != c.waits[n] || after.Quote(1).Time != c.times[n] {
					t.Errorf("%s: moment %d after %s with the time %d, want %s and %d", name, n, got,
						after.Quote(1).Time, c.waits[n], c.times[n])
				}
				if after.Time() != time.Now().UnixNano() {
					t.Errorf("%s: a snapshot of %d", name, after.Time())
				}
				if n++; n == len(c.waits) && c.loop {
					cancel()
				}
			})
			r := replay{feed: feed, hours: hours, tape: made, speed: c.speed, loop: c.loop, log: zerolog.New(&log)}
			r.run(ctx)
			cancel()
			if n != len(c.waits) || !made.closed || !strings.Contains(log.String(), c.says) {
				t.Errorf("%s: %d moments, closed: %t, log: %s", name, n, made.closed, log.String())
			}
			if c.loop && (feed.Snapshot().Quote(1).Volume != 20 || feed.Snapshot().Quote(1).PreviousClose != 3) {
				t.Errorf("%s: the second day is %+v", name, feed.Snapshot().Quote(1))
			}
		})
	}
}

// TestTurn: statuses change when the clock says so, and at no other time.
func TestTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{hours: calendar.New()} // synctest begins at midnight UTC of 2000-01-01
		s.feed = market.NewFeed(market.Default(), market.FeedConfig{Hours: s.hours})
		turns := 0
		s.feed.Watch(func(_, after *market.Prices, _ []market.Update) {
			turns++
			now := time.Now().UnixNano()
			if got, want := after.Status(1), s.hours.Status("SH", now); got != want {
				t.Errorf("at %s it is %s, want %s", time.Unix(0, now).UTC(), got, want)
			}
		})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); s.turn(ctx) }()
		time.Sleep(3 * 24 * time.Hour) // to Tuesday, over the opens and closes of Monday
		cancel()
		<-ended
		if turns < 6 {
			t.Errorf("the feed was turned %d times", turns)
		}
	})
}

// TestTapeErrors: a file that cannot be replayed is an error of the configuration.
func TestTapeErrors(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("bad.csv", []byte("a,b\n1,2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		file, columns, want string
	}{
		{"none.csv", "", "prices.file: none.csv"}, {"bad.csv", "", "prices.file: bad.csv"},
		{"bad.csv", "colour=a", "prices.columns: "},
	} {
		cfg := config.Default()
		cfg.Prices.Source, cfg.Prices.File = config.PricesReplay, c.file
		if c.columns != "" {
			cfg.Prices.Columns = []string{c.columns}
		}
		_, err := openTape(cfg, market.Default())
		if wrong := (config.Error{}); !errors.As(err, &wrong) || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s %s: %v", c.file, c.columns, err)
		}
	}
}
