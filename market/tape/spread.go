package tape

import (
	"math"
	"slices"

	"github.com/papertape/papertape/market"
)

// parts is how many trades a bar becomes.
const parts = 4

// spread is the trades that bars become, those that were not given yet. Bars come in the order
// of their starts, so each part has a queue in the order of time. An instrument's bars do not
// overlap, so a queue holds at most one of each that began.
type spread struct {
	queues [parts]queue
	ends   []int64 // by instrument: of its last bar
	latest int64   // the start of the last bar
}

// reset forgets all, for a universe of that many instruments.
func (s *spread) reset(instruments int) {
	for i := range s.queues {
		s.queues[i] = queue{items: s.queues[i].items[:0]}
	}
	s.ends, s.latest = slices.Grow(s.ends[:0], instruments)[:instruments], 0
	clear(s.ends)
}

// add adds the trades of a bar. See the package comment.
func (s *spread) add(bar *row, length int64) {
	second, third := bar.low, bar.high
	if bar.Last < bar.open {
		second, third = third, second
	}
	prices := [parts]int64{bar.open, second, third, bar.Last}
	after := [parts]int64{0, length / 4, length/4*3 + length%4*3/4, max(length-1, 0)}
	share := bar.Size / parts
	for i := range prices {
		u := bar.Update
		u.Time, u.Last, u.Size = bar.Time+after[i], prices[i], share
		if i == parts-1 {
			u.Size = bar.Size - share*(parts-1)
		}
		if bar.Says&market.SaysSize == 0 {
			u.Size = 0
		}
		s.queues[i].add(u)
	}
	s.latest = bar.Time
}

// next returns the time of the next trade, or the largest number if there is none.
func (s *spread) next() int64 {
	t := int64(math.MaxInt64)
	for i := range s.queues {
		if u := s.queues[i].first(); u != nil {
			t = min(t, u.Time)
		}
	}
	return t
}

// queue is a queue of updates, in the order of time.
type queue struct {
	items []market.Update
	head  int
}

func (q *queue) first() *market.Update {
	if q.head == len(q.items) {
		return nil
	}
	return &q.items[q.head]
}

// add adds an update. If bars of different lengths met, one that would be too early waits for
// those before it.
func (q *queue) add(u market.Update) {
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	} else if last := &q.items[len(q.items)-1]; u.Time < last.Time {
		u.Time = last.Time
	}
	if len(q.items) == cap(q.items) && q.head > 0 {
		q.items = q.items[:copy(q.items, q.items[q.head:])]
		q.head = 0
	}
	q.items = append(q.items, u)
}

// nextOfBars collects the trades of one time. A bar that was not read yet begins no earlier
// than the last one, so what is before that is complete.
func (r *Reader) nextOfBars() {
	var this row
	moment := r.bars.next()
	for !r.ended && moment >= r.bars.latest {
		r.row(&this)
		moment = r.bars.next()
	}
	for i := range r.bars.queues {
		q := &r.bars.queues[i]
		for u := q.first(); u != nil && u.Time == moment && len(r.moment) < momentUpdatesMax; u = q.first() {
			r.moment = append(r.moment, *u)
			q.head++
		}
	}
}
