// Package flame turns CPU profiles into forms for people and reports: interactive flame
// graphs, the difference of two, call graphs, a picture for pages without scripts, and the
// CPU time by category.
//
//	ours, err := flame.PerMillion(profile, requests) // to compare what was measured at different rates
//	page, err := flame.Page(ours, "papertape, 1,000 connections")
//	page, err = flame.Diff(baseline, ours, "papertape less baseline")
//	graph, err := flame.CallGraph(ours)              // ErrNoGraphviz if dot is not installed
//	picture, err := flame.Picture("One order", flame.Named{"papertape", ours}, flame.Named{"baseline", baseline})
//	shares, err := flame.Shares(ours)
//
// Profiles are in the format of runtime/pprof. Pages and call graphs are made by pprof,
// each as one self-contained file. pprof has global state, so make them one after another.
package flame

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"strconv"
	"time"

	"github.com/google/pprof/driver"
	"github.com/google/pprof/profile"
)

// ErrNoGraphviz means that dot, which draws call graphs, is not installed.
var ErrNoGraphviz = errors.New("dot is not installed: it is in the package graphviz")

// Page returns an interactive flame graph as an HTML page.
func Page(data []byte, title string) ([]byte, error) {
	p, err := parse(data, title)
	if err != nil {
		return nil, err
	}
	return page(profiles{subject: p}, subject)
}

// Diff returns an interactive flame graph of the difference between a profile and a base:
// red for more, green for less. The profiles are compared without scaling, so both must be
// per million requests, or for the same time at the same load.
func Diff(base, data []byte, title string) ([]byte, error) {
	b, err := parse(base, title)
	if err != nil {
		return nil, err
	}
	p, err := parse(data, title)
	if err != nil {
		return nil, err
	}
	return page(profiles{subject: p, baseline: b}, "-diff_base", baseline, subject)
}

// CallGraph returns a call graph as SVG. Functions below 0.5 % are left out.
func CallGraph(data []byte) ([]byte, error) {
	if _, err := exec.LookPath("dot"); err != nil {
		return nil, ErrNoGraphviz
	}
	p, err := parse(data, "")
	if err != nil {
		return nil, err
	}
	var out output
	err = driver.PProf(&driver.Options{
		Flagset: newFlags("-svg", "-symbolize=none", "-output=graph.svg",
			subject), Fetch: profiles{subject: p}, UI: &silentUI{}, Writer: &out,
	})
	if err != nil {
		return nil, fmt.Errorf("the call graph: %w", err)
	}
	return withSize(out.Bytes())
}

// graphHead matches the start of a graph as pprof writes it: the script, and the offset of
// dot's own picture to the right and upwards.
var graphHead = regexp.MustCompile(`(?s)<svg width="100%" height="100%"(.*?)<script.*?</script><g id="viewport"[^>]*>` +
	`(<g id="graph0".*?<polygon [^>]*points="-4,4 -4,-([0-9.]+) ([0-9.]+),)`)

// withSize gives a graph its size. pprof removes the size and adds a script to move the graph.
// Without scripts, and initially even with them, only part of the graph would be visible.
func withSize(graph []byte) ([]byte, error) {
	at := graphHead.FindSubmatch(graph)
	if at == nil {
		return nil, errors.New("the call graph: dot drew nothing, or nothing that could be given a size")
	}
	high, err := strconv.ParseFloat(string(at[3]), 64)
	if err != nil {
		return nil, fmt.Errorf("the height of the call graph: %w", err)
	}
	wide, err := strconv.ParseFloat(string(at[4]), 64)
	if err != nil {
		return nil, fmt.Errorf("the width of the call graph: %w", err)
	}
	const edge = 4 // on each side
	head := fmt.Sprintf(`<svg width="%g" height="%g" viewBox="0 0 %[1]g %[2]g"%s<g>%s`, wide+2*edge, high+2*edge,
		at[1], at[2])
	return bytes.Replace(graph, at[0], []byte(head), 1), nil
}

