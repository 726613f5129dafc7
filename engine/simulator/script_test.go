package simulator

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// scriptOf returns the text of a script of one valid step, with keys added or replaced.
func scriptOf(keys ...string) string {
	all := map[string]string{"account": "100001", "side": "buy", "instrument": "SH.600519", "quantity": "100"}
	order := []string{"account", "side", "instrument", "quantity"}
	for _, key := range keys {
		name, value, _ := strings.Cut(key, ": ")
		if _, known := all[name]; !known {
			order = append(order, name)
		}
		all[name] = value
	}
	var fields []string
	for _, name := range order {
		if all[name] != "" {
			fields = append(fields, name+": "+all[name])
		}
	}
	return "steps:\n- {" + strings.Join(fields, ", ") + "}\n"
}

func TestParseScript(t *testing.T) {
	u := market.Default()
	text := `
# who does what when
steps:
- {account: 100098, on: login, after: 300ms, side: buy, instrument: SH.600519, quantity: 100, every: 200ms, times: 20}
- {account: 100001, at: 2s, side: sell, instrument: 000001.XSHE, quantity: all}
- account: 100002
  on: login
  login_nth: 2
  side: sell
  instrument: SZ 000001
  quantity: 1000000000
`
	inJSON := `{"steps": [
	{"account": 100098, "on": "login", "after": "300ms", "side": "buy", "instrument": "SH.600519", "quantity": 100, "every": "200ms", "times": 20},
	{"account": 100001, "at": "2s", "side": "sell", "instrument": "SZ.000001", "quantity": "all"},
	{"account": 100002, "on": "login", "login_nth": 2, "side": "sell", "instrument": "SZ.000001", "quantity": 1000000000}]}`
	moutai, _ := u.Parse("SH.600519")
	pingAn, _ := u.Parse("SZ.000001")
	order := func(account uint64, side positions.Side, id market.ID, n int64) positions.Order {
		return positions.Order{Account: account, Side: side, Instrument: id, Quantity: n,
			Origin: positions.OriginSimulator}
	}
	for name, text := range map[string]string{"YAML": text, "JSON": inJSON} {
		s, err := ParseScript([]byte(text), u)
		if err != nil || len(s.steps) != 3 {
			t.Fatalf("%s: %v", name, err)
		}
		a, b, c := s.steps[0], s.steps[1], s.steps[2]
		if a.order != order(100098, positions.Buy, moutai, 100) || a.On != "login" || a.LoginNth != 1 ||
			a.wait != 300*time.Millisecond || a.every != 200*time.Millisecond || a.Times != 20 || a.sellAll {
			t.Errorf("%s: step 1 is %+v", name, a)
		}
		if b.order != order(100001, positions.Sell, pingAn, 0) || !b.sellAll || b.On != "" || b.wait != 2*time.Second ||
			b.Times != 1 {
			t.Errorf("%s: step 2 is %+v", name, b)
		}
		if c.order != order(100002, positions.Sell, pingAn, 1_000_000_000) || c.LoginNth != 2 || c.sellAll {
			t.Errorf("%s: step 3 is %+v", name, c)
		}
	}
	for _, empty := range []string{"", "steps:\n", "steps: []\n", "# nothing\n"} {
		if s, err := ParseScript([]byte(empty), u); err != nil || len(s.steps) != 0 {
			t.Errorf("%q: %v", empty, err)
		}
	}
}

