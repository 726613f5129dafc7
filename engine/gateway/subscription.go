package gateway

import (
	"math/bits"

	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/market"
)

// idSet is a set of instruments, or of places in a list of them, as bits.
type idSet []uint64

func newIDSet(n int) idSet { return make(idSet, (n+63)/64) }

func (s idSet) add(n int)      { s[n/64] |= 1 << (n % 64) }
func (s idSet) remove(n int)   { s[n/64] &^= 1 << (n % 64) }
func (s idSet) has(n int) bool { return s[n/64]&(1<<(n%64)) != 0 }

// fill adds 0 to n-1.
func (s idSet) fill(n int) {
	for i := range n {
		s.add(i)
	}
}

// addAll adds the members of a set of the same size.
func (s idSet) addAll(more idSet) {
	for i, word := range more {
		s[i] |= word
	}
}

// next returns the first member that is at least from, or -1.
func (s idSet) next(from int) int {
	for i := from / 64; i < len(s); i++ {
		word := s[i]
		if i == from/64 {
			word &= ^uint64(0) << (from % 64)
		}
		if word != 0 {
			return i*64 + bits.TrailingZeros64(word)
		}
	}
	return -1
}

// subscription is what a session wants of quotes, and what it has still to be sent. It belongs to the session's loop.
//
// A client that has read all that it was sent is sent what changes as soon as it does. Otherwise what changes is noted
// in pending, whose size is bounded, and a cursor goes round it: each time the outbox has emptied, a piece is made of
// the next instruments that are pending, with the newest quotes that the loop has. So each instrument's turn comes,
// and a client that reads slowly skips quotes, but gets the newest of each in the end.
type subscription struct {
	detail bool
	whole  bool        // plain quotes of all instruments, which fit a piece: sent as one, see quoteWhole
	missed bool        // whole: it was not sent some, and gets all with the next
	codes  []market.ID // ascending; nil: all
	// pending are places in codes, or ids where codes is nil. nil: none.
	pending idSet
	cursor  int // where the next piece begins
}

// len returns how many instruments the subscription is for.
func (sub *subscription) len(u *market.Universe) int {
	if sub.codes == nil {
		return u.Len()
	}
	return len(sub.codes)
}

func (sub *subscription) id(place int) market.ID {
	if sub.codes == nil {
		return market.ID(place) //nolint:gosec // of the universe
	}
	return sub.codes[place]
}

// changed returns what of q concerns the subscription.
func (sub *subscription) changed(q *quotes) *changes {
	if sub.detail {
		return &q.any
	}
	return &q.moved
}

// note adds what has changed to what is pending.
func (sub *subscription) note(c *changes, u *market.Universe) {
	if sub.pending == nil {
		sub.pending = newIDSet(sub.len(u))
	}
	if sub.codes == nil {
		sub.pending.addAll(c.set)
		return
	}
	for place, id := range sub.codes {
		if c.set.has(int(id)) {
			sub.pending.add(place)
		}
	}
}

// noteAll makes everything pending, from the first on.
func (sub *subscription) noteAll(u *market.Universe) {
	n := sub.len(u)
	sub.pending, sub.cursor = newIDSet(n), 0
	if sub.codes != nil {
		sub.pending.fill(n)
		return
	}
	for _, id := range u.ListedIDs() {
		sub.pending.add(int(id))
	}
}

// take removes up to most instruments from what is pending, and appends them to dst. They follow the cursor, which goes
// round.
func (sub *subscription) take(dst []market.ID, most int) []market.ID {
	for range most {
		place := sub.pending.next(sub.cursor)
		if place < 0 {
			if place = sub.pending.next(0); place < 0 {
				sub.pending = nil
				break
			}
		}
		sub.pending.remove(place)
		sub.cursor = place + 1
		dst = append(dst, sub.id(place))
	}
	if sub.pending != nil && sub.pending.next(0) < 0 {
		sub.pending = nil
	}
	return dst
}

// quoteBytesMax is the most bytes that one of its quotes takes.
func (sub *subscription) quoteBytesMax() int {
	if sub.detail {
		return codec.DetailedQuoteBytesMax
	}
	return codec.QuoteBytesMax
}

func (sub *subscription) appendQuotes(dst []byte, ids []market.ID, p *market.Prices, u *market.Universe) []byte {
	if sub.detail {
		return codec.AppendDetailedQuotes(dst, ids, p, u)
	}
	return codec.AppendQuotes(dst, ids, p, u)
}
