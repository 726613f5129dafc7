package engine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

func TestOrderIDs(t *testing.T) {
	w := newWorld(t, options{}, alice, bob)
	c, other := w.loggedIn(alice), w.loggedIn(alice)
	order := func(o positions.Order) {
		c.order(o)
		w.settle()
	}
	order(buy(10, "one"))
	c.expect("EXECUTION 2 #2")
	order(buy(10, "one"))
	order(buy(10, "one"))
	c.expect("REPEAT 2 #3", "REPEAT 2 #4")
	if ev := c.last().ev; ev.Trade.OrderID.String() != "one" || ev.Trade.Quantity != 10 {
		t.Errorf("the repeat is %+v", ev)
	}

	// The content is the instrument, the side, the quantity and the limit.
	limited := buy(10, "one")
	limited.Limit = 200
	for _, o := range []positions.Order{buy(11, "one"), sell(10, "one"), orderOf(positions.Buy, ten, 10, "one"),
		limited} {
		order(o)
	}
	c.expect("FAILED DUPLICATE_ORDER_ID #5", "FAILED DUPLICATE_ORDER_ID #6", "FAILED DUPLICATE_ORDER_ID #7",
		"FAILED DUPLICATE_ORDER_ID #8")

	// The origin is not part of the content.
	byHand := buy(10, "one")
	byHand.Origin = positions.OriginOperator
	order(byHand)
	c.expect("REPEAT 2 #9")

	// An id belongs to the account, not to the session.
	other.order(buy(10, "one"))
	w.settle()
	other.expect("EVENT 2", "REPEAT 2 #2")
	stranger := w.loggedIn(bob)
	stranger.order(buy(10, "one"))
	w.settle()
	stranger.expect("EXECUTION 2 #2")

	// The id of a refused order is free again, for any content.
	order(sell(99, "two"))
	order(sell(5, "two"))
	order(sell(5, "two"))
	c.expect("REFUSED InsufficientShares #10", "EXECUTION 3 #11", "REPEAT 3 #12")

	// An order without an id is never a repeat.
	order(buy(10))
	order(buy(10))
	c.expect("EXECUTION 4 #13", "EXECUTION 5 #14")
	if head := w.journal.head(alice); head != 5 {
		t.Errorf("%d events are in the journal", head)
	}
	if n := c.InFlight(); n != 0 {
		t.Errorf("%d requests in flight", n)
	}
}

// TestOrderIDsInOneStep: an id that was used earlier in the step is known, although its event is
// not in the tail yet.
func TestOrderIDsInOneStep(t *testing.T) {
	w := newWorld(t, options{}, alice)
	c := w.loggedIn(alice)
	w.together(func() {
		c.order(sell(10, "x"))
		c.order(buy(10, "x"))
		c.order(buy(20))
		c.order(buy(10, "x"))
		c.order(buy(11, "x"))
		r := Request{Kind: KindOrder, Order: buy(10, "x")} // nobody waits for the answer
		r.Account = alice
		w.eng.Submit(alice, []Request{r})
	})
	c.expect("REFUSED InsufficientShares #2", "EXECUTION 2 #3", "EXECUTION 3 #4", "REPEAT 2 #5",
		"FAILED DUPLICATE_ORDER_ID #6")
	if ev := c.all()[4].ev; ev.Seq != 2 || ev.Account != alice || ev.Trade.Quantity != 10 {
		t.Errorf("the repeat is %+v", ev)
	}
}

