package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/papertape/papertape/console"
	"github.com/papertape/papertape/decimal"
	"github.com/papertape/papertape/usertext"
)

func newHistory() *cobra.Command {
	var server consoleFlags
	var before uint64
	var limit int
	cmd := &cobra.Command{
		Use:   "history ACCOUNT",
		Short: "What happened to an account of a running server, newest first",
		Example: `  papertape history 100001
  papertape history 100001 --before 120 --limit 100 -o json`,
		Args: exactArgs(1, "an account number"),
		RunE: func(cmd *cobra.Command, args []string) error {
			account, err := accountNumber(args[0])
			if err != nil {
				return err
			}
			c, err := server.client()
			if err != nil {
				return err
			}
			h, err := c.History(cmd.Context(), account, before, limit)
			if err != nil {
				return err
			}
			f, err := fatesOf(cmd.Context(), c, &h)
			if err != nil {
				return err
			}
			return printAs(cmd.OutOrStdout(), server.output, markHistory(&h, f), func(w io.Writer) error {
				return renderHistory(w, &h, f)
			})
		},
	}
	server.register(cmd.Flags())
	cmd.Flags().Var(decimal.Whole(&before, 0, 0, math.MaxUint64), "before",
		"only events with a lower sequence; 0: from the newest")
	cmd.Flags().Var(decimal.Whole(&limit, 20, 1, 100), "limit",
		"how many events, at most 100; --before asks for older ones")
	return cmd
}

func renderHistory(w io.Writer, h *console.History, f fates) error {
	t := newTable(table.Row{"seq", "time", "what", "quantity", "price", "amount", "by", "row after", "cash after"}, 4,
		7, 8)
	strikes := isTerminal(w) && os.Getenv("TERM") != "dumb"
	for i := range h.Events {
		t.AppendRow(historyRow(&h.Events[i], f, strikes))
	}
	_, err := fmt.Fprintf(w, "account %d, newest first, kept from sequence %d\n%s\n", h.Account, h.OldestSeq,
		t.Render())
	if err == nil && f.upTo != 0 {
		_, err = fmt.Fprintf(w, "what became of these trades was looked for in events up to %d only; papertape "+
			"trade ID looks at all\n", f.upTo)
	}
	return err
}

func historyRow(ev *console.Event, f fates, strikes bool) table.Row {
	row := table.Row{ev.Seq, ev.Time.Format(time.RFC3339), "", "", "", "", "", rowAfter(ev), ev.Cash.Balance}
	switch {
	case ev.Trade != nil:
		tr := ev.Trade
		row[2], row[3], row[4], row[5], row[6] = tradeLabel(tr), tr.Quantity, tr.Price, tr.Amount, tr.Origin
		if m := f.mark(ev); m != nil {
			strike(row[2:6], strikes)
			row[2] = annotated(row[2], m.String())
		}
	case ev.Adjustment != nil:
		row[2], row[5], row[6] = ev.Adjustment.Reason, ev.Adjustment.Cash, ev.Adjustment.Actor
	case ev.Reset != nil:
		r := ev.Reset
		row[2], row[5], row[6] = "reset: "+r.Reason, r.Cash, r.Actor
		if n := len(ev.Positions); n > 0 {
			row[7] = plural(n, "row") + " gone"
		}
	case ev.Bust != nil:
		b := ev.Bust
		row[2], row[6] = fmt.Sprintf("%s %s: %s", b.TradeID, bustVerb(b), b.Reason), b.Actor
		if is := b.Replacement; is != nil {
			row[3], row[4], row[5] = is.Quantity, is.Price, is.Amount
			if m := f.mark(ev); m != nil {
				strike(row[3:6], strikes)
				row[2] = annotated(row[2], m.String())
			}
		}
		if len(b.Cascade) > 0 {
			row[2] = annotated(row[2], "with it "+plural(len(b.Cascade), "trade"))
		}
	}
	return row
}

// rowAfter returns what an event did to its row. For a bust that touched several rows, it returns
// the change alone.
func rowAfter(ev *console.Event) string {
	if len(ev.Positions) == 1 && ev.Change != "closed" {
		return fmt.Sprintf("%s: %d", ev.Change, ev.Positions[0].Quantity)
	}
	return ev.Change
}

