package metrics

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/rs/zerolog"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/engine/gateway"
	"github.com/papertape/papertape/engine/journal"
	"github.com/papertape/papertape/engine/simulator"
	"github.com/papertape/papertape/market"
)

// sources returns those of a server with some accounts. It takes no connections, and its journal keeps accounts if dir
// is one.
func sources(t testing.TB, shards int, dir string) *Sources {
	t.Helper()
	universe := market.Default()
	feed := market.Fixed(universe)
	fatal := func(err error) { t.Error(err); runtime.Goexit() }
	from := &Sources{
		Version: "test", Durability: "none", Ready: func() error { return nil }, HTTP: func() HTTP { return HTTP{} },
		LogLinesLost: func() uint64 { return 0 }, InboxOrdersMax: 10, OutboxTotalBytesMax: 20,
		HistoryMemoryBytesMax: 1 << 30, UncheckpointedBytesMax: 1 << 30,
	}
	from.Gateway = gateway.New(gateway.Config{
		Universe: universe, Prices: feed.Snapshot, Heartbeat: time.Second, LoginTimeout: time.Second,
		StallTimeout: time.Second, Limits: gateway.Limits{ConnectionsMax: 70},
	})
	cfg := engine.Config{
		Shards: shards, Workers: 2 * shards, InboxOrdersMax: 8192, HistoryReadsMax: 4, HistoryMemoryBytesMax: 1 << 30,
		UncheckpointedBytesMax: 1 << 30, SessionsPerAccountMax: 1, Universe: universe, Prices: feed.Snapshot,
		Clock: func() int64 { return time.Now().UnixNano() }, Journal: engine.NewMemoryJournal(), Outlet: from.Gateway,
		Log: zerolog.Nop(), Fatal: fatal,
	}
	var j *journal.Journal
	if dir != "" {
		var err error
		if j, err = journal.Open(dir, journal.Options{
			Mode: journal.Sync, Universe: universe, Log: zerolog.Nop(), Fatal: fatal,
		}); err != nil {
			t.Fatal(err)
		}
		cfg.Journal = j
		from.Durability, from.Journal = "sync", func() *journal.Journal { return j }
	}
	var err error
	if from.Engine, err = engine.New(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		from.Engine.Stop()
		if j != nil {
			if err := j.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	if j != nil {
		if err := j.Recover(context.Background(), from.Engine, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := (simulator.Accounts{Count: 3, Seed: 1, Universe: universe}).Open(t.Context(), from.Engine); err != nil {
		t.Fatal(err)
	}
	flow, err := simulator.NewFlow(from.Engine, simulator.FlowConfig{Accounts: 3, Seed: 1, Universe: universe})
	if err != nil {
		t.Fatal(err)
	}
	from.Flow, from.Feed = flow, feed
	return from
}

// registry is one that refuses everything that is not consistent.
func registry(from *Sources) *prometheus.Registry {
	r := prometheus.NewPedanticRegistry()
	register(from, r)
	return r
}

// gather returns the metrics by name.
func gather(t testing.TB, from *Sources) map[string]*dto.MetricFamily {
	t.Helper()
	families, err := registry(from).Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]*dto.MetricFamily, len(families))
	for _, f := range families {
		all[f.GetName()] = f
	}
	return all
}

func TestLint(t *testing.T) {
	for _, dir := range []string{"", t.TempDir()} {
		problems, err := testutil.GatherAndLint(registry(sources(t, 2, dir)))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			if strings.HasPrefix(p.Metric, prefix) { // the runtime's are not ours
				t.Errorf("%s: %s", p.Metric, p.Text)
			}
		}
	}
}

// seriesMax is the most series that a server has, on machines of up to sixteen processors.
const seriesMax = 450

// TestSeries: there are not too many, and as many at the start as later.
func TestSeries(t *testing.T) {
	from := sources(t, 16, t.TempDir())
	series := func() (n int) {
		for _, line := range strings.Split(scrape(t, from, "text/plain"), "\n") {
			if line != "" && line[0] != '#' {
				n++
			}
		}
		return n
	}
	first := series()
	t.Logf("%d series with 16 shards", first)
	if first > seriesMax {
		t.Errorf("%d series, at most %d may be", first, seriesMax)
	}
	ctx, stop := context.WithCancel(t.Context())
	flow := from.Flow.(*simulator.Flow)
	if err := flow.SetRate(10_000); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); flow.Run(ctx) }()
	for end := time.Now().Add(30 * time.Second); flow.State().Fills < 100; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the simulator makes no fills")
		}
	}
	stop()
	<-ended
	if then := series(); then != first {
		t.Errorf("%d series under load, %d before", then, first)
	}
}

