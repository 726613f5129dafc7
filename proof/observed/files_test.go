package observed

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// The files that are tried.
const (
	rulesFile      = "../../deploy/prometheus/alerts.yaml"
	ruleTestsFile  = "../../deploy/prometheus/alerts_test.yaml"
	prometheusFile = "../../deploy/prometheus/prometheus.yaml"
	dashboardFile  = "../../deploy/grafana/papertape.json"
	runbookFile    = "../../docs/runbook.md"
)

// rules are the rules of a file.
type rules struct {
	Groups []struct {
		Name  string
		Rules []rule
	}
}

type rule struct {
	Record, Alert, Expr, For string
	Labels, Annotations      map[string]string
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// readRules returns all rules, and the names of the alerts.
func readRules(t *testing.T) (all []rule, alerts []string) {
	t.Helper()
	var file rules
	if err := yaml.UnmarshalWithOptions([]byte(read(t, rulesFile)), &file, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	for _, group := range file.Groups {
		for _, r := range group.Rules {
			if all = append(all, r); r.Alert != "" {
				alerts = append(alerts, r.Alert)
			}
		}
	}
	if len(alerts) < 12 {
		t.Fatalf("only the alerts %v", alerts)
	}
	return all, alerts
}

// dashboard is what is looked at of one.
type dashboard struct {
	UID           string
	SchemaVersion int
	Templating    struct{ List []struct{ Name string } }
	Annotations   struct{ List []struct{ Name, Expr string } }
	Panels        []panel
}

type panel struct {
	ID                       int
	Type, Title, Description string
	GridPos                  struct{ X, Y, W, H int }
	FieldConfig              struct{ Defaults struct{ Unit string } }
	Targets                  []struct{ RefID, Expr, LegendFormat string }
}

func readDashboard(t *testing.T) *dashboard {
	t.Helper()
	d := new(dashboard)
	if err := json.Unmarshal([]byte(read(t, dashboardFile)), d); err != nil {
		t.Fatal(err)
	}
	return d
}

// query is an expression of the dashboard with its variables filled in.
func query(expr, window string) string {
	return strings.NewReplacer("$job", "papertape", "$instance", ".*", "$__rate_interval", window).Replace(expr)
}

// expressions are those of the panels and annotations, with who has them.
func (d *dashboard) expressions(window string) map[string]string {
	all := make(map[string]string)
	for i := range d.Panels {
		for _, target := range d.Panels[i].Targets {
			all[d.Panels[i].Title+" "+target.RefID] = query(target.Expr, window)
		}
	}
	for _, a := range d.Annotations.List {
		all["annotation "+a.Name] = query(a.Expr, window)
	}
	return all
}

// ownMetric finds names of metrics that the server has to have. Those of recording rules begin with job:.
var ownMetric = regexp.MustCompile(`(?:^|[^:a-z0-9_])((?:papertape|go|process)_[a-z0-9_]+)`)

func metricsIn(expr string) (names []string) {
	for _, found := range ownMetric.FindAllStringSubmatch(expr, -1) {
		names = append(names, found[1])
	}
	return names
}

// TestDashboard: what Grafana wants of a dashboard, as far as it can be told without one.
func TestDashboard(t *testing.T) {
	d := readDashboard(t)
	if d.UID != "papertape-overview" || d.SchemaVersion != 38 {
		t.Errorf("uid %q and schema %d: others refer to the first, and the second is what was written", d.UID,
			d.SchemaVersion)
	}
	var variables []string
	for _, v := range d.Templating.List {
		variables = append(variables, v.Name)
	}
	if got := strings.Join(variables, " "); got != "datasource job instance" {
		t.Errorf("variables %s", got)
	}
	known := map[string]bool{"row": true, "stat": true, "timeseries": true, "heatmap": true} // all are Grafana's own
	ids, titles, taken := make(map[int]bool), make(map[string]bool), make(map[[2]int]string)
	for i := range d.Panels {
		p := &d.Panels[i]
		if ids[p.ID] || p.ID == 0 || titles[p.Title] || p.Title == "" || !known[p.Type] {
			t.Errorf("panel %d, %s %q: id and title must be its own, and its type one of Grafana's", p.ID, p.Type,
				p.Title)
		}
		ids[p.ID], titles[p.Title] = true, true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if before := taken[[2]int{x, y}]; before != "" || x >= 24 {
					t.Fatalf("%q lies over %q, or beyond the edge", p.Title, before)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Description == "" || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 {
			t.Errorf("panel %q wants a description, a unit and a query", p.Title)
		}
		for _, target := range p.Targets {
			if !strings.Contains(target.Expr, `job=~"$job",instance=~"$instance"`) {
				t.Errorf("panel %q asks for all jobs and instances: %s", p.Title, target.Expr)
			}
		}
	}
	if len(ids) < 35 {
		t.Errorf("only %d panels", len(ids))
	}
}

// parts are what the runbook says of each alert.
var parts = []string{"**Means.**", "**Look at.**", "**Do.**", "**Harmless when.**"}

// TestRunbook: each alert has its part, which its runbook_url leads to, and no part is of no alert.
func TestRunbook(t *testing.T) {
	all, alerts := readRules(t)
	text := read(t, runbookFile)
	sections := make(map[string]string)
	for _, section := range strings.Split(text, "\n## ")[1:] {
		title, body, _ := strings.Cut(section, "\n")
		sections[title] = body
	}
	for _, name := range alerts {
		body, ok := sections[name]
		if !ok {
			t.Errorf("the runbook has no part ## %s", name)
		}
		delete(sections, name)
		rest := body
		for _, part := range parts {
			_, after, found := strings.Cut(rest, part)
			if !found {
				t.Errorf("%s does not say %s, in this order", name, part)
				break
			}
			rest = after
		}
	}
	for title := range sections {
		if strings.HasPrefix(title, "Papertape") {
			t.Errorf("the runbook has a part %s, and there is no such alert", title)
		}
	}
	for i := range all {
		r := &all[i]
		if r.Alert == "" {
			continue
		}
		want := "https://github.com/papertape/papertape/blob/main/docs/runbook.md#" + strings.ToLower(r.Alert)
		if r.Annotations["runbook_url"] != want || r.Annotations["summary"] == "" {
			t.Errorf("%s: summary %q, runbook_url %q, want %s", r.Alert, r.Annotations["summary"],
				r.Annotations["runbook_url"], want)
		}
		if s := r.Labels["severity"]; s != "page" && s != "ticket" {
			t.Errorf("%s: severity %q, want page or ticket", r.Alert, s)
		}
	}
}

// TestRulesByPromtool has promtool look at the rules, run their unit tests, and look at every expression of the
// dashboard as if it were a rule.
func TestRulesByPromtool(t *testing.T) {
	promtool(t, "check", "rules", rulesFile)
	promtool(t, "test", "rules", ruleTestsFile)
	promtool(t, "check", "config", prometheusFile)
	var text strings.Builder
	text.WriteString("groups:\n- name: panels\n  rules:\n")
	n := 0
	for who, expr := range readDashboard(t).expressions("5m") {
		_, _ = fmt.Fprintf(&text, "  # %s\n  - record: panel:%d\n    expr: '%s'\n", who, n, expr)
		n++
	}
	name := filepath.Join(t.TempDir(), "panels.yaml")
	if err := os.WriteFile(name, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", name)
	_, alerts := readRules(t)
	for _, alert := range alerts {
		if !strings.Contains(read(t, ruleTestsFile), "alertname: "+alert+"\n        exp_alerts:\n") {
			t.Errorf("%s is made to fire by no test of %s", alert, ruleTestsFile)
		}
	}
}
