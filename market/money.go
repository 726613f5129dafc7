package market

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// MoneyUnit is the number of ledger units per unit of currency.
const MoneyUnit = 10_000

const (
	decimalsMax = 4
	decimalsMin = 2
)

// FormatMoney formats an amount in 1/10000 of the currency with two to four decimals: 9.98,
// -0.0001, 1000.00. There is no digit grouping, so that ParseMoney and other programs can
// read it.
func FormatMoney(v int64) string {
	return string(AppendMoney(make([]byte, 0, 24), v))
}

// AppendMoney appends the result of FormatMoney to dst.
func AppendMoney(dst []byte, v int64) []byte {
	magnitude := uint64(v)
	if v < 0 {
		magnitude = -magnitude
		dst = append(dst, '-')
	}
	dst = strconv.AppendUint(dst, magnitude/MoneyUnit, 10)
	part := magnitude % MoneyUnit
	digits := [...]byte{'.', '0' + byte(part/1000), '0' + byte(part/100%10), '0' + byte(part/10%10),
		'0' + byte(part%10)}
	n := len(digits)
	for n > 1+decimalsMin && digits[n-1] == '0' {
		n--
	}
	return append(dst, digits[:n]...)
}

// ParseMoney parses a decimal amount with at most four decimals, as FormatMoney writes it,
// into 1/10000 of the currency. The decimals are optional (10). The error is a sentence
// that says what would be right.
func ParseMoney(s string) (int64, error) {
	digits, negative := strings.CutPrefix(s, "-")
	whole, decimals, point := strings.Cut(digits, ".")
	if !isDigits(whole) || point && !isDigits(decimals) {
		return 0, fmt.Errorf("%q is not an amount; write digits with a decimal point, as in 9.98", clip(s))
	}
	if len(decimals) > decimalsMax {
		return 0, fmt.Errorf("%q has %d decimals; an amount has at most %d", clip(s), len(decimals), decimalsMax)
	}
	magnitude, err := strconv.ParseUint(whole+decimals+"0000"[len(decimals):], 10, 64)
	bound := uint64(math.MaxInt64)
	if negative {
		bound++
	}
	if err != nil || magnitude > bound {
		return 0, fmt.Errorf("%q is too large; amounts go from %s to %s",
			clip(s), FormatMoney(math.MinInt64), FormatMoney(math.MaxInt64))
	}
	if negative {
		return -int64(magnitude), nil // correct for the bound too: -MinInt64 == MinInt64
	}
	return int64(magnitude), nil
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// clip shortens text that an error repeats.
func clip(s string) string {
	if len(s) <= maxTypedBytes {
		return s
	}
	return strings.ToValidUTF8(s[:maxTypedBytes], "") + "…"
}
