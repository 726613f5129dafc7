package shadow

import (
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"

	"github.com/papertape/papertape/client"
)

// past has the trades that the rows of a shadow result from, so that they can be replayed. Before
// the trades there is the base: all rows as of a sequence.
type past struct {
	from   uint64      // the sequence of the base; 0 if nothing precedes the trades
	base   map[Key]Row // with rows that are gone, as far as they are known; immutable
	trades []standing  // the trades after the base, in order; the elements are immutable, as clones share them
	keep   int         // the least number of trades to keep; 0 keeps all
	lost   bool        // a bust concerned a trade before the base, so the base is wrong now
}

// standing is a trade in its current form; nil means that it was taken back.
type standing struct {
	seq   uint64
	trade *client.Trade
}

// add appends the next trade. When there are twice as many as have to be kept, the older half goes
// into the base.
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
			r.step(new(Findings), s.trade) // what is wrong with the trade was reported when it arrived
			base[k] = r
		}
	}
	p.from, p.base, p.trades = older[len(older)-1].seq, base, slices.Clone(p.trades[len(older):])
}

// find returns the index of the trade with a sequence, or -1.
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

// refold replays the standing trades of an instrument in their order. gain is the profit that they
// realised. vague says that the profit which the row had realised when it was last gone is unknown,
// because that was before the base.
func (p *past) refold(f *Findings, trades []standing, k Key) (r Row, gain *big.Int, vague bool) {
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
		vague = false // a row starts anew with its first buy
	}
	return r, gain, vague
}

// rebase makes what is held now the new base.
func (s *Shadow) rebase() {
	base := maps.Clone(s.gone)
	for k, r := range s.rows {
		base[k] = *r
	}
	s.past = past{from: s.seq, base: base, keep: s.past.keep}
}