// TestOrderIDDropped: with a journal that does not keep, an id is forgotten with its event.
func TestOrderIDDropped(t *testing.T) {
	w := newWorld(t, options{tail: 2}, alice)
	c := w.loggedIn(alice)
	c.order(buy(10, "x")) // 2
	w.trade(alice, 1)     // 3: the tail holds 2 and 3
	c.order(buy(10, "x"))
	w.settle()
	c.expect("EXECUTION 2 #2", "EVENT 3", "REPEAT 2 #3")
	w.together(func() {
		w.trade1(alice) // 4 drops 2 when it is published, so in this step the id is still known
		c.order(buy(10, "x"))
	})
	c.expect("EVENT 4", "REPEAT 2 #4")
	c.order(buy(10, "x"))
	w.settle()
	c.expect("EXECUTION 5 #5")
	c.order(buy(11, "x"))
	w.settle()
	c.expect("FAILED DUPLICATE_ORDER_ID #6")
	if n := w.account(alice).ids.places.used; n != 1 {
		t.Errorf("%d ids are remembered", n)
	}
}

// TestOrderIDBelowTail: with a journal that keeps, the first execution is read outside the drainer.
func TestOrderIDBelowTail(t *testing.T) {
	w := newWorld(t, options{tail: 2, keeps: true, reads: 1}, alice)
	c := w.loggedIn(alice)
	c.order(buy(10, "x"))
	w.trade(alice, 4)
	c.order(buy(10, "x"))
	w.settle()
	c.order(buy(11, "x"))
	w.settle()
	c.expect("EXECUTION 2 #2", "EVENT 3", "EVENT 4", "EVENT 5", "EVENT 6", "REPEAT 2 #3",
		"FAILED DUPLICATE_ORDER_ID #4")

	release := w.journal.holdReads()
	defer release()
	c.order(buy(10, "x"))
	c.order(buy(10, "x"))
	c.order(buy(1))
	w.until("the answer of the third", func() bool { return c.InFlight() == 1 })
	c.expect("FAILED HISTORY_BUSY #6", "EXECUTION 7 #7")
	release()
	w.settle()
	c.expect("REPEAT 2 #5")

	w.journal.set(func() { w.journal.readErr = fmt.Errorf("the disk is gone") })
	c.order(buy(10, "x"))
	w.settle()
	w.journal.set(func() {
		w.journal.readErr = nil
		w.journal.misread = func([]positions.Event) []positions.Event { return nil }
	})
	c.order(buy(10, "x"))
	w.settle()
	c.expect("FAILED INTERNAL #8", "FAILED INTERNAL #9")
	if n := c.InFlight(); n != 0 {
		t.Errorf("%d requests in flight", n)
	}
}

// TestOrderIDsMax: the newest 4,096 ids of an account are remembered.
func TestOrderIDsMax(t *testing.T) {
	w := newWorld(t, options{keeps: true, tail: 4}, alice)
	c := w.loggedIn(alice)
	for i := range orderIDsMax + 1 {
		c.order(buy(10, fmt.Sprintf("order %d", i)))
	}
	w.settle()
	c.seen = len(c.all())
	for _, i := range []int{1, orderIDsMax, 0, 1} { // order 0 is new again, and pushes out order 1
		c.order(buy(10, fmt.Sprintf("order %d", i)))
		w.settle()
	}
	head := orderIDsMax + 2
	c.expect(fmt.Sprintf("REPEAT 3 #%d", head+1), fmt.Sprintf("REPEAT %d #%d", head, head+2),
		fmt.Sprintf("EXECUTION %d #%d", head+1, head+3), fmt.Sprintf("EXECUTION %d #%d", head+2, head+4))
	ids := w.account(alice).ids
	for range 2 { // a checkpoint changes only the forgotten records
		if ids.places.used != orderIDsMax || ids.base+len(ids.queue)-ids.first != orderIDsMax {
			t.Errorf("%d ids in the table, %d to %d in the queue", ids.places.used, ids.first, ids.base+len(ids.queue))
		}
		w.checkpoint()
	}
	if len(ids.queue) != orderIDsMax || len(w.journal.stored[alice].IDs) != orderIDsMax {
		t.Errorf("%d ids in the queue, %d stored", len(ids.queue), len(w.journal.stored[alice].IDs))
	}
}

