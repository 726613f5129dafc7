// Package calendar tells when the markets trade: which are open at an instant, to which trading day it
// belongs, when that changes next, and the sessions of a date.
//
//	calendars := calendar.New() // or calendar.RoundTheClock()
//	calendars.Status("SH", now) // any goroutine, no lock
//	day := calendar.Date(calendars.Day("SH", now))
//
// # Trading days
//
// A trading day is a date in the market's zone. It lasts from the end of the trading day before it to the end
// of its own last session: what is asked after the close, on a weekend or on a holiday is answered with
// the next trading day, and an order given then is of that day. With [RoundTheClock] every date is a
// trading day, from midnight to midnight, of 23 or 25 hours where clocks are changed.
//
// # Hours
//
// All times are by the market's own clocks, without daylight saving time but in New York. A time is of what
// begins at it: at 11:30 sharp Shanghai is closed. What is not listed is closed.
//
//	SH, SZ, BJ  09:15-09:25 auction, 09:30-11:30 open, 13:00-14:57 open, 14:57-15:00 auction
//	HK          09:00-09:30 auction, 09:30-12:00 open, 13:00-16:00 open, 16:00-16:10 auction;
//	            half a day: 09:00-09:30 auction, 09:30-12:00 open, 12:00-12:10 auction
//	US          09:30-16:00 open; a day that closes early: 09:30-13:00 open
//
// A session begins with its first open minute, and ends with its last open minute or with that of the
// closing auction: 09:30-11:30 and 13:00-15:00 in Shanghai, 09:30-12:00 and 13:00-16:10 in Hong Kong.
//
// # What is published, and what is presumed
//
// Holidays are tables in published.go, each year with its source: the mainland for 2025 and 2026, Hong Kong
// for 2026, New York for 2025 to 2028. All other days are answered too, and marked as presumed: the mainland and
// Hong Kong of 2027 as law and gazette have it, later years with those holidays whose date follows from a
// rule, earlier years as if every weekday were a trading day.
//
// # Why tables of our own
//
// The Go module that has the most exchanges, github.com/scmhub/calendar, was looked at. It knows lunch breaks
// and early closes. But it derives Shanghai's holidays from festivals, while breaks there are set each
// year by notice: of 2026 it has neither January 2 nor February 23 nor May 4. It has no holidays for Shenzhen,
// no Beijing, no auctions, no mark for what is presumed, and its range of years depends on the day on
// which it runs.
//
// Times are nanoseconds since 1970-01-01 UTC, which has no leap seconds: the second before one is repeated,
// and nothing opens or closes in it. Clocks are changed at hours when no market here trades, and
// never at midnight. Time zones are compiled in; a time zone database of the machine goes before it.
package calendar

import (
	"fmt"
	"math"
	"sync"
	_ "time/tzdata" // the server may run where there is no time zone database
)

// MaxDays is the most dates that one call of Range covers.
const MaxDays = 366

// TradingDay is a date with its sessions, in nanoseconds since the Unix epoch.
type TradingDay struct {
	Date     Date
	Opens    []int64 // of its sessions, ascending; empty if the market does not trade on the date
	Closes   []int64 // as many
	Presumed bool    // the exchange had not published the date's year
}

// The exchanges, as indices into Calendars.
const (
	ofMainland = iota
	ofHongKong
	ofNewYork
	exchanges
)

// Calendars tells the trading hours of the markets SH, SZ, BJ, HK and US, also by their MIC codes. It is
// immutable, and safe on any goroutine. Methods that return instants return math.MaxInt64 for one after
// the year 2199. Of any other market they say that it is closed and never opens.
type Calendars struct {
	schedules [exchanges]*schedule
}

// New returns the calendars of the exchanges. The first call takes some milliseconds.
func New() *Calendars { return ofExchanges() }

// RoundTheClock returns calendars by which all markets are always open. Their days are the dates of their
// zones. The first call takes some milliseconds.
func RoundTheClock() *Calendars { return always() }

