package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/papertape/papertape/bench/scenario"
)

// runFlags holds the flags of run.
type runFlags struct {
	quick, full, lenient         bool
	out, only, papertape, source string
	commit, thresholds           string
}

func newRun() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Measure, write results and report, and hold the figures against the thresholds",
		Long: `Measure the scenarios, write the raw results and the report to a directory, and hold ` +
			`the figures against the thresholds.
Exit code 99: a threshold did not hold, which is named.

Scenarios: ` + strings.Join(scenario.Names(), ", ") + ".",
		Example: `  papertape-bench run
  papertape-bench run --full --out bench/out
  papertape-bench run --only connections,pipelined`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd, &f) },
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.quick, "quick", false, "what the targets are about, in less than ten minutes; the default")
	flags.BoolVar(&f.full, "full", false, "all contenders and cells, for longer")
	flags.BoolVar(&f.lenient, "lenient", false,
		"keep runs in which the generator was late itself, with a note: for a busy machine")
	flags.StringVar(&f.out, "out", "bench/out", "write results and report to this directory")
	flags.StringVar(&f.only, "only", "", "measure these scenarios alone, separated by commas; thresholds about "+
		"others are not held")
	flags.StringVar(&f.papertape, "papertape", "bin/papertape", "the server's binary")
	flags.StringVar(&f.source, "source", ".",
		"directory of the source of Papertape, for the benchmarks of its packages")
	flags.StringVar(&f.commit, "commit", "", "what the report says was measured; empty: as noted in this program")
	flags.StringVar(&f.thresholds, "thresholds", "bench/thresholds.json", "the thresholds; empty: none are held")
	cmd.MarkFlagsMutuallyExclusive("quick", "full")
	return cmd
}

func run(cmd *cobra.Command, f *runFlags) error {
	// If the reader of the progress goes away, the run continues.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	r, err := runner(f, progress(cmd.ErrOrStderr()))
	if err != nil {
		return err
	}
	thresholds, err := loadThresholds(f.thresholds) // fail before an hour of measuring
	if err != nil {
		return usageError{err}
	}
	var names []string
	if f.only != "" {
		names = strings.Split(f.only, ",")
	}
	results, err := r.Run(cmd.Context(), names...)
	if err != nil {
		return err
	}
	if _, err := writeReport(results, thresholds, f.out); err != nil {
		return err
	}
	return conclude(cmd.OutOrStdout(), results, thresholds, f.out, len(names) == 0)
}

// runner builds a runner from the flags.
func runner(f *runFlags, bar func(done, of time.Duration, what string)) (*scenario.Runner, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	server, err := filepath.Abs(f.papertape)
	if err == nil {
		_, err = os.Stat(server)
	}
	if err != nil {
		return nil, usageError{fmt.Errorf("--papertape %s: %w; make build makes it", f.papertape, err)}
	}
	r := &scenario.Runner{
		Programs: scenario.Programs{Papertape: server, Bench: self},
		Size:     scenario.Quick, Source: f.source, Commit: f.commit, Out: f.out,
		Lenient: f.lenient, Progress: bar,
	}
	if f.full {
		r.Size = scenario.Full
	}
	return r, nil
}

// progress shows the progress: a bar on a terminal, otherwise a line for each step.
func progress(w io.Writer) func(done, of time.Duration, what string) {
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		began := time.Now()
		return func(done, of time.Duration, what string) {
			_, _ = fmt.Fprintf(w, "%4.0f s, %3.0f %%: %s\n", time.Since(began).Seconds(),
				100*done.Seconds()/of.Seconds(), what)
		}
	}
	var bar *progressbar.ProgressBar
	return func(done, of time.Duration, what string) {
		if bar == nil {
			bar = progressbar.NewOptions64(of.Milliseconds(), progressbar.OptionSetWriter(w),
				progressbar.OptionSetWidth(30),
				progressbar.OptionShowDescriptionAtLineEnd(), progressbar.OptionClearOnFinish())
		}
		bar.Describe(what)
		_ = bar.Set64(done.Milliseconds()) // fails if the terminal is gone
	}
}

// conclude prints the targets, and which thresholds were not met.
func conclude(w io.Writer, results *scenario.Results, thresholds thresholdList, out string, everything bool) error {
	if err := printTargets(w, results); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "\n%d runs in %.0f s; the report is "+
		"%s\n", len(results.Records), results.Seconds, filepath.Join(out, reportFile)); err != nil {
		return err
	}
	for _, failure := range results.Failures {
		_, _ = fmt.Fprintln(w, "could not be measured:", failure)
	}
	broken := thresholds.Broken(results.Figures(), everything)
	for _, sentence := range broken {
		_, _ = fmt.Fprintln(w, "threshold:", sentence)
	}
	switch {
	case len(broken) > 0:
		return errCheck
	case len(results.Failures) > 0:
		return errors.New("not everything could be measured")
	}
	return nil
}
