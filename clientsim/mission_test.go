package clientsim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
)

// fly runs a mission to which all clients can log in, and logs its outcome.
func fly(t *testing.T, cfg MissionConfig) *Report {
	t.Helper()
	report, err := Mission(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	show(t, report)
	return report
}

func show(t *testing.T, report *Report) {
	t.Helper()
	var out strings.Builder
	if err := report.Render(&out); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + out.String())
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Each task must cope with the account as it finds it: with no rows, or with many.
func TestMission(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	for name, rows := range map[string][10]int{
		"all empty":  {},
		"with lists": {4, 3, 7, 2, 5, 12, 3, 1, 6, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t, rows, nil)
			lines := make(map[uint64]int)
			report := fly(t, MissionConfig{
				Addr: w.listener.Addr().String(), Progress: func(account uint64, _ string) { lines[account]++ },
			})
			if !report.OK() {
				t.Error("the mission did not hold")
			}
			for i := range report.Clients {
				c := &report.Clients[i]
				if c.Pushed == 0 || c.Orders == 0 || c.Refused == 0 || c.Lists < 3 || c.History < c.Pushed+c.Orders ||
					lines[c.Account]+c.Replayed < c.Events {
					t.Errorf("client %d was idle somewhere: %+v, %d lines", c.Account, c, lines[c.Account])
				}
			}
			if c := report.Clients[7]; c.Reconnects == 0 || c.Replayed == 0 {
				t.Errorf("the client that is cut off: %+v", c)
			}
			if c := report.Clients[8]; c.Busts == 0 || c.Operator != c.Busts+rows[8] && c.Operator != c.Busts {
				t.Errorf("the client whose trade is taken back: %+v", c)
			}
		})
	}
}

// A server with one fault is detected by the client that the fault hits. Its report names the fault.
func TestMissionFindsTheFault(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	tests := map[string]struct {
		hit   int // the client
		spoil func(f *outFrame) bool
		says  string
	}{
		"wrong cost": {4, func(f *outFrame) bool {
			if ev, ok := f.m.(*papertapev1.AccountEvent); ok && ev.GetSeq() == 8 {
				wrong := proto.Clone(ev).(*papertapev1.AccountEvent)
				wrong.Positions[0].Cost++
				f.m = wrong
			}
			return true
		}, "seq 8, position cost: expected "},
		"event left out": {4, func(f *outFrame) bool {
			ev, ok := f.m.(*papertapev1.AccountEvent)
			return !ok || f.t != codec.TypeEvent || ev.GetTrade().GetOrigin() != papertapev1.Origin_ORIGIN_SIMULATOR
		}, "events are missing from seq "},
		"wrong hash": {4, func(f *outFrame) bool {
			if h, ok := f.m.(*papertapev1.Holdings); ok {
				h.StateHash++
			}
			return true
		}, ", state_hash: expected "},
		"history that is not what was shown": {4, func(f *outFrame) bool {
			if h, ok := f.m.(*papertapev1.History); ok {
				for i, ev := range h.Events {
					other := proto.Clone(ev).(*papertapev1.AccountEvent)
					other.Time++
					h.Events[i] = other
				}
			}
			return true
		}, "the event sent again: expected "},
		"history that names an old row otherwise": {0, func(f *outFrame) bool {
			if h, ok := f.m.(*papertapev1.History); ok {
				for i, ev := range h.Events {
					if ev.GetSeq() == 3 { // a row of the opening, which nobody trades
						other := proto.Clone(ev).(*papertapev1.AccountEvent)
						other.GetTrade().Name, other.Positions[0].Name = "another", "another"
						h.Events[i] = other
					}
				}
			}
			return true
		}, "account 100091 holdings as of seq "},
		"refused for another reason": {0, func(f *outFrame) bool {
			if r, ok := f.m.(*papertapev1.Reject); ok {
				r.Code = papertapev1.RejectCode_REJECT_CODE_INSUFFICIENT_CASH
			}
			return true
		}, "was refused with REJECT_CODE_INSUFFICIENT_CASH"},
		"replay that does not say so": {7, func(f *outFrame) bool {
			if f.t == codec.TypeEvent {
				f.flags = 0
			}
			return true
		}, "came with REPLAY false: expected true"},
		"bust by an opposite trade": {8, func(f *outFrame) bool {
			if ev, ok := f.m.(*papertapev1.AccountEvent); ok && ev.GetBust() != nil &&
				ev.GetBust().GetReplacement() == nil {
				wrong := proto.Clone(ev).(*papertapev1.AccountEvent)
				wrong.Positions[0].Cost, wrong.Positions[0].Realised = wrong.Positions[0].Cost+100, 100
				wrong.Cash.Realised += 100
				f.m = wrong
			}
			return true
		}, "the row and the cash as they were before 100099-"},
		"history in which the original is what it was corrected to": {8, func(f *outFrame) bool {
			if h, ok := f.m.(*papertapev1.History); ok {
				for i, ev := range h.Events {
					if ev.GetTrade().GetQuantity() == 300 { // the one that is taken back
						other := proto.Clone(ev).(*papertapev1.AccountEvent)
						other.GetTrade().Quantity = 100
						h.Events[i] = other
					}
				}
			}
			return true
		}, "the event sent again: expected "},
		"order executed anew": {8, func(f *outFrame) bool {
			if f.t == codec.TypeExecution && f.flags&codec.FlagReplay != 0 {
				f.flags = codec.FlagReply
			}
			return true
		}, ": a repeat, expected seq "},
	}
	reports := make(map[string]chan *Report)
	for name, test := range tests { // all at once: they mostly wait
		hit := firstAccountDefault + uint64(test.hit)
		w := startWorld(t, [10]int{4, 3, 7, 2, 5, 12, 3, 1, 6, 0},
			func(f *outFrame) bool { return f.account != hit || test.spoil(f) })
		w.mu.Lock()
		w.onList = true // a fault before the task has begun would be found by other sentences
		w.mu.Unlock()
		done := make(chan *Report, 1)
		reports[name] = done
		go func() {
			report, err := Mission(t.Context(), MissionConfig{Addr: w.listener.Addr().String()})
			if err != nil {
				t.Error(err)
				report = new(Report)
			}
			done <- report
		}()
	}
	for name, test := range tests {
		report := <-reports[name]
		t.Run(name, func(t *testing.T) {
			hit := firstAccountDefault + uint64(test.hit)
			if report.OK() {
				t.Error("the mission held")
			}
			for i := range report.Clients {
				c := &report.Clients[i]
				if c.OK() != (i != test.hit) {
					t.Errorf("client %d: ok %v, %q", c.Account, c.OK(), c.Mismatches)
				}
			}
			c := &report.Clients[test.hit]
			if said := strings.Join(c.Mismatches, "\n"); !strings.Contains(said, test.says) ||
				!strings.Contains(said, fmt.Sprintf("account %d", hit)) {
				t.Errorf("it says %q: expected account %d and %q", said, hit, test.says)
			}
			if (c.Gaps > 0) != (name == "event left out") {
				t.Errorf("%d gaps", c.Gaps)
			}
			if (c.Repeats > 0) != (name == "order executed anew") {
				t.Errorf("%d repeats", c.Repeats)
			}
		})
	}
}

