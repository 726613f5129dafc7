package console

import (
	"context"
	"fmt"
	"net/http"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// Holders is who holds most of an instrument, and what all accounts hold of it.
type Holders struct {
	Market   string   `json:"market"`
	Code     string   `json:"code"`
	Name     string   `json:"name"`
	Price    Money    `json:"price"`
	Accounts int      `json:"accounts"`
	Shares   int64    `json:"shares"`
	Holders  []Holder `json:"holders"`
}

// Holder is an account that holds an instrument.
type Holder struct {
	Account     uint64 `json:"account"`
	Quantity    int64  `json:"quantity"`
	Cost        Money  `json:"cost"`
	MarketValue Money  `json:"market_value"`
}

const holdersDefault = 20

// holdersSearch is the question for the holders of an instrument.
type holdersSearch struct {
	id    market.ID
	limit int
}

// instrumentOf reads the instrument in the path. If there is no such, it answers 404 and ok is false.
func (s *Server) instrumentOf(w http.ResponseWriter, r *http.Request) (id market.ID, ok bool) {
	id, err := s.instrumentNamed(r.PathValue("instrument"))
	if err != nil {
		fail(w, http.StatusNotFound, codeUnknownInstrument, fmt.Sprintf("%s; GET /api/v1/instruments lists them", err))
		return 0, false
	}
	return id, true
}

func (s *Server) holders(w http.ResponseWriter, r *http.Request) {
	id, ok := s.instrumentOf(w, r)
	if !ok {
		return
	}
	limit := queryNumber(r, "limit")
	if limit == 0 {
		limit = holdersDefault
	}
	q := holdersSearch{id, int(min(limit, accountsMax))}
	ctx, cancel := context.WithTimeout(r.Context(), answerTimeout)
	defer cancel()
	held, err := survey(ctx, s.surveys, q, func() (engine.Held, error) {
		return s.cfg.Books.Holders(ctx, q.id, q.limit)
	})
	if err != nil {
		s.failBooks(w, 0, err)
		return
	}
	in, price := s.cfg.Universe.At(id), s.cfg.Prices().At(id)
	all := Holders{
		Market: in.Market, Code: in.Code, Name: in.Name, Price: Money(price), Accounts: held.Accounts,
		Shares: held.Shares, Holders: make([]Holder, len(held.Most)),
	}
	for i, h := range held.Most {
		p := positions.Position{Row: h.Row, Price: price}
		all.Holders[i] = Holder{h.Account, h.Row.Quantity, Money(h.Row.Cost), Money(p.MarketValue())}
	}
	answer(w, all)
}
