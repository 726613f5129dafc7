package tape

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/papertape/papertape/market"
)

// spelledMax bounds how many spellings are remembered.
const spelledMax = 1 << 16

// instruments finds the instruments that a file names. Unlike Universe.Parse, it takes a code
// without its market if only one market has it: a file that was recorded does not change its
// meaning when an instrument is listed later.
type instruments struct {
	universe *market.Universe
	byCode   map[string][]market.ID
	spelled  map[string]int // what was found before, or -1, by market, a zero byte, and code
	key      []byte         // of the last question
	listed   []market.ID    // one instrument of each market
}

func newInstruments(u *market.Universe) *instruments {
	in := &instruments{universe: u, byCode: make(map[string][]market.ID, u.Len()), spelled: make(map[string]int)}
	for n := range u.Len() {
		code := u.At(market.ID(n)).Code
		if n == 0 || u.At(market.ID(n-1)).Market != u.At(market.ID(n)).Market {
			in.listed = append(in.listed, market.ID(n))
		}
		in.byCode[code] = append(in.byCode[code], market.ID(n))
	}
	return in
}

// find returns the instrument of a market, which may be empty, and a code.
func (in *instruments) find(marketName, code []byte) (market.ID, bool) {
	in.key = append(append(append(in.key[:0], marketName...), 0), code...)
	if n, ok := in.spelled[string(in.key)]; ok {
		return market.ID(max(n, 0)), n >= 0
	}
	id, err := in.search(string(marketName), string(code))
	found := int(id)
	if err != nil {
		found = -1
	}
	if len(in.spelled) < spelledMax {
		in.spelled[string(in.key)] = found
	}
	return id, err == nil
}

// exchanges are names of exchanges that are neither markets here nor MIC codes.
var exchanges = map[string]string{
	"SSE": "SH", "SHSE": "SH", "SZSE": "SZ", "BSE": "BJ", "SEHK": "HK", "HKEX": "HK", "NYSE": "US", "NASDAQ": "US",
	"AMEX": "US", "ARCA": "US", "NYSEARCA": "US", "ARCX": "US", "BATS": "US", "IEX": "US", "上交所": "SH", "深交所": "SZ",
	"北交所": "BJ",
}

// search finds an instrument in all spellings. The error is a sentence.
func (in *instruments) search(marketName, code string) (market.ID, error) {
	marketName, code = strings.ToUpper(marketName), strings.ToUpper(code)
	if name, ok := exchanges[marketName]; ok {
		marketName = name
	}
	variants := codeVariants(code)
	for _, c := range variants {
		if id, ok := in.universe.Lookup([]byte(marketName), []byte(c)); ok {
			return id, nil
		}
	}
	if in.knowsMarket(marketName) {
		return 0, fmt.Errorf("there is no %q in %s", clip(code), marketName)
	}
	for _, c := range variants {
		switch found := in.byCode[c]; {
		case len(found) == 1:
			return found[0], nil
		case len(found) > 1:
			return 0, fmt.Errorf("%s is in several markets: %s and %s; the file must say which one", c,
				in.universe.At(found[0]), in.universe.At(found[1]))
		}
	}
	if id, err := in.universe.Parse(code); err == nil {
		return id, nil
	}
	return 0, fmt.Errorf("%q is no instrument of this universe", clip(code))
}

// codeVariants returns a code, and how it would be spelled here if it came from elsewhere:
// BRK/B and BRK-B are BRK.B, and 1 is 000001 or 00001 where a program took it for a number.
func codeVariants(code string) []string {
	all := []string{code}
	if strings.ContainsAny(code, "/-") {
		all = append(all, strings.NewReplacer("/", ".", "-", ".").Replace(code))
	}
	if n := len(code); n > 0 && n < 6 && countDigits([]byte(code)) == n {
		all = append(all, "000000"[n:]+code)
		if n < 5 {
			all = append(all, "00000"[n:]+code)
		}
	}
	return all
}

// knowsMarket reports whether a name is that of a market with instruments.
func (in *instruments) knowsMarket(name string) bool {
	return slices.ContainsFunc(in.listed, func(id market.ID) bool {
		_, ok := in.universe.Lookup([]byte(name), []byte(in.universe.At(id).Code))
		return ok
	})
}

// why returns a sentence about what find did not find.
func (in *instruments) why(marketName, code []byte) string {
	if len(bytes.TrimSpace(code)) == 0 {
		return "it names no instrument"
	}
	if _, err := in.search(string(marketName), string(code)); err != nil {
		return err.Error()
	}
	return "it is unknown"
}
