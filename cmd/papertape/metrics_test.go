package main

import (
	"bufio"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/console"
	"github.com/papertape/papertape/positions"
)

// metricOf says which metrics each counter of /api/v1/counters is: their sum, multiplied.
var metricOf = map[string]struct {
	metrics []string
	times   float64 // 0: 1
}{
	"connections": {metrics: []string{
		`connections{state="prelogin"}`, `connections{state="catching_up"}`, `connections{state="live"}`,
	}},
	"accepted":       {metrics: []string{"connections_accepted_total"}},
	"logins":         {metrics: []string{`logins_total{result="ok"}`}},
	"logins_refused": {metrics: []string{`logins_total{result="refused"}`}},
	"auth_failed":    {metrics: []string{`logins_denied_total{cause="key"}`}},
	"auth_limited":   {metrics: []string{`logins_denied_total{cause="limited"}`}},
	"auth_revoked":   {metrics: []string{`disconnects_total{cause="revoked"}`}},
	"refused_full": {metrics: []string{
		`connections_refused_total{cause="full"}`, `connections_refused_total{cause="prelogin"}`,
		`connections_refused_total{cause="per_ip"}`, `connections_refused_total{cause="rate"}`,
	}},
	"tls_handshakes":        {metrics: []string{`tls_handshakes_total{result="ok"}`}},
	"tls_failed":            {metrics: []string{`tls_handshakes_total{result="failed"}`}},
	"tls_refused":           {metrics: []string{`tls_handshakes_total{result="refused"}`}},
	"login_timeouts":        {metrics: []string{`logins_total{result="timeout"}`}},
	"idle":                  {metrics: []string{`disconnects_total{cause="idle"}`}},
	"kicked":                {metrics: []string{`disconnects_total{cause="kicked"}`}},
	"protocol_errors":       {metrics: []string{`disconnects_total{cause="protocol"}`}},
	"cut_outbox":            {metrics: []string{`disconnects_total{cause="slow_outbox"}`}},
	"cut_stalled":           {metrics: []string{`disconnects_total{cause="slow_stalled"}`}},
	"cut_total":             {metrics: []string{`disconnects_total{cause="slow_total"}`}},
	"lost":                  {metrics: []string{`disconnects_total{cause="lost"}`}},
	"quotes_skipped":        {metrics: []string{"quotes_skipped_total"}},
	"busy":                  {metrics: []string{`requests_refused_total{limit="queue"}`}},
	"rate_limited":          {metrics: []string{`requests_refused_total{limit="rate"}`}},
	"history_busy":          {metrics: []string{`requests_refused_total{limit="history"}`}},
	"requests":              {metrics: []string{"step_requests_sum"}},
	"events":                {metrics: []string{"events_total"}}, // of all kinds and origins
	"orders_refused":        {metrics: []string{`orders_total{result="refused"}`}},
	"steps":                 {metrics: []string{"step_requests_count"}},
	"events_dropped":        {metrics: []string{"events_dropped_total"}},
	"history_events":        {metrics: []string{"history_events"}},
	"history_bytes":         {metrics: []string{"history_memory_bytes"}},
	"pool_overflows":        {metrics: []string{"pool_overflows_total"}},
	"panics":                {metrics: []string{"panics_total"}},
	"console_unauthorized":  {metrics: []string{`http_denied_total{cause="key"}`}},
	"console_limited":       {metrics: []string{`http_denied_total{cause="limited"}`}},
	"log_lines_lost":        {metrics: []string{"log_lines_lost_total"}},
	"journal_commits":       {metrics: []string{"journal_commits_total"}},
	"journal_events":        {metrics: []string{"journal_commit_events_sum"}},
	"journal_bytes":         {metrics: []string{"journal_bytes_total"}},
	"journal_checkpoints":   {metrics: []string{"checkpoints_total"}},
	"journal_checkpoint_ms": {metrics: []string{"checkpoint_duration_seconds"}, times: 1000},
	"journal_disk_bytes":    {metrics: []string{"journal_disk_bytes"}},
	"read_only":             {metrics: []string{"read_only"}},
}

// metrics are the values of a scrape by what stands before them, without prefix; events_total is their sum.
func (l *inProcessServer) metrics(t *testing.T, admin string) map[string]float64 {
	t.Helper()
	answer, err := http.Get("http://" + admin + "/metrics") //nolint:noctx // a test has its own limit
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // read to the end
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(answer.Body)
		t.Fatalf("%s: %s", answer.Status, text)
	}
	return readMetrics(t, answer.Body)
}

