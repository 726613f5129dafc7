package client_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/papertape/papertape/client"
)

func ExampleMoney() {
	price, err := client.ParseMoney("148.05")
	if err != nil {
		fmt.Println(err)
		return
	}
	amount, err := price.Mul(300)
	if err != nil {
		fmt.Println(err) // client.ErrOverflow
		return
	}
	fmt.Println(price, "times 300 is", amount)
	fmt.Println(amount < 50_000*client.One)
	_, err = amount.Mul(math.MaxInt64)
	fmt.Println(err)
	// Output:
	// 148.05 times 300 is 44415.00
	// true
	// 44415.00 * 9223372036854775807: the amount is too large
}

// Add, Sub and Mul agree with big integers.
func TestMoneyArithmetic(t *testing.T) {
	edges := rapid.SampledFrom([]int64{0, 1, -1, 2, -2, math.MaxInt64, math.MaxInt64 - 1, math.MinInt64,
		math.MinInt64 + 1})
	number := rapid.OneOf(edges, rapid.Int64(), rapid.Int64Range(-1<<33, 1<<33))
	operations := map[string]struct {
		do   func(m client.Money, v int64) (client.Money, error)
		want func(z, x, y *big.Int) *big.Int
	}{
		"+": {func(m client.Money, v int64) (client.Money, error) { return m.Add(client.Money(v)) }, (*big.Int).Add},
		"-": {func(m client.Money, v int64) (client.Money, error) { return m.Sub(client.Money(v)) }, (*big.Int).Sub},
		"*": {client.Money.Mul, (*big.Int).Mul},
	}
	rapid.Check(t, func(t *rapid.T) {
		x, y := number.Draw(t, "x"), number.Draw(t, "y")
		for sign, operation := range operations {
			got, err := operation.do(client.Money(x), y)
			want := operation.want(new(big.Int), big.NewInt(x), big.NewInt(y))
			switch {
			case !want.IsInt64():
				if got != 0 || !errors.Is(err, client.ErrOverflow) {
					t.Errorf("%d %s %d is %d, %v: expected ErrOverflow", x, sign, y, int64(got), err)
				}
			case err != nil || int64(got) != want.Int64():
				t.Errorf("%d %s %d is %d, %v: expected %v", x, sign, y, int64(got), err, want)
			}
		}
		if got, want := client.Money(x).Cmp(client.Money(y)), big.NewInt(x).Cmp(big.NewInt(y)); got != want {
			t.Errorf("%d compared with %d is %d: expected %d", x, y, got, want)
		}
	})
}

// Every amount is read back as it was written, also through JSON.
func TestMoneyText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := client.Money(rapid.Int64().Draw(t, "amount"))
		if got, err := client.ParseMoney(m.String()); err != nil || got != m {
			t.Errorf("%v was read as %v, %v", m, got, err)
		}
		encoded, err := json.Marshal(map[string]client.Money{"price": m})
		if want := fmt.Sprintf(`{"price":"%v"}`, m); err != nil || string(encoded) != want {
			t.Errorf("%s, %v: expected %s", encoded, err, want)
		}
		var decoded map[string]client.Money
		if err := json.Unmarshal(encoded, &decoded); err != nil || decoded["price"] != m {
			t.Errorf("%s was read as %v, %v", encoded, decoded, err)
		}
	})
	m := 5 * client.One
	if err := m.UnmarshalText([]byte("1.23456")); err == nil || m != 5*client.One {
		t.Errorf("five decimals were read as %v, %v", m, err)
	}
	if m := client.One; m.String() != "1.00" {
		t.Errorf("one is %v", m)
	}
}
