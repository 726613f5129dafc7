package client

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/bits"

	"github.com/papertape/papertape/market"
)

// Money is a price, or an amount in an account's currency: a decimal number with four decimals,
// the unit that servers count in. It is held as an integer, so Money(1) is 0.0001, and its
// methods never round.
//
// The operators of the language work as on integers: they wrap around if a result is too large.
// [Money.Add], [Money.Sub] and [Money.Mul] return an error instead.
type Money int64

// One is one unit of the currency: 148*One + 5*One/10 is 148.50.
const One Money = market.MoneyUnit

// ErrOverflow is returned for an amount that is too large for [Money].
var ErrOverflow = errors.New("the amount is too large")

// ParseMoney reads an amount with at most four decimals, such as 9.98, -0.0001 or 10. The error
// is a sentence that says what would be right.
func ParseMoney(s string) (Money, error) {
	v, err := market.ParseMoney(s)
	return Money(v), err
}

// String returns the amount with two to four decimals, such as 9.98, -0.0001 or 1000.00.
// ParseMoney reads it.
func (m Money) String() string { return market.FormatMoney(int64(m)) }

// MarshalText returns the text of String. It makes an amount a string in JSON, which keeps
// every digit in any reader.
func (m Money) MarshalText() ([]byte, error) { return m.AppendText(nil) }

// AppendText appends what String returns.
func (m Money) AppendText(dst []byte) ([]byte, error) { return market.AppendMoney(dst, int64(m)), nil }

// UnmarshalText reads the text as ParseMoney does.
func (m *Money) UnmarshalText(text []byte) error {
	v, err := ParseMoney(string(text))
	if err == nil {
		*m = v
	}
	return err
}

// Cmp returns -1 if m is less than o, 0 if they are equal, and 1 if m is greater.
func (m Money) Cmp(o Money) int { return cmp.Compare(m, o) }

// Add returns m + o. The error is an [ErrOverflow].
func (m Money) Add(o Money) (Money, error) {
	sum := m + o
	if (sum > m) != (o > 0) && o != 0 {
		return 0, fmt.Errorf("%v + %v: %w", m, o, ErrOverflow)
	}
	return sum, nil
}

// Sub returns m - o. The error is an [ErrOverflow].
func (m Money) Sub(o Money) (Money, error) {
	difference := m - o
	if (difference < m) != (o > 0) && o != 0 {
		return 0, fmt.Errorf("%v - %v: %w", m, o, ErrOverflow)
	}
	return difference, nil
}

// Mul returns the amount of a quantity of shares at the price m. The error is an [ErrOverflow].
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
		return -Money(low), nil // correct for the bound too: the smallest amount is its own negative
	}
	return Money(low), nil
}

// magnitude returns |v|, for the smallest integer too.
func magnitude(v int64) uint64 {
	if v < 0 {
		return -uint64(v)
	}
	return uint64(v)
}