// decider is a Decider that makes an order, makes none, or panics.
type decider struct {
	decide func(v positions.View, prices *market.Prices, arg uint64) (positions.Order, bool)

	// Written by the drainer. Tests read them when the engine is idle.
	args     []uint64
	events   []uint64
	refusals []positions.Refusal
	panics   bool // in Done
}

func (d *decider) Decide(
	v positions.View, prices *market.Prices, _ int64, arg uint64, orders []positions.Order,
) []positions.Order {
	if o, ok := d.decide(v, prices, arg); ok {
		orders = append(orders, o)
	}
	return orders
}

func (d *decider) Done(arg uint64, events []positions.Event, r positions.Refusal) {
	if d.panics {
		panic("Done is made to panic")
	}
	seq := uint64(0)
	if len(events) > 0 {
		seq = events[0].Seq
	}
	d.args, d.events, d.refusals = append(d.args, arg), append(d.events, seq), append(d.refusals, r)
}

func (w *world) decideBy(account uint64, d *decider, arg uint64) {
	w.t.Helper()
	r := Request{Kind: KindDecide, Decider: d, Arg: arg}
	r.Account = account
	if w.eng.Submit(account, []Request{r}) != 1 {
		w.t.Fatalf("Submit took nothing")
	}
}

// trade1 submits one order that nobody waits for.
func (w *world) trade1(account uint64) {
	r := Request{Kind: KindOrder, Order: buy(1)}
	r.Account = account
	w.eng.Submit(account, []Request{r})
}

func TestDecider(t *testing.T) {
	w := newWorld(t, options{}, alice)
	c := w.loggedIn(alice)
	d := &decider{decide: func(v positions.View, prices *market.Prices, arg uint64) (positions.Order, bool) {
		switch arg {
		case 1:
			o := buy(v.Cash().Balance / prices.At(penny) / 2)
			o.Account = bob // the engine sets the right account
			return o, true
		case 2:
			return sell(50_000_001), v.Seq() == 2
		case 3:
			return sell(1), false
		case 4:
			panic("Decide is made to panic")
		case 5:
			return orderOf(3, penny, 1), true // a side that does not exist
		}
		row, _ := v.Find(penny)
		return sell(row.Quantity), true
	}}
	w.together(func() {
		for arg := uint64(1); arg <= 6; arg++ {
			w.decideBy(alice, d, arg)
		}
		w.decideBy(4711, d, 7)
	})
	if got := fmt.Sprint(d.args, d.events); got != "[1 2 3 4 5 6 7] [2 0 0 0 0 3 0]" {
		t.Errorf("Done was told of %s", got)
	}
	for i, r := range d.refusals {
		want := positions.NoRefusal
		if d.args[i] == 2 {
			want = positions.InsufficientShares
		}
		if r.Reason != want {
			t.Errorf("the refusal of %d is %v, want %v", d.args[i], r.Reason, want)
		}
	}
	c.expect("EVENT 2", "EVENT 3")
	if n := w.eng.Stats().Panics; n != 2 {
		t.Errorf("%d panics were counted", n)
	}
}