// The server is gone in the middle of the tasks. It comes back with its history, or without,
// and every row is seen all the same.
func TestMissionWhoseServerIsAway(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	tests := map[string]struct {
		anew bool
		at   int // things that were seen by then, the ten lists of the logins among them
	}{
		"early": {false, 15}, "with its tasks under way": {false, 40}, "early, with a new history": {true, 15},
		"with its tasks under way and a new history": {true, 40}, "late, with a new history": {true, 60},
	}
	outcomes := make(map[string]chan outcome)
	for name, test := range tests { // all at once: they mostly wait
		w := startWorld(t, [10]int{4, 3, 7, 2, 5, 12, 3, 1, 6, 0}, nil)
		done := make(chan outcome, 1)
		outcomes[name] = done
		go func() { done <- missionAway(t.Context(), w, test.anew, test.at) }()
	}
	for name, test := range tests {
		o := <-outcomes[name]
		t.Run(name, func(t *testing.T) {
			if o.err != nil {
				t.Fatal(o.err)
			}
			show(t, o.report)
			if !o.report.OK() {
				t.Error("the mission did not hold")
			}
			if len(o.notices) != 1 || o.notices[0] != "all 10 clients are logged in" {
				t.Errorf("said %q", o.notices)
			}
			for i := range o.report.Clients {
				c := &o.report.Clients[i]
				if c.Reconnects == 0 || (c.Resyncs > 0) != test.anew || c.Resumes+c.Resyncs != c.Reconnects ||
					!c.Covered {
					t.Errorf("client %d: covered %v, %d reconnects, %d resumes, %d resyncs", c.Account, c.Covered,
						c.Reconnects, c.Resumes, c.Resyncs)
				}
				if c.Restarts != 1 {
					t.Errorf("client %d: %d restarts of a server that was restarted once, %d reconnects", c.Account,
						c.Restarts, c.Reconnects)
				}
			}
		})
	}
}

// outcome is the result of a mission.
type outcome struct {
	report  *Report
	notices []string
	err     error
}

