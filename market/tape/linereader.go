package tape

import (
	"io"

	"github.com/papertape/papertape/market"
)

// LineReader reads quotes and trades line by line as they arrive, from a pipe. Its lines are
// those of a file of quotes, but a missing column or an empty cell leaves that as it was, a
// volume is that of the day, and a line without a time is of now.
type LineReader struct {
	rows *decoder
}

// NewLineReader reads the header. Options.From and Options.Sessions do not matter. The error
// is a sentence.
func NewLineReader(in io.Reader, o Options) (*LineReader, error) {
	rows, err := newDecoder(newLines(in), &o, true)
	if err != nil {
		return nil, err
	}
	return &LineReader{rows: rows}, nil
}

// Next waits for a line that says something, and returns it. Its Time is 0 if the line has
// none. The error is io.EOF after the last line, or that of the reader below.
func (l *LineReader) Next() (market.Update, error) {
	var r row
	if err := l.rows.next(&r); err != nil {
		return market.Update{}, err
	}
	report := &l.rows.report
	if report.Taken++; report.First == 0 {
		report.First = r.Time
	}
	report.Last = r.Time
	return r.Update, nil
}

// Line returns the number of the line that Next returned, from 1. The header is a line too.
func (l *LineReader) Line() int64 { return l.rows.lines.number }

// Ready reports whether Next would not have to wait for a line, so that a caller can send what
// it has before it waits.
func (l *LineReader) Ready() bool { return l.rows.first != nil || l.rows.lines.ready() }

// Report returns what became of the lines so far. The lines that the server refuses are not in
// it.
func (l *LineReader) Report() *Report {
	report := l.rows.report
	return &report
}
