package shadow

import (
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"

	"github.com/papertape/papertape/client"
)

// past is the trades that the rows of a shadow come from, so that they can be done anew. Before them there is the base:
// all rows as of a sequence.
type past struct {
	from   uint64      // the sequence of the base; 0: there is nothing before the trades
	base   map[Key]Row // with those that are gone, as far as they are known; never changed
	trades []standing  // since, in order; what is in it never changes, as clones share it
	keep   int         // trades that are kept at least; 0: all
	lost   bool        // a bust was of a trade before the base: the base is no longer right
}

// standing is a trade as it stands; nil: it was taken back.
type standing struct {
	seq   uint64
	trade *client.Trade
}

// add takes the next trade. Where there are twice as many as are kept, the older half is done to the base.
func (p *past) add(seq uint64, t *client.Trade) {
	p.trades = append(p.trades, standing{seq, t})
	if p.keep == 0 || len(p.trades) < 2*p.keep {
		return
	}
	older := p.trades[:len(p.trades)-p.keep]
	base := maps.Clone(p.base)
	if base == nil {
		base = make(map[Key]Row)
	}
	for _, s := range older {
		if s.trade != nil {
			k := KeyOf(s.trade.Market, s.trade.Code)
			r := base[k]
			r.step(new(Findings), s.trade) // what is wrong with it was found when it came
			base[k] = r
		}
	}
	p.from, p.base, p.trades = older[len(older)-1].seq, base, slices.Clone(p.trades[len(older):])
}

// find is where the trade of a sequence is; -1: there is none.
func (p *past) find(seq uint64) int {
	i, found := slices.BinarySearchFunc(p.trades, seq, func(s standing, seq uint64) int {
		switch {
		case s.seq < seq:
			return -1
		case s.seq > seq:
			return 1
		}
		return 0
	})
	if !found {
		return -1
	}
	return i
}

// fold does the trades of an instrument that stand anew, in their order. gain is what they realised. vague says that what
// the row had realised when it was last gone is not known, as that was before the base.
func (p *past) fold(f *Findings, trades []standing, k Key) (r Row, gain *big.Int, vague bool) {
	r, known := p.base[k]
	gain, vague = new(big.Int), !known && p.from > 0
	for _, s := range trades {
		if s.trade == nil || s.trade.Market != k.Market || s.trade.Code != k.Code {
			continue
		}
		if s.trade.Side != client.Buy && s.trade.Quantity > r.Quantity {
			f.Add("bust", fmt.Sprintf("no trade left that sells more than there is: %s has %d %s to sell",
				s.trade.ID, r.Quantity, k), strconv.FormatInt(s.trade.Quantity, 10))
		}
		gain.Add(gain, r.step(f, s.trade))
		vague = false // a row begins anew with its first buy
	}
	return r, gain, vague
}

// rebase begins the past anew with what is held now.
func (s *Shadow) rebase() {
	base := maps.Clone(s.gone)
	for k, r := range s.rows {
		base[k] = *r
	}
	s.past = past{from: s.seq, base: base, keep: s.past.keep}
}
