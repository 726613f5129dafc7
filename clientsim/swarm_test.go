package clientsim

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/proof/shadow"
)

// longEnough bounds a swarm that a test ends once it has seen what it waits for.
const longEnough = 30 * time.Second

// swarmRows are the rows of the ten accounts of a swarm.
var swarmRows = [10]int{4, 3, 7, 2, 5, 12, 3, 1, 6, 0}

// crowd is a swarm of ten without long pauses, against a world; stop ends its trading.
type crowd struct {
	cfg  SwarmConfig
	stop context.CancelFunc
	ctx  context.Context

	mu   sync.Mutex
	said []string
}

func newCrowd(t *testing.T, w *world) *crowd {
	c := new(crowd)
	c.ctx, c.stop = context.WithCancel(t.Context())
	t.Cleanup(c.stop)
	p := Profiles()[0]
	p.Think = Interval{2 * time.Millisecond, 10 * time.Millisecond}
	c.cfg = SwarmConfig{
		Addr: w.listener.Addr().String(), Clients: 10, FirstAccount: swarmFirst, Profile: p, Duration: longEnough,
		Seed: 3,
		Notice: func(text string) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.said = append(c.said, text)
		},
	}
	return c
}

func (c *crowd) run(t *testing.T) *SwarmReport {
	t.Helper()
	report, err := Swarm(c.ctx, c.cfg)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := report.Render(&out); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s\n%s", strings.Join(c.said, "\n"), out.String())
	return report
}

// after returns a spoiler that calls a function once, after that many events have left the
// server.
func after(events int, do func()) func(*outFrame) bool {
	return func(f *outFrame) bool {
		if f.t == codec.TypeEvent || f.t == codec.TypeExecution {
			if events--; events == 0 {
				go do() // it may need the world's lock, which is held
			}
		}
		return true
	}
}

func TestSwarm(t *testing.T) {
	t.Parallel()
	var c *crowd
	w := startWorld(t, swarmRows, after(1000, func() { c.stop() }))
	c = newCrowd(t, w)
	report := c.run(t)
	if !report.OK() || report.held() != 10 {
		t.Error("the swarm did not hold")
	}
	if len(c.said) != 2 || c.said[0] != "all 10 clients are logged in" ||
		!strings.HasPrefix(c.said[1], "stopped early: ") {
		t.Errorf("said %q", c.said)
	}
	sum := 0
	for i := range report.Clients {
		r := &report.Clients[i]
		executed := 0
		for _, ev := range w.history[r.Account] {
			if ev.GetTrade().GetOrigin() == papertapev1.Origin_ORIGIN_CLIENT {
				executed++
			}
		}
		if r.Orders != executed || r.Executions != executed || r.Events != executed {
			t.Errorf("client %d: %d orders, %d executions, %d events: the server has executed %d", r.Account,
				r.Orders, r.Executions, r.Events, executed)
		}
		times := r.Times
		if r.Orders == 0 || r.Queries == 0 || r.Lists < 2 || r.History == 0 || r.Logins != 1 || !r.Compared ||
			times.Buy.Count+times.Sell.Count != int64(r.Orders+r.Refused) || times.Query.Count != int64(r.Queries) ||
			times.Total.Count != int64(r.Orders+r.Refused+r.Queries) || times.Total.P50 <= 0 ||
			times.Total.Max < times.Total.P99 {
			t.Errorf("client %d was idle somewhere, or counts wrongly: %+v", r.Account, r)
		}
		if r.RowsAtEnd > rowsWanted+1 {
			t.Errorf("client %d has %d rows: it was to keep to %d", r.Account, r.RowsAtEnd, rowsWanted)
		}
		sum += r.Events
	}
	if report.Totals.Events != sum || report.Totals.Times.Total.Count < int64(sum) {
		t.Errorf("the totals are %+v: the clients have %d events", report.Totals, sum)
	}
}

