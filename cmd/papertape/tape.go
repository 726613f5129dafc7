package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/spf13/cobra"

	"github.com/papertape/papertape/decimal"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/market/tape"
	"github.com/papertape/papertape/usertext"
)

func newTape() *cobra.Command {
	return group(&cobra.Command{
		Use:   "tape",
		Short: "Files of trades, quotes or bars: make one up, or check one",
		Long: `A tape is a file of trades, quotes or bars, as CSV, plain or compressed by gzip or zstd. A server replays one with prices: replay.
Here one is made up, or checked before it is replayed.`,
		Example: `  papertape tape generate --kind bars --date 2026-03-02 --seed 1 --out day.csv.gz
  papertape tape check day.csv.gz`,
	}, newTapeGenerate(), newTapeCheck())
}

// universes are the universes that are shipped.
var universes = map[string]func() *market.Universe{"cn": market.Default, "us": market.US}

// shippedUniverse returns a universe by its name.
func shippedUniverse(name string) (*market.Universe, error) {
	if build, ok := universes[name]; ok {
		return build(), nil
	}
	return nil, usageError{fmt.Errorf("--universe: there is no universe %q; write cn or us", name)}
}

type tapeGenerateFlags struct {
	universe, kind, date, out string
	instruments, days, seed   uint64
}

func newTapeGenerate() *cobra.Command {
	f := tapeGenerateFlags{days: 1, seed: 1}
	cmd := &cobra.Command{
		Use:   "generate --kind K --date D",
		Short: "Make up a tape",
		Long: `Write a tape that is made up: trades, quotes or bars of one minute, at prices that move at random around the closes of the day
before. The same flags give the same bytes. It covers the hours of trading of each trading day. A file whose name ends in .gz is
compressed.`,
		Example: `  papertape tape generate --kind trades --date 2026-03-02 --seed 1 > day.csv
  papertape tape generate --kind bars --date 2026-03-02 --days 21 --out month.csv.gz`,
		Args: exactArgs(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.OutOrStdout()) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.universe, "universe", "cn", "the `universe` whose instruments are traded: cn or us")
	flags.StringVar(&f.kind, "kind", "", "trades, quotes or bars")
	flags.StringVar(&f.date, "date", "", "the `date` of the first day, as 2026-03-02")
	flags.Var(decimal.Whole(&f.days, 1, 1, 1000), "days", "how many trading days")
	flags.Var(decimal.Whole(&f.instruments, 0, 0, market.MaxInstruments), "instruments",
		"only the first so many instruments; 0: all")
	flags.Var(decimal.Whole(&f.seed, 1, 0, 1<<64-1), "seed", "another seed gives another tape")
	flags.Var(pathFlag{&f.out}, "out", "write to this new `file` instead of standard output")
	return cmd
}

