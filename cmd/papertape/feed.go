package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/papertape/papertape/cmd/papertape/config"
	"github.com/papertape/papertape/console"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/market/tape"
)

func newFeed() *cobra.Command {
	var server consoleFlags
	var columns string
	cmd := &cobra.Command{
		Use:   "feed",
		Short: "Send quotes and trades from standard input to a running server",
		Long: `Read CSV with a header on standard input, and send it to a server line by line, as it comes: time, market, code, bid, ask,
bid_size, ask_size, last, size, volume. Prices are decimal, the volume is that of the day. A column that is missing and
a cell that is empty leave that as it was; without a time a line is of now. A bid or an ask of 0 takes that side away.

It ends when all is applied, and says what became of the lines. Those that are late, crossed, malformed or of unknown
instruments are counted, the first ten are named, and the rest goes on.

Exit 0 if a line was applied or there was none, 1 if there were lines and none was applied, 2 if this is no CSV of quotes.`,
		Example: `  papertape feed < quotes.csv
  printf 'market,code,bid,ask\nSH,600519,1479.99,1480.01\n' | papertape feed
  live-quotes | papertape feed --columns code=sym,last=px`,
		Args: exactArgs(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			parsed, err := tape.ParseColumns(columns)
			if err != nil {
				return usageError{fmt.Errorf("--columns: %w", err)}
			}
			c, err := server.client()
			if err != nil {
				return err
			}
			return feedLines(cmd, c, server.output, parsed)
		},
	}
	server.register(cmd.Flags())
	cmd.Flags().StringVar(&columns, "columns", "",
		"`columns` that are not known by their names, as in code=sym,last=px")
	return cmd
}

// feedLines sends what is on standard input, and prints what became of it.
func feedLines(cmd *cobra.Command, c *console.Client, output string, columns tape.Columns) error {
	listed, err := c.Instruments(cmd.Context())
	if err != nil {
		return err
	}
	universe, err := spellings(&listed)
	if err != nil {
		return fmt.Errorf("the server's instruments cannot be read: %w", err)
	}
	lines, err := tape.NewLineReader(cmd.InOrStdin(), tape.Options{Universe: universe, Columns: columns})
	if err != nil {
		return config.Errorf("standard input: %w", err)
	}
	f := feeder{send: c.SetQuotes, universe: universe}
	err = f.run(cmd.Context(), lines)
	f.take(lines.Report())
	if printed := printAs(cmd.OutOrStdout(), output, &f.report, f.report.print); err == nil {
		err = printed
	}
	if err == nil && f.report.Applied == 0 && f.report.Lines > 0 {
		err = errors.New("no line was applied")
	}
	return err
}

// spellings returns a universe by which the instruments of a server are told apart. Nothing else of it is
// the server's.
func spellings(listed *console.Instruments) (*market.Universe, error) {
	list := make([]market.Instrument, len(listed.Instruments))
	for n := range list {
		i := &listed.Instruments[n]
		list[n] = market.Instrument{Market: i.Market, Code: i.Code, Name: i.Name, Lot: 1, Tick: 1, PreviousClose: 1}
	}
	return market.NewUniverse(list)
}

// feedReport says what became of the lines of a feed.
type feedReport struct {
	Lines     int64    `json:"lines"` // without the header
	Applied   int64    `json:"applied"`
	Late      int64    `json:"late"`
	Crossed   int64    `json:"crossed"`
	Malformed int64    `json:"malformed"`
	Unknown   int64    `json:"unknown"`
	Problems  []string `json:"problems"` // the first ten
}

func (r *feedReport) print(w io.Writer) error {
	_, err := fmt.Fprintf(w, "%s: %d applied, %d late, %d crossed, %d malformed, %d of unknown instruments\n",
		plural(int(r.Lines), "line"), r.Applied, r.Late, r.Crossed, r.Malformed, r.Unknown)
	for _, p := range r.Problems {
		if err == nil {
			_, err = fmt.Fprintln(w, "  "+onScreen(p))
		}
	}
	return err
}

const feedProblemsMax = 10

// feedSource is where the lines of a feed come from: *tape.LineReader.
type feedSource interface {
	Next() (market.Update, error)
	Line() int64
	Ready() bool
}

// feeder sends lines in batches.
type feeder struct {
	send     func(context.Context, []console.QuoteUpdate) (console.QuotesApplied, error)
	universe *market.Universe
	report   feedReport
	problems []feedProblem // the first ten

	batch []console.QuoteUpdate
	lines []int64 // of batch
}

// feedProblem is what is wrong with a line.
type feedProblem struct {
	line int64
	text string
}

// feedLine is a line of a feed, or its end.
type feedLine struct {
	update market.Update
	number int64
	more   bool // another line can be read without waiting
	err    error
}

