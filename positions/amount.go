package positions

import (
	"math"
	"math/bits"
)

// amountOf is what quantity shares come to at a price, neither of them negative; ok is false where that does not fit.
func amountOf(quantity, price int64) (amount int64, ok bool) {
	high, low := bits.Mul64(uint64(quantity), uint64(price))
	return int64(low), high == 0 && low <= math.MaxInt64
}

// MarketValue is Quantity × Price in 1/10000 of the currency, or the end of int64 that it would pass.
func (p *Position) MarketValue() int64 {
	high, low := bits.Mul64(magnitude(p.Quantity), magnitude(p.Price))
	negative := (p.Quantity < 0) != (p.Price < 0)
	switch {
	case high == 0 && low <= math.MaxInt64 && negative:
		return -int64(low)
	case high == 0 && low <= math.MaxInt64:
		return int64(low)
	case negative:
		return math.MinInt64
	}
	return math.MaxInt64
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}
