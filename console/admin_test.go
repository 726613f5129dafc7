package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/engine/gateway"
	"github.com/papertape/papertape/market"
)

// TestClientAdmin calls everything that an operator may, through the client.
func TestClientAdmin(t *testing.T) {
	f := newFixture(t, "")
	a, err := f.client.Accounts(t.Context(), 100016, 7)
	if want := newAccounts(f.ledger.accounts, 2); err != nil || !reflect.DeepEqual(a, want) ||
		f.ledger.after != 100016 || f.ledger.limit != 7 {
		t.Errorf("accounts %+v, %v, asked for %d after %d; want %+v", a, err, f.ledger.limit, f.ledger.after, want)
	}
	s, err := f.client.Sessions(t.Context())
	if want := newSessions(f.list.FindSessions(gateway.SessionSearch{Limit: 9})); err != nil ||
		!reflect.DeepEqual(s, want) {
		t.Errorf("sessions %+v, %v; want %+v", s, err, want)
	}
	if n, err := f.client.Counters(t.Context()); err != nil || len(n.Counters) != 1 || n.Counters[0].Value != 7 {
		t.Errorf("counters %+v, %v", n, err)
	}
	in, err := f.client.Instruments(t.Context())
	u := f.server.cfg.Universe
	if err != nil || len(in.Instruments) != u.Len() {
		t.Fatalf("%d instruments, %v; want %d", len(in.Instruments), err, u.Len())
	}
	for i, got := range in.Instruments {
		of := u.At(market.ID(i))
		want := Instrument{
			Market: of.Market, Code: of.Code, Name: of.Name, Lot: of.Lot, Tick: Money(of.Tick),
			Price: Money(of.PreviousClose), PreviousClose: Money(of.PreviousClose), Currency: "CNY", Status: "open",
			MIC: of.ExchangeMIC(),
		}
		lower, upper := of.Limits()
		if want.Lower, want.Upper = Money(lower), Money(upper); of.Halted {
			want.Status = "halted"
		}
		if i == 0 {
			want.Price = 12_3456
		}
		if got != want {
			t.Errorf("instrument %d is %+v, want %+v", i, got, want)
		}
	}
	if level, err := f.client.LogLevel(t.Context()); level != "info" || err != nil {
		t.Errorf("log level %q, %v", level, err)
	}
	if level, err := f.client.SetLogLevel(t.Context(), "debug"); level != "debug" || err != nil || f.level != "debug" {
		t.Errorf("log level after it was set: %q, %v, %q", level, err, f.level)
	}
}

// TestKick ends the session that is named, and only once.
func TestKick(t *testing.T) {
	f := newFixture(t, "")
	before := newSessions(f.list.infos, 0, gateway.SessionTotals{}).Sessions
	const reason = "收盘 & gone? 100%"
	got, err := f.client.Kick(t.Context(), 7, reason)
	if err != nil || got != before[1] || f.list.reason != reason {
		t.Errorf("kick: %+v, %v, told %q; want %+v", got, err, f.list.reason, before[1])
	}
	_, err = f.client.Kick(t.Context(), 7, reason)
	var answered *Error
	unknown := Error{
		Status: 404, Code: "unknown_session", Text: "there is no session 7; GET /api/v1/sessions lists them",
	}
	if !errors.As(err, &answered) || !reflect.DeepEqual(*answered, unknown) {
		t.Errorf("kicked again: %+v", err)
	}
	if got, err := f.client.Kick(t.Context(), 9, ""); err != nil || got != before[2] || f.list.reason != reasonDefault {
		t.Errorf("without a reason: %+v, %v, told %q", got, err, f.list.reason)
	}
	if left := newSessions(f.list.infos, 0, gateway.SessionTotals{}).Sessions; len(left) != 1 || left[0] != before[0] {
		t.Errorf("left are %+v", left)
	}
}

// TestKickRefused: a malformed reason or uid ends no session.
func TestKickRefused(t *testing.T) {
	f := newFixture(t, "")
	for request, want := range map[[2]string]string{
		{"ann"}:                           `"ann" is not a session; write its uid`,
		{"-1"}:                            `"-1" is not a session`,
		{"18446744073709551616"}:          `"18446744073709551616" is not a session`,
		{"7?reason=x"}:                    `there is no parameter "reason" here`,
		{"7", `{"reason":"a\nb"}`}:        "reason: must be one line of plain text; it has the character U+000A",
		{"7", "{\"reason\":\"\u202eb\"}"}: "it has the character U+202E",
		{"7", `{"reason":" \u3000"}`}:     "reason: must say something; it is blank",
		{"7", `{"reason":"a "}`}:          "reason: must neither begin nor end with a blank",
		{"7", `{"reason":""}`}:            "reason: must be one line of 1 to 200 bytes; it has 0",
		{"7", `{"why":"x"}`}:              `there is no "why" here; it takes reason`,
		{"7", `x`}:                        "it is no JSON",
		{"7", `{"reason":"` + strings.Repeat("x", reasonBytesMax+1) + `"}`}: "one line of 1 to 200 bytes; it has 201",
	} {
		target := request[0]
		w := f.ask("DELETE", "/api/v1/sessions/"+target, request[1])
		var got failure
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 400 ||
			!strings.Contains(got.Error.Message, want) {
			t.Errorf("%s: %d %s, want 400 %s", target, w.Code, w.Body, want)
		}
	}
	if w := f.ask("DELETE", "/api/v1/sessions/7", "", "Sec-Fetch-Site", "cross-site"); w.Code != 403 {
		t.Errorf("a page of another site: %d", w.Code)
	}
	if len(f.list.infos) != 3 {
		t.Errorf("left are %+v", f.list.infos)
	}
	longest := `{"reason":"` + strings.Repeat("x", reasonBytesMax) + `"}`
	if w := f.ask("DELETE", "/api/v1/sessions/7", longest); w.Code != 200 {
		t.Errorf("the longest reason: %d %s", w.Code, w.Body)
	}
}