// Trades are taken back while a swarm watches: new ones, and ones older than its clients, who
// then fold the whole history at the end. Either way a wrong row is detected.
func TestSwarmWhoseTradesAreTakenBack(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	for name, wrong := range map[string]bool{"rightly": false, "wrongly": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var c *crowd
			var w *world
			events, busts := 0, 0
			w = startWorld(t, swarmRows, func(f *outFrame) bool {
				ev, ok := f.m.(*papertapev1.AccountEvent)
				if !ok || f.t != codec.TypeEvent && f.t != codec.TypeExecution {
					return true
				}
				switch events++; {
				case events == 1000:
					go c.stop()
				case events%50 == 0:
					// In a goroutine, as it needs the world's lock, which is held.
					go w.takesSomethingBack(swarmFirst+uint64(busts%9), busts)
					busts++
				}
				if b := ev.GetBust(); b != nil && wrong && f.account == swarmFirst+2 {
					other := proto.Clone(ev).(*papertapev1.AccountEvent)
					other.Positions[0].Cost += 100
					f.m = other
				}
				return true
			})
			c = newCrowd(t, w)
			report := c.run(t)
			if report.OK() == wrong || report.Totals.Busts < 5 {
				t.Errorf("ok %v, %d busts", report.OK(), report.Totals.Busts)
			}
			for i := range report.Clients {
				r := &report.Clients[i]
				if r.OK() == (wrong && r.Account == swarmFirst+2) {
					t.Errorf("client %d: ok %v, %q", r.Account, r.OK(), r.Mismatches)
				}
				if r.Busts > 0 && r.History < len(w.history[r.Account]) {
					t.Errorf("client %d has read %d events of %d: a trade older than its shadow was taken back",
						r.Account, r.History, len(w.history[r.Account]))
				}
			}
		})
	}
}

// takesSomethingBack takes back an old trade of the opening, or else the newest one.
func (w *world) takesSomethingBack(account uint64, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := &positions.BustRequest{
		Account: account, TradeSeq: 2 + uint64(n/9), Reason: "wrong account", Actor: "test",
		Policy: positions.PolicyCascade,
	}
	if len(w.history[account]) == 1 {
		return
	}
	w.bust(r)
	r = &positions.BustRequest{Account: account, TradeSeq: uint64(len(w.history[account])) - 1, Reason: "wrong price",
		Actor: "test", Policy: r.Policy}
	w.bust(r)
}

// The server goes away for a while, and comes back with or without its history.
func TestSwarmWhoseServerIsAway(t *testing.T) {
	t.Parallel()
	for name, anew := range map[string]bool{"as it was": false, "with a new history": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var c *crowd
			var w *world
			ready := make(chan struct{})
			w = startWorld(t, swarmRows, after(100, func() {
				<-ready
				back := w.away(anew)
				time.Sleep(50 * time.Millisecond)
				w.fillAll(3)
				back()
			}))
			c = newCrowd(t, w)
			notice := c.cfg.Notice
			c.cfg.Notice = func(text string) {
				notice(text)
				if strings.Contains(text, "clients are connected again") {
					go func() {
						time.Sleep(100 * time.Millisecond) // some trading afterwards, though nothing depends on it
						c.stop()
					}()
				}
			}
			close(ready)
			report := c.run(t)
			if !report.OK() {
				t.Error("the swarm did not hold")
			}
			for i := range report.Clients {
				r := &report.Clients[i]
				resumes, resyncs := 1, 0
				if anew {
					resumes, resyncs = 0, 1
				}
				if r.Reconnects != 1 || r.Resumes != resumes || r.Resyncs != resyncs || r.Restarts != 1 ||
					r.Logins != 2 || r.Away <= 0 {
					t.Errorf("client %d: %d reconnects, %d restarts, %d resumes, %d resyncs, away %v", r.Account,
						r.Reconnects, r.Restarts, r.Resumes,
						r.Resyncs, r.Away)
				}
				if !anew && (r.Missed < 3 || r.Pushed < 3 || r.Replayed != int(r.Missed)) {
					t.Errorf("client %d: %d missed, %d replayed, %d pushed: there were 3 fills meanwhile", r.Account,
						r.Missed, r.Replayed, r.Pushed)
				}
			}
			said := strings.Join(c.said, "\n")
			if anew != strings.Contains(said, " began anew from a snapshot") ||
				anew == strings.Contains(said, " resumed, having missed ") {
				t.Errorf("it said\n%s", said)
			}
		})
	}
}

