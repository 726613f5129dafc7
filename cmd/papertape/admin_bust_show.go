package main

import (
	"fmt"
	"io"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/papertape/papertape/console"
	"github.com/papertape/papertape/usertext"
)

// renderTakenBack shows the trade that was struck, its replacement, and the account before and
// after. before is nil where that is not known.
func renderTakenBack(w io.Writer, done *console.TakenBack, before *console.BustPreview) error {
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
	rows := make([]console.RowChange, len(done.Positions))
	for i := range done.Positions {
		p := &done.Positions[i]
		rows[i] = console.RowChange{Market: p.Market, Code: p.Code, Name: p.Name, After: p}
	}
	cash := "?"
	known := before != nil
	if known {
		cash = describeCash(before.CashBefore)
		takeBefore(rows, before.Rows)
	}
	if _, err = fmt.Fprintf(w, "%s\ncash before: %s\ncash after:  %s\n", renderRows(rows, known), cash,
		describeCash(done.Cash)); err != nil || !known || before.AsOfSeq+1 == done.Seq {
		return err
	}
	_, err = fmt.Fprintf(w, "before is as of event %d, and others came since\n", before.AsOfSeq)
	return err
}

// takeBefore sets the rows as they were before, by a preview of them.
func takeBefore(rows, preview []console.RowChange) {
	for i := range rows {
		for j := range preview {
			if preview[j].Market == rows[i].Market && preview[j].Code == rows[i].Code {
				rows[i].Before = preview[j].Before
			}
		}
	}
}

// renderPreview shows what a bust or a correction would do.
func renderPreview(w io.Writer, p *console.BustPreview) error {
	b := &console.Bust{TradeID: p.TradeID, Original: p.Original, Replacement: p.Replacement, Cascade: p.Cascade}
	_, err := fmt.Fprintf(w,
		"%s would be %s, as of event %d; nothing was done\n%s\n%s\ncash before: %s\ncash after:  %s\n"+
			"to do it: --bust-id %s\n", usertext.Shown(p.TradeID), bustVerb(b), p.AsOfSeq, bustTrades(b).Render(),
		renderRows(p.Rows, true), describeCash(p.CashBefore), describeCash(p.CashAfter), p.BustID)
	return err
}

func describeCash(c console.Cash) string {
	return fmt.Sprintf("%s, realised %s", c.Balance, c.Realised)
}

// renderRows shows rows before and after; known says that what was before is known.
func renderRows(rows []console.RowChange, known bool) string {
	t := newTable(table.Row{"market", "code", "name", "", "quantity", "cost", "realised"}, 5)
	for i := range rows {
		r := &rows[i]
		before := table.Row{r.Market, r.Code, r.Name, "before", "?", "?", "?"}
		if known {
			fillRow(before, r.Before)
		}
		after := table.Row{"", "", "", "after", "", "", ""}
		fillRow(after, r.After)
		t.AppendRow(before)
		t.AppendRow(after)
	}
	return t.Render()
}

// fillRow puts the figures of a row, which is nil if it is not held, into a line.
func fillRow(line table.Row, p *console.Position) {
	if p == nil {
		p = &console.Position{}
	}
	line[4], line[5], line[6] = p.Quantity, p.Cost, p.Realised
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
