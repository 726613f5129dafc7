package clientsim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// SwarmClient says what one client of a swarm did, saw and checked.
type SwarmClient struct {
	Account   uint64 `json:"account,omitempty"` // 0 in the sum of all
	Compared  bool   `json:"compared"`          // compared with the server at the end; differences are in mismatches
	RowsAtEnd int    `json:"rows_at_end"`
	Tally
	Queries int     `json:"queries"` // lists, pages of history and prices asked for while trading
	Times   Timings `json:"response_times"`
}

// OK reports whether nothing was wrong up to the end.
func (c *SwarmClient) OK() bool { return c.Compared && c.right() }

// requests returns how many requests were answered.
func (c *SwarmClient) requests() int64 { return c.Times.Total.Count }

func (c *SwarmClient) add(o *SwarmClient) {
	c.Tally.add(&o.Tally)
	c.RowsAtEnd += o.RowsAtEnd
	c.Queries += o.Queries
}

// SwarmReport is the outcome of a swarm.
type SwarmReport struct {
	Server       string
	Profile      Profile
	LoginSeconds float64 // until all were logged in
	Seconds      float64 // of the trading
	Totals       SwarmClient
	Clients      []SwarmClient
}

// OK reports whether the swarm succeeded: nothing was wrong with any client, and enough was
// done for that to mean something.
func (r *SwarmReport) OK() bool { return r.held() == len(r.Clients) && len(r.tooLittle()) == 0 }

// tooLittle returns what is missing for the verdict to mean something.
func (r *SwarmReport) tooLittle() []string {
	if len(r.Clients) == 0 {
		return []string{"there were no clients: nothing was tried"}
	}
	sentences := []string{}
	if r.Totals.requests() == 0 {
		sentences = append(sentences, "no request was answered: a client thinks before its first one, and needs "+
			"longer than that")
	}
	if r.Totals.Lists == 0 {
		sentences = append(sentences, "no list was compared")
	}
	if r.Totals.History == 0 {
		sentences = append(sentences, "no event of the history was compared")
	}
	return sentences
}

// held returns how many clients found nothing wrong.
func (r *SwarmReport) held() int {
	n := 0
	for i := range r.Clients {
		if r.Clients[i].OK() {
			n++
		}
	}
	return n
}

// MarshalJSON adds the verdicts to the numbers.
func (r SwarmReport) MarshalJSON() ([]byte, error) {
	type withVerdict struct {
		OK bool `json:"ok"`
		SwarmClient
	}
	verdict := func(c SwarmClient, ok bool) withVerdict {
		if c.Mismatches == nil {
			c.Mismatches = []string{} // an empty list, not null
		}
		return withVerdict{ok, c}
	}
	out := struct {
		OK           bool          `json:"ok"`
		Scenario     string        `json:"scenario"`
		Server       string        `json:"server"`
		Profile      string        `json:"profile"`
		Interval     string        `json:"interval"`
		Mix          string        `json:"mix"`
		LoginSeconds float64       `json:"login_seconds"`
		Seconds      float64       `json:"trading_seconds"`
		ClientsOK    int           `json:"clients_ok"`
		TooLittle    []string      `json:"too_little"`
		Totals       withVerdict   `json:"totals"`
		Clients      []withVerdict `json:"clients"`
	}{
		OK: r.OK(), Scenario: "swarm", Server: r.Server, Profile: r.Profile.Name, Interval: r.Profile.Think.String(),
		Mix: r.Profile.Mix.String(), LoginSeconds: r.LoginSeconds, Seconds: r.Seconds, ClientsOK: r.held(),
		TooLittle: r.tooLittle(), Clients: make([]withVerdict, 0, len(r.Clients)),
	}
	totals := r.Totals
	totals.Compared = !slices.ContainsFunc(r.Clients, func(c SwarmClient) bool { return !c.Compared })
	out.Totals = verdict(totals, r.OK())
	for i := range r.Clients {
		out.Clients = append(out.Clients, verdict(r.Clients[i], r.Clients[i].OK()))
	}
	return json.Marshal(out)
}

const (
	rowsShown       = 10 // clients in the table; all if there are at most twice as many
	mismatchesShown = 20 // sentences below the table
)

