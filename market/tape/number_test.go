package tape

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/papertape/papertape/market"
)

func TestPrices(t *testing.T) {
	for text, want := range map[string]int64{
		"10": 10_0000, "9.98": 9_9800, "0.0001": 1, "123.45999908": 123_4600, "0.00004": 0, "0.00005": 1,
		"5.": 5_0000, ".5": 5000,
		"007.5000": 7_5000, "1000000000": market.MaxPrice, "10.5000000000000000000000000000001": 10_5000,
		"99.99995": 100_0000,
	} {
		if got, ok := parsePrice([]byte(text)); !ok || got != want {
			t.Errorf("%q is %d, %t; want %d", text, got, ok, want)
		}
	}
	for _, text := range []string{"", ".", "-1", "+1", "1e3", "1,000", "x", "1.2.3", "1000000000.0001",
		"99999999999999", "1 0",
		"999999999999999999999", "1.x", "1.00000x"} {
		if got, ok := parsePrice([]byte(text)); ok {
			t.Errorf("%q is taken for %d", text, got)
		}
	}
	for text, want := range map[string]int64{"100": 100, "100.0": 100, "0.4": 0, "0.5": 1,
		"99999999999999": 99_999_999_999_999} {
		if got, ok := parseSize([]byte(text)); !ok || got != want {
			t.Errorf("%q is %d shares, %t; want %d", text, got, ok, want)
		}
	}
}

// TestMoneyAgrees compares prices with those of market.ParseMoney.
func TestMoneyAgrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.Int64Range(0, market.MaxPrice).Draw(t, "price")
		text := market.FormatMoney(want) + rapid.SampledFrom([]string{"", "", "0", "00"}).Draw(t, "more")
		if got, ok := parsePrice([]byte(text)); !ok || got != want {
			t.Fatalf("%s is %d, %t", text, got, ok)
		}
	})
}

func TestEmptyCells(t *testing.T) {
	for text, want := range map[string]bool{"": true, "-": true, "--": true, "NaN": true, "null": true,
		"None": true, "N/A": true,
		"NaT": true, "0": false, "9.98": false, "100": false, "-1": false, "nano": false} {
		if isEmpty([]byte(text)) != want {
			t.Errorf("%q", text)
		}
	}
}

// TestSplit compares the cells of lines with those of encoding/csv.
func TestSplit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sep := rapid.SampledFrom([]byte(separators)).Draw(t, "separator")
		alphabet := []rune("ab \"'12.成" + separators)
		cells := rapid.SliceOfN(rapid.StringOfN(rapid.SampledFrom(alphabet), 0, 6, -1), 1, 6).Draw(t, "cells")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		var b bytes.Buffer
		w := csv.NewWriter(&b)
		w.Comma = rune(sep)
		if err := w.Write(cells); err != nil {
			t.Fatal(err)
		}
		w.Flush()
		line := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
		split, ok := splitCells(nil, slices.Clone(line), sep)
		if got := fmt.Sprintf("%q", split); !ok || got != fmt.Sprintf("%q", cells) {
			t.Fatalf("%q: %s, want %q", line, got, cells)
		}
	})
	for line, want := range map[string]string{
		`a,"b,c" ,d`: `["a" "b,c" "d"]`, `5" pipe,x`: `["5\" pipe" "x"]`, `,`: `["" ""]`, `""`: `[""]`, ` "a"`: `["a"]`,
		`"a",`: `["a" ""]`,
	} {
		if got, ok := splitCells(nil, []byte(line), ','); !ok || fmt.Sprintf("%q", got) != want {
			t.Errorf("%s: %q", line, got)
		}
	}
	for _, line := range []string{`"a`, `a,"b`, `"a"b,c`, `"a""`} {
		if got, ok := splitCells(nil, []byte(line), ','); ok {
			t.Errorf("%s: %q", line, got)
		}
	}
}