func TestAdminErrors(t *testing.T) {
	f := newFixture(t, "")
	for _, c := range []struct {
		method, target, body string
		status               int
		message              string
	}{
		{"GET", "/api/v1/accounts?after=-1", "", 400, `after: \"-1\" is not a whole number`},
		{"GET", "/api/v1/accounts?limit=ten", "", 400, `limit: \"ten\" is not a whole number`},
		{"GET", "/api/v1/sessions/7", "", 405, "/api/v1/sessions/7 takes DELETE, not GET"},
		{"DELETE", "/api/v1/sessions", "", 405, "/api/v1/sessions takes GET, not DELETE"},
		{"PUT", "/api/v1/log", "{}", 400, `the level is missing: write {\"level\": \"debug\"}`},
		{"PUT", "/api/v1/log", `{"level":"loud"}`, 400, `there is no level \"loud\"; write info or debug`},
		{"PUT", "/api/v1/log", `{"level":"debug","for":5}`, 400, `there is no \"for\" here; it takes level`},
	} {
		w := f.ask(c.method, c.target, c.body)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.message) {
			t.Errorf("%s %s %s: %d %s, want %d %s", c.method, c.target, c.body, w.Code, w.Body, c.status, c.message)
		}
	}
	if f.level != "info" {
		t.Errorf("a refused request changed the level to %s", f.level)
	}
	cfg := f.server.cfg
	cfg.LogLevel = nil
	without, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	with := f.server
	f.server = without
	if w := f.ask("GET", "/api/v1/log", ""); w.Code != 404 {
		t.Errorf("where the level cannot be changed: %d", w.Code)
	}
	f.server = with
	f.ledger.err = engine.ErrStopped
	if w := f.ask("GET", "/api/v1/accounts", ""); w.Code != http.StatusServiceUnavailable {
		t.Errorf("accounts of a ledger that stopped: %d", w.Code)
	}
	f.ledger.err = fmt.Errorf("%w: recovering: 43%%", ErrNotReady)
	w := f.ask("GET", "/api/v1/accounts", "")
	if w.Code != http.StatusServiceUnavailable ||
		!strings.Contains(w.Body.String(), `"not_ready","message":"the server is not ready: recovering: 43%"`) {
		t.Errorf("accounts of a ledger that recovers: %d %s", w.Code, w.Body)
	}
}

func TestAccountsPage(t *testing.T) {
	f := newFixture(t, "")
	for query, want := range map[string][2]uint64{
		"":                            {0, 100},
		"?limit=0":                    {0, 100},
		"?limit=7&after=43":           {43, 7},
		"?limit=1001":                 {0, 1000},
		"?limit=18446744073709551615": {0, 1000},
		"?after=18446744073709551615": {math.MaxUint64, 100},
	} {
		f.ask("GET", "/api/v1/accounts"+query, "")
		if got := [2]uint64{f.ledger.after, uint64(f.ledger.limit)}; got != want {
			t.Errorf("accounts%s asks for after and limit %v, want %v", query, got, want)
		}
	}
	f.ledger.accounts, f.list.infos = nil, nil
	for target, want := range map[string]string{"accounts": `{"accounts":[],"total":0}`,
		"sessions": `{"sessions":[],"total":0,` +
			`"totals":{"sessions":0,"live":1,"catching_up":1,"not_logged_in":1,"waiting_bytes":77,"in_flight":2}}`} {
		if w := f.ask("GET", "/api/v1/"+target, ""); strings.TrimSpace(w.Body.String()) != want {
			t.Errorf("no %s are %s, want %s", target, w.Body, want)
		}
	}
}

// TestLogged: an operator's changes are logged, even at a level that hides everything else.
func TestLogged(t *testing.T) {
	f := newFixture(t, "")
	var log bytes.Buffer
	f.server.cfg.Log = zerolog.New(&log)
	f.ask("DELETE", "/api/v1/sessions/7", `{"reason":"late"}`)
	f.server.cfg.Log = f.server.cfg.Log.Level(zerolog.ErrorLevel)
	f.ask("PUT", "/api/v1/log", `{"level":"debug"}`)
	for _, want := range []string{
		`"uid":7,"account":100018,"remote":"[::1]:5002","reason":"late"`, `"from":"info","to":"debug"`,
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %s:\n%s", want, &log)
		}
	}
}
