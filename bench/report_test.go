package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/papertape/papertape/bench/load"
	"github.com/papertape/papertape/bench/report"
	"github.com/papertape/papertape/bench/scenario"
)

// measured returns the results of a run, in a directory.
func measured(t *testing.T) (*scenario.Results, string) {
	t.Helper()
	r := &scenario.Results{Size: "quick"}
	for _, c := range []struct {
		contender scenario.Contender
		answers   uint64
	}{{scenario.Ours, 800_000}, {scenario.Baseline, 100_000}} {
		r.Records = append(r.Records, scenario.Record{Scenario: "pipelined", Cell: "100 × 32",
			Contender: c.contender.Name,
			Load:      load.Result{Seconds: 1, Answers: c.answers}})
	}
	dir := t.TempDir()
	text, err := json.Marshal(r)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "results.json"), text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r, dir
}

func TestReport(t *testing.T) {
	_, dir := measured(t)
	thresholds, docs := filepath.Join(dir, "thresholds.json"), filepath.Join(dir, "docs")
	if err := os.Mkdir(docs, 0o755); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	args := []string{"report", "--out", dir, "--set-thresholds", thresholds, "--thresholds", thresholds, "--docs", docs}
	if code := Main(t.Context(), args, &out, &errs); code != 0 {
		t.Fatalf("exit %d: %s", code, errs.String())
	}
	const row = "by those of the baseline                                    p3.vs_baseline           ≥ 5          " +
		"                  8  met\n"
	if !strings.Contains(out.String(), row) || !strings.Contains(out.String(), "not measured") {
		t.Errorf("it says\n%s", out.String())
	}
	for _, file := range []string{"report.html", "bench.md", "docs/bench.md", "docs/bench/pipelined-100---32.svg"} {
		if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
			t.Error(err)
		}
	}
	text, err := os.ReadFile(thresholds)
	if err != nil || !strings.Contains(string(text), "p3.vs_baseline") {
		t.Errorf("thresholds %s, %v", text, err)
	}
	if code := Main(t.Context(), []string{"report", "--out", filepath.Join(dir, "nowhere")}, &out,
		&errs); code != exitFailed {
		t.Errorf("of no results: exit %d", code)
	}
}

// TestConclude tests the end of a run.
func TestConclude(t *testing.T) {
	r, dir := measured(t)
	held := report.Thresholds{{Figure: "p3.vs_baseline", Least: 6}}
	broken := report.Thresholds{{Figure: "p3.vs_baseline", Least: 9, Reached: 12}}
	if err := conclude(io.Discard, r, held, dir, false); err != nil {
		t.Errorf("all holds: %v", err)
	}
	var out bytes.Buffer
	if err := conclude(&out, r, broken, dir, false); !errors.Is(err, errCheck) ||
		!strings.Contains(out.String(), "threshold: p3.vs_baseline") {
		t.Errorf("%v, and it says\n%s", err, out.String())
	}
	r.Failures = []string{"idle: no luck"}
	if err := conclude(io.Discard, r, held, dir, false); err == nil || errors.Is(err, errCheck) {
		t.Errorf("something could not be measured: %v", err)
	}
}
