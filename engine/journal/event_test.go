package journal

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

var update = flag.Bool("update", false,
	"write the golden files anew; disks have such bytes, so only while nothing is released")

var universe = market.Default()

// anyTrade, anyPosition and anyEvent draw everything that the types can hold, not only what can
// occur.
func anyTrade() *rapid.Generator[positions.Trade] {
	return rapid.Custom(func(t *rapid.T) positions.Trade {
		tr := positions.Trade{
			Quantity: rapid.Int64().Draw(t, "quantity"), Price: rapid.Int64().Draw(t, "price"),
			Fees:       rapid.SampledFrom([]int64{0, 0, 1, -5, math.MaxInt64}).Draw(t, "fees"),
			Limit:      rapid.SampledFrom([]int64{0, 0, 99_0000, math.MinInt64}).Draw(t, "limit"),
			Revision:   rapid.SampledFrom([]uint32{0, 0, 1, math.MaxUint32}).Draw(t, "revision"),
			Instrument: anyInstrument(t), Side: positions.Side(rapid.IntRange(0, 3).Draw(t, "side")),
			Origin: positions.Origin(rapid.IntRange(0, 3).Draw(t, "origin")),
		}
		if tr.Amount = tr.Quantity * tr.Price; rapid.Bool().Draw(t, "odd amount") {
			tr.Amount = rapid.Int64().Draw(t, "amount")
		}
		if rapid.Bool().Draw(t, "with id") {
			tr.OrderID, _ = positions.MakeOrderID([]byte(rapid.StringMatching(`[ -~]{1,64}`).Draw(t, "id")))
		}
		return tr
	})
}

func anyInstrument(t *rapid.T) market.ID {
	return market.ID(rapid.IntRange(0, universe.Len()-1).Draw(t, "instrument"))
}

func anyPosition() *rapid.Generator[positions.Position] {
	return rapid.Custom(func(t *rapid.T) positions.Position {
		return positions.Position{
			Row: positions.Row{
				Quantity: rapid.Int64().Draw(t, "quantity"), Cost: rapid.Int64().Draw(t, "cost"),
				Realised: rapid.Int64().Draw(t, "realised"), Version: rapid.Uint64().Draw(t, "version"),
				Instrument: anyInstrument(t),
			},
			Sellable: rapid.Int64().Draw(t, "sellable"), Price: rapid.Int64().Draw(t, "price"),
		}
	})
}

func anyEvent() *rapid.Generator[positions.Event] {
	return rapid.Custom(func(t *rapid.T) positions.Event {
		ev := positions.Event{
			Account: rapid.Uint64().Draw(t, "account"), Seq: rapid.Uint64().Draw(t, "seq"),
			Time: rapid.Int64().Draw(t, "time"),
			Cash: positions.Cash{
				Balance: rapid.Int64().Draw(t, "balance"), FeesPaid: rapid.Int64().Draw(t, "fees"),
				Realised: rapid.Int64().Draw(t, "realised"),
			},
			TotalMarketValue: rapid.Int64().Draw(t, "total"),
			Change:           positions.Change(rapid.IntRange(0, 7).Draw(t, "change")),
			Kind:             positions.Kind(rapid.IntRange(1, 3).Draw(t, "kind")),
		}
		switch ev.Kind {
		case positions.KindTrade:
			ev.Trade = anyTrade().Draw(t, "trade")
			ev.Position = anyPosition().Draw(t, "position")
			if rapid.Bool().Draw(t, "usual") {
				ev.Position.Version, ev.Position.Instrument = ev.Seq, ev.Trade.Instrument
				ev.Position.Sellable, ev.Position.Price = ev.Position.Quantity, ev.Trade.Price
			}
		case positions.KindBust:
			ev.Bust = anyBust(t)
		case positions.KindAdjustment:
			ev.Adjustment = &positions.Adjustment{
				Cash: rapid.Int64().Draw(t, "cash"), Reason: rapid.String().Draw(t, "reason"),
				Actor: rapid.String().Draw(t, "actor"),
			}
		}
		return ev
	})
}

