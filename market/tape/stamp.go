package tape

import "time"

// stamp is a moment as a file writes it: with or without a date, a time of day and an offset.
type stamp struct {
	days      int64 // from 1970-01-01 to the date
	nano      int64 // since that midnight, as the clock shows it
	offset    int64 // of the clock from UTC, nanoseconds
	hasDate   bool
	hasClock  bool
	hasOffset bool
}

const (
	second = int64(time.Second)
	minute = int64(time.Minute)
	hour   = int64(time.Hour)
	day    = 24 * hour
)

// Years of dates. An int64 of nanoseconds ends in 2262.
const (
	yearFirst = 1970
	yearLast  = 2200
)

// instant returns the moment of a stamp with date and offset.
func (s stamp) instant() int64 { return s.days*day + s.nano - s.offset }

// parseStamp parses a moment. beside says that the date is in a column of its own; then
// numbers are times of day where they can be.
func parseStamp(b []byte, beside bool) (stamp, bool) {
	if beside {
		if s, rest, ok := parseClock(b); ok {
			if s, ok := s.withOffset(rest); ok {
				return s, true
			}
		}
	}
	if n := countDigits(b); n == len(b) || n > 8 && b[n] == '.' {
		return parseDigits(b, n)
	}
	s, rest, ok := parseDate(b)
	if !ok || len(rest) == 0 {
		return s, ok
	}
	if rest[0] != 'T' && rest[0] != 't' && rest[0] != ' ' {
		return stamp{}, false
	}
	clock, rest, ok := parseClock(trim(rest[1:]))
	if !ok {
		return stamp{}, false
	}
	clock.days, clock.hasDate = s.days, true
	return clock.withOffset(rest)
}

func countDigits(b []byte) int {
	n := 0
	for n < len(b) && b[n]-'0' <= 9 {
		n++
	}
	return n
}

// wholeNumber returns the number that digits write.
func wholeNumber(digits []byte) (n int64) {
	for _, c := range digits {
		n = n*10 + int64(c-'0')
	}
	return n
}

// parseDigits parses a moment that begins with n digits and has no other separator than a
// point: 20260302, 20260302093000, or seconds, milliseconds, microseconds or nanoseconds since
// 1970, which are told by their number of digits.
func parseDigits(b []byte, n int) (stamp, bool) {
	unit := int64(0)
	switch n {
	case 8:
		return civil(wholeNumber(b[:4]), wholeNumber(b[4:6]), wholeNumber(b[6:8]), n == len(b))
	case 12, 14, 17:
		s, ok := civil(wholeNumber(b[:4]), wholeNumber(b[4:6]), wholeNumber(b[6:8]), true)
		clock, fits := parseDigitClock(b[8:], n-8)
		clock.days, clock.hasDate = s.days, true
		return clock, ok && fits
	case 9, 10:
		unit = second
	case 13:
		unit = int64(time.Millisecond)
	case 16:
		unit = int64(time.Microsecond)
	case 19:
		unit = 1
	default:
		return stamp{}, false
	}
	whole := wholeNumber(b[:n]) // 19 digits may overflow, and are negative then
	part, ok := parseFraction(b[n:])
	nano := whole*unit + part/(second/unit)
	return stamp{nano: nano, hasDate: true, hasClock: true, hasOffset: true}, ok && whole >= 0 && nano > 0
}

// parseDigitClock parses a time of day that begins with n digits: 0930, 093000, 093000123, up
// to nanoseconds. The first may be missing, as in 93000.
func parseDigitClock(b []byte, n int) (stamp, bool) {
	hours := 2 // digits of the hour
	switch n {
	case 3, 5, 8:
		hours = 1
	case 4, 6, 9, 12, 15:
	default:
		return stamp{}, false
	}
	h, m, sec, nano := wholeNumber(b[:hours]), wholeNumber(b[hours:hours+2]), int64(0), int64(0)
	ok := n == len(b)
	if n >= 5 {
		sec = wholeNumber(b[hours+2 : hours+4])
		nano = wholeNumber(b[hours+4 : n])
		for digits := n - hours - 4; digits < 9; digits++ {
			nano *= 10
		}
	}
	if n == 5 || n == 6 {
		nano, ok = parseFraction(b[n:])
	}
	s := stamp{nano: h*hour + m*minute + sec*second + nano, hasClock: true}
	return s, ok && h < 24 && m < 60 && sec < 60
}

// parseFraction parses what follows the seconds, as nanoseconds: nothing, or a point or comma
// and digits, of which those after the ninth do not count.
func parseFraction(b []byte) (nano int64, ok bool) {
	if len(b) == 0 {
		return 0, true
	}
	digits := b[1:]
	if b[0] != '.' && b[0] != ',' || len(digits) == 0 || countDigits(digits) < len(digits) {
		return 0, false
	}
	for i := range 9 {
		nano *= 10
		if i < len(digits) {
			nano += int64(digits[i] - '0')
		}
	}
	return nano, true
}

