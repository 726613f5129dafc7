package linear

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

var (
	cheap = instrument{"SZ", "000001", 10}
	dear  = instrument{"SZ", "000002", 20}
)

// account returns a state with only cash.
func account(cash int64) *state { return &state{account: 7, seq: 1, cash: cash} }

// callAll makes calls on a state, and returns the last answer.
func callAll(s *state, calls ...*call) (*answer, *state) {
	var a *answer
	for _, c := range calls {
		a, s = s.step(c)
	}
	return a, s
}

func buys(id string, in instrument, n int64) *call {
	return &call{kind: order, id: id, buy: true, traded: in, quantity: n}
}

func sells(id string, in instrument, n int64) *call {
	return &call{kind: order, id: id, traded: in, quantity: n}
}

// TestGolden is the example of docs/ledger.md: buy 100 at 10, buy 100 at 20, sell 50 at 18, without the second buy.
func TestGolden(t *testing.T) {
	at := func(price int64) instrument { return instrument{"SZ", "000001", price} }
	s := account(10_000)
	_, s = callAll(s, buys("a", at(10), 100), buys("b", at(20), 100), sells("c", at(18), 50))
	for i := range s.trades {
		s.trades[i].traded = at(0) // one instrument, whatever the price was
	}
	a, after := callAll(s, &call{kind: bust, id: "x", trade: 3})
	want := row{"SZ", "000001", 50, 500, 400}
	if a.refused != "" || a.seq != 5 || !slices.Equal(a.rows, []row{want}) || a.balance != 10_000-1000+900 ||
		a.realised != 400 {
		t.Errorf("busted: %v, want %v", a, want)
	}
	again, _ := callAll(after, &call{kind: bust, id: "x", trade: 3})
	if !again.repeated || again.seq != a.seq {
		t.Errorf("the same again: %v", again)
	}
	if other, _ := callAll(after, &call{kind: bust, id: "y", trade: 3}); other.refused != alreadyBusted {
		t.Errorf("under another id: %v", other)
	}
}

// TestCascade: trades that depend on a trade taken back are taken back too, or prevent the bust.
func TestCascade(t *testing.T) {
	_, sold := callAll(account(10_000), buys("a", cheap, 100), sells("b", cheap, 40), sells("c", cheap, 30))
	_, spent := callAll(account(1_000), buys("a", cheap, 100), sells("b", cheap, 100), buys("c", dear, 40))
	for name, c := range map[string]struct {
		before  *state
		ask     call
		refused string
		cascade []uint64
		balance int64
	}{
		"shares are gone": {sold, call{kind: bust, trade: 2}, sharesGone, nil, 0},
		"with all sales": {sold, call{kind: bust, trade: 2, cascade: true}, "", []uint64{3, 4},
			10_000},
		"a correction that leaves enough": {sold, call{kind: correct, trade: 2, quantity: 70, price: 10}, "", nil,
			10_000},
		"one that takes the newest sale": {sold, call{kind: correct, trade: 2, quantity: 69, price: 10,
			cascade: true}, "", []uint64{4}, 9_710},
		"a sale of more than there ever was": {sold, call{kind: correct, trade: 3, quantity: 101, price: 10,
			cascade: true}, sharesGone, nil, 0},
		"cash is gone":        {spent, call{kind: bust, trade: 3}, cashGone, nil, 0},
		"with the newest buy": {spent, call{kind: bust, trade: 3, cascade: true}, "", []uint64{4}, 0},
		"nothing to correct": {sold, call{kind: correct, trade: 2, quantity: 100, price: 10},
			nothingToCorrect, nil, 0},
		"no trade": {sold, call{kind: bust, trade: 99}, unknownTrade, nil, 0},
	} {
		c.ask.id = "x"
		a, after := callAll(c.before, &c.ask)
		if a.refused != c.refused || a.refused == "" &&
			(!slices.Equal(a.cascade, c.cascade) || a.balance != c.balance) {
			t.Errorf("%s: %v, want %q, cascade %v, cash %d", name, a, c.refused, c.cascade, c.balance)
		}
		if a.refused != "" && !after.equal(c.before) {
			t.Errorf("%s: refused, and something has changed", name)
		}
	}
}

