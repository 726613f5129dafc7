// Package report makes pages of results from the same sections: an HTML page with
// everything in it, and a Markdown page with pictures next to it. It also checks figures
// against thresholds.
//
// A caller's loop:
//
//	results, err := scenario.Load(dir)
//	page := report.New(results, thresholds, flames...)
//	err = page.WriteHTML(w)
//	err = page.WriteMarkdown(dir, "bench.md")
//	err = page.ForDocs().WriteMarkdown("docs", "bench.md")
//	if broken := thresholds.Broken(results.Figures(), everything); len(broken) > 0 { … }
package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/papertape/papertape/bench/scenario"
)

// Page is a report.
type Page struct {
	Title    string
	Sections []Section
}

// Section is a part of a report.
type Section struct {
	Title    string
	Text     []string // paragraphs
	Tables   []Table
	Pictures []Picture
	Links    []Link
}

// Picture is an SVG.
type Picture struct {
	Name    string // of its file, if it is written to one
	Caption string
	SVG     []byte
}

// Link leads to a page beside the report. The pages about profiles are many and large: docs/ keeps a few of them.
type Link struct {
	Text, File string
	InDocs     bool
}

// New makes the report of results. The report links to beside, which are pages about its
// profiles, if any.
func New(results *scenario.Results, thresholds Thresholds, beside ...Section) *Page {
	p := &Page{Title: "Papertape, measured"}
	b := builder{results: results}
	p.add(targets(results), thresholdsSection(results, thresholds), environment(results))
	p.add(b.document(), b.orders("connections", "Connections with one request outstanding", connectionsText),
		b.orders("pipelined", "32 requests outstanding on each of 100 connections", pipelinedText))
	p.add(b.push(), b.idle(), b.orders("stalled", "One client in a hundred does not read", stalledText),
		b.durable(), b.syscalls())
	p.add(b.findings(), b.profiles())
	p.add(beside...)
	p.add(b.benchmarks(), notes(results))
	return p
}

// ForDocs is the page as docs/ has it: of what it links to, only what is small enough to be committed after every run.
func (p *Page) ForDocs() *Page {
	docs := &Page{Title: p.Title}
	for _, s := range p.Sections {
		links := slices.DeleteFunc(slices.Clone(s.Links), func(l Link) bool { return !l.InDocs })
		if left := len(s.Links) - len(links); left > 0 {
			s.Text = append(slices.Clone(s.Text), fmt.Sprintf("`make bench-full` makes %d more pages of this "+
				"load (flame graphs, "+
				"call graphs, differences) and leaves them in `bench/out/bench`.", left))
		}
		s.Links = links
		docs.Sections = append(docs.Sections, s)
	}
	return docs
}

// add leaves out what has nothing in it.
func (p *Page) add(sections ...Section) {
	for _, s := range sections {
		if len(s.Tables)+len(s.Pictures)+len(s.Links) > 0 || s.Title == notesTitle && len(s.Text) > 0 {
			p.Sections = append(p.Sections, s)
		}
	}
}

// Targets returns a table with a row for each figure that has a target: what it is, the
// target, the value reached, and the verdict.
func Targets(r *scenario.Results) Table {
	t := Table{Align: "lllrrl",
		Head: []string{"target", "what", "figure", "wanted", "reached (lowest to highest)", "verdict"}}
	for _, f := range r.Figures() {
		verdict := "short"
		switch {
		case f.Value.N == 0:
			verdict = "not measured"
		case f.Met():
			verdict = "met"
		}
		t.Rows = append(t.Rows, []string{
			f.Target, f.What, f.ID, bound(f.Least, f.Most, f.Unit), spread(f.Value, f.Unit), verdict,
		})
	}
	return t
}

func targets(r *scenario.Results) Section {
	t := Targets(r)
	count := make(map[string]int)
	for _, row := range t.Rows {
		count[row[len(row)-1]]++
	}
	return Section{
		Title: "Targets", Tables: []Table{t},
		Text: []string{fmt.Sprintf("%d figures reach what the project has set itself, %d fall short. Ratios are "+
			"made within a "+
			"round, of runs that "+
			"followed one another on the same machine, and are the medians of the rounds: they survive a noisy "+
			"machine, the "+
			"absolute figures "+
			"do not.", count["met"], count["short"])},
	}
}

func environment(r *scenario.Results) Section {
	e := &r.Environment
	row := func(name, format string, args ...any) []string { return []string{name, fmt.Sprintf(format, args...)} }
	return Section{Title: "Where and how", Tables: []Table{{Align: "l", Head: []string{"", ""}, Rows: [][]string{
		row("measured", "%s, in %.0f minutes (%s)", e.Time.Format("2006-01-02 15:04 MST"), r.Seconds/60, r.Size),
		row("commit", "%s", e.Commit),
		row("command", "`%s`", e.Command),
		row("machine", "%s, %d cores, %.0f GB, Linux %s", e.CPU, e.Cores, e.MemoryGB, e.Kernel),
		row("Go", "%s", strings.TrimPrefix(e.Go, "go")),
		row("limits", "%d open files a process, local ports %s", e.Files, e.Ports),
		row("fsync", "p50 %.2f ms, p99 %.2f ms (4 KiB appended)", e.FsyncP50, e.FsyncP99),
		row("kernel", "a system call that does nothing %.2f µs; memory touched for the first time %.2f µs for 4 "+
			"KiB (huge pages), again at once "+
			"%.2f µs", e.Costs.Syscall, e.Costs.FirstTouch, e.Costs.NextTouch),
		row("load before", "%s", e.Load),
	}}}, Text: []string{"Servers and load generator share the machine, over loopback. Every server is a process of " +
		"its own, started afresh for each run; the generator checks every answer. The processor time is that of " +
		"the server's process, user and system together, divided by the requests answered. Medians of the rounds; " +
		"lowest and highest behind them."}}
}

const notesTitle = "Notes"

func notes(r *scenario.Results) Section { return Section{Title: notesTitle, Text: r.Notes} }
