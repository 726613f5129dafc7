package terminal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/usertext"
)

const (
	// listingPage is how many instruments the server lists when it is not asked for any by code.
	listingPage = 500
	nearMost    = 3 // instruments that a sentence names
)

// listing is what is traded, as the server lists it. It is for completion and for reading what a person typed; prices are
// asked for when they are wanted. It does not change.
type listing struct {
	instruments []client.Instrument
	universe    *market.Universe
	complete    bool // there is nothing else on the server
}

// fetchListing asks the server.
func fetchListing(ctx context.Context, a *client.Account) (*listing, error) {
	list, err := a.Instruments(ctx)
	if err != nil {
		return nil, err
	}
	return newListing(list, len(list) < listingPage)
}

func newListing(list []client.Instrument, complete bool) (*listing, error) {
	entries := make([]market.Instrument, len(list))
	for i := range list {
		in := &list[i]
		entries[i] = market.Instrument{
			Market: in.Market, Code: in.Code, Name: nameOf(in),
			PreviousClose: int64(in.PreviousClose), Lot: in.Lot, Tick: int64(in.Tick),
		}
	}
	u, err := market.NewUniverse(entries)
	if err != nil {
		return nil, fmt.Errorf("the server's list of instruments: %w", err)
	}
	return &listing{instruments: list, universe: u, complete: complete}, nil
}

// nameOf is an instrument's name as it is shown and typed; where a server's is no name, its code.
func nameOf(in *client.Instrument) string {
	name := strings.TrimSpace(tidy(in.Name))
	if usertext.CheckLine(name, market.MaxNameBytes) != nil {
		return in.Code
	}
	return name
}

// with is the listing and one instrument more.
func (l *listing) with(in client.Instrument) (*listing, error) {
	return newListing(append(slices.Clip(l.instruments), in), l.complete)
}

// find reads an instrument from what was typed: any spelling of market and code, or the very name.
func (l *listing) find(typed string) (*market.Instrument, bool) {
	if id, err := l.universe.Parse(typed); err == nil {
		return l.universe.At(id), true
	}
	var named []*market.Instrument
	for _, in := range l.all() {
		if narrow(in.Name) == narrow(typed) {
			named = append(named, in)
		}
	}
	if len(named) == 1 {
		return named[0], true
	}
	return nil, false
}

// near are instruments that may have been meant: those whose code or name is in what was typed.
func (l *listing) near(typed string) (found []*market.Instrument) {
	typed = strings.ToUpper(typed)
	for _, in := range l.all() {
		if strings.Contains(typed, in.Code) || strings.Contains(typed, strings.ToUpper(in.Name)) {
			found = append(found, in)
		}
	}
	return found[:min(len(found), nearMost)]
}

// all are the instruments by market and code.
func (l *listing) all() []*market.Instrument {
	list := make([]*market.Instrument, l.universe.Len())
	for i := range list {
		list[i] = l.universe.At(market.ID(i))
	}
	return list
}

// example is an instrument that a sentence can name.
func (l *listing) example() string {
	if in, ok := l.find("SH.600519"); ok {
		return in.String()
	}
	return l.universe.At(0).String()
}

// unknown is the sentence for what find does not find.
func (l *listing) unknown(c *catalogue, typed string) error {
	near := l.near(typed)
	if len(near) == 0 {
		return c.wrong(keyUnknownInstrument, typed, l.example())
	}
	names := make([]string, len(near))
	for i, in := range near {
		names[i] = fmt.Sprintf("%s (%s)", in, in.Name)
	}
	return c.wrong(keyInstrumentNear, typed, strings.Join(names, c.say(keyOr)))
}

// splitInstruments tells which words are an instrument each; one may be in two (SH 600519).
func splitInstruments(words []string) (typed []string) {
	for len(words) > 0 {
		n := 1
		if len(words) > 1 && isMarket(words[0]) {
			n = 2
		}
		typed = append(typed, strings.Join(words[:n], " "))
		words = words[n:]
	}
	return typed
}

// isMarket says whether a word is the name of a market and nothing else, canonical or MIC.
func isMarket(word string) bool {
	switch strings.ToUpper(word) {
	case "BJ", "XBSE", "BJSE", "HK", "XHKG", "SH", "XSHG", "SZ", "XSHE", "US", "XNYS", "XNAS":
		return true
	}
	return false
}

// resolve finds an instrument, here or, where the listing is not all there is, on the server.
func (s *session) resolve(ctx context.Context, typed string) (*market.Instrument, error) {
	l := s.listing.Load()
	if in, ok := l.find(typed); ok {
		return in, nil
	}
	if l.complete {
		return nil, l.unknown(s.words, typed)
	}
	list, err := s.account.Instruments(ctx, typed)
	var refused *client.Reject
	switch {
	case errors.As(err, &refused) && refused.Code == client.UnknownInstrument:
		return nil, l.unknown(s.words, typed)
	case err != nil:
		return nil, err
	case len(list) == 0:
		return nil, l.unknown(s.words, typed)
	}
	more, err := l.with(list[0])
	if err != nil {
		return nil, err
	}
	s.listing.Store(more)
	if in, ok := more.find(typed); ok {
		return in, nil
	}
	return nil, l.unknown(s.words, typed)
}
