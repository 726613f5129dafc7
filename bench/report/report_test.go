package report_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/papertape/papertape/bench/load"
	"github.com/papertape/papertape/bench/measure"
	"github.com/papertape/papertape/bench/report"
	"github.com/papertape/papertape/bench/scenario"
)

// sample returns results that contain something of most kinds.
func sample() *scenario.Results {
	r := &scenario.Results{Size: "quick", Notes: []string{"a <note> about `dot`"},
		Environment: measure.Environment{CPU: "a machine", Cores: 2}}
	add := func(name, cell, contender string, answers uint64, cpu float64, values map[string]float64) {
		for round := range 3 {
			r.Records = append(r.Records, scenario.Record{
				Scenario: name, Cell: cell, Contender: contender, Round: round, Values: values,
				Load: load.Result{Seconds: 1, Answers: answers, Events: 1000,
					Latency: map[string]load.Distribution{"all": {P99: 3}}},
				Server: measure.Usage{Seconds: 1, CPUSeconds: cpu},
			})
		}
	}
	add("document", "1 clients, 1–2 s", scenario.Ours.Name, 5, 0.1, nil)
	add("document", "10 clients, 1–2 s", scenario.Ours.Name, 50, 0.1, nil)
	for _, cell := range []string{"1,000 × 1", "10,000 × 1"} {
		add("connections", cell, scenario.Ours.Name, 100_000, 0.6, nil)
		add("connections", cell, scenario.Baseline.Name, 80_000, 0.9, nil)
	}
	add("pipelined", "100 × 32", scenario.Ours.Name, 1_600_000, 0.8, nil)
	add("pipelined", "100 × 32", scenario.Baseline.Name, 200_000, 1.2, nil)
	add("push", "events to 10,000", scenario.Ours.Name, 0, 0.5, map[string]float64{"asked": 80_000, "held": 1})
	add("benchmarks", "./codec", scenario.Ours.Name, 0, 0, map[string]float64{"AppendEvent ns/op": 120})
	add("idle", "idle", scenario.Ours.Name, 0, 0,
		map[string]float64{"connections": 18500, "user_bytes": 700, "kernel_bytes": 10_000, "goroutines": 0})
	return r
}

func TestPage(t *testing.T) {
	page := report.New(sample(), report.Thresholds{{Figure: "p3.vs_baseline", Least: 5, Reached: 8}})
	var html bytes.Buffer
	if err := page.WriteHTML(&html); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1.60 M", "8 (8 to 8)", "<code>dot</code>", "a &lt;note&gt; about", "<svg", "met",
		"short", "not measured", "holds", "18,500"} {
		if !strings.Contains(html.String(), want) {
			t.Errorf("the page does not have %q", want)
		}
	}
	for _, reference := range []string{"src=", "<link", "@import", "url("} {
		if strings.Contains(html.String(), reference) {
			t.Errorf("the page is not self-contained: it has %q", reference)
		}
	}
}

func TestMarkdown(t *testing.T) {
	page := report.New(sample(), nil)
	dir := t.TempDir()
	if err := page.WriteMarkdown(dir, "bench.md"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "bench.md"))
	if err != nil {
		t.Fatal(err)
	}
	pictures := 0
	for line := range strings.Lines(string(text)) {
		if _, file, ok := strings.Cut(strings.TrimSpace(line), "]("); ok && strings.HasPrefix(line, "![") {
			pictures++
			wellFormed(t, filepath.Join(dir, strings.TrimSuffix(file, ")")))
		}
	}
	if pictures < 4 {
		t.Errorf("%d pictures, want one of the document, two of connections, one pipelined", pictures)
	}
	for _, row := range []string{
		"| p3.vs_baseline | ≥ 5 | 8", "| papertape | 1,000 (1,000 to 1,000) |\n", "| 3 of 3 |",
		"| of a request | 2,000 µs (2,000 to 2,000) |",
		"| ./codec AppendEvent ns/op | 120 (120 to 120) |",
	} {
		if !strings.Contains(string(text), row) {
			t.Errorf("no row %q in\n%s", row, text)
		}
	}
}

