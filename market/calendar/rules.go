package calendar

import "time"

// What follows are the rules for years after the published ones: those holidays whose dates the calendar
// alone tells.

// kind says how an exchange trades on a date.
type kind uint8

const (
	full   kind = iota
	short       // trading ends early
	closed      // not at all
)

// newYorkRule follows rule 7.2 of NYSE, with the early closes of the years that it has published.
func newYorkRule(d Date) kind {
	md, monday := monthDay(d), d.Weekday() == time.Monday
	switch {
	case md == 101, md == 102 && monday, // on a Saturday it is not observed
		nth(d, time.January, time.Monday, 3),
		nth(d, time.February, time.Monday, 3),
		d == easter(d)-2,
		monday && md >= 525 && md <= 531,
		observed(d, 619),
		observed(d, 704),
		nth(d, time.September, time.Monday, 1),
		nth(d, time.November, time.Thursday, 4),
		observed(d, 1225):
		return closed
	case md == 703, md == 1224, nth(d-1, time.November, time.Thursday, 4):
		return short
	}
	return full
}

// mainlandRule follows the regulation on public holidays of 2024, without the holidays that the moon or
// the sun tells.
func mainlandRule(d Date) kind {
	year, _, _ := d.Date()
	for _, holiday := range [...]struct {
		first Date
		days  int
	}{{DateOf(year, time.January, 1), 1}, {DateOf(year, time.May, 1), 2}, {DateOf(year, time.October, 1), 3}} {
		if dayOff(d, holiday.first, holiday.days) {
			return closed
		}
	}
	return full
}

// dayOff reports whether a weekday is one of the days of a holiday, or is off because one of them is on a
// weekend: as many workdays after the holiday are.
func dayOff(d, first Date, days int) bool {
	off, end := days, first+Date(days)
	for holiday := first; holiday < end; holiday++ {
		if !weekend(holiday) {
			off--
		}
	}
	if d < end {
		return d >= first
	}
	for workday := end; off > 0; workday++ {
		if weekend(workday) {
			continue
		}
		if workday == d {
			return true
		}
		off--
	}
	return false
}

// hongKongRule follows the General Holidays Ordinance, without the holidays that the moon or the sun tells:
// a Sunday's holiday moves to the next day that is none.
func hongKongRule(d Date) kind {
	md := monthDay(d)
	switch d {
	case easter(d) - 2, easter(d) + 1:
		return closed
	}
	switch md {
	case 101, 501, 701, 1001, 1225, 1226:
		return closed
	case 102, 502, 702, 1002: // that is, of Sunday the first
		if d.Weekday() == time.Monday {
			return closed
		}
	case 1227: // Christmas Day or the day after it was a Sunday
		if d.Weekday() == time.Monday || d.Weekday() == time.Tuesday {
			return closed
		}
	case 1224, 1231:
		return short
	}
	return full
}

// weekend reports whether a date is a Saturday or Sunday.
func weekend(d Date) bool { return d.Weekday() == time.Saturday || d.Weekday() == time.Sunday }

// monthDay returns month × 100 + day.
func monthDay(d Date) int {
	_, month, day := d.Date()
	return int(month)*100 + day
}

// nth reports whether a date is the n-th of a weekday in a month.
func nth(d Date, month time.Month, weekday time.Weekday, n int) bool {
	_, m, day := d.Date()
	return m == month && d.Weekday() == weekday && (day+6)/7 == n
}

// observed reports whether a holiday is observed on a date: on the Friday before if it is a Saturday, on
// the Monday after if it is a Sunday.
func observed(d Date, holiday int) bool {
	return monthDay(d) == holiday ||
		d.Weekday() == time.Friday && monthDay(d+1) == holiday ||
		d.Weekday() == time.Monday && monthDay(d-1) == holiday
}

// easter returns Easter Sunday of a date's year, by the method known as Meeus/Jones/Butcher.
func easter(d Date) Date {
	y, _, _ := d.Date()
	century, inCentury := y/100, y%100
	golden := y % 19
	moon := (19*golden + century - century/4 - (century-(century+8)/25+1)/3 + 15) % 30
	sunday := (32 + 2*(century%4) + 2*(inCentury/4) - moon - inCentury%4) % 7
	late := (golden + 11*moon + 22*sunday) / 451
	month := (moon + sunday - 7*late + 114) / 31
	day := (moon+sunday-7*late+114)%31 + 1
	return DateOf(y, time.Month(month), day)
}
