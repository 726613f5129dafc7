package console

import (
	"context"
	"net/http"
	"time"

	"github.com/papertape/papertape/positions"
)

const (
	pointsDefault = 300
	pointsMax     = 300
	marksMax      = 100
)

// EquityCurve is what an account was worth after its events.
type EquityCurve struct {
	Account          uint64        `json:"account"`
	AsOfSeq          uint64        `json:"as_of_seq"`
	FromSeq          uint64        `json:"from_seq"`
	Complete         bool          `json:"complete"` // it begins with the account's first event
	Base             Money         `json:"base"`     // the equity with which it begins; 0 if it is complete
	Booked           Money         `json:"booked"`   // cash booked in and out since then
	Equity           Money         `json:"equity"`   // now: the last point
	Cash             Money         `json:"cash"`
	TotalMarketValue Money         `json:"total_market_value"`
	Gain             Money         `json:"gain"` // equity - base - booked
	Points           []EquityPoint `json:"points"`
	Marks            []EquityMark  `json:"marks"`
	MoreMarks        int           `json:"more_marks"` // older ones that are left out
}

// EquityPoint are the events of a part of the time.
type EquityPoint struct {
	Seq    uint64    `json:"seq"` // of the last of them
	Time   time.Time `json:"time"`
	Min    Money     `json:"min"`
	Max    Money     `json:"max"`
	Last   Money     `json:"last"`
	Booked Money     `json:"booked"` // cash booked in and out up to it, since the curve begins
}

// EquityMark is an event that is no trade.
type EquityMark struct {
	Seq    uint64    `json:"seq"`
	Time   time.Time `json:"time"`
	Kind   string    `json:"kind"`             // adjustment, bust, correction
	Amount *Money    `json:"amount,omitempty"` // of an adjustment
	Text   string    `json:"text"`             // the reason
}

var equityQuery = acceptParameters(number("points"), moment("since"))

func (s *Server) equity(w http.ResponseWriter, r *http.Request) {
	account, ok := accountOf(w, r)
	if !ok {
		return
	}
	points := queryNumber(r, "points")
	if points == 0 {
		points = pointsDefault
	}
	extendDeadline(w, walkTimeout)
	ctx, cancel := context.WithTimeout(r.Context(), walkTimeout)
	defer cancel()
	since, _ := time.Parse(time.RFC3339Nano, r.URL.Query().Get("since")) // it has been checked, or is not there
	c, err := s.drawEquity(ctx, account, int(min(points, pointsMax)), since)
	if err != nil {
		s.failBooks(w, account, err)
		return
	}
	answer(w, c)
}

// equityPen draws a curve from events that come in order.
type equityPen struct {
	EquityCurve
	points     int
	begin, end int64 // the time that is divided into points
	part       int   // of the last point
	last       uint64
	worth      Money // equity after the last event
}

// now is what the clock of the server shows, by which events have their times.
func (s *Server) now() int64 {
	if s.cfg.Clock == nil {
		return time.Now().UnixNano()
	}
	return s.cfg.Clock(s.cfg.Universe.At(0).Market).Time
}

// drawEquity reads the account's events, and then what it holds now, to which the curve is drawn.
func (s *Server) drawEquity(ctx context.Context, account uint64, points int, since time.Time) (EquityCurve, error) {
	pen := equityPen{points: points, part: -1, end: s.now()}
	pen.Account, pen.Points, pen.Marks = account, []EquityPoint{}, []EquityMark{}
	if err := s.beginEquity(ctx, &pen, since); err != nil {
		return EquityCurve{}, err
	}
	if err := s.cfg.Books.Walk(ctx, account, pen.FromSeq, pen.draw); err != nil {
		return EquityCurve{}, err
	}
	h, err := s.cfg.Books.Holdings(ctx, account)
	if err != nil {
		return EquityCurve{}, err
	}
	if h.Seq > pen.last && pen.last > 0 { // of what came meanwhile, that up to the holdings
		err = s.cfg.Books.Walk(ctx, account, pen.last+1, func(ev *positions.Event) {
			if ev.Seq <= h.Seq {
				pen.draw(ev)
			}
		})
		if err != nil {
			return EquityCurve{}, err
		}
	}
	return pen.finish(&h), nil
}

