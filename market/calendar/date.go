package calendar

import (
	"fmt"
	"time"
)

// Date is a calendar date, counted in days since 1970-01-01. It is in no time zone. As a number it is what
// [Calendars.Day] returns.
type Date int32

// The years, and dates, that there are.
const (
	firstYear = 1970
	lastYear  = 2199
)

var (
	firstDate = DateOf(firstYear, time.January, 1)
	lastDate  = DateOf(lastYear, time.December, 31)
)

// dateForm is how a date is written, as package time wants it.
const dateForm = "2006-01-02"

// DateOf returns the date of a year, month and day of the month. A day that the month does not have counts
// on into the next, as with [time.Date].
func DateOf(year int, month time.Month, day int) Date {
	const secondsPerDay = 24 * 60 * 60
	return Date(time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix() / secondsPerDay)
}

// ParseDate reads a date as YYYY-MM-DD, of the years 1970 to 2199.
func ParseDate(text string) (Date, error) {
	t, err := time.Parse(dateForm, text)
	if err != nil || t.Year() < firstYear || t.Year() > lastYear {
		if len(text) > len(dateForm) {
			text = text[:len(dateForm)] + "…"
		}
		return 0, fmt.Errorf("%q is not a date; write YYYY-MM-DD, as in 2026-02-17, from %d to %d",
			text, firstYear, lastYear)
	}
	return DateOf(t.Date()), nil
}

// Date returns its year, month and day of the month.
func (d Date) Date() (year int, month time.Month, day int) { return d.midnight().Date() }

// Weekday returns its day of the week.
func (d Date) Weekday() time.Weekday { return d.midnight().Weekday() }

// String returns it as YYYY-MM-DD.
func (d Date) String() string { return d.midnight().Format(dateForm) }

func (d Date) midnight() time.Time { return time.Date(1970, 1, 1+int(d), 0, 0, 0, 0, time.UTC) }
