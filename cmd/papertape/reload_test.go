package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/cmd/papertape/config"
	"github.com/papertape/papertape/console"
)

// logLine is the part of a log line that these tests examine.
type logLine struct {
	Level        string   `json:"level"`
	Message      string   `json:"message"`
	Error        string   `json:"error"`
	Listen       string   `json:"listen"`
	Admin        string   `json:"admin"`
	Changed      []string `json:"changed"`
	NeedsRestart []string `json:"needs_restart"`
}

// runningServe is a server in its own process.
type runningServe struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan logLine
}

// startServe runs papertape serve in the working directory, with its own data.
func startServe(t *testing.T, args ...string) *runningServe {
	t.Helper()
	p := &runningServe{t: t, lines: make(chan logLine, 1000)}
	args = append([]string{"serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data",
		filepath.Join(t.TempDir(), "data")}, args...)
	p.cmd = exec.Command("papertape", args...)
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() { // ends with the process
		defer close(read)
		defer close(p.lines)
		for s := bufio.NewScanner(stderr); s.Scan(); {
			var line logLine
			if json.Unmarshal(s.Bytes(), &line) != nil {
				line.Message = s.Text()
			}
			p.lines <- line
		}
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // if stop has not ended it
		<-read
		_ = p.cmd.Wait()
	})
	return p
}

func (p *runningServe) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// until returns the next line whose message begins with this text.
func (p *runningServe) until(message string) logLine {
	p.t.Helper()
	limit := time.After(patience)
	var said []string
	for {
		select {
		case line, ok := <-p.lines:
			said = append(said, line.Message)
			if !ok {
				p.t.Fatalf("the server ended before it said %q", message)
			}
			if strings.HasPrefix(line.Message, message) {
				return line
			}
		case <-limit:
			p.t.Fatalf("the server did not say %q within %v, but %q", message, patience, said)
		}
	}
}

// stop stops the server, which must end cleanly.
func (p *runningServe) stop() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	for range p.lines { // until its output ends
	}
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("the server ended with: %v", err)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// rate asks the server for its current rate.
func (p *runningServe) rate(admin string) string {
	p.t.Helper()
	out, err := exec.Command("papertape", "simulate", "-o", "json", "--admin", admin, "--admin-token-file",
		"token").Output()
	var state struct{ Rate json.Number }
	if err == nil {
		err = json.Unmarshal(out, &state)
	}
	if err != nil {
		p.t.Fatalf("simulate: %v: %s", err, out)
	}
	return state.Rate.String()
}