// TestDeciderOfASession: the session gets one answer, whatever the decider does, and nothing stays
// in flight.
func TestDeciderOfASession(t *testing.T) {
	w := newWorld(t, options{}, alice)
	c := w.loggedIn(alice)
	d := &decider{decide: func(_ positions.View, _ *market.Prices, arg uint64) (positions.Order, bool) {
		switch arg {
		case 1:
			return buy(5), true
		case 2:
			return sell(6), true
		case 3:
			panic("Decide is made to panic")
		}
		return positions.Order{}, false
	}}
	w.together(func() {
		for arg := uint64(1); arg <= 4; arg++ {
			c.Begin(16)
			r := Request{Kind: KindDecide, Session: &c.Session, ID: 10 + arg, Decider: d, Arg: arg}
			r.Account = alice
			w.eng.Submit(alice, []Request{r})
		}
	})
	c.expect("EXECUTION 2 #11", "REFUSED InsufficientShares #12", "DECLINED #13", "DECLINED #14")
	twice := &decider{decide: func(positions.View, *market.Prices, uint64) (positions.Order, bool) {
		return buy(5, "x"), true
	}}
	w.together(func() {
		for id := uint64(15); id <= 16; id++ {
			c.Begin(16)
			r := Request{Kind: KindDecide, Session: &c.Session, ID: id, Decider: twice}
			r.Account = alice
			w.eng.Submit(alice, []Request{r})
		}
	})
	c.expect("EXECUTION 3 #15", "REPEAT 3 #16") // order ids count whoever makes the order
	if len(twice.args) != 2 {
		t.Errorf("Done was called %d times", len(twice.args))
	}
	if c.InFlight() != 0 {
		t.Errorf("%d requests in flight", c.InFlight())
	}
}

// TestPanicWhileDeciding: the order is answered, the book is unchanged, and the shard continues.
func TestPanicWhileDeciding(t *testing.T) {
	w := newWorld(t, options{}, alice)
	c := w.loggedIn(alice)
	w.together(func() {
		c.order(buy(5))
		c.order(orderOf(3, penny, 1))
		c.order(orderOf(3, penny, 1, "x"))
		c.order(buy(5, "x")) // the id is free
		c.holdings()
	})
	c.expect("EXECUTION 2 #2", "FAILED INTERNAL #3", "FAILED INTERNAL #4", "EXECUTION 3 #5", "HOLDINGS 3 #6")
	if h := c.last().holdings; len(h.Positions) != 1 || h.Positions[0].Quantity != 10 {
		t.Errorf("holdings %+v", h)
	}
	if c.InFlight() != 0 || w.eng.Stats().Panics != 2 {
		t.Errorf("%d requests in flight, %d panics", c.InFlight(), w.eng.Stats().Panics)
	}
}

// TestPanicOverTheContent: the panic over an unknown instrument is recovered whether or not the
// order has an id.
func TestPanicOverTheContent(t *testing.T) {
	w := newWorld(t, options{}, alice)
	c := w.loggedIn(alice)
	c.order(orderOf(positions.Buy, 999, 1))
	w.settle()
	c.expect("FAILED INTERNAL #2")
	c.order(orderOf(positions.Buy, 999, 1, "x"))
	w.settle()
	c.expect("FAILED INTERNAL #3")
}

// TestOrdersPerSecondWithAClockThatSteps: the rate limit does not depend on the time of day. The
// times of events do, and step back with it.
func TestOrdersPerSecondWithAClockThatSteps(t *testing.T) {
	w := newWorld(t, options{perSecond: 4}, alice)
	c := w.loggedIn(alice)
	for _, step := range []time.Duration{0, -5 * time.Second, 10 * 365 * 24 * time.Hour, -10 * 365 * 24 * time.Hour} {
		w.clock.Add(int64(step))
		w.together(func() {
			for range 5 {
				c.order(buy(1))
			}
		})
		w.elapsed.Add(int64(time.Second))
	}
	var got []string
	for _, f := range c.all()[1:] {
		got = append(got, f.kind)
	}
	want := strings.Repeat("EXECUTION EXECUTION EXECUTION EXECUTION FAILED ", 4)
	if strings.Join(got, " ")+" " != want {
		t.Errorf("after each step of the clock five orders were answered %q; want the fifth refused each time", got)
	}
	events := w.journal.events(alice)
	if first, last := events[1].Time, events[len(events)-1].Time; last > first {
		t.Errorf("the clock stepped back by 5 s, the times of events from %d to %d", first, last)
	}
}

