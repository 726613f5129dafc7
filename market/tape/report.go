package tape

import (
	"fmt"
	"strings"
)

// Fault is why a line was not taken.
type Fault uint8

// The faults.
const (
	Malformed   Fault = iota // no line of CSV, a cell that is no number, a price without a trade
	LongLine                 // longer than 64 KiB
	Unknown                  // the instrument
	BadTime                  // no time, or none before 2201
	BadPrice                 // not above 0, or above market.MaxPrice; a size that is too large
	Crossed                  // the bid above the ask, or a bar whose open or close is not between its low and high
	OutOfOrder               // older than the line before
	Overlapping              // a bar that begins before the last one of its instrument has ended
	faults                   // how many there are
)

// String returns the fault in a word or two.
func (f Fault) String() string {
	names := [...]string{"malformed", "too long", "unknown instrument", "bad time", "bad price", "crossed",
		"out of order", "overlapping"}
	if f < faults {
		return names[f]
	}
	return fmt.Sprintf("Fault(%d)", uint8(f))
}

// Problem is a line that was not taken, and why.
type Problem struct {
	Line  int64 // from 1; the header is a line too
	Fault Fault
	Why   string // a sentence without its beginning: "there is no price"
}

// String returns "line 7: there is no price".
func (p Problem) String() string { return fmt.Sprintf("line %d: %s", p.Line, p.Why) }

// problemsMax is how many problems are named. All are counted.
const problemsMax = 10

// Report says what became of the lines of a file that were read so far.
type Report struct {
	Kind        Kind
	Seconds     int64         // bars: how long one lasts that has a time
	Taken       int64         // lines
	Skipped     int64         // lines before Options.From, empty ones, and those that say nothing of prices
	Refused     [faults]int64 // lines, by Fault
	Problems    []Problem     // the first ten
	First, Last int64         // times of the lines taken, nanoseconds since the Unix epoch; 0: none
}

// RefusedLines returns how many lines were refused.
func (r *Report) RefusedLines() (n int64) {
	for _, count := range r.Refused {
		n += count
	}
	return n
}

// String returns the report in one line: "trades: 99 lines taken, 2 skipped, 3 refused (2
// crossed, 1 out of order)".
func (r *Report) String() string {
	text := fmt.Sprintf("%s: %d lines taken, %d skipped, %d refused", r.Kind, r.Taken, r.Skipped, r.RefusedLines())
	var counts []string
	for f, n := range r.Refused {
		if n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", n, Fault(f)))
		}
	}
	if len(counts) == 0 {
		return text
	}
	return text + " (" + strings.Join(counts, ", ") + ")"
}

// refuse counts a line that was not taken. why is called for the first ones only.
func (r *Report) refuse(line int64, f Fault, why func() string) {
	r.Refused[f]++
	if len(r.Problems) < problemsMax {
		r.Problems = append(r.Problems, Problem{line, f, why()})
	}
}
