package console

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/papertape/papertape/audit"
	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/engine/gateway"
	"github.com/papertape/papertape/engine/simulator"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// ledger is a fake ledger of one account.
type ledger struct {
	holdings positions.Holdings
	events   []positions.Event
	accounts []engine.AccountInfo
	err      error         // if set, returned by all methods
	wait     chan struct{} // if set, closed when a call arrives, which then waits for its context

	oldest uint64 // the oldest event kept; 0: the first

	before, after uint64 // of the last call
	search        engine.AccountSearch
	searches      int
	walked        uint64 // where the last Walk began
	limit         int
}

func (l *ledger) Accounts(ctx context.Context, after uint64, limit int) ([]engine.AccountInfo, int, error) {
	l.after, l.limit = after, limit
	err := l.ask(ctx, l.holdings.Account)
	return l.accounts, len(l.accounts), err
}

func (l *ledger) Account(ctx context.Context, number uint64) (engine.AccountInfo, error) {
	err := l.ask(ctx, number)
	return l.accounts[0], err
}

func (l *ledger) FindAccounts(ctx context.Context, q engine.AccountSearch) ([]engine.AccountInfo, int, error) {
	l.search, l.limit = q, q.Limit
	l.searches++
	err := l.ask(ctx, l.holdings.Account)
	return l.accounts[:min(1, q.Limit)], 1, err
}

func (l *ledger) Holders(ctx context.Context, id market.ID, limit int) (engine.Held, error) {
	l.limit = limit
	l.searches++
	row := l.holdings.Positions[0].Row
	row.Instrument = id
	err := l.ask(ctx, l.holdings.Account)
	return engine.Held{
		Accounts: 1, Shares: row.Quantity, Most: []engine.Holder{{Account: l.holdings.Account, Row: row}},
	}, err
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
	page := slices.DeleteFunc(slices.Clone(l.events[older:]),
		func(ev positions.Event) bool { return ev.Seq < l.oldest })
	return page[:min(limit, len(page))], max(1, l.oldest), nil
}

// Walk overwrites its events after each call of see, as the engine does.
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

