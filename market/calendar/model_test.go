package calendar

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// state is what a market does in a minute, by the model.
type state struct {
	status Status
	day    Date
}

// modelled works out a minute with nothing but the clocks of the zone: it reads the hour, goes to the next date
// until one trades, and looks the minute up.
func modelled(s *schedule, t time.Time) state {
	local := t.In(s.zone)
	d, minute := DateOf(local.Date()), local.Hour()*60+local.Minute()
	if tt := s.exchange.timetable(d); tt != nil && minute < tt.phases[len(tt.phases)-1].end {
		for _, p := range tt.phases {
			if minute >= p.begin && minute < p.end {
				return state{p.status, d}
			}
		}
		return state{StatusClosed, d}
	}
	for d++; s.exchange.timetable(d) == nil; d++ {
	}
	return state{StatusClosed, d}
}

// TestMinuteByMinute walks some hours, minute by minute, beside the model.
func TestMinuteByMinute(t *testing.T) {
	first, last := DateOf(1990, time.January, 1), DateOf(2100, time.December, 31)
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.SampledFrom([]*Calendars{calendars, roundTheClock}).Draw(t, "calendars")
		d := Date(rapid.Int32Range(int32(first), int32(last)).Draw(t, "date"))
		if rapid.Bool().Draw(t, "of these years") {
			d = DateOf(2025, time.January, 1) + d%1461
		}
		begin := d.midnight().Add(time.Duration(rapid.IntRange(0, 23).Draw(t, "hour")) * time.Hour)
		before, changed := states(c, begin), begin.UnixNano()-1
		for minute := range 900 {
			now := begin.Add(time.Duration(minute) * time.Minute)
			want, at := states(c, now), now.UnixNano()
			for n, name := range []string{"SZ", "HK", "US"} {
				if got := (state{c.Status(name, at), Date(c.Day(name, at))}); got != want[n] {
					t.Fatalf("%s at %s: %v, want %v", name, now, got, want[n])
				}
			}
			if minute == 0 {
				changed = at
			} else if want != before {
				if next := c.Next(changed); next != at {
					t.Fatalf("after %s comes %s, want %s", time.Unix(0, changed).UTC(), time.Unix(0, next).UTC(), now)
				}
				before, changed = want, at
			}
		}
	})
}

func states(c *Calendars, now time.Time) (all [exchanges]state) {
	for n, s := range c.schedules {
		all[n] = modelled(s, now)
	}
	return all
}

// TestKept compares what is kept with what is worked out.
func TestKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.SampledFrom([]*Calendars{calendars, roundTheClock}).Draw(t, "calendars")
		s := c.schedules[rapid.IntRange(0, exchanges-1).Draw(t, "exchange")]
		n := rapid.IntRange(0, len(s.spans)-1).Draw(t, "span")
		at := s.spans[n].begin + rapid.Int64Range(-2, 2).Draw(t, "from its begin")
		kept, keptEnd := s.at(at)
		made, madeEnd := s.workOut(at)
		if kept.status != made.status || kept.day != made.day || keptEnd != madeEnd {
			t.Fatalf("at %d: %v until %d is kept, %v until %d is right", at, kept, keptEnd, made, madeEnd)
		}
	})
}

// TestAnyInstant tries that every instant has an answer, and that time goes on.
func TestAnyInstant(t *testing.T) {
	check := func(t interface{ Fatalf(string, ...any) }, c *Calendars, name string, at int64) {
		for what, next := range map[string]int64{
			"change": c.Next(at), "open": c.NextOpen(name, at), "close": c.NextClose(name, at),
		} {
			if next <= at && at != math.MaxInt64 {
				t.Fatalf("after %d the next %s of %s is at %d", at, what, name, next)
			}
		}
		if day := Date(c.Day(name, at)); day < firstDate-1 || day > lastDate+10 {
			t.Fatalf("%d is of %s", at, day)
		}
		if s := c.Status(name, at); s != StatusOpen && s != StatusClosed && s != StatusAuction {
			t.Fatalf("%d has status %d", at, s)
		}
	}
	for _, at := range []int64{math.MinInt64, -1, 0, earliest, latest - 1, latest, math.MaxInt64 - 1, math.MaxInt64} {
		for _, name := range all {
			check(t, calendars, name, at)
			check(t, roundTheClock, name, at)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.SampledFrom([]*Calendars{calendars, roundTheClock}).Draw(t, "calendars")
		check(t, c, rapid.SampledFrom(all).Draw(t, "market"), rapid.Int64().Draw(t, "instant"))
	})
}

