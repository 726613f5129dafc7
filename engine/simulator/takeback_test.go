package simulator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// busting and correcting are like scriptOf, for steps that bust or correct a trade.
func busting(keys ...string) string {
	return scriptOf(append([]string{"side: ", "instrument: ", "quantity: ", "bust: last", "reason: wrong price"},
		keys...)...)
}

func correcting(keys ...string) string {
	return scriptOf(append([]string{"side: ", "instrument: ", "correct: last", "price: 9.98", "reason: wrong price"},
		keys...)...)
}

func TestParseTakeBack(t *testing.T) {
	u := market.Default()
	pingAn, _ := u.Parse("SZ.000001")
	bust := positions.BustRequest{Account: 100001, Reason: "wrong price", Actor: "scenario script"}
	correction := bust
	correction.Correct, correction.Price, correction.Quantity = true, 9_9800, 100
	with := func(r positions.BustRequest, change func(r *positions.BustRequest)) positions.BustRequest {
		change(&r)
		return r
	}
	for text, want := range map[string]struct {
		request       positions.BustRequest
		of            market.ID
		anyInstrument bool
	}{
		busting():                        {bust, 0, true},
		busting("instrument: SZ.000001"): {bust, pingAn, false},
		busting("policy: reject"):        {bust, 0, true},
		busting("policy: cascade"): {with(bust,
			func(r *positions.BustRequest) { r.Policy = positions.PolicyCascade }), 0, true},
		busting("bust: 100001-42"): {with(bust, func(r *positions.BustRequest) { r.TradeSeq = 42 }), 0,
			false},
		correcting():                {correction, 0, true},
		correcting("price: '9.98'"): {correction, 0, true},
		correcting("price: 10"): {with(correction,
			func(r *positions.BustRequest) { r.Price = 10_0000 }), 0, true},
		correcting("price: 0.0001"): {with(correction, func(r *positions.BustRequest) { r.Price = 1 }), 0,
			true},
		correcting("correct: 100001-7"): {with(correction, func(r *positions.BustRequest) { r.TradeSeq = 7 }),
			0, false},
		correcting("reason: 'off: by one, 价格'"): {with(correction,
			func(r *positions.BustRequest) { r.Reason = "off: by one, 价格" }), 0, true},
	} {
		s, err := ParseScript([]byte(text), u)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if st := s.steps[0]; st.bust == nil || *st.bust != want.request || st.order.Instrument != want.of ||
			st.anyInstrument != want.anyInstrument {
			t.Errorf("%s: %+v of %d, any %v", text, st.bust, st.order.Instrument, st.anyInstrument)
		}
	}
}

