package engine

import (
	"context"

	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// DelistedRow is a row of an instrument that the universe has only for the sake of history.
type DelistedRow struct {
	Account    uint64 // 0: there is none
	Instrument market.ID
}

// Delisted returns a row of a delisted instrument, of the account with the lowest number that has one.
func (e *Engine) Delisted(ctx context.Context) (DelistedRow, error) {
	found := make([]DelistedRow, len(e.shards))
	err := e.survey(ctx, func(n int) func(*shard, positions.View) {
		lowest := &found[n]
		return func(_ *shard, v positions.View) {
			e.noteDelisted(v, lowest)
		}
	})
	var first DelistedRow
	for _, row := range found {
		if row.Account != 0 && (first.Account == 0 || row.Account < first.Account) {
			first = row
		}
	}
	return first, err
}

// noteDelisted replaces lowest if v has a delisted row, and a lower number.
func (e *Engine) noteDelisted(v positions.View, lowest *DelistedRow) {
	for i := range v.Len() {
		id := v.Row(i).Instrument
		if e.cfg.Universe.At(id).Delisted && (lowest.Account == 0 || v.Account() < lowest.Account) {
			*lowest = DelistedRow{v.Account(), id}
			return
		}
	}
}
