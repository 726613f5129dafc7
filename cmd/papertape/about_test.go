package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/cmd/papertape/config"
	"github.com/papertape/papertape/console"
)

// askConsole asks a console by HTTP, with the token of a data directory, and decodes the answer into v.
func askConsole(t *testing.T, at addresses, data, path string, v any) {
	t.Helper()
	token, err := config.ReadToken(filepath.Join(data, tokenFile))
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+at.admin+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %s, %v", path, resp.StatusCode, text, err)
	}
	if err := json.Unmarshal(text, v); err != nil {
		t.Fatalf("%s: %v in %s", path, err, text)
	}
}

// TestConsolePages asks a real server for what the pages of its console show, and compares what it says of itself with
// what is so.
func TestConsolePages(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	l := startInProcess(t, data, nil)
	at := l.at()
	c, err := client.Dial(t.Context(), at.listen, client.Options{Account: 100002, DiscardEvents: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // the test is over
	for range 3 {
		if _, err := c.Buy(t.Context(), "SZ", "000001", 100); err != nil {
			t.Fatal(err)
		}
	}
	var s console.ServerInfo
	askConsole(t, at, data, "/api/v1/server", &s)
	if s.State != console.StateReady || s.Addresses.Clients != at.listen || s.Addresses.Console != at.admin ||
		s.Epoch == nil ||
		s.Role != "operate" || s.Accounts.First != 100001 || s.Accounts.Count != at.accounts ||
		s.Durability != "sync" ||
		time.Since(s.Started) > time.Hour || len(s.Limits) != 6 || s.Limits[0].Value != 1 || s.Limits[0].Limit < 1 {
		t.Errorf("%+v", s)
	}
	var j console.JournalState
	askConsole(t, at, data, "/api/v1/journal", &j)
	if !j.Kept || *j.Epoch != *s.Epoch || j.Events < 3 || j.EventsACommit < 1 || j.DiskFreeBytes == 0 || j.ReadOnly ||
		j.DiskFreeLimitBytes == 0 || j.UncheckpointedLimitBytes == 0 {
		t.Errorf("%+v", j)
	}
	var h console.HealthReport
	askConsole(t, at, data, "/api/v1/health", &h)
	if !h.Ready || len(h.Checks) != 6 {
		t.Errorf("%+v", h)
	}
	for _, check := range h.Checks {
		if !check.OK || check.Detail == "" {
			t.Errorf("%+v", check)
		}
	}
	var curve console.EquityCurve
	var holdings console.Holdings
	askConsole(t, at, data, "/api/v1/accounts/100002/equity", &curve)
	askConsole(t, at, data, "/api/v1/accounts/100002/holdings", &holdings)
	if curve.AsOfSeq != holdings.AsOfSeq || !curve.Complete || curve.Cash != holdings.Cash.Balance || curve.Gain != 0 ||
		curve.Points[len(curve.Points)-1].Last != curve.Equity {
		t.Errorf("%+v\n%+v", curve, holdings)
	}
	var accounts console.Accounts
	askConsole(t, at, data, "/api/v1/accounts?sort=-sessions&q=1000&limit=1", &accounts)
	if accounts.Total != at.accounts || accounts.Accounts[0].Account != 100002 || accounts.Accounts[0].Sessions != 1 {
		t.Errorf("%+v", accounts)
	}
	var holders console.Holders
	askConsole(t, at, data, "/api/v1/instruments/SZ.000001/holders?limit=1000", &holders)
	found := false
	for _, one := range holders.Holders {
		found = found || one.Account == 100002 && one.Quantity >= 300
	}
	if !found || holders.Accounts < 1 || holders.Shares < 300 {
		t.Errorf("%+v", holders)
	}
	var sessions console.Sessions
	askConsole(t, at, data, "/api/v1/sessions?limit=5&sort=-frames_received&state=live", &sessions)
	if sessions.Total != 1 || sessions.Sessions[0].Account != 100002 || sessions.Sessions[0].FramesReceived < 4 {
		t.Errorf("%+v", sessions)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	var ended console.EndedSessions
	for len(ended.Sessions) == 0 {
		askConsole(t, at, data, "/api/v1/sessions/ended", &ended)
	}
	if e := ended.Sessions[0]; e.Account != 100002 || e.Cause != "client" || e.UID != sessions.Sessions[0].UID {
		t.Errorf("%+v", e)
	}
	var audited console.AuditPage
	askConsole(t, at, data, "/api/v1/audit?result=noted", &audited)
	if len(audited.Lines) != 1 || audited.Lines[0].What != "start" {
		t.Errorf("%+v", audited)
	}
	checkLive(t, at, *s.Epoch)
	if err := l.end(); err != nil {
		t.Error(err)
	}
}

// checkLive reads the first events of a stream of a real server.
func checkLive(t *testing.T, at addresses, epoch console.Hash) {
	t.Helper()
	resp, err := http.Get("http://" + at.admin + "/api/v1/live?topics=overview,sessions,prices,account:100002")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	seen := 0
	for seen < 2 && lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		seen++
		for _, want := range []string{
			fmt.Sprintf(`"epoch":"%s"`, epoch), `"state":"ready"`, `"overview":{"figures":[{"name":"events"`,
			`"sessions":{`,
			`"prices":["`,
		} {
			if !strings.Contains(data, want) {
				t.Errorf("event %d has no %s: %.300s", seen, want, data)
			}
		}
		if first := seen == 1; strings.Contains(data, `"rings":{`) != first || strings.Contains(data,
			`"account":100002`) != first {
			t.Errorf("event %d: %.300s", seen, data)
		}
	}
	if seen != 2 {
		t.Errorf("%d events, %v", seen, lines.Err())
	}
}

// TestConfigInForce: the console has what config print has, with where it comes from, and never a secret.
func TestConfigInForce(t *testing.T) {
	cfg := config.Default()
	cfg.AdminToken = "a-very-secret-token"
	s := &server{cfg: cfg, inForce: func() []config.InForce { return config.NewSettings().InForce(cfg) }}
	list := s.settings()
	for _, one := range list {
		if one.Key == "" || one.Meaning == "" || one.From == "" || strings.Contains(one.Value, "secret") ||
			strings.Contains(one.Meaning, "`") || (one.Secret == "set") != (one.Key == "admin_token_file") ||
			(one.Key == "log.level" || one.Key == "simulator.rate") && !one.Live || one.Key == "listen" && one.Live {
			t.Errorf("%+v", one)
		}
	}
	if len(list) < 30 {
		t.Errorf("%d settings", len(list))
	}
	if empty := (&server{}).settings(); empty == nil || len(empty) != 0 {
		t.Errorf("without settings: %v", empty)
	}
}
