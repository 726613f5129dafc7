package simulator

import (
	"context"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// TestTapeFlowCounts: however the time of a tape is cut, as many fills come as the rate gives in all of it, to
// the last one.
func TestTapeFlowCounts(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rate := rapid.OneOf(rapid.Float64Range(0, RateMax), rapid.SampledFrom([]float64{1, 0.1, 1.0 / 3, RateMax})).
			Draw(rt, "rate")
		f := &Flow{cfg: FlowConfig{Accounts: 1}}
		f.rate.Store(math.Float64bits(rate))
		const start = int64(1_700_000_000_000_000_000)
		tape := f.OnTape(start, nil)
		now, n := start, new(big.Int)
		for _, passed := range rapid.SliceOf(rapid.Int64Range(0, 1<<48)).Draw(rt, "times") {
			now += passed
			n.Add(n, new(big.Int).SetUint64(tape.due(now)))
		}
		want := new(big.Int).Mul(big.NewInt(now-start), big.NewInt(int64(math.Round(rate/ratePart))))
		want.Quo(want, new(big.Int).SetUint64(wholeFill))
		if n.Cmp(want) != 0 {
			rt.Fatalf("%s fills in %d ns at a rate of %g, want %s", n, now-start, rate, want)
		}
	})
}

// TestTapeFlowClosed: no time passes for a flow while nobody trades.
func TestTapeFlowClosed(t *testing.T) {
	f := &Flow{cfg: FlowConfig{Accounts: 1}}
	f.rate.Store(math.Float64bits(1))
	const second = int64(time.Second)
	tape := f.OnTape(0, func(from int64) bool { return from < 10*second || from >= 20*second })
	if at, ok := tape.Next(); !ok || at != tapeStep {
		t.Errorf("it wants to be asked at %d, %v", at, ok)
	}
	for _, step := range []struct {
		at   int64
		want uint64
	}{{7, 7}, {10, 3}, {15, 0}, {20, 0}, {22, 2}, {21, 0}, {23, 1}} {
		if n := tape.due(step.at * second); n != step.want {
			t.Errorf("at %d s: %d fills, want %d", step.at, n, step.want)
		}
		if _, ok := tape.Next(); ok != (step.at < 10 || step.at >= 20) {
			t.Errorf("at %d s it wants to be asked: %v", step.at, ok)
		}
	}
	f.rate.Store(0)
	if _, ok := tape.Next(); ok {
		t.Error("a flow that is off wants to be asked")
	}
}

// TestTapeFlowHistories: the same flow over the same time gives each account the same history, whatever the
// number of shards and the room in their inboxes, and drops nothing.
func TestTapeFlowHistories(t *testing.T) {
	const accounts, fills = 5, 6000
	var first [accounts][]positions.Event
	for n, shards := range []int{1, 2, 7} {
		x := newExchange(t, accounts, shards, 10+n*1000)
		f, err := NewFlow(x.Engine, FlowConfig{Accounts: accounts, Seed: 3, Rate: 1000, Universe: x.universe})
		if err != nil {
			t.Fatal(err)
		}
		tape := f.OnTape(0, nil)
		for _, now := range []time.Duration{time.Second, time.Second, 5500 * time.Millisecond, 6 * time.Second} {
			if err := tape.Play(t.Context(), int64(now)); err != nil {
				t.Fatal(err)
			}
		}
		if s := f.State(); s.Fills+s.None+s.Refused != fills || s.Skipped != 0 {
			t.Errorf("%d shards: %+v", shards, s)
		}
		for i := range accounts {
			events := x.tape.ofAccount(FirstAccount + uint64(i))
			for j := range events {
				events[j].Time = 0 // the machine's
			}
			if n == 0 {
				first[i] = events
			} else if !reflect.DeepEqual(events, first[i]) {
				t.Errorf("%d shards: account %d has another history than with one", shards, i)
			}
		}
		x.stop()
	}
}