var ofExchanges = sync.OnceValue(func() *Calendars {
	return build([exchanges]exchange{
		ofMainland: {full: mainland, years: mainlandYears, rule: mainlandRule},
		ofHongKong: {full: hongKong, short: hongKongHalf, years: hongKongYears, rule: hongKongRule},
		ofNewYork:  {full: newYork, short: newYorkEarly, years: newYorkYears, rule: newYorkRule},
	})
})

var always = sync.OnceValue(func() *Calendars {
	e := exchange{full: allDay, roundTheYear: true}
	return build([exchanges]exchange{e, e, e})
})

func build(list [exchanges]exchange) *Calendars {
	c := new(Calendars)
	for n, zone := range [exchanges]string{"Asia/Shanghai", "Asia/Hong_Kong", "America/New_York"} {
		e := list[n]
		e.zone = zone
		c.schedules[n] = newSchedule(&e)
	}
	return c
}

// of returns the schedule of a market, or nil. It is a switch because the feed asks with each snapshot.
func (c *Calendars) of(market string) *schedule {
	switch market {
	case "SH", "SZ", "BJ", "XSHG", "XSHE", "XBSE", "BJSE":
		return c.schedules[ofMainland]
	case "HK", "XHKG":
		return c.schedules[ofHongKong]
	case "US", "XNYS", "XNAS":
		return c.schedules[ofNewYork]
	}
	return nil
}

// Day returns the trading day to which an instant belongs, as days since 1970-01-01: a [Date].
func (c *Calendars) Day(market string, t int64) int32 {
	s := c.of(market)
	if s == nil {
		return 0
	}
	now, _ := s.at(t)
	return int32(now.day)
}

// Status returns whether a market trades at an instant.
func (c *Calendars) Status(market string, t int64) Status {
	s := c.of(market)
	if s == nil {
		return StatusClosed
	}
	now, _ := s.at(t)
	return now.status
}

// Next returns the next instant after t at which Day or Status of any market changes.
func (c *Calendars) Next(t int64) int64 {
	next := int64(math.MaxInt64)
	for _, s := range c.schedules {
		_, end := s.at(t)
		next = min(next, end)
	}
	return next
}

// NextOpen returns the next instant after t at which a session of a market begins. Round the clock that is
// its next midnight.
func (c *Calendars) NextOpen(market string, t int64) int64 {
	if s := c.of(market); s != nil {
		return s.nextSession(t, false)
	}
	return math.MaxInt64
}

// NextClose returns the next instant after t at which a session of a market ends, be it for lunch. Round
// the clock that is its next midnight.
func (c *Calendars) NextClose(market string, t int64) int64 {
	if s := c.of(market); s != nil {
		return s.nextSession(t, true)
	}
	return math.MaxInt64
}

// Zone returns the name of a market's time zone, as the time zone database has it, or "" if there is no
// such market.
func (c *Calendars) Zone(market string) string {
	if s := c.of(market); s != nil {
		return s.exchange.zone
	}
	return ""
}

// Sessions returns the sessions that a market has on a date: none on a weekend or a holiday, nor before 1970
// or after 2199.
func (c *Calendars) Sessions(market string, d Date) TradingDay {
	if s := c.of(market); s != nil && d >= firstDate && d <= lastDate {
		return s.day(d)
	}
	return TradingDay{Date: d, Presumed: true}
}

// Range returns the trading days of a market from one date to another, both included: at
// most MaxDays dates. The error is a sentence for whoever asked.
func (c *Calendars) Range(market string, from, to Date) ([]TradingDay, error) {
	s := c.of(market)
	switch {
	case s == nil:
		return nil, fmt.Errorf("%q is not a market; it must be one of BJ, HK, SH, SZ, US", market)
	case from < firstDate || to > lastDate:
		return nil, fmt.Errorf("the dates must be from %s to %s", firstDate, lastDate)
	case to < from:
		return nil, fmt.Errorf("%s is before %s; write the earlier date first", to, from)
	case to-from >= MaxDays:
		return nil, fmt.Errorf("%s to %s is more than %d days; ask for fewer", from, to, MaxDays)
	}
	var days []TradingDay
	for d := from; d <= to; d++ {
		if found := s.day(d); len(found.Opens) > 0 {
			days = append(days, found)
		}
	}
	return days, nil
}