// missionAway runs a mission whose server goes away when the clients have seen the given number of things. Then it
// comes back.
func missionAway(ctx context.Context, w *world, anew bool, at int) (o outcome) {
	seen := 0
	var outage sync.WaitGroup
	o.report, o.err = Mission(ctx, MissionConfig{
		Addr: w.listener.Addr().String(), Duration: 6 * time.Second, // the script alone shows 40 things by then
		Notice: func(text string) { o.notices = append(o.notices, text) },
		Progress: func(_ uint64, _ string) {
			if seen++; seen == at {
				outage.Go(func() {
					back := w.away(anew)
					time.Sleep(300 * time.Millisecond) // for fills to be missed; nothing depends on it
					back()
				})
			}
		},
	})
	outage.Wait()
	return o
}

// Without Progress, lines about connections name the account.
func TestMissionSaysWhatWasMissed(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	w := startWorld(t, [10]int{}, nil)
	var said []string
	fly(t, MissionConfig{Addr: w.listener.Addr().String(), Notice: func(text string) { said = append(said, text) }})
	text := strings.Join(said, "\n")
	for _, want := range []string{"account 100098: the connection is gone after seq ", "account 100098: back after ",
		" events were missed and follow now"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

// A client that misses nothing while it is cut off has not shown that nothing gets lost.
func TestMissionInWhichNothingIsMissed(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	w := startWorld(t, [10]int{4, 3, 7, 2, 5, 12, 3, 1, 6, 0}, nil)
	w.mu.Lock()
	w.polite = true
	w.mu.Unlock()
	// What is on its way when the connection is cut would be missed, and a server learns late that the connection was
	// cut. So the script is held until the client has been shown everything and is back.
	var shown atomic.Int64
	report := fly(t, MissionConfig{
		Addr: w.listener.Addr().String(),
		Progress: func(account uint64, text string) {
			if account == firstAccountDefault+7 && strings.Contains(text, " by simulator, ") {
				shown.Add(1)
			}
		},
		cutting: func(account uint64) {
			for fills := int64(w.hold(account)); shown.Load() < fills && t.Context().Err() == nil; {
				time.Sleep(time.Millisecond)
			}
		},
	})
	for i := range report.Clients {
		c := &report.Clients[i]
		if cut := c.Account == firstAccountDefault+7; c.OK() == cut || c.Covered == cut {
			t.Errorf("client %d: ok %v, covered %v, %q", c.Account, c.OK(), c.Covered, c.Mismatches)
		}
	}
	c := &report.Clients[7]
	if said := strings.Join(c.Mismatches, "\n"); !strings.Contains(said,
		"nothing happened in any of 4 absences of 1.2s") {
		t.Errorf("it says %q", said)
	}
}

// A server that does not play the script is not reported as wrong: each client says what it waits for.
func TestMissionWithoutItsScript(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	w := startWorld(t, [10]int{4, 3, 7, 2, 5, 12, 3, 1, 6, 0}, nil)
	w.mu.Lock()
	w.idle = true
	w.mu.Unlock()
	report := fly(t, MissionConfig{Addr: w.listener.Addr().String(), patience: 2 * time.Second})
	for i, want := range map[int]string{
		6: "0 fills by the server's simulator came, and in 2s no more: expected 4; the server has to play the " +
			"mission's script",
		8: "0 trades taken back or corrected by the server came, and in 2s no more: expected 1; the server has to " +
			"play the mission's script",
	} {
		if c := &report.Clients[i]; c.OK() || !strings.Contains(strings.Join(c.Mismatches, "\n"), want) {
			t.Errorf("client %d says %q, want %q", c.Account, c.Mismatches, want)
		}
	}
	if report.OK() {
		t.Error("the mission held")
	}
}

// A restart of the server was expected. But it was not restarted, though connections may have broken;
// or it was restarted and had lost its history; or it does not say which of its runs this is.
func TestMissionWithoutTheRestart(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	for name, test := range map[string]struct {
		meanwhile func(w *world)
		want      string
		mute      bool
	}{
		"not restarted": {
			meanwhile: func(*world) {}, want: "0 restarts of the server came, and in 2s no more: expected 1; the " +
				"server was to be restarted meanwhile",
		},
		"cut off from it": {
			meanwhile: (*world).cut, want: "0 restarts of the server came, and in 2s no more: expected 1; the " +
				"server was to be restarted meanwhile",
		},
		"with another history": {meanwhile: func(w *world) { w.away(true)() }, want: "began anew from a snapshot "},
		"by a server that does not tell": {
			meanwhile: func(w *world) { w.away(false)() }, want: "does not say in WELCOME which run of it this is",
			mute: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t, [10]int{4, 3, 7, 2, 5, 12, 3, 1, 6, 0}, nil)
			w.mu.Lock()
			w.mute = test.mute
			w.mu.Unlock()
			report := fly(t, MissionConfig{
				Addr: w.listener.Addr().String(), Restarts: 1, patience: 2 * time.Second,
				LoggedIn: func() { test.meanwhile(w) },
			})
			for _, i := range []int{0, 9} {
				if c := &report.Clients[i]; c.OK() || !strings.Contains(strings.Join(c.Mismatches, "\n"), test.want) {
					t.Errorf("client %d says %q, want %q", c.Account, c.Mismatches, test.want)
				}
			}
		})
	}
}