// PerMillion scales a profile taken while that many requests were served to a million
// requests.
func PerMillion(data []byte, requests int64) ([]byte, error) {
	if requests < 1 {
		return nil, fmt.Errorf("a profile of %d requests: there must have been some", requests)
	}
	p, err := parse(data, "")
	if err != nil {
		return nil, err
	}
	p.Scale(1e6 / float64(requests))
	// The duration is that of the actual requests, not of a million.
	p.DurationNanos = 0
	var out bytes.Buffer
	err = p.Write(&out)
	return out.Bytes(), err
}

// parse parses a CPU profile. The title replaces the program's name.
func parse(data []byte, title string) (*profile.Profile, error) {
	p, err := profile.ParseData(data)
	if err != nil {
		return nil, fmt.Errorf("no profile: %w", err)
	}
	if cpuIndex(p) < 0 {
		return nil, errors.New("no profile of CPU time")
	}
	if title != "" && len(p.Mapping) > 0 {
		p.Mapping[0].File = title
	}
	return p, nil
}

// cpuIndex returns the index of a sample's CPU time in nanoseconds, or -1.
func cpuIndex(p *profile.Profile) int {
	for i, t := range p.SampleType {
		if t.Type == "cpu" && t.Unit == "nanoseconds" {
			return i
		}
	}
	return -1
}

// page gets the flame graph, and only that, from pprof's web interface.
func page(all profiles, args ...string) ([]byte, error) {
	var out []byte
	err := driver.PProf(&driver.Options{
		Flagset: newFlags(append([]string{"-http=127.0.0.1:1", "-no_browser", "-symbolize=none"},
			args...)...), Fetch: all, UI: &silentUI{},
		HTTPServer: func(web *driver.HTTPServerArgs) error {
			answer := httptest.NewRecorder()
			web.Handlers["/flamegraph"].ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/flamegraph", nil))
			if answer.Code != http.StatusOK {
				return fmt.Errorf("pprof answered %d: %s", answer.Code, answer.Body)
			}
			out = bytes.Replace(answer.Body.Bytes(), []byte("</head>"), []byte(hideLinks+"</head>"), 1)
			return nil
		},
	})
	if err != nil {
		return nil, fmt.Errorf("the flame graph: %w", err)
	}
	return out, nil
}

// hideLinks hides the links to pages of a running pprof.
const hideLinks = "<style>" +
	"#view, #sample, #refine, #config, #download, #action-menu a[href] { display: none !important " +
	"}</style>"

// The names by which pprof fetches the profiles.
const (
	subject  = "subject"
	baseline = "baseline"
)

// profiles holds the profiles that pprof may fetch, by name.
type profiles map[string]*profile.Profile

// Fetch is called by pprof. It returns no address, so pprof keeps no copy.
func (all profiles) Fetch(name string, _, _ time.Duration) (*profile.Profile, string, error) {
	p, ok := all[name]
	if !ok {
		return nil, "", fmt.Errorf("there is no profile %q", name)
	}
	return p, "", nil
}

// output is the file that pprof writes.
type output struct{ bytes.Buffer }

// Open is called by pprof.
func (o *output) Open(string) (io.WriteCloser, error) { return o, nil }

// Close does nothing.
func (o *output) Close() error { return nil }

// silentUI is a user interface without a user.
type silentUI struct{}

// ReadLine returns end of file.
func (*silentUI) ReadLine(string) (string, error) { return "", io.EOF }

// Print prints nothing.
func (*silentUI) Print(...any) {}

// PrintErr prints nothing: errors are also returned.
func (*silentUI) PrintErr(...any) {}

// IsTerminal returns false.
func (*silentUI) IsTerminal() bool { return false }

// WantBrowser returns false.
func (*silentUI) WantBrowser() bool { return false }

// SetAutoComplete does nothing.
func (*silentUI) SetAutoComplete(func(string) string) {}