func TestParseScriptRefuses(t *testing.T) {
	const quantity = "; it is a number of shares from 1 to 1000000000 in decimal digits, or for a sale: all"
	tests := []struct{ text, want string }{
		{scriptOf("account: "), "step 1: account is missing"},
		{scriptOf("account: 0"), "step 1: account: 0; it is a number from 1 to 18446744073709551615 in decimal digits"},
		{scriptOf("account: 0x186A1"),
			"step 1: account: 0x186A1; it is a number from 1 to 18446744073709551615 in decimal digits"},
		{scriptOf("account: 100_001"),
			"step 1: account: 100_001; it is a number from 1 to 18446744073709551615 in decimal digits"},
		{scriptOf("account: 1e5"),
			"step 1: account: 1e5; it is a number from 1 to 18446744073709551615 in decimal digits"},
		{scriptOf("account: +100001"),
			"step 1: account: +100001; it is a number from 1 to 18446744073709551615 in decimal digits"},
		{scriptOf("at: +1s"), `step 1: at: "+1s" is not a duration; write 5s or 1m30s`},
		{scriptOf("after: 0x1s"), `step 1: after: "0x1s" is not a duration; write 5s or 1m30s`},
		{scriptOf("quantity: 0x64"), "step 1: quantity: 0x64" + quantity},
		{scriptOf("quantity: 0o144"), "step 1: quantity: 0o144" + quantity},
		{scriptOf("quantity: 1_000"), "step 1: quantity: 1_000" + quantity},
		{scriptOf("quantity: .inf"), "step 1: quantity: .inf" + quantity},
		{scriptOf("instrument: 600519"),
			"step 1: instrument: 600519 is a code without its market; write SH.600519 (贵州茅台)"},
		{scriptOf("instrument: SH.000002"),
			"step 1: instrument: there is no 000002 in SH; 000002 is SZ.000002 (万科A)"},
		{scriptOf("instrument: "), "step 1: instrument: no instrument given; write market and code, as in SH.600519"},
		{scriptOf("side: Sell"), `step 1: side: "Sell"; it is buy or sell, unless the step has bust, correct or quote`},
		{scriptOf("side: "), `step 1: side: ""; it is buy or sell, unless the step has bust, correct or quote`},
		{scriptOf("on: logout"), `step 1: on: "logout"; the only thing to wait for is login`},
		{scriptOf("on: login", "at: 3s"), "step 1: both at and on: a step begins at a time or with a login"},
		{scriptOf("at: -1s"), "step 1: at: -1s is out of range; write 0s to 8760h"},
		{scriptOf("after: -1s"), "step 1: after: -1s is out of range; write 0s to 8760h"},
		{scriptOf("every: -1s", "times: 2"), "step 1: every: -1s is out of range; write 0s to 8760h"},
		{scriptOf("every: 1s"), "step 1: every without times: say how often, for example times: 20"},
		{scriptOf("times: -1"), "step 1: times: -1; it is a number from 1 to 2147483647 in decimal digits"},
		{scriptOf("on: login", "login_nth: -2"),
			"step 1: login_nth: -2; it is a number from 1 to 2147483647 in decimal digits"},
		{scriptOf("times: 3"), "step 1: times without every: say how long between, for example every: 200ms"},
		{scriptOf("quantity: 0"), "step 1: quantity: 0" + quantity},
		{scriptOf("quantity: -5"), "step 1: quantity: -5" + quantity},
		{scriptOf("quantity: 1.5"), "step 1: quantity: 1.5" + quantity},
		{scriptOf("quantity: 1000000001"), "step 1: quantity: 1000000001" + quantity},
		{scriptOf("quantity: 18446744073709551615"), "step 1: quantity: 18446744073709551615" + quantity},
		{scriptOf("quantity: all"), "step 1: quantity: all" + quantity}, // in a buy
		{scriptOf("quantity: most", "side: sell"), "step 1: quantity: most" + quantity},
		{scriptOf() + strings.TrimPrefix(scriptOf("side: hold"), "steps:\n"),
			`step 2: side: "hold"; it is buy or sell, unless the step has bust, correct or quote`},
		{"steps:\n" + strings.Repeat("- {}\n", stepsMax+1), "10001 steps; at most 10000"},
	}
	for _, test := range tests {
		s, err := ParseScript([]byte(test.text), market.Default())
		if want := "scenario script: " + test.want; s != nil || err == nil || err.Error() != want {
			t.Errorf("%.120s: %v, want %s", test.text, err, want)
		}
	}
}

