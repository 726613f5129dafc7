package audit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Report is what Verify found in files without a fault.
type Report struct {
	Lines     uint64    `json:"lines"`
	First     uint64    `json:"first"` // the numbers of the first and of the last line
	Last      uint64    `json:"last"`
	From      time.Time `json:"from"` // their times
	To        time.Time `json:"to"`
	Head      string    `json:"head"`                 // hash of the last line
	Found     uint64    `json:"found,omitempty"`      // the number of the line with the hash that was looked for
	TornBytes int       `json:"torn_bytes,omitempty"` // of a last line that is not complete
}

// BrokenError says where a chain is broken.
type BrokenError struct {
	File string
	Line int // counted from 1
	Why  string
}

// Error returns a sentence.
func (e *BrokenError) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Why) }

// HeadError says that no line has the hash that was looked for.
type HeadError string

// Error returns a sentence.
func (e HeadError) Error() string {
	return fmt.Sprintf("no line has the hash %s: lines were removed at the end, or the whole was written anew; "+
		"or that line is in a file that was not named", string(e))
}

// Verify checks files that follow each other, oldest first, and whether a line has the hash head; ""
// is not looked for. Its errors are a *BrokenError, a HeadError, or that a file cannot be read.
func Verify(head string, files ...string) (Report, error) {
	c := checker{head: head}
	for i, name := range files {
		if err := c.file(name, i == len(files)-1); err != nil {
			return c.report, err
		}
	}
	if head != "" && c.report.Found == 0 {
		return c.report, HeadError(head)
	}
	return c.report, nil
}

// checker follows a chain.
type checker struct {
	head   string
	report Report
}

func (c *checker) file(name string, last bool) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it was only read
	r := bufio.NewReaderSize(f, lineBytesMax)
	for n := 1; ; n++ {
		line, err := r.ReadSlice('\n')
		broken := func(format string, args ...any) error {
			return &BrokenError{File: name, Line: n, Why: fmt.Errorf(format, args...).Error()}
		}
		switch {
		case errors.Is(err, io.EOF) && len(line) == 0:
			return nil
		case errors.Is(err, io.EOF) && last:
			c.report.TornBytes = len(line)
			return nil
		case errors.Is(err, io.EOF):
			return broken("the line is not complete, and other files follow")
		case errors.Is(err, bufio.ErrBufferFull):
			return broken("the line is longer than any of an audit")
		case err != nil:
			return err
		}
		if err := c.line(bytes.TrimSuffix(line, []byte{'\n'}), broken); err != nil {
			return err
		}
	}
}

// line checks the next line.
func (c *checker) line(line []byte, broken func(string, ...any) error) error {
	r, err := parseLine(line)
	if err != nil {
		return broken("%w", err)
	}
	before := &c.report
	switch first := before.Lines == 0; {
	case first && r.Number == 1 && r.Previous != nothing:
		return broken("it is the first line, and says that another comes before it")
	case !first && r.Number != before.Last+1:
		return broken("its number is %d, and that of the line before is %d: lines are missing, or out of order",
			r.Number, before.Last)
	case !first && r.Previous != before.Head:
		return broken("the line before is not the one that was written there: " +
			"it, or this line, was changed or replaced")
	case first:
		before.First, before.From = r.Number, r.Time
	}
	before.Lines++
	before.Last, before.To, before.Head = r.Number, r.Time, hashOf(line)
	if before.Head == c.head {
		before.Found = r.Number
	}
	return nil
}