func anyBust(t *rapid.T) *positions.Bust {
	b := &positions.Bust{
		TradeSeq: rapid.Uint64().Draw(t, "trade seq"), Reason: rapid.String().Draw(t, "reason"),
		Actor: rapid.String().Draw(t, "actor"),
		ID:    rapid.String().Draw(t, "bust id"), Original: anyTrade().Draw(t, "original"),
		Cascade:   rapid.SliceOfN(rapid.Uint64(), 0, 100).Draw(t, "cascade"),
		Positions: rapid.SliceOfN(anyPosition(), 0, 20).Draw(t, "positions"),
	}
	if rapid.Bool().Draw(t, "correction") {
		r := anyTrade().Draw(t, "replacement")
		b.Replacement = &r
	}
	if len(b.Cascade) == 0 {
		b.Cascade = nil
	}
	if len(b.Positions) == 0 {
		b.Positions = nil
	}
	return b
}

// TestEventsComeBack: several encoded events in a row are decoded again, to the last byte. A
// truncated event is an error.
func TestEventsComeBack(t *testing.T) {
	l := newListings(universe)
	rapid.Check(t, func(t *rapid.T) {
		events := rapid.SliceOfN(anyEvent(), 1, 4).Draw(t, "events")
		var encoded []byte
		for i := range events {
			encoded = l.appendEvent(encoded, &events[i])
		}
		d := decoder{l: l, b: encoded}
		for i := range events {
			var got positions.Event
			if d.event(&got); !reflect.DeepEqual(got, events[i]) || d.err != nil {
				t.Fatalf("event %d:\n got %+v\nwant %+v\nerror %v", i, got, events[i], d.err)
			}
		}
		if err := d.end(); err != nil {
			t.Fatal(err)
		}
		one := l.appendEvent(nil, &events[0])
		if len(one) < eventBytesMin {
			t.Fatalf("an event of %d bytes, fewer than the %d that counts are checked by", len(one), eventBytesMin)
		}
		short := decoder{l: l, b: one[:rapid.IntRange(0, len(one)-1).Draw(t, "cut")]}
		if short.event(new(positions.Event)); short.err == nil {
			t.Fatal("an event cut short was read")
		}
	})
}

// goldenEvents are events of each kind, with all optional fields and with none.
func goldenEvents(tb testing.TB) []positions.Event {
	tb.Helper()
	id, ok := universe.Lookup([]byte("SH"), []byte("600519"))
	if !ok {
		tb.Fatal("SH.600519 is not listed")
	}
	order, _ := positions.MakeOrderID([]byte("order 17"))
	buy := positions.Trade{
		Quantity: 300, Price: 1_461_2300, Amount: 300 * 1_461_2300, Instrument: id, Side: positions.Buy,
		Origin: positions.OriginClient,
	}
	full := buy
	full.OrderID, full.Limit, full.Fees, full.Revision = order, 1_500_0000, 5_0000, 2
	row := positions.Row{Quantity: 300, Cost: buy.Amount, Version: 2, Instrument: id}
	usual := positions.Position{Row: row, Sellable: 300, Price: buy.Price}
	odd := usual
	odd.Version, odd.Sellable, odd.Price = 1, 100, 1_462_0000
	cash := positions.Cash{Balance: 1_000_000_0000, FeesPaid: 5_0000, Realised: -12_3456}
	at := int64(1_767_225_600_123456789) // 2026-01-01T00:00:00.123456789Z
	return []positions.Event{
		{Account: 100017, Seq: 1, Time: at, Cash: positions.Cash{Balance: 1_000_000_0000},
			Kind:       positions.KindAdjustment,
			Adjustment: &positions.Adjustment{Cash: 1_000_000_0000, Reason: "account opened", Actor: "papertape"}},
		{Account: 100017, Seq: 2, Time: at, Cash: cash, TotalMarketValue: buy.Amount, Kind: positions.KindTrade,
			Change: positions.Opened, Trade: buy, Position: usual},
		{Account: 100017, Seq: 3, Time: at, Cash: cash, TotalMarketValue: buy.Amount, Kind: positions.KindTrade,
			Change: positions.Opened, Trade: full, Position: odd},
		{Account: 100017, Seq: 4, Time: at, Cash: cash, Kind: positions.KindBust, Change: positions.Closed,
			Bust: &positions.Bust{
				TradeSeq: 3, Reason: "wrong price 错价", Actor: "ops", ID: "b-1", Original: full, Replacement: &buy,
				Cascade: []uint64{5, 300}, Positions: []positions.Position{usual, odd},
			}},
		{Account: math.MaxUint64, Seq: math.MaxUint64, Time: -1, Kind: positions.KindBust, Bust: new(positions.Bust)},
	}
}

