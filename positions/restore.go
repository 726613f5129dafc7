package positions

import (
	"fmt"
	"slices"
)

// Restore opens an account in the state after its event seq. rows are sorted by instrument,
// as AppendRows returns them. The account must not be open. If an account cannot be in that
// state, Restore returns an error and the book is unchanged. The book keeps no reference to
// rows.
func (b *Book) Restore(number, seq uint64, cash Cash, rows []Row) error {
	if b.find(number) != nil {
		return fmt.Errorf("account %d is restored twice", number)
	}
	if seq == 0 {
		return fmt.Errorf("account %d is restored as of event 0: it has none, so it is not open", number)
	}
	if len(rows) > MaxRows {
		return fmt.Errorf("account %d holds %d instruments; at most %d can be", number, len(rows), MaxRows)
	}
	if err := cash.check(); err != nil {
		return fmt.Errorf("account %d as of event %d: %w", number, seq, err)
	}
	for i := range rows {
		row := &rows[i]
		if err := b.checkRow(row, seq); err != nil {
			return fmt.Errorf("account %d as of event %d: %w", number, seq, err)
		}
		if row.Quantity == 0 {
			return fmt.Errorf("account %d as of event %d: the row of instrument %d has quantity 0", number, seq,
				row.Instrument)
		}
		if i > 0 && row.Instrument <= rows[i-1].Instrument {
			return fmt.Errorf("account %d as of event %d: the row of instrument %d comes after that of %d",
				number, seq, row.Instrument, rows[i-1].Instrument)
		}
	}
	acc := b.open(number)
	acc.seq, acc.cash = seq, cash
	if len(rows) > 0 {
		acc.rows = slices.Clone(rows)
	}
	return nil
}

// Check returns what is wrong with an event that did not just come from this book's Decide,
// but from elsewhere, for example a disk. After a successful Check, Apply does not panic,
// and the account ends in a possible state. Check does not compute the event again.
func (b *Book) Check(ev *Event) error {
	var seq uint64
	acc := b.find(ev.Account)
	if acc != nil {
		seq = acc.seq
	}
	if ev.Seq != seq+1 {
		return fmt.Errorf("account %d is at event %d, so %d is next; this is event %d", ev.Account, seq, seq+1, ev.Seq)
	}
	if err := b.checkContent(acc, ev); err != nil {
		return fmt.Errorf("event %d of account %d: %w", ev.Seq, ev.Account, err)
	}
	return nil
}

func (b *Book) checkContent(acc *account, ev *Event) error {
	if err := ev.Cash.check(); err != nil {
		return err
	}
	switch ev.Kind {
	case KindTrade:
		return b.checkTrade(acc, ev)
	case KindBust:
		if ev.Bust == nil {
			return fmt.Errorf("it takes a trade back and does not say which")
		}
		for i := range ev.Bust.Positions {
			if err := b.checkRow(&ev.Bust.Positions[i].Row, ev.Seq); err != nil {
				return err
			}
		}
	case KindAdjustment:
		if ev.Adjustment == nil {
			return fmt.Errorf("it books cash and does not say how much")
		}
	case KindReset:
		return b.checkReset(acc, ev)
	default:
		return fmt.Errorf("it is of unknown kind %d", ev.Kind)
	}
	return nil
}

func (b *Book) checkTrade(acc *account, ev *Event) error {
	t, row := &ev.Trade, &ev.Position.Row
	if acc == nil {
		return fmt.Errorf("it trades before the account was opened")
	}
	if t.Side != Buy && t.Side != Sell {
		return fmt.Errorf("its trade has side %d", t.Side)
	}
	if t.Quantity <= 0 || t.Price < 0 || t.Limit < 0 {
		return fmt.Errorf("its trade is of %d shares at %d, limit %d", t.Quantity, t.Price, t.Limit)
	}
	if row.Instrument != t.Instrument {
		return fmt.Errorf("its trade is in instrument %d, its row in %d", t.Instrument, row.Instrument)
	}
	if err := b.checkRow(row, ev.Seq); err != nil {
		return err
	}
	if _, held := acc.search(row.Instrument); !held && row.Quantity > 0 && len(acc.rows) >= MaxRows {
		return fmt.Errorf("it opens a row where there are %d, the most there can be", len(acc.rows))
	}
	return nil
}

// checkRow makes the checks that need only the row, as of event seq of its account.
func (b *Book) checkRow(row *Row, seq uint64) error {
	switch {
	case int(row.Instrument) >= b.universe.Len():
		return fmt.Errorf("there is no instrument %d", row.Instrument)
	case row.Quantity < 0 || row.Cost < 0:
		return fmt.Errorf("the row of instrument %d has quantity %d and cost %d", row.Instrument, row.Quantity,
			row.Cost)
	case row.Version == 0 || row.Version > seq:
		return fmt.Errorf("the row of instrument %d was last changed by event %d, which is none of its past",
			row.Instrument, row.Version)
	}
	return nil
}

func (c *Cash) check() error {
	if c.Balance < 0 || c.FeesPaid < 0 {
		return fmt.Errorf("a balance of %d and fees of %d cannot be", c.Balance, c.FeesPaid)
	}
	return nil
}

// AppendRows appends the account's rows, ordered by market and code, to dst.
func (v View) AppendRows(dst []Row) []Row { return append(dst, v.acc.rows...) }
