// Package decimal parses the numbers that people type: a flag, a variable, a line of a
// file, a part of a range. Each kind of number has one parser, so that the same text means
// the same everywhere:
//
//	n, err := decimal.ParseWhole(text, 1, 100) // the error is a sentence without the name of what was read
//	flags.Var(decimal.Whole(&limit, 20, 1, 100), "limit", "how many events")
//
// Numbers are in base ten, and leading zeros are ignored: 0100 is one hundred. Other
// programs read 0100 as 64, and accept 0x64, 1_000 or +5. These last are refused, because
// different people mean different things by them.
package decimal

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Integer is the type of a whole number. No number is ever negative.
type Integer interface{ int | int64 | uint32 | uint64 }

// ParseWhole parses a whole number from low to high.
func ParseWhole[T Integer](text string, low, high T) (T, error) {
	digits, negative := strings.CutPrefix(text, "-")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, fmt.Errorf("%s is not a whole number; write %d to %d", quote(text), low, high)
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || negative && n != 0 || n < uint64(low) || n > uint64(high) {
		return 0, fmt.Errorf("%s is out of range; write %d to %d", clip(text), low, high)
	}
	return T(n), nil
}

// ParseReal parses a number from low to high, with an optional decimal point and exponent:
// 2000, 0.5, 1e6.
func ParseReal(text string, low, high float64) (float64, error) {
	digits := strings.TrimPrefix(text, "-")
	x, err := strconv.ParseFloat(digits, 64)
	// ParseFloat also accepts a second sign, hexadecimal digits, and words such as inf and
	// nan.
	if err != nil && !errors.Is(err, strconv.ErrRange) || digits[0] == '+' || digits[0] == '-' ||
		strings.Trim(digits, "0123456789.eE+-") != "" {
		return 0, fmt.Errorf("%s is not a number; write 2000 or 0.5", quote(text))
	}
	if digits != text && x != 0 {
		x = -x
	}
	if x < low || x > high {
		return 0, fmt.Errorf("%s is out of range; write %s to %s", clip(text), FormatReal(low), FormatReal(high))
	}
	return x, nil
}

// FormatReal formats a number as ParseReal parses it.
func FormatReal(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

// ParseDuration parses a duration from low to high: 5s, 1m30s, 0.5h.
func ParseDuration(text string, low, high time.Duration) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || strings.HasPrefix(text, "+") {
		return 0, fmt.Errorf("%s is not a duration; write 5s or 1m30s", quote(text))
	}
	if d < low || d > high {
		return 0, fmt.Errorf("%s is out of range; write %s to %s", clip(text), FormatDuration(low),
			FormatDuration(high))
	}
	return d, nil
}

// FormatDuration formats a duration as 10m where Duration.String gives 10m0s.
func FormatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// clippedBytes bounds how much of what was typed an error repeats.
const clippedBytes = 64

func clip(text string) string {
	if len(text) <= clippedBytes {
		return text
	}
	return strings.ToValidUTF8(text[:clippedBytes], "") + "…"
}

func quote(text string) string { return strconv.Quote(clip(text)) }
