package console

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/positions"
)

// BustPreview is what a bust or a correction would do to an account as of AsOfSeq, at the prices of now.
type BustPreview struct {
	Preview     bool        `json:"preview"` // true
	TradeID     string      `json:"trade_id"`
	BustID      string      `json:"bust_id"` // fresh, to do it under
	AsOfSeq     uint64      `json:"as_of_seq"`
	Original    Trade       `json:"original"`
	Replacement *Trade      `json:"replacement,omitempty"`
	Cascade     []string    `json:"cascade"` // trades that would be taken back along with it
	Rows        []RowChange `json:"rows"`
	CashBefore  Cash        `json:"cash_before"`
	CashAfter   Cash        `json:"cash_after"`
	ValueBefore Money       `json:"value_before"` // of all rows
	ValueAfter  Money       `json:"value_after"`
}

// RowChange is a row that would change.
type RowChange struct {
	Market string    `json:"market"`
	Code   string    `json:"code"`
	Name   string    `json:"name"`
	Before *Position `json:"before,omitempty"` // nil: the account does not hold it
	After  *Position `json:"after,omitempty"`  // nil: the row would be gone
}

// newBustID returns an id that no bust has: 80 random bits.
func newBustID() string { return "b-" + strings.ToLower(rand.Text()[:16]) }

func (s *Server) previewBust(ctx context.Context, w http.ResponseWriter, request *positions.BustRequest) {
	p, err := s.cfg.Busts.PreviewBust(ctx, request)
	if err != nil {
		s.failBust(w, request, err)
		return
	}
	answer(w, s.newBustPreview(&p))
}

func (s *Server) newBustPreview(p *engine.BustPreview) BustPreview {
	u, ev := s.cfg.Universe, &p.Event
	b := newBust(u, ev.Account, ev.Bust)
	out := BustPreview{
		Preview: true, TradeID: b.TradeID, BustID: newBustID(), AsOfSeq: p.Before.Seq, Original: b.Original,
		Replacement: b.Replacement, Cascade: append([]string{}, b.Cascade...), Rows: make([]RowChange,
			len(ev.Bust.Positions)),
		CashBefore: newCash(p.Before.Cash), CashAfter: newCash(ev.Cash),
		ValueBefore: Money(p.Before.TotalMarketValue), ValueAfter: Money(ev.TotalMarketValue),
	}
	after, before := newPositions(u, ev.Bust.Positions), newPositions(u, p.Before.Positions)
	for i := range after {
		row := &after[i]
		out.Rows[i] = RowChange{Market: row.Market, Code: row.Code, Name: row.Name}
		if row.Quantity > 0 {
			out.Rows[i].After = row
		}
		for j := range before {
			if before[j].Market == row.Market && before[j].Code == row.Code {
				out.Rows[i].Before = &before[j]
			}
		}
	}
	return out
}

// isPreview reports whether a body only asks what a change would do. A body that decodeBody would not read in the same
// way is refused by it.
func isPreview(text []byte) bool {
	var body struct {
		Preview bool `json:"preview"`
	}
	return json.Unmarshal(text, &body) == nil && body.Preview
}