// scrape returns what is answered.
func scrape(t testing.TB, from *Sources, accept string) string {
	t.Helper()
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/metrics", nil)
	r.Header.Set("Accept", accept)
	Handler(*from).ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestFormats(t *testing.T) {
	from := sources(t, 1, "")
	if text := scrape(t, from, "application/openmetrics-text;version=1.0.0"); !strings.HasSuffix(text, "# EOF\n") {
		t.Errorf("what is asked for as OpenMetrics ends in %q", text[max(0, len(text)-20):])
	}
	if text := scrape(t, from, "text/plain"); !strings.Contains(text, "\npapertape_ready 1\n") {
		t.Errorf("the text has no papertape_ready 1")
	}
}

// TestWithoutJournal: what would be an alarm as 0 is absent.
func TestWithoutJournal(t *testing.T) {
	all := gather(t, sources(t, 1, ""))
	kept := gather(t, sources(t, 1, t.TempDir()))
	for _, name := range []string{
		"checkpoint_last_success_timestamp_seconds", "disk_free_bytes", "disk_free_limit_bytes",
	} {
		if all[prefix+name] != nil {
			t.Errorf("%s is there without a journal", name)
		}
		if f := kept[prefix+name]; f == nil || f.GetMetric()[0].GetGauge().GetValue() <= 0 {
			t.Errorf("with one, %s is %v", name, f)
		}
	}
	delete(kept, prefix+"checkpoint_last_success_timestamp_seconds")
	delete(kept, prefix+"disk_free_bytes")
	delete(kept, prefix+"disk_free_limit_bytes")
	if got, want := slices.Sorted(maps.Keys(all)), slices.Sorted(maps.Keys(kept)); !slices.Equal(got, want) {
		t.Errorf("without a journal there are\n%v\nwith one there are\n%v", got, want)
	}
}

// TestValues compares some values that nothing else in the process touches.
func TestValues(t *testing.T) {
	from := sources(t, 2, t.TempDir())
	from.Ready = func() error { return errors.New("not now") }
	from.HTTP = func() HTTP { return HTTP{Answers: [4]uint64{1, 2, 3, 4}, Unauthorized: 5, Limited: 6, Streams: 7} }
	from.LogLinesLost = func() uint64 { return 8 }
	text := "\n" + scrape(t, from, "text/plain")
	stats := from.Engine.Stats()
	for _, line := range []string{
		"papertape_ready 0", `papertape_http_requests_total{code="2xx"} 1`,
		`papertape_http_requests_total{code="5xx"} 4`,
		`papertape_http_denied_total{cause="key"} 5`, `papertape_http_denied_total{cause="limited"} 6`,
		"papertape_live_streams 7", "papertape_log_lines_lost_total 8", "papertape_connections_limit 70",
		"papertape_outbox_limit_bytes 20", `papertape_inbox_limit{shard="1"} 10`, "papertape_read_only 0",
		fmt.Sprintf(`papertape_build_info{durability="sync",goversion="%s",version="test"} 1`, runtime.Version()),
		`papertape_events_total{kind="adjustment",origin="operator"} 3`,
		fmt.Sprintf("papertape_step_requests_count %d", stats.Steps),
		fmt.Sprintf("papertape_journal_commit_events_sum %d", stats.Events),
		`papertape_journal_commit_seconds_bucket{le="+Inf"} ` + fmt.Sprint(from.Journal().Measures().Commit.Count()),
		fmt.Sprintf(`papertape_step_seconds_count{phase="decide"} %d`, stats.Steps),
		"papertape_history_events " + fmt.Sprint(stats.HistoryEvents),
	} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("there is no line %s", line)
		}
	}
	for _, line := range strings.Split(text, "\n") { // buckets are cumulative, in seconds
		if strings.HasPrefix(line, `papertape_push_latency_seconds_bucket{le="0.0001"}`) {
			return
		}
	}
	t.Error("push_latency_seconds has no bucket of 0.0001")
}

var update = flag.Bool("update", false, "write docs/metrics.md")

// TestDocument: the tables of docs/metrics.md are those of this program.
func TestDocument(t *testing.T) {
	const begin = "<!-- what follows is written by go test ./metrics -run TestDocument -update -->\n"
	const end = "<!-- end -->\n"
	file := filepath.Join("..", "docs", "metrics.md")
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(before), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the tables", file)
	}
	want := head + begin + document(gather(t, sources(t, 1, t.TempDir()))) + end + tail
	switch {
	case want == string(before):
	case *update:
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil { //nolint:gosec // a page
			t.Fatal(err)
		}
	default:
		t.Errorf("%s is not what the program has: go test ./metrics -run TestDocument -update", file)
	}
}

// document returns the table of metrics.
func document(all map[string]*dto.MetricFamily) string {
	var text strings.Builder
	text.WriteString("| name | type | labels | meaning |\n|---|---|---|---|\n")
	for i := range definitions {
		d := &definitions[i]
		labels := make([]string, len(d.labels))
		for j, label := range d.labels {
			labels[j] = "`" + label + "`"
			if values := valuesOf(all[prefix+d.name], label); values != "" {
				labels[j] += ": " + values
			}
		}
		_, _ = fmt.Fprintf(&text, "| `%s%s` | %s | %s | %s |\n", prefix, d.name, d.kind,
			strings.Join(labels, "; "), d.help)
	}
	return text.String()
}

// valuesOf returns the values of a label, if they are not those of one machine.
func valuesOf(f *dto.MetricFamily, label string) string {
	if label == "version" || label == "goversion" || label == "durability" || label == "shard" {
		return ""
	}
	seen := make(map[string]bool)
	for _, m := range f.GetMetric() {
		for _, l := range m.GetLabel() {
			if l.GetName() == label {
				seen[l.GetValue()] = true
			}
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(seen)), ", ")
}

func BenchmarkScrape(b *testing.B) {
	from := sources(b, 16, b.TempDir())
	h := Handler(*from)
	r := httptest.NewRequest("GET", "/metrics", nil)
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != http.StatusOK {
			b.Fatal(w.Code)
		}
	}
}