// desk answers every bust with the same event or refusal.
type desk struct {
	event    positions.Event
	repeated bool
	preview  engine.BustPreview
	outcome  positions.BustOutcome // the refusal, if it has a reason
	err      error                 // if set, returned instead

	asked *positions.BustRequest // the last request
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

func (d *desk) PreviewBust(_ context.Context, r *positions.BustRequest) (engine.BustPreview, error) {
	_, _, err := d.Bust(context.Background(), r)
	return d.preview, err
}

// bookings answers every booking with the same event or refusal.
type bookings struct {
	event    positions.Event
	repeated bool
	err      error // if set, returned instead

	opened positions.Adjustment // of the last account
	number uint64               // that was asked for
	asked  *positions.BookingRequest
}

func (b *bookings) OpenAccount(_ context.Context, number uint64, a positions.Adjustment) (positions.Event, error) {
	b.number, b.opened = number, a
	ev := b.event
	ev.Account, ev.Seq, ev.Kind, ev.Adjustment, ev.Reset = max(number, 200001), 1, positions.KindAdjustment, &a, nil
	return ev, b.err
}

func (b *bookings) Book(_ context.Context, r *positions.BookingRequest) (positions.Event, bool, error) {
	b.asked = r
	return b.event, b.repeated, b.err
}

func (b *bookings) OpeningCash(context.Context, uint64) (int64, error) { return 777_0000, b.err }

// tapes is a feed that takes quotes, with a bar and trades.
type tapes struct {
	feed *market.Feed
	err  error // if set, returned instead
	told []market.Update
}

const tapeTime = 1_700_000_000_000_000_000

func (m *tapes) Apply(_ context.Context, updates []market.Update) ([]market.Outcome, error) {
	if m.err != nil {
		return nil, m.err
	}
	m.told = slices.Clone(updates)
	for i := range updates {
		if updates[i].Time == 0 {
			updates[i].Time = tapeTime
		}
	}
	outcomes := make([]market.Outcome, len(updates))
	m.feed.Apply(tapeTime, updates, outcomes)
	return outcomes, nil
}

func (m *tapes) Bars(_ market.ID, seconds uint32, from, to int64, limit int) ([]market.Bar, bool) {
	return []market.Bar{{Time: from, Open: 1_0000, High: 4_0000, Low: 5000, Close: to % 7, Volume: int64(limit),
		Amount: int64(seconds), Trades: 3}}, true
}

func (m *tapes) Trades(_ market.ID, from int64, limit int) ([]market.TapeTrade, bool) {
	return []market.TapeTrade{{Time: from, Price: 1_0000, Size: int64(limit), Number: 9}}, true
}

func clockAt(name string) gateway.ClockState {
	return gateway.ClockState{Time: tapeTime, Status: market.StatusAuction, NextOpen: tapeTime + 1,
		NextClose: tapeTime + 2, Zone: "zone of " + name, Tape: true}
}

func calendarOf(_, from, to string) ([]gateway.CalendarDay, error) {
	if from > to {
		return nil, errors.New("the dates end before they begin")
	}
	return []gateway.CalendarDay{{Date: from, Opens: []int64{tapeTime}, Closes: []int64{tapeTime + 1}}, {Date: to}}, nil
}

// flow is a simulator that only remembers its rate.
type flow struct{ state simulator.State }

func (f *flow) State() simulator.State { return f.state }

func (f *flow) Change(rate *float64, paused *bool) error {
	if rate != nil && (*rate < 0 || *rate > 10) {
		return errors.New("the rate must be between 0 and 10")
	}
	if rate != nil {
		f.state.Rate, f.state.Remembered = *rate, *rate
	}
	if paused != nil {
		f.state.Paused = *paused
	}
	return nil
}

// roster is a fake list of sessions; a kick removes one.
type roster struct {
	infos  []gateway.SessionInfo
	search gateway.SessionSearch
	reason string // of the last kick
}

func (l *roster) Sessions() []gateway.SessionInfo { return slices.Clone(l.infos) }

func (l *roster) FindSessions(q gateway.SessionSearch) ([]gateway.SessionInfo, int, gateway.SessionTotals) {
	l.search = q
	return slices.Clone(l.infos[:min(q.Limit, len(l.infos))]), len(l.infos), gateway.SessionTotals{
		Sessions: len(l.infos), Live: 1, CatchingUp: 1, NotLoggedIn: 1, WaitingBytes: 77, InFlight: 2,
	}
}

func (l *roster) Ended(limit int, wanted func(*gateway.EndedSession) bool) (list []gateway.EndedSession, all uint64) {
	for i, cause := range []string{"slow_outbox", "client"} {
		e := gateway.EndedSession{SessionInfo: connected().infos[i], Ended: time.Unix(1_700_000_100, 0), Cause: cause}
		if wanted(&e) && len(list) < limit {
			list = append(list, e)
		}
	}
	return list, 2
}

func (l *roster) Kick(uid uint64, reason string) bool {
	n := len(l.infos)
	l.infos = slices.DeleteFunc(l.infos, func(in gateway.SessionInfo) bool { return in.UID == uid })
	l.reason = reason
	return len(l.infos) < n
}

// connected returns sessions in each state.
func connected() *roster {
	at := time.Unix(1_700_000_000, 123_456_789).In(time.FixedZone("CST", 8*60*60))
	return &roster{infos: []gateway.SessionInfo{
		{UID: 3, Account: 100017, Remote: "127.0.0.1:5001", Since: at, LastRead: at.Add(time.Minute),
			WaitingBytes: 77, InFlight: 2, CatchingUp: true, FramesReceived: 11, BytesReceived: 220,
			FramesSent: 31, BytesSent: 4100},
		{UID: 7, Account: 100018, Remote: "[::1]:5002", Since: at.Add(time.Second)},
		{UID: 9, Remote: "127.0.0.1:5003", Since: at.Truncate(time.Second)},
	}}
}

// level is a log level that can have two values.
type level string

func (l *level) Level() string { return string(*l) }

func (l *level) SetLevel(name string) error {
	if name != "info" && name != "debug" {
		return fmt.Errorf("there is no level %q; write info or debug", name)
	}
	*l = level(name)
	return nil
}

// golden is an account with every kind of event, amounts that need four decimals, and a hash
// that begins with zeros.
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
	adjusted := &positions.Adjustment{Cash: -10_000, Reason: "a fee", Actor: "ann", ID: "a-1"}
	reset := &positions.Reset{Cash: 5_0001, Reason: "anew", Actor: "ann", ID: "r-1", Gone: []market.ID{id}}
	const account, at = 100017, 1_700_000_000_123_456_789
	return &ledger{
		holdings: positions.Holdings{
			Account: account, Seq: 43, Positions: []positions.Position{row}, TotalMarketValue: row.MarketValue(),
			Cash: cash,
			Hash: 0x00ff_0000_0000_0001,
		},
		events: []positions.Event{
			{Account: account, Seq: 44, Time: at + 211, Cash: cash, Kind: positions.KindBust,
				Change: positions.Unchanged,
				Bust: &positions.Bust{
					TradeSeq: 42, Reason: "mistyped", Actor: "ann", ID: "b-1", Original: trade, Replacement: &corrected,
					Cascade: []uint64{43}, Positions: []positions.Position{row},
				}},
			{Account: account, Seq: 43, Time: at + 1, Cash: cash, Kind: positions.KindTrade, Change: positions.Closed,
				Trade: sold, Position: gone},
			{Account: account, Seq: 42, Time: at, Cash: cash, Kind: positions.KindTrade, Change: positions.Opened,
				Trade: trade, Position: row,
				TotalMarketValue: row.MarketValue()},
			{Account: account, Seq: 2, Time: at - 1e8, Cash: positions.Cash{Balance: 5_0001}, Kind: positions.KindReset,
				Reset: reset},
			{Account: account, Seq: 1, Time: at - 1e9, Cash: cash, Kind: positions.KindAdjustment,
				Adjustment: adjusted},
		},
		accounts: []engine.AccountInfo{
			{Number: account, Seq: 43, Time: at + 1, Cash: cash, TotalMarketValue: row.MarketValue(), Rows: 1,
				Sessions: 2},
			{Number: account + 1, Seq: 1, Cash: positions.Cash{Balance: 10_000}},
		},
	}
}