func readMetrics(t *testing.T, text io.Reader) map[string]float64 {
	t.Helper()
	all := make(map[string]float64)
	for lines := bufio.NewScanner(text); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		at := strings.LastIndexByte(lines.Text(), ' ')
		value, err := strconv.ParseFloat(lines.Text()[at+1:], 64)
		if err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		name := strings.TrimPrefix(lines.Text()[:at], "papertape_")
		if all[name] = value; strings.HasPrefix(name, "events_total{") {
			all["events_total"] += value
		}
	}
	return all
}

// TestCountersAreMetrics compares every counter of /api/v1/counters with its metric, on a server that has done
// something of most kinds and is idle.
func TestCountersAreMetrics(t *testing.T) {
	l := startInProcess(t, t.TempDir(), nil)
	at := l.at()
	l.doSomething(t, at)
	var wrong []string
	defer func() {
		if t.Failed() {
			t.Log(strings.Join(wrong, "\n"))
		}
	}()
	eventually(t, "every counter is what its metrics say", func() bool {
		wrong = nil
		before := l.counters()
		metrics := l.metrics(t, at.admin)
		for i, c := range l.counters() {
			if c.Value != before[i].Value { // it is not idle yet
				wrong = append(wrong, c.Name+" moves")
				continue
			}
			of, ok := metricOf[c.Name]
			sum := 0.0
			for _, name := range of.metrics {
				value, there := metrics[name]
				ok = ok && there
				sum += value
			}
			if of.times != 0 {
				sum = math.Floor(sum*of.times + 1e-6)
			}
			if !ok || uint64(sum) != c.Value {
				wrong = append(wrong, c.Name+" is "+strconv.FormatUint(c.Value, 10)+", its metrics "+
					strconv.FormatFloat(sum, 'g', -1, 64))
			}
		}
		return len(wrong) == 0
	})
	if n := len(l.counters()); n != len(metricOf) {
		t.Errorf("%d counters, and %d of them have a metric", n, len(metricOf))
	}
	if err := l.end(); err != nil {
		t.Error(err)
	}
}

// doSomething has a client trade, be refused and be kicked, another be refused its login, and the journal make a
// checkpoint.
func (l *inProcessServer) doSomething(t *testing.T, at addresses) {
	t.Helper()
	c, err := client.Dial(t.Context(), at.listen, client.Options{Account: 100001, DiscardEvents: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Buy(t.Context(), "SZ", "000001", 100); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Buy(t.Context(), "SZ", "000001", positions.MaxOrderShares); err == nil {
		t.Fatal("an order that nobody can pay was executed")
	}
	if _, err := client.Dial(t.Context(), at.listen, client.Options{Account: 7}); err == nil {
		t.Fatal("a login to an account that there is not succeeded")
	}
	if err := l.ledger.journal.Load().Checkpoint(t.Context(), l.engine); err != nil {
		t.Fatal(err)
	}
	for _, s := range l.gw.Sessions() {
		l.gw.Kick(s.UID, "test")
	}
	_ = c.Close()
	if _, err := http.Get("http://" + at.admin + "/nowhere"); err != nil { //nolint:noctx,bodyclose // nothing is read
		t.Fatal(err)
	}
}

// TestReadyVerbose asks a server that serves, and one whose disk is full.
func TestReadyVerbose(t *testing.T) {
	l := startInProcess(t, t.TempDir(), nil)
	at := l.at()
	verbose := func() string {
		answer, err := http.Get("http://" + at.admin + "/readyz?verbose") //nolint:noctx // a test has its own limit
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close() //nolint:errcheck // read to the end
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	text := verbose()
	for _, line := range []string{
		"[+]recovered the books are restored\n", "[+]listening clients connect to ", "]loops all event loops turn",
		"[+]disk ", "[+]checkpoint ", "]sync the last took ", "readyz check passed\n",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("it does not say %q:\n%s", line, text)
		}
	}
	l.setUnready(console.StateDraining, "draining")
	if text := verbose(); !strings.Contains(text, "[-]listening draining\n") ||
		!strings.Contains(text, "readyz check failed: draining\n") {
		t.Errorf("while it drains:\n%s", text)
	}
	if err := l.end(); err != nil {
		t.Error(err)
	}
}
