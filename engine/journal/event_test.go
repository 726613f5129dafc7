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

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/record"
)

var update = flag.Bool("update", false,
	"write the golden files anew; disks have such bytes, so only while nothing is released")

var universe = market.Default()

// decodeOne decodes an event of a value of this version, and nothing behind it.
func decodeOne(b []byte, version byte, u *market.Universe) (ev positions.Event, err error) {
	d := decoder{Reader: record.Reader{B: b}, instruments: newInstruments(nil, u), version: version}
	d.event(&ev)
	return ev, d.End()
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

// TestEventBytes: the bytes of format 1, which are on people's disks, are read as the events that were
// written.
func TestEventBytes(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "events.hex"))
	if err != nil {
		t.Fatal(err)
	}
	lines, want := strings.Fields(string(text)), goldenEvents(t)
	if len(lines) != len(want) {
		t.Fatalf("%d lines for %d events", len(lines), len(want))
	}
	for i, line := range lines {
		b, err := hex.DecodeString(line)
		if err != nil {
			t.Fatal(err)
		}
		if ev, err := decodeOne(b, valueVersion1, universe); err != nil || !reflect.DeepEqual(ev, want[i]) {
			t.Errorf("event %d: %+v, %v", i, ev, err)
		}
		if !bytes.Equal(newEncoder1(universe).appendEvent(nil, &want[i]), b) {
			t.Errorf("event %d: the tests write other bytes than the older program did", i)
		}
		for n := range b {
			if ev, err := decodeOne(b[:n], valueVersion1, universe); err == nil {
				t.Errorf("event %d, cut after %d bytes, is read as %+v", i, n, ev)
			}
		}
		if _, err := decodeOne(append(b, 0), valueVersion1, universe); err != record.ErrLonger {
			t.Errorf("event %d with a byte more: %v", i, err)
		}
	}
}

// TestInstrumentsByName: a universe with other ids reads the same events of format 1. One that lacks
// the instrument returns an error that names it.
func TestInstrumentsByName(t *testing.T) {
	ev := goldenEvents(t)[1]
	written := newEncoder1(universe).appendEvent(nil, &ev)
	moutai := *universe.At(ev.Trade.Instrument)
	other, err := market.NewUniverse([]market.Instrument{moutai})
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeOne(written, valueVersion1, other)
	if err != nil || got.Trade.Instrument != 0 || got.Position.Instrument != 0 || ev.Trade.Instrument == 0 {
		t.Errorf("%+v, %v", got, err)
	}
	moutai.Code = "600000"
	if other, err = market.NewUniverse([]market.Instrument{moutai}); err != nil {
		t.Fatal(err)
	}
	var unlisted record.UnlistedError
	_, err = decodeOne(written, valueVersion1, other)
	if !errors.As(err, &unlisted) || unlisted.Instrument != "SH.600519" {
		t.Errorf("error %v", err)
	}
}

// FuzzEvent: any bytes decode, as an event of format 1, to an error, or to an event whose encoding
// decodes to the same event. They never cause a panic, nor allocations out of proportion to their
// number.
func FuzzEvent(f *testing.F) {
	l := newEncoder1(universe)
	for _, ev := range goldenEvents(f) {
		f.Add(l.appendEvent(nil, &ev))
	}
	known := newInstruments(nil, universe)
	f.Fuzz(func(t *testing.T, b []byte) {
		d := decoder{Reader: record.Reader{B: b}, instruments: known, version: valueVersion1}
		var ev positions.Event
		if d.event(&ev); d.Err != nil {
			return
		}
		if ev.Bust != nil && 7*cap(ev.Bust.Positions)+cap(ev.Bust.Cascade) > len(b) {
			t.Fatalf("%d bytes made %d positions and a cascade of %d",
				len(b), cap(ev.Bust.Positions), cap(ev.Bust.Cascade))
		}
		for version, encoded := range map[byte][]byte{
			valueVersion1: l.appendEvent(nil, &ev), valueVersion2: known.table.Append(nil, &ev),
		} {
			again := decoder{Reader: record.Reader{B: encoded}, instruments: known, version: version}
			var got positions.Event
			if again.event(&got); again.End() != nil || !reflect.DeepEqual(got, ev) {
				t.Fatalf("%x is %+v, and that is written in version %d as what is %+v (%v)",
					b, ev, version, got, again.Err)
			}
		}
	})
}

// FuzzBodies: any body under a right checksum is read, or is an error.
func FuzzBodies(f *testing.F) {
	f.Add((&runRecord{format: formatNumber, epoch: 1, mode: Sync, runs: 3, listings: 50}).append(nil))
	f.Add((&markRecord{blockID: blockID{3, 4}, accounts: 5}).append(nil))
	f.Add((&block{before: 1, synced: 2, count: 3}).append(nil))
	f.Add([]byte((&cleanMark{epoch: 1, last: blockID{2, 3}, markNumber: 1}).text()))
	f.Add(rowsOutOfOrder())
	f.Add(runOf(goldenEvents(f)))
	f.Add(runOf([]positions.Event{{Account: 100017, Seq: 5, Kind: positions.KindReset,
		Reset: &positions.Reset{Cash: 1, Reason: "anew", Actor: "ops", ID: "r-1", Gone: []market.ID{0, 7}}}}))
	f.Add(newEncoder1(universe).appendRun(nil, goldenEvents(f)))
	f.Add(appendListing(nil, &record.Listing{Market: "SH", Code: "600519", Name: "x", Currency: "CNY"}))
	known := newInstruments(nil, universe)
	f.Fuzz(func(t *testing.T, b []byte) {
		var st engine.AccountState
		for _, read := range []func(*decoder){
			func(d *decoder) { d.runRecord(new(runRecord)) },
			func(d *decoder) { d.markRecord(new(markRecord)) },
			func(d *decoder) { d.block() },
			func(d *decoder) { d.account(&st) }, func(d *decoder) { d.orderID(new(engine.OrderIDRecord)) },
			func(d *decoder) { d.idKey(new(record.IDKey)) }, func(d *decoder) { d.listing(new(record.Listing)) },
		} {
			for _, version := range []byte{valueVersion1, valueVersion2} {
				d := decoder{Reader: record.Reader{B: b}, instruments: known, version: version}
				read(&d)
				_ = d.End()
			}
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
	if body, version, err := openValue(key, value); err != nil || !bytes.Equal(body, []byte("body")) ||
		version != valueVersion2 {
		t.Fatalf("%q of version %d, %v", body, version, err)
	}
	if _, _, err := openValue(runKey(100018, 1), value); err != errSum {
		t.Errorf("under another key: %v", err)
	}
	for i := range value {
		for bit := range 8 {
			value[i] ^= 1 << bit
			if _, _, err := openValue(key, value); err != errSum {
				t.Errorf("byte %d, bit %d: %v", i, bit, err)
			}
			value[i] ^= 1 << bit
		}
	}
	for n := range valueHead {
		if _, _, err := openValue(key, value[:n]); err != record.ErrShort {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	for version, want := range map[byte]error{0: errVersion, 1: nil, 2: nil, 3: errVersion} {
		value[sumBytes] = version
		sealValue(key, value)
		if _, _, err := openValue(key, value); err != want {
			t.Errorf("of version %d: %v", version, err)
		}
	}
}
