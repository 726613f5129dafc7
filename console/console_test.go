package console

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/engine/gateway"
	"github.com/papertape/papertape/engine/simulator"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The default pool of ants, which its package makes, is there before the tests.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

// ledger is a ledger of one account.
type ledger struct {
	holdings positions.Holdings
	events   []positions.Event
	accounts []engine.AccountInfo
	err      error         // answered instead
	wait     chan struct{} // not nil: closed when a question has arrived, which then waits for its context

	oldest uint64 // the oldest event kept; 0: the first

	before, after uint64 // of the last question
	walked        uint64 // from which event, the last time
	limit         int
}

func (l *ledger) Accounts(ctx context.Context, after uint64, limit int) ([]engine.AccountInfo, error) {
	l.after, l.limit = after, limit
	err := l.ask(ctx, l.holdings.Account)
	return l.accounts, err
}

func (l *ledger) ask(ctx context.Context, account uint64) error {
	if l.wait != nil {
		close(l.wait)
		<-ctx.Done()
		return ctx.Err()
	}
	if l.err == nil && account != l.holdings.Account {
		return engine.ErrUnknownAccount
	}
	return l.err
}

func (l *ledger) Holdings(ctx context.Context, account uint64) (positions.Holdings, error) {
	err := l.ask(ctx, account)
	return l.holdings, err
}

func (l *ledger) History(ctx context.Context, account, before uint64, limit int) ([]positions.Event, uint64, error) {
	l.before, l.limit = before, limit
	if err := l.ask(ctx, account); err != nil {
		return nil, 0, err
	}
	older := slices.IndexFunc(l.events, func(ev positions.Event) bool { return before == 0 || ev.Seq < before })
	if older < 0 {
		return nil, max(1, l.oldest), nil
	}
	page := l.events[older:]
	return page[:min(limit, len(page))], max(1, l.oldest), nil
}

// Walk gives events that are overwritten afterwards, as those of the engine are.
func (l *ledger) Walk(ctx context.Context, account, from uint64, see func(*positions.Event)) error {
	l.walked = from
	if err := l.ask(ctx, account); err != nil {
		return err
	}
	if from < l.oldest {
		return fmt.Errorf("events %d to %d of account %d: %w", from, l.oldest-1, account, engine.ErrNotKept)
	}
	for i := len(l.events) - 1; i >= 0; i-- {
		if ev := l.events[i]; ev.Seq >= from {
			see(&ev)
			ev = positions.Event{}
		}
	}
	return nil
}

// desk takes one trade back, whatever it is asked, or refuses to.
type desk struct {
	event    positions.Event
	repeated bool
	outcome  positions.BustOutcome // a refusal
	err      error                 // answered instead

	asked *positions.BustRequest // the last one
}

func (d *desk) Bust(_ context.Context, r *positions.BustRequest) (positions.Event, bool, error) {
	d.asked = r
	for _, o := range []positions.BustOutcome{r.Check(), d.outcome} {
		if o.Reason != positions.NoBustRefusal {
			return positions.Event{}, false, &engine.BustRefusedError{Outcome: o}
		}
	}
	return d.event, d.repeated, d.err
}

// flow is a simulator that only counts to what it was told.
type flow struct{ state simulator.State }

func (f *flow) State() simulator.State { return f.state }

func (f *flow) SetRate(rate float64) error {
	if rate < 0 || rate > 10 {
		return errors.New("the rate must be between 0 and 10")
	}
	f.state.Rate = rate
	return nil
}

// roster is the connections of a gateway, which go when they are kicked.
type roster struct {
	infos  []gateway.SessionInfo
	reason string // of the last kick
}

func (l *roster) Sessions() []gateway.SessionInfo { return slices.Clone(l.infos) }

func (l *roster) Kick(uid uint64, reason string) bool {
	n := len(l.infos)
	l.infos = slices.DeleteFunc(l.infos, func(in gateway.SessionInfo) bool { return in.UID == uid })
	l.reason = reason
	return len(l.infos) < n
}

// connected are a session of each state.
func connected() *roster {
	at := time.Unix(1_700_000_000, 123_456_789).In(time.FixedZone("CST", 8*60*60))
	return &roster{infos: []gateway.SessionInfo{
		{UID: 3, Account: 100017, Remote: "127.0.0.1:5001", Since: at, WaitingBytes: 77, InFlight: 2, CatchingUp: true},
		{UID: 7, Account: 100018, Remote: "[::1]:5002", Since: at.Add(time.Second)},
		{UID: 9, Remote: "127.0.0.1:5003", Since: at.Truncate(time.Second)},
	}}
}

// level is a level of two.
type level string

func (l *level) Level() string { return string(*l) }

func (l *level) SetLevel(name string) error {
	if name != "info" && name != "debug" {
		return fmt.Errorf("there is no level %q; write info or debug", name)
	}
	*l = level(name)
	return nil
}