// TestParseScriptNamesThePlace: errors name the step, or, if the YAML parser finds them, the line
// and the column.
func TestParseScriptNamesThePlace(t *testing.T) {
	for text, want := range map[string]string{
		scriptOf("prise: 3"):                      `[2:70] unknown field "prise"`,
		"things: []\n":                            `[1:1] unknown field "things"`,
		"steps:\n- {account: 1, account: 2}\n":    `[2:16] mapping key "account" already defined at [2:4]`,
		"steps:\n- {account: -1}\n":               "step 1: account: -1; it is a number from 1 to",
		"steps: 3\n":                              "[1:8]",
		"steps:\n- {account: 1\n":                 "[2:3]",
		"steps:\n- {account: 1}\n- [1, 2]\n":      "[3:3]",
		scriptOf("on: login", "login_nth: first"): "step 1: login_nth: first; it is a number from 1 to",
		scriptOf("quantity: [1]"):                 "[2:65] a single value belongs here",
	} {
		if _, err := ParseScript([]byte(text), market.Default()); err == nil ||
			!strings.HasPrefix(err.Error(), "scenario script: "+want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// TestParseScriptDurations: a bad duration is a common mistake, so its error names the place and
// what would be right.
func TestParseScriptDurations(t *testing.T) {
	for _, bad := range []string{"at: 2", "at: 2 s", "after: soon", "every: 1.5"} {
		_, err := ParseScript([]byte(scriptOf(bad)), market.Default())
		if err == nil || !strings.Contains(err.Error(), "[2:") && !strings.Contains(err.Error(), "step 1") {
			t.Errorf("%s: %v; that names neither the line nor the step", bad, err)
		}
		if err == nil || strings.Contains(err.Error(), "Go struct") {
			t.Errorf("%s: %v; that is a sentence about Go", bad, err)
		}
	}
}

// TestParseScriptLoginNth: without this check a step with login_nth and without on: login would
// silently begin at once.
func TestParseScriptLoginNth(t *testing.T) {
	if _, err := ParseScript([]byte(scriptOf("login_nth: 2")), market.Default()); err == nil {
		t.Error("login_nth without on: login was taken")
	}
}

// TestScriptAsText: the encoding and the line ends of a file make no difference; an error about a
// file that is not text names the line.
func TestScriptAsText(t *testing.T) {
	script := scriptOf("quantity: 300") + "# the end"
	for _, text := range []string{
		script, "\ufeff" + script, strings.ReplaceAll(script, "\n", "\r\n"), strings.ReplaceAll(script, "\n", "\r"),
	} {
		if s, err := ParseScript([]byte(text), market.Default()); err != nil || len(s.steps) != 1 ||
			s.steps[0].order.Quantity != 300 {
			t.Errorf("%q: %v", text, err)
		}
	}
	for text, want := range map[string]string{
		"\xff\xfes\x00t\x00":               "line 1: this is UTF-16; save it as UTF-8",
		"# one\r\n# \xb2\xe2\r\n" + script: "line 2: this is not text in UTF-8; save it as UTF-8",
		script + "\n\x00": "line 4: there is a NUL byte, which no text has; " +
			"if this is UTF-16, save it as UTF-8",
		strings.Repeat("#", ScriptBytesMax+1): "it is larger than 4194304 bytes, the most that is read",
	} {
		if _, err := ParseScript([]byte(text), market.Default()); err == nil ||
			err.Error() != "scenario script: "+want {
			t.Errorf("%.30q: %v, want %s", text, err, want)
		}
	}
}

// TestScriptNumbers: numbers are read in decimal digits, not as YAML would read them, and text that
// looks like a number stays text.
func TestScriptNumbers(t *testing.T) {
	for key, want := range map[string]int64{"0100": 100, "'100'": 100, "100": 100} {
		s, err := ParseScript([]byte(scriptOf("account: 0100001", "quantity: "+key, "every: 1s", "times: 010")),
			market.Default())
		if err != nil || s.steps[0].order.Quantity != want || s.steps[0].Account != 100001 || s.steps[0].Times != 10 {
			t.Errorf("quantity %s: %+v, %v", key, s, err)
		}
	}
	s, err := ParseScript([]byte(correcting("price: 0010.50", "quantity: 0100", "reason: 0100")), market.Default())
	if err != nil || s.steps[0].bust.Price != 10_5000 || s.steps[0].bust.Quantity != 100 ||
		s.steps[0].bust.Reason != "0100" {
		t.Errorf("a correction: %+v, %v", s, err)
	}
	for _, price := range []string{"0x10", "1_000", "1e1", ".inf"} {
		if _, err := ParseScript([]byte(correcting("price: "+price)), market.Default()); err == nil ||
			!strings.Contains(err.Error(), "step 1: price: ") {
			t.Errorf("price %s: %v", price, err)
		}
	}
}

// The accounts of the tests. Their numbers end in 00, so they open with nothing but cash.
const (
	ann = 100100
	ben = 100200
)

// played runs a script on a fake clock, for an hour at most, and calls during meanwhile. It returns
// the fills, each with its time since the start, and the runner.
func played(t *testing.T, script string, during func(r *Runner)) (fills []string, r *Runner) {
	t.Helper()
	return playedOn(t, script, during, func(*exchange, time.Time) {})
}

// playedOn is played, and passes the exchange and the start time to show.
func playedOn(t *testing.T, script string, during func(r *Runner),
	show func(x *exchange, start time.Time)) (fills []string, r *Runner) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		x := newExchange(t, 200, 2, 100)
		defer x.stop()
		s, err := ParseScript([]byte(script), x.universe)
		if err != nil {
			t.Fatal(err)
		}
		r = NewRunner(s)
		start := time.Now()
		show(x, start)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		over := make(chan struct{})
		go func() { r.Run(ctx, x); close(over) }()
		if during != nil {
			during(r)
		}
		<-over
		x.settle()
		for _, ev := range x.tape.fills() {
			in := x.universe.At(ev.Trade.Instrument)
			did := map[positions.Change]string{
				positions.Opened: "opens", positions.Increased: "increases", positions.Decreased: "decreases",
				positions.Closed: "closes",
			}[ev.Change]
			fills = append(fills, fmt.Sprintf("%v: %d %s %s by %d", time.Unix(0, ev.Time).Sub(start), ev.Account, did,
				in, ev.Trade.Quantity))
		}
	})
	return fills, r
}