// TestForDocs: docs/ has the pages that are marked, and says where the others are.
func TestForDocs(t *testing.T) {
	page := report.Page{Title: "Measured", Sections: []report.Section{
		{Title: "One", Text: []string{strings.Repeat("text ", 40)}, Links: []report.Link{
			{Text: "kept", File: "bench/kept.html", InDocs: true}, {Text: "large", File: "bench/large.html"}}},
		{Title: "Two", Text: []string{"as it was"}},
	}}
	dir := t.TempDir()
	if err := page.ForDocs().WriteMarkdown(dir, "bench.md"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "bench.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"](bench/kept.html)", "`make bench-full` makes 1 more page", "as it was"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(string(text), "large") || strings.Count(string(text), "bench-full") != 1 {
		t.Errorf("it says\n%s", text)
	}
	for line := range strings.Lines(string(text)) {
		if len(line) > 121 {
			t.Errorf("a line of %d bytes: %s", len(line), line)
		}
	}
	if len(page.Sections[0].Links) != 2 || len(page.Sections[0].Text) != 1 {
		t.Error("the whole page was changed")
	}
}

// wellFormed says that the file is XML to its end.
func wellFormed(t *testing.T, file string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close() //nolint:errcheck // it was read
	for d := xml.NewDecoder(f); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Errorf("%s: %v", file, err)
			return
		}
	}
}

func TestThresholds(t *testing.T) {
	figures := sample().Figures()
	for _, c := range []struct {
		threshold  report.Threshold
		everything bool
		says       string
	}{
		{report.Threshold{Figure: "p3.vs_baseline", Least: 5}, true, ""},
		{report.Threshold{Figure: "p3.vs_baseline", Least: 9, Reached: 12}, true, "p3.vs_baseline"},
		{report.Threshold{Figure: "p6.memory", Most: 800}, true, ""},
		{report.Threshold{Figure: "p6.memory", Most: 600}, true, "must be ≤ 600 B"},
		{report.Threshold{Figure: "p8.sync", Least: 0.5}, false, ""},
		{report.Threshold{Figure: "p8.sync", Least: 0.5}, true, "was not measured"},
	} {
		broken := report.Thresholds{c.threshold}.Broken(figures, c.everything)
		if said := fmt.Sprint(broken); (len(broken) > 0) != (c.says != "") || !strings.Contains(said, c.says) {
			t.Errorf("%+v: %v, want %q", c.threshold, broken, c.says)
		}
	}
}

// TestThresholdsOfARunHold: a run meets the thresholds made from it.
func TestThresholdsOfARunHold(t *testing.T) {
	r := sample()
	list := report.ThresholdsOf(r)
	if len(list) < 8 {
		t.Errorf("%d thresholds", len(list))
	}
	if broken := list.Broken(r.Figures(), true); len(broken) > 0 {
		t.Errorf("%v", broken)
	}
	for i := range r.Records {
		r.Records[i].Server.CPUSeconds *= float64(1 + i%4) // some contenders became slower
		if r.Records[i].Scenario == "pipelined" && r.Records[i].Contender == scenario.Ours.Name {
			r.Records[i].Load.Answers /= 4
		}
	}
	if broken := list.Broken(r.Figures(), true); len(broken) == 0 {
		t.Error("a quarter of the orders, and no threshold is broken")
	}
}

func TestLoadThresholds(t *testing.T) {
	if _, err := report.LoadThresholds("../thresholds.json"); err != nil {
		t.Errorf("the thresholds of this project: %v", err)
	}
	file := filepath.Join(t.TempDir(), "thresholds.json")
	if err := os.WriteFile(file, []byte("\ufeff[\r\n]\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := report.LoadThresholds(file); err != nil {
		t.Errorf("with a byte order mark: %v", err)
	}
	for _, text := range []string{`[{"figure": "p99.nothing", "least": 1}]`, `[{"figure": "p8.sync"}]`,
		`[{"figure": "p8.sync", "least": 1, "most": 2}]`, `{`} {
		file := filepath.Join(t.TempDir(), "thresholds.json")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := report.LoadThresholds(file); err == nil {
			t.Errorf("%s was taken", text)
		}
	}
}