// Render writes the clients as a table (all of them if they are few, else the worst ten), the
// response times, what was wrong, and a verdict in one sentence.
func (r *SwarmReport) Render(w io.Writer) error {
	shown := r.worst()
	t := newTable(table.Row{"client", "buys+sells", "refused", "queries", "events", "pushed", "lists", "history",
		"missed", "reconnects", "restarts", "resyncs", "gaps", "repeats", "wrong", "p50 ms", "p99 ms", "max ms", "",
	}, 2, 18)
	for _, c := range shown {
		t.AppendRow(append(table.Row{c.Account}, c.columns(c.verdict())...))
	}
	t.AppendFooter(append(table.Row{fmt.Sprintf("all %d", len(r.Clients))},
		r.Totals.columns(fmt.Sprintf("%d of %d", r.held(), len(r.Clients)))...))
	if len(shown) < len(r.Clients) {
		if _, err := fmt.Fprintf(w, "The worst %d of %d clients, and the sum of all:\n", len(shown),
			len(r.Clients)); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintln(w, t.Render()); err != nil {
		return err
	}
	times := newTable(table.Row{"response time, ms", "count", "mean", "p50", "p90", "p99", "max"}, 2, 7)
	for _, row := range []struct {
		name string
		Timing
	}{{"buy", r.Totals.Times.Buy}, {"sell", r.Totals.Times.Sell}, {"query", r.Totals.Times.Query},
		{"all", r.Totals.Times.Total}} {
		times.AppendRow(table.Row{row.name, row.Count, ms(row.Mean), ms(row.P50), ms(row.P90), ms(row.P99),
			ms(row.Max)})
	}
	if _, err := fmt.Fprintln(w, times.Render()); err != nil {
		return err
	}
	return r.renderVerdict(w)
}

// worst returns the clients to show: first those with something wrong, then those that waited
// longest. If all are shown, they are in the order of their accounts.
func (r *SwarmReport) worst() []*SwarmClient {
	all := make([]*SwarmClient, len(r.Clients))
	for i := range r.Clients {
		all[i] = &r.Clients[i]
	}
	if len(all) <= 2*rowsShown {
		return all
	}
	slices.SortFunc(all, func(a, b *SwarmClient) int {
		bad := func(c *SwarmClient) int {
			if c.OK() {
				return 0
			}
			return 1 + c.Wrong
		}
		return cmp.Or(cmp.Compare(bad(b), bad(a)), cmp.Compare(b.Times.Total.Max, a.Times.Total.Max),
			cmp.Compare(a.Account, b.Account))
	})
	return all[:rowsShown]
}

func (r *SwarmReport) renderVerdict(w io.Writer) error {
	sentences, more := 0, 0
	for i := range r.Clients {
		for _, m := range r.Clients[i].Mismatches {
			if sentences++; sentences > mismatchesShown {
				more++
				continue
			}
			if _, err := fmt.Fprintln(w, "wrong: "+m); err != nil {
				return err
			}
		}
	}
	if more > 0 {
		if _, err := fmt.Fprintf(w, "wrong: and %d more; -o json has the first %d of each client\n", more,
			mismatchesMax); err != nil {
			return err
		}
	}
	for _, sentence := range r.tooLittle() {
		if _, err := fmt.Fprintln(w, "too little: "+sentence); err != nil {
			return err
		}
	}
	t := &r.Totals
	_, err := fmt.Fprintf(w, "%d of %d clients found all of it right: %d orders and %d queries answered in %.1f s "+
		"(%d orders refused, rightly unless said); "+
		"%d events, %d lists with their state hash and %d events of history checked; %d gaps, %d repeats, %d "+
		"mismatches.\n",
		r.held(), len(r.Clients), t.Orders, t.Queries, r.Seconds, t.Refused, t.Events, t.Lists, t.History, t.Gaps,
		t.Repeats, t.Wrong)
	return err
}

func (c *SwarmClient) columns(verdict string) table.Row {
	return table.Row{c.Orders, c.Refused, c.Queries, c.Events, c.Pushed, c.Lists, c.History, c.Missed, c.Reconnects,
		c.Restarts, c.Resyncs,
		c.Gaps, c.Repeats, c.Wrong, ms(c.Times.Total.P50), ms(c.Times.Total.P99), ms(c.Times.Total.Max), verdict}
}

func (c *SwarmClient) verdict() string {
	switch {
	case c.OK():
		return "ok"
	case !c.right():
		return "WRONG"
	}
	return "NOT COMPARED"
}

// ms formats milliseconds with a sensible number of digits.
func ms(v float64) string {
	if v < 10 {
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// newTable returns a table whose columns from first to last are aligned to the right.
func newTable(header table.Row, first, last int) table.Writer {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Format = table.FormatOptions{}
	t.Style().Options = table.Options{SeparateHeader: true, SeparateFooter: true}
	t.AppendHeader(header)
	var numbers []table.ColumnConfig
	for column := first; column <= last; column++ {
		numbers = append(numbers, table.ColumnConfig{Number: column, Align: text.AlignRight,
			AlignHeader: text.AlignRight, AlignFooter: text.AlignRight})
	}
	t.SetColumnConfigs(numbers)
	return t
}
