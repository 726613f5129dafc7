package client

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/bits"

	"github.com/papertape/papertape/market"
)

// Money is a price, or an amount in an account's currency: a decimal number with four decimals, which is what servers
// count in. It is held as an integer, so Money(1) is 0.0001, and nothing that its methods do is rounded.
//
// The operators of the language work as they do on integers: they wrap around where a result is too large. [Money.Add],
// [Money.Sub] and [Money.Mul] report that instead.
type Money int64

// One is one unit of the currency: 148*One + 5*One/10 is 148.50.
const One Money = market.MoneyUnit

// ErrOverflow is reported for an amount that [Money] cannot hold.
var ErrOverflow = errors.New("the amount is too large")

// ParseMoney reads an amount with at most four decimals, or none: 9.98, -0.0001, 10. The error is a sentence that
// says what would be right.
func ParseMoney(s string) (Money, error) {
	v, err := market.ParseMoney(s)
	return Money(v), err
}

// String is the amount with at least two decimals and at most four: 9.98, -0.0001, 1000.00. ParseMoney reads it.
func (m Money) String() string { return market.FormatMoney(int64(m)) }

// MarshalText is String. With it an amount is a string in JSON, which keeps every digit in any reader.
func (m Money) MarshalText() ([]byte, error) { return m.AppendText(nil) }

// AppendText appends what String returns.
func (m Money) AppendText(dst []byte) ([]byte, error) { return market.AppendMoney(dst, int64(m)), nil }

// UnmarshalText is ParseMoney.
func (m *Money) UnmarshalText(text []byte) error {
	v, err := ParseMoney(string(text))
	if err == nil {
		*m = v
	}
	return err
}

// Cmp is -1 where m is less than o, 0 where they are equal, and 1 where m is more.
func (m Money) Cmp(o Money) int { return cmp.Compare(m, o) }

// Add is m + o. The error is an [ErrOverflow].
func (m Money) Add(o Money) (Money, error) {
	sum := m + o
	if (sum > m) != (o > 0) && o != 0 {
		return 0, fmt.Errorf("%v + %v: %w", m, o, ErrOverflow)
	}
	return sum, nil
}

// Sub is m - o. The error is an [ErrOverflow].
func (m Money) Sub(o Money) (Money, error) {
	difference := m - o
	if (difference < m) != (o > 0) && o != 0 {
		return 0, fmt.Errorf("%v - %v: %w", m, o, ErrOverflow)
	}
	return difference, nil
}

// Mul is the amount of a quantity of shares at the price m. The error is an [ErrOverflow].
func (m Money) Mul(quantity int64) (Money, error) {
	high, low := bits.Mul64(magnitude(int64(m)), magnitude(quantity))
	negative := (m < 0) != (quantity < 0)
	bound := uint64(math.MaxInt64)
	if negative {
		bound++
	}
	if high > 0 || low > bound {
		return 0, fmt.Errorf("%v * %d: %w", m, quantity, ErrOverflow)
	}
	if negative {
		return -Money(low), nil // the bound itself stays what it is: the smallest amount is its own negative
	}
	return Money(low), nil
}

// magnitude is |v|, also of the smallest integer.
func magnitude(v int64) uint64 {
	if v < 0 {
		return -uint64(v)
	}
	return uint64(v)
}
