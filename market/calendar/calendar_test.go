package calendar

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/papertape/papertape/market"
)

// hours is what the feed needs of calendars.
type hours interface {
	Day(market string, t int64) int32
	Status(market string, t int64) Status
	Next(t int64) int64
}

var _ hours = (*Calendars)(nil)

var (
	calendars     = New()
	roundTheClock = RoundTheClock()
	all           = []string{"BJ", "HK", "SH", "SZ", "US"}
)

// instantOf reads an instant with its offset from UTC, so that no test depends on a time zone database.
func instantOf(t *testing.T, text string) int64 {
	t.Helper()
	when, err := time.Parse("2006-01-02T15:04:05.999999999Z07:00", text)
	if err != nil {
		t.Fatal(err)
	}
	return when.UnixNano()
}

func dateOf(t *testing.T, text string) Date {
	t.Helper()
	d, err := ParseDate(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// closure is a time without trading as an exchange announces it: from, to, and the day of the next trading.
type closure struct{ from, to, reopens string }

// "关于2026年部分节假日休市安排的通知", Shanghai, Shenzhen and Beijing stock exchanges, 2025-12-22; its words,
// weekends at the ends included.
var mainland2026 = []closure{
	{"2026-01-01", "2026-01-04", "2026-01-05"},
	{"2026-02-14", "2026-02-23", "2026-02-24"},
	{"2026-02-28", "2026-03-01", "2026-03-02"}, // a weekend on which offices work
	{"2026-04-04", "2026-04-06", "2026-04-07"},
	{"2026-05-01", "2026-05-05", "2026-05-06"},
	{"2026-05-09", "2026-05-10", "2026-05-11"}, // another
	{"2026-06-19", "2026-06-21", "2026-06-22"},
	{"2026-09-19", "2026-09-20", "2026-09-21"}, // another
	{"2026-09-25", "2026-09-27", "2026-09-28"},
	{"2026-10-01", "2026-10-07", "2026-10-08"},
	{"2026-10-10", "2026-10-11", "2026-10-12"}, // another
}

// General holidays of Hong Kong in 2026, https://www.gov.hk/en/about/abouthk/holiday/2026.htm.
var hongKong2026 = []closure{
	{"2026-01-01", "2026-01-01", "2026-01-02"},
	{"2026-02-17", "2026-02-19", "2026-02-20"}, // Lunar New Year
	{"2026-04-03", "2026-04-07", "2026-04-08"}, // Good Friday to the morrow of Easter Monday
	{"2026-05-01", "2026-05-03", "2026-05-04"},
	{"2026-05-25", "2026-05-25", "2026-05-26"}, // the morrow of the Birthday of the Buddha
	{"2026-06-19", "2026-06-21", "2026-06-22"},
	{"2026-07-01", "2026-07-01", "2026-07-02"},
	{"2026-09-26", "2026-09-27", "2026-09-28"}, // the morrow of Mid-Autumn, a Saturday
	{"2026-10-01", "2026-10-01", "2026-10-02"},
	{"2026-10-19", "2026-10-19", "2026-10-20"}, // the morrow of Chung Yeung
	{"2026-12-25", "2026-12-27", "2026-12-28"},
}

// NYSE Group, "2026, 2027 and 2028 Holiday and Early Closings Calendar", 2025-12-23, in its words.
var newYorkPublished = map[int]struct{ closed, early []string }{
	2026: {
		closed: []string{"Thursday, January 1", "Monday, January 19", "Monday, February 16", "Friday, April 3",
			"Monday, May 25", "Friday, June 19", "Friday, July 3", "Monday, September 7", "Thursday, November 26",
			"Friday, December 25"},
		early: []string{"Friday, November 27", "Thursday, December 24"},
	},
	2027: {
		closed: []string{"Friday, January 1", "Monday, January 18", "Monday, February 15", "Friday, March 26",
			"Monday, May 31", "Friday, June 18", "Monday, July 5", "Monday, September 6", "Thursday, November 25",
			"Friday, December 24"},
		early: []string{"Friday, November 26"},
	},
	2028: {
		closed: []string{"Monday, January 17", "Monday, February 21", "Friday, April 14", "Monday, May 29",
			"Monday, June 19", "Tuesday, July 4", "Monday, September 4", "Thursday, November 23",
			"Monday, December 25"},
		early: []string{"Monday, July 3", "Friday, November 24"},
	},
}

// closedOn returns the dates of a year without trading: those of the closures, and weekends.
func closedOn(year int, breaks []closure) map[Date]bool {
	closed := map[Date]bool{}
	for d := DateOf(year, time.January, 1); d < DateOf(year+1, time.January, 1); d++ {
		if weekend(d) {
			closed[d] = true
		}
	}
	for _, b := range breaks {
		from, _ := ParseDate(b.from)
		to, _ := ParseDate(b.to)
		for d := from; d <= to; d++ {
			closed[d] = true
		}
	}
	return closed
}

// inWords reads "Monday, January 19" of a year.
func inWords(t *testing.T, year int, words []string) map[Date]bool {
	t.Helper()
	dates := map[Date]bool{}
	for _, text := range words {
		when, err := time.Parse("Monday, January 2 2006", fmt.Sprintf("%s %d", text, year))
		if err != nil {
			t.Fatal(err)
		}
		d := DateOf(when.Date())
		if weekday, _, _ := strings.Cut(text, ","); d.Weekday().String() != weekday {
			t.Fatalf("%s of %d is a %s", text, year, d.Weekday())
		}
		dates[d] = true
	}
	return dates
}

// change is what a market does from a moment of a day on. Where next is set, that is part of the next trading day.
type change struct {
	at     string
	status Status
	next   bool
}

var (
	mainlandDay = []change{
		{"09:15:00", StatusAuction, false}, {"09:25:00", StatusClosed, false}, {"09:30:00", StatusOpen, false},
		{"11:30:00", StatusClosed, false}, {"13:00:00", StatusOpen, false}, {"14:57:00", StatusAuction, false},
		{"15:00:00", StatusClosed, true},
	}
	hongKongDay = []change{
		{"09:00:00", StatusAuction, false}, {"09:30:00", StatusOpen, false}, {"12:00:00", StatusClosed, false},
		{"13:00:00", StatusOpen, false}, {"16:00:00", StatusAuction, false}, {"16:10:00", StatusClosed, true},
	}
	hongKongHalfDay = []change{
		{"09:00:00", StatusAuction, false}, {"09:30:00", StatusOpen, false}, {"12:00:00", StatusAuction, false},
		{"12:10:00", StatusClosed, true},
	}
	newYorkDay      = []change{{"09:30:00", StatusOpen, false}, {"16:00:00", StatusClosed, true}}
	newYorkEarlyDay = []change{{"09:30:00", StatusOpen, false}, {"13:00:00", StatusClosed, true}}
)

// newYorkOffset returns New York's offset from UTC by day. Its clocks go forward on 2026-03-08, 2027-03-14
// and 2028-03-12, and back on 2026-11-01, 2027-11-07 and 2028-11-05.
func newYorkOffset(d Date) string {
	s := d.String()
	for _, summer := range [][2]string{
		{"2026-03-08", "2026-11-01"}, {"2027-03-14", "2027-11-07"}, {"2028-03-12", "2028-11-05"},
	} {
		if s >= summer[0] && s < summer[1] {
			return "-04:00"
		}
	}
	return "-05:00"
}

func beijingOffset(Date) string { return "+08:00" }

// TestPublishedYears tries every change of every day of the years that the exchanges have published,
// to the nanosecond.
func TestPublishedYears(t *testing.T) {
	type yearOf struct {
		markets       []string
		year          int
		closed, early map[Date]bool
		full, short   []change
		offset        func(Date) string
		days          int // of trading
	}
	eves := map[Date]bool{dateOf(t, "2026-02-16"): true, dateOf(t, "2026-12-24"): true, dateOf(t, "2026-12-31"): true}
	list := []yearOf{
		{[]string{"SH", "SZ", "BJ", "XSHG", "XSHE", "XBSE"}, 2026, closedOn(2026, mainland2026), nil,
			mainlandDay, nil, beijingOffset, 242},
		{[]string{"HK", "XHKG"}, 2026, closedOn(2026, hongKong2026), eves,
			hongKongDay, hongKongHalfDay, beijingOffset, 247},
	}
	for year, days := range map[int]int{2026: 251, 2027: 251, 2028: 251} {
		closed, words := closedOn(year, nil), newYorkPublished[year]
		for d := range inWords(t, year, words.closed) {
			closed[d] = true
		}
		list = append(list, yearOf{[]string{"US", "XNYS", "XNAS"}, year, closed, inWords(t, year, words.early),
			newYorkDay, newYorkEarlyDay, newYorkOffset, days})
	}
	for _, y := range list {
		for _, name := range y.markets {
			days := 0
			for d := DateOf(y.year, time.January, 1); d < DateOf(y.year+1, time.January, 1); d++ {
				got := calendars.Sessions(name, d)
				if got.Presumed {
					t.Errorf("%s: %s is presumed; it was published", name, d)
				}
				if y.closed[d] {
					if len(got.Opens) > 0 {
						t.Errorf("%s trades on %s, %s", name, d.Weekday(), d)
					}
					continue
				}
				days++
				changes := y.full
				if y.early[d] {
					changes = y.short
				}
				checkDay(t, name, d, y.offset(d), changes, y.closed)
			}
			if days != y.days {
				t.Errorf("%s trades on %d days of %d, want %d", name, days, y.year, y.days)
			}
		}
	}
}

// checkDay tries each change of a trading day: the nanosecond before it, and its own.
func checkDay(t *testing.T, name string, d Date, offset string, changes []change, closed map[Date]bool) {
	t.Helper()
	following := d + 1
	for closed[following] {
		following++
	}
	if y, _, _ := following.Date(); y != yearOfDate(d) {
		following = Date(-1) // is in a year that is not in closed
	}
	before := StatusClosed
	for _, c := range changes {
		at := instantOf(t, fmt.Sprintf("%sT%s%s", d, c.at, offset))
		if got, day := calendars.Status(name, at-1), Date(calendars.Day(name, at-1)); got != before || day != d {
			t.Errorf("%s before %s %s: status %d of %s, want %d of %s", name, d, c.at, got, day, before, d)
		}
		want := d
		if c.next {
			want = following
		}
		got, day := calendars.Status(name, at), Date(calendars.Day(name, at))
		if got != c.status || day != want && want >= 0 || want < 0 && day <= d {
			t.Errorf("%s at %s %s: status %d of %s, want %d of %s", name, d, c.at, got, day, c.status, want)
		}
		if next := calendars.Next(at - 1); next != at {
			t.Errorf("before %s %s of %s the next change is in %d ns", d, c.at, name, next-at+1)
		}
		before = c.status
	}
}

func yearOfDate(d Date) int {
	year, _, _ := d.Date()
	return year
}

// TestReopening holds the calendars to the days on which trading goes on, as they were announced.
func TestReopening(t *testing.T) {
	for name, breaks := range map[string][]closure{"SH": mainland2026, "SZ": mainland2026, "BJ": mainland2026,
		"HK": hongKong2026} {
		for _, b := range breaks {
			noon := instantOf(t, b.from+"T12:30:00+08:00")
			if day := Date(calendars.Day(name, noon)).String(); day != b.reopens {
				t.Errorf("%s, closed from %s, trades again on %s, want %s", name, b.from, day, b.reopens)
			}
			open := instantOf(t, b.reopens+"T09:30:00+08:00")
			if got := calendars.NextOpen(name, noon); got != open {
				t.Errorf("%s, closed from %s, opens %s later, want %s", name, b.from, time.Duration(got-noon),
					time.Duration(open-noon))
			}
			if got := calendars.Status(name, noon); got != StatusClosed {
				t.Errorf("%s on %s: status %d", name, b.from, got)
			}
		}
	}
}

// TestNextSessions tries where sessions begin and end, from before, at and after them.
func TestNextSessions(t *testing.T) {
	for _, c := range []struct{ market, at, opens, closes string }{
		{"SH", "2026-03-02T09:20:00+08:00", "2026-03-02T09:30:00+08:00", "2026-03-02T11:30:00+08:00"},
		{"SH", "2026-03-02T09:30:00+08:00", "2026-03-02T13:00:00+08:00", "2026-03-02T11:30:00+08:00"},
		{"SH", "2026-03-02T11:30:00+08:00", "2026-03-02T13:00:00+08:00", "2026-03-02T15:00:00+08:00"},
		{"SH", "2026-03-02T14:58:00+08:00", "2026-03-03T09:30:00+08:00", "2026-03-02T15:00:00+08:00"},
		{"SH", "2026-02-13T15:00:00+08:00", "2026-02-24T09:30:00+08:00", "2026-02-24T11:30:00+08:00"},
		{"HK", "2026-02-16T10:00:00+08:00", "2026-02-20T09:30:00+08:00", "2026-02-16T12:10:00+08:00"},
		{"HK", "2026-02-13T16:05:00+08:00", "2026-02-16T09:30:00+08:00", "2026-02-13T16:10:00+08:00"},
		{"US", "2026-03-06T15:00:00-05:00", "2026-03-09T09:30:00-04:00", "2026-03-06T16:00:00-05:00"},
		{"US", "2026-10-30T16:00:00-04:00", "2026-11-02T09:30:00-05:00", "2026-11-02T16:00:00-05:00"},
		{"US", "2026-11-26T10:00:00-05:00", "2026-11-27T09:30:00-05:00", "2026-11-27T13:00:00-05:00"},
		{"US", "2027-03-12T16:00:00-05:00", "2027-03-15T09:30:00-04:00", "2027-03-15T16:00:00-04:00"},
		{"US", "2027-11-05T16:00:00-04:00", "2027-11-08T09:30:00-05:00", "2027-11-08T16:00:00-05:00"},
		{"US", "2027-12-23T20:00:00-05:00", "2027-12-27T09:30:00-05:00", "2027-12-27T16:00:00-05:00"},
	} {
		at := instantOf(t, c.at)
		if got := calendars.NextOpen(c.market, at); got != instantOf(t, c.opens) {
			t.Errorf("%s at %s opens next at %s, want %s", c.market, c.at, time.Unix(0, got).UTC(), c.opens)
		}
		if got := calendars.NextClose(c.market, at); got != instantOf(t, c.closes) {
			t.Errorf("%s at %s closes next at %s, want %s", c.market, c.at, time.Unix(0, got).UTC(), c.closes)
		}
	}
}

// TestPresumed tries what is answered of years that no exchange had published.
func TestPresumed(t *testing.T) {
	for _, c := range []struct {
		market, date string
		sessions     int
		presumed     bool
	}{
		{"SH", "2026-12-31", 2, false},
		{"SH", "2027-01-01", 0, true},
		{"SH", "2027-01-04", 2, true},
		{"SH", "2027-02-05", 0, true}, // Lunar New Year's Eve
		{"SH", "2027-02-10", 0, true}, // in place of its Sunday
		{"SH", "2027-02-11", 2, true},
		{"SH", "2027-05-04", 0, true}, // in place of Sunday, May 2
		{"SH", "2028-01-03", 0, true}, // in place of Saturday, January 1
		{"SH", "2028-01-04", 2, true},
		{"SH", "2028-05-01", 0, true},
		{"SH", "2028-06-14", 2, true},
		{"SH", "2024-10-01", 2, true}, // before the first year every weekday is one
		{"SH", "2024-10-05", 0, true},
		{"HK", "2027-02-05", 1, true}, // Lunar New Year's Eve
		{"HK", "2027-02-09", 0, true}, // in place of the Sunday
		{"HK", "2027-12-27", 0, true},
		{"HK", "2028-01-03", 2, true}, // a Saturday's holiday does not move
		{"HK", "2028-04-17", 0, true}, // Easter Monday
		{"HK", "2028-12-22", 2, true},
		{"HK", "2029-12-24", 1, true},
		{"HK", "2034-01-02", 0, true}, // in place of Sunday, January 1
		{"US", "2028-12-29", 1, false},
		{"US", "2029-01-01", 0, true},
		{"US", "2029-03-30", 0, true}, // Good Friday
		{"US", "2029-07-03", 1, true},
		{"US", "1990-12-25", 1, true},
		{"US", "2100-12-24", 0, true}, // of Christmas, a Saturday
		{"US", "2199-12-31", 1, true},
	} {
		got := calendars.Sessions(c.market, dateOf(t, c.date))
		if len(got.Opens) != c.sessions || len(got.Closes) != c.sessions || got.Presumed != c.presumed {
			t.Errorf("%s on %s has %d sessions, presumed %t; want %d, %t", c.market, c.date, len(got.Opens),
				got.Presumed, c.sessions, c.presumed)
		}
	}
	early := calendars.Sessions("US", dateOf(t, "2029-07-03"))
	if want := instantOf(t, "2029-07-03T13:00:00-04:00"); early.Closes[0] != want {
		t.Errorf("the eve of Independence Day 2029 ends at %s", time.Unix(0, early.Closes[0]).UTC())
	}
}

// TestRulesAgreeWithTables holds the rules for later years to the years that are known.
func TestRulesAgreeWithTables(t *testing.T) {
	for n := range newYorkYears {
		y := &newYorkYears[n]
		for d := DateOf(y.number, time.January, 1); d < DateOf(y.number+1, time.January, 1); d++ {
			mourning := d == DateOf(2025, time.January, 9)
			if !weekend(d) && !mourning && newYorkRule(d) != y.kind(d) {
				t.Errorf("New York on %s: kind %d by rule, %d as published", d, newYorkRule(d), y.kind(d))
			}
		}
	}
	for n, rule := range map[int]struct {
		years []year
		kind  func(Date) kind
	}{0: {mainlandYears, mainlandRule}, 1: {hongKongYears, hongKongRule}} {
		for i := range rule.years {
			y := &rule.years[i]
			for d := DateOf(y.number, time.January, 1); d < DateOf(y.number+1, time.January, 1); d++ {
				if by := rule.kind(d); !weekend(d) && by != full && by != y.kind(d) {
					t.Errorf("list %d on %s: kind %d by rule, %d in the table", n, d, by, y.kind(d))
				}
			}
		}
	}
}

// TestTables finds slips of the pen: years in order, dates in order, on weekdays, in one list only.
func TestTables(t *testing.T) {
	for n, years := range [][]year{mainlandYears, hongKongYears, newYorkYears} {
		for i, y := range years {
			if y.number != years[0].number+i {
				t.Errorf("list %d: year %d is out of order", n, y.number)
			}
			for _, list := range [][]int{y.closed, y.short} {
				if !slices.IsSorted(list) {
					t.Errorf("list %d: dates of %d are out of order", n, y.number)
				}
				for _, md := range list {
					if d := DateOf(y.number, time.Month(md/100), md%100); weekend(d) || monthDay(d) != md {
						t.Errorf("list %d: %04d of %d is a %s, %s", n, md, y.number, d.Weekday(), d)
					}
				}
			}
			for _, md := range y.short {
				if slices.Contains(y.closed, md) {
					t.Errorf("list %d: %04d of %d is in both lists", n, md, y.number)
				}
			}
		}
	}
	for n, tt := range []*timetable{mainland, hongKong, hongKongHalf, newYork, newYorkEarly, allDay} {
		if got := sessionsOf(tt.phases); !slices.Equal(got, tt.sessions) {
			t.Errorf("timetable %d has sessions %v, by its phases %v", n, tt.sessions, got)
		}
	}
}

// sessionsOf makes sessions of phases: from where it opens to where it is neither open nor in an auction.
func sessionsOf(phases []phase) (list []session) {
	for _, p := range phases {
		last := len(list) - 1
		switch {
		case last >= 0 && list[last].end == p.begin:
			list[last].end = p.end
		case p.status == StatusOpen:
			list = append(list, session{p.begin, p.end})
		}
	}
	return list
}

// TestRoundTheClock tries that days end at midnight, in nights of 23 and 25 hours too.
func TestRoundTheClock(t *testing.T) {
	for _, c := range []struct {
		market, date, begins string
		hours                int
	}{
		{"SH", "2026-02-17", "2026-02-17T00:00:00+08:00", 24},
		{"HK", "2026-02-21", "2026-02-21T00:00:00+08:00", 24},
		{"US", "2026-03-07", "2026-03-07T00:00:00-05:00", 24},
		{"US", "2026-03-08", "2026-03-08T00:00:00-05:00", 23},
		{"US", "2026-11-01", "2026-11-01T00:00:00-04:00", 25},
		{"US", "2027-03-14", "2027-03-14T00:00:00-05:00", 23},
		{"US", "2027-11-07", "2027-11-07T00:00:00-04:00", 25},
		{"US", "2016-12-31", "2016-12-31T00:00:00-05:00", 24}, // a leap second in it
	} {
		begins, d := instantOf(t, c.begins), dateOf(t, c.date)
		ends := begins + int64(c.hours)*int64(time.Hour)
		for at, want := range map[int64]Date{begins - 1: d - 1, begins: d, ends - 1: d, ends: d + 1} {
			if got := Date(roundTheClock.Day(c.market, at)); got != want {
				t.Errorf("%s: %s is of %s, want %s", c.market, time.Unix(0, at).UTC(), got, want)
			}
			if got := roundTheClock.Status(c.market, at); got != StatusOpen {
				t.Errorf("%s: %s has status %d", c.market, time.Unix(0, at).UTC(), got)
			}
		}
		if roundTheClock.NextClose(c.market, begins) != ends || roundTheClock.NextOpen(c.market, ends-1) != ends {
			t.Errorf("%s of %s does not end at midnight", c.date, c.market)
		}
		got := roundTheClock.Sessions(c.market, d)
		if !slices.Equal(got.Opens, []int64{begins}) || !slices.Equal(got.Closes, []int64{ends}) || got.Presumed {
			t.Errorf("%s of %s has sessions %v", c.date, c.market, got)
		}
	}
	at := instantOf(t, "2026-03-08T12:00:00-04:00")
	for _, want := range []string{"2026-03-08T12:00:00-04:00", "2026-03-09T00:00:00-04:00", "2026-03-10T00:00:00+08:00",
		"2026-03-10T00:00:00-04:00"} {
		if want := instantOf(t, want); at != want {
			t.Errorf("midnight is at %s, want %s", time.Unix(0, at).UTC(), time.Unix(0, want).UTC())
		}
		at = roundTheClock.Next(at)
	}
}

// TestMarkets tries that each market of a universe has a calendar, and what is said of another.
func TestMarkets(t *testing.T) {
	for _, name := range all {
		one := market.Instrument{Market: name, Code: "A", Name: "a", PreviousClose: 1, Tick: 1, Lot: 1}
		if _, err := market.NewUniverse([]market.Instrument{one}); err != nil {
			t.Errorf("the package knows a market that is none: %v", err)
		}
		if calendars.Zone(name) == "" {
			t.Errorf("%s has no calendar", name)
		}
	}
	other := market.Instrument{Market: "XX", Code: "A", Name: "a", PreviousClose: 1, Tick: 1, Lot: 1}
	_, err := market.NewUniverse([]market.Instrument{other})
	if err == nil || !strings.Contains(err.Error(), strings.Join(all, ", ")) {
		t.Errorf("there are other markets than these: %v", err)
	}
	now := instantOf(t, "2026-03-02T10:00:00+08:00")
	if calendars.Status("XX", now) != StatusClosed || calendars.Day("XX", now) != 0 || calendars.Zone("XX") != "" ||
		calendars.NextOpen("XX", now) != math.MaxInt64 || calendars.NextClose("XX", now) != math.MaxInt64 ||
		len(calendars.Sessions("XX", 20000).Opens) != 0 {
		t.Error("a market that does not exist trades")
	}
}

func TestRange(t *testing.T) {
	from, to := dateOf(t, "2026-02-12"), dateOf(t, "2026-02-25")
	days, err := calendars.Range("SH", from, to)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range days {
		got = append(got, d.Date.String())
	}
	if want := []string{"2026-02-12", "2026-02-13", "2026-02-24", "2026-02-25"}; !slices.Equal(got, want) {
		t.Errorf("trading days around the Spring Festival: %v, want %v", got, want)
	}
	days, err = calendars.Range("US", dateOf(t, "2028-01-01"), dateOf(t, "2028-12-31"))
	if err != nil || len(days) != 251 {
		t.Errorf("all of 2028: %d days, %v", len(days), err)
	}
	for _, c := range []struct {
		market   string
		from, to Date
		want     string
	}{
		{"XX", from, to, `"XX" is not a market; it must be one of BJ, HK, SH, SZ, US`},
		{"SH", to, from, "2026-02-12 is before 2026-02-25; write the earlier date first"},
		{"SH", from, from + 366, "2026-02-12 to 2027-02-13 is more than 366 days; ask for fewer"},
		{"SH", -1, 5, "the dates must be from 1970-01-01 to 2199-12-31"},
		{"SH", math.MaxInt32 - 5, math.MaxInt32, "the dates must be from 1970-01-01 to 2199-12-31"},
	} {
		if _, err := calendars.Range(c.market, c.from, c.to); err == nil || err.Error() != c.want {
			t.Errorf("the range is refused with %v, want %s", err, c.want)
		}
	}
	for _, d := range []Date{math.MinInt32, -1, lastDate + 1, math.MaxInt32} {
		if got := calendars.Sessions("SH", d); len(got.Opens) != 0 {
			t.Errorf("%s has sessions", d)
		}
	}
}
