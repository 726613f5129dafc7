package market

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Ticks is a table of price steps by price, as exchanges publish them. It never changes.
type Ticks struct {
	from []int64 // ascending, the first is 0; 1/10000 of the currency
	step []int64 // from there on
}

// ticksMax bounds the steps of a table. Hong Kong has eleven.
const ticksMax = 64

// ParseTicks parses a table of price steps: "0:0.01;1:0.05" is 0.01 below 1.00, and 0.05 from
// there on. Each price at which a step begins has to be a multiple of that step and of the one
// before, so that no price lies between the two. The error is a sentence.
func ParseTicks(text string) (*Ticks, error) {
	t := new(Ticks)
	for part := range strings.SplitSeq(text, ";") {
		begins, steps, ok := strings.Cut(part, ":")
		if !ok {
			return nil, fmt.Errorf("%q is not a price and its tick; write a table as in 0:0.01;1:0.05", clip(part))
		}
		from, err := ParseMoney(strings.TrimSpace(begins))
		if err != nil {
			return nil, err
		}
		step, err := ParseMoney(strings.TrimSpace(steps))
		if err != nil {
			return nil, err
		}
		if err := t.add(from, step); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (t *Ticks) add(from, step int64) error {
	n := len(t.from)
	switch {
	case n == ticksMax:
		return fmt.Errorf("the table of ticks has more than %d steps", ticksMax)
	case step <= 0 || step > MaxPrice:
		return fmt.Errorf("the tick from %s on is %s; it must be above 0", FormatMoney(from), FormatMoney(step))
	case n == 0 && from != 0:
		return fmt.Errorf("the table of ticks begins at %s; it must begin at 0", FormatMoney(from))
	case n > 0 && (from <= t.from[n-1] || from > MaxPrice):
		return errors.New("the prices of the table of ticks must ascend, as in 0:0.01;1:0.05")
	case n > 0 && (from%step != 0 || from%t.step[n-1] != 0):
		return fmt.Errorf("the tick changes at %s, which must be a multiple of %s and of %s", FormatMoney(from),
			FormatMoney(t.step[n-1]), FormatMoney(step))
	}
	t.from, t.step = append(t.from, from), append(t.step, step)
	return nil
}

// At returns the smallest price step at a price, which is not below 0.
func (t *Ticks) At(price int64) int64 {
	n, found := slices.BinarySearch(t.from, price)
	if !found {
		n--
	}
	return t.step[max(n, 0)]
}

// String returns the table as ParseTicks reads it.
func (t *Ticks) String() string {
	var b []byte
	for n := range t.from {
		if n > 0 {
			b = append(b, ';')
		}
		b = AppendMoney(b, t.from[n])
		b = append(b, ':')
		b = AppendMoney(b, t.step[n])
	}
	return string(b)
}
