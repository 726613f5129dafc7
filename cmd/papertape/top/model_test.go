package top

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/papertape/papertape/console"
)

func sessionsModel() *model {
	return newModel("127.0.0.1:7301", Query{View: Sessions, Sort: "-waiting", Rows: 20})
}

// press presses keys and returns what the last led to.
func (m *model) press(keys string) (last action) {
	for _, k := range keys {
		last = m.key(k)
	}
	return last
}

func TestKeys(t *testing.T) {
	for _, c := range []struct {
		keys string
		want Query
		do   action
		said string
	}{
		{"", Query{Sessions, "-waiting", 20, ""}, action{}, ""},
		{"o", Query{Sessions, "-in_flight", 20, ""}, action{refresh: true}, ""},
		{"ooooo", Query{Sessions, "uid", 20, ""}, action{refresh: true}, ""},
		{"oooooo", Query{Sessions, "-waiting", 20, ""}, action{refresh: true}, ""},
		{"O", Query{Sessions, "waiting", 20, ""}, action{refresh: true}, ""},
		{"OO", Query{Sessions, "-waiting", 20, ""}, action{refresh: true}, ""},
		{"Oo", Query{Sessions, "-in_flight", 20, ""}, action{refresh: true}, ""},
		{"a", Query{Accounts, "-value", 20, ""}, action{refresh: true}, ""},
		{"aos", Query{Sessions, "-waiting", 20, ""}, action{refresh: true}, ""},
		{"ios", Query{Sessions, "-waiting", 20, ""}, action{refresh: true}, ""},
		{"i", Query{Instruments, "-change", 20, ""}, action{refresh: true}, ""},
		{"n5\r", Query{Sessions, "-waiting", 5, ""}, action{refresh: true}, ""},
		{"n0\r", Query{Sessions, "-waiting", 20, ""}, action{}, `"0" is no number of rows; write 1 to 1000`},
		{"n1001\r", Query{Sessions, "-waiting", 20, ""}, action{}, `"1001" is no number of rows; write 1 to 1000`},
		{"n5\x1b", Query{Sessions, "-waiting", 20, ""}, action{}, ""},
		{"f10.0.\r", Query{Sessions, "-waiting", 20, "10.0."}, action{refresh: true}, ""},
		{"fqo\x7f\x15live\r", Query{Sessions, "-waiting", 20, "live"}, action{refresh: true}, ""},
		{"flive\rf\r", Query{Sessions, "-waiting", 20, ""}, action{refresh: true}, ""},
		{"f\x7f\x7f贵\x7fx\r", Query{Sessions, "-waiting", 20, "x"}, action{refresh: true}, ""},
		{"af1000\r", Query{Accounts, "-value", 20, "1000"}, action{refresh: true}, ""},
		{"afann\r", Query{Accounts, "-value", 20, ""}, action{},
			`filter "ann": accounts are found by the beginning of their number, as in 1000`},
		{"af1000\rs", Query{Sessions, "-waiting", 20, ""}, action{refresh: true}, ""},
		{"k17\ry\r", Query{Sessions, "-waiting", 20, ""}, action{kick: 17}, ""},
		{"k17\rn\r", Query{Sessions, "-waiting", 20, ""}, action{}, "session 17 goes on"},
		{"k17\r\r", Query{Sessions, "-waiting", 20, ""}, action{}, "session 17 goes on"},
		{"k17\r\x1b", Query{Sessions, "-waiting", 20, ""}, action{}, ""},
		{"kann\r", Query{Sessions, "-waiting", 20, ""}, action{},
			`"ann" is not the uid of a session; the table of sessions has them`},
		{"q", Query{Sessions, "-waiting", 20, ""}, action{quit: true}, ""},
		{"fq", Query{Sessions, "-waiting", 20, ""}, action{}, ""},
		{"fq\x03", Query{Sessions, "-waiting", 20, ""}, action{quit: true}, ""},
		{"xyz", Query{Sessions, "-waiting", 20, ""}, action{}, ""},
	} {
		m := sessionsModel()
		if do := m.press(c.keys); m.query != c.want || do != c.do || m.said != c.said {
			t.Errorf("%q: %+v, %+v, %q\nwant %+v, %+v, %q", c.keys, m.query, do, m.said, c.want, c.do, c.said)
		}
	}
	m := sessionsModel()
	if m.press("f" + strings.Repeat("x", 100)); len(m.asking.typed) != 64 {
		t.Errorf("%d letters were taken", len(m.asking.typed))
	}
}

