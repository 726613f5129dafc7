// Package flame turns CPU profiles into what a person, or a report, can read: interactive flame graphs, the difference
// of two, call graphs, a picture for a page that runs no scripts, and how much of the CPU went where.
//
//	ours, err := flame.PerMillion(profile, requests) // to compare what was measured at different rates
//	page, err := flame.Page(ours, "papertape, 1,000 connections")
//	page, err = flame.Diff(baseline, ours, "papertape less baseline")
//	graph, err := flame.CallGraph(ours)              // ErrNoGraphviz where dot is not installed
//	picture, err := flame.Picture("One order", flame.Named{"papertape", ours}, flame.Named{"baseline", baseline})
//	shares, err := flame.Shares(ours)
//
// A profile is as runtime/pprof writes it. Pages and call graphs are pprof's own, each one file that needs nothing
// else; pprof has state of its own, so they are to be made one after another.
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

// ErrNoGraphviz says that there is no dot to draw call graphs with.
var ErrNoGraphviz = errors.New("dot is not installed: it is in the package graphviz")

// Page is an interactive flame graph, as one HTML page.
func Page(data []byte, title string) ([]byte, error) {
	p, err := parse(data, title)
	if err != nil {
		return nil, err
	}
	return page(profiles{subject: p}, subject)
}

// Diff is an interactive flame graph of what a profile has more than a base, red, and less, green. They are compared
// as they are: give both per million requests, or for the same time at the same load.
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

// CallGraph is a call graph, as SVG. Functions of less than 0.5 % are left out.
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
		Flagset: newFlags("-svg", "-symbolize=none", "-output=graph.svg", subject), Fetch: profiles{subject: p}, UI: &silence{}, Writer: &out,
	})
	if err != nil {
		return nil, fmt.Errorf("the call graph: %w", err)
	}
	return whole(out.Bytes())
}

// moved is the beginning of a graph as pprof has it: in it are the script, and how far to the right and up dot's own
// picture goes from where it begins.
var moved = regexp.MustCompile(`(?s)<svg width="100%" height="100%"(.*?)<script.*?</script><g id="viewport"[^>]*>` +
	`(<g id="graph0".*?<polygon [^>]*points="-4,4 -4,-([0-9.]+) ([0-9.]+),)`)

// whole gives a graph its size. pprof takes that away and adds a script by which the graph is moved about: wherever
// scripts do not run, and at first where they do, a part of it would be seen.
func whole(graph []byte) ([]byte, error) {
	at := moved.FindSubmatch(graph)
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
	head := fmt.Sprintf(`<svg width="%g" height="%g" viewBox="0 0 %[1]g %[2]g"%s<g>%s`, wide+2*edge, high+2*edge, at[1], at[2])
	return bytes.Replace(graph, at[0], []byte(head), 1), nil
}

// PerMillion scales a profile to what a million of the requests took that were served meanwhile.
func PerMillion(data []byte, requests int64) ([]byte, error) {
	if requests < 1 {
		return nil, fmt.Errorf("a profile of %d requests: there must have been some", requests)
	}
	p, err := parse(data, "")
	if err != nil {
		return nil, err
	}
	p.Scale(1e6 / float64(requests))
	p.DurationNanos = 0 // of those that were served, in that time, not of a million
	var out bytes.Buffer
	err = p.Write(&out)
	return out.Bytes(), err
}

// parse reads a CPU profile. The title takes the place of the program's name.
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

// cpuIndex is which of a sample's values is its CPU time, in nanoseconds; -1: none.
func cpuIndex(p *profile.Profile) int {
	for i, t := range p.SampleType {
		if t.Type == "cpu" && t.Unit == "nanoseconds" {
			return i
		}
	}
	return -1
}

// page asks pprof's web interface for the flame graph, and for nothing else.
func page(all profiles, args ...string) ([]byte, error) {
	var out []byte
	err := driver.PProf(&driver.Options{
		Flagset: newFlags(append([]string{"-http=127.0.0.1:1", "-no_browser", "-symbolize=none"}, args...)...), Fetch: all, UI: &silence{},
		HTTPServer: func(web *driver.HTTPServerArgs) error {
			answer := httptest.NewRecorder()
			web.Handlers["/flamegraph"].ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/flamegraph", nil))
			if answer.Code != http.StatusOK {
				return fmt.Errorf("pprof answered %d: %s", answer.Code, answer.Body)
			}
			out = bytes.Replace(answer.Body.Bytes(), []byte("</head>"), []byte(alone+"</head>"), 1)
			return nil
		},
	})
	if err != nil {
		return nil, fmt.Errorf("the flame graph: %w", err)
	}
	return out, nil
}

// alone hides what leads to pages of a running pprof.
const alone = "<style>#view, #sample, #refine, #config, #download, #action-menu a[href] { display: none !important }</style>"

// The names that profiles have for pprof.
const (
	subject  = "subject"
	baseline = "baseline"
)

// profiles are what pprof may fetch, by name.
type profiles map[string]*profile.Profile

// Fetch is what pprof calls. Without an address it keeps no copy.
func (all profiles) Fetch(name string, _, _ time.Duration) (*profile.Profile, string, error) {
	p, ok := all[name]
	if !ok {
		return nil, "", fmt.Errorf("there is no profile %q", name)
	}
	return p, "", nil
}

// output is the file that pprof writes.
type output struct{ bytes.Buffer }

// Open is what pprof calls.
func (o *output) Open(string) (io.WriteCloser, error) { return o, nil }

// Close has nothing to do.
func (o *output) Close() error { return nil }

// silence is a user interface without a user.
type silence struct{}

// ReadLine is the end of what nobody types.
func (*silence) ReadLine(string) (string, error) { return "", io.EOF }

// Print is heard by nobody.
func (*silence) Print(...any) {}

// PrintErr is heard by nobody: what goes wrong is returned as well.
func (*silence) PrintErr(...any) {}

// IsTerminal is false.
func (*silence) IsTerminal() bool { return false }

// WantBrowser is false.
func (*silence) WantBrowser() bool { return false }

// SetAutoComplete has nothing to complete.
func (*silence) SetAutoComplete(func(string) string) {}
