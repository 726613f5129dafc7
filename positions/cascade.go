package positions

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/papertape/papertape/market"
)

// plan is the effect of a bust on a tape: the trades it takes back or replaces, and what
// they add up to. It writes its changes onto the tape itself, so that folding need not
// check for each trade whether it changed. It can undo them.
type plan struct {
	fold     *Fold
	changes  []change
	touched  []touch     // the instruments of changes
	slots    []uint32    // by instrument: index in touched + 1; 0: not touched
	balance  wide        // what the changes add to the cash
	fees     wide        // what the changes add to the fees paid
	realised wide        // what the changes add to the realised gain; set by refold
	cascade  []uint64    // the first MaxCascade dependent trades taken back, in the order found
	more     bool        // more dependent trades were taken back than cascade holds
	work     int         // number of tape entries visited
	shortage BustOutcome // the first shortage; its Reason is NoBustRefusal if there was none
}

// change is a trade as it was before the plan changed it.
type change struct {
	place int
	was   taped
	fees  int64
}

// touch is an instrument in which trades change.
type touch struct {
	held     int64 // shares held in the end
	was, now Row   // now.Instrument is always set; refold sets the rest
	diverged bool  // refold has passed the first change
}

func newPlan(f *Fold) *plan { return &plan{fold: f, slots: make([]uint32, f.universe.Len())} }

func (p *plan) touch(id market.ID) *touch {
	if p.slots[id] == 0 {
		p.touched = append(p.touched, touch{held: p.fold.rows[id].Quantity, now: Row{Instrument: id}})
		p.slots[id] = uint32(len(p.touched)) //nolint:gosec // at most the length of the universe
	}
	return &p.touched[p.slots[id]-1]
}

// replaceTrade replaces the trade at a place by e, with fees. A place is changed at most once.
func (p *plan) replaceTrade(place int, e taped, fees int64) {
	was, feesWere := *p.fold.tape.at(place), p.fold.tape.fees(place)
	p.changes = append(p.changes, change{place, was, feesWere})
	*p.fold.tape.at(place) = e
	p.fold.tape.setFees(place, fees)
	p.balance.add(was.amount())
	p.balance.add(feesWere)
	p.balance.sub(e.amount())
	p.balance.sub(fees)
	p.fees.sub(feesWere)
	p.fees.add(fees)
	p.touch(was.instrument).held += int64(e.quantity) - int64(was.quantity)
}

func (p *plan) takeBack(place int) {
	e := *p.fold.tape.at(place)
	e.quantity = 0
	p.replaceTrade(place, e, 0)
}

func (p *plan) undo() {
	for _, c := range slices.Backward(p.changes) {
		*p.fold.tape.at(c.place) = c.was
		p.fold.tape.setFees(c.place, c.fees)
	}
}

// replayBust applies a bust that is already part of the history.
func (p *plan) replayBust(b *Bust) error {
	place, err := p.findStanding(b.TradeSeq)
	if err != nil {
		return err
	}
	tape := &p.fold.tape
	if err := p.fold.checkTrade(&b.Original); err != nil {
		return err
	}
	if newTaped(b.TradeSeq, &b.Original) != *tape.at(place) || b.Original.Fees != tape.fees(place) {
		return fmt.Errorf("its original is not what trade %d is", b.TradeSeq)
	}
	if r := b.Replacement; r == nil {
		p.takeBack(place)
	} else {
		if err := p.fold.checkTrade(r); err != nil {
			return err
		}
		if r.Instrument != b.Original.Instrument || r.Side != b.Original.Side || r.Revision != b.Original.Revision+1 {
			return errors.New("its replacement is not a correction of its original")
		}
		p.replaceTrade(place, newTaped(b.TradeSeq, r), r.Fees)
	}
	for _, seq := range b.Cascade {
		place, err := p.findStanding(seq)
		if err != nil {
			return err
		}
		p.takeBack(place)
	}
	return nil
}

func (p *plan) findStanding(seq uint64) (place int, err error) {
	place, found := p.fold.tape.find(seq)
	if !found || p.fold.tape.at(place).quantity == 0 {
		return 0, fmt.Errorf("it takes trade %d back, which does not stand", seq)
	}
	return place, nil
}