// TestReload sends SIGHUP to a server repeatedly, each time with another file.
func TestReload(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Chdir(t.TempDir())
	write(t, "token", "0123456789abcdef\n")
	const always = "admin_token_file: token\n"
	write(t, "c.yaml", always+"simulator.rate: 1\n")
	p := startServe(t, "--config", "c.yaml", "--heartbeat", "5s", "--data", "data")
	admin, reloads := p.until("listening").Admin, 0
	for _, c := range []struct {
		what, file, token string
		level, rate       string
		changed, restart  []string
		err               string
	}{
		{what: "nothing", file: "simulator.rate: 1\n", level: "info", rate: "1", changed: []string{}},
		{what: "what can change", file: "simulator.rate: 7\nlog.level: debug\nconnections_max: " +
			"500\nconnections_per_ip_max: 3\n" +
			"connections_prelogin_max: 4\n", level: "info", rate: "7",
			changed: []string{"log.level: debug, was info", "simulator.rate: 7, was 1",
				"connections_max: 500, was auto",
				"connections_prelogin_max: 4, was 1000", "connections_per_ip_max: 3, was 0"}},
		{what: "a bad line after a good one", file: "simulator.rate: 9\nhartbeat: 1s\n", level: "error", rate: "7",
			err: "c.yaml:3: hartbeat is not a setting; did you mean heartbeat?"},
		{what: "more than the machine gives", file: "simulator.rate: 9\nconnections_max: 2000000000\n",
			level: "error", rate: "7",
			err: "c.yaml:3: connections_max: 2000000000 connections are more than this machine gives: "},
		{what: "a scenario that is not there", file: "simulator.rate: 9\nsimulator.script: nowhere\n", level: "error",
			rate: "7",
			err:  "c.yaml:3: simulator.script: scenario script: nowhere cannot be read: "},
		{what: "what needs a restart", file: "simulator.rate: 8\naccounts: 50\ncpuprofile: cpu\n", level: "warn",
			rate: "8",
			changed: []string{"log.level: info, was debug", "simulator.rate: 8, was 7",
				"connections_max: auto, was 500",
				"connections_prelogin_max: 1000, was 4", "connections_per_ip_max: 0, was 3"},
			restart: []string{`cpuprofile: cpu, was ""`, "accounts: 50, was 100"}},
		{what: "which is named until it is taken back", file: "simulator.rate: 8\naccounts: 50\nheartbeat: 1s\n",
			level: "warn",
			rate:  "8", changed: []string{}, restart: []string{"accounts: 50, was 100"}},
		{what: "another token", file: "simulator.rate: 8\n", token: "fedcba9876543210\n", level: "info", rate: "8",
			changed: []string{"admin_token_file: another token is in force"}},
		{what: "a level at which the line is not wanted", file: "simulator.rate: 8\nlog.level: error\n", level: "info",
			rate: "8", changed: []string{"log.level: error, was info"}},
		{what: "and back", file: "simulator.rate: 8\n", level: "info", rate: "8",
			changed: []string{"log.level: info, was error"}},
	} {
		write(t, "c.yaml", always+c.file)
		if c.token != "" {
			write(t, "token", c.token)
		}
		p.signal(syscall.SIGHUP)
		line := p.until("reload")
		if line.Level != c.level || !slices.Equal(line.Changed, c.changed) ||
			!slices.Equal(line.NeedsRestart, c.restart) ||
			!strings.HasPrefix(line.Error, c.err) || (c.err == "") != (line.Error == "") {
			t.Errorf("%s: %+v, want %+v", c.what, line, c)
		}
		if got := p.rate(admin); got != c.rate {
			t.Errorf("%s: the rate is %s, want %s", c.what, got, c.rate)
		}
		reloads++
	}
	p.stop()
	kept, err := os.ReadFile(filepath.Join("data", "audit.log"))
	if n := strings.Count(string(kept), `"what":"reload"`); err != nil || n != reloads {
		t.Errorf("the audit has %d reloads, %v; want %d", n, err, reloads)
	}
}

// TestReloadKeepsRate checks that a reload keeps a rate that was set through the console, unless
// the rate in the file has changed.
func TestReloadKeepsRate(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "token", "0123456789abcdef\n")
	write(t, "c.yaml", "admin_token_file: token\n")
	p := startServe(t, "--config", "c.yaml")
	admin := p.until("listening").Admin
	if out, err := exec.Command("papertape", "simulate", "--rate", "33", "--admin", admin, "--admin-token-file",
		"token").CombinedOutput(); err != nil {
		t.Fatalf("simulate: %v: %s", err, out)
	}
	p.signal(syscall.SIGHUP)
	p.until("reloaded")
	if got := p.rate(admin); got != "33" {
		t.Errorf("the rate is %s, want 33", got)
	}
	p.stop()
}

