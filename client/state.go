package client

import (
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"slices"
)

// State is an account as of a sequence. Money is in 1/10000 of the currency.
type State struct {
	Account   uint64
	Epoch     uint64      // of the history that Seq belongs to; 0: nothing is known yet
	Seq       uint64      // of the last event in it
	Positions []*Position // by market, then code; price and market value of a row are of the event that last touched it
	Cash      *Cash
	// TotalMarketValue is that of all rows at the prices of the last event.
	TotalMarketValue int64
}

// Position returns the row of an instrument, nil where the account holds none of it.
func (s *State) Position(market, code string) *Position {
	if i, held := s.find(market, code); held {
		return s.Positions[i]
	}
	return nil
}

// Hash is the state hash of the protocol: equal to the state_hash of the server's holdings as of the same sequence, or one
// of the two is wrong.
func (s *State) Hash() uint64 {
	h := fnv.New64a()
	var buf []byte
	number := func(values ...int64) {
		for _, v := range values {
			buf = binary.BigEndian.AppendUint64(buf, uint64(v))
		}
	}
	number(int64(s.Account), int64(s.Seq), s.Cash.GetBalance(), s.Cash.GetFeesPaid(), s.Cash.GetRealised())
	for _, p := range s.Positions {
		buf = append(append(buf, p.GetMarket()...), 0)
		buf = append(append(buf, p.GetCode()...), 0)
		number(p.GetQuantity(), p.GetCost(), p.GetRealised())
	}
	_, _ = h.Write(buf) // never fails
	return h.Sum64()
}

// stateOf is the state that holdings say.
func stateOf(h *Holdings, epoch uint64) *State {
	s := &State{
		Account: h.GetAccount(), Epoch: epoch, Seq: h.GetAsOfSeq(), Cash: copyCash(h.GetCash()),
		TotalMarketValue: h.GetTotalMarketValue(),
	}
	for _, p := range h.GetPositions() {
		s.set(copyPosition(p))
	}
	return s
}

// holdings is the reverse of stateOf.
func (s *State) holdings() *Holdings {
	return &Holdings{
		Account: s.Account, AsOfSeq: s.Seq, Positions: s.Positions, Cash: s.Cash, TotalMarketValue: s.TotalMarketValue,
		StateHash: s.Hash(),
	}
}

// clone shares nothing with s.
func (s *State) clone() *State {
	c := *s
	c.Cash = copyCash(s.Cash)
	c.Positions = make([]*Position, len(s.Positions))
	for i, p := range s.Positions {
		c.Positions[i] = copyPosition(p)
	}
	return &c
}

// apply sets what an event says; every value in it is absolute, so a trade, a bust and an adjustment are alike.
func (s *State) apply(ev *AccountEvent) {
	s.Seq = ev.GetSeq()
	for _, p := range ev.GetPositions() {
		s.set(copyPosition(p))
	}
	if ev.GetCash() != nil {
		s.Cash = copyCash(ev.GetCash())
	}
	s.TotalMarketValue = ev.GetTotalMarketValue()
}

// set puts a row in its place; one of quantity 0 is gone.
func (s *State) set(p *Position) {
	i, held := s.find(p.GetMarket(), p.GetCode())
	switch {
	case p.GetQuantity() == 0 && held:
		s.Positions = slices.Delete(s.Positions, i, i+1)
	case p.GetQuantity() == 0:
	case held:
		s.Positions[i] = p
	default:
		s.Positions = slices.Insert(s.Positions, i, p)
	}
}

func (s *State) find(market, code string) (int, bool) {
	return slices.BinarySearchFunc(s.Positions, code, func(p *Position, _ string) int {
		return cmp.Or(cmp.Compare(p.GetMarket(), market), cmp.Compare(p.GetCode(), code))
	})
}

// copyPosition and copyCash copy every field; a clone by reflection costs ten times as much.
func copyPosition(p *Position) *Position {
	return &Position{
		Market: p.GetMarket(), Code: p.GetCode(), Name: p.GetName(), Quantity: p.GetQuantity(), Sellable: p.GetSellable(),
		Price: p.GetPrice(), MarketValue: p.GetMarketValue(), Cost: p.GetCost(), Realised: p.GetRealised(),
		RowVersion: p.GetRowVersion(),
	}
}

func copyCash(c *Cash) *Cash {
	return &Cash{Balance: c.GetBalance(), FeesPaid: c.GetFeesPaid(), Realised: c.GetRealised()}
}
