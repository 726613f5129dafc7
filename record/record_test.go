package record

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

var update = flag.Bool("update", false,
	"write the golden files anew; disks have such bytes, so only while nothing is released")

var (
	universe = market.Default()
	table    = NewTable(universe)
)

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
			Kind:             positions.Kind(rapid.IntRange(1, 4).Draw(t, "kind")),
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
				ID:    rapid.OneOf(rapid.Just(""), rapid.String()).Draw(t, "id"),
			}
		case positions.KindReset:
			ev.Reset = &positions.Reset{
				Cash: rapid.Int64().Draw(t, "cash afterwards"), Reason: rapid.String().Draw(t, "reason"),
				Actor: rapid.String().Draw(t, "actor"), ID: rapid.String().Draw(t, "id"),
			}
			for range rapid.IntRange(0, 20).Draw(t, "gone") {
				ev.Reset.Gone = append(ev.Reset.Gone, anyInstrument(t))
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
		{Account: 100017, Seq: 5, Time: at, Cash: cash, Kind: positions.KindAdjustment,
			Adjustment: &positions.Adjustment{Cash: -1_0000, Reason: "paid out", Actor: "ops", ID: "w-1"}},
		{Account: 100017, Seq: 6, Time: at, Cash: positions.Cash{Balance: 500_0000}, Kind: positions.KindReset,
			Reset: &positions.Reset{Cash: 500_0000, Reason: "a new term", Actor: "ops", ID: "r-1",
				Gone: []market.ID{0, id}}},
		{Account: 100017, Seq: 7, Time: at, Kind: positions.KindReset, Reset: new(positions.Reset)},
	}
}

// TestRecordsComeBack: several records in a row are cut and decoded again, to the last byte. A record
// that is cut short or goes on is an error.
func TestRecordsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := rapid.SliceOfN(anyEvent(), 1, 4).Draw(t, "events")
		var records []byte
		var sizes []int
		for i := range events {
			before := len(records)
			records = table.Append(records, &events[i])
			sizes = append(sizes, len(records)-before)
		}
		rest := records
		for i := range events {
			if n := Size(rest); n != sizes[i] || n < BytesMin {
				t.Fatalf("record %d has %d bytes, and its size is said to be %d", i, sizes[i], n)
			}
			rec, after, err := Cut(rest)
			if err != nil || len(rec) != sizes[i] || cap(rec) != len(rec) {
				t.Fatalf("record %d of %d bytes was cut to %d (%d): %v", i, sizes[i], len(rec), cap(rec), err)
			}
			rest = after
			mustDecode(t, rec, &events[i])
		}
		if len(rest) != 0 {
			t.Fatalf("%d bytes are left over", len(rest))
		}
		one := table.Append(nil, &events[0])
		mustNotDecode(t, one[:rapid.IntRange(0, len(one)-1).Draw(t, "cut")])
		mustNotDecode(t, append(one, 0))
	})
}

func mustDecode(t *rapid.T, rec []byte, want *positions.Event) {
	if account, seq, err := Head(rec); err != nil || account != want.Account || seq != want.Seq {
		t.Fatalf("head: event %d of account %d, %v; want %d of %d", seq, account, err, want.Seq, want.Account)
	}
	got := positions.Event{Bust: new(positions.Bust), TotalMarketValue: 7} // nothing of it may stay
	if err := table.Decode(rec, &got); err != nil || !reflect.DeepEqual(got, *want) {
		t.Fatalf("got %+v\nwant %+v\nerror %v", got, *want, err)
	}
	if again := table.Append(nil, &got); !bytes.Equal(again, rec) {
		t.Fatalf("encoded again:\n got %x\nwant %x", again, rec)
	}
}

func mustNotDecode(t *rapid.T, rec []byte) {
	if err := table.Decode(rec, new(positions.Event)); err == nil {
		t.Fatalf("%x was decoded", rec)
	}
}