// TestHalfEven: a half is rounded to the even number.
func TestHalfEven(t *testing.T) {
	for _, c := range [][4]int64{{10, 1, 4, 2}, {14, 1, 4, 4}, {5, 1, 2, 2}, {7, 1, 2, 4}, {100, 1, 3, 33},
		{200, 1, 3, 67}, {9, 3, 3, 9}} {
		if got := halfEven(c[0], c[1], c[2]); got != c[3] {
			t.Errorf("%d × %d / %d is %d, want %d", c[0], c[1], c[2], got, c[3])
		}
	}
}

// line is a call of a history, made in one line of a test. The answers are those of the model
// unless a line changes them.
type line struct {
	lane       int
	from, to   int64
	c          *call
	a          *answer
	change     func(*answer)
	openAnswer bool
}

func historyOf(lines []line, done map[string]uint64) *history {
	h := &history{start: account(10_000)}
	s := h.start
	for _, l := range lines {
		a := l.a
		if a == nil {
			var told *answer
			told, s = s.step(l.c)
			copied := *told
			a = &copied
		}
		if l.change != nil {
			l.change(a)
		}
		op := porcupine.Operation{ClientId: l.lane, Input: l.c, Output: a, Call: l.from, Return: l.to}
		if l.openAnswer {
			op.Output, op.Return = &answer{open: true}, 1<<62
		}
		h.calls = append(h.calls, op)
	}
	h.conclude(maps.Clone(done))
	return h
}

// TestJudgement tells histories that one ledger could have produced from those that none could.
func TestJudgement(t *testing.T) {
	look := &call{kind: holdings}
	for name, c := range map[string]struct {
		lines []line
		want  porcupine.CheckResult
		done  map[string]uint64
	}{
		"one after the other": {[]line{
			{lane: 1, from: 0, to: 1, c: buys("a", cheap, 100)}, {lane: 1, from: 2, to: 3, c: look},
			{lane: 1, from: 4, to: 5, c: &call{kind: bust, id: "x", trade: 2}}, {lane: 1, from: 6, to: 7, c: look},
		}, porcupine.Ok, nil},
		"at the same time, answered the other way round": {[]line{
			{lane: 1, from: 0, to: 9, c: buys("a", cheap, 100)}, {lane: 2, from: 0, to: 5, c: sells("b", cheap, 100)},
		}, porcupine.Ok, nil},
		"a look that misses what was answered before it": {[]line{
			{lane: 2, from: 2, to: 3, c: look}, {lane: 1, from: 0, to: 1, c: buys("a", cheap, 100)},
		}, porcupine.Illegal, nil},
		"a lost order": {[]line{
			{lane: 1, from: 0, to: 1, c: buys("a", cheap, 100)},
			{lane: 1, from: 2, to: 3, c: look, a: func() *answer {
				a, _ := callAll(account(10_000), look)
				return a
			}()},
		}, porcupine.Illegal, nil},
		"an order that was executed twice": {[]line{
			{lane: 1, from: 0, to: 1, c: buys("a", cheap, 100)},
			{lane: 1, from: 2, to: 3, c: buys("a", cheap, 100),
				change: func(a *answer) { a.repeated, a.seq = false, 3 }},
		}, porcupine.Illegal, nil},
		"an open order that was executed": {[]line{{lane: 1, from: 0, c: buys("a", cheap, 100),
			openAnswer: true}, {lane: 2, from: 5, to: 6, c: look}}, porcupine.Ok, map[string]uint64{"a": 2}},
		"an open order that never was": {[]line{{lane: 2, from: 5, to: 6, c: look},
			{lane: 1, from: 0, c: buys("a", cheap, 100), openAnswer: true}}, porcupine.Ok, nil},
		"an open order that was, later": {[]line{{lane: 2, from: 5, to: 6, c: look},
			{lane: 1, from: 0, c: buys("a", cheap, 100), openAnswer: true}}, porcupine.Ok, map[string]uint64{"a": 2}},
		"an open order that was seen and lost": {[]line{{lane: 1, from: 0, c: buys("a", cheap, 100),
			openAnswer: true}, {lane: 2, from: 5, to: 6, c: look}}, porcupine.Illegal, nil},
		"an open order, sent again and answered": {[]line{
			{lane: 1, from: 0, c: buys("a", cheap, 100), openAnswer: true},
			{lane: 2, from: 5, to: 6, c: buys("a", cheap, 100)},
		}, porcupine.Ok, map[string]uint64{"a": 2}},
		"one that was executed before it was": {[]line{{lane: 1, from: 7, c: buys("a", cheap, 100), openAnswer: true},
			{lane: 2, from: 5, to: 6, c: look}}, porcupine.Illegal, map[string]uint64{"a": 2}},
		"a bust that left its trade in the cost": {[]line{
			{lane: 1, from: 0, to: 1, c: buys("a", cheap, 100)}, {lane: 1, from: 2, to: 3, c: buys("b", cheap, 50)},
			{lane: 1, from: 4, to: 5, c: &call{kind: bust, id: "x", trade: 3},
				change: func(a *answer) { a.rows = []row{{"SZ", "000001", 100, 1500, 0}} }},
		}, porcupine.Illegal, nil},
		"a hash that is not of the rows": {[]line{{lane: 1, from: 0, to: 1, c: look,
			change: func(a *answer) { a.hash++ }}}, porcupine.Illegal, nil},
		"a server that is busy": {[]line{{lane: 1, from: 0, to: 1, c: look},
			{lane: 1, from: 2, to: 3, c: buys("a", cheap, 1), a: &answer{unheard: true}}}, porcupine.Ok, nil},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			place := filepath.Join(t.TempDir(), "picture.html")
			got, err := historyOf(c.lines, c.done).linearizable(10*time.Second, place)
			if err != nil || got != c.want {
				t.Errorf("%s, %v; want %s", got, err, c.want)
			}
		})
	}
}

