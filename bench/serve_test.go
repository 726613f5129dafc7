package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/papertape/papertape/bench/judge"
)

// buildProgram builds papertape-bench on the first call. The binary's directory is removed after all
// tests.
var buildProgram func() (string, error)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "papertape-bench-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	buildProgram = sync.OnceValues(func() (string, error) {
		path := filepath.Join(dir, "papertape-bench")
		out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
		if err != nil {
			err = fmt.Errorf("go build: %w\n%s", err, out)
		}
		return path, err
	})
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// program is papertape-bench, for tests of processes.
func program(t *testing.T) string {
	t.Helper()
	path, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// startedServer is a server in a process of its own, as in a measurement.
type startedServer struct {
	announcement
	t      *testing.T
	cmd    *exec.Cmd
	stdout *bufio.Reader
	stderr bytes.Buffer
}

func startProcess(t *testing.T, path string, args ...string) *startedServer {
	t.Helper()
	p := &startedServer{t: t, cmd: exec.Command(path, append([]string{"serve"}, args...)...)}
	p.cmd.Stderr = &p.stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stdout = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	watchdog := time.AfterFunc(2*time.Minute, func() { _ = p.cmd.Process.Kill() })
	t.Cleanup(func() {
		watchdog.Stop()
		_ = p.cmd.Process.Kill() // has no effect after stop
	})
	line, err := p.stdout.ReadBytes('\n')
	if err != nil || json.Unmarshal(line, &p.announcement) != nil || p.PID != p.cmd.Process.Pid {
		t.Fatalf("%q: %v; process %d said %q", line, err, p.cmd.Process.Pid, p.stderr.String())
	}
	return p
}

// stop ends the process as a person would, and checks that it exits with 0 and prints
// nothing.
func (p *startedServer) stop() {
	p.t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	more, _ := io.ReadAll(p.stdout)
	if err := p.cmd.Wait(); err != nil || len(more) > 0 || p.stderr.Len() > 0 {
		p.t.Errorf("stopped with %v; it said %q and %q", err, more, p.stderr.String())
	}
}

func (p *startedServer) vars() vars {
	p.t.Helper()
	r, err := http.Get("http://" + p.Debug + "/debug/vars")
	if err != nil {
		p.t.Fatal(err)
	}
	defer r.Body.Close() //nolint:errcheck // was read
	var v vars
	if err := json.NewDecoder(r.Body).Decode(&v); err != nil {
		p.t.Fatal(err)
	}
	return v
}

// TestServeOrders applies the checks to the servers with business logic, each in a process
// of its own.
func TestServeOrders(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	path, dir := program(t), t.TempDir()
	for args, whole := range map[string]bool{
		"baseline": true,
		"baseline --writer coalescing --storage pool --storage-workers 2 --data " + dir + "/baseline": true,
		"zinx-orders": false, // it silently drops what is not a frame
		"zinx-orders --workers 3 --storage sync --data " + dir + "/sync": false,
		"zinx-orders --storage pool --data " + dir + "/pool":             false,
	} {
		t.Run(strings.ReplaceAll(args, dir, ""), func(t *testing.T) {
			profile := filepath.Join(t.TempDir(), "cpu")
			p := startProcess(t, path, append(strings.Fields(args), "--cpuprofile", profile)...)
			if whole {
				judge.Server(t, p.Listen)
			} else {
				judge.Business(t, p.Listen)
			}
			if v := p.vars(); v.Business["events"] < 300 || v.Business["pushes"] < 200 || v.Goroutines < 5 ||
				v.MemStats.Sys == 0 {
				t.Errorf("%d goroutines, %d bytes, %v", v.Goroutines, v.MemStats.Sys, v.Business)
			}
			p.stop()
			if info, err := os.Stat(profile); err != nil || info.Size() == 0 {
				t.Errorf("the CPU profile: %v", err)
			}
		})
	}
}

// TestServeFlow: simulated fills reach the sessions of their account.
func TestServeFlow(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	path := program(t)
	for _, kind := range []string{"baseline", "zinx-orders"} {
		t.Run(kind, func(t *testing.T) {
			p := startProcess(t, path, kind, "--rate", "2000", "--accounts", "2", "--price-interval", "50ms")
			var clients []*judge.Client
			for i := range 4 {
				c := judge.Dial(t, p.Listen)
				c.Login(uint64(100001 + i%2))
				clients = append(clients, c)
			}
			for range 50 {
				for _, c := range clients {
					c.Event() // it checks the sequence against the previous one
				}
			}
			for _, c := range clients {
				c.Close()
			}
			p.stop()
		})
	}
}

// TestServeEcho: the servers without business logic return what they receive.
func TestServeEcho(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	path := program(t)
	for _, args := range []string{"echo-gnet", "echo-nbio", "echo-epoll", "echo-pair",
		"echo-pair --writer coalescing", "echo-zinx", "echo-zinx --writer coalescing"} {
		t.Run(args, func(t *testing.T) {
			p := startProcess(t, path, strings.Fields(args)...)
			judge.Echo(t, p.Listen)
			p.stop()
		})
	}
}

// TestServeUsage: wrong usage is reported, with the exit code for it.
func TestServeUsage(t *testing.T) {
	for _, args := range []string{"serve", "serve nothing", "serve baseline --workers 0",
		"serve baseline --writer fast", "serve baseline --storage tape",
		"serve baseline --storage sync", "serve baseline --accounts 0", "serve baseline --rate -1",
		"serve echo-pair --writer pool",
		"serve zinx-orders --writer coalescing"} {
		var out, errs bytes.Buffer
		if code := Main(t.Context(), strings.Fields(args), &out, &errs); code != exitUsage || errs.Len() == 0 ||
			out.Len() > 0 {
			t.Errorf("%s: exit %d, it said %q and %q", args, code, out.String(), errs.String())
		}
	}
}

// TestOneDecision: signals at almost the same moment, as timeout(1) sends them, are one
// request to stop.
func TestOneDecision(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	p := startProcess(t, program(t), "baseline")
	for i := range 2000 { // within a few milliseconds, while it handles the first
		_ = p.cmd.Process.Signal([...]syscall.Signal{syscall.SIGINT, syscall.SIGTERM}[i%2]) // it may have ended
	}
	more, _ := io.ReadAll(p.stdout)
	if err := p.cmd.Wait(); err != nil || len(more) > 0 || p.stderr.Len() > 0 {
		t.Errorf("stopped with %v; it said %q and %q", err, more, p.stderr.String())
	}
}