// TestRecordBytes pins the encoding: these bytes are on people's disks.
func TestRecordBytes(t *testing.T) {
	var text strings.Builder
	for _, ev := range goldenEvents(t) {
		text.WriteString(hex.EncodeToString(table.Append(nil, &ev)) + "\n")
	}
	path := filepath.Join("testdata", "records.hex")
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
		var ev positions.Event
		if err := table.Decode(b, &ev); err != nil || !reflect.DeepEqual(ev, goldenEvents(t)[i]) {
			t.Errorf("event %d: %+v, %v", i, ev, err)
		}
	}
}

// TestLengths: a length of one byte reaches to 127, and of two bytes from there on. What follows the
// record is left alone.
func TestLengths(t *testing.T) {
	ev := goldenEvents(t)[0]
	seen := make(map[int]bool)
	for n := range 400 {
		ev.Adjustment.Reason = strings.Repeat("x", n)
		b := table.Append([]byte("before"), &ev)
		if !bytes.HasPrefix(b, []byte("before")) {
			t.Fatalf("with %d bytes of reason what was before is %q", n, b[:6])
		}
		rec := b[6:]
		lengthBytes := 1
		if rec[0] >= 0x80 {
			lengthBytes = 2
		}
		body := len(rec) - lengthBytes
		seen[body] = true
		if (body > 127) != (lengthBytes == 2) || Size(append(rec, "after"...)) != len(rec) {
			t.Errorf("%d bytes behind a length of %d bytes, size %d", body, lengthBytes, Size(rec))
		}
		cut, rest, err := Cut(append(rec, "after"...))
		if err != nil || !bytes.Equal(cut, rec) || string(rest) != "after" {
			t.Errorf("%d bytes are cut to %d, left is %q, %v", len(rec), len(cut), rest, err)
		}
		var got positions.Event
		if err := table.Decode(cut, &got); err != nil || got.Adjustment.Reason != ev.Adjustment.Reason {
			t.Errorf("a reason of %d bytes: %v", n, err)
		}
	}
	for _, body := range []int{126, 127, 128, 129, 255, 256} {
		if !seen[body] {
			t.Errorf("no record had %d bytes", body)
		}
	}
	ev.Adjustment.Reason = strings.Repeat("x", 1<<15)
	if rec := table.Append(nil, &ev); Size(rec) != len(rec) || len(rec) < 1<<15 {
		t.Errorf("size %d of %d", Size(rec), len(rec))
	}
}

// TestInstrumentsByNumber: a universe around the ledger's table may change, and records mean the same
// instruments. One that lacks an instrument, or a table that does, is an error.
func TestInstrumentsByNumber(t *testing.T) {
	ev := goldenEvents(t)[1]
	rec := table.Append(nil, &ev)
	moutai := *universe.At(ev.Trade.Instrument)
	added := moutai
	added.Code = "000000" // before the other one, so their ids are not those of before
	other, err := market.NewUniverse([]market.Instrument{moutai, added})
	if err != nil {
		t.Fatal(err)
	}
	extended := ExtendTable(table.Listings(), other)
	var got positions.Event
	if err := extended.Decode(rec, &got); err != nil || got.Trade.Instrument != 1 || got.Position.Instrument != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	if again := extended.Append(nil, &got); !bytes.Equal(again, rec) {
		t.Errorf("%x is encoded as %x", rec, again)
	}
	if n := extended.Number(0); n != uint64(universe.Len()) || len(extended.Listings()) != universe.Len()+1 ||
		extended.Listings()[n] != (Listing{"SH", "000000", added.Name, "CNY"}) {
		t.Errorf("the new instrument has number %d of %d", n, len(extended.Listings()))
	}
	if len(table.Listings()) != universe.Len() {
		t.Errorf("the table that was extended has %d instruments", len(table.Listings()))
	}
	if other, err = market.NewUniverse([]market.Instrument{added}); err != nil {
		t.Fatal(err)
	}
	var unlisted UnlistedError
	err = ExtendTable(table.Listings(), other).Decode(rec, &got)
	if !errors.As(err, &unlisted) || unlisted.Instrument != "SH.600519" {
		t.Errorf("a universe without it: %v", err)
	}
	if err := NewTable(other).Decode(rec, &got); !errors.Is(err, ErrNumber) {
		t.Errorf("a table without it: %v", err)
	}
}

