package engine

import (
	"maps"
	"testing"

	"pgregory.net/rapid"

	"github.com/papertape/papertape/fnv1a"
	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/record"
)

// Two client order ids with the same hash (64-bit FNV-1a, which is what the disk keeps).
const clashOne, clashTwo = "8yn0iYCKYHlIj4-BwPqk", "GReLUrM4wMqfg9yzV3KQ"

// TestOrderIDsWithOneHash: the keyed hash tells ids apart that have the same unkeyed one, also after
// starts from events and from a checkpoint.
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
	again := func(w *world) {
		w.t.Helper()
		next := newWorld(t, options{journal: w.journal.restart(0)})
		c := next.loggedIn(alice)
		for _, o := range []positions.Order{buy(1, clashOne), buy(2, clashTwo), buy(2, clashOne), buy(1, clashTwo)} {
			c.order(o)
			next.settle()
		}
		c.expect("REPEAT 2 #2", "REPEAT 3 #3", "FAILED DUPLICATE_ORDER_ID #4", "FAILED DUPLICATE_ORDER_ID #5")
	}
	again(w)
	w.checkpoint()
	again(w)
}

// unkeyed turns all order ids of an account's checkpoint into those that format 1 has stored.
func (j *fakeJournal) unkeyed(account uint64) {
	st := j.stored[account]
	for i := range st.IDs {
		id := j.committed[account][st.IDs[i].Seq-1].Trade.OrderID
		st.IDs[i].ID = record.UnkeyedHash(&id)
	}
}

// TestUnkeyedOrderIDs: an order is answered with its first execution even if only an unkeyed hash is
// left of its id. If that is the hash of another id, the order is refused: it is neither executed
// again nor answered with the other one's execution.
func TestUnkeyedOrderIDs(t *testing.T) {
	w := newWorld(t, options{keeps: true}, alice)
	c := w.loggedIn(alice)
	w.together(func() {
		c.order(buy(1, clashOne))
		c.order(buy(2, "another"))
	})
	w.checkpoint()
	w.journal.unkeyed(alice)
	next := newWorld(t, options{journal: w.journal.restart(0), ids: 3})
	c = next.loggedIn(alice)
	for _, o := range []positions.Order{
		buy(1, clashOne), buy(2, "another"), buy(3, "another"), // 2 to 4
		buy(1, clashTwo), buy(2, clashTwo), // 5, 6
		buy(1, "new"), buy(1, "new"), // 7, 8
	} {
		c.order(o)
		next.settle()
	}
	c.expect("REPEAT 2 #2", "REPEAT 3 #3", "FAILED DUPLICATE_ORDER_ID #4", "FAILED ORDER_ID_CLASH #5",
		"FAILED DUPLICATE_ORDER_ID #6", "EXECUTION 4 #7", "REPEAT 4 #8")
	ids := next.account(alice).ids
	if ids.unkeyed != 2 {
		t.Errorf("%d unkeyed hashes are remembered, want 2", ids.unkeyed)
	}
	next.together(func() { // three are remembered: the first of them is forgotten
		c.order(buy(1, "newer"))
		c.order(buy(1, clashTwo))
	})
	c.expect("EXECUTION 5 #9", "EXECUTION 6 #10")
	if n := c.InFlight(); n != 0 || ids.unkeyed != 0 {
		t.Errorf("%d requests in flight, %d unkeyed hashes", n, ids.unkeyed)
	}
}

// TestIDTable compares the table with a map. Few slots, and hashes that begin at few of them, make
// long searches that wrap around.
func TestIDTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m orderIDs
		want := make(map[record.IDHash]uint64) // by hash: the newest sequence
		seq := uint64(0)
		limit := rapid.IntRange(1, 40).Draw(t, "limit")
		for range rapid.IntRange(1, 200).Draw(t, "ids") {
			low := rapid.SampledFrom([]uint64{0, 1, 6, 7, 8, 1 << 31, 1<<32 - 1}).Draw(t, "low")
			seq++
			r := OrderIDRecord{ID: record.IDHash{High: seq, Low: low}, Seq: seq}
			m.remember(r, limit)
			want[r.ID] = seq
			if seq > uint64(limit) {
				maps.DeleteFunc(want, func(_ record.IDHash, s uint64) bool { return s == seq-uint64(limit) })
			}
			if rapid.IntRange(0, 9).Draw(t, "cut") == 0 {
				m.cut(m.first)
			}
			if m.places.used != len(want) {
				t.Fatalf("%d entries, want %d", m.places.used, len(want))
			}
			for hash, s := range want {
				if r, ok := m.findHash(hash); !ok || r.Seq != s {
					t.Fatalf("%v: found %v, %v, want %d", hash, r, ok, s)
				}
			}
			if _, ok := m.findHash(record.IDHash{High: seq + 1, Low: low}); ok {
				t.Fatal("found what was never remembered")
			}
		}
	})
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
