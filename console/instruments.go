package console

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/papertape/papertape/market"
)

// pricesKeptMax is how many instruments have their prices remembered and sent every second: the first ones
// by market and code. A page shows no more, and for the others it asks.
const pricesKeptMax = 1000

var instrumentsQuery = acceptParameters(
	parameter{name: "after", check: func(value string) error { _, _, err := splitKey(value); return err }},
	number("limit"),
)

// splitKey reads the place behind which a page begins.
func splitKey(value string) (name, code string, err error) {
	typed, code, ok := strings.Cut(value, ".")
	name, _, known := market.Canonical(typed)
	if !ok || !known || code == "" {
		return "", "", fmt.Errorf("%q is not market and code; write them as in SH.600519", clip(value))
	}
	return name, code, nil
}

// instruments answers those behind the one named after, or all; an instrument that has gone is a place too.
func (s *Server) instruments(w http.ResponseWriter, r *http.Request) {
	u, first := s.cfg.Universe, 0
	if after := r.URL.Query().Get("after"); after != "" {
		name, code, _ := splitKey(after) // checked
		first = u.After(name, code)
	}
	most := u.Len()
	if limit := queryNumber(r, "limit"); limit > 0 {
		most = int(min(limit, uint64(most))) //nolint:gosec // at most the length
	}
	ids := u.ListedFrom(first, most+1)
	page := Instruments{Total: u.Listed(), More: len(ids) > most}
	ids = ids[:min(len(ids), most)]
	page.Instruments = make([]Instrument, len(ids))
	prices := s.cfg.Prices()
	for i, id := range ids {
		page.Instruments[i] = newInstrument(u.At(id), id, prices)
	}
	answer(w, page)
}

func newInstrument(in *market.Instrument, id market.ID, prices *market.Prices) Instrument {
	lower, upper := limitsOf(in, id, prices)
	return Instrument{
		Market: in.Market, Code: in.Code, Name: in.Name, Price: Money(prices.At(id)),
		PreviousClose: Money(in.PreviousClose), Lot: in.Lot, Tick: Money(in.Tick), Currency: in.Currency(),
		Status: prices.Status(id).String(), MIC: in.ExchangeMIC(),
		Upper: upper, Lower: lower,
	}
}

// limitsOf returns the lowest and the highest price of the day, or 0 for both if there is no limit.
func limitsOf(in *market.Instrument, id market.ID, prices *market.Prices) (lower, upper Money) {
	if in.LimitBps == 0 {
		return 0, 0
	}
	low, high := prices.Limits(id)
	return Money(low), Money(high)
}

// kept returns the instruments whose prices are remembered.
func (s *Server) kept() []market.ID { return s.cfg.Universe.ListedFrom(0, pricesKeptMax) }

// placeOf returns the place of an instrument among those kept, or -1.
func placeOf(kept []market.ID, id market.ID) int {
	if i, ok := slices.BinarySearch(kept, id); ok {
		return i
	}
	return -1
}
