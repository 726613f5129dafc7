package market

import (
	"slices"
	"strings"
	"testing"
)

func mustParse(t testing.TB, u *Universe, text string) ID {
	t.Helper()
	id, err := u.Parse(text)
	if err != nil {
		t.Fatalf("Parse(%q): %v", text, err)
	}
	return id
}

func TestShippedUniverse(t *testing.T) {
	u := Default()
	if u.Len() != 50 {
		t.Errorf("%d instruments, want 50", u.Len())
	}
	for _, spelled := range strings.Fields(`SH.600519 SH.600036 SH.601398 SH.600900 SH.601318 SH.600030 SH.688981
		SZ.000001 SZ.000333 SZ.000858 SZ.002594 SZ.300750 SH.000001`) {
		if got := u.At(mustParse(t, u, spelled)).String(); got != spelled {
			t.Errorf("Parse(%q) is %s", spelled, got)
		}
	}
	bank := u.At(mustParse(t, u, "SZ.000001"))
	if bank.PreviousClose != 10*MoneyUnit {
		t.Errorf("SZ 000001 opens at %s, want 10.00", FormatMoney(bank.PreviousClose))
	}
	boards, halted := map[Board]int{}, 0
	for n := range u.Len() {
		i := u.At(ID(n))
		boards[i.Board]++
		if i.Halted {
			halted++
		}
		if n > 0 {
			before := u.At(ID(n - 1))
			if before.Market+"\x00"+before.Code >= i.Market+"\x00"+i.Code {
				t.Errorf("%s comes before %s", before, i)
			}
		}
	}
	for _, b := range []Board{MainBoard, MainBoardST, ChiNext, STAR, BSE} {
		if boards[b] == 0 {
			t.Errorf("board %d has no instrument", b)
		}
	}
	if halted != 1 {
		t.Errorf("%d halted instruments, want 1", halted)
	}
}

// validInstrument returns an instrument that NewUniverse accepts.
func validInstrument() Instrument {
	return Instrument{Market: "SH", Code: "600519", Name: "贵州茅台", PreviousClose: 10_0000, Lot: 100, Tick: 100,
		LimitBps: 1000}
}

func TestNewUniverseRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Instrument)
		want   string
	}{
		{"market", func(i *Instrument) { i.Market = "XX" },
			`instrument XX.600519: "XX" is not a market; it must be one of BJ, HK, SH, SZ, US`},
		{"MIC market", func(i *Instrument) { i.Market = "XSHG" },
			`instrument XSHG.600519: "XSHG" is not a market; it must be one of BJ, HK, SH, SZ, US`},
		{"no code", func(i *Instrument) { i.Code = "" },
			`instrument SH.: the code must be 1 to 16 upper-case letters, digits, '.' or '-'`},
		{"long code", func(i *Instrument) { i.Code = strings.Repeat("1", 17) },
			`instrument SH.11111111111111111: the code must be 1 to 16 upper-case letters, digits, '.' or '-'`},
		{"small letters", func(i *Instrument) { i.Code = "aapl" },
			`instrument SH.aapl: the code must be 1 to 16 upper-case letters, digits, '.' or '-'`},
		{"bad byte inside", func(i *Instrument) { i.Code = "60 519" },
			`instrument SH.60 519: the code must be 1 to 16 upper-case letters, digits, '.' or '-'`},
		{"no name", func(i *Instrument) { i.Name = "" },
			`instrument SH.600519: the name must be one line of 1 to 48 bytes; it has 0`},
		{"long name", func(i *Instrument) { i.Name = strings.Repeat("x", 49) },
			`instrument SH.600519: the name must be one line of 1 to 48 bytes; it has 49`},
		{"name turned round", func(i *Instrument) { i.Name = "\u202e台茅州贵" },
			"instrument SH.600519: the name must be one line of plain text; it has the character U+202E, which " +
				"cannot be seen or is not seen alike everywhere"},
		{"name of two lines", func(i *Instrument) { i.Name = "贵州\n茅台" },
			"instrument SH.600519: the name must be one line of plain text; it has the character U+000A, which " +
				"cannot be seen or is not seen alike everywhere"},
		{"blank name", func(i *Instrument) { i.Name = "\u3000" },
			"instrument SH.600519: the name must say something; it is blank"},
		{"name no text", func(i *Instrument) { i.Name = "\xff" },
			`instrument SH.600519: the name must be text in UTF-8; it is not`},
		{"lot", func(i *Instrument) { i.Lot = 0 }, `instrument SH.600519: the lot is 0 shares; it must be at least 1`},
		{"tick", func(i *Instrument) { i.Tick = 0 }, `instrument SH.600519: the tick is 0.00; it must be above 0`},
		{"no price", func(i *Instrument) { i.PreviousClose = 0 },
			`instrument SH.600519: the previous close is 0.00; it must be above 0, at most 1000000000.00 and on ` +
				`the tick of 0.01`},
		{"off the tick", func(i *Instrument) { i.PreviousClose = 10_0001 },
			`instrument SH.600519: the previous close is 10.0001; it must be above 0, at most 1000000000.00 and on ` +
				`the tick of 0.01`},
		{"too dear", func(i *Instrument) { i.PreviousClose = MaxPrice + 100 },
			`instrument SH.600519: the previous close is 1000000000.01; it must be above 0, at most 1000000000.00 ` +
				`and on the tick of 0.01`},
		{"limit", func(i *Instrument) { i.LimitBps = 10_001 },
			`instrument SH.600519: the day's limit is 10001/10000; it must be 0 (none) to 10000`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			i := validInstrument()
			test.change(&i)
			if _, err := NewUniverse([]Instrument{i}); err == nil || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
	if _, err := NewUniverse([]Instrument{validInstrument(), validInstrument()}); err == nil ||
		err.Error() != "instrument SH.600519: it is listed twice; a market and code must be unique" {
		t.Errorf("twice: %v", err)
	}
	for _, n := range []int{0, MaxInstruments + 1} {
		if _, err := NewUniverse(make([]Instrument, n)); err == nil {
			t.Errorf("%d instruments were taken", n)
		}
	}
}

func TestNewUniverseSortsACopy(t *testing.T) {
	a, b, c := validInstrument(), validInstrument(), validInstrument()
	a.Market, b.Code, c.Code = "SZ", "600520", "60051"
	list := []Instrument{a, b, c}
	u, err := NewUniverse(list)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"SH.60051", "SH.600520", "SZ.600519"}
	for n, w := range want {
		if got := u.At(ID(n)).String(); got != w {
			t.Errorf("instrument %d is %s, want %s", n, got, w)
		}
	}
	if !slices.Equal(list, []Instrument{a, b, c}) {
		t.Error("the caller's list was sorted")
	}
}

