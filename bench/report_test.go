package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	pprof "github.com/google/pprof/profile"

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

// profiled adds profiled runs to results, which lie in dir: of two contenders under two loads.
func profiled(t *testing.T, r *scenario.Results, dir string) {
	t.Helper()
	function := &pprof.Function{ID: 1, Name: "runtime.futex", SystemName: "runtime.futex", Filename: "a.go"}
	mapping := &pprof.Mapping{ID: 1, File: "papertape", Start: 1, Limit: 1 << 40, HasFunctions: true}
	location := &pprof.Location{ID: 1, Mapping: mapping, Address: 16, Line: []pprof.Line{{Function: function, Line: 1}}}
	p := &pprof.Profile{
		SampleType: []*pprof.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}},
		PeriodType: &pprof.ValueType{Type: "cpu", Unit: "nanoseconds"}, Period: 10_000_000, DurationNanos: 1e9,
		Mapping: []*pprof.Mapping{mapping}, Function: []*pprof.Function{function},
		Location: []*pprof.Location{location},
		Sample:   []*pprof.Sample{{Location: []*pprof.Location{location}, Value: []int64{10, 100_000_000}}},
	}
	for _, of := range scenario.Profiles() {
		if of.Load == scenario.ProfilePipelined || of.Contender != scenario.Ours.Name &&
			of.Contender != scenario.Baseline.Name {
			continue
		}
		r.Records = append(r.Records, scenario.Record{Scenario: "profiles", Cell: of.Load, Contender: of.Contender,
			Load: load.Result{Seconds: 1, Answers: 1000}})
		file := filepath.Join(dir, of.File)
		var b bytes.Buffer
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), p.Write(&b)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDocsKeepFewPages: of the pages about profiles docs/ has two flame graphs and a call graph; out has all.
func TestDocsKeepFewPages(t *testing.T) {
	t.Setenv("PATH", t.TempDir()) // no graphviz: call graphs take long to draw
	r, out := measured(t)
	profiled(t, r, out)
	page, err := writeReport(r, nil, out)
	if err != nil {
		t.Fatal(err)
	}
	docs := t.TempDir()
	old := filepath.Join(docs, report.Pictures, "diff-old.html")
	if err := errors.Join(os.Mkdir(filepath.Dir(old), 0o755), os.WriteFile(old, nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	if err := writeDocs(page.ForDocs(), out, docs); err != nil {
		t.Fatal(err)
	}
	pages := func(dir string) (names []string) {
		for _, pattern := range []string{"flame-*", "diff-*"} {
			found, err := filepath.Glob(filepath.Join(dir, report.Pictures, pattern))
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range found {
				names = append(names, filepath.Base(file))
			}
		}
		return names
	}
	if got, want := pages(docs), []string{"flame-saturated-baseline.html",
		"flame-saturated-papertape.html"}; !slices.Equal(got, want) {
		t.Errorf("docs/ has %q, want %q", got, want)
	}
	if got := pages(out); len(got) != 6 {
		t.Errorf("out has %q", got)
	}
}

// TestConclude is how a run ends.
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
