package shadow

import (
	"fmt"
	"math/big"

	"github.com/papertape/papertape/client"
)

// applyReset checks that a reset takes every row that is held, and leaves its cash and nothing else.
func (s *Shadow) applyReset(f *Findings, ev *client.Event, r *client.Reset) {
	f.Change(client.NoChange, ev.Change)
	f.Present("reset reason", r.Reason)
	f.Present("reset actor", r.Actor)
	keys := s.keys()
	f.Number("number of positions", uint64(len(keys)), uint64(len(ev.Positions)))
	for i := range ev.Positions {
		p, what := ev.Positions[i], fmt.Sprintf("row %d", i+1)
		if i < len(keys) {
			f.Text(what+" instrument", keys[i].String(), KeyOf(p.Market, p.Code).String())
		}
		p.Market, p.Code = "", ""
		if p != (client.Position{}) {
			f.Add(what, "the market and the code of a row that went, and nothing else", fmt.Sprintf("%+v", p))
		}
	}
	s.checkCash(f, ev.Cash, big.NewInt(int64(r.Cash)), 0, 0)
}

// begin forgets all rows and trades, so that a bust of a trade before a reset is one of a trade that
// does not stand. The ids of busts stay known.
func (s *Shadow) begin() {
	clear(s.rows)
	clear(s.gone)
	s.past = past{keep: s.past.keep}
}
