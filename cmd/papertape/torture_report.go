package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/papertape/papertape/cmd/papertape/userfile"
	"github.com/papertape/papertape/proof/torture"
	"github.com/papertape/papertape/proof/torture/linear"
	"github.com/papertape/papertape/proof/torture/synced"
	"github.com/papertape/papertape/proof/torture/truth"
)

// tortureReport says for each part what was tried and found. Parts that were not run are nil.
type tortureReport struct {
	Seed       uint64             `json:"seed"`
	Version    string             `json:"version"`
	Processors int                `json:"processors"`
	Kills      *torture.Report    `json:"kills,omitempty"`
	Clients    *truth.Report      `json:"clients,omitempty"`
	Linear     *linear.Report     `json:"linear,omitempty"`
	Sync       *synced.Report     `json:"sync,omitempty"`
	Journal    []journalTorture   `json:"journal,omitempty"`
	Seconds    map[string]float64 `json:"seconds"`
	Failures   []string           `json:"failures"`        // of the journal's tests as a whole
	Files      string             `json:"files,omitempty"` // where the files were left
}

// journalTorture is the line that a test of engine/journal prints.
type journalTorture struct {
	What   string         `json:"what"`
	Points int            `json:"points"`
	Seed   uint64         `json:"seed"`
	Found  int            `json:"found"`
	Seen   map[string]int `json:"seen"`
}

func newTortureReport(seed uint64) *tortureReport {
	return &tortureReport{
		Seed: seed, Version: version, Processors: runtime.NumCPU(), Seconds: make(map[string]float64),
		Failures: []string{},
	}
}

func (r *tortureReport) took(part string, d time.Duration) {
	r.Seconds[part] = d.Round(100 * time.Millisecond).Seconds()
}

// journalBytesMax bounds how much of the output is read. It is hundreds of times its usual size.
const journalBytesMax = 64 << 20

// readJournal reads the output of go test -v. A run that did not finish counts as a failure, and so
// does one that tried nothing.
func (r *tortureReport) readJournal(path string) error {
	b, err := userfile.Read(path, journalBytesMax)
	if err != nil {
		return usageError{fmt.Errorf("--journal: %w", err)}
	}
	passed := false
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		passed = passed || strings.HasPrefix(line, "ok ")
		if strings.HasPrefix(line, "ok ") && strings.HasSuffix(line, "[no tests to run]") {
			r.Failures = append(r.Failures, "engine/journal: a run of its tests ran none, see "+path)
		}
		if strings.HasPrefix(line, "--- FAIL") || strings.HasPrefix(line, "FAIL\t") ||
			strings.HasPrefix(line, "panic:") {
			r.Failures = append(r.Failures, "engine/journal: "+line)
		}
		_, said, ok := strings.Cut(line, "torture: ")
		if !ok {
			continue
		}
		var t journalTorture
		if err := json.Unmarshal([]byte(said), &t); err != nil {
			return fmt.Errorf("%s: %q: %w", path, said, err)
		}
		if r.Journal = append(r.Journal, t); t.Points == 0 {
			r.Failures = append(r.Failures, fmt.Sprintf("engine/journal: %s: nothing was tried", t.What))
		}
	}
	switch {
	case len(r.Failures) > 0:
	case !passed:
		r.Failures = append(r.Failures, "engine/journal: its tests did not come to their end, see "+path)
	case len(r.Journal) == 0:
		r.Failures = append(r.Failures, "engine/journal: no test said what it has tried, see "+path)
	}
	return lines.Err()
}

// OK reports whether everything held.
func (r *tortureReport) OK() bool {
	return len(r.Failures) == 0 && (r.Kills == nil || r.Kills.OK()) && (r.Clients == nil || r.Clients.OK()) &&
		(r.Linear == nil || r.Linear.OK()) && (r.Sync == nil || r.Sync.OK()) &&
		!slices.ContainsFunc(r.Journal, func(t journalTorture) bool { return t.Found > 0 })
}

// Render writes the table of what was tried and found.
func (r *tortureReport) Render(w io.Writer) error {
	if r.Kills != nil {
		if err := r.Kills.Render(w); err != nil {
			return err
		}
	}
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Options.SeparateRows = true
	t.Style().Format.Header = text.FormatDefault
	t.AppendHeader(table.Row{"tried", "how much", "found", "seconds"})
	t.SetColumnConfigs([]table.ColumnConfig{{Number: 3, Align: text.AlignRight}, {Number: 4, Align: text.AlignRight}})
	for _, row := range r.rows() {
		t.AppendRow(row)
	}
	verdict := "all of it held"
	if !r.OK() {
		verdict = "DID NOT HOLD:\n  " + strings.Join(r.allFailures(), "\n  ")
	}
	if r.Files != "" {
		verdict += "\nfiles are left in " + r.Files
	}
	_, err := fmt.Fprintf(w, "papertape %s, seed %d, %d processors\n%s\n%s\n", r.Version, r.Seed, r.Processors,
		t.Render(), verdict)
	return err
}

