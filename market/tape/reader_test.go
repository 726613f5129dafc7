package tape

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/papertape/papertape/market"
)

// TestMoments checks that all updates of one time come together, and in the order of the file.
func TestMoments(t *testing.T) {
	const text = `time,code,last,size,bid,ask
2026-03-02 09:30:00,AAPL,10,100,,
2026-03-02 09:30:00,SPY,20,,19.99,20.01
2026-03-02T14:30:00Z,AAPL,10.01,5,0,nan
2026-03-02 09:30:01,aapl.us,,,,
2026-03-02 09:30:02,BRK/B,,7,,50
`
	r, err := read(t, text, Options{Universe: american(t)})
	if err != nil {
		t.Fatal(err)
	}
	open := time.Date(2026, 3, 2, 9, 30, 0, 0, newYork).UnixNano()
	want := []moment{
		{open, []market.Update{
			{Time: open, ID: 0, Last: 10_0000, Size: 100, Says: market.SaysLast | market.SaysSize},
			{Time: open, ID: 3, Last: 20_0000, Bid: 19_9900, Ask: 20_0100,
				Says: market.SaysLast | market.SaysBid | market.SaysAsk},
			{Time: open, ID: 0, Last: 10_0100, Size: 5, Says: market.SaysLast | market.SaysSize | market.SaysBid},
		}},
		{open + 2*second, []market.Update{{Time: open + 2*second, ID: 1, Size: 7, Ask: 50_0000, Says: market.SaysAsk}}},
	}
	for range 2 { // and once more from the beginning
		if got := all(t, r); !reflect.DeepEqual(got, want) {
			t.Errorf("%+v\nwant %+v", got, want)
		}
		if got := r.Report().String(); got != "quotes: 4 lines taken, 1 skipped, 0 refused" {
			t.Error(got)
		}
		if err := r.Rewind(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRefusals checks that each bad line is counted and named, and that the others are taken.
func TestRefusals(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	text := "time,market,code,last,size,bid,ask\n" +
		"2026-03-02 09:30:00,SZ,000001,10,100,,\n" +
		"2026-03-02 09:29:59,SZ,000001,10,100,,\n" + // 3
		"2026-03-02 09:30:01,,000001,10,100,,\n" +
		"2026-03-02 09:30:01,SZ,600519,10,100,,\n" +
		"2026-03-02 09:30:01,,XYZ,10,100,,\n" + // 6
		"09:30,SZ,000001,10,100,,\n" +
		"2026-03-02 09:30:01,SZ,000001,0,100,,\n" + // 8
		"2026-03-02 09:30:01,SZ,000001,-3,100,,\n" +
		"2026-03-02 09:30:01,SZ,000001,ten,100,,\n" + // 10
		"2026-03-02 09:30:01,SZ,000001,10,-1,,\n" +
		"2026-03-02 09:30:01,SZ,000001,,,10.02,10.01\n" + // 12
		"2026-03-02 09:30:01,SZ,\"000001,10,100,,\n" +
		"2026-03-02 09:30:01,SZ,000001\n" + // 14
		long + "\n" +
		"\n" + // 16
		"2026-03-02 09:30:02,SZ,000001,10.01,100,,"
	r, err := read(t, text, Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := all(t, r)
	report := r.Report()
	const want = "quotes: 2 lines taken, 1 skipped, 13 refused (3 malformed, 1 too long, 3 unknown instrument, 1 " +
		"bad time, " +
		"3 bad price, 1 crossed, 1 out of order)"
	if len(got) != 2 || report.String() != want {
		t.Errorf("%d moments; %s", len(got), report)
	}
	var said []string
	for _, p := range report.Problems {
		said = append(said, p.String())
	}
	wanted := []string{
		"line 3: it is of 2026-03-02T09:29:59+08:00, and a line before it of 2026-03-02T09:30:00+08:00; sort the " +
			"file by time",
		"line 4: 000001 is in several markets: SH.000001 and SZ.000001; the file must say which one",
		`line 5: there is no "600519" in SZ`,
		`line 6: "XYZ" is no instrument of this universe`,
		`line 7: "09:30" is not a time; write 2026-03-02 09:30:00, or a number of seconds, ms, µs or ns since 1970`,
		`line 8: last: "0" is not a price above 0 and up to 1000000000.00, as in 9.98`,
		`line 9: last: "-3" is not a price above 0 and up to 1000000000.00, as in 9.98`,
		`line 10: last: "ten" is not a price above 0 and up to 1000000000.00, as in 9.98`,
		`line 11: size: "-1" is not a number of shares from 0 to 9007199254740992`,
		"line 12: the bid of 10.02 is above the ask of 10.01",
	}
	if !slices.Equal(said, wanted) {
		t.Errorf("%s\nwant\n%s", strings.Join(said, "\n"), strings.Join(wanted, "\n"))
	}
	if report.First != got[0].time || report.Last != got[1].time {
		t.Errorf("from %d to %d", report.First, report.Last)
	}
}

const twoBars = `time,code,open,high,low,close,volume
2026-03-02 09:30:00,AAPL,10,12,9,11,103
2026-03-02 09:30:00,SPY,20,22,19,19.5,8
2026-03-02 09:31:00,AAPL,11,11,11,11,0
`

// TestBars checks what bars become.
func TestBars(t *testing.T) {
	r, err := read(t, twoBars, Options{Universe: american(t)})
	if err != nil {
		t.Fatal(err)
	}
	open := time.Date(2026, 3, 2, 9, 30, 0, 0, newYork).UnixNano()
	trade := func(at int64, id market.ID, price, size int64) market.Update {
		return market.Update{Time: open + at, ID: id, Last: price, Size: size, Says: market.SaysLast | market.SaysSize}
	}
	const apple, spy = 0, 3
	want := []moment{
		{open, []market.Update{trade(0, apple, 10_0000, 25), trade(0, spy, 20_0000, 2)}},
		{open + 15*second, []market.Update{trade(15*second, apple, 9_0000, 25), trade(15*second, spy, 22_0000, 2)}},
		{open + 45*second, []market.Update{trade(45*second, apple, 12_0000, 25), trade(45*second, spy, 19_0000, 2)}},
		{open + minute - 1, []market.Update{trade(minute-1, apple, 11_0000, 28), trade(minute-1, spy, 19_5000, 2)}},
	}
	for _, after := range []int64{0, 15 * second, 45 * second, minute - 1} {
		want = append(want, moment{open + minute + after, []market.Update{trade(minute+after, apple, 11_0000, 0)}})
	}
	if got := all(t, r); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	if report := r.Report(); report.Seconds != 60 || report.Taken != 3 {
		t.Errorf("%+v", report)
	}
}

// times returns when the trades of a tape are, after 09:30 in New York on 2 March 2026.
func times(t *testing.T, text string, o Options) (after []time.Duration) {
	t.Helper()
	o.Universe = american(t)
	r, err := read(t, text, o)
	if err != nil {
		t.Fatal(err)
	}
	open := time.Date(2026, 3, 2, 9, 30, 0, 0, newYork).UnixNano()
	for _, m := range all(t, r) {
		after = append(after, time.Duration(m.time-open))
	}
	return after
}

// TestBarTimes checks when the trades of bars are, under each option.
func TestBarTimes(t *testing.T) {
	const s, m = time.Second, time.Minute
	const daily = "date,code,open,high,low,close\n2026-03-02,AAPL,1,1,1,1\n"
	for _, c := range []struct {
		name, text string
		o          Options
		want       []time.Duration
	}{
		{"seconds", twoBars, Options{Columns: columns(t, "seconds=20")},
			[]time.Duration{0, 5 * s, 15 * s, 20*s - 1, m, m + 5*s, m + 15*s, m + 20*s - 1}},
		{"stamp=end", twoBars, Options{Columns: columns(t, "stamp=end")},
			[]time.Duration{-m, -45 * s, -15 * s, -1, 0, 15 * s, 45 * s, m - 1}},
		{"from", twoBars, Options{From: time.Date(2026, 3, 2, 14, 30, 1, 0, time.UTC).UnixNano()},
			[]time.Duration{m, m + 15*s, m + 45*s, 2*m - 1}},
		{"a day", daily, Options{}, []time.Duration{-570 * m, -210 * m, 510 * m, 870*m - 1}},
		{"a trading day", daily, Options{Sessions: weekdays}, []time.Duration{0, 390 * m / 4, 390 * m * 3 / 4,
			390*m - 1}},
		{"a zone", daily, Options{Zone: func(string) *time.Location { return time.UTC }},
			[]time.Duration{-870 * m, -510 * m, 210 * m, 570*m - 1}},
	} {
		if got := times(t, c.text, c.o); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// TestOverlap checks that a bar which begins within the last one of its instrument is refused.
func TestOverlap(t *testing.T) {
	r, err := read(t, twoBars+"2026-03-02 09:31:00,AAPL,11,11,11,11,0\n2026-03-02 09:31:30,AAPL,11,11,11,11,0\n"+
		"2026-03-02 09:32:00,AAPL,11,12,10,13,0\n2026-03-02 09:32:00,AAPL,11,,10,13,0\n2026-03-02 "+
		"09:32:00,AAPL,,,,,0\n",
		Options{Universe: american(t), Columns: columns(t, "seconds=60")})
	if err != nil {
		t.Fatal(err)
	}
	all(t, r)
	report := r.Report()
	if got := report.String(); got != "bars: 3 lines taken, 1 skipped, 4 refused (1 malformed, 1 crossed, 2 "+
		"overlapping)" {
		t.Error(got)
	}
	if got := report.Problems[0].Why; got != "it begins at 2026-03-02T09:31:00-05:00, and the last bar of "+
		"US.AAPL ends at 2026-03-02T09:32:00-05:00" {
		t.Error(got)
	}
	if got := report.Problems[2].Why; got != "open 11.00 and close 13.00 are not both between low 10.00 and high "+
		"12.00" {
		t.Error(got)
	}
}

// drawnBar is a bar of the model.
type drawnBar struct {
	start, id, open, high, low, close, volume int64
}

// TestBarsAgree compares the moments of random bars with what a dumb model makes of them: all
// trades of all bars, sorted by time.
func TestBarsAgree(t *testing.T) {
	u := american(t)
	rapid.Check(t, func(t *rapid.T) {
		seconds := rapid.Int64Range(1, 100).Draw(t, "seconds")
		var bars []drawnBar
		ends := make([]int64, u.Len())
		start := int64(1_772_461_800)
		for range rapid.IntRange(1, 30).Draw(t, "bars") {
			start += rapid.Int64Range(0, 1).Draw(t, "later") * rapid.Int64Range(1, 2*seconds).Draw(t, "by")
			id := rapid.Int64Range(0, int64(u.Len())-1).Draw(t, "instrument")
			if start < ends[id] {
				continue
			}
			ends[id] = start + seconds
			p := rapid.SliceOfN(rapid.Int64Range(1, 20), 4, 4).Draw(t, "prices")
			slices.Sort(p)
			b := drawnBar{start, id, p[1], p[3], p[0], p[2], rapid.Int64Range(0, 9).Draw(t, "volume")}
			if rapid.Bool().Draw(t, "falls") {
				b.open, b.close = b.close, b.open
			}
			bars = append(bars, b)
		}
		checkBars(t, u, bars, seconds)
	})
}

func checkBars(t *rapid.T, u *market.Universe, bars []drawnBar, seconds int64) {
	var text strings.Builder
	var want []market.Update
	text.WriteString("time,code,open,high,low,close,volume\n")
	for _, b := range bars {
		_, _ = fmt.Fprintf(&text, "%d,%s,%d,%d,%d,%d,%d\n", b.start, u.At(market.ID(b.id)).Code, b.open, b.high,
			b.low, b.close, b.volume)
		length := seconds * 1_000_000_000
		middle := []int64{b.low, b.high}
		if b.close < b.open {
			middle = []int64{b.high, b.low}
		}
		quarter := b.volume / 4
		for _, x := range [][3]int64{{0, b.open, quarter}, {length / 4, middle[0], quarter}, {length * 3 / 4,
			middle[1], quarter},
			{length - 1, b.close, b.volume - 3*quarter}} {
			want = append(want, market.Update{ID: market.ID(b.id), Time: b.start*second + x[0],
				Last: x[1] * market.MoneyUnit,
				Size: x[2], Says: market.SaysLast | market.SaysSize})
		}
	}
	slices.SortStableFunc(want, func(a, b market.Update) int { return int(a.Time - b.Time) })
	spec := columnsOf(t, fmt.Sprintf("seconds=%d", seconds))
	r, err := NewReader(strings.NewReader(text.String()), "tape.csv", Options{Universe: u, Columns: spec})
	if err != nil {
		t.Fatal(err)
	}
	last, i := int64(0), 0
	for {
		at, updates, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || at <= last || i+len(updates) > len(want) {
			t.Fatalf("%d after %d: %v", at, last, err)
		}
		last = at
		sameSet(t, updates, want[i:i+len(updates)])
		i += len(updates)
	}
	if i != len(want) || len(r.bars.queues[0].items) > 2*u.Len() {
		t.Fatalf("%d updates, want %d; a queue of %d", i, len(want), len(r.bars.queues[0].items))
	}
}

func columnsOf(t *rapid.T, text string) Columns {
	c, err := ParseColumns(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// sameSet compares the updates of a moment, whose order between bars of different starts is free.
func sameSet(t *rapid.T, got, want []market.Update) {
	order := func(list []market.Update) []market.Update {
		list = slices.Clone(list)
		slices.SortFunc(list, func(a, b market.Update) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		return list
	}
	if !slices.Equal(order(got), order(want)) {
		t.Fatalf("%+v\nwant %+v", got, want)
	}
}

// TestBarsAreBarsAgain makes bars of one minute of what a tape of such bars becomes, which must
// be the tape again.
func TestBarsAreBarsAgain(t *testing.T) {
	tape := generated(t, GenerateOptions{Kind: Bars, Days: 1, Instruments: 7, Seed: 3})
	u := market.Default()
	r, err := NewReader(bytes.NewReader(tape), "tape.csv", Options{Universe: u})
	if err != nil {
		t.Fatal(err)
	}
	type key struct{ minute, id int64 }
	bars := make(map[key]drawnBar)
	var keys []key
	for _, m := range all(t, r) {
		for _, up := range m.updates {
			k := key{up.Time / minute, int64(up.ID)}
			b, seen := bars[k]
			if !seen {
				b = drawnBar{open: up.Last, high: up.Last, low: up.Last}
				keys = append(keys, k)
			}
			b.high, b.low, b.close, b.volume = max(b.high, up.Last), min(b.low, up.Last), up.Last, b.volume+up.Size
			bars[k] = b
		}
	}
	var again bytes.Buffer
	again.WriteString("time,market,code,open,high,low,close,volume\n")
	for _, k := range keys {
		b, i := bars[k], u.At(market.ID(k.id))
		_, _ = fmt.Fprintf(&again, "%s,%s,%s,%s,%s,%s,%s,%d\n", time.Unix(0,
			k.minute*minute).In(mustZone("SH")).Format(time.RFC3339),
			i.Market, i.Code, market.FormatMoney(b.open), market.FormatMoney(b.high), market.FormatMoney(b.low),
			market.FormatMoney(b.close), b.volume)
	}
	if !bytes.Equal(again.Bytes(), tape) {
		t.Errorf("%d bytes became %d", len(tape), again.Len())
	}
}

// TestCompressed reads the same tape plain and compressed.
func TestCompressed(t *testing.T) {
	defer goleak.VerifyNone(t)
	tape := generated(t, GenerateOptions{Kind: Trades, Days: 1, Seed: 1})
	var zipped, zstandard bytes.Buffer
	zip := gzip.NewWriter(&zipped)
	std, err := zstd.NewWriter(&zstandard, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []io.WriteCloser{zip, std} {
		if _, err := w.Write(tape); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	var want []moment
	for name, content := range map[string][]byte{"plain": tape, "gz": zipped.Bytes(), "zst": zstandard.Bytes()} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := Open(path, Options{Universe: market.Default()})
		if err != nil {
			t.Fatal(err)
		}
		got := all(t, r)
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if want == nil {
			want = got
		}
		if len(got) < 1000 || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %d moments, want %d", name, len(got), len(want))
		}
	}
	for name, content := range map[string][]byte{"gz": zipped.Bytes(), "zst": zstandard.Bytes()} {
		r, err := NewReader(bytes.NewReader(content[:len(content)*3/4]), "cut."+name,
			Options{Universe: market.Default()})
		for err == nil {
			_, _, err = r.Next()
		}
		if r == nil || !strings.HasPrefix(err.Error(), "cut."+name+": it cannot be read beyond line ") ||
			!strings.Contains(err.Error(), "ends too early") {
			t.Errorf("%s: %v", name, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing")
	for path, want := range map[string]string{
		missing: missing + " cannot be read: no such file or directory",
		dir:     dir + " cannot be read: it is not a file, and a tape must be one, since it is read more than once",
		"/dev/zero": "/dev/zero cannot be read: it is not a file, and a tape must be one, since it is read more " +
			"than once",
	} {
		if _, err := Open(path, Options{Universe: market.Default()}); err == nil || err.Error() != want {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
}

// TestManyOfOneTime checks that a moment without end is given in pieces.
func TestManyOfOneTime(t *testing.T) {
	text := "time,code,last\n" + strings.Repeat("1772461800,AAPL,10\n", momentUpdatesMax+5)
	r, err := read(t, text, Options{Universe: american(t)})
	if err != nil {
		t.Fatal(err)
	}
	if got := all(t, r); len(got) != 2 || len(got[0].updates) != momentUpdatesMax || len(got[1].updates) != 5 ||
		got[0].time != got[1].time {
		t.Errorf("%d moments", len(got))
	}
}

// TestAllocations checks that rows cost nothing but reading them.
func TestAllocations(t *testing.T) {
	for _, kind := range []Kind{Trades, Quotes, Bars} {
		r, err := NewReader(bytes.NewReader(generated(t, GenerateOptions{Kind: kind, Days: 1, Seed: 1})), "tape.csv",
			Options{Universe: market.Default()})
		if err != nil {
			t.Fatal(err)
		}
		for range 300 { // until buffers and tables have their size
			_, _, _ = r.Next()
		}
		if allocs := testing.AllocsPerRun(500, func() { _, _, _ = r.Next() }); allocs > 0 {
			t.Errorf("%s: %v allocations a moment", kind, allocs)
		}
		if r.Report().RefusedLines() > 0 {
			t.Error(r.Report(), r.Report().Problems)
		}
	}
}

func FuzzReader(f *testing.F) {
	for _, text := range []string{twoBars, "time,code,last,size\n1772461800,AAPL,10,1\n",
		"\ufeffdate;time;ticker;bid;ask\r\n20260302;0930;SPY;1;2",
		"time,last\n2026-03-02,\"1\"\n", "\x1f\x8b\x08", "\x28\xb5\x2f\xfd\x00"} {
		f.Add([]byte(text), "")
		f.Add([]byte(text), "instrument=AAPL,stamp=end,seconds=7")
		f.Add([]byte(text), "header=none,time=1,code=2,last=3")
	}
	u := american(f)
	f.Fuzz(func(t *testing.T, text []byte, spec string) {
		c, err := ParseColumns(spec)
		if err != nil {
			return
		}
		r, err := NewReader(bytes.NewReader(text), "tape.csv", Options{Universe: u, Columns: c})
		if err != nil {
			return
		}
		defer r.Close() //nolint:errcheck // it has no file
		last := int64(-1 << 63)
		feed := market.NewFeed(u, market.FeedConfig{})
		outcomes := make([]market.Outcome, momentUpdatesMax)
		for {
			at, updates, err := r.Next()
			if err != nil {
				break
			}
			if at < last || len(updates) == 0 {
				t.Fatalf("%d updates of %d after %d", len(updates), at, last)
			}
			last = at
			for i := range updates {
				if updates[i].Time != at || int(updates[i].ID) >= u.Len() {
					t.Fatalf("%+v at %d", updates[i], at)
				}
			}
			feed.Apply(at, updates, outcomes[:len(updates)])
			for i, outcome := range outcomes[:len(updates)] {
				if outcome == market.BadPrice || outcome == market.Late && at > 0 {
					t.Fatalf("%+v is %s", updates[i], outcome)
				}
			}
		}
	})
}
