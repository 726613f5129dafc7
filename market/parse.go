package market

import (
	"fmt"
	"slices"
	"strings"
)

// maxTypedBytes bounds the text that Parse accepts, and that its errors repeat.
const maxTypedBytes = 40

// Parse finds the instrument that a person typed: SH.600519, 600519.SH, XSHG.600519,
// 600519.XSHG, "SH 600519", SH:600519, SH600519, 600519SH, in upper or lower case. A code
// without its market is refused, even if only one market has it: text that works today must
// not mean something else once an instrument is added. The error is a sentence that names
// possible candidates.
func (u *Universe) Parse(text string) (ID, error) {
	typed := strings.TrimSpace(text)
	if typed == "" {
		return 0, fmt.Errorf("no instrument given; write market and code, as in %s", u.example())
	}
	if len(typed) > maxTypedBytes {
		return 0, fmt.Errorf("%q… is not an instrument; write market and code, as in %s",
			strings.ToValidUTF8(typed[:maxTypedBytes], ""), u.example())
	}
	readings := readings(strings.ToUpper(typed))
	var found []ID
	for _, r := range readings {
		if id, ok := u.byMarket[r.market][r.code]; ok && !slices.Contains(found, id) {
			found = append(found, id)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return 0, fmt.Errorf("%q can be read as %s; write the one you mean", typed, u.candidates(found))
	}
	return 0, u.unknownError(typed, readings)
}

// reading is one way to split a typed text.
type reading struct {
	market int
	code   string
}

// readings returns all ways to split text, which is in upper case, into a market and a
// code.
func readings(text string) []reading {
	var all []reading
	add := func(name, code string) {
		code = strings.Trim(code, separators)
		if m := marketIndex(name); m >= 0 && code != "" {
			all = append(all, reading{m, code})
		}
	}
	// Try separators first. The code may contain one (BRK.B), so the market comes before
	// the first or after the last.
	if first := strings.IndexAny(text, separators); first >= 0 {
		last := strings.LastIndexAny(text, separators)
		add(text[:first], text[first+1:])
		add(text[last+1:], text[:last])
	}
	if len(all) > 0 {
		return all
	}
	for _, n := range []int{2, maxMarketBytes} {
		if len(text) > n {
			add(text[:n], text[n:])
			add(text[len(text)-n:], text[:len(text)-n])
		}
	}
	return all
}

const separators = ". :\t"

// unknownError explains why nothing was found, and names similar instruments.
func (u *Universe) unknownError(typed string, readings []reading) error {
	if len(readings) == 0 {
		code := strings.ToUpper(typed)
		if near := u.withCode(code); len(near) > 0 {
			return fmt.Errorf("%s is a code without its market; write %s", code, u.candidates(near))
		}
		if n := strings.IndexAny(code, separators); n >= 0 {
			near := append(u.withCode(code[n+1:]), u.withCode(code[:n])...)
			if len(near) > 0 {
				return fmt.Errorf("%q names no known market (%s); write %s", typed, marketNames(), u.candidates(near))
			}
		}
		return fmt.Errorf("%q is not an instrument; write market and code, as in %s", typed, u.example())
	}
	r := readings[0]
	if near := u.withCode(r.code); len(near) > 0 {
		return fmt.Errorf("there is no %s in %s; %s is %s", r.code, markets[r.market].name, r.code, u.candidates(near))
	}
	return fmt.Errorf("there is no %q in %s, nor in any other market; the list of instruments has, for example, %s",
		r.code, markets[r.market].name, u.example())
}

// withCode returns the instruments of any market with that code.
func (u *Universe) withCode(code string) []ID {
	var ids []ID
	for m := range u.byMarket {
		if id, ok := u.byMarket[m][code]; ok {
			ids = append(ids, id)
		}
	}
	return ids
}

// candidates lists instruments by spelling and name: "SH.000001 (上证指数) or SZ.000001
// (平安银行)".
func (u *Universe) candidates(ids []ID) string {
	spelled := make([]string, len(ids))
	for n, id := range ids {
		spelled[n] = fmt.Sprintf("%s (%s)", u.At(id), u.At(id).Name)
	}
	return strings.Join(spelled, " or ")
}

// example returns an instrument of this universe for use in a sentence.
func (u *Universe) example() string {
	if id, ok := u.Lookup([]byte("SH"), []byte("600519")); ok {
		return u.At(id).String()
	}
	return u.At(0).String()
}
