package simulator

import (
	"context"
	"math"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/papertape/papertape/positions"
)

const flowAccounts = 40

// flowed submits n draws in pieces, and returns the flow and the events of each account, without
// their times.
func flowed(t *testing.T, seed uint64, shards, n, piece int) (*Flow, *exchange, map[uint64][]positions.Event) {
	t.Helper()
	x := newExchange(t, flowAccounts, shards, n)
	f, err := NewFlow(x.Engine, FlowConfig{Accounts: flowAccounts, Seed: seed, Universe: x.universe})
	if err != nil {
		t.Fatal(err)
	}
	for left := n; left > 0; left -= piece {
		f.submit(min(piece, left))
	}
	x.stop()
	events := make(map[uint64][]positions.Event)
	for number := uint64(FirstAccount); number < FirstAccount+flowAccounts; number++ {
		events[number] = x.tape.ofAccount(number)
		for i := range events[number] {
			events[number][i].Time, events[number][i].Adjustment = 0, nil
		}
	}
	return f, x, events
}

// TestFlowIsSeeded: the same seed and books give the same events, whatever the pieces and the
// number of shards. Another seed gives other events.
func TestFlowIsSeeded(t *testing.T) {
	const n = 2000
	_, _, one := flowed(t, 1, 1, n, n)
	_, _, same := flowed(t, 1, 3, n, 7)
	_, _, other := flowed(t, 2, 1, n, n)
	if !reflect.DeepEqual(one, same) {
		t.Error("the same seed gives other events in other pieces")
	}
	if reflect.DeepEqual(one, other) {
		t.Error("another seed gives the same events")
	}
}

// TestFlowMoves: the flow keeps opening, increasing, decreasing and closing rows, and counts every
// draw.
func TestFlowMoves(t *testing.T) {
	const n = 8000
	f, x, events := flowed(t, 1, 2, n, 100)
	fills := x.tape.fills()
	if got, want := f.State(), (State{Fills: n}); got != want || len(fills) != n {
		t.Errorf("%d draws gave %+v and %d fills", n, got, len(fills))
	}
	for part := range 4 {
		count := make(map[positions.Change]int)
		for _, ev := range fills[part*n/4 : (part+1)*n/4] {
			count[ev.Change]++
		}
		for _, change := range []positions.Change{positions.Opened, positions.Increased, positions.Decreased,
			positions.Closed} {
			if count[change] < n/4/20 {
				t.Errorf("quarter %d: change %d happened %d times in %d", part+1, change, count[change], n/4)
			}
		}
	}
	for number, list := range events {
		rows := 0
		for _, ev := range list {
			switch ev.Change {
			case positions.Opened:
				rows++
			case positions.Closed:
				rows--
			}
			if rows > flowRowsMax || ev.Cash.Balance < 0 {
				t.Fatalf("account %d came to %d rows and %d in cash", number, rows, ev.Cash.Balance)
			}
		}
		if len(list) < n/flowAccounts/2 {
			t.Errorf("account %d had %d events: the flow is over all accounts", number, len(list))
		}
	}
}

func TestSetRate(t *testing.T) {
	x := newExchange(t, 1, 1, 1)
	defer x.stop()
	f, err := NewFlow(x.Engine, FlowConfig{Accounts: 1, Rate: 2.5, Universe: x.universe})
	if err != nil || f.State().Rate != 2.5 {
		t.Fatalf("rate %v, %v", f.State().Rate, err)
	}
	for _, test := range []struct {
		rate float64
		want string
	}{
		{-1, "a rate of -1 fills a second: it must be between 0 (off) and 10000000"},
		{math.NaN(), "a rate of NaN fills a second: it must be between 0 (off) and 10000000"},
		{math.Inf(1), "a rate of +Inf fills a second: it must be between 0 (off) and 10000000"},
		{RateMax + 1, "a rate of 1.0000001e+07 fills a second: it must be between 0 (off) and 10000000"},
	} {
		if err := f.SetRate(test.rate); err == nil || err.Error() != test.want || f.State().Rate != 2.5 {
			t.Errorf("SetRate(%v): %v; the rate is %v", test.rate, err, f.State().Rate)
		}
		if _, err := NewFlow(x.Engine, FlowConfig{Accounts: 1, Rate: test.rate, Universe: x.universe}); err == nil ||
			err.Error() != test.want {
			t.Errorf("NewFlow at %v: %v", test.rate, err)
		}
	}
	for _, rate := range []float64{0, 0.001, RateMax} {
		if err := f.SetRate(rate); err != nil || f.State().Rate != rate {
			t.Errorf("SetRate(%v): %v; the rate is %v", rate, err, f.State().Rate)
		}
	}
}