// fixture is a console over fakes.
type fixture struct {
	ledger *ledger
	desk   *desk
	booked *bookings
	tapes  *tapes
	flow   *flow
	list   *roster
	level  level
	ready  error
	server *Server
	url    string
	client *Client

	state   string // of the server; "": ready
	journal *audit.Log

	backups          []string // the directories requested
	backupErr        error
	reloadErr        error
	stopOtherProfile func() // ends a profile that record has started; nil: there is none
}

func newFixture(t *testing.T, token string) *fixture {
	t.Helper()
	return newFixtureWith(t, func(c *Config) {
		if token != "" {
			c.Keys, c.Anonymous = Token(token), Nobody
		}
	})
}

// newFixtureWith makes a fixture whose console has a changed configuration.
func newFixtureWith(t *testing.T, change func(*Config)) *fixture {
	t.Helper()
	f := unserved(t, change)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	server := f.server // a test may put another in its place
	go func() { served <- server.Serve(ln) }()
	t.Cleanup(func() {
		if err := f.server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve after Shutdown: %v, want nil", err)
		}
	})
	f.url = "http://" + ln.Addr().String()
	f.client = NewClient(ln.Addr().String(), fixtureToken(server.cfg.Keys))
	return f
}

// unserved makes a fixture that is asked without the network alone. Nobody shuts it down.
func unserved(t *testing.T, change func(*Config)) *fixture {
	t.Helper()
	u := market.Default()
	f := &fixture{
		ledger: golden(t, u),
		tapes:  &tapes{feed: market.Fixed(u)},
		flow:   &flow{simulator.State{Rate: 1, Fills: 2, Refused: 3, None: 4, Skipped: 5}},
	}
	f.list, f.level, f.desk = connected(), "info", &desk{event: f.ledger.events[0]}
	f.booked = &bookings{event: f.ledger.events[3]}
	f.desk.preview = engine.BustPreview{Event: f.desk.event, Before: f.ledger.holdings}
	f.journal = audit.New(audit.Options{Clock: func() time.Time { return time.Unix(1_700_000_000, 0) }})
	if err := f.journal.OpenMemory(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.journal.Close() })
	prices := u.Opening().With(0, 12_3456)
	cfg := Config{
		Universe: u, Prices: func() *market.Prices { return prices },
		Market: f.tapes, Bars: f.tapes, Clock: clockAt, Calendar: calendarOf,
		Books: f.ledger, Busts: f.desk, Bookings: f.booked, Sessions: f.list, Simulator: f.flow,
		Script: func() simulator.Progress {
			return simulator.Progress{
				Played: simulator.Played{Fills: 1, Busts: 2, Refused: 3, Skipped: 4}, Steps: 6, Ended: 5, Running: true,
			}
		},
		About: f.about, Limits: f.limits, Checks: f.checks, Journal: f.journalState, Settings: f.settings,
		AuditPages: f.journal,
		Counters:   func() []Counter { return []Counter{{Name: "events", Value: 7, What: "changes of accounts"}} },
		LogLevel:   &f.level, Ready: func() error { return f.ready }, Log: zerolog.Nop(), Backup: f.backup,
		ReloadKeys: f.reloadKeys,
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
			_, _ = io.WriteString(w, "up 1\n")
		}),
		BackupDir: "/", Anonymous: Operate, // so that most tests need no key
	}
	change(&cfg)
	var err error
	if f.server, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) about() About {
	epoch, percent := Hash(7), 43
	a := About{
		Version: "1.2.3", Epoch: &epoch, Started: time.Unix(1_700_000_000, 0).UTC(), State: StateReady,
		Durability: "sync",
		Addresses:  Addresses{"127.0.0.1:7300", "127.0.0.1:7301", "127.0.0.1:7303"},
		Accounts:   AccountRange{100001, 100},
		Tape: &TapeClock{First: time.Unix(1_700_000_000, 0).UTC(), Now: time.Unix(1_700_000_060, 0).UTC(), Moments: 3,
			Updates: 9, Ended: true, InterferedBy: "a test"},
	}
	if f.state != "" {
		a.Epoch, a.State, a.Reason, a.Percent = nil, f.state, "recovering: 43%", &percent
	}
	return a
}

