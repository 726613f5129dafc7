package engine

import (
	"fmt"
	"slices"
	"testing"

	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// basket is a Decider that makes several orders.
type basket struct {
	orders []positions.Order

	// Written by the drainer. Tests read them when the engine is idle.
	seqs    []uint64 // of the events passed to Done
	refusal positions.Refusal
	told    int
}

func (b *basket) Decide(
	_ positions.View, _ *market.Prices, _ int64, _ uint64, orders []positions.Order,
) []positions.Order {
	return append(orders, b.orders...)
}

func (b *basket) Done(_ uint64, events []positions.Event, r positions.Refusal) {
	b.told++
	b.seqs, b.refusal = nil, r
	for i := range events {
		b.seqs = append(b.seqs, events[i].Seq)
	}
}

// expect checks that Done was called once, with the given result.
func (b *basket) expect(t *testing.T, reason positions.Reason, seqs ...uint64) {
	t.Helper()
	if b.told != 1 || !slices.Equal(b.seqs, seqs) || b.refusal.Reason != reason {
		t.Errorf("Done was called %d times, with events %v and %v; want once, %v and %v",
			b.told, b.seqs, b.refusal.Reason, seqs, reason)
	}
	b.told = 0
}

// decide submits the command, for the session or, if c is nil, for nobody.
func (b *basket) decide(w *world, c *conn) (id uint64) {
	w.t.Helper()
	if c != nil {
		return c.ask(Request{Kind: KindDecide, Decider: b})
	}
	if w.eng.Submit(alice, []Request{{Kind: KindDecide, Account: alice, Decider: b}}) != 1 {
		w.t.Fatalf("Submit took nothing")
	}
	return 0
}

// TestDeciderOfThreeOrders: one command causes three events in one commit. The first event answers
// the session.
func TestDeciderOfThreeOrders(t *testing.T) {
	w := newWorld(t, options{}, alice)
	c, other := w.loggedIn(alice), w.loggedIn(alice)
	b := &basket{orders: []positions.Order{buy(10), sell(4), orderOf(positions.Buy, ten, 100)}}
	commits := w.journal.commits
	b.decide(w, nil)
	w.settle()
	b.expect(t, positions.NoRefusal, 2, 3, 4)
	c.expect("EVENT 2", "EVENT 3", "EVENT 4")
	other.expect("EVENT 2", "EVENT 3", "EVENT 4")
	if w.journal.commits != commits+1 || len(w.journal.blocks[commits]) != 3 {
		t.Errorf("%d commits", w.journal.commits-commits)
	}
	b.decide(w, c)
	w.settle()
	b.expect(t, positions.NoRefusal, 5, 6, 7)
	c.expect("EXECUTION 5 #2", "EVENT 6", "EVENT 7")
	other.expect("EVENT 5", "EVENT 6", "EVENT 7")
	if w.journal.commits != commits+2 || len(w.journal.blocks[commits+1]) != 3 || c.InFlight() != 0 {
		t.Errorf("%d commits, %d in flight", w.journal.commits-commits, c.InFlight())
	}
}

// TestDeciderUpToARefusal: a refusal ends the command, and the executions before it stand.
func TestDeciderUpToARefusal(t *testing.T) {
	w := newWorld(t, options{}, alice)
	c := w.loggedIn(alice)
	b := &basket{orders: []positions.Order{buy(10), sell(11), buy(1)}}
	for _, asks := range []*conn{nil, c} {
		b.decide(w, asks)
		w.settle()
		b.orders[1].Quantity = 21 // for the second round
	}
	b.told-- // Done was called once per round
	b.expect(t, positions.InsufficientShares, 3)
	c.expect("EVENT 2", "EXECUTION 3 #2")

	b.orders = []positions.Order{sell(21), buy(1)} // none of these is executed
	b.decide(w, c)
	w.settle()
	b.expect(t, positions.InsufficientShares)
	c.expect("REFUSED InsufficientShares #3")
	if st := w.eng.Stats(); st.Refused != 3 || st.Events != 3 || c.InFlight() != 0 {
		t.Errorf("%d orders refused, %d events, %d in flight", st.Refused, st.Events, c.InFlight())
	}
}

// TestDeciderOfOrdersWithIDs: order ids count for each order, and an order that was executed before
// ends the command too.
func TestDeciderOfOrdersWithIDs(t *testing.T) {
	w := newWorld(t, options{}, alice)
	c := w.loggedIn(alice)
	b := &basket{orders: []positions.Order{buy(1, "x"), buy(2, "y"), buy(3, "x"), buy(4, "z")}}
	b.decide(w, c)
	w.settle()
	b.expect(t, positions.NoRefusal, 2, 3) // the third reuses x with different content
	b.orders = []positions.Order{buy(2, "y"), buy(4, "z")}
	b.decide(w, c)
	w.settle()
	b.expect(t, positions.NoRefusal)
	c.order(buy(4, "z"))
	w.settle()
	c.expect("EXECUTION 2 #2", "EVENT 3", "REPEAT 3 #3", "EXECUTION 4 #4")
}

// TestDeciderWhileCatchingUp: the replay sends the first event as the EXECUTION, and the others
// after it.
func TestDeciderWhileCatchingUp(t *testing.T) {
	w := newWorld(t, options{}, alice)
	w.trade(alice, 3)
	c := w.connect(alice)
	c.piece = 1
	c.login(ModeRestart, 0)
	w.settle()
	b := &basket{orders: []positions.Order{buy(10), sell(4), buy(1)}}
	id := b.decide(w, c)
	w.settle()
	c.piece = piecesUnbounded
	c.read()
	w.settle()
	b.expect(t, positions.NoRefusal, 5, 6, 7)
	frames := c.fresh()
	want := []string{fmt.Sprintf("EXECUTION 5 #%d", id), "EVENT 6", "EVENT 7"}
	if !slices.Equal(frames[len(frames)-3:], want) {
		t.Errorf("the session was sent %v; want %v at the end", frames, want)
	}
}

// TestDeciderUpToTheBound: if too many events are not checkpointed, a command ends as it would with
// a refusal.
func TestDeciderUpToTheBound(t *testing.T) {
	w := newWorld(t, options{keeps: true, uncheckpointed: 3}, alice)
	b := &basket{orders: []positions.Order{buy(10), buy(11), buy(12)}}
	b.decide(w, nil)
	w.settle()
	b.expect(t, positions.NoRefusal, 2, 3)
	if n := w.eng.Stats().Busy; n != 1 {
		t.Errorf("%d orders were counted as BUSY", n)
	}
}
