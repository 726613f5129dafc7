package judge

import (
	"maps"
	"math/big"
	"slices"
	"testing"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// model is an account, deliberately simple: a map and school arithmetic.
type model struct {
	number, seq    uint64
	cash, realised int64
	rows           map[market.ID]*row
}

type row struct{ quantity, cost, realised int64 }

func newModel(number uint64) *model { return &model{number: number, rows: make(map[market.ID]*row)} }

// modelOf returns a model that starts with holdings.
func modelOf(u *market.Universe, h *papertapev1.Holdings) *model {
	m := newModel(h.GetAccount())
	m.seq, m.cash, m.realised = h.GetAsOfSeq(), h.GetCash().GetBalance(), h.GetCash().GetRealised()
	for _, p := range h.GetPositions() {
		id, _ := u.Lookup([]byte(p.GetMarket()), []byte(p.GetCode()))
		m.rows[id] = &row{p.GetQuantity(), p.GetCost(), p.GetRealised()}
	}
	return m
}

func (m *model) adjust(cash int64) {
	m.seq++
	m.cash += cash
}

// trade books a purchase, or with a negative quantity a sale.
func (m *model) trade(id market.ID, quantity, price int64) {
	m.seq++
	m.cash -= quantity * price
	r := m.rows[id]
	if r == nil {
		r = new(row)
		m.rows[id] = r
	}
	if quantity > 0 {
		r.quantity, r.cost = r.quantity+quantity, r.cost+quantity*price
		return
	}
	out := share(r.cost, -quantity, r.quantity)
	gain := -quantity*price - out
	r.quantity, r.cost, r.realised = r.quantity+quantity, r.cost-out, r.realised+gain
	m.realised += gain
	if r.quantity == 0 {
		delete(m.rows, id)
	}
}

// share returns cost*part/whole, rounded half to even.
func share(cost, part, whole int64) int64 {
	twice := new(big.Int).Mul(big.NewInt(cost), big.NewInt(2*part))
	q, rest := new(big.Int).DivMod(twice, big.NewInt(2*whole), new(big.Int))
	switch c := rest.Cmp(big.NewInt(whole)); {
	case c > 0, c == 0 && q.Bit(0) == 1:
		return q.Int64() + 1
	}
	return q.Int64()
}

// apply books the trade of an event, and ignores what the event says about its result.
func (m *model) apply(u *market.Universe, ev *papertapev1.AccountEvent) {
	t := ev.GetTrade()
	id, _ := u.Lookup([]byte(t.GetMarket()), []byte(t.GetCode()))
	quantity := t.GetQuantity()
	if t.GetSide() == papertapev1.Side_SIDE_SELL {
		quantity = -quantity
	}
	m.trade(id, quantity, t.GetPrice())
}

// compare compares holdings with the model: rows, cash and hash.
func (m *model) compare(t *testing.T, u *market.Universe, h *papertapev1.Holdings) {
	t.Helper()
	var rows []positions.Position
	var names []string
	for _, id := range slices.Sorted(maps.Keys(m.rows)) {
		r := m.rows[id]
		rows = append(rows, positions.Position{Row: positions.Row{Instrument: id, Quantity: r.quantity,
			Cost: r.cost, Realised: r.realised}})
		names = append(names, u.At(id).String())
	}
	hash := positions.StateHash(u, m.number, m.seq, positions.Cash{Balance: m.cash, Realised: m.realised}, rows)
	if h.GetAsOfSeq() != m.seq || h.GetCash().GetBalance() != m.cash || !slices.Equal(keys(h), names) ||
		h.GetStateHash() != hash {
		t.Errorf("account %d: sequence %d, cash %d, rows %v, hash %x; want %d, %d, %v, %x", m.number,
			h.GetAsOfSeq(), h.GetCash().GetBalance(),
			keys(h), h.GetStateHash(), m.seq, m.cash, names, hash)
	}
}
