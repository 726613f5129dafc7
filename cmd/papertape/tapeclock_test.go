package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/papertape/papertape/cmd/papertape/config"
	"github.com/papertape/papertape/engine/journal"
	"github.com/papertape/papertape/engine/simulator"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/market/tape"
)

// tapeOfBars writes a tape of bars of five instruments, from 9:30 to 9:34 and from 9:36 to 9:40.
func tapeOfBars(t *testing.T) (path string) {
	t.Helper()
	var text bytes.Buffer
	date := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	at := func(hour, minute int) int64 { return date.Add(time.Duration(hour*60+minute) * time.Minute).UnixNano() }
	err := tape.Generate(&text, tape.GenerateOptions{
		Universe: market.Default(), Kind: tape.Bars, Date: date, Days: 1, Instruments: 5, Seed: 1,
		Sessions: func(string, int, time.Month, int) (opens, closes []int64) {
			return []int64{at(1, 30), at(1, 36)}, []int64{at(1, 34), at(1, 40)} // in UTC
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "tape.csv")
	if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const tapeScript = `
steps:
- {account: 100002, at: 90s, side: buy, instrument: SH.600519, quantity: 100, every: 7s, times: 40}
- {account: 100002, at: 2m, bust: last, reason: a test, every: 1m, times: 5}
- {account: 100003, at: 2m, correct: last, price: 10.00, quantity: 100, reason: a test}
- {account: 100004, at: 100h, side: sell, instrument: SH.600519, quantity: all}
`

// tapeServer returns a server of five accounts that goes by a tape as fast as all is done. Its log goes to out.
func tapeServer(t *testing.T, path string, out *safeBuffer, change func(*config.Config)) *server {
	t.Helper()
	cfg := config.Default()
	cfg.Listen, cfg.Admin, cfg.Accounts, cfg.Simulator.Rate = "127.0.0.1:0", "127.0.0.1:0", 5, 4
	cfg.LoginTimeout, cfg.Durability, cfg.Data = time.Minute, config.DurabilityNone, filepath.Join(t.TempDir(), "data")
	cfg.Clock, cfg.Prices.Source, cfg.Prices.File, cfg.Prices.Speed = config.ClockTape, config.PricesReplay, path, 0
	cfg.Export = filepath.Join(t.TempDir(), "export")
	change(cfg)
	script, err := simulator.ParseScript([]byte(tapeScript), market.Default())
	if err != nil {
		t.Fatal(err)
	}
	s, err := newServer(cfg, script, zerolog.New(out))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// safeBuffer is a log that several goroutines write.
type safeBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// filesIn returns the names and texts of all files in a directory.
func filesIn(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = fmt.Fprintf(&all, "%s:\n%s", e.Name(), text)
	}
	return all.String()
}

// TestTapeHistories: the same tape, seed and script make the same histories, byte for byte, for any number of
// shards and processors, with a ledger and without; and another seed makes others.
func TestTapeHistories(t *testing.T) {
	path := tapeOfBars(t)
	run := func(change func(*config.Config)) (s *server, files string) {
		out := new(safeBuffer)
		s = tapeServer(t, path, out, change)
		if err := s.run(t.Context(), func(addresses) {}); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if log := out.String(); !strings.Contains(log, "the tape has ended") ||
			!strings.Contains(log, `"reproducible":true`) {
			t.Fatalf("the tape has not ended by itself:\n%s", out)
		}
		return s, filesIn(t, s.cfg.Export)
	}
	processors := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(processors)
	_, want := run(func(*config.Config) {})
	if n := strings.Count(want, "simulator"); n < 2000 || !strings.Contains(want, "correction") ||
		strings.Count(want, " bust ") != 5 {
		t.Fatalf("%d fills; the histories begin\n%s", n, want[:1000])
	}
	for _, shards := range []int{1, 2, 7} {
		for _, processors := range []int{1, 2} {
			for _, durability := range []string{config.DurabilityNone, config.DurabilitySync} {
				runtime.GOMAXPROCS(processors)
				s, got := run(func(c *config.Config) {
					c.Shards, c.Workers, c.Durability = shards, 2*shards, durability
					if durability == config.DurabilityNone {
						c.InboxOrdersMax = 11 // each piece is a commit
					}
				})
				if got != want {
					t.Errorf("%d shards, %d processors, %s: other histories", shards, processors, durability)
				}
				if durability == config.DurabilitySync && filesIn(t, exported(t, s)) != want {
					t.Errorf("%d shards, %d processors: the ledger has other histories", shards, processors)
				}
			}
		}
	}
	if _, got := run(func(c *config.Config) { c.Seed = 2 }); got == want {
		t.Error("another seed makes the same histories")
	}
}

// exported returns the directory of an export of a stopped server's ledger.
func exported(t *testing.T, s *server) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	o := journalOptions(zerolog.Nop())
	if _, err := journal.Export(t.Context(), s.cfg.Data, out, o); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestTapeInterference: an order from outside is taken at the time of the tape, and said to void the promise, once.
func TestTapeInterference(t *testing.T) {
	out := new(safeBuffer)
	l := run(t, tapeServer(t, tapeOfBars(t), out, func(c *config.Config) { c.Prices.Speed = 1 }))
	addr := l.at().listen
	if tape := l.about().Tape; tape == nil || tape.InterferedBy != "" {
		t.Errorf("before: %+v", tape)
	}
	for range 2 {
		ev := buyAs(t, addr, "")
		if about := l.about().Tape; ev.Time.Before(about.First) || ev.Time.After(about.Now) || ev.Time.Year() != 2026 {
			t.Errorf("an order was executed at %s, and the tape is at %s", ev.Time, about.Now)
		}
	}
	if tape := l.about().Tape; tape.InterferedBy != "a request of account 100001" || tape.Ended {
		t.Errorf("after: %+v", tape)
	}
	if err := l.end(); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	if strings.Count(text, "somebody outside has acted") != 1 || !strings.Contains(text, `"reproducible":false`) ||
		!strings.Contains(text, "stopped before the end of the tape") {
		t.Errorf("the log:\n%s", text)
	}
	if files := filesIn(t, l.cfg.Export); strings.Count(files, "simulator") < 1 && !strings.Contains(files, " buy ") {
		t.Errorf("stopped early, the histories are\n%s", files)
	}
}

// TestTapeFiles: what is wrong with a tape is wrong with the configuration.
func TestTapeFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tape.csv")
	const text = "time,market,code,last\n2026-03-02T09:30:00Z,SH,nobody,1.00\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.Clock, cfg.Prices.Source, cfg.Prices.File, cfg.Durability = config.ClockTape, config.PricesReplay, path, "none"
	_, err := newServer(cfg, nil, zerolog.Nop())
	if wrong := (config.Error{}); !errors.As(err, &wrong) ||
		!strings.Contains(err.Error(), "nothing of it can be used: trades: 0 lines") {
		t.Errorf("a tape of nothing: %v", err)
	}
}

// TestExportPlace: an export goes to a place that is new or empty, and outside of the ledger.
func TestExportPlace(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"empty", "full/file", "data"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for out, want := range map[string]string{
		"new": "", "empty": "", "": "", "full": "has something in it and is left as it is",
		"data/x": "is inside the data directory", "full/file/a/b": "no such file or directory",
	} {
		cfg := config.Default()
		cfg.Data = filepath.Join(dir, "data")
		if out != "" {
			cfg.Export = filepath.Join(dir, out)
		}
		err := checkExport(cfg)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", out, err, want)
		}
	}
	entries, _ := os.ReadDir(dir)
	if names := fmt.Sprint(entries); len(entries) != 3 {
		t.Errorf("a check leaves %s", names)
	}
}

// TestExportPlain: a server with the machine's clock exports as well, privately, into a directory that was empty.
func TestExportPlain(t *testing.T) {
	l := startInProcess(t, t.TempDir(), func(s *server) { s.cfg.Export = t.TempDir() })
	l.at()
	if err := l.end(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(l.cfg.Export)
	if err != nil || len(entries) != 3 {
		t.Fatalf("%v, %v", entries, err)
	}
	for _, e := range entries {
		if in, err := e.Info(); err != nil || in.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", e.Name(), in.Mode(), err)
		}
	}
	in, err := os.Stat(l.cfg.Export)
	if err != nil || in.Mode().Perm() != 0o700 {
		t.Errorf("the directory: %v, %v", in.Mode(), err)
	}
	parent, err := os.ReadDir(filepath.Dir(l.cfg.Export))
	if err != nil || slices.ContainsFunc(parent, func(e os.DirEntry) bool {
		return strings.HasSuffix(e.Name(), "unfinished")
	}) {
		t.Errorf("beside it: %v, %v", parent, err)
	}
}

// BenchmarkTapeMonth is the month of the figure: one-minute bars of 50 instruments on 21 days, with ten simulated
// traders at a fill a second, without a ledger and without an export.
func BenchmarkTapeMonth(b *testing.B) {
	path := filepath.Join(b.TempDir(), "month.csv")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	err = tape.Generate(f, tape.GenerateOptions{Universe: market.Default(), Kind: tape.Bars, Days: 21, Seed: 1,
		Date: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), Sessions: sessionsOf})
	if err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		cfg := config.Default()
		cfg.Listen, cfg.Admin, cfg.Accounts, cfg.Durability = "127.0.0.1:0", "127.0.0.1:0", 10, config.DurabilityNone
		cfg.Clock, cfg.Prices.Source, cfg.Prices.File, cfg.Prices.Speed = config.ClockTape, config.PricesReplay, path, 0
		s, err := newServer(cfg, nil, zerolog.Nop())
		if err != nil {
			b.Fatal(err)
		}
		if err := s.run(context.Background(), func(addresses) {}); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(s.timeline.State().Moments), "moments")
		b.ReportMetric(float64(s.flow.State().Fills), "fills")
	}
}
