package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/papertape/papertape/console"
)

// endsWith waits for a process, which must exit with this code.
func endsWith(t *testing.T, cmd *exec.Cmd, code int, said fmt.Stringer) {
	t.Helper()
	_ = cmd.Wait() // the process state says more
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Errorf("%s ended with %v, want exit %d; it said\n%s", cmd, cmd.ProcessState, code, said)
	}
}

// twice sends two signals that the process gets at the same moment, as from timeout(1), which
// signals a process and its group.
func twice(t *testing.T, p *os.Process, first, second syscall.Signal) {
	t.Helper()
	for _, s := range []syscall.Signal{syscall.SIGSTOP, first, second, syscall.SIGCONT} {
		if err := p.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
}

// TestOneDecision checks that two signals at the same moment are one request to stop, for any
// command.
func TestOneDecision(t *testing.T) {
	t.Parallel()
	for _, first := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		second := syscall.SIGTERM + syscall.SIGINT - first
		p := startServe(t)
		listen := p.until("listening").Listen
		var said bytes.Buffer
		swarm := exec.Command("papertape", "swarm", "--server", listen, "--clients", "2")
		swarm.Stdout = &said
		lines := followed(t, swarm)
		lines.until(t, "logged in")
		twice(t, swarm.Process, first, second)
		_ = swarm.Wait()
		if code := swarm.ProcessState.ExitCode(); code == exitForced ||
			!strings.Contains(said.String(), "2 of 2 clients found all of it right") {
			t.Errorf("the swarm ended with %v, and said\n%s", swarm.ProcessState, &said)
		}

		twice(t, p.cmd.Process, first, second)
		for range 1000 { // during draining and stopping
			_ = p.cmd.Process.Signal(first)
			_ = p.cmd.Process.Signal(second)
		}
		p.until("stopped") // it has drained
		for range p.lines {
		}
		endsWith(t, p.cmd, 0, &said)
	}
}

// TestDecisions checks that signals within a second of the first count as its repetition, and that
// a later one forces the end.
func TestDecisions(t *testing.T) {
	for _, c := range []struct {
		at     []time.Duration
		forced bool
	}{
		{[]time.Duration{0}, false},
		{[]time.Duration{0, 0, 0, 0, 0}, false},
		{[]time.Duration{time.Hour, time.Hour + 999*time.Millisecond}, false},
		{[]time.Duration{0, 500 * time.Millisecond, 999 * time.Millisecond, time.Second}, false},
		{[]time.Duration{0, 1001 * time.Millisecond}, true},
		{[]time.Duration{0, time.Millisecond, 10 * time.Second}, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			signals, told, forced := make(chan os.Signal, 2), 0, false
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				awaitStopSignals(signals, func() { told++ }, func() { forced = true })
			}()
			began := time.Now()
			for _, at := range c.at {
				time.Sleep(at - time.Since(began))
				signals <- syscall.SIGTERM
				synctest.Wait()
			}
			if told != 1 || forced != c.forced {
				t.Errorf("%v: told %d times, forced %v", c.at, told, forced)
			}
			close(signals)
			<-ended
		})
	}
}

// TestSecondDecision ends a process that cannot stop by itself: its configuration comes from a pipe
// to which nothing is written.
func TestSecondDecision(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.Command("papertape", "serve", "--config", pipe)
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w, err := os.OpenFile(pipe, os.O_WRONLY, 0) // returns when the server has opened it and catches signals
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close() //nolint:errcheck // nothing was written
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		endsWith(t, cmd, exitForced, &said)
	}()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case <-ended:
			if !strings.HasSuffix(said.String(), "papertape: forced to quit\n") {
				t.Errorf("it said %q", said.String())
			}
			return
		case <-again.C:
			_ = cmd.Process.Signal(syscall.SIGTERM) // if it has not ended yet
		}
	}
}

// follower reads the stderr of a process line by line.
type follower struct {
	r *os.File
	b bytes.Buffer
}

// followed starts a process whose stderr is read.
func followed(t *testing.T, cmd *exec.Cmd) *follower {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // if it has not ended
		_ = cmd.Wait()
		_ = r.Close()
	})
	return &follower{r: r}
}

// until reads up to a text.
func (f *follower) until(t *testing.T, text string) {
	t.Helper()
	buf := make([]byte, 1) // single bytes, so that unread text stays in the pipe
	for !strings.Contains(f.b.String(), text) {
		if _, err := f.r.Read(buf); err != nil {
			t.Fatalf("%v before %q in\n%s", err, text, &f.b)
		}
		f.b.Write(buf)
	}
}