// golden is an account with every kind of event, amounts that need four decimals, and a hash that begins with zeros.
func golden(t *testing.T, u *market.Universe) *ledger {
	t.Helper()
	id, ok := u.Lookup([]byte("SH"), []byte("600519"))
	if !ok {
		t.Fatal("SH.600519 is not shipped any more")
	}
	orderID, _ := positions.MakeOrderID([]byte(`a "quoted" id`))
	row := positions.Position{
		Row:      positions.Row{Quantity: 300, Cost: 4_500_000_001, Realised: -1, Version: 42, Instrument: id},
		Sellable: 200, Price: 15_000_100,
	}
	gone := row
	gone.Row = positions.Row{Version: 43, Instrument: id}
	cash := positions.Cash{Balance: math.MaxInt64, FeesPaid: 12_345, Realised: -99_800}
	trade := positions.Trade{
		Quantity: 300, Price: 15_000_100, Amount: 4_500_030_000, Fees: 5, Instrument: id, Side: positions.Buy,
		Origin: positions.OriginClient, OrderID: orderID,
	}
	corrected := trade
	corrected.Price, corrected.Amount, corrected.Revision = 15_000_000, 4_500_000_000, 1
	sold := trade
	sold.Side, sold.Origin, sold.OrderID = positions.Sell, positions.OriginSimulator, positions.OrderID{}
	adjusted := &positions.Adjustment{Cash: -10_000, Reason: "a fee", Actor: "ann"}
	const account, at = 100017, 1_700_000_000_123_456_789
	return &ledger{
		holdings: positions.Holdings{
			Account: account, Seq: 43, Positions: []positions.Position{row}, TotalMarketValue: row.MarketValue(), Cash: cash,
			Hash: 0x00ff_0000_0000_0001,
		},
		events: []positions.Event{
			{Account: account, Seq: 44, Time: at + 211, Cash: cash, Kind: positions.KindBust, Change: positions.Unchanged,
				Bust: &positions.Bust{
					TradeSeq: 42, Reason: "mistyped", Actor: "ann", ID: "b-1", Original: trade, Replacement: &corrected,
					Cascade: []uint64{43}, Positions: []positions.Position{row},
				}},
			{Account: account, Seq: 43, Time: at + 1, Cash: cash, Kind: positions.KindTrade, Change: positions.Closed, Trade: sold, Position: gone},
			{Account: account, Seq: 42, Time: at, Cash: cash, Kind: positions.KindTrade, Change: positions.Opened, Trade: trade, Position: row,
				TotalMarketValue: row.MarketValue()},
			{Account: account, Seq: 1, Time: at - 1e9, Cash: cash, Kind: positions.KindAdjustment, Adjustment: adjusted},
		},
		accounts: []engine.AccountInfo{
			{Number: account, Seq: 43, Cash: cash, TotalMarketValue: row.MarketValue(), Rows: 1, Sessions: 2},
			{Number: account + 1, Seq: 1, Cash: positions.Cash{Balance: 10_000}},
		},
	}
}

// fixture is a console over fakes.
type fixture struct {
	ledger *ledger
	desk   *desk
	flow   *flow
	list   *roster
	level  level
	ready  error
	server *Server
	url    string
	client *Client

	backups   []string // asked for
	backupErr error
	elsewhere func() // ends what is recorded by other means than the console; nil: nothing is
}

func newFixture(t *testing.T, token string) *fixture {
	t.Helper()
	return newFixtureOf(t, func(c *Config) { c.Token = token })
}

// newFixtureOf has a test change the configuration of the console.
func newFixtureOf(t *testing.T, change func(*Config)) *fixture {
	t.Helper()
	u := market.Default()
	f := &fixture{ledger: golden(t, u), flow: &flow{simulator.State{Rate: 1, Fills: 2, Refused: 3, None: 4, Skipped: 5}}}
	f.list, f.level, f.desk = connected(), "info", &desk{event: f.ledger.events[0]}
	prices := u.Opening().With(0, 12_3456)
	cfg := Config{
		Universe: u, Prices: func() *market.Prices { return prices }, Books: f.ledger, Busts: f.desk, Sessions: f.list, Simulator: f.flow,
		Counters: func() []Counter { return []Counter{{Name: "events", Value: 7, What: "changes of accounts"}} },
		LogLevel: &f.level, Ready: func() error { return f.ready }, Log: zerolog.Nop(), Backup: f.backup,
	}
	change(&cfg)
	var err error
	if f.server, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- f.server.Serve(ln) }()
	t.Cleanup(func() {
		if err := f.server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve after Shutdown: %v, want nil", err)
		}
	})
	f.url = "http://" + ln.Addr().String()
	f.client = NewClient(ln.Addr().String(), cfg.Token)
	return f
}

// backup pretends to write a copy of 4711 bytes.
func (f *fixture) backup(dir string) (int64, error) {
	f.backups = append(f.backups, dir)
	return 4711, f.backupErr
}

// ask sends a request without the network and returns what came back.
func (f *fixture) ask(method, target, body string, header ...string) *httptest.ResponseRecorder {
	return f.askHost("127.0.0.1:7301", method, target, body, header...)
}

