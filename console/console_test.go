package console

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/papertape/papertape/engine"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The ants package starts its default pool before the tests, so that goroutine is ignored.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

// TestGolden compares the JSON, on which scripts rely, to the byte.
func TestGolden(t *testing.T) {
	f := newFixture(t, "")
	for name, target := range map[string]string{
		"holdings":  "/api/v1/accounts/100017/holdings",
		"history":   "/api/v1/accounts/100017/history",
		"accounts":  "/api/v1/accounts",
		"sessions":  "/api/v1/sessions",
		"simulator": "/api/v1/simulator",
		"livez":     "/livez",
		"readyz":    "/readyz",
		"unknown":   "/api/v1/accounts/7/holdings",
	} {
		t.Run(name, func(t *testing.T) {
			w := f.ask("GET", target, "")
			if got := w.Header().Get("Content-Type"); got != "application/json" {
				t.Errorf("Content-Type %q", got)
			}
			var pretty strings.Builder
			e := json.NewEncoder(&pretty)
			e.SetIndent("", "  ")
			if err := e.Encode(json.RawMessage(w.Body.Bytes())); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name+".json")
			if *update {
				if err := os.WriteFile(path, []byte(pretty.String()), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if pretty.String() != string(want) {
				t.Errorf("%s is\n%s\nwant\n%s", target, &pretty, want)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	f := newFixture(t, "")
	const account = "/api/v1/accounts/100017/"
	for _, c := range []struct {
		method, target, body string
		status               int
		code, message        string
	}{
		{"GET", "/nowhere", "", 404, "not_found",
			"there is nothing at /nowhere; see /livez, /readyz, /debug/pprof/ and /api/v1/"},
		{"GET", "/api/v1/accounts/100017/", "", 404, "not_found", "there is nothing at /api/v1/accounts/100017/"},
		{"GET", "/api/v1/accounts/7", "", 404, "unknown_account", "there is no account 7"},
		{"GET", "/api/v1/accounts/7/holdings", "", 404, "unknown_account", "there is no account 7"},
		{"GET", "/api/v1/accounts/7/history", "", 404, "unknown_account", "there is no account 7"},
		{"GET", "/api/v1/accounts/ann/holdings", "", 400, "bad_request",
			`"ann" is not an account; write its number, as in 100001`},
		{"GET", "/api/v1/accounts/-1/history", "", 400, "bad_request", `"-1" is not an account`},
		{"GET", account + "history?limit=ten", "", 400, "bad_request",
			`limit: "ten" is not a whole number; ` +
				`write digits alone, without zeros in front, from 0 to 18446744073709551615`},
		{"GET", account + "history?before=-1", "", 400, "bad_request", `before: "-1" is not a whole number`},
		{"POST", account + "holdings", "", 405, "method_not_allowed", account + "holdings takes GET, not POST"},
		{"DELETE", "/api/v1/simulator", "", 405, "method_not_allowed",
			"/api/v1/simulator takes GET or PUT, not DELETE"},
		{"POST", "/readyz", "", 405, "method_not_allowed", "/readyz takes GET, not POST"},
		{"PUT", "/api/v1/simulator", "", 400, "bad_request",
			"the body is not what is expected here: it is empty; write an object with rate and paused"},
		{"PUT", "/api/v1/simulator", "{}", 400, "bad_request",
			`the rate is missing: write {"rate": 2000}, or {"paused": true}`},
		{"PUT", "/api/v1/simulator", `{"rate":null}`, 400, "bad_request",
			"rate: null is no value; write one, or leave the member out"},
		{"PUT", "/api/v1/simulator", `{"rate":"5"}`, 400, "bad_request",
			"the body is not what is expected here: rate must be a number, and is a string"},
		{"PUT", "/api/v1/simulator", `{"rate":5,"burst":1}`, 400, "bad_request",
			`there is no "burst" here; it takes rate and paused`},
		{"PUT", "/api/v1/simulator", `{"rate":5}{}`, 400, "bad_request", "after top-level value"},
		{"PUT", "/api/v1/simulator", `{"rate":5}x`, 400, "bad_request", "invalid character 'x'"},
		{"PUT", "/api/v1/simulator", `{"rate":5` + strings.Repeat(" ", bodyBytesMax) + "}", 400, "bad_request",
			"the body is longer than 65536 bytes"},
		{"PUT", "/api/v1/simulator", `{"rate":5}` + strings.Repeat(" ", bodyBytesMax), 400, "bad_request",
			"the body is longer than 65536 bytes"},
		{"PUT", "/api/v1/simulator", `{"rate":11}`, 400, "bad_request", "the rate must be between 0 and 10"},
	} {
		w := f.ask(c.method, c.target, c.body)
		var got failure
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Errorf("%s %s: %v in %s", c.method, c.target, err, w.Body)
		}
		if w.Code != c.status || got.Error.Code != c.code || !strings.Contains(got.Error.Message, c.message) {
			t.Errorf("%s %s %.40s: %d %+v, want %d %s %s",
				c.method, c.target, c.body, w.Code, got.Error, c.status, c.code, c.message)
		}
		if allow := w.Header().Get("Allow"); (c.status == 405) != (allow != "") {
			t.Errorf("%s %s: Allow %q", c.method, c.target, allow)
		}
	}
	if f.flow.state.Rate != 1 {
		t.Errorf("a refused request changed the rate to %v", f.flow.state.Rate)
	}
}

// TestLedgerErrors: errors of the ledger get the right answers.
func TestLedgerErrors(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		status int
		code   string
	}{
		"stopped": {engine.ErrStopped, 503, "stopping"},
		"timeout": {context.DeadlineExceeded, 504, "timeout"},
		"broken":  {errors.New("secret detail"), 500, "internal"},
	} {
		f := newFixture(t, "")
		f.ledger.err = c.err
		for _, what := range []string{"holdings", "history"} {
			w := f.ask("GET", "/api/v1/accounts/100017/"+what, "")
			if w.Code != c.status || !strings.Contains(w.Body.String(), `"`+c.code+`"`) ||
				strings.Contains(w.Body.String(), "secret") {
				t.Errorf("%s of a ledger %s: %d %s", what, name, w.Code, w.Body)
			}
		}
	}
}

func TestHistoryPage(t *testing.T) {
	f := newFixture(t, "")
	for query, want := range map[string][2]uint64{
		"":                                       {0, 20},
		"?limit=0":                               {0, 20},
		"?limit=7&before=43":                     {43, 7},
		"?limit=101":                             {0, 100},
		"?limit=18446744073709551615":            {0, 100},
		"?before=18446744073709551615&limit=100": {math.MaxUint64, 100},
	} {
		f.ask("GET", "/api/v1/accounts/100017/history"+query, "")
		if got := [2]uint64{f.ledger.before, uint64(f.ledger.limit)}; got != want {
			t.Errorf("history%s asks for before and limit %v, want %v", query, got, want)
		}
	}
}

func TestReady(t *testing.T) {
	f := newFixture(t, "")
	if err := f.client.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	f.ready = errors.New("draining")
	err := f.client.Ready(t.Context())
	var answered *Error
	if !errors.As(err, &answered) || answered.Status != 503 || answered.Code != "not_ready" ||
		answered.Text != "draining" {
		t.Errorf("a server that drains: %+v", err)
	}
	if w := f.ask("GET", "/livez", ""); w.Code != 200 {
		t.Errorf("/livez of a server that drains: %d", w.Code)
	}
}

// TestToken makes requests with the right token, a wrong one, a longer one and none.
func TestToken(t *testing.T) {
	const token = "0123456789abcdef"
	f := newFixture(t, token)
	for header, want := range map[string]int{
		"":                    401,
		"Bearer " + token:     200,
		"Bearer " + token[1:]: 401,
		"Bearer x" + token:    401,
		"Bearer ":             401,
		token:                 401,
		"Basic " + token:      401,
	} {
		for _, target := range []string{"/api/v1/simulator", "/debug/pprof/cmdline", "/nowhere"} {
			want := want
			if want == 200 && !strings.Contains(target, "i") {
				want = 404
			}
			f.server.guard.failures = failures{}
			if w := f.ask("GET", target, "", "Authorization", header); w.Code != want {
				t.Errorf("%s with %q: %d, want %d", target, header, w.Code, want)
			}
		}
		for _, target := range []string{"/livez", "/readyz"} {
			if w := f.ask("GET", target, "", "Authorization", header); w.Code != 200 {
				t.Errorf("%s with %q: %d, want 200", target, header, w.Code)
			}
		}
	}
	if _, err := f.client.Simulator(t.Context()); err != nil {
		t.Error(err)
	}
	f.client.token = ""
	_, err := f.client.Simulator(t.Context())
	if want := "this console wants its token: name the file that holds it with --admin-token-file"; err == nil ||
		err.Error() != want {
		t.Errorf("without a token: %v, want %s", err, want)
	}
}