// TestEveryDate goes over all dates: a market trades again within a fortnight, and a year has the days it can have.
func TestEveryDate(t *testing.T) {
	for _, name := range []string{"SH", "HK", "US"} {
		last, days := firstDate, map[int]int{}
		for d := DateOf(1990, time.January, 1); d <= DateOf(2100, time.December, 31); d++ {
			if calendars.of(name).exchange.timetable(d) == nil {
				continue
			}
			if d-last > 14 && days[1990] > 0 {
				t.Errorf("%s does not trade from %s to %s", name, last, d)
			}
			last = d
			days[yearOfDate(d)]++
		}
		for year, n := range days {
			if n < 240 || n > 262 {
				t.Errorf("%s trades on %d days of %d", name, n, year)
			}
		}
	}
}

func TestParseDate(t *testing.T) {
	for text, want := range map[string]Date{
		"1970-01-01": 0, "1970-01-02": 1, "2000-02-29": 11016, "2026-11-30": 20787, "2199-12-31": lastDate,
	} {
		d, err := ParseDate(text)
		if err != nil || d != want || d.String() != text {
			t.Errorf("%s is read as %d, %s, %v; want %d", text, d, d, err, want)
		}
	}
	for _, text := range []string{"", "2026", "2026-2-17", "2026-02-30", "2026-13-01", "2100-02-29", "1969-12-31",
		"2200-01-01", "02/17/2026", "2026-02-17 ", "+026-02-17", "２０２６-02-17"} {
		if d, err := ParseDate(text); err == nil {
			t.Errorf("%q is read as %s", text, d)
		}
	}
	_, err := ParseDate("the day after tomorrow")
	want := `"the day af…" is not a date; write YYYY-MM-DD, as in 2026-02-17, from 1970 to 2199`
	if err == nil || err.Error() != want {
		t.Errorf("it is refused with %v, want %s", err, want)
	}
}

func FuzzParseDate(f *testing.F) {
	for _, text := range []string{"2026-02-17", "2026-02-30", "", "1969-12-31", "2026-2-17", "2026-02-17T00:00:00Z"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDate(text)
		if err == nil && (d.String() != text || d < firstDate || d > lastDate) {
			t.Fatalf("%q is read as %s", text, d)
		}
	})
}

// TestNoAllocations tries what is called with each snapshot.
func TestNoAllocations(t *testing.T) {
	for _, year := range []int{2026, 2050} {
		at := DateOf(year, time.March, 3).midnight().UnixNano()
		for name, call := range map[string]func(){
			"Status":    func() { calendars.Status("SH", at) },
			"Day":       func() { calendars.Day("US", at) },
			"Next":      func() { calendars.Next(at) },
			"NextOpen":  func() { calendars.NextOpen("HK", at) },
			"NextClose": func() { calendars.NextClose("HK", at) },
			"Day 24 h":  func() { roundTheClock.Day("US", at) },
			"Next 24 h": func() { roundTheClock.Next(at) },
		} {
			if n := testing.AllocsPerRun(100, call); n != 0 {
				t.Errorf("%s of %d allocates %v times", name, year, n)
			}
		}
	}
}

func BenchmarkStatus(b *testing.B) { benchmark(b, func(t int64) { calendars.Status("SH", t) }) }
func BenchmarkDay(b *testing.B)    { benchmark(b, func(t int64) { calendars.Day("US", t) }) }
func BenchmarkNext(b *testing.B)   { benchmark(b, func(t int64) { calendars.Next(t) }) }

// benchmark asks of instants all over a year: one whose spans are kept, and one whose are not.
func benchmark(b *testing.B, ask func(t int64)) {
	for name, year := range map[string]int{"kept": 2026, "worked out": 2050} {
		b.Run(name, func(b *testing.B) {
			begin, n := DateOf(year, time.January, 1).midnight().UnixNano(), int64(0)
			b.ReportAllocs()
			for b.Loop() {
				n = (n + 7_777_777_777_777) % int64(365*24*time.Hour)
				ask(begin + n)
			}
		})
	}
}

func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		kept := 0
		for _, s := range calendars.schedules {
			kept += len(newSchedule(s.exchange).spans)
		}
		b.ReportMetric(float64(kept), "spans")
	}
}
