package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/papertape/papertape/bench/report"
	"github.com/papertape/papertape/bench/scenario"
)

// The files that are written next to the raw results.
const (
	reportFile   = "report.html"
	markdownFile = "bench.md"
)

// thresholdList is a short name for signatures.
type thresholdList = report.Thresholds

func newReport() *cobra.Command {
	var out, thresholds, docs, set string
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Write the report of results again, into docs/ too, and set the thresholds",
		Example: `  papertape-bench report                                   of the results in bench/out
  papertape-bench report --docs docs                       docs/bench.md, its pictures and the pages kept there too
  papertape-bench report --set-thresholds bench/thresholds.json   what was reached, with slack`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			results, err := scenario.Load(out)
			if err != nil {
				return err
			}
			if set != "" {
				if err := setThresholds(set, results); err != nil {
					return err
				}
			}
			list, err := loadThresholds(thresholds)
			if err != nil {
				return usageError{err}
			}
			page, err := writeReport(results, list, out)
			if err != nil {
				return err
			}
			if docs != "" {
				if err := writeDocs(page.ForDocs(), out, docs); err != nil {
					return err
				}
			}
			return printTargets(cmd.OutOrStdout(), results)
		},
	}
	cmd.Flags().StringVar(&out, "out", "bench/out", "directory of the results")
	cmd.Flags().StringVar(&thresholds, "thresholds", "bench/thresholds.json", "the thresholds; empty: none")
	cmd.Flags().StringVar(&docs, "docs", "", "write bench.md, its pictures and the few pages that are kept "+
		"into this directory")
	cmd.Flags().StringVar(&set, "set-thresholds", "", "write what was reached, with slack, to this file")
	return cmd
}

// loadThresholds reads the file; "" means no thresholds.
func loadThresholds(file string) (report.Thresholds, error) {
	if file == "" {
		return nil, nil
	}
	return report.LoadThresholds(file)
}

func setThresholds(file string, results *scenario.Results) error {
	text, err := json.MarshalIndent(report.ThresholdsOf(results), "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

// writeReport makes the pages of results, whose profiles are in out.
func writeReport(results *scenario.Results, thresholds report.Thresholds, out string) (*report.Page, error) {
	flames, err := report.Flames(results, out)
	if err != nil {
		return nil, err
	}
	page := report.New(results, thresholds, flames...)
	f, err := os.Create(filepath.Join(out, reportFile))
	if err != nil {
		return nil, err
	}
	return page, errors.Join(page.WriteHTML(f), f.Close(), page.WriteMarkdown(out, markdownFile))
}

// writeDocs writes a page for docs/ with its pictures, copies the pages that it links to from out, and
// removes what an earlier run left there.
func writeDocs(page *report.Page, out, docs string) error {
	if err := os.RemoveAll(filepath.Join(docs, report.Pictures)); err != nil {
		return err
	}
	if err := page.WriteMarkdown(docs, markdownFile); err != nil {
		return err
	}
	for _, s := range page.Sections {
		for _, l := range s.Links {
			content, err := os.ReadFile(filepath.Join(out, l.File))
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(docs, l.File), content, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// printTargets prints the target figures as a table.
func printTargets(w io.Writer, results *scenario.Results) error {
	t := report.Targets(results)
	return t.WriteText(w)
}