// TestEventBytes pins the encoding: these bytes are on people's disks.
func TestEventBytes(t *testing.T) {
	l := newListings(universe)
	var text strings.Builder
	for _, ev := range goldenEvents(t) {
		text.WriteString(hex.EncodeToString(l.appendEvent(nil, &ev)) + "\n")
	}
	path := filepath.Join("testdata", "events.hex")
	if *update {
		if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if text.String() != string(want) {
		t.Fatalf("got\n%swant\n%s", &text, want)
	}
	for i, line := range strings.Fields(string(want)) {
		b, err := hex.DecodeString(line)
		if err != nil {
			t.Fatal(err)
		}
		d := decoder{l: l, b: b}
		var ev positions.Event
		if d.event(&ev); d.end() != nil || !reflect.DeepEqual(ev, goldenEvents(t)[i]) {
			t.Errorf("event %d: %+v, %v", i, ev, d.err)
		}
	}
}

// TestInstrumentsByName: a universe with other ids reads the same events. One that lacks the
// instrument returns an error that names it.
func TestInstrumentsByName(t *testing.T) {
	ev := goldenEvents(t)[1]
	written := newListings(universe).appendEvent(nil, &ev)
	moutai := *universe.At(ev.Trade.Instrument)
	other, err := market.NewUniverse([]market.Instrument{moutai})
	if err != nil {
		t.Fatal(err)
	}
	d := decoder{l: newListings(other), b: written}
	var got positions.Event
	if d.event(&got); d.end() != nil || got.Trade.Instrument != 0 || got.Position.Instrument != 0 ||
		ev.Trade.Instrument == 0 {
		t.Errorf("%+v, %v", got, d.err)
	}
	moutai.Code = "600000"
	if other, err = market.NewUniverse([]market.Instrument{moutai}); err != nil {
		t.Fatal(err)
	}
	d = decoder{l: newListings(other), b: written}
	var unlisted unlistedError
	if d.event(&got); !errors.As(d.err, &unlisted) || unlisted != "SH.600519" {
		t.Errorf("error %v", d.err)
	}
}

// TestPanicsBeforeItLies: an event that the encoding cannot express causes a panic, and is not
// written as another event.
func TestPanicsBeforeItLies(t *testing.T) {
	for name, spoil := range map[string]func(*positions.Event){
		"kind 0":   func(ev *positions.Event) { ev.Kind = 0 },
		"kind 4":   func(ev *positions.Event) { ev.Kind = 4 },
		"change 8": func(ev *positions.Event) { ev.Change = 8 },
		"side 4":   func(ev *positions.Event) { ev.Trade.Side = 4 },
		"origin 4": func(ev *positions.Event) { ev.Trade.Origin = 4 },
	} {
		ev := goldenEvents(t)[1]
		spoil(&ev)
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s was written", name)
				}
			}()
			newListings(universe).appendEvent(nil, &ev)
		}()
	}
}