// A server with one fault is detected by the client that it affects, with a sentence that names
// the fault.
func TestSwarmFindsTheFault(t *testing.T) {
	t.Parallel()
	const hit = swarmFirst + 4
	var refused atomic.Bool
	tests := map[string]struct {
		spoil  func(f *outFrame) bool
		says   string
		inGaps int // -1 means any number
	}{
		"wrong cost": {func(f *outFrame) bool {
			if ev, ok := f.m.(*papertapev1.AccountEvent); ok && len(ev.GetPositions()) > 0 {
				wrong := proto.Clone(ev).(*papertapev1.AccountEvent)
				wrong.Positions[0].Cost++
				f.m = wrong
			}
			return true
		}, ", position cost: expected ", 0},
		"wrong cash": {func(f *outFrame) bool {
			if ev, ok := f.m.(*papertapev1.AccountEvent); ok {
				wrong := proto.Clone(ev).(*papertapev1.AccountEvent)
				wrong.Cash.Balance -= 100
				f.m = wrong
			}
			return true
		}, ", cash balance: expected ", 0},
		"sequence left out": {func(f *outFrame) bool {
			if ev, ok := f.m.(*papertapev1.AccountEvent); ok && ev.GetSeq() > 10 {
				wrong := proto.Clone(ev).(*papertapev1.AccountEvent)
				wrong.Seq++
				f.m = wrong
			}
			return true
		}, "events are missing from seq 11 on", 1},
		"wrong hash": {func(f *outFrame) bool {
			if h, ok := f.m.(*papertapev1.Holdings); ok {
				h.StateHash++
			}
			return true
		}, ", state_hash: expected ", 0},
		"history that is not what was shown": {func(f *outFrame) bool {
			if h, ok := f.m.(*papertapev1.History); ok {
				for i, ev := range h.Events {
					other := proto.Clone(ev).(*papertapev1.AccountEvent)
					other.Time++
					h.Events[i] = other
				}
			}
			return true
		}, "the event sent again: expected ", 0},
		// The refused order's event is missing later, so there may be a gap. What is pushed after it is held back, so
		// that the gap is not found first.
		"refused though it can be paid": {func(f *outFrame) bool {
			if refused.Load() && f.t == codec.TypeEvent {
				return false
			}
			if ev, ok := f.m.(*papertapev1.AccountEvent); ok && f.t == codec.TypeExecution &&
				ev.GetTrade().GetSide() == papertapev1.Side_SIDE_BUY {
				refused.Store(true)
				f.t, f.m = codec.TypeReject,
					&papertapev1.Reject{Code: papertapev1.RejectCode(client.InsufficientCash),
						Text: "there is no money"}
			}
			return true
		}, "was refused with REJECT_CODE_INSUFFICIENT_CASH (there is no money), but there were ", -1},
		"another quantity executed": {func(f *outFrame) bool {
			if ev, ok := f.m.(*papertapev1.AccountEvent); ok && f.t == codec.TypeExecution {
				wrong := proto.Clone(ev).(*papertapev1.AccountEvent)
				wrong.GetTrade().Quantity++
				f.m = wrong
			}
			return true
		}, ", quantity: expected ", 0},
		"price of another instrument": {func(f *outFrame) bool {
			if list, ok := f.m.(*papertapev1.Instruments); ok && len(list.Instruments) == 1 {
				list.Instruments[0].Code = "999999"
			}
			return true
		}, "alone and got ", 0},
		"live events that say they are old": {func(f *outFrame) bool {
			if f.t == codec.TypeEvent {
				f.flags = codec.FlagReplay
			}
			return true
		}, "came with REPLAY true: expected false", 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var w *world
			fills := after(50, func() { w.fillAll(1) }) // so that there are live events
			w = startWorld(t, swarmRows, func(f *outFrame) bool {
				return fills(f) && (f.account != hit || test.spoil(f))
			})
			c := newCrowd(t, w)
			c.cfg.Progress = func(p Progress) {
				if p.Wrong > 0 {
					c.stop()
				}
			}
			report := c.run(t)
			if report.OK() || report.held() != 9 {
				t.Errorf("ok %v, and %d of 10 found nothing wrong", report.OK(), report.held())
			}
			for i := range report.Clients {
				r := &report.Clients[i]
				if r.OK() != (r.Account != hit) {
					t.Errorf("client %d: ok %v, %q", r.Account, r.OK(), r.Mismatches)
				}
			}
			r := &report.Clients[hit-swarmFirst]
			if said := strings.Join(r.Mismatches, "\n"); !strings.Contains(said, test.says) ||
				!strings.Contains(said, fmt.Sprintf("account %d", hit)) {
				t.Errorf("it says %q: expected account %d and %q", said, hit, test.says)
			}
			if test.inGaps >= 0 && r.Gaps != test.inGaps || r.Repeats != 0 {
				t.Errorf("%d gaps, %d repeats", r.Gaps, r.Repeats)
			}
		})
	}
}

