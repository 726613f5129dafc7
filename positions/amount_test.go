package positions

import (
	"math"
	"testing"
)

// TestMarketValueSaturates: a value that does not fit is the end of int64 that it would pass.
func TestMarketValueSaturates(t *testing.T) {
	for _, c := range []struct{ quantity, price, want int64 }{
		{0, math.MaxInt64, 0},
		{200, 16_800_000, 3_360_000_000},
		{-200, 16_800_000, -3_360_000_000},
		{math.MaxInt64, 1, math.MaxInt64},
		{1 << 32, 1 << 31, math.MaxInt64},
		{-(1 << 32), 1 << 31, math.MinInt64},
		{math.MinInt64, math.MinInt64, math.MaxInt64},
	} {
		p := Position{Row: Row{Quantity: c.quantity}, Price: c.price}
		if got := p.MarketValue(); got != c.want {
			t.Errorf("%d shares at %d: %d, want %d", c.quantity, c.price, got, c.want)
		}
	}
}
