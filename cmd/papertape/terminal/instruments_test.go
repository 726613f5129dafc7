package terminal

import (
	"slices"
	"strings"
	"testing"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/market"
)

// shipped returns the listing of a server with its default instruments.
func shipped(t *testing.T) *listing {
	t.Helper()
	u := market.Default()
	var list []client.Instrument
	for i := range u.Len() {
		in := u.At(market.ID(i))
		list = append(list, client.Instrument{
			Market: in.Market, Code: in.Code, Name: in.Name, Price: client.Money(in.PreviousClose),
			PreviousClose: client.Money(in.PreviousClose), Lot: in.Lot, Tick: client.Money(in.Tick),
		})
	}
	l, err := newListing(list, true)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func wireInstrument(in *market.Instrument) *papertapev1.Instrument {
	return &papertapev1.Instrument{
		Market: in.Market, Code: in.Code, Name: in.Name, Price: in.PreviousClose, PreviousClose: in.PreviousClose,
		Lot: in.Lot, Tick: in.Tick,
	}
}

func TestFind(t *testing.T) {
	l := shipped(t)
	for _, typed := range []string{"SH.600519", "600519.SH", "600519.XSHG", "XSHG.600519", "SH 600519", "sh600519",
		"SH:600519", "贵州茅台"} {
		if in, ok := l.find(typed); !ok || in.String() != "SH.600519" {
			t.Errorf("%q: %v, %v", typed, in, ok)
		}
	}
	for _, c := range []struct{ typed, want string }{
		{"600519", `"600519" is not traded here; did you mean SH.600519 (贵州茅台)?`},
		{"SZ.600519", `did you mean SH.600519 (贵州茅台)?`},
		{"000001", `did you mean SH.000001 (上证指数) or SZ.000001 (平安银行)?`},
		{"SH.贵州茅台", `did you mean SH.600519 (贵州茅台)?`},
		{"GOOG", `"GOOG" is not traded here; write market and code, as in SH.600519`},
		{"", `"" is not traded here; write market and code, as in SH.600519`},
	} {
		if in, ok := l.find(c.typed); ok {
			t.Errorf("%q is taken for %v", c.typed, in)
		}
		if err := l.unknown(&english, c.typed); !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("%q: %v, want %s", c.typed, err, c.want)
		}
		if err := l.unknown(&chinese, c.typed); !strings.HasPrefix(err.Error(), "这里没有 ") {
			t.Errorf("%q: %v", c.typed, err)
		}
	}
}

func TestSplit(t *testing.T) {
	got := splitInstruments(strings.Fields("SH 600519 SZ.000001 xshg 600036 贵州茅台 SZ"))
	if want := []string{"SH 600519", "SZ.000001", "xshg 600036", "贵州茅台", "SZ"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestIsMarket compares isMarket with the names that package market accepts before a code.
func TestIsMarket(t *testing.T) {
	l := shipped(t)
	for _, name := range []string{"BJ", "XBSE", "BJSE", "HK", "XHKG", "SH", "XSHG", "SZ", "XSHE", "US", "XNYS",
		"XNAS"} {
		_, err := l.universe.Parse(name + ".1")
		if !isMarket(name) || !isMarket(strings.ToLower(name)) || !strings.HasPrefix(err.Error(), "there is no ") {
			t.Errorf("%s: %v, %v", name, isMarket(name), err)
		}
	}
	for _, name := range []string{"", "600519", "SHA", "buy"} {
		if isMarket(name) {
			t.Errorf("%q is taken for a market", name)
		}
	}
}