func (r *Runner) expect(t *testing.T, want Played) {
	t.Helper()
	if got := r.State(); got != want {
		t.Errorf("%+v; want %+v", got, want)
	}
}

func TestRunAt(t *testing.T) {
	fills, r := played(t, `
steps:
- {account: 100100, at: 2s, after: 500ms, side: sell, instrument: SZ.000001, quantity: all}
- {account: 100100, side: buy, instrument: SZ.000001, quantity: 160}
- {account: 100100, at: 1s, side: buy, instrument: SZ.000001, quantity: 140}
- {account: 100200, at: 1500ms, side: buy, instrument: SH.601398, quantity: 7, times: 3, every: 10s}
- {account: 100200, at: 30s, side: sell, instrument: SH.601398, quantity: 1}
`, nil)
	want := []string{
		"0s: 100100 opens SZ.000001 by 160", "1s: 100100 increases SZ.000001 by 140",
		"1.5s: 100200 opens SH.601398 by 7",
		"2.5s: 100100 closes SZ.000001 by 300", "11.5s: 100200 increases SH.601398 by 7",
		"21.5s: 100200 increases SH.601398 by 7",
		"30s: 100200 decreases SH.601398 by 1",
	}
	if !slices.Equal(fills, want) {
		t.Errorf("filled\n%s\nwant\n%s", strings.Join(fills, "\n"), strings.Join(want, "\n"))
	}
	r.expect(t, Played{Fills: 7})
	if got := r.Progress(); got != (Progress{Played{Fills: 7}, 5, 5, false}) {
		t.Errorf("at the end: %+v", got)
	}
}

func TestRunOnLogin(t *testing.T) {
	fills, r := played(t, `
steps:
- {account: 100100, on: login, side: buy, instrument: SZ.000001, quantity: 100, every: 200ms, times: 2}
- {account: 100100, on: login, login_nth: 2, after: 300ms, side: buy, instrument: SZ.000001, quantity: 1}
- {account: 100100, on: login, login_nth: 2, side: buy, instrument: SZ.000001, quantity: 2}
- {account: 100200, on: login, login_nth: 3, side: buy, instrument: SZ.000001, quantity: 9}
`, func(r *Runner) {
		r.LoggedIn(4711) // no step waits for it
		time.Sleep(time.Second)
		r.LoggedIn(ann)
		r.LoggedIn(ben)
		r.LoggedIn(ben)
		time.Sleep(time.Minute)
		r.LoggedIn(ann)
		time.Sleep(time.Minute)
		r.LoggedIn(ann) // no step waits for the third
	})
	want := []string{
		"1s: 100100 opens SZ.000001 by 100", "1.2s: 100100 increases SZ.000001 by 100",
		"1m1s: 100100 increases SZ.000001 by 2", "1m1.3s: 100100 increases SZ.000001 by 1",
	}
	if !slices.Equal(fills, want) {
		t.Errorf("filled\n%s\nwant\n%s", strings.Join(fills, "\n"), strings.Join(want, "\n"))
	}
	r.expect(t, Played{Fills: 4})
}

// TestLoginBeforeRun: a login before Run is not lost.
func TestLoginBeforeRun(t *testing.T) {
	x := newExchange(t, 100, 1, 10)
	defer x.stop()
	s, err := ParseScript([]byte(scriptOf("account: 100100", "on: login")), x.universe)
	if err != nil {
		t.Fatal(err)
	}
	r := NewRunner(s)
	r.LoggedIn(ann)
	r.Run(t.Context(), x)
	x.settle()
	r.expect(t, Played{Fills: 1})
}

