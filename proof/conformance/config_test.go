package conformance

import (
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// quietly returns the arguments that start a server with quietFlags and more flags.
func quietly(flags ...string) []string { return append(append([]string{}, quietFlags...), flags...) }

// configFile writes a configuration file into a directory of its own, and returns both.
func configFile(t *testing.T, name, text string) (dir, path string) {
	t.Helper()
	dir = t.TempDir()
	path = filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, path
}

// refusesConfig checks that the server refuses its configuration with exit code 2 and a sentence on stderr.
// The sentence must match each regular expression of want, regardless of case.
func refusesConfig(t *testing.T, got outcome, want ...string) {
	t.Helper()
	t.Logf("exit code %d: %s", got.code, got.stderr)
	if got.code != 2 {
		t.Errorf("exit code %d, want 2", got.code)
	}
	if err := sentence(got.stderr); err != nil {
		t.Error(err)
	}
	for _, w := range want {
		if !regexp.MustCompile(`(?is)` + w).MatchString(got.stderr) {
			t.Errorf("stderr does not say %q", w)
		}
	}
}

func TestWrongFlags(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		flags []string
		want  []string
	}{
		{"bad duration", []string{"--heartbeat", "soon"}, []string{"heartbeat", "soon"}},
		{"bad size", []string{"--outbox-bytes-max", "plenty"}, []string{"outbox.bytes.max", "plenty"}},
		{"bad number", []string{"--accounts", "many"}, []string{"accounts", "many"}},
		{"unknown flag", []string{"--lissten", "127.0.0.1:0"}, []string{"lissten"}},
		{"unknown durability", []string{"--durability", "maybe"}, []string{"durability", "maybe", "none"}},
		{"unknown prices", []string{"--prices", "guess"}, []string{"prices", "guess", "walk", "fixed"}},
		{"rules that come later", []string{"--rules", "cn-a"}, []string{"rules", "cn-a"}},
		{"a certificate, which comes later", []string{"--tls.cert", "x"}, []string{`tls\.cert`}},
		{"a key, which comes later", []string{"--tls.key", "x"}, []string{`tls\.key`}},
		{"keys that are not there", []string{"--auth.keys-file", "x"}, []string{`auth\.keys.file`}},
		{"all addresses without keys", []string{"--listen", "0.0.0.0:0", "--allow-plaintext"},
			[]string{`0\.0\.0\.0`, "auth.keys.file"}},
		{"all addresses without consent", []string{"--listen", "0.0.0.0:0"}, []string{`0\.0\.0\.0`, "allow.plaintext"}},
		{"admin to all without a token", []string{"--admin", "0.0.0.0:0"}, []string{"admin.token.file"}},
		{"bad address", []string{"--listen", "nowhere"}, []string{"listen", "nowhere"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			refusesConfig(t, refusal(t, t.TempDir(), nil, quietly(c.flags...)...), c.want...)
		})
	}
	t.Run("bad duration in the environment", func(t *testing.T) {
		t.Parallel()
		got := refusal(t, t.TempDir(), []string{"PAPERTAPE_STALL_TIMEOUT=soon"}, quietly()...)
		refusesConfig(t, got, "stall.timeout", "soon")
	})
	t.Run("more connections than files", func(t *testing.T) {
		t.Parallel()
		if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
			t.Skip("no limit of open files here")
		}
		var limit syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
		hard := uint64(limit.Max)
		if hard > 1<<30 {
			t.Skip("the hard limit of open files is unlimited")
		}
		asked := strconv.FormatUint(hard+1, 10)
		got := refusal(t, t.TempDir(), nil, quietly("--connections-max", asked)...)
		got.stderr = strings.NewReplacer(",", "", "_", "").Replace(got.stderr) // however it groups digits
		refusesConfig(t, got, "connections.?max", asked, strconv.FormatUint(hard, 10)+`\D`)
	})
}

