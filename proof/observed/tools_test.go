package observed

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for something that must happen.
const patience = 2 * time.Minute

// eventually waits until something is so.
func eventually(t *testing.T, what string, is func() bool, otherwise ...func()) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			for _, say := range otherwise {
				say()
			}
			t.Fatalf("it never came: %s", what)
		}
	}
}

// tool returns the path of a program of Debian's package prometheus. Where there is none the test is skipped, except
// where everything has to be tried.
func tool(t *testing.T, name string) string {
	t.Helper()
	found, err := exec.LookPath(name)
	switch {
	case err == nil:
	case os.Getenv("PAPERTAPE_CI") == "1":
		t.Fatalf("there is no %s, and PAPERTAPE_CI=1 says that there has to be: apt-get install prometheus", name)
	default:
		t.Skipf("there is no %s here: apt-get install prometheus, to try the rules and the dashboard", name)
	}
	return found
}

// promtool runs promtool, which must find nothing wrong.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	promtoolOn(t, "", args...)
}

func promtoolOn(t *testing.T, stdin string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), tool(t, "promtool"), args...) //nolint:gosec // a test's own arguments
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// prometheus is a running Prometheus.
type prometheus struct {
	t   *testing.T
	url string
}

// startPrometheus runs one that scrapes addresses every second, by these rules, until the test ends.
func startPrometheus(t *testing.T, rules string, addresses []string) *prometheus {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("alerts.yaml", rules)
	write("prometheus.yaml", fmt.Sprintf(`
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [alerts.yaml]
scrape_configs:
  - job_name: papertape
    static_configs: [{targets: ["%s"]}]
`, strings.Join(addresses, `", "`)))
	at := freeAddress(t)
	cmd := exec.Command(tool(t, "prometheus"), //nolint:gosec // the arguments are the test's own
		"--config.file="+filepath.Join(dir, "prometheus.yaml"),
		"--storage.tsdb.path="+filepath.Join(dir, "tsdb"), "--web.listen-address="+at, "--log.level=warn")
	cmd.Dir = dir
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var waiting sync.WaitGroup
	waiting.Go(func() { _ = cmd.Wait() })
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		waiting.Wait()
		if t.Failed() {
			t.Logf("Prometheus said:\n%s", log.String())
		}
	})
	p := &prometheus{t, "http://" + at}
	eventually(t, "Prometheus is ready", func() bool {
		answer, err := http.Get(p.url + "/-/ready") //nolint:noctx // it answers at once
		if err != nil {
			return false
		}
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	return p
}

// freeAddress returns an address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close() //nolint:errcheck // nothing came
	return ln.Addr().String()
}

// get asks the API, and decodes what it answers.
func (p *prometheus) get(path string, data any) error {
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+path, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close() //nolint:errcheck // read to the end
	var whole struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.NewDecoder(answer.Body).Decode(&whole); err != nil {
		return err
	}
	if whole.Status != "success" {
		return fmt.Errorf("%s: %s", path, whole.Error)
	}
	return json.Unmarshal(whole.Data, data)
}

// series returns how many series an expression has now.
func (p *prometheus) series(expr string) (int, error) {
	var data struct{ Result []json.RawMessage }
	err := p.get("/api/v1/query?query="+url.QueryEscape(expr), &data)
	return len(data.Result), err
}

// firing returns the alerts that fire, by name, with the instances that they are of.
func (p *prometheus) firing() (map[string][]string, error) {
	var data struct {
		Alerts []struct {
			State  string
			Labels map[string]string
		}
	}
	err := p.get("/api/v1/alerts", &data)
	found := make(map[string][]string)
	for _, a := range data.Alerts {
		if a.State == "firing" {
			name := a.Labels["alertname"]
			found[name] = append(found[name], a.Labels["instance"])
		}
	}
	return found, err
}
