package positions

import (
	"fmt"
	"slices"

	"github.com/papertape/papertape/market"
)

// DecideReset returns what resetting an account would do. It refuses an account that is not
// open (UnknownAccount) and cash below 0 (BadQuantity). It sets r.Gone. The event keeps r, which
// must not change afterwards.
func (b *Book) DecideReset(account uint64, r *Reset, now int64, ev *Event) Refusal {
	acc := b.find(account)
	switch {
	case acc == nil:
		return Refusal{Reason: UnknownAccount}
	case r.Cash < 0:
		return Refusal{Reason: BadQuantity, Have: acc.cash.Balance, Need: r.Cash}
	}
	r.Gone = nil
	for i := range acc.rows {
		r.Gone = append(r.Gone, acc.rows[i].Instrument)
	}
	*ev = Event{
		Account: account, Seq: acc.seq + 1, Time: now, Cash: Cash{Balance: r.Cash}, Reset: r, Kind: KindReset,
	}
	return Refusal{}
}

// checkReset makes the checks of Check that concern a reset.
func (b *Book) checkReset(acc *account, ev *Event) error {
	r := ev.Reset
	switch {
	case r == nil:
		return fmt.Errorf("it resets the account and does not say to what")
	case acc == nil:
		return fmt.Errorf("it resets an account that was not opened")
	case ev.Cash != Cash{Balance: r.Cash}:
		return fmt.Errorf("it resets cash to %d, and says that it is %d with fees of %d and a gain of %d", r.Cash,
			ev.Cash.Balance, ev.Cash.FeesPaid, ev.Cash.Realised)
	}
	if !slices.EqualFunc(r.Gone, acc.rows, func(id market.ID, row Row) bool { return id == row.Instrument }) {
		return fmt.Errorf("it says that %d rows went, and they are not the %d that there were", len(r.Gone),
			len(acc.rows))
	}
	return nil
}