// TestLogReaderGone ends the reader of a server's log. The server continues to serve, counts the
// lost lines, and stops cleanly.
func TestLogReaderGone(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("papertape", "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data",
		filepath.Join(t.TempDir(), "data"))
	log := followed(t, cmd)
	log.until(t, `"message":"listening"}`)
	admin := addressIn(t, log.b.Bytes(), "admin")
	_ = log.r.Close()
	c := console.NewClient(admin, "")
	for _, rate := range []float64{2, 3} { // each change is logged
		if _, err := c.SetRate(t.Context(), rate); err != nil {
			t.Fatalf("after the reader of the log had gone: %v", err)
		}
	}
	awaitCounter(t, c, "log_lines_lost", 2)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	endsWith(t, cmd, 0, &log.b)
}

// TestLogReaderStalls checks that a server does not wait for a log reader that stops reading.
func TestLogReaderStalls(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	cmd := exec.Command("papertape", "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data",
		filepath.Join(t.TempDir(), "data"))
	log := followed(t, cmd)
	log.until(t, `"message":"listening"}`)
	c := console.NewClient(addressIn(t, log.b.Bytes(), "admin"), "")
	lost := uint64(0)
	for n := 0; lost == 0; n++ { // fills the pipe and then the queue
		if _, err := c.SetRate(t.Context(), float64(n%100+2)); err != nil {
			t.Fatalf("after %d lines that nobody read: %v", n, err)
		}
		if n%100 == 0 {
			lost = counterOf(t, c, "log_lines_lost")
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	endsWith(t, cmd, 0, &log.b)
}

// addressIn finds an address in the log line that says where the server listens.
func addressIn(t *testing.T, log []byte, key string) string {
	t.Helper()
	for line := range bytes.Lines(log) {
		var said map[string]any
		if json.Unmarshal(line, &said) == nil && said["message"] == "listening" {
			return said[key].(string)
		}
	}
	t.Fatalf("no address in\n%s", log)
	return ""
}

func counterOf(t *testing.T, c *console.Client, name string) uint64 {
	t.Helper()
	all, err := c.Counters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range all.Counters {
		if n.Name == name {
			return n.Value
		}
	}
	t.Fatalf("there is no counter %s", name)
	return 0
}

func awaitCounter(t *testing.T, c *console.Client, name string, want uint64) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s is %d", name, want), func() bool { return counterOf(t, c, name) >= want })
}

// TestReadersGone runs long-running commands whose stderr nobody reads. They continue to the end,
// and report how many lines were lost.
func TestReadersGone(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	p := startServe(t, "--accounts", "10")
	listen := p.until("listening").Listen
	for _, args := range []string{
		"swarm --clients 2 --profile quick --duration 2s --server " + listen,
		"soak --run crowd --clients 3 --rate 50 --duration 1s",
		"torture linear --histories 1",
	} {
		for _, output := range []string{"json", "text"} {
			cmd := exec.Command("papertape", append(strings.Fields(args), "-o", output)...)
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, nobody(t)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			endsWith(t, cmd, 0, &out)
			var report struct {
				LinesLost int `json:"lines_lost"`
			}
			switch {
			case output == "text" && !strings.Contains(out.String(), " that nobody read"):
				t.Errorf("%s does not say what was lost:\n%s", args, &out)
			case output == "json" && (json.Unmarshal(out.Bytes(), &report) != nil || report.LinesLost == 0):
				t.Errorf("%s: %d lines lost:\n%s", args, report.LinesLost, &out)
			}
		}
	}
	p.stop()
}

// nobody returns the write end of a pipe whose read end is closed.
func nobody(t *testing.T) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// TestUnit checks that the unit restarts the server however it ended, except after errors that
// would persist.
func TestUnit(t *testing.T) {
	unit, err := os.ReadFile("../../docker/papertape.service")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"Restart=always", fmt.Sprintf("RestartPreventExitStatus=%d", exitUsage)} {
		if !strings.Contains(string(unit), "\n"+line+"\n") {
			t.Errorf("the unit does not say %s", line)
		}
	}
}

// TestHead checks that a short command whose reader goes away ends silently.
func TestHead(t *testing.T) {
	for _, args := range []string{"config init", "completion bash", "--help", "version"} {
		var said bytes.Buffer
		cmd := exec.Command("papertape", strings.Fields(args)...)
		cmd.Stdout, cmd.Stderr = nobody(t), io.Writer(&said)
		err := cmd.Run()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGPIPE || said.Len() > 0 {
			t.Errorf("%s: %v, %q; want broken pipe", args, err, &said)
		}
	}
}