// strike draws a line through cells if the output is a terminal. This is not a colour, so NO_COLOR
// does not disable it.
func strike(cells table.Row, strikes bool) {
	for i := range cells {
		if strikes {
			cells[i] = renderedCell("\x1b[9m" + onScreen(cells[i]) + "\x1b[29m")
		}
	}
}

// annotated returns a cell with text appended.
func annotated(cell any, text string) renderedCell {
	return renderedCell(onScreen(cell) + ", " + usertext.Shown(text))
}

// fate is what became of a trade, according to the newest event that changed it.
type fate struct {
	State  string         `json:"state"`            // corrected or taken_back
	Seq    uint64         `json:"seq"`              // of the newest event that changed it
	With   string         `json:"with,omitempty"`   // the trade whose bust took this one back as well
	Stands *console.Trade `json:"stands,omitempty"` // the corrected trade
}

func (m *fate) String() string {
	switch {
	case m.With != "":
		return fmt.Sprintf("taken back by %d, with %s", m.Seq, m.With)
	case m.Stands != nil:
		return fmt.Sprintf("corrected by %d to %d @ %s", m.Seq, m.Stands.Quantity, m.Stands.Price)
	}
	return fmt.Sprintf("taken back by %d", m.Seq)
}

// markedHistory is the JSON of a page of history. Trades that no longer stand have their fate.
type markedHistory struct {
	console.History
	Events    []markedEvent `json:"events"`                // replaces the page's events
	FatesUpTo uint64        `json:"fates_up_to,omitempty"` // later events were not examined; absent: all were
}

type markedEvent struct {
	console.Event
	Fate *fate `json:"fate,omitempty"` // of the event's trade, or of its correction
}

func markHistory(h *console.History, f fates) markedHistory {
	marked := markedHistory{History: *h, Events: make([]markedEvent, len(h.Events)), FatesUpTo: f.upTo}
	for i := range h.Events {
		marked.Events[i] = markedEvent{h.Events[i], f.mark(&h.Events[i])}
	}
	return marked
}

// fatePages bounds how many pages of newer events are searched for the fates of trades: 10,000
// events.
const fatePages = 100

// fates holds the fates of the trades on a page of history.
type fates struct {
	by   map[string]*console.Event // by trade ID: the newest event that busted or corrected it
	upTo uint64                    // if not 0, later events exist and were not examined
}

// mark returns the fate of the trade that an event executed or corrected, or nil if that still
// stands.
func (f *fates) mark(ev *console.Event) *fate {
	var id string
	switch {
	case ev.Trade != nil:
		id = ev.Trade.ID
	case ev.Bust != nil && ev.Bust.Replacement != nil:
		id = ev.Bust.TradeID
	}
	by := f.by[id]
	if by == nil || by.Seq == ev.Seq {
		return nil
	}
	m := fate{State: console.TradeTakenBack, Seq: by.Seq}
	switch b := by.Bust; {
	case b.TradeID != id:
		m.With = b.TradeID
	case b.Replacement != nil:
		m.State, m.Stands = console.TradeCorrected, b.Replacement
	}
	return &m
}

// fatesOf searches a page of history for busts, and then the newer pages, oldest first.
func fatesOf(ctx context.Context, c *console.Client, h *console.History) (fates, error) {
	f := fates{by: make(map[string]*console.Event)}
	if len(h.Events) == 0 {
		return f, nil
	}
	f.add(h.Events)
	top := h.Events[0].Seq
	for range fatePages {
		newer, err := c.History(ctx, h.Account, top+101, 100)
		if err != nil || len(newer.Events) == 0 {
			return f, err
		}
		f.add(newer.Events)
		if newer.Events[0].Seq < top+100 {
			return f, nil
		}
		top = newer.Events[0].Seq
	}
	f.upTo = top
	return f, nil
}

// add takes a page into account. Its events are sorted newest first, and newer than those of
// earlier calls.
func (f *fates) add(events []console.Event) {
	for _, ev := range slices.Backward(events) {
		if ev.Bust == nil {
			continue
		}
		for _, id := range append([]string{ev.Bust.TradeID}, ev.Bust.Cascade...) {
			f.by[id] = &ev
		}
	}
}
