package calendar

import "time"

// timetable is how one kind of trading day goes. Times are minutes since midnight by the clocks of the
// market's zone. Between phases the market is closed.
type timetable struct {
	phases   []phase   // ascending
	sessions []session // ascending; an opening auction is no part of one, a closing auction is
}

type phase struct {
	begin, end int
	status     Status
}

type session struct{ begin, end int }

// at returns a time of day in minutes.
func at(hour, minute int) int { return hour*60 + minute }

// mainland is the day of Shanghai, Shenzhen and Beijing. What is ordered from 09:25 on waits for 09:30.
// The trading of some boards at the fixed closing price, after 15:00, is left out.
var mainland = &timetable{
	phases: []phase{
		{at(9, 15), at(9, 25), StatusAuction},
		{at(9, 30), at(11, 30), StatusOpen},
		{at(13, 0), at(14, 57), StatusOpen},
		{at(14, 57), at(15, 0), StatusAuction},
	},
	sessions: []session{{at(9, 30), at(11, 30)}, {at(13, 0), at(15, 0)}},
}

// hongKong is a full day in Hong Kong. Its closing auction ends at a random moment from 16:08 on, at 16:10
// at the latest, which is what is here. The extended morning session, of two funds only, is left out.
var hongKong = &timetable{
	phases: []phase{
		{at(9, 0), at(9, 30), StatusAuction},
		{at(9, 30), at(12, 0), StatusOpen},
		{at(13, 0), at(16, 0), StatusOpen},
		{at(16, 0), at(16, 10), StatusAuction},
	},
	sessions: []session{{at(9, 30), at(12, 0)}, {at(13, 0), at(16, 10)}},
}

// hongKongHalf is a day in Hong Kong without an afternoon: the eves of Christmas, New Year and Lunar New
// Year.
var hongKongHalf = &timetable{
	phases: []phase{
		{at(9, 0), at(9, 30), StatusAuction},
		{at(9, 30), at(12, 0), StatusOpen},
		{at(12, 0), at(12, 10), StatusAuction},
	},
	sessions: []session{{at(9, 30), at(12, 10)}},
}

// newYork is a full day of NYSE and Nasdaq, without what is traded before and after it.
var newYork = &timetable{
	phases:   []phase{{at(9, 30), at(16, 0), StatusOpen}},
	sessions: []session{{at(9, 30), at(16, 0)}},
}

// newYorkEarly is a day of NYSE and Nasdaq that ends early.
var newYorkEarly = &timetable{
	phases:   []phase{{at(9, 30), at(13, 0), StatusOpen}},
	sessions: []session{{at(9, 30), at(13, 0)}},
}

// allDay is a day that lasts from midnight to midnight.
var allDay = &timetable{
	phases:   []phase{{0, at(24, 0), StatusOpen}},
	sessions: []session{{0, at(24, 0)}},
}

// instant returns when the clocks of a zone show a time of day, in minutes since midnight, on a date. No
// time in a timetable falls into the hour that a zone skips or repeats; midnight is in neither.
func instant(d Date, minutes int, zone *time.Location) int64 {
	return time.Date(1970, 1, 1+int(d), 0, minutes, 0, 0, zone).UnixNano()
}

// dateAt returns the date that a zone has at an instant.
func dateAt(t int64, zone *time.Location) Date { return DateOf(time.Unix(0, t).In(zone).Date()) }
