package tape

import (
	"bytes"
	"slices"

	"github.com/papertape/papertape/market"
)

// priceDecimals is how many decimals a price has: market.MoneyUnit is 10 to that power.
const priceDecimals = 4

// digitsMax bounds the digits before the point, so that no number overflows.
const digitsMax = 14

// parseScaled parses a decimal number and multiplies it by 10 to the power of decimals. What
// does not fit is rounded half up: exports of floating-point numbers have prices such as
// 123.45999908.
func parseScaled(b []byte, decimals int) (n int64, ok bool) {
	i := 0
	for i < len(b) && b[i]-'0' <= 9 {
		n = n*10 + int64(b[i]-'0')
		if i++; i > digitsMax {
			return 0, false
		}
	}
	whole := i
	if i < len(b) && b[i] == '.' {
		i++
	}
	for ; decimals > 0; decimals-- {
		n *= 10
		if i < len(b) && b[i]-'0' <= 9 {
			n += int64(b[i] - '0')
			i++
		}
	}
	if i < len(b) && i > whole && b[i]-'0' <= 9 && b[i] >= '5' {
		n++
	}
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return n, i == len(b) && (whole > 0 || i > 1)
}

// parsePrice parses a price, from 0 to market.MaxPrice, in 1/10000.
func parsePrice(b []byte) (int64, bool) {
	n, ok := parseScaled(b, priceDecimals)
	return n, ok && n <= market.MaxPrice
}

// parseSize parses a number of shares. Exports of floating-point numbers write 100 as 100.0,
// and some markets trade parts of a share, which are rounded.
func parseSize(b []byte) (int64, bool) {
	n, ok := parseScaled(b, 0)
	return n, ok && n <= market.MaxVolume
}

var emptyWords = [][]byte{[]byte("nan"), []byte("nat"), []byte("n/a"), []byte("null"), []byte("none")}

// isEmpty reports whether a cell says nothing, in the words of several programs.
func isEmpty(cell []byte) bool {
	switch len(cell) {
	case 0:
		return true
	case 1, 2:
		return string(cell) == "-" || string(cell) == "--"
	case 3, 4:
		return cell[0] > '9' && slices.ContainsFunc(emptyWords,
			func(word []byte) bool { return bytes.EqualFold(cell, word) })
	}
	return false
}
