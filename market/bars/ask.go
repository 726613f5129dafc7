package bars

import (
	"math"
	"sort"
	"time"

	"github.com/papertape/papertape/market"
)

// The number of bars or trades in an answer.
const (
	limitDefault = 500
	limitMax     = 1000
)

// MinuteSeconds and DaySeconds are the lengths of bars.
const (
	MinuteSeconds = 60
	DaySeconds    = 86400
)

func bounded(limit int) int {
	if limit <= 0 {
		return limitDefault
	}
	return min(limit, limitMax)
}

// Bars returns bars of 60 or 86400 seconds with from <= Time < to, ascending, the one under way last; 0 is no
// bound. With from they are the first limit of those, else the last; limit is 500 if it is 0, and at
// most 1,000. more: there are later ones; ask on from the last Time + 1. Of other lengths there are none.
func (s *Store) Bars(id market.ID, seconds uint32, from, to int64, limit int) (list []market.Bar, more bool) {
	p, unit := minutes, minuteNanoseconds
	switch seconds {
	case MinuteSeconds:
	case DaySeconds:
		p, unit = days, dayNanoseconds
	default:
		return nil, false
	}
	limit = bounded(limit)
	if to == 0 {
		to = math.MaxInt64
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	n := place(id, p)
	// A day begins up to a day before or after that of UTC.
	at := s.from(n, int32(from/unit)-1) //nolint:gosec // below 2^28
	if from == 0 {
		at = s.lastOf(n, limit+1, to/unit+1)
	}
	s.each(n, at, func(r *row) bool {
		b := r.Bar
		if b.Time = s.timeOf(id, p, r.key); b.Time < from {
			return true
		}
		if more = b.Time < to && from != 0 && len(list) == limit; b.Time >= to || more {
			return false
		}
		list = append(list, b)
		return true
	})
	return list[max(0, len(list)-limit):], more
}

// lastOf returns the chunk from which on there are at least so many bars with keys below end, or the first.
func (s *Store) lastOf(n int32, many int, end int64) int32 {
	at := s.at(n).tail
	for at != none && s.chunks.head(at).prev != none {
		if h := s.chunks.head(at); int64(h.last) < end-1 {
			if many -= int(h.count); many <= 0 {
				break
			}
		}
		at = s.chunks.head(at).prev
	}
	return at
}

// timeOf returns the Time of a bar.
func (s *Store) timeOf(id market.ID, p period, key int32) int64 {
	if p == minutes {
		return int64(key) * minuteNanoseconds
	}
	zone := s.zones[s.universe.At(id).Market]
	return time.Date(1970, 1, 1+int(key), 0, 0, 0, 0, zone).UnixNano()
}

// Trades returns trades with from <= Time, ascending, the newest last. With from they are the first limit
// of those that are kept, else the last; limit is 500 if it is 0, and at most 1,000. more: there are
// later ones; ask on from the last Time + 1. For that, trades of one time are in one answer, unless they
// are more than limit: then the first of them are an answer.
func (s *Store) Trades(id market.ID, from int64, limit int) (list []market.TapeTrade, more bool) {
	limit = bounded(limit)
	s.mu.RLock()
	defer s.mu.RUnlock()
	in, ring := &s.instruments[id], s.ring(id)
	at := func(n int) *trade { // the n-th of those that are kept
		return &ring[(in.count-uint64(in.kept-n))%uint64(s.perEach)] //nolint:gosec // n is below kept
	}
	first, end := max(0, in.kept-limit), in.kept
	if from != 0 {
		first = sort.Search(in.kept, func(n int) bool { return at(n).time >= from })
		end = min(in.kept, first+limit)
	}
	if more = end < in.kept; more {
		end = wholeTimes(first, end, func(n int) int64 { return at(n).time })
	}
	for n := first; n < end; n++ {
		t, number := at(n), in.count-uint64(in.kept-n)+1 //nolint:gosec // n is below kept
		list = append(list, market.TapeTrade{Time: t.time, Price: t.price, Size: t.size, Number: number})
	}
	return list, more
}

// wholeTimes returns where an answer that would end at end has to, so that the time that comes next is not
// that of the last. It is end if all have one time.
func wholeTimes(first, end int, time func(int) int64) int {
	for n := end; n > first; n-- {
		if time(n-1) != time(n) {
			return n
		}
	}
	return end
}
