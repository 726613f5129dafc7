package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/papertape/papertape/bench/scenario"
)

// number formats v with three significant digits and thousands separators.
func number(v float64) string {
	abs := math.Abs(v)
	switch {
	case v == 0 || abs < 1e-6:
		return "0"
	case abs >= 1e6:
		return strconv.FormatFloat(v/1e6, 'f', 2, 64) + " M"
	case abs >= 1000:
		return thousands(int64(math.Round(v)))
	case abs >= 100 || v == math.Trunc(v):
		return strconv.FormatFloat(v, 'f', 0, 64)
	case abs >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case abs >= 0.1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'g', 2, 64)
}

func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// spread formats a median, with the lowest and highest value if there are several.
func spread(s scenario.Spread, unit string) string {
	if s.N == 0 {
		return "–"
	}
	text := withUnit(number(s.Median), unit)
	if s.N > 1 {
		text += fmt.Sprintf(" (%s to %s)", number(s.Low), number(s.High))
	}
	return text
}

func withUnit(value, unit string) string {
	switch unit {
	case "":
		return value
	case "/s":
		return value + "/s"
	}
	return value + " " + unit
}

// bound formats the limit of a figure.
func bound(least, most float64, unit string) string {
	if most > 0 {
		return "≤ " + withUnit(number(most), unit)
	}
	return "≥ " + withUnit(number(least), unit)
}

// megabytes formats a number of bytes.
func megabytes(b float64) string { return number(b/1e6) + " MB" }

// fileName turns words into a file name.
func fileName(words string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r == ',':
			return -1
		}
		return '-'
	}, words), "-")
}
