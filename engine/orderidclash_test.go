package engine

import (
	"testing"

	"github.com/papertape/papertape/fnv1a"
	"github.com/papertape/papertape/positions"
)

// Two client order ids with the same hash (64-bit FNV-1a, which is what the disk keeps).
const clashOne, clashTwo = "8yn0iYCKYHlIj4-BwPqk", "GReLUrM4wMqfg9yzV3KQ"

// TestOrderIDsWithOneHash: an order whose id has the hash of another id is executed. When either is
// repeated it is answered with its own execution, also after a start from events.
func TestOrderIDsWithOneHash(t *testing.T) {
	if one, two := fnv1a.New.Text(clashOne), fnv1a.New.Text(clashTwo); one != two {
		t.Fatalf("the ids of this test have the hashes %#x and %#x: it wants two that clash", one, two)
	}
	w := newWorld(t, options{keeps: true}, alice)
	c := w.loggedIn(alice)
	w.together(func() { // in one step, with nothing in the tail yet
		c.order(buy(1, clashOne))
		c.order(buy(2, clashTwo))
		c.order(buy(1, clashOne))
		c.order(buy(2, clashTwo))
	})
	c.expect("EXECUTION 2 #2", "EXECUTION 3 #3", "REPEAT 2 #4", "REPEAT 3 #5")
	again := func(w *world, c *conn) {
		w.together(func() {
			c.order(buy(1, clashOne))
			c.order(buy(2, clashTwo))
			c.order(buy(2, clashOne))
			c.order(buy(1, clashTwo))
		})
	}
	again(w, c)
	c.expect("REPEAT 2 #6", "REPEAT 3 #7", "FAILED DUPLICATE_ORDER_ID #8", "FAILED DUPLICATE_ORDER_ID #9")

	next := newWorld(t, options{journal: w.journal.restart(0)})
	c = next.loggedIn(alice)
	again(next, c)
	c.expect("REPEAT 2 #2", "REPEAT 3 #3", "FAILED DUPLICATE_ORDER_ID #4", "FAILED DUPLICATE_ORDER_ID #5")
}

// TestOrderIDsWithOneHashFromACheckpoint: when only hashes are left, an id that cannot be told from
// another one is refused. It is neither executed again nor answered with the other one's execution.
func TestOrderIDsWithOneHashFromACheckpoint(t *testing.T) {
	w := newWorld(t, options{keeps: true}, alice)
	c := w.loggedIn(alice)
	w.together(func() {
		c.order(buy(1, clashOne))
		c.order(buy(2, clashTwo))
	})
	w.checkpoint()
	next := newWorld(t, options{journal: w.journal.restart(0)})
	c = next.loggedIn(alice)
	for _, o := range []positions.Order{buy(2, clashTwo), buy(2, clashOne)} {
		c.order(o)
		next.settle()
	}
	c.expect("REPEAT 3 #2", "FAILED ORDER_ID_CLASH #3")
	c.order(buy(1, clashOne)) // its content differs from the one remembered for that hash
	next.settle()
	c.expect("FAILED DUPLICATE_ORDER_ID #4")
	if head := next.journal.head(alice); head != 3 {
		t.Errorf("%d events, want 3", head)
	}
	if n := c.InFlight(); n != 0 {
		t.Errorf("%d requests in flight", n)
	}
}

// TestOrderIDsWithOneHashForgotten: each id is forgotten with its own place in the queue.
func TestOrderIDsWithOneHashForgotten(t *testing.T) {
	w := newWorld(t, options{ids: 2}, alice)
	c := w.loggedIn(alice)
	w.together(func() {
		c.order(buy(1, clashOne))
		c.order(buy(2, clashTwo))
		c.order(buy(3, "three")) // the first is forgotten
		c.order(buy(2, clashTwo))
		c.order(buy(4, "four")) // the second is forgotten
		c.order(buy(5, clashTwo))
		c.order(buy(5, clashTwo))
	})
	c.expect("EXECUTION 2 #2", "EXECUTION 3 #3", "EXECUTION 4 #4", "REPEAT 3 #5", "EXECUTION 5 #6", "EXECUTION 6 #7",
		"REPEAT 6 #8")
	ids := w.account(alice).ids
	if len(ids.clashes) != 0 || len(ids.texts) != 0 || len(ids.seen) != 2 {
		t.Errorf("%d ids are remembered by their text, %d by their hash", len(ids.clashes), len(ids.seen))
	}
}

// TestContentsWithOneHash: the content of an order is compared with the event, not only by its
// hash, both in memory and from the journal.
func TestContentsWithOneHash(t *testing.T) {
	for _, o := range []options{{}, {keeps: true, tail: 1}} {
		w := newWorld(t, o, alice)
		c := w.loggedIn(alice)
		c.order(buy(1, "x"))
		w.settle()
		c.order(buy(3)) // with a tail of one event, the first order is only in the journal
		w.settle()
		if o.keeps {
			w.checkpoint()
		}
		other := buy(2, "x")
		ids := w.account(alice).ids
		ids.queue[ids.first-ids.base].Content = contentHash(other.Instrument, other.Side, other.Quantity, other.Limit,
			testUniverse)
		c.order(other)
		w.settle()
		c.expect("EXECUTION 2 #2", "EXECUTION 3 #3", "FAILED DUPLICATE_ORDER_ID #4")
	}
}