// beginEquity finds out where the curve begins.
func (s *Server) beginEquity(ctx context.Context, pen *equityPen, since time.Time) error {
	_, oldest, err := s.cfg.Books.History(ctx, pen.Account, 0, 1)
	if err != nil {
		return err
	}
	pen.FromSeq = max(1, oldest)
	if !since.IsZero() {
		seq, err := s.seqAt(ctx, pen.Account, since.UnixNano()-1)
		if err != nil {
			return err
		}
		pen.FromSeq = max(pen.FromSeq, seq+1)
		pen.begin = since.UnixNano()
	}
	if pen.Complete = pen.FromSeq == 1; pen.Complete {
		return nil
	}
	// The curve begins with what the account was worth before; if that is not known, after its first event.
	before, _, err := s.cfg.Books.History(ctx, pen.Account, pen.FromSeq, 1)
	if err == nil && len(before) == 1 && before[0].Seq == pen.FromSeq-1 {
		pen.Base = equityAfter(&before[0])
		pen.worth = pen.Base
		pen.last = pen.FromSeq - 1
	}
	return err
}

// equityAfter returns what an account was worth after an event.
func equityAfter(ev *positions.Event) Money { return saturated(ev.Cash.Balance, ev.TotalMarketValue) }

// saturated adds cash and market value, which are not negative.
func saturated(cash, value int64) Money {
	if sum := cash + value; sum >= cash {
		return Money(sum)
	}
	return Money(1<<63 - 1)
}

// draw takes the next event.
func (p *equityPen) draw(ev *positions.Event) {
	first := p.last == 0
	p.last = ev.Seq
	switch {
	case ev.Kind == positions.KindAdjustment:
		amount := Money(ev.Adjustment.Cash)
		if first && !p.Complete {
			p.Base = equityAfter(ev) // the adjustment is in it
		} else {
			p.Booked += amount
		}
		p.mark(ev, kindAdjustment, &amount, ev.Adjustment.Reason)
	case first && !p.Complete:
		p.Base = equityAfter(ev)
	case ev.Kind == positions.KindReset: // no gain or loss, whatever it was worth before
		p.Booked += equityAfter(ev) - p.worth
	}
	switch ev.Kind {
	case positions.KindBust:
		p.mark(ev, kindOfEvent(ev), nil, ev.Bust.Reason)
	case positions.KindReset:
		p.mark(ev, kindReset, nil, ev.Reset.Reason)
	}
	p.worth = equityAfter(ev)
	p.point(ev.Seq, ev.Time, equityAfter(ev))
}

func (p *equityPen) mark(ev *positions.Event, kind string, amount *Money, text string) {
	p.Marks = append(p.Marks, EquityMark{ev.Seq, time.Unix(0, ev.Time).UTC(), kind, amount, text})
	if len(p.Marks) >= 2*marksMax {
		p.forgetMarks()
	}
}

// forgetMarks leaves the newest marks.
func (p *equityPen) forgetMarks() {
	more := max(0, len(p.Marks)-marksMax)
	p.MoreMarks += more
	p.Marks = append(p.Marks[:0], p.Marks[more:]...)
}

// point adds an equity to the part of the time in which it was, or, if the clock went back, to the last one.
func (p *equityPen) point(seq uint64, at int64, equity Money) {
	if p.begin == 0 {
		p.begin = at
	}
	share := float64(at-p.begin) / float64(max(1, p.end-p.begin))
	part := max(p.part, 0, min(p.points-1, int(share*float64(p.points))))
	when := time.Unix(0, at).UTC()
	if part > p.part {
		p.part = part
		p.Points = append(p.Points, EquityPoint{seq, when, equity, equity, equity, p.Booked})
		return
	}
	last := &p.Points[len(p.Points)-1]
	*last = EquityPoint{seq, when, min(last.Min, equity), max(last.Max, equity), equity, p.Booked}
}

// finish draws the curve to what the account holds now.
func (p *equityPen) finish(h *positions.Holdings) EquityCurve {
	p.AsOfSeq, p.Cash, p.TotalMarketValue = h.Seq, Money(h.Cash.Balance), Money(h.TotalMarketValue)
	p.Equity = saturated(h.Cash.Balance, h.TotalMarketValue)
	p.point(h.Seq, p.end, p.Equity)
	p.Gain = p.Equity - p.Base - p.Booked
	p.forgetMarks()
	return p.EquityCurve
}