func TestWrongFiles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, file, text string
		want             []string
	}{
		{
			"unknown key in YAML", "wrong.yaml", "# all of it\nlisten: 127.0.0.1:0\n\ndurabilty: none\n",
			[]string{`wrong\.yaml`, `(line |:)4\b`, "durabilty", "durability"},
		},
		{
			"unknown key in JSON", "wrong.json", "{\n  \"durability\": \"none\",\n  \"hartbeat\": \"15s\"\n}\n",
			[]string{`wrong\.json`, `(line |:)3\b`, "hartbeat", "heartbeat"},
		},
		{
			"unknown key in a section", "wrong.yaml", "durability: none\nsimulator:\n  rtae: 0\n",
			[]string{`wrong\.yaml`, `(line |:)3\b`, "rtae", `\brate\b`},
		},
		{
			"bad duration", "wrong.yaml", "durability: none\nheartbeat: soon\n",
			[]string{`wrong\.yaml`, `(line |:)2\b`, "heartbeat", "soon"},
		},
		{"no configuration at all", "wrong.yaml", "{{{\n", []string{`wrong\.yaml`, `(line |:)1\b`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir, path := configFile(t, c.file, c.text)
			refusesConfig(t, refusal(t, dir, nil, quietly("--config", path)...), c.want...)
		})
	}
}

// TestTakenPort starts a second server on the ports of a running one, and on a port that another
// process listens on.
func TestTakenPort(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	first := start(t)
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	for name, flags := range map[string][]string{
		"of a running server":             {"--listen", first.listen},
		"the HTTP port of a running one":  {"--admin", first.admin},
		"of something else":               {"--listen", other.Addr().String()},
		"for HTTP, but of something else": {"--admin", other.Addr().String()},
	} {
		t.Run(name, func(t *testing.T) {
			_, port, _ := net.SplitHostPort(flags[1])
			refusesConfig(t, refusal(t, t.TempDir(), nil, quietly(flags...)...), port)
		})
	}
	open(t, first, firstAccount).alive()
}

// TestPrecedence sets the heartbeat in several places, and reads from WELCOME which setting counts.
func TestPrecedence(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	nested := "heartbeat: 7s\nsimulator:\n  rate: 0\nprices: fixed\n"
	dotted := "{\"heartbeat\": \"7s\", \"simulator.rate\": 0}\n"
	for _, c := range []struct {
		name, file, text string
		env, flags       []string
		want             uint32
	}{
		{"file over default", "papertape.yaml", nested, nil, nil, 7000},
		{"dotted keys in JSON", "papertape.json", dotted, nil, nil, 7000},
		{"environment over file", "papertape.yaml", nested, []string{"PAPERTAPE_HEARTBEAT=8s"}, nil, 8000},
		{
			"flag over environment", "papertape.yaml", nested,
			[]string{"PAPERTAPE_HEARTBEAT=8s"}, []string{"--heartbeat", "9s"}, 9000,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, path := configFile(t, c.file, c.text)
			srv := startIn(t, dir, c.env, quietly(append(c.flags, "--config", path)...))
			if got := dial(t, srv).welcome.HeartbeatMs; got != c.want {
				t.Errorf("heartbeat_ms %d, want %d", got, c.want)
			}
		})
	}
	t.Run("plaintext by consent", func(t *testing.T) {
		dir := t.TempDir()
		desk := addKey(t, dir, "desk", "--role", "trade", "--accounts", "100001")
		srv := start(t, "--listen", "0.0.0.0:0", "--allow-plaintext=true", "--auth.keys-file", filepath.Join(dir,
			"keys"))
		_, port, err := net.SplitHostPort(srv.listen)
		if err != nil {
			t.Fatal(err)
		}
		s := dial(t, &server{listen: net.JoinHostPort("127.0.0.1", port)})
		s.loginWith(desk.login(s, firstAccount))
		s.alive()
	})
}

// TestProbes asks a running server for its health.
func TestProbes(t *testing.T) {
	t.Parallel()
	srv := start(t)
	client := http.Client{Timeout: 10 * time.Second}
	for _, path := range []string{"/livez", "/readyz"} {
		t.Run(path, func(t *testing.T) {
			r, err := client.Get("http://" + srv.admin + path)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = r.Body.Close() }()
			body, err := io.ReadAll(r.Body)
			if err != nil || r.StatusCode != http.StatusOK {
				t.Errorf("status %d, error %v, want 200\n%s", r.StatusCode, err, body)
			}
		})
	}
	client.CloseIdleConnections()
}