// TestRunRefused: a fill that the book refuses is skipped and counted, and the step continues.
func TestRunRefused(t *testing.T) {
	fills, r := played(t, `
steps:
- {account: 100100, side: sell, instrument: SZ.000001, quantity: 60, times: 4, every: 2s}
- {account: 100100, at: 3s, side: buy, instrument: SZ.000001, quantity: 100}
- {account: 100100, at: 5s, side: buy, instrument: SH.600519, quantity: 1000000}
- {account: 100200, side: sell, instrument: SZ.000001, quantity: all}
- {account: 4711, side: buy, instrument: SZ.000001, quantity: 100}
`, nil)
	if want := []string{"3s: 100100 opens SZ.000001 by 100",
		"4s: 100100 decreases SZ.000001 by 60"}; !slices.Equal(fills, want) {
		t.Errorf("filled %q, want %q", fills, want)
	}
	r.expect(t, Played{Fills: 2, Refused: 6})
}

// TestRunEnds: Run ends with its context, whatever its steps are doing.
func TestRunEnds(t *testing.T) {
	fills, r := played(t, `
steps:
- {account: 100100, side: buy, instrument: SZ.000001, quantity: 1, times: 1000000, every: 25m}
- {account: 100100, on: login, side: buy, instrument: SZ.000001, quantity: 1}
- {account: 100100, at: 2h, side: buy, instrument: SZ.000001, quantity: 1}
`, nil)
	if len(fills) != 3 {
		t.Errorf("filled %q", fills)
	}
	r.expect(t, Played{Fills: 3})
}

// TestRunSkips: fills that find the inbox full are skipped.
func TestRunSkips(t *testing.T) {
	x := newExchange(t, 100, 1, 2)
	s, err := ParseScript([]byte("steps:\n"+strings.Repeat(strings.TrimPrefix(scriptOf("account: 100100"), "steps:\n"),
		5)), x.universe)
	if err != nil {
		t.Fatal(err)
	}
	flow, err := NewFlow(x.Engine, FlowConfig{Accounts: 1, Universe: x.universe})
	if err != nil {
		t.Fatal(err)
	}
	release := x.tape.hold()
	for flow.submit(1); !x.tape.isHeld(); { // keeps the drainer in a commit
		time.Sleep(20 * time.Microsecond)
	}
	r := NewRunner(s)
	r.Run(t.Context(), x)
	release()
	x.stop()
	r.expect(t, Played{Fills: 2, Skipped: 3})
}

// FuzzParseScript: any text gives either a script that can be played or an error.
func FuzzParseScript(f *testing.F) {
	for _, seed := range []string{
		"", scriptOf(), scriptOf("on: login", "login_nth: 2", "after: 300ms"),
		scriptOf("at: 2s", "every: 1s", "times: 5"),
		scriptOf("side: sell", "quantity: all"), scriptOf("quantity: 1e3"), busting(),
		busting("bust: 100001-7", "policy: cascade"),
		correcting(), correcting("price: 1e300", "every: 2s", "times: 3"), "steps: [{account: 1}]", "steps: &a [*a]",
		"{\"steps\": []}",
		"steps:\n- &a {account: 1}\n- <<: *a\n", "steps: !!binary aGk=",
	} {
		f.Add(seed)
	}
	u := market.Default()
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseScript([]byte(text), u)
		if (s == nil) != (err != nil) {
			t.Fatalf("%v and %v", s, err)
		}
		if err != nil {
			if err.Error() == "" {
				t.Fatal("an error without words")
			}
			return
		}
		for _, st := range s.steps {
			good := st.Account != 0 && int(st.order.Instrument) < u.Len() && st.Times >= 1 && st.LoginNth >= 1 &&
				st.wait >= 0 && st.every >= 0
			if !good || !playable(&st) {
				t.Fatalf("%q gives %+v", text, st)
			}
		}
		NewRunner(s).LoggedIn(1)
	})
}

func playable(st *step) bool {
	o := &st.order
	switch {
	case st.bust != nil:
		return st.bust.Check().Reason == positions.NoBustRefusal && st.bust.Account == st.Account &&
			(st.bust.TradeSeq == 0 || !st.anyInstrument)
	case o.Account != st.Account || o.Side != positions.Buy && o.Side != positions.Sell ||
		o.Origin != positions.OriginSimulator:
		return false
	case st.sellAll:
		return o.Side == positions.Sell && o.Quantity == 0
	}
	return o.Quantity >= 1 && o.Quantity <= positions.MaxOrderShares
}