// Whatever comes right after a list, the list is compared as of its own sequence.
func TestListsAreComparedInTheirPlace(t *testing.T) {
	t.Parallel()
	lists := 0
	var c *crowd
	var w *world
	var fills sync.WaitGroup
	w = startWorld(t, swarmRows, func(f *outFrame) bool {
		if f.t == codec.TypeHoldingsReply {
			if lists++; lists == 400 {
				c.stop()
			} else if lists < 400 {
				fills.Go(func() { w.fillAll(1) })
			}
		}
		return true
	})
	c = newCrowd(t, w)
	c.cfg.Profile.Mix = Mix{Query: 1}
	report := c.run(t)
	fills.Wait()
	if !report.OK() || report.Totals.Pushed == 0 {
		t.Errorf("ok %v, %d pushed", report.OK(), report.Totals.Pushed)
	}
}

// A server that begins a client anew in the same history has skipped events.
func TestSwarmWhoseServerForgets(t *testing.T) {
	t.Parallel()
	var w *world
	w = startWorld(t, swarmRows, after(100, func() { w.away(false)() }))
	w.mu.Lock()
	w.forgets = true
	w.mu.Unlock()
	c := newCrowd(t, w)
	c.cfg.Progress = func(p Progress) {
		if p.Wrong >= int64(p.Clients) {
			c.stop()
		}
	}
	report := c.run(t)
	for i := range report.Clients {
		r := &report.Clients[i]
		if r.OK() || r.Gaps != 1 || r.Resyncs != 1 || r.Wrong != 1 ||
			!strings.Contains(r.Mismatches[0], "in the same epoch 0x1267: ") {
			t.Errorf("client %d: ok %v, %d gaps, %d resyncs, %q", r.Account, r.OK(), r.Gaps, r.Resyncs, r.Mismatches)
		}
	}
}

// Requests that the server puts off are repeated, and nothing is wrong.
func TestSwarmIsPatient(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	puts, served := 0, 0
	var c *crowd
	w := startWorld(t, swarmRows, func(f *outFrame) bool {
		if f.t == codec.TypeHoldingsReply || f.t == codec.TypeHistoryReply {
			if puts++; puts%2 == 1 {
				f.t, f.m = codec.TypeReject, &papertapev1.Reject{Code: papertapev1.RejectCode(client.Busy),
					Text: "later", RetryAfterMs: 1}
			} else if served++; served == 100 {
				c.stop()
			}
		}
		return true
	})
	c = newCrowd(t, w)
	report := c.run(t)
	if !report.OK() || report.Totals.Busy < 10 {
		t.Errorf("ok %v, put off %d times", report.OK(), report.Totals.Busy)
	}
}