var start = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// sampleAt is a sample so many seconds after start.
func sampleAt(seconds float64, counters map[string]uint64, t Table) *sample {
	return &sample{at: start.Add(time.Duration(seconds * float64(time.Second))), counters: counters, table: t,
		query: Query{View: Sessions, Sort: "-waiting", Rows: 20}}
}

func TestRates(t *testing.T) {
	a := sampleAt(0, map[string]uint64{"events": 1000, "requests": 500, "busy": 7}, Table{})
	b := sampleAt(2, map[string]uint64{"events": 5026, "requests": 500, "busy": 3, "connections": 9}, Table{})
	got := ratesBetween(a, b)
	if len(got) != 2 || got["events"] != 2013 || got["requests"] != 0 {
		t.Errorf("%v; want events at 2013, requests at 0, and nothing of busy, which fell", got)
	}
	for _, c := range [][2]*sample{{nil, b}, {{err: errors.New("none")}, b}, {a, {err: errors.New("none")}}, {a, a}} {
		if got := ratesBetween(c[0], c[1]); len(got) > 0 {
			t.Errorf("%v between %+v", got, c)
		}
	}
}

func TestPauseAndFailure(t *testing.T) {
	m := sessionsModel()
	first, second := sampleAt(0, nil, Table{Total: 1}), sampleAt(1, nil, Table{Total: 2})
	m.take(first)
	m.press("p")
	if m.take(second); m.now != first {
		t.Error("a pause shows what came meanwhile")
	}
	other := sampleAt(2, nil, Table{Total: 3})
	other.query.Filter = "live"
	if m.take(other); m.now != other {
		t.Error("during a pause nothing else can be shown")
	}
	if do := m.press("p"); !do.refresh {
		t.Error("after a pause it does not ask at once")
	}
	m.take(&sample{err: errors.New("no answer\x1b[2J"), at: start})
	frame := textOf(m.frame(24, start.Add(9*time.Second)))
	if m.now != other || !strings.Contains(frame, "7 s old") || !strings.Contains(frame, "no answer?[2J") &&
		!strings.Contains(frame, "no answer") || strings.Contains(frame, "\x1b") {
		t.Errorf("a failure shows\n%q", frame)
	}
	if m.take(second); m.failure != nil {
		t.Error("the failure stays after an answer")
	}
}

func textOf(lines []line) string {
	var all []string
	for _, l := range lines {
		all = append(all, l.text)
	}
	return strings.Join(all, "\n")
}