// TestTable: numbers are those of the listings, whatever the universe, and survive being stored.
func TestTable(t *testing.T) {
	listings := slices.Clone(NewTable(universe).Listings())
	slices.Reverse(listings)
	listings[3].Name = "an old name"
	reversed := ExtendTable(listings, universe)
	if !slices.Equal(reversed.Listings(), listings) {
		t.Fatalf("%v", reversed.Listings())
	}
	for id := range market.ID(universe.Len()) {
		n := reversed.Number(id)
		in := universe.At(id)
		if l := listings[n]; l.Market != in.Market || l.Code != in.Code {
			t.Errorf("%s has the number of %s.%s", in, l.Market, l.Code)
		}
		if back, err := reversed.ID(n); back != id || err != nil {
			t.Errorf("number %d is %d, and not %d, %v", n, back, id, err)
		}
	}
	for _, n := range []uint64{uint64(len(listings)), math.MaxUint64} {
		if _, err := reversed.ID(n); err != ErrNumber {
			t.Errorf("number %d: %v", n, err)
		}
	}
}

// TestUnknownIsRefused: a kind or a flag that this program does not know is refused as that of a newer
// one, and not as damage.
func TestUnknownIsRefused(t *testing.T) {
	events := goldenEvents(t)
	for name, c := range map[string]struct {
		event int
		at    int // where the byte is, behind the length
		set   byte
		what  string
	}{
		"kind 0":                  {0, 0, 0, "event 1 of account 100017 is of kind 0"},
		"kind 5":                  {0, 0, 5, "event 1 of account 100017 is of kind 5"},
		"kind 127":                {1, 0, 127, "event 2 of account 100017 is of kind 127"},
		"flag 5":                  {1, 1, 1 << 5, "event 2 of account 100017 has flags 0x20"},
		"flag 6":                  {1, 1, 1 << 6, "event 2 of account 100017 has flags 0x40"},
		"a row, of an adjustment": {0, 1, flagRow, "event 1 of account 100017 has flags 0x8"},
		"a row, of a bust":        {3, 1, flagRow, "event 4 of account 100017 has flags 0x8"},
		"an id, of a trade":       {1, 1, flagID, "event 2 of account 100017 has flags 0x10"},
		"an id, of a reset":       {6, 1, flagID, "event 6 of account 100017 has flags 0x10"},
	} {
		rec := table.Append(nil, &events[c.event])
		at := 1
		if rec[0] >= 0x80 {
			at = 2
		}
		rec[at+c.at] = c.set
		var newer *NewerError
		err := table.Decode(rec, new(positions.Event))
		if !errors.As(err, &newer) || newer.What != c.what ||
			!strings.Contains(err.Error(), "use the newer papertape that wrote it") {
			t.Errorf("%s: %v", name, err)
		}
	}
	ev := events[1]
	rec := table.Append(nil, &ev)
	head := bytes.IndexByte(rec, byte(ev.Trade.Side)|byte(ev.Trade.Origin)<<2)
	for ; head >= 0 && head < len(rec); head++ { // the head of the trade, with a flag more
		longer := slices.Concat(rec[:head], []byte{rec[head] | 0x80, 2}, rec[head+1:])
		longer[0]++
		var newer *NewerError
		if errors.As(table.Decode(longer, new(positions.Event)), &newer) && newer.What == "a trade has the head 0x105" {
			return
		}
	}
	t.Error("a flag of a trade that is not known was not refused")
}

// TestPanicsBeforeItLies: an event that the encoding cannot express causes a panic, and is not
// written as another event.
func TestPanicsBeforeItLies(t *testing.T) {
	for name, spoil := range map[string]func(*positions.Event){
		"kind 0":   func(ev *positions.Event) { ev.Kind = 0 },
		"kind 5":   func(ev *positions.Event) { ev.Kind = 5 },
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
			table.Append(nil, &ev)
		}()
	}
}

