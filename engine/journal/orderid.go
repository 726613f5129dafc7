package journal

import (
	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/fnv1a"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// orderIDOf computes anew, for Verify, what the engine remembers of an executed trade with an
// order id. The hashes are on the disk, so neither the engine's computation nor this one may
// ever change. A test verifies the engine's checkpoints with it.
func orderIDOf(seq uint64, t *positions.Trade, u *market.Universe) engine.OrderIDRecord {
	in := u.At(t.Instrument)
	content := fnv1a.New.Text(in.Market).Text(in.Code).
		Number(uint64(t.Side)).Number(uint64(t.Quantity)).Number(uint64(t.Limit))
	return engine.OrderIDRecord{ID: uint64(fnv1a.New.Text(t.OrderID.String())), Content: uint64(content), Seq: seq}
}
