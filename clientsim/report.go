package clientsim

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
)

// ClientReport says what one mission client saw and checked.
type ClientReport struct {
	Account     uint64 `json:"account"`
	Task        string `json:"task"`          // the row of the scenario that it plays
	Covered     bool   `json:"covered"`       // whether it saw that happen
	RowsAtLogin int    `json:"rows_at_login"` // in the first list that it pulled
	RowsAtEnd   int    `json:"rows_at_end"`
	Tally
}

// OK reports whether the client saw and checked what it was meant to, and found nothing wrong.
func (c *ClientReport) OK() bool { return c.Covered && c.right() && c.checked() }

// checked reports whether something of every kind was checked. Otherwise it means nothing that
// nothing was wrong.
func (t *Tally) checked() bool { return t.Events > 0 && t.Lists > 0 && t.History > 0 }

// Report is the outcome of a mission.
type Report struct {
	Clients []ClientReport
	Elapsed time.Duration
}

// OK reports whether the mission succeeded: every client took part, every row of the scenario
// was seen, and nothing was wrong.
func (r *Report) OK() bool {
	if len(r.Clients) != len(mission) {
		return false
	}
	for i := range r.Clients {
		if !r.Clients[i].OK() {
			return false
		}
	}
	return true
}

// MarshalJSON adds the verdicts to the numbers.
func (r Report) MarshalJSON() ([]byte, error) {
	type withVerdict struct {
		ClientReport
		OK bool `json:"ok"`
	}
	out := struct {
		OK             bool          `json:"ok"`
		ElapsedSeconds float64       `json:"elapsed_seconds"`
		Clients        []withVerdict `json:"clients"`
	}{OK: r.OK(), ElapsedSeconds: r.Elapsed.Seconds(), Clients: make([]withVerdict, 0, len(r.Clients))}
	for _, c := range r.Clients {
		if c.Mismatches == nil {
			c.Mismatches = []string{} // an empty list, not null
		}
		out.Clients = append(out.Clients, withVerdict{c, c.OK()})
	}
	return json.Marshal(out)
}

// Render writes the report as a table, then what was wrong, and a verdict in one sentence.
func (r *Report) Render(w io.Writer) error {
	t := newTable(table.Row{"client", "task", "rows", "events", "pushed", "busts", "orders", "refused", "lists",
		"history", "replayed", "missed", "reconnects", "restarts", "resyncs", "gaps", "repeats", "wrong", ""}, 3, 18)
	var sum Tally
	held := 0
	for i := range r.Clients {
		c := &r.Clients[i]
		t.AppendRow(append(table.Row{c.Account, c.Task, fmt.Sprintf("%d → %d", c.RowsAtLogin, c.RowsAtEnd)},
			append(c.numbers(), c.verdict())...))
		sum.add(&c.Tally)
		if c.OK() {
			held++
		}
	}
	t.AppendFooter(append(table.Row{"", "all", ""}, append(sum.numbers(),
		fmt.Sprintf("%d of %d", held, len(mission)))...))
	if _, err := fmt.Fprintln(w, t.Render()); err != nil {
		return err
	}
	return r.renderWrong(w, &sum, held)
}

func (r *Report) renderWrong(w io.Writer, sum *Tally, held int) error {
	for i := range r.Clients {
		c := &r.Clients[i]
		if !c.Covered {
			if _, err := fmt.Fprintf(w, "not seen: %q (account %d)\n", c.Task, c.Account); err != nil {
				return err
			}
		}
		if c.Covered && c.right() && !c.checked() {
			if _, err := fmt.Fprintf(w, "too little: account %d checked %d events, %d lists and %d events of "+
				"history: there has to be some of each\n",
				c.Account, c.Events, c.Lists, c.History); err != nil {
				return err
			}
		}
		for _, m := range c.Mismatches {
			if _, err := fmt.Fprintln(w, "wrong: "+m); err != nil {
				return err
			}
		}
	}
	verdict := fmt.Sprintf("%d of %d clients saw what they were to see, and all of it was right", held, len(mission))
	_, err := fmt.Fprintf(w, "%s: %d events, %d lists and %d events of history checked in %.1f s.\n",
		verdict, sum.Events, sum.Lists, sum.History, r.Elapsed.Seconds())
	return err
}

// numbers returns the columns that have a sum.
func (t *Tally) numbers() table.Row {
	return table.Row{t.Events, t.Pushed, t.Busts, t.Orders, t.Refused, t.Lists, t.History, t.Replayed, t.Missed,
		t.Reconnects, t.Restarts, t.Resyncs, t.Gaps, t.Repeats, t.Wrong}
}

func (c *ClientReport) verdict() string {
	switch {
	case c.OK():
		return "ok"
	case !c.Covered:
		return "NOT SEEN"
	case c.right():
		return "NOT CHECKED"
	}
	return "WRONG"
}
