package report

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/papertape/papertape/bench/flame"
	"github.com/papertape/papertape/bench/scenario"
)

// Flames makes pages of the profiles that a run left in dir, and writes them to the
// pictures directory there. What cannot be drawn without graphviz is left out.
func Flames(results *scenario.Results, dir string) ([]Section, error) {
	if err := os.MkdirAll(filepath.Join(dir, Pictures), 0o755); err != nil {
		return nil, err
	}
	f := flames{results: results, dir: dir}
	var sections []Section
	for _, under := range []string{scenario.ProfileDocument, scenario.ProfileSaturated, scenario.ProfilePipelined} {
		s, err := f.section(under)
		if err != nil {
			return nil, err
		}
		sections = append(sections, s)
	}
	return sections, nil
}

type flames struct {
	results *scenario.Results
	dir     string
}

// profiled is a profile scaled to a million requests.
type profiled struct {
	contender string
	data      []byte
}

// profiles returns the profiles taken under a load.
func (f *flames) profiles(under string) (list []profiled, err error) {
	for _, p := range scenario.Profiles() {
		if p.Load != under {
			continue
		}
		data, err := os.ReadFile(filepath.Join(f.dir, p.File))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		requests := f.results.Answers("profiles", under, p.Contender)
		if requests == 0 {
			continue
		}
		if data, err = flame.PerMillion(data, int64(requests)); err != nil {
			return nil, fmt.Errorf("%s: %w", p.File, err)
		}
		list = append(list, profiled{p.Contender, data})
	}
	return list, nil
}

// loadName returns the name of a load for people.
func loadName(under string) string {
	switch under {
	case scenario.ProfileDocument:
		return "100 clients, a request each 1–2 s"
	case scenario.ProfileSaturated:
		return "1,000 × 1"
	}
	return "100 × 32"
}

// section makes the pages of one load.
func (f *flames) section(under string) (Section, error) {
	list, err := f.profiles(under)
	if err != nil || len(list) == 0 {
		return Section{}, err
	}
	s := Section{Title: "Where the processor time goes: " + loadName(under), Text: []string{
		"Microseconds of each request by what they were spent on, from CPU profiles that are scaled to a million " +
			"requests. A page behind a link is an interactive flame graph, or the difference of two: red is what " +
			"Papertape spends more, green what it spends less."}}
	table, err := sharesTable(list)
	if err != nil {
		return Section{}, err
	}
	s.Tables = append(s.Tables, table)
	for _, p := range list {
		links, err := f.pages(under, p)
		if err != nil {
			return Section{}, err
		}
		s.Links = append(s.Links, links...)
	}
	err = f.compare(&s, under, list)
	return s, err
}

// sharesTable has a row for each category of CPU time.
func sharesTable(list []profiled) (Table, error) {
	t := Table{Head: []string{"µs a request, and part"}}
	rows := make([][]string, len(flame.Categories()))
	for i, c := range flame.Categories() {
		rows[i] = []string{string(c)}
	}
	for _, p := range list {
		shares, err := flame.Shares(p.data)
		if err != nil {
			return t, fmt.Errorf("%s: %w", p.contender, err)
		}
		t.Head = append(t.Head, p.contender)
		// One second per million requests is one microsecond per request.
		for i, share := range shares {
			rows[i] = append(rows[i], fmt.Sprintf("%s, %s %%", number(share.CPU.Seconds()), number(100*share.Part)))
		}
	}
	t.Rows = rows
	return t, nil
}

// pages makes the flame graph and the call graph of a profile.
func (f *flames) pages(under string, p profiled) (links []Link, err error) {
	name := under + "-" + fileName(p.contender)
	title := fmt.Sprintf("%s, %s", p.contender, loadName(under))
	page, err := flame.Page(p.data, title)
	if err != nil {
		return nil, err
	}
	if err := f.write("flame-"+name+".html", page); err != nil {
		return nil, err
	}
	saturated := under == scenario.ProfileSaturated
	ours, baseline := p.contender == scenario.Ours.Name, p.contender == scenario.Baseline.Name
	links = append(links, Link{Text: "Flame graph: " + title, File: Pictures + "/flame-" + name + ".html",
		InDocs: saturated && (ours || baseline)})
	graph, err := flame.CallGraph(p.data)
	if errors.Is(err, flame.ErrNoGraphviz) {
		return links, nil
	}
	if err != nil {
		return nil, err
	}
	links = append(links, Link{Text: "Call graph: " + title, File: Pictures + "/graph-" + name + ".svg",
		InDocs: saturated && ours})
	return links, f.write("graph-"+name+".svg", graph)
}

// compare adds the picture of all profiles, and the differences between ours and the
// baselines.
func (f *flames) compare(s *Section, under string, list []profiled) error {
	var named []flame.Named
	for _, p := range list {
		if !strings.Contains(p.contender, "sync") {
			named = append(named, flame.Named{Name: p.contender, Data: p.data})
		}
	}
	svg, err := flame.Picture("CPU of a million requests: "+loadName(under), named...)
	if err != nil {
		return err
	}
	s.Pictures = append(s.Pictures, Picture{Name: "flames-" + under, SVG: svg,
		Caption: "Flame graphs on one scale, for a million requests each, " + loadName(under) +
			": what is as wide took as much CPU"})
	ours := list[0]
	for _, base := range list[1:] {
		if ours.contender != scenario.Ours.Name || base.contender == scenario.OursSync {
			continue
		}
		title := fmt.Sprintf("papertape less %s, %s", base.contender, loadName(under))
		page, err := flame.Diff(base.data, ours.data, title)
		if err != nil {
			return err
		}
		name := "diff-" + under + "-" + fileName(base.contender) + ".html"
		if err := f.write(name, page); err != nil {
			return err
		}
		s.Links = append(s.Links, Link{Text: "Difference: " + title, File: Pictures + "/" + name})
	}
	return nil
}

func (f *flames) write(name string, content []byte) error {
	return os.WriteFile(filepath.Join(f.dir, Pictures, name), content, 0o644)
}