func TestSwarmThatCannotRun(t *testing.T) {
	w := startWorld(t, swarmRows, nil)
	away := startWorld(t, swarmRows, nil)
	away.away(false)
	for name, test := range map[string]struct {
		change func(*SwarmConfig)
		says   []string
		cannot bool
	}{
		"nobody there": {func(c *SwarmConfig) { c.Addr = "127.0.0.1:1" }, []string{"connect to 127.0.0.1:1"}, true},
		"nobody there yet": {func(c *SwarmConfig) {
			c.Addr, c.Wait = away.listener.Addr().String(), 200*time.Millisecond
		},
			[]string{"log in to account 100001"}, true},
		"too few accounts": {func(c *SwarmConfig) { c.Clients = 11 }, []string{"there is no account 100011",
			"the 11 clients want the accounts 100001 to 100011: start the server with more accounts"}, true},
		"no clients":  {func(c *SwarmConfig) { c.Clients = 0 }, []string{"at least one"}, false},
		"account 0":   {func(c *SwarmConfig) { c.FirstAccount = 0 }, []string{"numbered from 1"}, false},
		"no duration": {func(c *SwarmConfig) { c.Duration = -1 }, []string{"not negative"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCrowd(t, w)
			test.change(&c.cfg)
			report, err := Swarm(c.ctx, c.cfg)
			if report != nil || err == nil || errors.Is(err, ErrCannotRun) != test.cannot {
				t.Fatalf("report %v, error %v", report, err)
			}
			for _, says := range test.says {
				if !strings.Contains(err.Error(), says) {
					t.Errorf("it says %q: expected %q", err, says)
				}
			}
		})
	}
}

// The server comes up while the swarm waits for it.
func TestSwarmWaits(t *testing.T) {
	var c *crowd
	w := startWorld(t, swarmRows, after(50, func() { c.stop() }))
	back := w.away(false)
	c = newCrowd(t, w)
	c.cfg.Wait = longEnough
	notice := c.cfg.Notice
	c.cfg.Notice = func(text string) {
		notice(text)
		if strings.HasPrefix(text, "no server answers yet") {
			back()
		}
	}
	if report := c.run(t); !report.OK() {
		t.Error("the swarm did not hold")
	}
	if len(c.said) != 3 { // waiting, logged in, stopped
		t.Errorf("said %q", c.said)
	}
}

func TestRefusalsAreJudged(t *testing.T) {
	const account = 100017
	before, _ := shadow.FromHoldings(&client.Holdings{ // the findings in so short a list do not matter here
		Account: account, Cash: &client.Cash{Balance: 1000_0000},
		Positions: []client.Position{{Market: "SH", Code: "600519", Quantity: 200}},
	})
	sold := &client.Event{Cash: &client.Cash{Balance: 5000_0000},
		Positions: []client.Position{{Market: "SH", Code: "600519", Quantity: 50}}}
	spent := &client.Event{Cash: &client.Cash{Balance: 10_0000},
		Positions: []client.Position{{Market: "SZ", Code: "600519", Quantity: 9}}}
	buy := func(quantity int64) *client.Order {
		return &client.Order{Side: client.Buy, Market: "SH", Code: "600519", Quantity: quantity}
	}
	sell := func(quantity int64) *client.Order {
		return &client.Order{Side: client.Sell, Market: "SH", Code: "600519", Quantity: quantity}
	}
	for name, test := range map[string]struct {
		o     *client.Order
		code  client.RejectCode
		since []*client.Event
		right bool
	}{
		"more than held":                     {sell(201), client.InsufficientShares, nil, true},
		"what is held":                       {sell(200), client.InsufficientShares, nil, false},
		"what was held until it was sold":    {sell(200), client.InsufficientShares, []*client.Event{sold}, true},
		"what is left after that":            {sell(50), client.InsufficientShares, []*client.Event{sold}, false},
		"a sale for want of cash":            {sell(201), client.InsufficientCash, nil, false},
		"more than can be paid":              {buy(101), client.InsufficientCash, nil, true},
		"what can be paid twice":             {buy(50), client.InsufficientCash, nil, false},
		"what could be paid before":          {buy(50), client.InsufficientCash, []*client.Event{spent}, true},
		"a purchase for want of shares":      {buy(50), client.InsufficientShares, nil, false},
		"closed where it never is":           {buy(50), client.MarketClosed, nil, false},
		"the server does not know the stock": {buy(50), client.UnknownInstrument, nil, false},
		"bought today":                       {sell(50), client.NotSellableToday, nil, false},
		"bought today, to buy":               {buy(50), client.NotSellableToday, nil, false},
	} {
		u := &user{account: account, since: test.since}
		why := u.judgeRefusal(before, test.o, &client.Reject{Code: test.code, Text: "no"}, 10_0000)
		if test.right != (why == "") {
			t.Errorf("%s: judged %q, right is %v", name, why, test.right)
		}
	}
}
