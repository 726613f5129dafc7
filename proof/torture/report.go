package torture

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// fate is the time of a server's life at which a kill is aimed.
type fate int

const (
	underLoad fate = iota // clients place orders, and a simulated flow runs
	inStorm               // the clients of the last server are reconnecting
	starting              // it recovers, or opens accounts, or has just begun to listen
	stopping              // it was told to stop, and drains
	fates
)

func (f fate) String() string {
	return [...]string{"under load", "clients coming back", "starting", "stopping"}[f]
}

// Tried counts what was done to servers at one time of their lives.
type Tried struct {
	When         string `json:"when"`
	Kills        int    `json:"kills"`
	Acknowledged int    `json:"acknowledged"` // events that clients first heard of from the servers killed then
	Unanswered   int    `json:"unanswered"`   // orders in progress at the kill
}

// Report is what was tried and found.
type Report struct {
	Seed        uint64  `json:"seed"`
	Durability  string  `json:"durability"`
	Kills       int     `json:"kills"`
	CleanStops  int     `json:"clean_stops"` // between the kills
	Tried       []Tried `json:"tried"`
	Accounts    int     `json:"accounts"`
	Connections int     `json:"connections"`

	Events int `json:"events_acknowledged"`
	// replayed by a later server to a client that knew them, and compared
	ReadAgain  int `json:"events_read_again"`
	Orders     int `json:"orders_executed"`
	Unanswered int `json:"orders_unanswered"` // at a kill
	HadBeen    int `json:"orders_unanswered_had_been_executed"`
	Repeated   int `json:"orders_repeated"` // orders that had been answered before the kill
	Resumed    int `json:"resumed"`

	Busts           int `json:"busts"` // carried out; so are the following
	Corrections     int `json:"corrections"`
	BustsUnanswered int `json:"busts_unanswered"` // and corrections, at a kill
	BustsHadBeen    int `json:"busts_unanswered_had_been_carried_out"`
	BustsRepeated   int `json:"busts_repeated"` // those that had been answered before the kill

	Bookings           int `json:"bookings"` // deposits and withdrawals carried out
	Resets             int `json:"resets"`
	BookingsUnanswered int `json:"bookings_unanswered"` // and resets, at a kill
	BookingsHadBeen    int `json:"bookings_unanswered_had_been_carried_out"`
	BookingsRepeated   int `json:"bookings_repeated"`

	Holdings int `json:"holdings_compared"`
	Verified int `json:"verify_clean"`

	RecoveryMedian float64 `json:"recovery_ms_median"` // from the start of the process until it listens
	RecoveryMax    float64 `json:"recovery_ms_max"`
	VerifyMax      float64 `json:"verify_ms_max"`

	Lost     int      `json:"lost"`
	Twice    int      `json:"twice"`
	Holes    int      `json:"holes"`
	Changed  int      `json:"changed"`
	Failures []string `json:"failures"`       // sentences; empty if all of it held
	Data     string   `json:"data,omitempty"` // the directory, if it was kept
}

// OK reports whether all of it held.
func (r *Report) OK() bool { return len(r.Failures) == 0 }

// tooLittle says what the run has not done that it must do before finding nothing means anything.
func (r *Report) tooLittle(kills int) (sentences []string) {
	if r.Kills < kills {
		sentences = append(sentences, fmt.Sprintf("%d of %d kills struck: the others were not tried", r.Kills, kills))
	}
	if ends := r.Kills + r.CleanStops; r.Verified < ends {
		sentences = append(sentences, fmt.Sprintf("%d of %d directories were verified: what the other servers "+
			"left is not known", r.Verified, ends))
	}
	for _, n := range []struct {
		what string
		done int
	}{
		{"order was executed", r.Orders}, {"event was read again and compared", r.ReadAgain},
		{"holdings were compared", r.Holdings},
	} {
		if n.done == 0 {
			sentences = append(sentences, fmt.Sprintf("no %s: nothing was tried", n.what))
		}
	}
	return sentences
}

// kind is a kind of breach that is counted.
type kind int

const (
	lost kind = iota
	twice
	hole
	changed
	other
	kinds
)

const sentencesMax = 20 // of breaches that are reported; all are counted