// TestRate runs the flow on a fake clock: rate 0 is off, and the rate may change while the flow
// runs.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newExchange(t, 10, 1, 1000)
		defer x.stop()
		f, err := NewFlow(x.Engine, FlowConfig{Accounts: 10, Seed: 1, Universe: x.universe})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan struct{})
		go func() { f.Run(ctx); close(over) }()
		done := uint64(0)
		for _, phase := range []struct {
			rate float64
			time time.Duration
			want uint64
		}{{0, time.Hour, 0}, {100, 10 * time.Second, 1000}, {0, time.Hour, 0}, {2000, time.Second, 2000},
			{0.5, 20 * time.Second, 10}} {
			if err := f.SetRate(phase.rate); err != nil {
				t.Fatal(err)
			}
			time.Sleep(phase.time)
			synctest.Wait()
			st := f.State()
			if got := st.Fills - done; got+1 < phase.want || got > phase.want+1 || st.Skipped+st.Refused+st.None != 0 {
				t.Errorf("%v at %v fills a second: %d fills, %+v", phase.time, phase.rate, got, st)
			}
			done = st.Fills
		}
		cancel()
		<-over
	})
}

func TestFlowOverNoAccounts(t *testing.T) {
	x := newExchange(t, 0, 1, 1)
	defer x.stop()
	f, err := NewFlow(x.Engine, FlowConfig{Rate: 1, Universe: x.universe})
	if err != nil {
		t.Fatal(err)
	}
	f.Run(t.Context()) // returns
}

// TestFlowSkips: draws that do not fit into the inbox are dropped; the flow never waits.
func TestFlowSkips(t *testing.T) {
	x := newExchange(t, 10, 1, 6)
	f, err := NewFlow(x.Engine, FlowConfig{Accounts: 10, Seed: 1, Universe: x.universe})
	if err != nil {
		t.Fatal(err)
	}
	release := x.tape.hold()
	for f.submit(1); !x.tape.isHeld(); { // keeps the drainer in a commit
		time.Sleep(20 * time.Microsecond)
	}
	f.submit(10)
	f.submit(3)
	release()
	x.stop()
	if got, want := f.State(), (State{Fills: 7, Skipped: 7}); got != want {
		t.Errorf("the flow did %+v, want %+v", got, want)
	}
}

// TestFlowRefused: a draw for an account that does not exist makes no order.
func TestFlowRefused(t *testing.T) {
	x := newExchange(t, 1, 1, 100)
	f, err := NewFlow(x.Engine, FlowConfig{Accounts: 2, Seed: 1, Universe: x.universe})
	if err != nil {
		t.Fatal(err)
	}
	f.submit(50)
	x.stop()
	if st := f.State(); st.Fills+st.None != 50 || st.None == 0 || st.Fills == 0 ||
		int(st.Fills) != len(x.tape.fills()) {
		t.Errorf("the flow did %+v", st)
	}
	f.Done(0, nil, positions.Refusal{Reason: positions.InsufficientCash})
	if st := f.State(); st.Refused != 1 {
		t.Errorf("a refusal is counted as %+v", st)
	}
}

// TestPause: at a low rate the flow sleeps between fills; at a high rate it submits once per
// submitInterval.
func TestPause(t *testing.T) {
	for _, c := range []struct {
		rate, due float64
		want      time.Duration
	}{
		{0, 0.5, math.MaxInt64}, {1, 0, time.Second}, {1, 0.25, 750 * time.Millisecond},
		{10, 0.5, 50 * time.Millisecond},
		{2000, 0.5, submitInterval}, {RateMax, 0, submitInterval}, {1e-9, 0, time.Hour},
	} {
		if got := wakeDelay(c.rate, c.due); got != c.want {
			t.Errorf("at %g a second, with %g due: %s, want %s", c.rate, c.due, got, c.want)
		}
	}
}

// TestPauseKeepsTheRate: a pause keeps the rate, and whatever sets another ends it.
func TestPauseKeepsTheRate(t *testing.T) {
	f := &Flow{changed: make(chan struct{}, 1)}
	yes, no, rate := true, false, func(r float64) *float64 { return &r }
	for i, c := range []struct {
		rate   *float64
		paused *bool
		want   State
	}{
		{rate(2000), nil, State{Rate: 2000, Remembered: 2000}},
		{nil, &yes, State{Paused: true, Remembered: 2000}},
		{nil, &yes, State{Paused: true, Remembered: 2000}},
		{nil, nil, State{Paused: true, Remembered: 2000}},
		{rate(5), &yes, State{Paused: true, Remembered: 5}},
		{nil, &no, State{Rate: 5, Remembered: 5}},
		{rate(0), nil, State{Remembered: 5}},
		{nil, &no, State{Rate: 5, Remembered: 5}},
		{nil, &yes, State{Paused: true, Remembered: 5}},
		{rate(7), nil, State{Rate: 7, Remembered: 7}},
		{rate(0), &no, State{Remembered: 7}},
	} {
		if err := f.Change(c.rate, c.paused); err != nil || f.State() != c.want {
			t.Errorf("%d: %+v, %v; want %+v", i, f.State(), err, c.want)
		}
	}
	if err := f.Change(rate(-1), &yes); err == nil || f.State() != (State{Remembered: 7}) {
		t.Errorf("a rate below 0: %v, %+v", err, f.State())
	}
}