// noted is an exchange that writes down what a script does.
type noted struct{ done []string }

func (p *noted) note(format string, args ...any) {
	p.done = append(p.done, fmt.Sprintf(format, args...))
}

func (p *noted) Submit(uint64, []engine.Request) int { panic("it does not wait") }

func (p *noted) Deliver(_ context.Context, account uint64, requests []engine.Request) error {
	for i := range requests {
		orders := requests[i].Decider.Decide(positions.View{}, nil, 0, 0, nil)
		p.note("%d buys %d", account, orders[0].Quantity)
	}
	return nil
}

func (p *noted) History(context.Context, uint64, uint64, int) ([]positions.Event, uint64, error) {
	return nil, 0, nil
}

func (p *noted) Bust(_ context.Context, r *positions.BustRequest) (positions.Event, bool, error) {
	p.note("bust of %d-%d", r.Account, r.TradeSeq)
	return positions.Event{}, false, nil
}

func (p *noted) AwaitRoom(_ context.Context, account uint64) error {
	p.note("room for %d", account)
	return nil
}

func (p *noted) ApplyQuote(u market.Update) market.Outcome {
	p.note("quote of %s", market.FormatMoney(u.Last))
	return market.Applied
}

func (p *noted) Settle(context.Context) error {
	p.note("settle")
	return nil
}

// TestTapeScript: the steps come in the order of their times and then of their lines, and a bust waits for what
// is before it.
func TestTapeScript(t *testing.T) {
	script, err := ParseScript([]byte(`
steps:
- {account: 1, at: 2s, side: buy, instrument: SH.600519, quantity: 1, every: 1s, times: 3}
- {account: 2, at: 1s, side: buy, instrument: SH.600519, quantity: 2}
- {account: 3, at: 3s, bust: 3-7, reason: a test}
- {account: 4, at: 3s, side: buy, instrument: SH.600519, quantity: 4, every: 0s, times: 2}
- {account: 5, on: login, after: 1s, side: buy, instrument: SH.600519, quantity: 5}
- {at: 3s, quote: SH.600519, last: 1480}
- {account: 6, at: 1h, side: buy, instrument: SH.600519, quantity: 6}
`), market.Default())
	if err != nil {
		t.Fatal(err)
	}
	const second, start = int64(time.Second), int64(1000)
	r, x := NewRunner(script), new(noted)
	tape := r.OnTape(x, start)
	for _, step := range []struct {
		at   int64 // seconds
		next int64
		want []string
	}{
		{0, 1, nil},
		{1, 2, []string{"2 buys 2"}},
		{2, 3, []string{"1 buys 1"}},
		{3, 4, []string{"1 buys 1", "settle", "room for 3", "bust of 3-7", "4 buys 4", "4 buys 4", "settle",
			"quote of 1480.00"}},
		{10, 11, []string{"1 buys 1"}}, // the login is noted at 10 s
		{11, 3600, []string{"5 buys 5"}},
	} {
		if step.at == 10 && !r.LoggedIn(5) {
			t.Error("no step begins with the login")
		}
		x.done = nil
		if err := tape.Play(t.Context(), start+step.at*second); err != nil {
			t.Fatal(err)
		}
		if next, ok := tape.Next(); !slices.Equal(x.done, step.want) || !ok || next != start+step.next*second {
			t.Errorf("at %d s: %q, and the next at %d\nwant %q", step.at, x.done, (next-start)/second, step.want)
		}
	}
	if p := r.Progress(); p.Steps != 7 || p.Ended != 6 || !p.Running || p.Busts != 1 || p.Quotes != 1 {
		t.Errorf("%+v", p)
	}
	if tape.End(); r.Progress().Running {
		t.Error("it still runs")
	}
	if r.LoggedIn(5) || r.LoggedIn(1) {
		t.Error("a step begins with a login that none waits for")
	}
}
