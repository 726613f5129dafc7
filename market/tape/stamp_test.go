package tape

import (
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var newYork = mustZone("US")

func mustZone(marketName string) *time.Location {
	location, err := Zone(marketName)
	if err != nil {
		panic(err)
	}
	return location
}

// instantOf returns the moment that a text without an offset means in New York.
func instantOf(s stamp) int64 {
	if s.hasOffset {
		return s.instant()
	}
	return newZone(newYork).instant(s)
}

func TestStamps(t *testing.T) {
	at := time.Date(2026, 3, 2, 9, 30, 5, 0, newYork)
	for text, after := range map[string]time.Duration{
		"2026-03-02T09:30:05-05:00": 0, "2026-03-02T14:30:05Z": 0, "2026-03-02t14:30:05z": 0,
		"2026-03-02 14:30:05 UTC":        0,
		"2026-03-02T14:30:05.123456789Z": 123456789, "2026-03-02T22:30:05+08:00": 0, "2026-03-02T22:30:05.5+0800": 5e8,
		"2026-03-02T22:30:05+08": 0, "2026-03-02 09:30:05": 0, "2026-03-02 09:30:05.25": 25e7,
		"2026-03-02 09:30:05,25": 25e7,
		"2026-03-02  9:30:05":    0, "2026/3/2 9:30:05": 0, "2026.03.02 09:30:05": 0, "03/02/2026 09:30:05": 0,
		"02.03.2026 09:30:05": 0, "20260302 09:30:05": 0, "20260302 093005": 0, "20260302 93005": 0,
		"20260302T093005": 0,
		"20260302093005":  0, "20260302093005250": 25e7, "20260302093005.25": 25e7, "202603020930": -5e9,
		"2026-03-02 09:30": -5e9, "1772461805": 0, "1772461805.5": 5e8, "1772461805250": 25e7,
		"1772461805250.5":  250_500_000,
		"1772461805000001": 1000, "1772461805000000001": 1, "2026-03-02 093005.1": 1e8,
		"2026-03-02T09:30:05.0000000019": 1, // what is after nanoseconds does not count
	} {
		s, ok := parseStamp([]byte(text), false)
		if got := instantOf(s); !ok || got != at.Add(after).UnixNano() {
			t.Errorf("%q is %v, %t; want %v", text, time.Unix(0, got).In(newYork), ok, at.Add(after))
		}
	}
	for text, after := range map[string]time.Duration{
		"09:30:05": 0, "9:30:05": 0, "09:30": -5e9, "0930": -5e9, "930": -5e9, "093005": 0, "93005": 0,
		"093005250": 25e7,
		"93005250":  25e7, "093005000001": 1000, "093005000000001": 1, "09:30:05.123456789": 123456789, "093005.5": 5e8,
		"1772461805": 0, "20260302093005": 0, "2026-03-02 09:30:05": 0, "09:30:05-05:00": 0,
	} {
		s, ok := parseStamp([]byte(text), true)
		s.days = 20_514
		if s.hasOffset && s.hasDate {
			s.days = 0
		}
		if got := instantOf(s); !ok || got != at.Add(after).UnixNano() {
			t.Errorf("beside a date, %q is %v, %t; want %v", text, time.Unix(0, got).In(newYork), ok, at.Add(after))
		}
	}
	for _, text := range []string{
		"", "x", "-", "2026-03-02T", "2026-03-02T9", "2026-03-02 09:3", "2026-03-02 24:00:00", "2026-03-02 09:60:00",
		"2026-03-02 09:30:60", "2026-02-29", "2026-13-01", "2026-00-01", "2026-01-00", "1969-12-31",
		"2201-01-01", "2026-3/2",
		"26-03-02", "2026-03", "13/02/2026", "123", "12345", "1234567", "12345678901", "99999999999999999999",
		"20260230",
		"9999999999", "9999999999999", "9999999999999999", "9999999999999999999", "2026-03-02 09:30:05.",
		"2026-03-02 09:30:05 EST",
		"2026-03-02T09:30:05+15:00", "2026-03-02T09:30:05+08:60", "2026-03-02T09:30:05+8", "2026-03-02x09:30:05",
		"1772461805.",
		"1772461805.x", "2026-03-02 09:30:05+08:0x", "20260302093005.x", "0000000000",
	} {
		if s, ok := parseStamp([]byte(text), false); ok {
			t.Errorf("%q is taken for %+v", text, s)
		}
	}
}

// TestStampsAgree compares moments with those of package time, in the forms that it writes.
func TestStampsAgree(t *testing.T) {
	layouts := []string{time.RFC3339Nano, "2006-01-02T15:04:05.000000000-0700", "2006-01-02 15:04:05.000000000",
		"2006/1/2 15:04:05.999999999", "01/02/2006 15:04:05.000", "02.01.2006 15:04:05", "20060102150405",
		"20060102 150405.999",
		"2006-01-02", "20060102", "20060102150405.000000000"}
	zones := []*zone{newZone(newYork), newZone(mustZone("SH")), newZone(mustZone("HK"))} // they remember a date
	rapid.Check(t, func(t *rapid.T) {
		z := rapid.SampledFrom(zones).Draw(t, "zone")
		sec := rapid.Int64Range(86_400, 7_258_000_000).Draw(t, "second")
		if rapid.Bool().Draw(t, "at a change of clocks") {
			sec = rapid.SampledFrom([]int64{1772953200, 1793512800, 514_969_200}).Draw(t, "change") +
				rapid.Int64Range(-90_000, 90_000).Draw(t, "around")
		}
		at := time.Unix(sec, rapid.Int64Range(0, 999_999_999).Draw(t, "nano")).In(z.location)
		layout := rapid.SampledFrom(layouts).Draw(t, "layout")
		text := at.Format(layout)
		want, err := time.ParseInLocation(layout, text, z.location)
		if err != nil {
			t.Skip(err) // Format writes an offset with seconds, before the zones were made
		}
		s, ok := parseStamp([]byte(text), false)
		got := s.instant()
		if !s.hasOffset {
			got = z.instant(s)
		}
		if !ok || got != want.UnixNano() {
			t.Fatalf("%q is %v, %t; want %v", text, time.Unix(0, got).In(z.location), ok, want)
		}
	})
}

func TestEpochs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.Int64Range(1_000_000_000_000_000_000, 9_000_000_000_000_000_000).Draw(t, "time")
		unit := rapid.SampledFrom([]int64{1, 1e3, 1e6, 1e9}).Draw(t, "unit")
		s, ok := parseStamp(strconv.AppendInt(nil, at/unit, 10), false)
		if !ok || !s.hasOffset || s.instant() != at/unit*unit {
			t.Fatalf("%d is %+v, %t", at/unit, s, ok)
		}
	})
}

func FuzzStamp(f *testing.F) {
	for _, text := range []string{"2026-03-02T09:30:05-05:00", "1772461805.5", "20260302093005250",
		"093005000000001", "9:30", "2/3/2026"} {
		f.Add([]byte(text), false)
		f.Add([]byte(text), true)
	}
	f.Fuzz(func(t *testing.T, text []byte, beside bool) {
		s, ok := parseStamp(text, beside)
		if !ok {
			return
		}
		if !s.hasOffset && (s.nano < 0 || s.nano >= day || s.days < 0 || s.days > 85_000) {
			t.Fatalf("%q is %+v", text, s)
		}
		if !beside && !s.hasDate {
			t.Fatalf("%q has no date: %+v", text, s)
		}
		if year := time.Unix(0, instantOf(s)).UTC().Year(); year < 1969 || year > 2262 {
			t.Fatalf("%q is of %d", text, year)
		}
	})
}