// FuzzEvent: any bytes decode to an error, or to an event whose encoding decodes to the same
// event. They never cause a panic, nor allocations out of proportion to their number.
func FuzzEvent(f *testing.F) {
	l := newListings(universe)
	for _, ev := range goldenEvents(f) {
		f.Add(l.appendEvent(nil, &ev))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d := decoder{l: l, b: b}
		var ev positions.Event
		if d.event(&ev); d.err != nil {
			return
		}
		if ev.Bust != nil && 7*cap(ev.Bust.Positions)+cap(ev.Bust.Cascade) > len(b) {
			t.Fatalf("%d bytes made %d positions and a cascade of %d",
				len(b), cap(ev.Bust.Positions), cap(ev.Bust.Cascade))
		}
		again := decoder{l: l, b: l.appendEvent(nil, &ev)}
		var got positions.Event
		if again.event(&got); again.end() != nil || !reflect.DeepEqual(got, ev) {
			t.Fatalf("%x is %+v, and that is written as what is %+v (%v)", b, ev, got, again.err)
		}
	})
}

// FuzzBodies: any body under a right checksum is read, or is an error.
func FuzzBodies(f *testing.F) {
	l := newListings(universe)
	f.Add((&runRecord{format: formatNumber, epoch: 1, mode: Sync, runs: 3}).append(nil))
	f.Add((&markRecord{blockID: blockID{3, 4}, accounts: 5}).append(nil))
	f.Add((&block{before: 1, synced: 2, count: 3}).append(nil))
	f.Add([]byte((&cleanMark{epoch: 1, last: blockID{2, 3}, markNumber: 1}).text()))
	f.Add(rowsOutOfOrder())
	f.Add(l.appendRun(nil, goldenEvents(f)))
	f.Fuzz(func(t *testing.T, b []byte) {
		var st engine.AccountState
		for _, read := range []func(*decoder){
			func(d *decoder) { d.runRecord(new(runRecord)) },
			func(d *decoder) { d.markRecord(new(markRecord)) },
			func(d *decoder) { d.block() },
			func(d *decoder) { d.account(&st) }, func(d *decoder) { d.orderID(new(engine.OrderIDRecord)) },
		} {
			d := decoder{l: l, b: b}
			read(&d)
			_ = d.end()
		}
		if cap(st.Rows) > len(b) {
			t.Fatalf("%d bytes made %d rows", len(b), cap(st.Rows))
		}
		_, _ = blockOfRecord(b)
		if c, err := parseCleanMark(string(b)); err == nil && c.text() != string(b) {
			t.Fatalf("%q is read as %+v", b, c)
		}
		s := logScan{number: 6}
		s.block(b, 0)
	})
}

// TestValues: the checksum covers the key and every byte of the value.
func TestValues(t *testing.T) {
	key := runKey(100017, 1)
	value := append(newValue(nil), "body"...)
	sealValue(key, value)
	if body, err := openValue(key, value); err != nil || !bytes.Equal(body, []byte("body")) {
		t.Fatalf("%q, %v", body, err)
	}
	if _, err := openValue(runKey(100018, 1), value); err != errSum {
		t.Errorf("under another key: %v", err)
	}
	for i := range value {
		for bit := range 8 {
			value[i] ^= 1 << bit
			if _, err := openValue(key, value); err != errSum {
				t.Errorf("byte %d, bit %d: %v", i, bit, err)
			}
			value[i] ^= 1 << bit
		}
	}
	for n := range valueHead {
		if _, err := openValue(key, value[:n]); err != errShort {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	value[sumBytes] = valueVersion + 1
	sealValue(key, value)
	if _, err := openValue(key, value); err != errVersion {
		t.Errorf("of the next version: %v", err)
	}
}

func BenchmarkAppendEvent(b *testing.B) {
	l, ev := newListings(universe), goldenEvents(b)[1]
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = l.appendEvent(buf[:0], &ev)
	}
	b.ReportMetric(float64(len(buf)), "bytes")
}

func BenchmarkDecodeEvent(b *testing.B) {
	l, ev := newListings(universe), goldenEvents(b)[1]
	buf := l.appendEvent(nil, &ev)
	b.ReportAllocs()
	for b.Loop() {
		d := decoder{l: l, b: buf}
		if d.event(&ev); d.err != nil {
			b.Fatal(d.err)
		}
	}
}