func TestLookup(t *testing.T) {
	u := Default()
	found := []struct{ market, code, want string }{
		{"SH", "600519", "SH.600519"}, {"XSHG", "600519", "SH.600519"}, {"SZ", "000001", "SZ.000001"},
		{"XSHE", "000001", "SZ.000001"}, {"SH", "000001", "SH.000001"}, {"BJ", "899101", "BJ.899101"},
		{"XBSE", "899101", "BJ.899101"}, {"BJSE", "899101", "BJ.899101"},
	}
	for _, f := range found {
		id, ok := u.Lookup([]byte(f.market), []byte(f.code))
		if !ok || u.At(id).String() != f.want {
			t.Errorf("Lookup(%s, %s) = %d, %t, want %s", f.market, f.code, id, ok, f.want)
		}
	}
	for _, f := range []struct{ market, code string }{
		{"SZ", "600519"}, {"sh", "600519"}, {"", "600519"}, {"SH", ""}, {"SH", "60051"}, {"HK", "00700"},
		{"SHANGHAI", "600519"},
	} {
		if id, ok := u.Lookup([]byte(f.market), []byte(f.code)); ok {
			t.Errorf("Lookup(%s, %s) found %s", f.market, f.code, u.At(id))
		}
	}
}

func TestLookupAllocatesNothing(t *testing.T) {
	u := Default()
	code, unknown := []byte("600519"), []byte(strings.Repeat("9", 100))
	for _, market := range [][]byte{[]byte("SH"), []byte("XSHG"), []byte(strings.Repeat("X", 100))} {
		if n := testing.AllocsPerRun(100, func() {
			u.Lookup(market, code)
			u.Lookup(market, unknown)
		}); n != 0 {
			t.Errorf("market %s: %v allocations, want 0", market, n)
		}
	}
}

// The switch of marketIndex agrees with the table of markets.
func TestMarketIndex(t *testing.T) {
	for n, m := range markets {
		for _, name := range append([]string{m.name}, m.mics...) {
			if got := marketIndex(name); got != n {
				t.Errorf("marketIndex(%s) = %d, want %d", name, got, n)
			}
			if len(name) > maxMarketBytes {
				t.Errorf("%s is longer than maxMarketBytes", name)
			}
		}
	}
	if got := marketIndex("XX"); got != -1 {
		t.Errorf("marketIndex(XX) = %d, want -1", got)
	}
}

func TestLimits(t *testing.T) {
	tests := []struct {
		close, tick, bps, low, high int64
	}{
		{10_0000, 100, 1000, 9_0000, 11_0000},
		{10_0500, 100, 1000, 9_0500, 11_0600}, // 9.045 and 11.055 are rounded half up
		{10_0400, 100, 1000, 9_0400, 11_0400}, // 9.036 and 11.044
		{3_1200, 100, 500, 2_9600, 3_2800},    // 2.964 and 3.276
		{300, 100, 1000, 300, 300},            // 0.027 and 0.033
		{10_0000, 500, 500, 9_5000, 10_5000},
		{10_0000, 100, 10_000, 100, 20_0000}, // never below a tick
		{10_0000, 100, 0, 100, MaxPrice},     // no limit
		{MaxPrice, 100, 3000, MaxPrice / 10 * 7, MaxPrice / 10 * 13},
	}
	for _, test := range tests {
		i := Instrument{PreviousClose: test.close, Tick: test.tick, LimitBps: test.bps}
		if low, high := i.Limits(); low != test.low || high != test.high {
			t.Errorf("close %s, tick %s, %d/10000: %s to %s, want %s to %s", FormatMoney(test.close),
				FormatMoney(test.tick), test.bps, FormatMoney(low), FormatMoney(high),
				FormatMoney(test.low), FormatMoney(test.high))
		}
	}
}