// TestReloadLimits checks that a reload to a limit of one connection takes effect.
func TestReloadLimits(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "c.yaml", "")
	p := startServe(t, "--config", "c.yaml")
	at := p.until("listening").Listen
	first, err := client.Dial(t.Context(), at, client.Options{Account: 100001})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close() //nolint:errcheck // the test is over
	write(t, "c.yaml", "connections_max: 1\n")
	p.signal(syscall.SIGHUP)
	p.until("reloaded")
	_, err = client.Dial(t.Context(), at, client.Options{Account: 100002})
	var bye *client.Goodbye
	if !errors.As(err, &bye) || bye.Reason != client.GoodbyeFull {
		t.Errorf("a second connection: %v, want GOODBYE FULL", err)
	}
	if _, err := first.Buy(t.Context(), "SZ", "000001", 100); err != nil {
		t.Errorf("the first connection: %v", err)
	}
	p.stop()
}

// TestHangupWhileStarting sends SIGHUP while the server still reads its configuration from a pipe,
// which is empty so far. The server starts all the same, and then reads the configuration again.
func TestHangupWhileStarting(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	p := startServe(t, "--config", pipe)
	f, err := os.OpenFile(pipe, os.O_WRONLY, 0) // returns when the server has opened it
	if err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGHUP)
	p.signal(syscall.SIGHUP)
	if _, err := f.WriteString("seed: 3\n"); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	p.until("listening")
	write(t, pipe, "seed: 3\nsimulator.rate: 0\n")
	if line := p.until("reload"); !slices.Equal(line.Changed, []string{"simulator.rate: 0, was 1"}) {
		t.Errorf("%+v", line)
	}
	p.stop()
}

// TestLogLevel changes the level after loggers have been derived.
func TestLogLevel(t *testing.T) {
	var out bytes.Buffer
	cfg := config.Default()
	cfg.Log.Format = "json"
	log, level, err := newLog(cfg, &out)
	if err != nil {
		t.Fatal(err)
	}
	child := log.With().Str("part", "gateway").Logger()
	wants := func() (which string) {
		for l := zerolog.TraceLevel; l <= zerolog.ErrorLevel; l++ {
			out.Reset()
			if child.WithLevel(l).Msg("x"); out.Len() > 0 {
				which += l.String()[:1]
			}
		}
		return which
	}
	for l, want := range map[zerolog.Level]string{
		zerolog.TraceLevel: "tdiwe", zerolog.DebugLevel: "diwe", zerolog.InfoLevel: "iwe", zerolog.WarnLevel: "we",
		zerolog.ErrorLevel: "e",
	} {
		level.set(l)
		if got := wants(); got != want {
			t.Errorf("at %s the levels %q are logged, want %q", l, got, want)
		}
	}
	level.set(zerolog.InfoLevel)
	if n := testing.AllocsPerRun(100, func() { child.Debug().Int("n", 1).Msg("not wanted") }); n != 0 {
		t.Errorf("a line that is not wanted makes %v allocations, want 0", n)
	}
}

// TestLogLevelByConsole changes the log level of a running server, and changes it back.
func TestLogLevelByConsole(t *testing.T) {
	t.Parallel()
	p := startServe(t, "--accounts", "1", "--log.format", "json")
	c := console.NewClient(p.until("listening").Admin, "")
	for _, step := range []struct{ set, want string }{{"error", "error"}, {"info", "info"}} {
		if got, err := c.SetLogLevel(t.Context(), step.set); err != nil || got != step.want {
			t.Fatalf("level %q, %v; want %q", got, err, step.want)
		}
		if _, err := c.SetRate(t.Context(), 2); err != nil { // logged at level info
			t.Fatal(err)
		}
	}
	for _, wrong := range []string{"loud", "fatal", "disabled"} {
		if _, err := c.SetLogLevel(t.Context(), wrong); err == nil ||
			!strings.Contains(err.Error(), "write trace, debug, info, warn or error") {
			t.Errorf("level %q: %v", wrong, err)
		}
	}
	p.signal(syscall.SIGTERM)
	rates := 0
	for line := range p.lines {
		if line.Message == "simulator rate changed" {
			rates++
		}
	}
	if rates != 1 {
		t.Errorf("%d changes of the rate were logged, want the one at level info", rates)
	}
}
