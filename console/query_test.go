package console

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// TestQueries: a query with anything unknown or malformed is refused, not ignored.
func TestQueries(t *testing.T) {
	const account, kick = "/api/v1/accounts/100017/", "/api/v1/sessions/7"
	for _, c := range []struct{ method, target, message string }{
		{"GET", account + "history?befor=5",
			`there is no parameter "befor" here; /api/v1/accounts/100017/history takes before, after, at, kind, ` +
				"origin, instrument and limit"},
		{"GET", account + "history?Before=5", `there is no parameter "Before" here`},
		{"GET", account + "history?at=5", `at: "5" is not a time; write it as in 2026-11-30T09:30:00Z`},
		{"GET", account + "history?at=2026-11-30T09:30:00Z&after=5", "at goes without before and after"},
		{"GET", account + "history?kind=fill",
			`kind: "fill" is not possible; it is one of adjustment, bust, correction, reset and`},
		{"GET", account + "history?origin=me",
			`origin: "me" is not possible; it is one of client, operator and simulator`},
		{"GET", account + "history?instrument=sh.600519",
			`instrument: "sh.600519" is not how an instrument is written here; ` +
				`write SH.600519`},
		{"GET", account + "history?instrument=SH.1", "instrument: "},
		{"GET", account + "equity?points=ten", `points: "ten" is not a whole number`},
		{"GET", account + "equity?since=yesterday", `since: "yesterday" is not a time`},
		{"GET", "/api/v1/audit?result=well",
			`result: "well" is not possible; it is one of asked, done, failed, noted and`},
		{"GET", "/api/v1/server?all=1", "/api/v1/server takes none"},
		{"GET", "/api/v1/sessions?state=gone", `state: "gone" is not possible; it is one of catching_up, live and`},
		{"GET", "/api/v1/sessions?sort=-waiting", "sort needs a limit, as in limit=100: without one all sessions are"},
		{"GET", "/api/v1/sessions?sort=-waiting&limit=9&after=3", "after goes with sessions by uid, and not with sort"},
		{"GET", "/api/v1/sessions/ended?cause=bored", `cause: "bored" is not possible`},
		{"GET", account + "history?before=5&before=5", "before is there 2 times; write it once"},
		{"GET", account + "history?limit=5&before=5&limit=7", "limit is there 2 times; write it once"},
		{"GET", account + "history?before=", "before is empty; give it a value, or leave it out"},
		{"GET", account + "history?before", "before is empty"},
		{"GET", account + "history?=5", `there is no parameter "" here`},
		{"GET", account + "history?before=5;limit=7", "the query cannot be read: invalid semicolon separator in query"},
		{"GET", account + "history?before=%zz", `the query cannot be read: invalid URL escape "%zz"`},
		{"GET", account + "history?" + strings.Repeat("x", 4000),
			"there is no parameter \"" + strings.Repeat("x", 64) + "…\" here"},
		{"GET", account + "holdings?before=5",
			`there is no parameter "before" here; /api/v1/accounts/100017/holdings takes none`},
		{"GET", "/api/v1/accounts?before=5",
			`there is no parameter "before" here; /api/v1/accounts takes after, limit, offset, min_rows, q and sort`},
		{"GET", "/api/v1/accounts?after=1&after=2", "after is there 2 times"},
		{"GET", "/api/v1/accounts?q=01",
			`q: "01" is not the beginning of a number; write its first digits, as in 1000`},
		{"GET", "/api/v1/accounts?q=0", `q: "0" is not the beginning of a number`},
		{"GET", "/api/v1/accounts?q=ann", `q: "ann" is not the beginning of a number`},
		{"GET", "/api/v1/accounts?sort=name",
			`sort: "name" is nothing to sort by; it is one of account, cash, equity, ` +
				`realised, rows, seq, sessions and value, with - in front for the greatest first`},
		{"GET", "/api/v1/accounts?sort=--value", `sort: "--value" is nothing to sort by`},
		{"GET", "/api/v1/accounts?sort=value&after=5",
			"after goes with all accounts by number alone; for the next page " +
				"of others write offset"},
		{"GET", "/api/v1/accounts?q=1&after=5", "after goes with all accounts by number alone"},
		{"GET", "/api/v1/accounts?sort=value&offset=950",
			"the first 1000 of accounts that are sorted can be had, and " +
				"offset 950 with limit 100 is beyond; ask for fewer with q or min_rows, or by number with after"},
		{"GET", "/api/v1/accounts?offset=18446744073709551615", "the first 1000 of accounts"},
		{"GET", "/api/v1/accounts/100017?limit=5",
			`there is no parameter "limit" here; /api/v1/accounts/100017 takes none`},
		{"GET", "/api/v1/instruments?codes=SH.600519", "/api/v1/instruments takes after and limit"},
		{"GET", "/api/v1/instruments?after=600519",
			`after: "600519" is not market and code; write them as in SH.600519`},
		{"GET", "/api/v1/counters?name=events", "/api/v1/counters takes none"},
		{"GET", "/api/v1/sessions?uid=7",
			"/api/v1/sessions takes limit, after, account, state, min_waiting, remote and sort"},
		{"GET", "/api/v1/log?level=debug", "/api/v1/log takes none"},
		{"PUT", "/api/v1/log?level=debug", "/api/v1/log takes none"},
		{"GET", "/api/v1/simulator?rate=5", "/api/v1/simulator takes none"},
		{"PUT", "/api/v1/simulator?rate=5", "/api/v1/simulator takes none"},
		{"GET", "/api/v1/trades/100017-42?history=1", "/api/v1/trades/100017-42 takes none"},
		{"GET", "/api/v1/openapi.yaml?format=json", "/api/v1/openapi.yaml takes none"},
		{"POST", "/api/v1/backup?out=/b", "/api/v1/backup takes none"},
		{"POST", "/api/v1/busts?dry_run=1", "/api/v1/busts takes none"},
		{"POST", "/api/v1/corrections?dry_run=1", "/api/v1/corrections takes none"},
		{"DELETE", kick + "?resaon=late", `there is no parameter "resaon" here; /api/v1/sessions/7 takes none`},
		{"DELETE", kick + "?reason=late", `there is no parameter "reason" here`},
		{"GET", "/api/v1/accounts?after=", "after is empty"},
		{"GET", "/livez?verbose", `there is no parameter "verbose" here; /livez takes none`},
		{"HEAD", "/readyz?x=1", ""},
		{"GET", "/readyz?x=1", "/readyz takes verbose"},
		{"GET", "/readyz?verbose=1", `verbose is "1"; it takes no value: write ?verbose alone`},
		{"GET", "/metrics?name=ready", "/metrics takes none"},
		{"GET", "/debug/pprof/?debug=1", "/debug/pprof/ takes none"},
		{"GET", "/debug/pprof/cmdline?debug=1", "/debug/pprof/cmdline takes none"},
		{"GET", "/debug/pprof/heap?debug=one", `debug: "one" is not possible; it is one of 0, 1 and 2`},
		{"GET", "/debug/pprof/heap?GC=1",
			`there is no parameter "GC" here; /debug/pprof/heap takes debug, gc and seconds`},
		{"GET", "/debug/pprof/goroutine?gc=1", "gc is for the heap"},
		{"GET", "/debug/pprof/heap?seconds=1&debug=1", "seconds stands alone"},
		{"GET", "/debug/pprof/symbol?pc=0x1",
			`"pc=0x1" is not a program counter; write them in hexadecimal with + between them`},
		{"GET", "/debug/pprof/symbol?0x1+2", `"2" is not a program counter`},
		{"POST", "/debug/pprof/symbol?0x1", "/debug/pprof/symbol takes none"},
	} {
		f := newFixture(t, "")
		w := f.ask(c.method, c.target, "")
		var got failure
		_ = json.Unmarshal(w.Body.Bytes(), &got)
		if w.Code != 400 || got.Error.Code != "bad_request" || !strings.Contains(got.Error.Message, c.message) {
			t.Errorf("%s %.80s: %d %s, want 400 %s", c.method, c.target, w.Code, w.Body, c.message)
		}
		if f.ledger.limit != 0 || f.desk.asked != nil || len(f.list.infos) != 3 || len(f.backups) > 0 {
			t.Errorf("%s %.80s was refused and carried out", c.method, c.target)
		}
	}
}

