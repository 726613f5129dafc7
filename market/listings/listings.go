// Package listings reads what is traded from a file: the universe of a server, as CSV or YAML.
//
//	u, err := listings.Read(text) // every problem is in the error, by line
//
// A CSV has a header, whose columns may be in any order; a YAML is a list of instruments, with the
// columns as keys. Both mean the same:
//
//	market,code,name,tick,lot,previous_close,day_limit
//	SH,600519,贵州茅台,0.01,100,1480.00,10%
//
// Only market, code and previous_close have to be there.
package listings

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/usertext"
)

// BytesMax is the maximum size of a file: room for as many instruments as there can be.
const BytesMax = 16 << 20

// problemsShown is how many problems an Error names.
const problemsShown = 10

// Problem is what is wrong with a line.
type Problem struct {
	Line int    // from 1; 0: the file as a whole
	Text string // a sentence
}

// Error has everything that is wrong with a file.
type Error []Problem

func (e Error) Error() string {
	if len(e) == 1 {
		return e[0].String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d things are wrong:", len(e))
	for _, p := range e[:min(len(e), problemsShown)] {
		fmt.Fprintf(&b, "\n  %s", p)
	}
	if more := len(e) - problemsShown; more > 0 {
		fmt.Fprintf(&b, "\n  and %d more", more)
	}
	return b.String()
}

// String returns the sentence with its line.
func (p Problem) String() string {
	if p.Line == 0 {
		return p.Text
	}
	return fmt.Sprintf("line %d: %s", p.Line, p.Text)
}

// row is an instrument as it is written: its fields by the names of columns.
type row struct {
	line   int
	fields map[string]string
}

// reading is a file that is being read.
type reading struct {
	list     []market.Instrument
	lines    []int // of list
	problems Error
}

// Read reads a universe. All its instruments must be of one currency. The error is a sentence; it is
// an Error, unless the bytes are no text.
func Read(text []byte) (*market.Universe, error) {
	text, err := usertext.Read(bytes.NewReader(text), BytesMax)
	if err != nil {
		return nil, err
	}
	r := new(reading)
	var rows []row
	if isYAML(text) {
		rows = r.yaml(text)
	} else {
		rows = r.csv(text)
	}
	for _, one := range rows {
		r.add(one)
	}
	if len(rows) == 0 && len(r.problems) == 0 {
		r.fail(0, "there is no instrument in it; write a line for each")
	}
	r.checkAll()
	if len(r.problems) > 0 {
		slices.SortStableFunc(r.problems, func(a, b Problem) int { return a.Line - b.Line })
		return nil, r.problems
	}
	return market.NewUniverse(r.list)
}

// isYAML tells the two forms apart by the first line that is no comment: a header of a CSV has commas,
// and no colon or dash.
func isYAML(text []byte) bool {
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		return bytes.ContainsAny(line[:1], "-[{") || bytes.HasSuffix(line, []byte(":")) ||
			bytes.Contains(line, []byte(": "))
	}
	return false
}

func (r *reading) fail(line int, format string, args ...any) {
	r.problems = append(r.problems, Problem{line, fmt.Sprintf(format, args...)})
}

// add adds a row, or says what is wrong with it.
func (r *reading) add(of row) {
	var f fields
	in := f.instrument(of.fields)
	if len(f.problems) == 0 {
		f.note(in.Check())
	}
	for _, err := range f.problems {
		name := ""
		if in.Code != "" && in.Market != "" {
			name = in.String() + ": "
		}
		r.fail(of.line, "%s%s", name, err)
	}
	if len(f.problems) == 0 {
		r.list, r.lines = append(r.list, in), append(r.lines, of.line)
	}
}

// checkAll checks what concerns more than one instrument.
func (r *reading) checkAll() {
	first := make(map[string]int, len(r.list)) // the line of each instrument
	mixed := false
	for i := range r.list {
		in, line := &r.list[i], r.lines[i]
		if before, twice := first[in.String()]; twice {
			r.fail(line, "%s: it is on line %d already; take one of them out", in, before)
		}
		first[in.String()] = line
		if !mixed && in.Currency() != r.list[0].Currency() {
			mixed = true // said once
			r.fail(line, "%s is traded in %s, and %s on line %d in %s; a server has one currency: "+
				"write a file for each",
				in, in.Currency(), &r.list[0], r.lines[0], r.list[0].Currency())
		}
	}
	if len(r.list) > market.MaxInstruments {
		r.fail(0, "it has %d instruments; a universe has at most %d", len(r.list), market.MaxInstruments)
	}
}
