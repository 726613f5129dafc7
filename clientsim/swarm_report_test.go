package clientsim

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// someReport returns a report with a different number in every field.
func someReport() *SwarmReport {
	timing := func(n float64) Timing {
		return Timing{Count: int64(n), Mean: n + 0.5, P50: n + 0.25, P90: n + 1, P99: n + 2, Max: n + 3}
	}
	r := &SwarmReport{Server: "127.0.0.1:7300", Profile: Profiles()[0], LoginSeconds: 0.25, Seconds: 60}
	for i := range 2 {
		c := SwarmClient{Account: uint64(100001 + i), Compared: true, RowsAtEnd: 4, Queries: 8, Tally: Tally{
			Events: 31, Pushed: 2, Executions: 26, Operator: 1, Adjustments: 3, Replayed: 5, Orders: 27, Refused: 6,
			Busy: 7, Broken: 9,
			Lists: 10, History: 11, Logins: 13, Reconnects: 12, Restarts: 18, Resumes: 14, Resyncs: 15, Missed: 16,
			Away: 17.5,
		}}
		c.Times = Timings{Buy: timing(20), Sell: timing(21), Query: timing(22), Total: timing(63)}
		r.Clients = append(r.Clients, c)
	}
	bad := &r.Clients[1]
	bad.Gaps, bad.Repeats, bad.Wrong, bad.Mismatches = 1, 2, 4,
		[]string{"account 100002 seq 9, seq: expected 9, got 10"}
	for i := range r.Clients {
		r.Totals.add(&r.Clients[i])
	}
	r.Totals.Times = Timings{Buy: timing(40), Sell: timing(42), Query: timing(44), Total: timing(126)}
	return r
}

// The JSON is for programs: names and structure do not change.
func TestSwarmReportForPrograms(t *testing.T) {
	text, err := json.MarshalIndent(someReport(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	const golden = "testdata/swarm.json"
	if *update {
		if err := os.WriteFile(golden, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(text, want) {
		t.Errorf("the report is\n%s\nand %s (go test -update writes it anew) has\n%s", text, golden, want)
	}
}

func TestSwarmReportForPeople(t *testing.T) {
	render := func(r *SwarmReport) string {
		t.Helper()
		var out strings.Builder
		if err := r.Render(&out); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	text := render(someReport())
	for _, want := range []string{
		" 100001          27        6        8      31       2     10       11      16          12        18      " +
			" 15     0        0      0      63      65      66  ok ",
		" 100002          27        6        8      31       2     10       11      16          12        18      " +
			" 15     1        2      4      63      65      66  WRONG ",
		" 1 of 2 \n", "wrong: account 100002 seq 9, seq: expected 9, got 10\n",
		"1 of 2 clients found all of it right: 54 orders and 16 queries answered in 60.0 s (12 orders refused, " +
			"rightly unless said); " +
			"62 events, 20 lists with their state hash and 22 events of history checked; 1 gaps, 2 repeats, 4 " +
			"mismatches.\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}

	// Of many, the worst are shown.
	many := &SwarmReport{}
	for i := range 500 {
		c := SwarmClient{Account: uint64(100001 + i), Compared: i != 300}
		c.Times.Total.Count, c.Times.Total.Max = 1, float64(i%400)
		if i == 77 {
			for n := range 30 {
				c.wrong(fmt.Sprintf("difference %d", n))
			}
		}
		many.Clients = append(many.Clients, c)
	}
	lines := strings.Split(render(many), "\n")
	if lines[0] != "The worst 10 of 500 clients, and the sum of all:" {
		t.Errorf("it begins with %q", lines[0])
	}
	for i, want := range []string{" 100078 ", " 100301 ", " 100400 ", " 100399 "} {
		if !strings.HasPrefix(lines[3+i], " "+want) {
			t.Errorf("row %d is %q, want account%s", i, lines[3+i], want)
		}
	}
	text = strings.Join(lines, "\n")
	for _, want := range []string{"NOT COMPARED", "wrong: difference 19\nwrong: and 10 more; ",
		"498 of 500 clients found all of it right"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if n := strings.Count(text, "\n  100"); n != rowsShown {
		t.Errorf("%d clients are shown, want %d", n, rowsShown)
	}
}

func TestSwarmReportOK(t *testing.T) {
	good := func() *SwarmReport {
		r := &SwarmReport{Clients: make([]SwarmClient, 3)}
		for i := range r.Clients {
			r.Clients[i].Compared = true
		}
		r.Totals.Times.Total.Count, r.Totals.Lists, r.Totals.History = 1, 1, 1
		return r
	}
	if !good().OK() {
		t.Error("three good clients are not ok")
	}
	for name, spoil := range map[string]func(*SwarmReport){
		"none":         func(r *SwarmReport) { r.Clients = nil },
		"nothing done": func(r *SwarmReport) { r.Totals.Times.Total.Count = 0 },
		"not compared": func(r *SwarmReport) { r.Clients[1].Compared = false },
		"gap":          func(r *SwarmReport) { r.Clients[1].Gaps = 1 },
		"repeat":       func(r *SwarmReport) { r.Clients[1].Repeats = 1 },
		"a difference": func(r *SwarmReport) { r.Clients[1].wrong("account 3 differs") },
	} {
		r := good()
		if spoil(r); r.OK() {
			t.Errorf("%s: ok", name)
		}
	}
}

func TestTallyKeepsTheFirstSentences(t *testing.T) {
	var tally Tally
	for n := range 3 * mismatchesMax {
		tally.wrong(fmt.Sprint(n))
	}
	if tally.Wrong != 3*mismatchesMax || len(tally.Mismatches) != mismatchesMax || tally.Mismatches[0] != "0" {
		t.Errorf("%d wrong, %d kept, the first is %q", tally.Wrong, len(tally.Mismatches), tally.Mismatches[0])
	}
}

// TestSwarmThatDidNothing: a swarm in which nothing was asked or compared has not succeeded,
// and says so.
func TestSwarmThatDidNothing(t *testing.T) {
	for want, spoil := range map[string]func(r *SwarmReport){
		"there were no clients":                func(r *SwarmReport) { r.Clients = nil },
		"no request was answered":              func(r *SwarmReport) { r.Totals.Times.Total.Count = 0 },
		"no list was compared":                 func(r *SwarmReport) { r.Totals.Lists = 0 },
		"no event of the history was compared": func(r *SwarmReport) { r.Totals.History = 0 },
	} {
		r := someReport()
		r.Clients[1] = r.Clients[0]
		if !r.OK() {
			t.Fatalf("a swarm of two good clients: %q", r.tooLittle())
		}
		spoil(r)
		var out strings.Builder
		if err := r.Render(&out); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if r.OK() || !strings.Contains(out.String(), "\ntoo little: "+want) || !strings.Contains(string(text), want) {
			t.Errorf("ok %v, want %q in\n%s\n%s", r.OK(), want, out.String(), text)
		}
	}
}