// TestIDHash pins the hashes of order ids, which are on people's disks.
func TestIDHash(t *testing.T) {
	id, _ := positions.MakeOrderID([]byte("order 17"))
	var key IDKey
	for i := range key {
		key[i] = byte(i)
	}
	if h := key.Hash(&id); h != (IDHash{High: 0xf78638c2b4759b8f, Low: 0x2aa0f8274e026309}) || !h.Keyed() {
		t.Errorf("keyed: %#v", h)
	}
	if h := UnkeyedHash(&id); h != (IDHash{Low: 0x3f793caa1be36d13}) || h.Keyed() {
		t.Errorf("unkeyed: %#v", h)
	}
	key[15]++
	if h := key.Hash(&id); h.Low == 0x2aa0f8274e026309 || h.High == 0xf78638c2b4759b8f {
		t.Errorf("with another key: %#v", h)
	}
	if one, other := NewIDKey(), NewIDKey(); one == other {
		t.Error("two keys are the same")
	}
}

// TestDecodeAllocates: decoding a trade allocates nothing.
func TestDecodeAllocates(t *testing.T) {
	rec := table.Append(nil, &goldenEvents(t)[2])
	var ev positions.Event
	if n := testing.AllocsPerRun(100, func() {
		if err := table.Decode(rec, &ev); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzDecode: any bytes decode to an error, or to an event whose record decodes to the same event.
// They never cause a panic, nor allocations out of proportion to their number.
func FuzzDecode(f *testing.F) {
	for _, ev := range goldenEvents(f) {
		f.Add(table.Append(nil, &ev))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var ev positions.Event
		if err := table.Decode(b, &ev); err != nil {
			return
		}
		if ev.Bust != nil && 7*cap(ev.Bust.Positions)+cap(ev.Bust.Cascade) > len(b) {
			t.Fatalf("%d bytes made %d positions and a cascade of %d",
				len(b), cap(ev.Bust.Positions), cap(ev.Bust.Cascade))
		}
		rec := table.Append(nil, &ev)
		var got positions.Event
		if err := table.Decode(rec, &got); err != nil || !reflect.DeepEqual(got, ev) {
			t.Fatalf("%x is %+v, and that is written as what is %+v (%v)", b, ev, got, err)
		}
		if account, seq, err := Head(b); err != nil || account != ev.Account || seq != ev.Seq {
			t.Fatalf("%x is of event %d of account %d, %v, and its head says %d of %d",
				b, ev.Seq, ev.Account, err, seq, account)
		}
	})
}

// FuzzCut: any bytes are cut into a record and a rest that are the bytes, or are an error.
func FuzzCut(f *testing.F) {
	var all []byte
	for _, ev := range goldenEvents(f) {
		all = table.Append(all, &ev)
	}
	f.Add(all)
	f.Add([]byte{0x80, 0})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		rec, rest, err := Cut(b)
		if err != nil {
			return
		}
		if !bytes.Equal(append(slices.Clone(rec), rest...), b) || len(rec) == 0 {
			t.Fatalf("%x is cut into %x and %x", b, rec, rest)
		}
		if n := Size(b); n != len(rec) {
			t.Fatalf("%x is cut after %d bytes, and its size is %d", b, len(rec), n)
		}
		if _, _, err := Head(rec); err != nil {
			if table.Decode(rec, new(positions.Event)) == nil {
				t.Fatalf("%x is a record, and has no head: %v", rec, err)
			}
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	ev := goldenEvents(b)[1]
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = table.Append(buf[:0], &ev)
	}
	b.ReportMetric(float64(len(buf)), "bytes")
}

func BenchmarkDecode(b *testing.B) {
	ev := goldenEvents(b)[1]
	buf := table.Append(nil, &ev)
	b.ReportAllocs()
	for b.Loop() {
		if err := table.Decode(buf, &ev); err != nil {
			b.Fatal(err)
		}
	}
}