// build changes the trade that the request names, and takes back as many dependent trades as
// necessary, so that no sale is short of shares and cash, now at balance, does not end
// below 0. For shares these are the newest later sales of the instrument, for cash the
// account's newest buys, one after the other. It refuses the request in this order: if
// taking trades back would not help; if it takes more than MaxCascade trades; if the policy
// forbids a cascade. To learn whether it would help, it continues past MaxCascade, within
// workMax.
func (p *plan) build(balance int64) BustOutcome {
	r, t := p.fold.request, &p.fold.target
	if r.Correct {
		replacement := r.replacement(t.trade)
		p.replaceTrade(t.place, newTaped(r.TradeSeq, replacement), replacement.Fees)
	} else {
		p.takeBack(t.place)
	}
	o := p.coverShares(t.trade.Instrument, t.place)
	if o.Reason == NoBustRefusal {
		o = p.coverCash(balance)
	}
	if o.Reason == NoBustRefusal && p.more {
		o.Reason = BustCascadeTooLong
	}
	switch tooLong := o.Reason == BustCascadeTooLong; {
	case o.Reason != NoBustRefusal && !tooLong:
		return o
	case r.Policy != PolicyCascade && len(p.cascade) > 0:
		o = p.shortage
		o.InTheWay, o.More = p.inTheWay(), tooLong
	case tooLong:
		o.InTheWay, o.More = p.inTheWay(), true
	}
	return o
}

// inTheWay returns the trades of the cascade, newest first.
func (p *plan) inTheWay() []uint64 {
	names := slices.Clone(p.cascade)
	slices.SortFunc(names, func(a, b uint64) int { return cmp.Compare(b, a) })
	return names
}

// coverShares takes back sales of an instrument until none is short of shares. Nothing changed
// before place from.
//
// Taking sales back one by one, newest first, ends with the first sale that is short and
// all later ones gone: taking back only later ones does not help it, and without it only
// buys are left. The exception is the trade being corrected, which stays, and may itself be
// a sale that is short.
func (p *plan) coverShares(id market.ID, from int) BustOutcome {
	for {
		place, have := p.firstShort(id, from)
		if place < 0 {
			return BustOutcome{}
		}
		sale := p.fold.tape.at(place)
		if sale.quantity >= 0 { // shares were short before anything changed
			return p.damaged(sale)
		}
		o := BustOutcome{Reason: BustSharesGone, Instrument: id, Seq: sale.seq, Have: have, Need: -int64(sale.quantity)}
		p.noteShortage(o)
		if place == p.fold.target.place {
			return o
		}
		for i := p.fold.tape.n - 1; i >= place; i-- {
			if e := p.fold.tape.at(i); e.instrument != id || e.quantity >= 0 || i == p.fold.target.place {
				continue
			}
			if !p.addToCascade(i) {
				return BustOutcome{Reason: BustCascadeTooLong}
			}
		}
	}
}

// firstShort returns the first sale of an instrument, at or after place from, that is short
// of shares, and how many shares were held; place is -1 if there is none. It walks
// backwards from the final holding, so it is fast if from is recent.
func (p *plan) firstShort(id market.ID, from int) (place int, have int64) {
	place = -1
	held := p.touch(id).held
	p.work += p.fold.tape.n - from
	for i := p.fold.tape.n - 1; i >= from; i-- {
		e := p.fold.tape.at(i)
		if e.instrument != id {
			continue
		}
		before := held - int64(e.quantity)
		if held < 0 {
			place, have = i, before
		}
		held = before
	}
	return place, have
}

// coverCash takes back the account's buys, newest first, and the sales that depend on them,
// until cash is no longer negative.
func (p *plan) coverCash(balance int64) BustOutcome {
	short := BustOutcome{Reason: BustCashGone}
	for i := p.fold.tape.n - 1; ; i-- {
		cash, _ := p.balance.plus(balance) // if it does not fit, the clamped value has the right sign
		if cash >= 0 {
			return BustOutcome{}
		}
		if short.Have == 0 {
			short.Have = cash
			p.noteShortage(short)
		}
		for i >= 0 && (p.fold.tape.at(i).quantity <= 0 || i == p.fold.target.place) {
			i--
		}
		if i < 0 {
			return short
		}
		if !p.addToCascade(i) {
			return BustOutcome{Reason: BustCascadeTooLong}
		}
		switch o := p.coverShares(p.fold.tape.at(i).instrument, i); o.Reason {
		case NoBustRefusal:
		case BustSharesGone:
			return short // the trade being corrected needs the shares of this buy
		default:
			return o
		}
	}
}

// noteShortage keeps the first shortage.
func (p *plan) noteShortage(o BustOutcome) {
	if p.shortage.Reason == NoBustRefusal {
		p.shortage = o
	}
}

// workMax bounds the number of entries that a plan visits on a tape of n trades: the book's
// owner makes the plan, and orders wait meanwhile. Four million entries take about 5 ms.
// For longer tapes the bound is the work of MaxCascade trades that each leave a different
// instrument short.
func workMax(n int) int { return max(4<<20, MaxCascade*n) }

// addToCascade takes back a dependent trade. It returns false if the work has exceeded its bound.
func (p *plan) addToCascade(place int) bool {
	if len(p.cascade) < MaxCascade {
		p.cascade = append(p.cascade, p.fold.tape.at(place).seq)
	} else if p.more = true; p.work > workMax(p.fold.tape.n) {
		return false
	}
	p.takeBack(place)
	return true
}