func TestParseTakeBackRefuses(t *testing.T) {
	const name = "; it is last, or the name of a trade of the account, as 100001-42"
	const reason = " says why, and must be one line of 1 to 200 bytes; it has %d; write for example reason: wrong price"
	for text, want := range map[string]string{
		busting("correct: last"): "both bust and correct: a step does one of them",
		busting("side: buy"):     `side: "buy"; a step with bust is no fill, so leave it out`,
		correcting("side: buy"):  `side: "buy"; a step with correct is no fill, so leave it out`,
		busting("quantity: 100"): "price and quantity are for correct; a bust takes back all of a trade",
		busting("price: 9.98"):   "price and quantity are for correct; a bust takes back all of a trade",
		busting("policy: casc"):  `policy: "casc" is not a policy; it must be reject or cascade`,
		busting("reason: "):      `reason: ""` + fmt.Sprintf(reason, 0),
		busting("reason: " + strings.Repeat("a", 201)): `reason: "` + strings.Repeat("a", 201) + `"` +
			fmt.Sprintf(reason, 201),
		busting("bust: newest"):        `bust: "newest"` + name,
		busting("bust: 100002-42"):     `bust: "100002-42"` + name,
		busting("bust: 100001-042"):    `bust: "100001-042"` + name,
		busting("bust: 0100001-42"):    `bust: "0100001-42"` + name,
		busting("bust: 100001-+42"):    `bust: "100001-+42"` + name,
		busting("bust: 100001-0"):      `bust: "100001-0"` + name,
		busting("bust: 42"):            `bust: "42"` + name,
		correcting("correct: 100001-"): `correct: "100001-"` + name,
		busting("bust: 100001-42",
			"instrument: SZ.000001"): "instrument: SZ.000001; " +
			"only last has one, 100001-42 names the trade already",
		busting("instrument: 600519"): "instrument: 600519 is a code without its market; " +
			"write SH.600519 (贵州茅台)",
		correcting("price: "): "price is missing; correct takes a price and a quantity, " +
			"and says both even where one stays as it is",
		correcting("price: cheap"):   `price: "cheap" is not an amount; write digits with a decimal point, as in 9.98`,
		correcting("price: 9.98765"): `price: "9.98765" has 5 decimals; an amount has at most 4`,
		correcting("price: 0"):       "the price must be above 0 and at most 1000000000.00",
		correcting("price: -1"):      "the price must be above 0 and at most 1000000000.00",
		correcting("quantity: "):     "quantity is missing",
		correcting("quantity: all"): "quantity: all; it is a number of shares from 1 to 1000000000 " +
			"in decimal digits, or for a sale: all",
		scriptOf("price: 9.98"): "price: 9.98; a fill is at the market's price, " +
			"only correct has one of its own",
		scriptOf("reason: wrong price"): "reason and policy are for bust and correct; a fill has neither",
		scriptOf("policy: cascade"):     "reason and policy are for bust and correct; a fill has neither",
		busting("every: 2s"):            "every without times: say how often, for example times: 20",
	} {
		_, err := ParseScript([]byte(text), market.Default())
		if want := "scenario script: step 1: " + want; err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// TestRunTakesBack plays busts and corrections in an engine: of the newest trade that a simulator
// made (not an operator), of the newest in an instrument, of a trade by its name, and with the
// policies reject and cascade.
func TestRunTakesBack(t *testing.T) {
	fills, busts, r := takenBack(t, `
steps:
- {account: 100100, at: 1s, side: buy, instrument: SZ.000001, quantity: 100}
- {account: 100100, at: 2s, side: buy, instrument: SH.601398, quantity: 200}
- {account: 100100, at: 3s, side: buy, instrument: SZ.000001, quantity: 300}
- {account: 100100, at: 4s, bust: last, instrument: SH.601398, reason: wrong price}
- {account: 100100, at: 5s, correct: last, price: 9.98, quantity: 50, reason: wrong quantity}
- {account: 100100, at: 6s, bust: last, reason: wrong account, every: 1s, times: 3}
- {account: 100200, at: 1s, side: buy, instrument: SZ.000001, quantity: 100}
- {account: 100200, at: 2s, side: sell, instrument: SZ.000001, quantity: 60}
- {account: 100200, at: 3s, bust: 100200-2, reason: no cascade}
- {account: 100200, at: 4s, bust: 100200-2, reason: with what hangs on it, policy: cascade}
- {account: 100200, at: 5s, bust: last, reason: nothing is left}
- {account: 4711, at: 1s, bust: last, reason: nobody}
`)
	if len(fills) != 5 {
		t.Errorf("filled %q", fills)
	}
	want := []string{
		"4s: 100100-3 taken back: wrong price", "5s: 100100-4 corrected to 50 @ 9.98: wrong quantity",
		"6s: 100100-4 taken back: wrong account",
		"7s: 100100-2 taken back: wrong account", "4s: 100200-2 taken back, and [3]: with what hangs on it",
	}
	slices.Sort(busts)
	slices.Sort(want)
	if !slices.Equal(busts, want) {
		t.Errorf("took back\n%s\nwant\n%s", strings.Join(busts, "\n"), strings.Join(want, "\n"))
	}
	// Refused are the last of three, the one without its shares, the one with no trade left, and
	// the unknown account.
	r.expect(t, Played{Fills: 5, Busts: 5, Refused: 4})
}

// takenBack plays a script and returns its busts besides its fills.
func takenBack(t *testing.T, script string) (fills, busts []string, r *Runner) {
	t.Helper()
	var tape *tape
	start := time.Time{}
	fills, r = playedOn(t, script, nil, func(x *exchange, at time.Time) { tape, start = x.tape, at })
	for _, ev := range tape.events {
		b := ev.Bust
		if b == nil {
			continue
		}
		text := fmt.Sprintf("%v: %d-%d", time.Unix(0, ev.Time).Sub(start), ev.Account, b.TradeSeq)
		if b.Replacement != nil {
			text += fmt.Sprintf(" corrected to %d @ %s", b.Replacement.Quantity,
				market.FormatMoney(b.Replacement.Price))
		} else {
			text += " taken back"
		}
		if len(b.Cascade) > 0 {
			text += fmt.Sprintf(", and %d", b.Cascade)
		}
		if b.Actor != scriptActor {
			t.Errorf("by %q", b.Actor)
		}
		busts = append(busts, text+": "+b.Reason)
	}
	return fills, busts, r
}

// fakeExchange is an Exchange with a given history, which answers busts as the test says.
type fakeExchange struct {
	history []positions.Event // oldest first
	pages   int
	fail    error
	asked   []positions.BustRequest
}

func (x *fakeExchange) Submit(uint64, []engine.Request) int { return 0 }

func (x *fakeExchange) History(_ context.Context, _, before uint64, limit int) (page []positions.Event, oldest uint64,
	err error) {
	x.pages++
	if before == 0 {
		before = uint64(len(x.history)) + 1
	}
	for seq := before - 1; seq > 0 && len(page) < limit; seq-- {
		page = append(page, x.history[seq-1])
	}
	return page, 1, nil
}

func (x *fakeExchange) Bust(_ context.Context, r *positions.BustRequest) (positions.Event, bool, error) {
	x.asked = append(x.asked, *r)
	return positions.Event{}, false, x.fail
}

// play runs a script of one step against the fake exchange.
func (x *fakeExchange) play(t *testing.T, script string) *Runner {
	t.Helper()
	s, err := ParseScript([]byte(script), market.Default())
	if err != nil {
		t.Fatal(err)
	}
	r := NewRunner(s)
	r.Run(t.Context(), x)
	return r
}

// The newest trade of a simulator may be pages back, but the search is bounded.
func TestNewestTradePagesBack(t *testing.T) {
	for _, test := range []struct {
		others, pages int
		found         bool
	}{{0, 1, true}, {250, 3, true}, {searchMax - 1, searchMax / searchPage, true},
		{searchMax, searchMax / searchPage, false}, {3 * searchMax, searchMax / searchPage, false}} {
		x := new(fakeExchange)
		for i := range 1 + test.others {
			ev := positions.Event{Seq: uint64(i + 1), Kind: positions.KindTrade}
			if ev.Trade.Origin = positions.OriginClient; i == 0 {
				ev.Trade.Origin = positions.OriginSimulator
			}
			x.history = append(x.history, ev)
		}
		r := x.play(t, busting())
		want := Played{Busts: 1}
		if !test.found {
			want = Played{Refused: 1}
		}
		r.expect(t, want)
		if x.pages != test.pages || len(x.asked) != int(want.Busts) || test.found && x.asked[0].TradeSeq != 1 {
			t.Errorf("%d others: %d pages, asked %+v", test.others, x.pages, x.asked)
		}
	}
}

// A refusal is counted apart from a server that is too busy.
func TestTakeBackCounts(t *testing.T) {
	for _, test := range []struct {
		fail error
		want Played
	}{
		{nil, Played{Busts: 1}},
		{&engine.BustRefusedError{}, Played{Refused: 1}},
		{fmt.Errorf("too many: %w", engine.ErrBusy), Played{Skipped: 1}},
		{engine.ErrStopped, Played{Skipped: 1}},
		{errors.New("history could not be read"), Played{Skipped: 1}},
	} {
		x := &fakeExchange{fail: test.fail}
		x.play(t, busting("bust: 100001-42")).expect(t, test.want)
		if x.pages != 0 || len(x.asked) != 1 || x.asked[0].TradeSeq != 42 {
			t.Errorf("%d pages, asked %+v", x.pages, x.asked)
		}
	}
}

// A trade from before a reset is not taken back, so the search ends there.
func TestNewestTradeEndsAtReset(t *testing.T) {
	x := &fakeExchange{history: []positions.Event{
		{Seq: 1, Kind: positions.KindTrade, Trade: positions.Trade{Origin: positions.OriginSimulator}},
		{Seq: 2, Kind: positions.KindReset, Reset: new(positions.Reset)},
	}}
	x.play(t, busting()).expect(t, Played{Refused: 1})
	if len(x.asked) != 0 {
		t.Errorf("asked %+v", x.asked)
	}
}

func (x *fakeExchange) ApplyQuote(market.Update) market.Outcome { return market.Applied }