func (f *fixture) limits() []Limit {
	return []Limit{
		{Name: "connections", Value: 3, Limit: 100, Unit: "connections", What: "connections of clients"},
		{Name: "disk_free", Value: 500, Limit: 100, Unit: "bytes", Low: true, What: "what is free"},
	}
}

func (f *fixture) checks() []Check { return []Check{{"recovered", true, "the books are restored"}} }

func (f *fixture) journalState() JournalState {
	epoch, at := Hash(7), time.Unix(1_700_000_000, 0).UTC()
	return JournalState{
		Kept: true, Durability: "sync", Epoch: &epoch, Directory: "/data", Commits: 9, Events: 12, Bytes: 500,
		EventsACommit: 1.5, Checkpoints: 2, CheckpointMS: 3, CheckpointAt: &at, UncheckpointedBytes: 4,
		UncheckpointedLimitBytes: 1000, DiskBytes: 5, DiskFreeBytes: 500, DiskFreeLimitBytes: 100,
	}
}

func (f *fixture) settings() []Setting {
	return []Setting{{"admin_token_file", "/token", "--admin-token-file", false, "the file with the token", "set"}}
}

// latencies has something of each.
type latencies struct{}

func (latencies) Latest() []Latency {
	return []Latency{
		{Name: "push", P50MS: 0.5, P99MS: 250, MaxMS: 300, Count: 7}, {Name: "sync", P50MS: 0.1, P99MS: 2,
			MaxMS: 3, Count: 9},
	}
}

func (f *fixture) reloadKeys() (KeysReload, error) {
	r := KeysReload{Keys: 2, Added: []string{"PK1"}, Gone: []string{"PK2"}, SessionsEnded: 1}
	r.Expired, r.Less = []string{}, []string{}
	return r, f.reloadErr
}

// fixtureToken returns the token of a fixture's console, if it has one.
func fixtureToken(keys Authenticator) string {
	if keys == nil {
		return ""
	}
	return "0123456789abcdef"
}

// backup pretends to write a copy of 4711 bytes.
func (f *fixture) backup(dir string) (int64, error) {
	f.backups = append(f.backups, dir)
	return 4711, f.backupErr
}

// ask makes a request without the network, and returns the answer.
func (f *fixture) ask(method, target, body string, header ...string) *httptest.ResponseRecorder {
	return f.askHost("127.0.0.1:7301", method, target, body, header...)
}

// askHost makes a request under a host name.
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

// send writes a raw request, and reads the answer.
func (f *fixture) send(t *testing.T, request string) (status int, answer string) {
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
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	return resp.StatusCode, string(body)
}
