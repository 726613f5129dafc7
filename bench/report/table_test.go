package report_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/papertape/papertape/bench/report"
)

// figure matches a cell of a column of figures: a value with its unit and range.
var figure = regexp.MustCompile(`^([≤≥] )?[-\d][\d,.]*(e[-+]\d+)?( M)?(/s)?( (ns|µs|ms|B|MB|%|×))?` +
	`(, [\d.]+ %)?( \(.* to .*\))?(; [\d.]+; [\d.]+)?( of \d+)?$`)

// none are the cells without a figure.
var none = []string{"", "–", "no answers", "not measured"}

// check checks that the cells of a column are figures, or text. A column with neither may
// be either.
func check(t *testing.T, where string, figures bool, cells []string) {
	t.Helper()
	cells = slices.DeleteFunc(cells, func(cell string) bool { return slices.Contains(none, cell) })
	of := !slices.ContainsFunc(cells, func(cell string) bool { return !figure.MatchString(cell) })
	if len(cells) > 0 && figures != of {
		t.Errorf("%s: of figures: %v, want %v: %q", where, figures, of, cells)
	}
}

// TestColumnsOfPage: in every table of a report, text is left-aligned and figures are
// right-aligned.
func TestColumnsOfPage(t *testing.T) {
	page := report.New(sample(), report.Thresholds{{Figure: "p3.vs_baseline", Least: 5, Reached: 8}})
	tables := 0
	for _, s := range page.Sections {
		for _, table := range s.Tables {
			tables++
			for column, head := range table.Head {
				var cells []string
				for _, row := range table.Rows {
					cells = append(cells, row[column])
				}
				check(t, s.Title+", "+table.Caption+", "+head, table.OfFigures(column), cells)
			}
		}
	}
	if tables < 10 {
		t.Errorf("%d tables", tables)
	}
}

// TestColumnsOfDocs checks the same for the committed page.
func TestColumnsOfDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/bench.md")
	if err != nil {
		t.Fatal(err)
	}
	cells := func(line string) (list []string) {
		for _, cell := range strings.Split(strings.Trim(line, "|"), "|") {
			list = append(list, strings.TrimSpace(cell))
		}
		return list
	}
	lines, tables := strings.Split(string(text), "\n"), 0
	for i, line := range lines {
		if !strings.HasPrefix(line, "|--") {
			continue
		}
		tables++
		for column, rule := range cells(line) {
			var below []string
			for _, row := range lines[i+1:] {
				if !strings.HasPrefix(row, "|") {
					break
				}
				below = append(below, cells(row)[column])
			}
			check(t, fmt.Sprintf("line %d, %s", i+1, cells(lines[i-1])[column]), strings.HasSuffix(rule, ":"), below)
		}
	}
	if tables < 40 {
		t.Errorf("%d tables", tables)
	}
}

// mixed has text, figures and text again.
var mixed = report.Table{Align: "lrl", Head: []string{"who", "µs", "verdict"},
	Rows: [][]string{{"papertape", "7", "met"}, {"old", "1,234", "short"}}}

func TestTableAsText(t *testing.T) {
	for _, c := range []struct {
		table report.Table
		want  string
	}{
		{mixed, "who           µs  verdict\npapertape      7  met\nold        1,234  short\n"},
		{report.Table{Head: []string{"", "a", "b"}, Rows: [][]string{{"x", "10", "≤ 1"}, {"longer", "5", ""}}},
			"         a    b\nx       10  ≤ 1\nlonger   5\n"},
		{report.Table{Align: "r", Head: []string{"n", "m"}, Rows: [][]string{{"100", "1"}}}, "  n  m\n100  1\n"},
	} {
		var b bytes.Buffer
		if err := c.table.WriteText(&b); err != nil || b.String() != c.want {
			t.Errorf("%v\n%s, want\n%s", err, &b, c.want)
		}
	}
}

func TestTableAsPage(t *testing.T) {
	page := report.Page{Title: "Tables", Sections: []report.Section{{Title: "One", Tables: []report.Table{mixed}}}}
	var html bytes.Buffer
	if err := page.WriteHTML(&html); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`<th>who</th><th class="figure">µs</th><th>verdict</th>`,
		`<td>old</td><td class="figure">1,234</td><td>short</td>`,
		".figure { text-align: right; }", "th, td { padding: .25rem .7rem; text-align: left;",
	} {
		if !strings.Contains(html.String(), want) {
			t.Errorf("the page does not have %s", want)
		}
	}
	dir := t.TempDir()
	if err := page.WriteMarkdown(dir, "tables.md"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "tables.md"))
	const want = "| who | µs | verdict |\n|---|---:|---|\n| papertape | 7 | met |\n"
	if err != nil || !strings.Contains(string(text), want) {
		t.Errorf("%s, %v, want %s", text, err, want)
	}
}