// findings has the breaches so far. Any goroutine may add one.
type findings struct {
	mu        sync.Mutex
	counts    [kinds]int
	sentences []string
}

func (f *findings) add(k kind, n int, format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts[k] += n
	if len(f.sentences) < sentencesMax {
		f.sentences = append(f.sentences, fmt.Sprintf(format, args...))
	}
}

func (f *findings) any() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.sentences) > 0
}

// addTo copies the findings to the report.
func (f *findings) addTo(r *Report) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r.Lost, r.Twice, r.Holes, r.Changed = f.counts[lost], f.counts[twice], f.counts[hole], f.counts[changed]
	r.Failures = append([]string{}, f.sentences...)
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

// spread returns the median and the maximum of durations, in milliseconds, or 0 if there are none.
func spread(durations []time.Duration) (median, largest float64) {
	if len(durations) == 0 {
		return 0, 0
	}
	sorted := slices.Sorted(slices.Values(durations))
	return milliseconds(sorted[len(sorted)/2]), milliseconds(sorted[len(sorted)-1])
}

// Render writes the report for people.
func (r *Report) Render(w io.Writer) error {
	tried := newTable("the server was killed", "times", "events acknowledged", "orders without an answer")
	for _, t := range r.Tried {
		tried.AppendRow(table.Row{t.When, t.Kills, t.Acknowledged, t.Unanswered})
	}
	tried.AppendFooter(table.Row{"in all", r.Kills, r.Events, r.Unanswered})
	found := newTable("found", "")
	for _, row := range []table.Row{
		{"acknowledged events lost", r.Lost}, {"executed or told twice", r.Twice}, {"holes", r.Holes},
		{"events that changed", r.Changed},
		{"verify clean", fmt.Sprintf("%d of %d", r.Verified, r.Kills+r.CleanStops)},
		{"events read again and compared", r.ReadAgain}, {"clients resumed, same epoch", r.Resumed},
		{"orders executed", r.Orders},
		{"orders without an answer that had been executed", fmt.Sprintf("%d of %d", r.HadBeen, r.Unanswered)},
		{"busts, corrections", fmt.Sprintf("%d, %d", r.Busts, r.Corrections)},
		{"of these without an answer that had been carried out",
			fmt.Sprintf("%d of %d", r.BustsHadBeen, r.BustsUnanswered)},
		{"answered orders sent again, answered alike", r.Repeated},
		{"answered busts sent again, answered alike", r.BustsRepeated},
		{"bookings of cash, resets", fmt.Sprintf("%d, %d", r.Bookings, r.Resets)},
		{"of these without an answer that had been carried out",
			fmt.Sprintf("%d of %d", r.BookingsHadBeen, r.BookingsUnanswered)},
		{"answered bookings sent again, answered alike", r.BookingsRepeated},
		{"holdings compared with a shadow", r.Holdings},
		{"clean stops in between", r.CleanStops},
		{"start until it listens, ms: median, largest", fmt.Sprintf("%.0f, %.0f", r.RecoveryMedian, r.RecoveryMax)},
		{"verify, ms: largest", fmt.Sprintf("%.0f", r.VerifyMax)},
	} {
		found.AppendRow(row)
	}
	verdict := "all of it held"
	if !r.OK() {
		verdict = "DID NOT HOLD:\n  " + strings.Join(r.Failures, "\n  ") +
			"\nthe directory is left as it was found: " + r.Data
	}
	_, err := fmt.Fprintf(w, "seed %d, durability %s, %d accounts, %d connections\n%s\n%s\n%s\n",
		r.Seed, r.Durability, r.Accounts, r.Connections, tried.Render(), found.Render(), verdict)
	return err
}

// newTable aligns names to the left and numbers to the right.
func newTable(header ...any) table.Writer {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header, t.Style().Format.Footer = text.FormatDefault, text.FormatDefault
	t.AppendHeader(header)
	configs := make([]table.ColumnConfig, 0, len(header))
	for n := 2; n <= len(header); n++ {
		configs = append(configs, table.ColumnConfig{Number: n, Align: text.AlignRight, AlignHeader: text.AlignRight,
			AlignFooter: text.AlignRight})
	}
	t.SetColumnConfigs(configs)
	return t
}