// run sends lines as they come: a batch when nothing more is there to read, or when it is full. Told to stop,
// it sends what it has.
func (f *feeder) run(ctx context.Context, from feedSource) error {
	f.report.Problems = []string{}
	lines := make(chan feedLine)
	go func() { // ends with ctx, with the input, or with the process, which it does not outlive
		for {
			var l feedLine
			l.update, l.err = from.Next()
			l.number, l.more = from.Line(), l.err == nil && from.Ready()
			select {
			case lines <- l:
			case <-ctx.Done():
				return
			}
			if l.err != nil {
				return
			}
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return f.flush(context.WithoutCancel(ctx))
		case l := <-lines:
			if l.err != nil {
				return errors.Join(ignoreEnd(l.err), f.flush(ctx))
			}
			f.batch, f.lines = append(f.batch, f.updateOf(&l.update)), append(f.lines, l.number)
			if !l.more || len(f.batch) == console.QuoteUpdatesMax {
				if err := f.flush(ctx); err != nil {
					return err
				}
			}
		}
	}
}

func ignoreEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return fmt.Errorf("standard input: %w", err)
}

// updateOf returns an update as the server reads it.
func (f *feeder) updateOf(u *market.Update) console.QuoteUpdate {
	i := f.universe.At(u.ID)
	q := console.QuoteUpdate{Market: i.Market, Code: i.Code}
	if u.Time != 0 {
		q.Time = strconv.FormatInt(u.Time, 10)
	}
	money := func(says market.Fields, v int64) *console.Money {
		if u.Says&says == 0 {
			return nil
		}
		return new(console.Money(v))
	}
	shares := func(says market.Fields, v int64) *int64 {
		if u.Says&says == 0 {
			return nil
		}
		return &v
	}
	q.Bid, q.Ask, q.Last = money(market.SaysBid, u.Bid), money(market.SaysAsk, u.Ask), money(market.SaysLast, u.Last)
	q.BidSize, q.AskSize = shares(market.SaysBidSize, u.BidSize), shares(market.SaysAskSize, u.AskSize)
	q.Size, q.Volume = shares(market.SaysSize, u.Size), shares(market.SaysVolume, u.Volume)
	if u.Says&market.SaysStatus != 0 {
		q.Status = u.Status.String()
	}
	return q
}

// flush sends the batch.
func (f *feeder) flush(ctx context.Context) error {
	if len(f.batch) == 0 {
		return nil
	}
	done, err := f.send(ctx, f.batch)
	if err != nil {
		return fmt.Errorf("line %d: %w", f.lines[0], err)
	}
	r := &f.report
	r.Lines += int64(len(f.batch))
	r.Applied, r.Late, r.Crossed = r.Applied+int64(done.Applied), r.Late+int64(done.Late), r.Crossed+int64(done.Crossed)
	r.Malformed, r.Unknown = r.Malformed+int64(done.Bad), r.Unknown+int64(done.Unknown)
	for _, p := range done.Problems {
		f.problems = append(f.problems, f.byLine(p))
	}
	f.name()
	f.batch, f.lines = f.batch[:0], f.lines[:0]
	return nil
}

var updateNumber = regexp.MustCompile(`^update (\d+): `)

// byLine names a problem by its line, where the server names it by its place in the batch.
func (f *feeder) byLine(problem string) feedProblem {
	m := updateNumber.FindStringSubmatch(problem)
	if m == nil {
		return feedProblem{f.lines[0], problem}
	}
	n, err := strconv.Atoi(m[1])
	if err != nil || n < 1 || n > len(f.lines) {
		return feedProblem{f.lines[0], problem}
	}
	line := f.lines[n-1]
	return feedProblem{line, fmt.Sprintf("line %d: %s", line, strings.TrimPrefix(problem, m[0]))}
}

// take adds the lines that were not sent, since nothing could be made of them.
func (f *feeder) take(r *tape.Report) {
	refused, unknown := r.RefusedLines(), r.Refused[tape.Unknown]
	f.report.Lines += refused
	f.report.Unknown += unknown
	f.report.Crossed += r.Refused[tape.Crossed]
	f.report.Malformed += refused - unknown - r.Refused[tape.Crossed]
	for _, p := range r.Problems {
		f.problems = append(f.problems, feedProblem{p.Line, p.String()})
	}
	f.name()
}

// name puts the first ten problems into the report, in the order of their lines.
func (f *feeder) name() {
	slices.SortStableFunc(f.problems, func(a, b feedProblem) int { return cmp.Compare(a.line, b.line) })
	f.problems = f.problems[:min(len(f.problems), feedProblemsMax)]
	f.report.Problems = []string{}
	for _, p := range f.problems {
		f.report.Problems = append(f.report.Problems, p.text)
	}
}
