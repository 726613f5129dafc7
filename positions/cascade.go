package positions

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/papertape/papertape/market"
)

// plan is what a bust does to a tape: the trades that it takes back or replaces, and what that comes to. It writes its
// changes onto the tape of its fold, so that folding need not ask of each trade whether it is meant, and can undo them.
type plan struct {
	fold     *Fold
	changes  []change
	touched  []touch                       // the instruments of changes
	slots    [market.MaxInstruments]uint16 // by instrument: its place in touched + 1; 0: not touched
	balance  wide                          // what the changes add to the cash
	fees     wide                          // and to the fees paid
	realised wide                          // and to what the account realised; by refold
	cascade  []uint64                      // the first MaxCascade trades taken back with the one asked for, in the order found
	more     bool                          // there are others
	work     int                           // entries of the tape that were walked over
	short    BustOutcome                   // what was short first; its Reason is NoBustRefusal where nothing was
}

// change is a trade as it was before the plan.
type change struct {
	place int
	was   taped
	fees  int64
}

// touch is an instrument of which trades change.
type touch struct {
	held     int64 // shares in the end
	was, now Row   // now's instrument is always set; the rest by refold
	parted   bool  // refold is past the first change
}

func newPlan(f *Fold) *plan { return &plan{fold: f} }

func (p *plan) touch(id market.ID) *touch {
	if p.slots[id] == 0 {
		p.touched = append(p.touched, touch{held: p.fold.rows[id].Quantity, now: Row{Instrument: id}})
		p.slots[id] = uint16(len(p.touched)) // at most MaxInstruments
	}
	return &p.touched[p.slots[id]-1]
}

// put has the trade at a place stand as e, with fees. A place is changed once.
func (p *plan) put(place int, e taped, fees int64) {
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
	p.put(place, e, 0)
}

func (p *plan) undo() {
	for _, c := range slices.Backward(p.changes) {
		*p.fold.tape.at(c.place) = c.was
		p.fold.tape.setFees(c.place, c.fees)
	}
}

// again makes the changes of a bust that is history.
func (p *plan) again(b *Bust) error {
	place, err := p.standing(b.TradeSeq)
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
		p.put(place, newTaped(b.TradeSeq, r), r.Fees)
	}
	for _, seq := range b.Cascade {
		place, err := p.standing(seq)
		if err != nil {
			return err
		}
		p.takeBack(place)
	}
	return nil
}

func (p *plan) standing(seq uint64) (place int, err error) {
	place, found := p.fold.tape.find(seq)
	if !found || p.fold.tape.at(place).quantity == 0 {
		return 0, fmt.Errorf("it takes trade %d back, which does not stand", seq)
	}
	return place, nil
}

// make takes back or replaces what the request asks for, and as many other trades as it takes for no sale to be of shares
// that are not there and for cash, which is at balance, not to end below 0: of shares the newest later sales of the
// instrument, of cash the newest buys of the account, one after the other. It refuses where it would not help, else where
// that would be more than MaxCascade, else where the policy says so. To know whether it would help, it goes on past
// MaxCascade, as far as workMax lets it.
func (p *plan) make(balance int64) BustOutcome {
	r, t := p.fold.request, &p.fold.target
	if r.Correct {
		replacement := r.replacement(t.trade)
		p.put(t.place, newTaped(r.TradeSeq, replacement), replacement.Fees)
	} else {
		p.takeBack(t.place)
	}
	o := p.settle(t.trade.Instrument, t.place)
	if o.Reason == NoBustRefusal {
		o = p.raise(balance)
	}
	if o.Reason == NoBustRefusal && p.more {
		o.Reason = BustCascadeTooLong
	}
	switch tooLong := o.Reason == BustCascadeTooLong; {
	case o.Reason != NoBustRefusal && !tooLong:
		return o
	case r.Policy != PolicyCascade && len(p.cascade) > 0:
		o = p.short
		o.InTheWay, o.More = p.inTheWay(), tooLong
	case tooLong:
		o.InTheWay, o.More = p.inTheWay(), true
	}
	return o
}

// inTheWay are the trades of the cascade, newest first.
func (p *plan) inTheWay() []uint64 {
	names := slices.Clone(p.cascade)
	slices.SortFunc(names, func(a, b uint64) int { return cmp.Compare(b, a) })
	return names
}

// settle takes back sales of an instrument until each is of shares that are there. Up to from, nothing changed.
//
// Taken back one after the other, newest first, they are the first sale that is short and all later ones: later ones alone
// do not help it, and with it gone too only buys are left there. But the trade that is being corrected stays, and may be a
// sale that is short itself.
func (p *plan) settle(id market.ID, from int) BustOutcome {
	for {
		place, have := p.firstShort(id, from)
		if place < 0 {
			return BustOutcome{}
		}
		sale := p.fold.tape.at(place)
		if sale.quantity >= 0 { // shares were short before anything was changed
			return p.damaged(sale)
		}
		o := BustOutcome{Reason: BustSharesGone, Instrument: id, Seq: sale.seq, Have: have, Need: -int64(sale.quantity)}
		p.note(o)
		if place == p.fold.target.place {
			return o
		}
		for i := p.fold.tape.n - 1; i >= place; i-- {
			if e := p.fold.tape.at(i); e.instrument != id || e.quantity >= 0 || i == p.fold.target.place {
				continue
			}
			if !p.add(i) {
				return BustOutcome{Reason: BustCascadeTooLong}
			}
		}
	}
}

// firstShort is the first sale of an instrument, from a place on, of more shares than there are, and how many there are;
// place -1: none. It walks back from what is held in the end, so that it is quick where from is recent.
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

// raise takes back buys of the account, newest first, and what hangs on them, until cash is not below 0.
func (p *plan) raise(balance int64) BustOutcome {
	short := BustOutcome{Reason: BustCashGone}
	for i := p.fold.tape.n - 1; ; i-- {
		cash, _ := p.balance.plus(balance) // where it does not fit, it is beyond on the same side of 0
		if cash >= 0 {
			return BustOutcome{}
		}
		if short.Have == 0 {
			short.Have = cash
			p.note(short)
		}
		for i >= 0 && (p.fold.tape.at(i).quantity <= 0 || i == p.fold.target.place) {
			i--
		}
		if i < 0 {
			return short
		}
		if !p.add(i) {
			return BustOutcome{Reason: BustCascadeTooLong}
		}
		switch o := p.settle(p.fold.tape.at(i).instrument, i); o.Reason {
		case NoBustRefusal:
		case BustSharesGone:
			return short // the buy held up the trade that is being corrected
		default:
			return o
		}
	}
}

// note keeps what was short first.
func (p *plan) note(o BustOutcome) {
	if p.short.Reason == NoBustRefusal {
		p.short = o
	}
}

// workMax bounds how far a plan walks over a tape of n trades, in entries: it is made by the book's owner, and orders wait
// meanwhile. Four million take some 5 ms; of a longer tape, what MaxCascade trades can cost that each shorten another
// instrument.
func workMax(n int) int { return max(4<<20, MaxCascade*n) }

// add takes a trade back with the one asked for. It is false where that has become too much work.
func (p *plan) add(place int) bool {
	if len(p.cascade) < MaxCascade {
		p.cascade = append(p.cascade, p.fold.tape.at(place).seq)
	} else if p.more = true; p.work > workMax(p.fold.tape.n) {
		return false
	}
	p.takeBack(place)
	return true
}
