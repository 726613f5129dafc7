package tape

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/papertape/papertape/market"
)

// weekdays are trading hours for tests: those of Shanghai or New York, from Monday to Friday.
func weekdays(marketName string, year int, month time.Month, dayOfMonth int) (opens, closes []int64) {
	location, err := Zone(marketName)
	if err != nil {
		panic(err)
	}
	at := func(h, m int) int64 { return time.Date(year, month, dayOfMonth, h, m, 0, 0, location).UnixNano() }
	switch weekday := time.Unix(0, at(12, 0)).In(location).Weekday(); {
	case weekday == time.Saturday, weekday == time.Sunday:
		return nil, nil
	case marketName == "US":
		return []int64{at(9, 30)}, []int64{at(16, 0)}
	}
	return []int64{at(9, 30), at(13, 0)}, []int64{at(11, 30), at(15, 0)}
}

// american is a universe of a few names of New York.
func american(t testing.TB) *market.Universe {
	t.Helper()
	var list []market.Instrument
	for _, code := range []string{"AAPL", "BRK.B", "SH", "SPY"} {
		list = append(list, market.Instrument{Market: "US", Code: code, Name: code, Lot: 1, Tick: 100,
			PreviousClose: 100_0000})
	}
	u, err := market.NewUniverse(list)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// read opens a text as a tape.
func read(t testing.TB, text string, o Options) (*Reader, error) {
	t.Helper()
	if o.Universe == nil {
		o.Universe = market.Default()
	}
	return NewReader(strings.NewReader(text), "tape.csv", o)
}

// moment is what Next returned.
type moment struct {
	time    int64
	updates []market.Update
}

// all reads a tape to its end.
func all(t testing.TB, r *Reader) (moments []moment) {
	t.Helper()
	for {
		at, updates, err := r.Next()
		if errors.Is(err, io.EOF) {
			return moments
		}
		if err != nil {
			t.Fatal(err)
		}
		moments = append(moments, moment{at, append([]market.Update(nil), updates...)})
	}
}

func columns(t testing.TB, text string) Columns {
	t.Helper()
	c, err := ParseColumns(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// generated returns a made-up tape.
func generated(t testing.TB, o GenerateOptions) []byte {
	t.Helper()
	if o.Universe == nil {
		o.Universe = market.Default()
	}
	o.Sessions, o.Date = weekdays, time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	var b bytes.Buffer
	if err := Generate(&b, o); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func BenchmarkBars(b *testing.B) {
	tape := generated(b, GenerateOptions{Kind: Bars, Days: 21, Seed: 1})
	r, err := NewReader(bytes.NewReader(tape), "tape.csv", Options{Universe: market.Default()})
	if err != nil {
		b.Fatal(err)
	}
	rows := int64(0)
	b.ReportAllocs()
	b.SetBytes(int64(len(tape)))
	for b.Loop() {
		if err := r.Rewind(); err != nil {
			b.Fatal(err)
		}
		for err = nil; err == nil; {
			_, _, err = r.Next()
		}
		rows += r.Report().Taken
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "bars/s")
}

func BenchmarkGenerate(b *testing.B) {
	for b.Loop() {
		generated(b, GenerateOptions{Kind: Bars, Days: 21, Seed: 1})
	}
}
