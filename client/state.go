package client

import (
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"slices"
)

// State is the state of an account as of a sequence.
type State struct {
	Account uint64
	Epoch   uint64 // of the history that Seq belongs to; 0 if nothing is known yet
	Seq     uint64 // of the last event applied

	// Positions are ordered by market, then code. A row's price and market value are as of the
	// event that last touched it.
	Positions []Position

	Cash Cash

	// TotalMarketValue is of all rows, at the prices of the last event.
	TotalMarketValue Money
}

// Position returns the row of an instrument. If the account holds none of it, the row is empty
// and held is false.
func (s *State) Position(market, code string) (row Position, held bool) {
	i, held := s.find(market, code)
	if !held {
		return Position{}, false
	}
	return s.Positions[i], true
}

// Hash returns the state hash of the protocol. If it differs from the state_hash of the
// server's holdings as of the same sequence, one of the two states is wrong.
func (s *State) Hash() uint64 {
	h := fnv.New64a()
	var buf []byte
	number := func(values ...int64) {
		for _, v := range values {
			buf = binary.BigEndian.AppendUint64(buf, uint64(v))
		}
	}
	number(int64(s.Account), int64(s.Seq), int64(s.Cash.Balance), int64(s.Cash.FeesPaid), int64(s.Cash.Realised))
	for i := range s.Positions {
		p := &s.Positions[i]
		buf = append(append(buf, p.Market...), 0)
		buf = append(append(buf, p.Code...), 0)
		number(p.Quantity, int64(p.Cost), int64(p.Realised))
	}
	_, _ = h.Write(buf) // never fails
	return h.Sum64()
}

// stateOf returns the state that holdings describe.
func stateOf(h *Holdings, epoch uint64) *State {
	s := &State{Account: h.Account, Epoch: epoch, Seq: h.AsOfSeq, TotalMarketValue: h.TotalMarketValue}
	if h.Cash != nil {
		s.Cash = *h.Cash
	}
	for i := range h.Positions {
		s.set(&h.Positions[i])
	}
	return s
}

// holdings is the inverse of stateOf.
func (s *State) holdings() *Holdings {
	return &Holdings{
		Account: s.Account, AsOfSeq: s.Seq, Positions: s.Positions, Cash: &s.Cash, TotalMarketValue: s.TotalMarketValue,
		StateHash: s.Hash(),
	}
}

// clone returns a copy that shares nothing mutable with s.
func (s *State) clone() *State {
	c := *s
	c.Positions = slices.Clone(s.Positions)
	return &c
}

// apply applies an event. All values in it are absolute, so a trade, a bust, an adjustment and a
// reset are treated alike.
func (s *State) apply(ev *Event) {
	s.Seq = ev.Seq
	for i := range ev.Positions {
		s.set(&ev.Positions[i])
	}
	if ev.Cash != nil {
		s.Cash = *ev.Cash
	}
	s.TotalMarketValue = ev.TotalMarketValue
}

// set inserts or replaces a row, or removes it if its quantity is 0.
func (s *State) set(p *Position) {
	i, held := s.find(p.Market, p.Code)
	switch {
	case p.Quantity == 0 && held:
		s.Positions = slices.Delete(s.Positions, i, i+1)
	case p.Quantity == 0:
	case held:
		s.Positions[i] = *p
	default:
		s.Positions = slices.Insert(s.Positions, i, *p)
	}
}

func (s *State) find(market, code string) (int, bool) {
	return slices.BinarySearchFunc(s.Positions, code, func(p Position, _ string) int {
		return cmp.Or(cmp.Compare(p.Market, market), cmp.Compare(p.Code, code))
	})
}