func (f *tapeGenerateFlags) run(stdout io.Writer) error {
	o, err := f.options()
	if err != nil {
		return err
	}
	if f.out == "" {
		return tape.Generate(stdout, o)
	}
	file, err := os.OpenFile(f.out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // it is no secret
	if err != nil {
		return usageError{fmt.Errorf("--out: %w", err)}
	}
	err = errors.Join(writeTape(file, strings.HasSuffix(f.out, ".gz"), o), file.Close())
	if err != nil {
		return errors.Join(err, os.Remove(f.out))
	}
	return nil
}

// writeTape writes a made-up tape, compressed or not.
func writeTape(w io.Writer, compressed bool, o tape.GenerateOptions) error {
	if !compressed {
		return tape.Generate(w, o)
	}
	zip, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	return errors.Join(tape.Generate(zip, o), zip.Close())
}

// options returns what the flags say.
func (f *tapeGenerateFlags) options() (tape.GenerateOptions, error) {
	o := tape.GenerateOptions{Days: int(f.days), Instruments: int(f.instruments), Seed: f.seed,
		Sessions: sessionsOf}
	var err error
	switch {
	case f.kind == "":
		return o, usageError{errors.New("what is to be on it? Say --kind trades, quotes or bars")}
	case f.date == "":
		return o, usageError{errors.New("of which day? Say --date 2026-03-02")}
	}
	if o.Universe, err = shippedUniverse(f.universe); err != nil {
		return o, err
	}
	if o.Kind, err = tape.ParseKind(f.kind); err != nil {
		return o, usageError{fmt.Errorf("--kind: %w", err)}
	}
	if o.Date, err = time.Parse(time.DateOnly, f.date); err != nil || o.Date.Year() < 1970 || o.Date.Year() > 2200 {
		return o, usageError{fmt.Errorf("--date: %q is not a date from 1970 to 2200; write it as 2026-03-02", f.date)}
	}
	return o, nil
}

// tapeSummary is what was found on a tape.
type tapeSummary struct {
	File     string           `json:"file"`
	Kind     string           `json:"kind"`
	Seconds  int64            `json:"bar_seconds,omitempty"`
	Taken    int64            `json:"taken"`
	Skipped  int64            `json:"skipped"`
	Refused  map[string]int64 `json:"refused"`
	Problems []tapeProblem    `json:"problems"`
	First    time.Time        `json:"first,omitzero"`
	Last     time.Time        `json:"last,omitzero"`
	Moments  int64            `json:"moments"`
	report   *tape.Report
}

type tapeProblem struct {
	Line  int64  `json:"line"`
	Fault string `json:"fault"`
	Why   string `json:"why"`
}

func newTapeCheck() *cobra.Command {
	var universe, columns, output string
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Read a tape, and say what is on it and which lines are no good",
		Long: `Read a tape from its beginning to its end, as a server does that replays it, and say of how many lines it is, how many were
refused and why, and the first ten of these. Exit 0 if every line is good; 99 if one was refused; 2 if it is no tape.`,
		Example: `  papertape tape check day.csv.gz
  papertape tape check ticks.csv --columns time=ts,code=sym,last=px,size=n -o json`,
		Args: exactArgs(1, "a file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			s, err := checkTape(args[0], universe, columns)
			if err != nil {
				return err
			}
			if err := printAs(cmd.OutOrStdout(), output, s, s.render); err != nil {
				return err
			}
			if s.report.RefusedLines() > 0 {
				return errCheck
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&universe, "universe", "cn", "the `universe` whose instruments are traded: cn or us")
	cmd.Flags().StringVar(&columns, "columns", "", "what the columns are, where their names do not say it: "+
		"time=ts,last=px")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}

// checkTape reads a tape to its end.
func checkTape(path, universe, columns string) (*tapeSummary, error) {
	u, err := shippedUniverse(universe)
	if err != nil {
		return nil, err
	}
	c, err := tape.ParseColumns(columns)
	if err != nil {
		return nil, usageError{fmt.Errorf("--columns: %w", err)}
	}
	r, err := tape.Open(path, tape.Options{Universe: u, Columns: c, Sessions: sessionsOf})
	if err != nil {
		return nil, usageError{err}
	}
	moments := int64(0)
	for err == nil {
		if _, _, err = r.Next(); err == nil {
			moments++
		}
	}
	if !errors.Is(err, io.EOF) {
		return nil, errors.Join(err, r.Close())
	}
	return newTapeSummary(path, moments, r.Report()), r.Close()
}

func newTapeSummary(path string, moments int64, report *tape.Report) *tapeSummary {
	s := &tapeSummary{
		File: path, Kind: report.Kind.String(), Seconds: report.Seconds, Taken: report.Taken, Skipped: report.Skipped,
		Refused: make(map[string]int64), Problems: make([]tapeProblem, 0, len(report.Problems)),
		Moments: moments, report: report,
	}
	for fault, n := range report.Refused {
		if n > 0 {
			s.Refused[tape.Fault(fault).String()] = n
		}
	}
	for _, p := range report.Problems {
		s.Problems = append(s.Problems, tapeProblem{p.Line, p.Fault.String(), p.Why})
	}
	if report.Taken > 0 {
		s.First, s.Last = time.Unix(0, report.First).UTC(), time.Unix(0, report.Last).UTC()
	}
	return s
}

func (s *tapeSummary) render(w io.Writer) error {
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "%s\n", s.report)
	if s.Taken > 0 {
		_, _ = fmt.Fprintf(&b, "from %s to %s, %d moments\n", s.First.Format(time.RFC3339Nano),
			s.Last.Format(time.RFC3339Nano),
			s.Moments)
	}
	if s.Seconds > 0 {
		_, _ = fmt.Fprintf(&b, "a bar lasts %d s\n", s.Seconds)
	}
	for _, p := range s.report.Problems {
		_, _ = fmt.Fprintf(&b, "%s\n", p)
	}
	_, err := io.WriteString(w, usertext.ShownLines(b.String()))
	return err
}