// ambiguousNumbers are spellings of numbers that some program accepts, but that the console
// never writes.
var ambiguousNumbers = []string{
	"0100017", "00", "+100017", "-0", "-1", "1e5", "0x186b1", "0b1", "0o7", "1_000", "1.0", "1,000", "100017 ",
	"%20100017", "%09100017", "١٢", "１", "100017%00",
	"18446744073709551616", "NaN", "ten",
}

// TestNumbers: a number has one form, in a path and in a query, so that nothing has two names.
func TestNumbers(t *testing.T) {
	f := newFixture(t, "")
	for _, text := range append(ambiguousNumbers, "%00") {
		text = strings.ReplaceAll(text, " ", "%20")
		for pattern, want := range map[string]string{
			"/api/v1/accounts/%s/holdings": "is not an account; write its number, as in 100001",
			"/api/v1/accounts/%s/history":  "is not an account",
			"/api/v1/accounts?after=%s":    "after: ",
			"/api/v1/accounts?limit=%s":    "limit: ",
			"/api/v1/accounts/100017/history?before=%s": "is not a whole number; " +
				"write digits alone, without zeros in front",
			"/api/v1/trades/%s-42":     "is not the name of a trade",
			"/api/v1/trades/100017-%s": "is not the name of a trade",
		} {
			target := fmt.Sprintf(pattern, text)
			if strings.Contains(pattern, "?") {
				target = fmt.Sprintf(pattern, strings.ReplaceAll(text, "+", "%2b"))
			}
			w := f.ask("GET", target, "")
			var got failure
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 400 ||
				!strings.Contains(got.Error.Message, want) {
				t.Errorf("%s: %d %s, want 400 %s", target, w.Code, w.Body, want)
			}
		}
		if w := f.ask("DELETE", "/api/v1/sessions/"+text, ""); w.Code != 400 ||
			!strings.Contains(w.Body.String(), "is not a session") {
			t.Errorf("session %s: %d %s", text, w.Code, w.Body)
		}
	}
	for target, want := range map[string]int{
		"/api/v1/accounts/100017/holdings": 200, "/api/v1/accounts/0/holdings": 404,
		"/api/v1/accounts/18446744073709551615/history":       404,
		"/api/v1/accounts?after=0&limit=18446744073709551615": 200, "/api/v1/trades/100017-42": 200,
	} {
		if w := f.ask("GET", target, ""); w.Code != want {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
	for _, name := range []string{"0100017-42", "100017-042", "100017-+42", "+100017-42", "100017-42-1", "100017-42 ",
		"100017_42", "-42", "100017-", "-", ""} {
		if account, seq, err := ParseTradeID(name); err == nil {
			t.Errorf("%q is trade %d of account %d", name, seq, account)
		}
	}
}
