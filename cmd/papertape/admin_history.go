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
	var ask asking
	var before uint64
	var limit int
	cmd := &cobra.Command{
		Use:   "history ACCOUNT",
		Short: "What happened to an account of a running server, newest first",
		Example: `  papertape history 100001
  papertape history 100001 --before 120 --limit 100 -o json`,
		Args: exactly(1, "an account number"),
		RunE: func(cmd *cobra.Command, args []string) error {
			account, err := accountNumber(args[0])
			if err != nil {
				return err
			}
			c, err := ask.client()
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
			return printAs(cmd.OutOrStdout(), ask.output, markHistory(&h, f), func(w io.Writer) error {
				return renderHistory(w, &h, f)
			})
		},
	}
	ask.register(cmd.Flags())
	cmd.Flags().Var(decimal.Whole(&before, 0, 0, math.MaxUint64), "before",
		"only events with a lower sequence; 0: from the newest")
	cmd.Flags().Var(decimal.Whole(&limit, 20, 1, 100), "limit",
		"how many events, at most 100; --before asks for older ones")
	return cmd
}

func renderHistory(w io.Writer, h *console.History, f fates) error {
	t := newTable(table.Row{"seq", "time", "what", "quantity", "price", "amount", "by", "row after", "cash after"}, 4, 7, 8)
	strikes := isTerminal(w) && os.Getenv("TERM") != "dumb"
	for i := range h.Events {
		t.AppendRow(historyRow(&h.Events[i], f, strikes))
	}
	_, err := fmt.Fprintf(w, "account %d, newest first, kept from sequence %d\n%s\n", h.Account, h.OldestSeq, t.Render())
	if err == nil && f.upTo != 0 {
		_, err = fmt.Fprintf(w, "what became of these trades was looked for in events up to %d only; papertape trade ID looks at all\n", f.upTo)
	}
	return err
}

func historyRow(ev *console.Event, f fates, strikes bool) table.Row {
	row := table.Row{ev.Seq, ev.Time.Format(time.RFC3339), "", "", "", "", "", rowAfter(ev), ev.Cash.Balance}
	switch {
	case ev.Trade != nil:
		tr := ev.Trade
		row[2], row[3], row[4], row[5], row[6] = describe(tr), tr.Quantity, tr.Price, tr.Amount, tr.Origin
		if m := f.mark(ev); m != nil {
			strike(row[2:6], strikes)
			row[2] = also(row[2], m.String())
		}
	case ev.Adjustment != nil:
		row[2], row[5], row[6] = ev.Adjustment.Reason, ev.Adjustment.Cash, ev.Adjustment.Actor
	case ev.Bust != nil:
		b := ev.Bust
		row[2], row[6] = fmt.Sprintf("%s %s: %s", b.TradeID, verbOf(b), b.Reason), b.Actor
		if is := b.Replacement; is != nil {
			row[3], row[4], row[5] = is.Quantity, is.Price, is.Amount
			if m := f.mark(ev); m != nil {
				strike(row[3:6], strikes)
				row[2] = also(row[2], m.String())
			}
		}
		if len(b.Cascade) > 0 {
			row[2] = also(row[2], "with it "+counted(len(b.Cascade), "trade"))
		}
	}
	return row
}

// rowAfter is what an event did to the row that it was about. Of a bust that touched more than that, the change alone.
func rowAfter(ev *console.Event) string {
	if len(ev.Positions) == 1 && ev.Change != "closed" {
		return fmt.Sprintf("%s: %d", ev.Change, ev.Positions[0].Quantity)
	}
	return ev.Change
}

// strike draws a line through cells, where there is a terminal to draw on. It is no colour: NO_COLOR leaves it.
func strike(cells table.Row, strikes bool) {
	for i := range cells {
		if strikes {
			cells[i] = drawn("\x1b[9m" + onScreen(cells[i]) + "\x1b[29m")
		}
	}
}

// also is a cell and what more there is to say.
func also(cell any, text string) drawn { return drawn(onScreen(cell) + ", " + usertext.Shown(text)) }

// fate is what became of a trade, by the newest event that changed it.
type fate struct {
	State  string         `json:"state"`            // corrected, taken_back
	Seq    uint64         `json:"seq"`              // of that event
	With   string         `json:"with,omitempty"`   // the trade with which it was taken back
	Stands *console.Trade `json:"stands,omitempty"` // as it was corrected
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

// markedHistory is a page of history in JSON, in which trades that do not stand any more say what became of them.
type markedHistory struct {
	console.History
	Events    []markedEvent `json:"events"`                // in place of those of the page
	FatesUpTo uint64        `json:"fates_up_to,omitempty"` // nothing newer was looked at; not there: all was
}

type markedEvent struct {
	console.Event
	Fate *fate `json:"fate,omitempty"` // of its trade, or of its correction
}

func markHistory(h *console.History, f fates) markedHistory {
	marked := markedHistory{History: *h, Events: make([]markedEvent, len(h.Events)), FatesUpTo: f.upTo}
	for i := range h.Events {
		marked.Events[i] = markedEvent{h.Events[i], f.mark(&h.Events[i])}
	}
	return marked
}

// fatePages is how many pages of newer events are looked through at most for what became of trades: 10,000 events.
const fatePages = 100

// fates are what became of the trades of a page of history.
type fates struct {
	by   map[string]*console.Event // by trade: the newest bust or correction of it
	upTo uint64                    // not 0: there are newer events than this, which were not looked at
}

// mark is what became of the trade that an event executed or corrected; nil where that is what stands.
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

// fatesOf looks for busts in a page of history, and in the events after it, the older ones first.
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

// add takes in a page, newest first, that is newer than those before it.
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
