package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"github.com/papertape/papertape/console"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/market/tape"
)

// pacedSource is a feed whose lines come when they are sent to it. Without more it has to wait for the next.
type pacedSource struct {
	lines chan pacedLine
	last  pacedLine
	n     int64
}

type pacedLine struct {
	more bool
	err  error
}

func (p *pacedSource) Next() (market.Update, error) {
	p.last = <-p.lines
	p.n++
	return market.Update{ID: market.ID(p.n), Says: market.SaysLast, Last: p.n}, p.last.err
}

func (p *pacedSource) Line() int64 { return p.n + 1 }
func (p *pacedSource) Ready() bool { return p.last.more }

// TestFeederSends: what is there is sent at once when the next line has to be waited for, in batches that are
// not too large, in order; problems are named by their lines, and the first ten are kept.
func TestFeederSends(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	sent := make(chan int)
	broken := errors.New("the pipe broke")
	f := feeder{universe: market.Default(), send: func(_ context.Context, batch []console.QuoteUpdate) (
		console.QuotesApplied, error,
	) {
		sent <- len(batch)
		return console.QuotesApplied{Applied: len(batch) - 1, Late: 1, Problems: []string{"update 1: it is late"}}, nil
	}}
	from := &pacedSource{lines: make(chan pacedLine)}
	ended := make(chan error)
	go func() { ended <- f.run(t.Context(), from) }()
	var batches []int
	for range 2 { // lines that come one at a time are not held back
		from.lines <- pacedLine{}
		batches = append(batches, <-sent)
	}
	from.lines <- pacedLine{more: true}
	from.lines <- pacedLine{}
	batches = append(batches, <-sent)
	from.lines <- pacedLine{more: true}
	go func() { from.lines <- pacedLine{err: broken} }() // ends when it is read
	batches = append(batches, <-sent)
	if err := <-ended; !errors.Is(err, broken) {
		t.Errorf("it ended with %v", err)
	}
	if want := []int{1, 1, 2, 1}; !slices.Equal(batches, want) {
		t.Errorf("batches of %v, want %v", batches, want)
	}
	want := []string{"line 2: it is late", "line 3: it is late", "line 4: it is late", "line 6: it is late"}
	if r := f.report; r.Lines != 5 || r.Applied != 1 || r.Late != 4 || !slices.Equal(r.Problems, want) {
		t.Errorf("%+v", r)
	}
}

// TestFeederBatches: a batch is not larger than the server takes.
func TestFeederBatches(t *testing.T) {
	var batches []int
	f := feeder{universe: market.US(), send: func(_ context.Context, batch []console.QuoteUpdate) (
		console.QuotesApplied, error,
	) {
		batches = append(batches, len(batch))
		return console.QuotesApplied{Applied: len(batch)}, nil
	}}
	from := &endlessSource{left: 2*console.QuoteUpdatesMax + 5}
	if err := f.run(t.Context(), from); err != nil {
		t.Fatal(err)
	}
	if want := []int{console.QuoteUpdatesMax, console.QuoteUpdatesMax, 5}; !slices.Equal(batches, want) {
		t.Errorf("batches of %v, want %v", batches, want)
	}
}

// TestFeederNamesFirst: the first ten problems are those of the first ten lines, whoever found them.
func TestFeederNamesFirst(t *testing.T) {
	var f feeder
	for line := range int64(12) {
		f.problems = append(f.problems, feedProblem{10 + line, "late"})
	}
	f.name()
	f.take(&tape.Report{Problems: []tape.Problem{{Line: 2, Why: "bad"}, {Line: 30, Why: "bad"}}})
	if p := f.report.Problems; len(p) != feedProblemsMax || p[0] != "line 2: bad" || p[9] != "late" {
		t.Errorf("%q", p)
	}
}

// endlessSource always has a line until none is left.
type endlessSource struct{ left int }

func (e *endlessSource) Next() (market.Update, error) {
	if e.left == 0 {
		return market.Update{}, io.EOF
	}
	e.left--
	return market.Update{Says: market.SaysBid, Bid: 1}, nil
}

func (e *endlessSource) Line() int64 { return 2 }
func (e *endlessSource) Ready() bool { return true }