func (r *tortureReport) rows() (rows []table.Row) {
	for _, t := range r.Journal {
		seen := make([]string, 0, len(t.Seen))
		for _, what := range slices.Sorted(maps.Keys(t.Seen)) {
			seen = append(seen, fmt.Sprintf("%d %s", t.Seen[what], what))
		}
		rows = append(rows, table.Row{"journal: " + t.What,
			text.WrapSoft(fmt.Sprintf("%d points, seed %d: %s", t.Points, t.Seed,
				strings.Join(seen, ", ")), 70), t.Found, ""})
	}
	if k := r.Kills; k != nil {
		rows = append(rows, table.Row{"kill -9 under load",
			fmt.Sprintf("%d kills, %d clean stops\n%d events acknowledged, %d orders, %d busts, %d corrections\n"+
				"%d bookings, %d resets; %d of %d without an answer at a kill had been carried out\n"+
				"%d events read again, %d holdings compared, %d verified", k.Kills, k.CleanStops, k.Events, k.Orders,
				k.Busts, k.Corrections, k.Bookings, k.Resets, k.BookingsHadBeen, k.BookingsUnanswered,
				k.ReadAgain, k.Holdings, k.Verified), len(k.Failures), r.Seconds["kills"]})
	}
	if c := r.Clients; c != nil {
		f := &c.Faults
		rows = append(rows, table.Row{"what clients believe in the end",
			fmt.Sprintf("clients: %d cuts, %d torn, %d stalls, %d freezes, %d kills, %d restarts\n"+
				"server: %d kills, %d restarts\n%d events, %d orders, %d busts, %d corrections, %d resumes\n%d states "+
				"compared, %d events digested",
				f.Cuts, f.Torn, f.Stalls, f.Freezes, f.Kills, f.Restarts, f.ServerKills, f.ServerRestart,
				c.Events, c.Orders, c.Busts, c.Corrections, c.Resumed, c.Compared, c.Digested), len(c.Failures),
			r.Seconds["clients"]})
	}
	if l := r.Linear; l != nil {
		rows = append(rows, table.Row{"linearizability",
			fmt.Sprintf("%d histories, %d kills\n%d calls, %d left open (%d carried out), %d repeated, %d refused\n"+
				"%d orders, %d holdings, %d busts, %d corrections, %d bookings, %d resets\n"+
				"longest search %d ms, %d undecided", l.Histories,
				l.Kills, l.Calls, l.Open, l.HadBeen, l.Repeated, l.Refused,
				l.Executed, l.Holdings, l.Busts, l.Corrections, l.Bookings, l.Resets, l.LongestMillis, l.Undecided),
			len(l.Failures),
			r.Seconds["linear"]})
	}
	if s := r.Sync; s != nil && s.Skipped != "" {
		rows = append(rows, table.Row{"sync before ack", "NOT RUN: " + s.Skipped, "", ""})
	} else if s != nil {
		rows = append(rows, table.Row{"sync before ack",
			fmt.Sprintf("%.0f s under strace, %d system calls\n%d log writes, %d syncs, %d socket writes\n"+
				"%d frames of events, %d holdings, %d busts answered: %d events", s.Seconds, s.Calls, s.LogWrites,
				s.Syncs, s.SocketWrites,
				s.Frames, s.Holdings, s.Busts, s.Events), s.Early, r.Seconds["sync"]})
	}
	return rows
}

// allFailures returns the failures of all parts.
func (r *tortureReport) allFailures() (all []string) {
	all = append(all, r.Failures...)
	for _, t := range r.Journal {
		if t.Found > 0 {
			all = append(all, fmt.Sprintf("engine/journal: %s: %d breaches, seed %d", t.What, t.Found, t.Seed))
		}
	}
	if r.Kills != nil {
		all = append(all, r.Kills.Failures...)
	}
	if r.Clients != nil {
		all = append(all, r.Clients.Failures...)
	}
	if r.Linear != nil {
		all = append(all, r.Linear.Failures...)
	}
	if r.Sync != nil {
		all = append(all, r.Sync.Failures...)
	}
	return all
}