func TestFrame(t *testing.T) {
	table := Table{Total: 9996, Sessions: []console.Session{
		{UID: 8812, Account: 100017, Remote: "10.0.0.9:4711", Since: start, WaitingBytes: 217088, InFlight: 2,
			BytesSent: 5 << 20, Key: "desk 7"},
		{UID: 9001, Account: 100455, Remote: "10.0.0.1:1", Since: start, WaitingBytes: 64 << 10, CatchingUp: true},
		{UID: 9002, Remote: "evil\x1b[2J", Since: start},
	}}
	counters := func(n uint64) map[string]uint64 {
		return map[string]uint64{"events": 2013 * n, "requests": 4870 * n, "steps": 10 * n, "orders_refused": n,
			"busy": 0, "connections": 9996, "logins": 0, "accepted": 0, "refused_full": 0, "cut_outbox": n,
			"protocol_errors": 0,
			"history_bytes":   432013312, "history_events": 9_000_000, "journal_commits": 800 * n,
			"journal_events": 2000 * n, "journal_bytes": 1 << 17 * n, "journal_checkpoint_ms": 12,
			"journal_disk_bytes": 5 << 20, "panics": 1}
	}
	m := sessionsModel()
	m.take(sampleAt(0, counters(0), table))
	m.take(sampleAt(1, counters(1), table))
	m.now.limits = []console.Limit{
		{Name: "connections", Value: 9996, Limit: 18_500, Unit: "connections", What: "connections of clients"},
		{Name: "outboxes", Value: 900 << 20, Limit: 1 << 30, Unit: "bytes", What: "what waits for clients"},
		{Name: "disk", Value: 300 << 20, Limit: 256 << 20, Unit: "bytes", Low: true, What: "room on the disk"},
		{Name: "room", Value: 3 << 30, Limit: 256 << 20, Unit: "bytes", Low: true, What: "room elsewhere"},
		{Name: "history_memory", Value: 1 << 30, Limit: 1 << 30, Unit: "bytes", What: "events in memory"},
		{Name: "none", What: "what has no limit"},
	}
	const want = `papertape top  127.0.0.1:7301  SIMULATED  ready  12:00:01
events 2,013/s  requests 4,870/s  steps 10/s  orders refused 1.0/s  busy 0/s
connections 9,996 of 18,500  logins 0/s  accepted 0/s  refused 0/s  cut as slow 1.0/s  protocol errors 0/s
journal 800/s commits of 2.5 events, 128 KiB/s  checkpoint 12 ms  on disk 5 MiB  history 412 MiB in 9,000,000 events
! what waits for clients: 900 MiB, and the limit is 1 GiB
! room on the disk: 300 MiB, and the limit is 256 MiB
! 1: panics contained since the start: look at the log

sessions by -waiting, 3 of 9,996
 uid  account  state          waiting  in flight  received   sent  since                remote         key
8812   100017  live           212 KiB          2       0 B  5 MiB  2026-11-30 12:00:00  10.0.0.9:4711  desk 7
9001   100455  catching_up     64 KiB          0       0 B    0 B  2026-11-30 12:00:00  10.0.0.1:1
9002        0  not_logged_in      0 B          0       0 B    0 B  2026-11-30 12:00:00  evil?[2J`
	if got := textOf(m.frame(0, m.now.at)); got != want {
		t.Errorf("it shows\n%s\nwant\n%s", got, want)
	}
	m.press("b")
	if got := textOf(m.frame(0, m.now.at)); !strings.Contains(got, "  217,088  ") {
		t.Errorf("bytes in full:\n%s", got)
	}
	for height := range 17 {
		if got := m.frame(height+1, start); len(got) != height+1 || got[height].text != "? keys  q quit" {
			t.Errorf("in %d lines it shows\n%s", height+1, textOf(got))
		}
	}
	m.press("fx")
	if got := m.frame(10, start); got[9].text != filterHelp[Sessions]+": x_" {
		t.Errorf("the last line is %q", got[9].text)
	}
}

func TestFrameOfOthers(t *testing.T) {
	m := newModel("here", Query{View: Accounts})
	s := sampleAt(0, map[string]uint64{"connections": 1}, Table{Total: 1, Accounts: []console.Account{
		{Account: 100017, Seq: 442, Rows: 8, TotalMarketValue: 305_232_0000, Cash: console.Cash{Realised: 1204_0000}},
	}})
	s.query = Query{View: Accounts, Sort: "-value", Filter: "1000"}
	m.take(s)
	got := textOf(m.frame(0, start))
	for _, want := range []string{
		"accounts by -value, 1 of 1, 1000\n", "\n 100017  442     8     305232.00  0.00  +1204.00",
		"\nno journal  history ",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("there is no %q in\n%s", want, got)
		}
	}
	s.query = Query{View: Instruments, Sort: "-change"}
	s.table = Table{Total: 1, Instruments: []console.Instrument{
		{Market: "SH", Code: "600519", Name: "贵州茅台", Price: 110_0000, PreviousClose: 100_0000}}}
	if got := textOf(m.frame(0, start)); !strings.Contains(got, "\nSH      600519  贵州茅台  110.00  +10.00 %") {
		t.Errorf("instruments are\n%s", got)
	}
}