// Every client notices a restart of the server, and exactly once, even if connections have broken
// before and after it.
func TestMissionWithTheRestart(t *testing.T) {
	t.Parallel()
	w := startWorld(t, [10]int{4, 3, 7, 2, 5, 12, 3, 1, 6, 0}, nil)
	report := fly(t, MissionConfig{Addr: w.listener.Addr().String(), Restarts: 1, LoggedIn: func() {
		w.cut()
		w.away(false)()
		w.cut()
	}})
	if !report.OK() {
		t.Error("the mission did not hold")
	}
	for i := range report.Clients {
		if c := &report.Clients[i]; c.Restarts != 1 {
			t.Errorf("client %d saw %d restarts, in %d reconnects", c.Account, c.Restarts, c.Reconnects)
		}
	}
}

func TestMissionWithoutItsAccounts(t *testing.T) {
	w := startWorld(t, [10]int{}, nil)
	_, err := Mission(t.Context(), MissionConfig{Addr: w.listener.Addr().String(), FirstAccount: 100092})
	if !errors.Is(err, ErrCannotRun) || !strings.Contains(err.Error(), "there is no account 100101") {
		t.Errorf("error %v", err)
	}
}

func TestMissionWithoutAServer(t *testing.T) {
	var said []string
	report, err := Mission(t.Context(), MissionConfig{
		Addr: "127.0.0.1:1", Wait: 300 * time.Millisecond, Notice: func(text string) { said = append(said, text) },
	})
	if report != nil || !errors.Is(err, ErrCannotRun) || !strings.Contains(err.Error(), "connect to 127.0.0.1:1") {
		t.Errorf("report %v, error %v", report, err)
	}
	if len(said) != 1 || !strings.HasPrefix(said[0], "no server answers yet, waiting up to 300ms: ") {
		t.Errorf("said %q", said)
	}
}

func TestReportOK(t *testing.T) {
	good := func() *Report {
		r := &Report{Clients: make([]ClientReport, 10)}
		for i := range r.Clients {
			r.Clients[i] = ClientReport{Account: uint64(i), Covered: true,
				Tally: Tally{Events: 2, Lists: 2, History: 2}}
		}
		return r
	}
	if !good().OK() {
		t.Error("ten good clients are not ok")
	}
	for name, spoil := range map[string]func(*Report){
		"one missing":  func(r *Report) { r.Clients = r.Clients[1:] },
		"none":         func(r *Report) { r.Clients = nil },
		"not covered":  func(r *Report) { r.Clients[3].Covered = false },
		"no events":    func(r *Report) { r.Clients[3].Events = 0 },
		"no lists":     func(r *Report) { r.Clients[3].Lists = 0 },
		"no history":   func(r *Report) { r.Clients[3].History = 0 },
		"gap":          func(r *Report) { r.Clients[3].Gaps = 1 },
		"repeat":       func(r *Report) { r.Clients[3].Repeats = 1 },
		"a difference": func(r *Report) { r.Clients[3].Mismatches = []string{"account 3 differs"} },
	} {
		r := good()
		if spoil(r); r.OK() {
			t.Errorf("%s: ok", name)
		}
	}
}

func TestReportForPeopleAndPrograms(t *testing.T) {
	r := &Report{Elapsed: 1500 * time.Millisecond, Clients: []ClientReport{
		{Account: 100091, Task: "more rows", Covered: true, RowsAtLogin: 2, RowsAtEnd: 14,
			Tally: Tally{Events: 40, Orders: 7, Lists: 3, History: 41}},
		{Account: 100092, Task: "fewer rows", Tally: Tally{Events: 2, Wrong: 1,
			Mismatches: []string{"account 100092 seq 5 differs"}}},
		{Account: 100093, Task: "no rows", Covered: true, Tally: Tally{Lists: 3}},
	}}
	var out strings.Builder
	if err := r.Render(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		" 100091  more rows   2 → 14      40 ", "         all                     42 ", " NOT SEEN    \n",
		" NOT CHECKED \n", " 1 of 10     \n",
		"\ntoo little: account 100093 checked 0 events, 3 lists and 0 events of history: there has to be some of " +
			"each\n",
		"\nnot seen: \"fewer rows\" (account 100092)\nwrong: account 100092 seq 5 differs\n",
		"1 of 10 clients saw what they were to see, and all of it was right: 42 events, 6 lists and 41 events of " +
			"history checked",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`{"ok":false,"elapsed_seconds":1.5,"clients":[{"account":100091,`,
		`"mismatches":[],"ok":true}`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is not in %s", want, text)
		}
	}
}