// TestModelOfBookings: cash that is booked, and a reset, after which only what came later counts.
func TestModelOfBookings(t *testing.T) {
	a, s := callAll(account(1000), buys("a", cheap, 10), &call{kind: book, id: "w", cash: -901})
	if a.refused != tooLittleCash {
		t.Errorf("more than there is: %v", a)
	}
	a, s = callAll(s, &call{kind: book, id: "w", cash: -900}, &call{kind: book, id: "d", cash: 50})
	if a.balance != 50 || a.seq != 4 || len(a.rows) != 0 {
		t.Errorf("booked: %v", a)
	}
	anew := &call{kind: reset, id: "r", cash: 700}
	a, s = callAll(s, sells("b", cheap, 5), anew)
	gone := []row{{market: cheap.market, code: cheap.code}}
	if a.balance != 700 || a.realised != 0 || a.seq != 6 || !slices.Equal(a.rows, gone) {
		t.Errorf("reset: %v", a)
	}
	for _, c := range []*call{anew, {kind: book, id: "d", cash: 50}} {
		if again, _ := callAll(s, c); !again.repeated {
			t.Errorf("%v again: %v", c, again)
		}
	}
	if again, _ := callAll(s, buys("a", cheap, 10)); !again.repeated || again.seq != 2 {
		t.Errorf("an order from before the reset: %v", again)
	}
	if late, _ := callAll(s, &call{kind: bust, id: "x", trade: 2}); late.refused != beforeReset {
		t.Errorf("a bust of a trade from before the reset: %v", late)
	}
	a, _ = callAll(s, buys("c", dear, 2), &call{kind: bust, id: "y", trade: 7}, &call{kind: holdings})
	if a.balance != 700 || len(a.rows) != 0 || a.seq != 8 {
		t.Errorf("a bust after the reset left %v", a)
	}
}
