package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/papertape/papertape/console"
	"github.com/papertape/papertape/usertext"
)

// beforePages bounds how many pages of history are read to find the rows as they were before an
// event: 2,000 events.
const beforePages = 20

type instrument struct{ market, code string }

// priorState is what is known about an account just before an event.
type priorState struct {
	cash *console.Cash // nil: unknown
	rows map[instrument]console.Position
}

// stateBefore reads history backwards from an event to find the cash and the affected rows as they
// were before it. Rows not found within beforePages are missing from the result.
func stateBefore(ctx context.Context, c *console.Client, ev *console.Event) (s priorState, err error) {
	account, _, err := console.ParseTradeID(ev.Bust.TradeID)
	if err != nil {
		return s, err
	}
	wanted := make(map[instrument]bool)
	for i := range ev.Positions {
		wanted[keyOf(&ev.Positions[i])] = true
	}
	s.rows = make(map[instrument]console.Position)
	for before, pages := ev.Seq, 0; before > 1 && pages < beforePages && len(s.rows) < len(wanted); pages++ {
		h, err := c.History(ctx, account, before, 100)
		if err != nil || len(h.Events) == 0 {
			return s, err
		}
		for i := range h.Events {
			s.add(&h.Events[i], wanted)
		}
		before = h.Events[len(h.Events)-1].Seq
	}
	return s, nil
}

func keyOf(p *console.Position) instrument { return instrument{p.Market, p.Code} }

// add takes the next older event into account.
func (s *priorState) add(ev *console.Event, wanted map[instrument]bool) {
	if s.cash == nil {
		s.cash = &ev.Cash
	}
	for i := range ev.Positions {
		p := &ev.Positions[i]
		if _, found := s.rows[keyOf(p)]; !found && wanted[keyOf(p)] {
			s.rows[keyOf(p)] = *p
		}
	}
}

// renderTakenBack shows the trade that was struck, its replacement, and the account before and
// after.
func renderTakenBack(w io.Writer, done *console.TakenBack, before priorState) error {
	b := done.Bust
	again := ""
	if done.Repeated {
		again = "already done under this bust id: "
	}
	why := fmt.Sprintf("reason: %s; by %s, bust id %s", b.Reason, b.Actor, orNone(b.BustID))
	_, err := fmt.Fprintf(w, "%s%s %s by event %d, %s\n%s\n%s\n", again, usertext.Shown(b.TradeID), bustVerb(b),
		done.Seq,
		done.Time.Format(time.RFC3339), usertext.Shown(why), bustTrades(b).Render())
	if err != nil {
		return err
	}
	t := newTable(table.Row{"market", "code", "name", "", "quantity", "cost", "realised"}, 5)
	for i := range done.Positions {
		p := &done.Positions[i]
		row := table.Row{p.Market, p.Code, p.Name, "before", "?", "?", "?"}
		if was, known := before.rows[keyOf(p)]; known {
			row[4], row[5], row[6] = was.Quantity, was.Cost, was.Realised
		}
		t.AppendRow(row)
		t.AppendRow(table.Row{"", "", "", "after", p.Quantity, p.Cost, p.Realised})
	}
	cash := "?"
	if before.cash != nil {
		cash = fmt.Sprintf("%s, realised %s", before.cash.Balance, before.cash.Realised)
	}
	_, err = fmt.Fprintf(w, "%s\ncash before: %s\ncash after:  %s, realised %s\n", t.Render(), cash,
		done.Cash.Balance, done.Cash.Realised)
	return err
}

// bustVerb names what a bust did to its trade.
func bustVerb(b *console.Bust) string {
	if b.Replacement != nil {
		return "corrected"
	}
	return "taken back"
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// bustTrades renders the trades of a bust: the struck one, its replacement, and those taken back
// with it.
func bustTrades(b *console.Bust) table.Writer {
	t := newTable(table.Row{"trade", "", "what", "quantity", "price", "amount", "revision"}, 4)
	t.AppendRow(tradeRow(&b.Original, "struck"))
	if b.Replacement != nil {
		t.AppendRow(tradeRow(b.Replacement, "stands"))
	}
	for _, id := range b.Cascade {
		t.AppendRow(table.Row{id, "struck with it"})
	}
	return t
}

func tradeRow(tr *console.Trade, state string) table.Row {
	return table.Row{tr.ID, state, tradeLabel(tr), tr.Quantity, tr.Price, tr.Amount, tr.Revision}
}

// tradeLabel describes a trade without its figures.
func tradeLabel(tr *console.Trade) string {
	return fmt.Sprintf("%s %s %s %s", tr.Side, tr.Market, tr.Code, tr.Name)
}

// renderTrade shows the history of a trade.
func renderTrade(w io.Writer, t *console.TradeRecord) error {
	rows := newTable(table.Row{"event", "time", "what", "by", "why", "quantity", "price", "amount", "revision"}, 6)
	tr := &t.Executed
	rows.AppendRow(table.Row{seqOf(t.ID), t.Time.Format(time.RFC3339), "executed", tr.Origin, "", tr.Quantity,
		tr.Price, tr.Amount, tr.Revision})
	for i := range t.Changes {
		ev := &t.Changes[i]
		b := ev.Bust
		row := table.Row{ev.Seq, ev.Time.Format(time.RFC3339), bustVerb(b), b.Actor, b.Reason, "", "", "", ""}
		switch is := b.Replacement; {
		case b.TradeID != t.ID:
			row[2] = "taken back with " + b.TradeID
		case is != nil:
			row[5], row[6], row[7], row[8] = is.Quantity, is.Price, is.Amount, is.Revision
		}
		rows.AppendRow(row)
	}
	head := usertext.Shown(fmt.Sprintf("%s, %s: %s, as of event %d", t.ID, tradeLabel(tr), tradeStatus(t), t.AsOfSeq))
	_, err := fmt.Fprintf(w, "%s\n%s\n", head, rows.Render())
	return err
}

// tradeStatus returns the status of a trade in words.
func tradeStatus(t *console.TradeRecord) string {
	switch t.State {
	case console.TradeTakenBack:
		return fmt.Sprintf("taken back by event %d, bust id %s", t.TakenBack.Seq, orNone(t.TakenBack.BustID))
	case console.TradeCorrected:
		return fmt.Sprintf("stands corrected, revision %d", t.Stands.Revision)
	}
	return "stands as executed"
}

func seqOf(id string) uint64 {
	_, seq, _ := console.ParseTradeID(id) // the console made this ID
	return seq
}
