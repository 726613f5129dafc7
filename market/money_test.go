package market

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestMoney(t *testing.T) {
	tests := []struct {
		v    int64
		text string
	}{
		{0, "0.00"}, {1, "0.0001"}, {-1, "-0.0001"}, {10, "0.001"}, {100, "0.01"}, {1000, "0.10"}, {9_9800, "9.98"},
		{9_9850, "9.985"}, {1000_0000, "1000.00"}, {-12_3456, "-12.3456"}, {1_000_000 * MoneyUnit, "1000000.00"},
		{math.MaxInt64, "922337203685477.5807"}, {math.MinInt64, "-922337203685477.5808"},
	}
	for _, test := range tests {
		if got := FormatMoney(test.v); got != test.text {
			t.Errorf("FormatMoney(%d) = %s, want %s", test.v, got, test.text)
		}
		if got, err := ParseMoney(test.text); err != nil || got != test.v {
			t.Errorf("ParseMoney(%s) = %d, %v, want %d", test.text, got, err, test.v)
		}
	}
}

func TestParseMoney(t *testing.T) {
	for text, want := range map[string]int64{"10": 10_0000, "9.9": 9_9000, "-3": -3_0000, "007.5000": 7_5000, "-0": 0} {
		if got, err := ParseMoney(text); err != nil || got != want {
			t.Errorf("ParseMoney(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
	refused := map[string]string{
		"":        `"" is not an amount; write digits with a decimal point, as in 9.98`,
		"-":       `"-" is not an amount; write digits with a decimal point, as in 9.98`,
		".5":      `".5" is not an amount; write digits with a decimal point, as in 9.98`,
		"5.":      `"5." is not an amount; write digits with a decimal point, as in 9.98`,
		"1,000":   `"1,000" is not an amount; write digits with a decimal point, as in 9.98`,
		"+1":      `"+1" is not an amount; write digits with a decimal point, as in 9.98`,
		" 1":      `" 1" is not an amount; write digits with a decimal point, as in 9.98`,
		"1e3":     `"1e3" is not an amount; write digits with a decimal point, as in 9.98`,
		"1.2.3":   `"1.2.3" is not an amount; write digits with a decimal point, as in 9.98`,
		"9.98765": `"9.98765" has 5 decimals; an amount has at most 4`,
		"922337203685477.5808": `"922337203685477.5808" is too large; ` +
			`amounts go from -922337203685477.5808 to 922337203685477.5807`,
		"-922337203685477.5809": `"-922337203685477.5809" is too large; ` +
			`amounts go from -922337203685477.5808 to 922337203685477.5807`,
		strings.Repeat("9", 50): `"` + strings.Repeat("9", 40) + `…" is too large; ` +
			`amounts go from -922337203685477.5808 to 922337203685477.5807`,
	}
	for text, want := range refused {
		if got, err := ParseMoney(text); err == nil {
			t.Errorf("ParseMoney(%q) = %d", text, got)
		} else if err.Error() != want {
			t.Errorf("ParseMoney(%q):\ngot  %s\nwant %s", text, err, want)
		}
	}
}

func TestMoneyRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Int64().Draw(t, "amount")
		if got, err := ParseMoney(FormatMoney(v)); err != nil || got != v {
			t.Fatalf("%d is written %s and read %d, %v", v, FormatMoney(v), got, err)
		}
	})
}

func FuzzParseMoney(f *testing.F) {
	for _, seed := range []string{"9.98", "-0.0001", "922337203685477.5807", "-922337203685477.5808", "1.", "00.00",
		"１"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := ParseMoney(s)
		if err != nil {
			return
		}
		text := FormatMoney(v)
		if again, err := ParseMoney(text); err != nil || again != v {
			t.Errorf("%q is %d, written %s and read %d, %v", s, v, text, again, err)
		}
		// The text read and the text written differ only in leading and trailing zeros.
		if bare(s) != bare(text) {
			t.Errorf("%q is written %s", s, text)
		}
	})
}

// bare removes the leading and trailing zeros of an amount.
func bare(s string) string {
	digits, negative := strings.CutPrefix(s, "-")
	whole, decimals, _ := strings.Cut(digits, ".")
	digits = strings.TrimLeft(whole, "0") + "." + strings.TrimRight(decimals, "0")
	if negative && digits != "." {
		return "-" + digits
	}
	return digits
}