func TestPick(t *testing.T) {
	all := []console.Session{
		{UID: 1, Account: 100001, WaitingBytes: 5, Remote: "10.0.0.1:5"}, {UID: 2, Account: 100002, WaitingBytes: 9},
		{UID: 3, WaitingBytes: 9}, {UID: 4, Account: 100001, CatchingUp: true, Remote: "10.0.1.1:5"},
	}
	for _, c := range []struct {
		q     Query
		want  []uint64
		total int
	}{
		{Query{Sort: "-waiting", Rows: 9}, []uint64{2, 3, 1, 4}, 4},
		{Query{Sort: "waiting", Rows: 9}, []uint64{4, 1, 2, 3}, 4},
		{Query{Sort: "-uid", Rows: 2}, []uint64{4, 3}, 4},
		{Query{Sort: "uid", Rows: 9, Filter: "100001"}, []uint64{1, 4}, 2},
		{Query{Sort: "uid", Rows: 9, Filter: "10000"}, nil, 0},
		{Query{Sort: "uid", Rows: 9, Filter: "10.0.1."}, []uint64{4}, 1},
		{Query{Sort: "uid", Rows: 9, Filter: "catching_up"}, []uint64{4}, 1},
		{Query{Sort: "uid", Rows: 9, Filter: "not_logged_in"}, []uint64{3}, 1},
	} {
		got := pick(all, c.q, sessionKeys, matchSession, func(t *Table, rows []console.Session) { t.Sessions = rows })
		var uids []uint64
		for _, s := range got.Sessions {
			uids = append(uids, s.UID)
		}
		if !slices.Equal(uids, c.want) || got.Total != c.total {
			t.Errorf("%+v: %v of %d, want %v of %d", c.q, uids, got.Total, c.want, c.total)
		}
	}
}

func TestChecks(t *testing.T) {
	for _, v := range []View{Sessions, Accounts, Instruments} {
		for _, k := range SortKeys(v) {
			if err := errors.Join(CheckSort(v, k), CheckSort(v, "-"+k)); err != nil {
				t.Error(err)
			}
		}
	}
	const want = `sort "--uid": sessions can be sorted by waiting, in_flight, bytes_sent, bytes_received, account, ` +
		`uid; with - in front, the largest first`
	if err := CheckSort(Sessions, "--uid"); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestLetters(t *testing.T) {
	for _, c := range []struct{ raw, keys, rest string }{
		{"q", "q", ""},
		{"a\x1b[Ab", "ab", ""},
		{"\x1bOPx", "x", ""},
		{"\x1b[1;5Cx\x1b[3~", "x", ""},
		{"\x1b", "\x1b", ""},
		{"x\xe8\xb4", "x", "\xe8\xb4"},
		{"贵", "贵", ""},
		{"\x1b[", "", ""},
	} {
		keys, rest := letters([]byte(c.raw))
		if string(keys) != c.keys || string(rest) != c.rest {
			t.Errorf("%q: %q, %q; want %q, %q", c.raw, string(keys), rest, c.keys, c.rest)
		}
	}
}

// scripted answers from a list of counters.
type scripted struct {
	counters []map[string]uint64
	ready    error
}

func (s *scripted) Ready(context.Context) error { return s.ready }

func (s *scripted) Counters(context.Context) (list []console.Counter, err error) {
	if len(s.counters) == 0 {
		return nil, errors.New("no answer")
	}
	for name, v := range s.counters[0] {
		list = append(list, console.Counter{Name: name, Value: v})
	}
	s.counters = s.counters[1:]
	return list, nil
}

func (s *scripted) Limits(context.Context) ([]console.Limit, error) {
	return []console.Limit{{Name: "connections", Limit: 5}}, nil
}

func (s *scripted) Metrics(context.Context) (string, error) { return "", nil }

func (s *scripted) Table(_ context.Context, q Query) (Table, error) { return Table{Total: q.Rows}, nil }

func (s *scripted) Kick(context.Context, uint64) (console.Session, error) {
	return console.Session{}, nil
}

func TestLook(t *testing.T) {
	s := &scripted{counters: []map[string]uint64{{"events": 1}, {"events": 2}}, ready: errors.New("draining")}
	cfg := Config{
		Source: s, Server: "here", Query: Query{View: Sessions, Sort: "-waiting", Rows: 3}, Every: time.Millisecond,
	}
	got, err := Look(t.Context(), &cfg)
	if err != nil || got.Ready || got.Unready != "draining" || got.Counters["events"] != 2 ||
		got.Rates["events"] <= 0 || len(got.Limits) != 1 || got.Total != 3 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := Look(t.Context(), &cfg); err == nil || err.Error() != "no answer" {
		t.Errorf("without an answer: %v", err)
	}
	s.counters = []map[string]uint64{{"events": 1}}
	cfg.Every = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Look(ctx, &cfg); fmt.Sprint(err) != "interrupted" {
		t.Errorf("interrupted: %v", err)
	}
}