// askHost asks by a name.
func (f *fixture) askHost(host, method, target, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = host
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	f.server.http.Handler.ServeHTTP(w, r)
	return w
}

// send writes a request as it is, and reads the answer.
func (f *fixture) send(t *testing.T, request string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(f.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // it was read
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	return resp, string(body)
}

// TestGolden holds the JSON, which scripts rely on, to the byte.
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
		{"GET", "/nowhere", "", 404, "not_found", "there is nothing at /nowhere; see /livez, /readyz, /debug/pprof/ and /api/v1/"},
		{"GET", "/api/v1/accounts/100017", "", 404, "not_found", "there is nothing at /api/v1/accounts/100017"},
		{"GET", "/api/v1/accounts/7/holdings", "", 404, "unknown_account", "there is no account 7"},
		{"GET", "/api/v1/accounts/7/history", "", 404, "unknown_account", "there is no account 7"},
		{"GET", "/api/v1/accounts/ann/holdings", "", 400, "bad_request", `"ann" is not an account; write its number, as in 100001`},
		{"GET", "/api/v1/accounts/-1/history", "", 400, "bad_request", `"-1" is not an account`},
		{"GET", account + "history?limit=ten", "", 400, "bad_request", `limit: "ten" is not a whole number; write digits alone, without zeros in front, from 0 to 18446744073709551615`},
		{"GET", account + "history?before=-1", "", 400, "bad_request", `before: "-1" is not a whole number`},
		{"POST", account + "holdings", "", 405, "method_not_allowed", account + "holdings takes GET, not POST"},
		{"DELETE", "/api/v1/simulator", "", 405, "method_not_allowed", "/api/v1/simulator takes GET or PUT, not DELETE"},
		{"POST", "/readyz", "", 405, "method_not_allowed", "/readyz takes GET, not POST"},
		{"PUT", "/api/v1/simulator", "", 400, "bad_request", "the body is not what is expected here: it is empty; write an object with rate"},
		{"PUT", "/api/v1/simulator", "{}", 400, "bad_request", `the rate is missing: write {"rate": 2000}`},
		{"PUT", "/api/v1/simulator", `{"rate":null}`, 400, "bad_request", "rate: null is no value; write one, or leave the member out"},
		{"PUT", "/api/v1/simulator", `{"rate":"5"}`, 400, "bad_request", "the body is not what is expected here: rate must be a number, and is a string"},
		{"PUT", "/api/v1/simulator", `{"rate":5,"burst":1}`, 400, "bad_request", `there is no "burst" here; it takes rate`},
		{"PUT", "/api/v1/simulator", `{"rate":5}{}`, 400, "bad_request", "after top-level value"},
		{"PUT", "/api/v1/simulator", `{"rate":5}x`, 400, "bad_request", "invalid character 'x'"},
		{"PUT", "/api/v1/simulator", `{"rate":5` + strings.Repeat(" ", bodyBytesMax) + "}", 400, "bad_request", "the body is longer than 65536 bytes"},
		{"PUT", "/api/v1/simulator", `{"rate":5}` + strings.Repeat(" ", bodyBytesMax), 400, "bad_request", "the body is longer than 65536 bytes"},
		{"PUT", "/api/v1/simulator", `{"rate":11}`, 400, "bad_request", "the rate must be between 0 and 10"},
	} {
		w := f.ask(c.method, c.target, c.body)
		var got failure
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Errorf("%s %s: %v in %s", c.method, c.target, err, w.Body)
		}
		if w.Code != c.status || got.Error.Code != c.code || !strings.Contains(got.Error.Message, c.message) {
			t.Errorf("%s %s %.40s: %d %+v, want %d %s %s", c.method, c.target, c.body, w.Code, got.Error, c.status, c.code, c.message)
		}
		if allow := w.Header().Get("Allow"); (c.status == 405) != (allow != "") {
			t.Errorf("%s %s: Allow %q", c.method, c.target, allow)
		}
	}
	if f.flow.state.Rate != 1 {
		t.Errorf("a refused request changed the rate to %v", f.flow.state.Rate)
	}
}

// TestLedgerErrors answers what goes wrong behind the console.
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
			if w.Code != c.status || !strings.Contains(w.Body.String(), `"`+c.code+`"`) || strings.Contains(w.Body.String(), "secret") {
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
	if !errors.As(err, &answered) || answered.Status != 503 || answered.Code != "not_ready" || answered.Text != "draining" {
		t.Errorf("a server that drains: %+v", err)
	}
	if w := f.ask("GET", "/livez", ""); w.Code != 200 {
		t.Errorf("/livez of a server that drains: %d", w.Code)
	}
}

// TestToken asks with the right token, a wrong one, a longer one and none.
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
		for _, target := range []string{"/api/v1/simulator", "/debug/pprof/cmdline", "/nowhere", "/"} {
			want := want
			if want == 200 && !strings.Contains(target, "i") {
				want = 404
			}
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
	if want := "this console wants its token: name the file that holds it with --admin-token-file"; err == nil || err.Error() != want {
		t.Errorf("without a token: %v, want %s", err, want)
	}
}
