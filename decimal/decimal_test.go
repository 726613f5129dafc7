package decimal_test

import (
	"flag"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/papertape/papertape/decimal"
)

// refusedSpellings are spellings that other programs accept as numbers and this one refuses.
var refusedSpellings = []string{
	"", " ", "+5", "++5", "--5", "-+5", "+-5", "0x64", "0X64", "0o144", "0b11", "1_000", "1_0", "_1", "0_1", "1,000",
	"1'000", " 5", "5 ", "5\n",
	"５", "٥", "Ⅴ", "1e", "e1", "five", "100x", "-", "0x1p4", "0x1p-2", "inf", "+Inf", "-inf", "Infinity", "NaN",
	"nan", "5\x00",
}

func TestParseWhole(t *testing.T) {
	for text, want := range map[string]uint64{
		"0": 0, "7": 7, "007": 7, "0100": 100, "00": 0, "0303241": 303241, "08": 8, "-0": 0,
		"18446744073709551615":           math.MaxUint64,
		"000000000000000000000000000001": 1,
	} {
		if got, err := decimal.ParseWhole[uint64](text, 0, math.MaxUint64); got != want || err != nil {
			t.Errorf("%q is %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range append(refusedSpellings, "1.0", "1e3", ".5", "0.5") {
		if got, err := decimal.ParseWhole(text, 1, 100); got != 0 || err == nil ||
			!strings.HasSuffix(err.Error(), " is not a whole number; write 1 to 100") {
			t.Errorf("%q is %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"0", "101", "-5", "-1", "-100", "18446744073709551616", "99999999999999999999999"} {
		if got, err := decimal.ParseWhole(text, 1, 100); got != 0 || err == nil ||
			err.Error() != text+" is out of range; write 1 to 100" {
			t.Errorf("%q is %d, %v", text, got, err)
		}
	}
	if got, err := decimal.ParseWhole[int64]("9223372036854775808", 0, math.MaxInt64); got != 0 || err == nil {
		t.Errorf("one more than there is: %d, %v", got, err)
	}
	if got, err := decimal.ParseWhole[uint32]("4294967296", 0, math.MaxUint32); got != 0 || err == nil {
		t.Errorf("one more than there is: %d, %v", got, err)
	}
}

func TestParseReal(t *testing.T) {
	for text, want := range map[string]float64{
		"0": 0, "2000": 2000, "0.5": 0.5, ".5": 0.5, "5.": 5, "010": 10, "010.5": 10.5, "1e3": 1000, "2.5E2": 250,
		"1e+3": 1000, "1e-1": 0.1,
		"-1": -1, "-0": 0,
	} {
		if got, err := decimal.ParseReal(text, -1, 1e6); got != want || math.Signbit(got) != (want < 0) || err != nil {
			t.Errorf("%q is %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range refusedSpellings {
		if got, err := decimal.ParseReal(text, 0, 100); got != 0 || err == nil ||
			!strings.HasSuffix(err.Error(), " is not a number; write 2000 or 0.5") {
			t.Errorf("%q is %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"-1", "100.1", "1e999", "-1e999"} {
		if got, err := decimal.ParseReal(text, 0, 100); got != 0 || err == nil ||
			err.Error() != text+" is out of range; write 0 to 100" {
			t.Errorf("%q is %v, %v", text, got, err)
		}
	}
}

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "5s": 5 * time.Second, "010s": 10 * time.Second, "1m30s": 90 * time.Second,
		"0.5s": 500 * time.Millisecond, "8m": 8 * time.Minute,
	} {
		if got, err := decimal.ParseDuration(text, 0, 10*time.Minute); got != want || err != nil {
			t.Errorf("%q is %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range append(refusedSpellings, "5", "+5s", "0x5s", "1_0s", "5 s", "1e3s", "５s", "5S", "s") {
		if got, err := decimal.ParseDuration(text, 0, time.Hour); got != 0 || err == nil ||
			!strings.HasSuffix(err.Error(), " is not a duration; write 5s or 1m30s") {
			t.Errorf("%q is %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"-5s", "99ms", "61m"} {
		if got, err := decimal.ParseDuration(text, 100*time.Millisecond, time.Hour); got != 0 || err == nil ||
			err.Error() != text+" is out of range; write 100ms to 1h" {
			t.Errorf("%q is %v, %v", text, got, err)
		}
	}
}

// TestLongText: an error does not repeat all of a long text.
func TestLongText(t *testing.T) {
	for _, text := range []string{strings.Repeat("9", 100_000), strings.Repeat("x", 100_000),
		strings.Repeat("五", 50_000)} {
		_, whole := decimal.ParseWhole(text, 1, 100)
		_, real := decimal.ParseReal(text, 1, 100)
		_, duration := decimal.ParseDuration(text, 1, 100)
		for _, err := range []error{whole, real, duration} {
			if err == nil || len(err.Error()) > 200 || strings.ContainsRune(err.Error(), '�') {
				t.Errorf("%.10q: %.300v", text, err)
			}
		}
	}
}

func TestFormatDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 5 * time.Second: "5s", time.Minute: "1m", 90 * time.Second: "1m30s", time.Hour: "1h",
		70 * time.Minute:        "1h10m",
		time.Hour + time.Second: "1h0m1s", 10 * time.Second: "10s",
	} {
		if got := decimal.FormatDuration(d); got != want {
			t.Errorf("%d ns is %s, want %s", d, got, want)
		}
	}
}

// TestFlags: values are stored where they should be, 0100 is one hundred, and an invalid
// text leaves the old value.
func TestFlags(t *testing.T) {
	var n int
	var big uint64
	var x float64
	var d time.Duration
	set := flag.NewFlagSet("test", flag.ContinueOnError)
	set.SetOutput(new(strings.Builder))
	set.Var(decimal.Whole(&n, 20, 1, 100), "n", "")
	set.Var(decimal.Whole(&big, 0, 1, math.MaxUint64), "big", "")
	set.Var(decimal.Real(&x, 0.5, 0, 100), "x", "")
	set.Var(decimal.Duration(&d, 0, 0, time.Hour), "d", "")
	for name, want := range map[string]string{"n": "20", "big": "0", "x": "0.5", "d": "0"} {
		if got := set.Lookup(name).DefValue; got != want {
			t.Errorf("%s is %q until it is set, want %q", name, got, want)
		}
	}
	if err := set.Parse([]string{"-n", "0100", "-big", "0303241", "-x", "010", "-d", "090s"}); err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{"n": "0x10", "big": "0", "x": "0x1p4", "d": "+5s"} {
		if err := set.Set(name, bad); err == nil {
			t.Errorf("%s took %s", name, bad)
		}
	}
	if n != 100 || big != 303241 || x != 10 || d != 90*time.Second {
		t.Errorf("%d, %d, %v, %v", n, big, x, d)
	}
	for name, want := range map[string]string{"n": "100", "big": "303241", "x": "10", "d": "1m30s"} {
		if got := set.Lookup(name).Value.String(); got != want {
			t.Errorf("%s says %q, want %q", name, got, want)
		}
	}
}
