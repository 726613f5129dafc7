package market

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// trickyUniverse returns a universe with codes that are hard to parse: a share class, and codes
// that look like markets.
func trickyUniverse(t testing.TB) *Universe {
	t.Helper()
	var list []Instrument
	for _, key := range [][2]string{{"US", "AAPL"}, {"US", "BRK.B"}, {"US", "SH"}, {"SH", "US"}, {"HK", "00700"}} {
		i := validInstrument()
		i.Market, i.Code, i.Name = key[0], key[1], "the "+key[1]
		list = append(list, i)
	}
	u, err := NewUniverse(list)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestParse(t *testing.T) {
	shipped, other := Default(), trickyUniverse(t)
	tests := []struct {
		u     *Universe
		want  string
		typed []string
	}{
		{shipped, "SH.600519", []string{
			"600519.SH", "SH.600519", "600519.XSHG", "XSHG.600519", "SH 600519", "SH600519", "600519SH", "600519 SH",
			"SH:600519", "SH\t600519", "sh600519", "sh.600519", "600519.xshg", "Xshg600519", "600519XSHG",
			"  SH   600519 ", "SH . 600519", "600519 . SH", "XSHG 600519",
		}},
		{shipped, "SZ.000001", []string{"000001.SZ", "SZ.000001", "000001.XSHE", "XSHE.000001", "sz000001",
			"SZ 000001"}},
		{shipped, "SH.000001", []string{"000001.SH", "SH.000001", "sh000001"}},
		{shipped, "BJ.899101", []string{"899101.BJ", "XBSE.899101", "BJSE 899101", "899101.bjse", "bj899101"}},
		{other, "US.AAPL", []string{"AAPL.US", "aapl.us", "US.AAPL", "XNAS.AAPL", "AAPL.XNAS", "US AAPL", "usaapl"}},
		{other, "US.BRK.B", []string{"BRK.B.US", "US.BRK.B", "US BRK.B", "brk.b us"}},
		{other, "HK.00700", []string{"00700.HK", "XHKG.00700", "hk00700"}},
	}
	for _, test := range tests {
		for _, typed := range test.typed {
			if got := test.u.At(mustParse(t, test.u, typed)).String(); got != test.want {
				t.Errorf("Parse(%q) = %s, want %s", typed, got, test.want)
			}
		}
	}
}

func TestParseRefuses(t *testing.T) {
	shipped, other := Default(), trickyUniverse(t)
	tests := []struct {
		u           *Universe
		typed, want string
	}{
		{shipped, "600519", `600519 is a code without its market; write SH.600519 (贵州茅台)`},
		{shipped, "000001", `000001 is a code without its market; write SH.000001 (上证指数) or SZ.000001 (平安银行)`},
		{shipped, "600519.SZ", `there is no 600519 in SZ; 600519 is SH.600519 (贵州茅台)`},
		{shipped, "XSHE.600519", `there is no 600519 in SZ; 600519 is SH.600519 (贵州茅台)`},
		{shipped, "SH.999999", `there is no "999999" in SH, nor in any other market; the list of instruments has, ` +
			`for example, SH.600519`},
		{shipped, "XX.600519", `"XX.600519" names no known market (BJ, HK, SH, SZ, US); write SH.600519 (贵州茅台)`},
		{shipped, "600519 xx", `"600519 xx" names no known market (BJ, HK, SH, SZ, US); write SH.600519 (贵州茅台)`},
		{shipped, "moutai", `"moutai" is not an instrument; write market and code, as in SH.600519`},
		{shipped, "a.b", `"a.b" is not an instrument; write market and code, as in SH.600519`},
		{shipped, "SH", `"SH" is not an instrument; write market and code, as in SH.600519`},
		{shipped, "SH.", `"SH." is not an instrument; write market and code, as in SH.600519`},
		{shipped, "", `no instrument given; write market and code, as in SH.600519`},
		{shipped, " \t ", `no instrument given; write market and code, as in SH.600519`},
		{shipped, strings.Repeat("贵", 100), `"` + strings.Repeat("贵", 13) +
			`"… is not an instrument; write market and code, as in SH.600519`},
		{other, "SH.US", `"SH.US" can be read as SH.US (the US) or US.SH (the SH); write the one you mean`},
		{other, "moutai", `"moutai" is not an instrument; write market and code, as in HK.00700`},
	}
	for _, test := range tests {
		id, err := test.u.Parse(test.typed)
		if err == nil {
			t.Errorf("Parse(%q) found %s", test.typed, test.u.At(id))
		} else if err.Error() != test.want {
			t.Errorf("Parse(%q):\ngot  %s\nwant %s", test.typed, err, test.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"600519.SH", "SH 600519", "xshg600519", "600519", "000001", "", "SH.", ".SH",
		"600519.SZ", "\xff"} {
		f.Add(seed)
	}
	u := Default()
	f.Fuzz(func(t *testing.T, typed string) {
		id, err := u.Parse(typed)
		if err != nil {
			if s := err.Error(); s == "" || len(s) > 400 || !utf8.ValidString(s) || strings.ContainsAny(s, "\r\n") {
				t.Errorf("Parse(%q): %q is not a sentence", typed, s)
			}
			return
		}
		i := u.At(id)
		// The typed text consists of the code and the market, and nothing else.
		before, after, found := strings.Cut(strings.ToUpper(strings.TrimSpace(typed)), i.Code)
		name := strings.Trim(before+after, separators)
		if !found || marketIndex(name) != marketIndex(i.Market) {
			t.Errorf("Parse(%q) = %s", typed, i)
		}
		if again := mustParse(t, u, i.String()); again != id {
			t.Errorf("Parse(%q) is %s, whose own spelling is %s", typed, i, u.At(again))
		}
	})
}
