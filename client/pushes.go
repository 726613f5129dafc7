package client

import (
	"cmp"
	"maps"
	"slices"
)

// Bounds of the quotes and presence that wait for a slow caller.
const (
	quotedInstrumentsMax = 20_000 // as many as a server has; quotes of further instruments are dropped
	presentSessionsMax   = 1024   // if full, the state that has waited longest is dropped
)

// pushes are the quotes and presence that wait: the latest price of each instrument and the
// latest state of each session.
type pushes struct {
	quotes   map[instrument]Quote
	presence []*Presence // in the order in which the sessions first appeared
}

// instrument identifies an instrument; a code alone does not.
type instrument struct{ market, code string }

func (p *pushes) empty() bool { return len(p.quotes) == 0 && len(p.presence) == 0 }

// quote stores prices. Each replaces the price that its instrument had before.
func (p *pushes) quote(quotes []Quote) {
	if p.quotes == nil {
		p.quotes = make(map[instrument]Quote)
	}
	for _, q := range quotes {
		i := instrument{q.Market, q.Code}
		if _, known := p.quotes[i]; known || len(p.quotes) < quotedInstrumentsMax {
			p.quotes[i] = q
		}
	}
}

// present stores the state of a session in place of the one before.
func (p *pushes) present(state *Presence) {
	for i, before := range p.presence {
		if before.UID == state.UID {
			p.presence[i] = state
			return
		}
	}
	if len(p.presence) == presentSessionsMax {
		p.presence = slices.Delete(p.presence, 0, 1)
	}
	p.presence = append(p.presence, state)
}

// take returns the next push, or nil if none waits: the state of one session or, if no session
// waits, all prices, ordered by market and code.
func (p *pushes) take() Update {
	if len(p.presence) > 0 {
		state := p.presence[0]
		p.presence = slices.Delete(p.presence, 0, 1)
		return state
	}
	if len(p.quotes) == 0 {
		return nil
	}
	quotes := slices.SortedFunc(maps.Values(p.quotes), func(a, b Quote) int {
		return cmp.Or(cmp.Compare(a.Market, b.Market), cmp.Compare(a.Code, b.Code))
	})
	clear(p.quotes)
	return &Quotes{quotes}
}

// quote makes prices available to Next.
func (s *stream) quote(quotes []Quote) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.push.quote(quotes); !s.push.empty() {
		signal(s.pushed)
	}
}

// present makes the state of a session available to Next.
func (s *stream) present(state *Presence) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.push.present(state)
	signal(s.pushed)
}
