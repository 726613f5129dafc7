package calendar

import (
	"math"
	"slices"
	"sort"
	"time"
)

// exchange is what is known of markets that trade at the same times.
type exchange struct {
	zone         string
	full, short  *timetable
	years        []year          // ascending, without gaps
	rule         func(Date) kind // for weekdays after the last of years
	roundTheYear bool            // every date is a full day, and nothing is presumed
}

// kind returns how the exchange trades on a date, and whether that is presumed.
func (e *exchange) kind(d Date) (k kind, presumed bool) {
	if e.roundTheYear {
		return full, false
	}
	number, _, _ := d.Date()
	n := number - e.years[0].number
	published := n >= 0 && n < len(e.years)
	presumed = !published || e.years[n].presumed
	switch {
	case weekend(d):
		return closed, presumed
	case published:
		return e.years[n].kind(d), presumed
	case n > 0:
		return e.rule(d), presumed
	}
	return full, presumed
}

// kind returns how an exchange trades on a weekday of the year.
func (y *year) kind(d Date) kind {
	switch md := monthDay(d); {
	case slices.Contains(y.closed, md):
		return closed
	case slices.Contains(y.short, md):
		return short
	}
	return full
}

// timetable returns how a date goes, nil if the exchange does not trade on it.
func (e *exchange) timetable(d Date) *timetable {
	switch k, _ := e.kind(d); k {
	case full:
		return e.full
	case short:
		return e.short
	}
	return nil
}

// schedule answers what an exchange does at an instant. It is immutable.
type schedule struct {
	exchange *exchange
	zone     *time.Location
	spans    []span // ascending, of the years from firstKept to lastKept; the last one is a bound only
}

// span is a stretch of time in which neither status nor trading day change.
type span struct {
	begin  int64 // it ends where the next begins
	day    Date
	status Status
}

// Of these years the spans are kept, which takes 0.5 MB for all exchanges. Those of other years are worked
// out when they are asked for, which takes microseconds.
const (
	firstKept = 2024
	lastKept  = 2031
)

// The instants that are told apart. One before or after them is answered as they are.
var (
	earliest = firstDate.midnight().UnixNano()
	latest   = (lastDate + 1).midnight().UnixNano()
)

// newSchedule panics if the exchange's zone is not in the time zone database, which is compiled in.
func newSchedule(e *exchange) *schedule {
	zone, err := time.LoadLocation(e.zone)
	if err != nil {
		panic(err)
	}
	s := &schedule{exchange: e, zone: zone}
	end := instant(DateOf(lastKept+1, time.January, 1), 0, zone)
	for begin := instant(DateOf(firstKept, time.January, 1), 0, zone); ; {
		found, next := s.workOut(begin)
		s.spans = append(s.spans, found)
		if begin >= end {
			break
		}
		begin = next
	}
	s.spans = slices.Clip(s.spans)
	return s
}

// at returns the span of an instant, and when it ends: math.MaxInt64 if that is not told apart any more.
// The span's begin is a bound, not always its first instant.
func (s *schedule) at(t int64) (now span, end int64) {
	n := sort.Search(len(s.spans), func(n int) bool { return s.spans[n].begin > t })
	if n > 0 && n < len(s.spans) {
		return s.spans[n-1], s.spans[n].begin
	}
	return s.workOut(t)
}

// workOut is at without what is kept.
func (s *schedule) workOut(t int64) (now span, end int64) {
	if t >= latest {
		now, _ = s.workOut(latest - 1)
		return now, math.MaxInt64
	}
	t = max(t, earliest)
	for d := dateAt(t, s.zone); ; d++ { // an exchange trades at least once a fortnight
		day := s.exchange.timetable(d)
		if day == nil {
			continue
		}
		for _, p := range day.phases {
			if begin := instant(d, p.begin, s.zone); t < begin {
				return span{t, d, StatusClosed}, begin
			}
			if end := instant(d, p.end, s.zone); t < end {
				return span{t, d, p.status}, end
			}
		}
	}
}

// nextSession returns the next instant after t at which a session begins or, with ends, at which one ends.
func (s *schedule) nextSession(t int64, ends bool) int64 {
	if t >= latest {
		return math.MaxInt64
	}
	t = max(t, earliest-1)
	for d := dateAt(t, s.zone); ; d++ {
		day := s.exchange.timetable(d)
		if day == nil {
			continue
		}
		for _, it := range day.sessions {
			minutes := it.begin
			if ends {
				minutes = it.end
			}
			if found := instant(d, minutes, s.zone); found > t {
				return found
			}
		}
	}
}

// day returns the sessions of a date.
func (s *schedule) day(d Date) TradingDay {
	_, presumed := s.exchange.kind(d)
	found := TradingDay{Date: d, Presumed: presumed}
	if day := s.exchange.timetable(d); day != nil {
		for _, it := range day.sessions {
			found.Opens = append(found.Opens, instant(d, it.begin, s.zone))
			found.Closes = append(found.Closes, instant(d, it.end, s.zone))
		}
	}
	return found
}