// TestOrdersPerSecond: an account that was quiet may send a second's worth at once, then one order
// at a time.
func TestOrdersPerSecond(t *testing.T) {
	w := newWorld(t, options{perSecond: 4}, alice, bob)
	c, other := w.loggedIn(alice), w.loggedIn(bob)
	w.together(func() {
		for range 4 {
			c.order(buy(1))
		}
		c.order(buy(1, "x"))
		c.holdings() // only orders count
		other.order(buy(1))
	})
	c.expect("EXECUTION 2 #2", "EXECUTION 3 #3", "EXECUTION 4 #4", "EXECUTION 5 #5", "FAILED RATE_LIMITED #6",
		"HOLDINGS 5 #7")
	other.expect("EXECUTION 2 #2")
	w.elapsed.Add(int64(250 * time.Millisecond))
	w.together(func() {
		c.order(buy(2, "x")) // the id is free, and the refused order did not count
		c.order(buy(2, "x")) // a repeat counts
	})
	c.expect("EXECUTION 6 #8", "FAILED RATE_LIMITED #9")
	w.elapsed.Add(int64(time.Hour))
	w.together(func() {
		for range 5 {
			c.order(sell(99))
		}
	})
	c.expect("REFUSED InsufficientShares #10", "REFUSED InsufficientShares #11", "REFUSED InsufficientShares #12",
		"REFUSED InsufficientShares #13", "FAILED RATE_LIMITED #14")
	if n := w.eng.Stats().RateLimited; n != 3 {
		t.Errorf("%d orders were counted as too fast, want 3", n)
	}
	if n := c.InFlight(); n != 0 {
		t.Errorf("%d requests in flight", n)
	}
}

func TestInboxFull(t *testing.T) {
	w := newWorld(t, options{inbox: 4}, alice)
	c := w.loggedIn(alice)
	requests := make([]Request, 6)
	for i := range requests {
		requests[i] = Request{Kind: KindOrder, Session: &c.Session, ID: uint64(10 + i), Order: buy(1)}
		requests[i].Account = alice
	}
	var taken [4]int
	w.together(func() {
		taken = [4]int{
			w.eng.Submit(alice, nil), w.eng.Submit(alice, requests[:3]), w.eng.Submit(alice, requests[3:]),
			w.eng.Submit(alice, requests[:1]),
		}
		w.connect(alice).login(ModeQuick, 0) // the control lane is never full
	})
	if want := [4]int{0, 3, 1, 0}; taken != want {
		t.Errorf("Submit took %v, want %v", taken, want)
	}
	c.expect("EXECUTION 2 #10", "EXECUTION 3 #11", "EXECUTION 4 #12", "EXECUTION 5 #13")
	if n := w.eng.Submit(alice, requests[:1]); n != 1 {
		t.Errorf("Submit took %d when there was room again", n)
	}
	w.settle()
	c.expect("EXECUTION 6 #10")
}

// TestLargeInbox: a large inbox is served in order, in steps of a bounded size.
func TestLargeInbox(t *testing.T) {
	w := newWorld(t, options{}, alice)
	c := w.loggedIn(alice)
	const n = 2*stepRequestsMax + 5
	before := w.eng.Stats().Steps
	w.together(func() {
		for range n {
			c.order(buy(1))
		}
	})
	frames := c.all()[1:]
	for i, f := range frames {
		if f.kind != "EXECUTION" || f.id != uint64(i+2) || f.ev.Seq != uint64(i+2) {
			t.Fatalf("frame %d is %s", i, f)
		}
	}
	if steps := w.eng.Stats().Steps - before; len(frames) != n || steps != 3 {
		t.Errorf("%d answers in %d steps", len(frames), steps)
	}
}

func TestBegin(t *testing.T) {
	var s Session
	for range 3 {
		if !s.Begin(3) {
			t.Fatal("Begin refused below the bound")
		}
	}
	if s.Begin(3) || s.InFlight() != 3 {
		t.Fatalf("Begin took a fourth of 3; %d in flight", s.InFlight())
	}
	s.End()
	if !s.Begin(3) || s.Begin(3) {
		t.Fatal("one place was free")
	}
}
