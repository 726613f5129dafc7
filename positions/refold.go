package positions

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/papertape/papertape/market"
)

// refold folds the touched instruments again, twice: as they were, which must give the
// current rows, and as changed.
func (p *plan) refold() BustOutcome {
	f := p.fold
	slices.SortFunc(p.changes, func(a, b change) int { return cmp.Compare(a.place, b.place) })
	for i, changes := p.startAtMark(), p.changes; i < f.tape.n; i++ {
		e := f.tape.at(i)
		if p.slots[e.instrument] == 0 {
			continue
		}
		t, was := &p.touched[p.slots[e.instrument]-1], e
		if len(changes) > 0 && changes[0].place == i {
			if was = &changes[0].was; !t.diverged {
				t.was, t.diverged = t.now, true
			}
			changes = changes[1:]
		}
		if o := p.step(t, was, e); o.Reason != NoBustRefusal {
			return o
		}
	}
	for i := range p.touched {
		was, row := &p.touched[i].was, &f.rows[p.touched[i].now.Instrument]
		if !was.sameState(row) {
			return BustOutcome{Reason: BustDamaged,
				detail: fmt.Sprintf("the trades that stand come to %s, and the history says %s",
					f.describe(was), f.describe(row))}
		}
	}
	return BustOutcome{}
}

// startAtMark sets the touched rows to the newest mark before all changes, and returns the number
// of trades up to it.
func (p *plan) startAtMark() int {
	marks := p.fold.marks
	n, _ := slices.BinarySearchFunc(marks, p.changes[0].place, func(m mark, place int) int {
		if m.trades <= place {
			return -1
		}
		return 1
	})
	if n == 0 {
		return 0
	}
	for i := range p.touched {
		p.touched[i].now = marks[n-1].rows[p.touched[i].now.Instrument]
	}
	return marks[n-1].trades
}

// step folds the next trade, both as it was and as changed.
func (p *plan) step(t *touch, was, is *taped) BustOutcome {
	gain, ok := t.now.step(is)
	if t.diverged {
		before, could := t.was.step(was)
		if !could {
			return p.damaged(was)
		}
		p.realised.add(gain)
		p.realised.sub(before)
	}
	switch {
	case ok:
		return BustOutcome{}
	case t.diverged:
		return BustOutcome{Reason: BustTooLarge}
	}
	return p.damaged(is)
}

// damaged is the outcome if the history contains an impossible trade even before any
// change.
func (p *plan) damaged(e *taped) BustOutcome {
	detail := fmt.Sprintf("history of account %d: too few %s were held, at the latest at event %d",
		p.fold.request.Account, p.fold.universe.At(e.instrument), e.seq)
	return BustOutcome{Reason: BustDamaged, detail: detail}
}

// event turns the plan, once refolded, into the account's next event.
func (p *plan) event(acc *account, prices *market.Prices, now int64, ev *Event) BustOutcome {
	r, original := p.fold.request, p.fold.target.trade
	*ev = Event{
		Account: acc.number, Seq: acc.seq + 1, Time: now, Kind: KindBust, Change: p.touch(original.Instrument).change(),
		Bust: &Bust{
			TradeSeq: r.TradeSeq, Reason: r.Reason, Actor: r.Actor, ID: r.ID, Original: original,
			Cascade: slices.Sorted(slices.Values(p.cascade)),
		},
	}
	if r.Correct {
		ev.Bust.Replacement = r.replacement(original)
	}
	var fits1, fits2, fits3, fits4 bool
	ev.Cash.Balance, fits1 = p.balance.plus(acc.cash.Balance)
	ev.Cash.FeesPaid, fits2 = p.fees.plus(acc.cash.FeesPaid)
	ev.Cash.Realised, fits3 = p.realised.plus(acc.cash.Realised)
	after := account{rows: slices.Clone(acc.rows)}
	for _, row := range p.rows(ev.Seq) {
		ev.Bust.Positions = append(ev.Bust.Positions, position(&row, prices))
		after.set(&row)
	}
	var v valuation
	v.addRows(after.rows, prices)
	ev.TotalMarketValue, fits4 = v.total()
	switch {
	case !fits1 || !fits2 || !fits3 || !fits4:
		return BustOutcome{Reason: BustTooLarge}
	case len(after.rows) > MaxRows:
		return BustOutcome{Reason: BustTooManyRows, Have: int64(len(after.rows)), Need: MaxRows}
	}
	return BustOutcome{}
}

// rows returns the touched rows as changed, ordered by market and code. A row in which
// nothing changes keeps its version.
func (p *plan) rows(seq uint64) []Row {
	rows := make([]Row, 0, len(p.touched))
	for i := range p.touched {
		row := p.touched[i].now
		row.Version = p.fold.rows[row.Instrument].Version
		if !row.sameState(&p.touched[i].was) {
			row.Version = seq
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b Row) int { return cmp.Compare(a.Instrument, b.Instrument) })
	return rows
}

// change classifies the change of the quantity.
func (t *touch) change() Change {
	switch was, now := t.was.Quantity, t.now.Quantity; {
	case was == now:
		return Unchanged
	case was == 0:
		return Opened
	case now == 0:
		return Closed
	case now > was:
		return Increased
	}
	return Decreased
}

// checkAccount returns an error if an account differs from what the history says.
func (f *Fold) checkAccount(a *account) error {
	if a.cash != f.cash {
		return fmt.Errorf("the book says %s, and the history %s", describeCash(a.cash), describeCash(f.cash))
	}
	held := 0
	for i := range f.rows {
		row := &f.rows[i]
		if row.Quantity == 0 {
			continue
		}
		if held == len(a.rows) || a.rows[held] != *row {
			return fmt.Errorf("the book does not have what the history says, %s", f.describe(row))
		}
		held++
	}
	if held != len(a.rows) {
		return fmt.Errorf("the book has %s, and the history none", f.describe(&a.rows[held]))
	}
	return nil
}

// Verify folds all standing trades from the beginning. It returns an error if the result
// differs from what the newest event says, or from the account in its book. The whole
// history must have been added.
func (f *Fold) Verify(v View) error {
	switch {
	case f.err != nil:
		return f.err
	case f.first != 1 || f.seq != v.Seq():
		return fmt.Errorf("account %d is at event %d, and its history is kept from %d to %d", v.Account(), v.Seq(),
			f.first, f.seq)
	}
	rows := noRows(f.universe)
	var realised wide
	for i := range f.tape.n {
		e := f.tape.at(i)
		gain, ok := rows[e.instrument].step(e)
		if !ok {
			return fmt.Errorf("account %d: trade %d cannot have been, of %s", v.Account(), e.seq,
				f.describe(&rows[e.instrument]))
		}
		realised.add(gain)
	}
	for i := range rows {
		rows[i].Version = f.rows[i].Version
		if rows[i] != f.rows[i] {
			return fmt.Errorf("account %d: the trades that stand come to %s, and the history says %s",
				v.Account(), f.describe(&rows[i]), f.describe(&f.rows[i]))
		}
	}
	if sum, _ := realised.plus(0); sum != f.cash.Realised {
		return fmt.Errorf("account %d: the trades that stand realised %s, and the history says %s",
			v.Account(), market.FormatMoney(sum), market.FormatMoney(f.cash.Realised))
	}
	if err := f.checkAccount(v.acc); err != nil {
		return fmt.Errorf("account %d: %w", v.Account(), err)
	}
	return nil
}
