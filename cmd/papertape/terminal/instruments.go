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
	// listingPage is how many instruments are shown when none is asked for by code. A server that does not
	// page lists no more than that.
	listingPage = 500
	nearMost    = 3 // instruments that a sentence suggests
)

// listing has the traded instruments as the server lists them. It serves completion and the parsing
// of what a person typed; prices are asked for when they are needed. It is immutable.
type listing struct {
	instruments []client.Instrument
	universe    *market.Universe
	complete    bool // the server has no other instruments
}

// fetchListing asks the server for the listing.
func fetchListing(ctx context.Context, a *client.Account) (*listing, error) {
	list, err := a.Instruments(ctx)
	if err != nil {
		return nil, err
	}
	return newListing(list, len(list) != listingPage)
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

// nameOf returns an instrument's name as it is shown and typed, or its code if the server's name is
// not usable.
func nameOf(in *client.Instrument) string {
	name := strings.TrimSpace(tidy(in.Name))
	if usertext.CheckLine(name, market.MaxNameBytes) != nil {
		return in.Code
	}
	return name
}

// with returns the listing with one more instrument.
func (l *listing) with(in client.Instrument) (*listing, error) {
	return newListing(append(slices.Clip(l.instruments), in), l.complete)
}

// find looks up what was typed: any spelling of market and code, or the exact name.
func (l *listing) find(typed string) (*market.Instrument, bool) {
	if id, err := l.universe.Parse(typed); err == nil {
		return l.universe.At(id), true
	}
	var named []*market.Instrument
	for _, in := range l.all() {
		if narrowForms(in.Name) == narrowForms(typed) {
			named = append(named, in)
		}
	}
	if len(named) == 1 {
		return named[0], true
	}
	return nil, false
}

// near returns instruments that may have been meant: their code or name is part of what was typed.
func (l *listing) near(typed string) (found []*market.Instrument) {
	typed = strings.ToUpper(typed)
	for _, in := range l.all() {
		if strings.Contains(typed, in.Code) || strings.Contains(typed, strings.ToUpper(in.Name)) {
			found = append(found, in)
		}
	}
	return found[:min(len(found), nearMost)]
}

// all returns the instruments by market and code.
func (l *listing) all() []*market.Instrument {
	list := make([]*market.Instrument, l.universe.Len())
	for i := range list {
		list[i] = l.universe.At(market.ID(i))
	}
	return list
}

// example returns an instrument for use in a sentence.
func (l *listing) example() string {
	if in, ok := l.find("SH.600519"); ok {
		return in.String()
	}
	return l.universe.At(0).String()
}

// unknown returns the sentence for an instrument that find did not find.
func (l *listing) unknown(c *catalogue, typed string) error {
	near := l.near(typed)
	if len(near) == 0 {
		return c.sentenceError(keyUnknownInstrument, typed, l.example())
	}
	names := make([]string, len(near))
	for i, in := range near {
		names[i] = fmt.Sprintf("%s (%s)", in, in.Name)
	}
	return c.sentenceError(keyInstrumentNear, typed, strings.Join(names, c.say(keyOr)))
}

// splitInstruments groups words into instruments. An instrument may take two words (SH 600519).
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

// isMarket says whether a word is only the name of a market, canonical or MIC.
func isMarket(word string) bool {
	_, _, ok := market.Canonical(strings.ToUpper(word))
	return ok
}

// resolve finds an instrument in the listing or, if the listing is incomplete, on the server.
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