// parseDate parses a date at the beginning of b: 2026-03-02, 2026/3/2, 2026.03.02, 20260302,
// or with the year last: 03/02/2026 and 03-02-2026 (month first), 02.03.2026 (day first).
func parseDate(b []byte) (s stamp, rest []byte, ok bool) {
	n := countDigits(b)
	if n == 8 {
		s, ok = civil(wholeNumber(b[:4]), wholeNumber(b[4:6]), wholeNumber(b[6:8]), true)
		return s, b[8:], ok
	}
	var parts [3]int64
	var digits [3]int
	sep := byte(0)
	for i := range parts {
		n := countDigits(b)
		if n == 0 || n > 4 {
			return s, nil, false
		}
		parts[i], digits[i] = wholeNumber(b[:n]), n
		if b = b[n:]; i == 2 {
			break
		}
		if len(b) == 0 || i == 1 && b[0] != sep || b[0] != '-' && b[0] != '/' && b[0] != '.' {
			return s, nil, false
		}
		sep, b = b[0], b[1:]
	}
	switch {
	case digits[0] == 4 && digits[1] <= 2 && digits[2] <= 2:
		s, ok = civil(parts[0], parts[1], parts[2], true)
	case digits[2] == 4 && digits[0] <= 2 && digits[1] <= 2 && sep == '.':
		s, ok = civil(parts[2], parts[1], parts[0], true)
	case digits[2] == 4 && digits[0] <= 2 && digits[1] <= 2:
		s, ok = civil(parts[2], parts[0], parts[1], true)
	}
	return s, b, ok
}

// civil returns the stamp of a date, if there is such a date and ok.
func civil(year, month, dayOfMonth int64, ok bool) (stamp, bool) {
	if !ok || year < yearFirst || year > yearLast || month < 1 || month > 12 || dayOfMonth < 1 ||
		dayOfMonth > daysIn(year, month) {
		return stamp{}, false
	}
	// Count in years that begin in March, so that the leap day is the last of its year.
	if month < 3 {
		year--
		month += 12
	}
	days := year*365 + year/4 - year/100 + year/400 + (153*(month-3)+2)/5 + dayOfMonth - 1
	return stamp{days: days - 719_468, hasDate: true}, true
}

func daysIn(year, month int64) int64 {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// parseClock parses a time of day at the beginning of b: 9:30, 09:30:00, 09:30:00.123456789 or
// 093000. It returns what follows.
func parseClock(b []byte) (s stamp, rest []byte, ok bool) {
	var parts [3]int64
	for i := range parts {
		n := countDigits(b)
		if i == 0 && n > 2 {
			end := n + fractionLength(b[n:])
			s, ok = parseDigitClock(b[:end], n)
			return s, b[end:], ok
		}
		if n == 0 || n > 2 || i > 0 && n != 2 {
			return s, nil, false
		}
		parts[i] = wholeNumber(b[:n])
		if b = b[n:]; i == 2 || i == 1 && (len(b) == 0 || b[0] != ':') {
			break
		}
		if len(b) == 0 || b[0] != ':' {
			return s, nil, false
		}
		b = b[1:]
	}
	end := fractionLength(b)
	part, ok := parseFraction(b[:end])
	s = stamp{nano: parts[0]*hour + parts[1]*minute + parts[2]*second + part, hasClock: true}
	return s, b[end:], ok && parts[0] < 24 && parts[1] < 60 && parts[2] < 60
}

// fractionLength returns how many bytes at the beginning of b are a point or comma and digits.
func fractionLength(b []byte) int {
	if len(b) == 0 || b[0] != '.' && b[0] != ',' {
		return 0
	}
	return 1 + countDigits(b[1:])
}

// withOffset adds the offset that b is: nothing, Z, UTC, +08:00, -0500 or +08.
func (s stamp) withOffset(b []byte) (stamp, bool) {
	b = trim(b)
	switch {
	case len(b) == 0:
		return s, true
	case string(b) == "Z" || string(b) == "z" || string(b) == "UTC":
		s.hasOffset = true
		return s, true
	case b[0] != '+' && b[0] != '-':
		return s, false
	}
	digits := b[1:]
	if len(digits) == 5 && digits[2] == ':' {
		digits = append(append(make([]byte, 0, 4), digits[:2]...), digits[3:]...)
	}
	if len(digits) != 2 && len(digits) != 4 || countDigits(digits) < len(digits) {
		return s, false
	}
	s.hasOffset, s.offset = true, wholeNumber(digits[:2])*hour
	if len(digits) == 4 {
		minutes := wholeNumber(digits[2:])
		s.offset += minutes * minute
		if minutes > 59 {
			return s, false
		}
	}
	fits := s.offset <= 14*hour
	if b[0] == '-' {
		s.offset = -s.offset
	}
	return s, fits
}

// zone turns the clock of a place into moments. It remembers the midnight of the last date.
type zone struct {
	location *time.Location
	days     int64 // the date of midnight; -1: none yet
	midnight int64
	even     bool // the day has 24 hours, so no clock is put forward or back in it
}

func newZone(location *time.Location) *zone { return &zone{location: location, days: -1} }

// instant returns the moment at which clocks there show s.
func (z *zone) instant(s stamp) int64 {
	if s.days != z.days {
		z.turn(s.days)
	}
	if z.even {
		return z.midnight + s.nano
	}
	return time.Date(yearFirst, 1, 1+int(s.days), int(s.nano/hour), int(s.nano%hour/minute), int(s.nano%minute/second),
		int(s.nano%second), z.location).UnixNano()
}

func (z *zone) turn(days int64) {
	at := func(days int64) int64 { return time.Date(yearFirst, 1, 1+int(days), 0, 0, 0, 0, z.location).UnixNano() }
	z.days, z.midnight = days, at(days)
	z.even = at(days+1)-z.midnight == day
}
