//go:build linux

package soak

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/papertape/papertape/proof/process"
)

const (
	startTimeout = 30 * time.Second // opening very many accounts takes a while
	stopTimeout  = 20 * time.Second // longer than the server's own limit
	complaints   = 20               // lines of the server's log that are kept
)

// staleEvent is part of what gnet logs when a loop has closed a connection while the same
// epoll_wait had another event for it. gnet ignores that event, and nothing is wrong.
const staleEvent = "of a stale connection"

// server is the server under load, in a process of its own.
type server struct {
	*process.Server
	dir string

	mu         sync.Mutex // guards complained, which the goroutine that reads the log adds to
	complained []string   // lines of the log that are warnings or worse
}

// startServer starts the server and returns when it listens. The caller must stop it.
func startServer(ctx context.Context, binary string, flags ...string) (*server, error) {
	dir, err := os.MkdirTemp("", "papertape-soak-")
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir}
	// this process stops the server, after the clients, also on ^C
	cmd := process.Command(context.WithoutCancel(ctx), binary,
		process.Arguments(append([]string{"--data", dir}, flags...)...)...)
	if s.Server, err = process.Run(cmd, process.Options{Each: s.note}); err != nil {
		_ = os.RemoveAll(dir)
		return nil, fmt.Errorf("start the server: %w", err)
	}
	if _, err = s.AwaitWithin(ctx, startTimeout); err == nil {
		return s, nil
	}
	var failed *process.StartError
	switch {
	case !errors.As(err, &failed):
	case failed.Within > 0:
		err = fmt.Errorf("the server did not say within %s where it listens", startTimeout)
	default:
		err = fmt.Errorf("the server ended at once: %s", strings.Join(s.log(), "; "))
	}
	_ = s.stop()
	return nil, err
}

// note keeps warnings and errors.
func (s *server) note(line process.Line) {
	if line.JSON && (line.Level == "" || line.Level == "info" || line.Level == "debug") {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.complained) < complaints && !strings.Contains(line.Text, staleEvent) {
		s.complained = append(s.complained, line.Text)
	}
}

// log returns the warnings and errors in the server's log so far.
func (s *server) log() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.complained...)
}

// stop ends the server and waits for it. The error says if it did not end properly.
func (s *server) stop() error {
	_, err := s.End(stopTimeout)
	_ = os.RemoveAll(s.dir)
	if err != nil {
		return fmt.Errorf("the server did not end with exit code 0 on SIGTERM: %w", err)
	}
	return nil
}

// usage is what the server process uses.
type usage struct {
	rss, heap  float64 // MiB: resident, and live after a collection
	goroutines int
}

// usage makes the server collect garbage, and measures.
func (s *server) usage(ctx context.Context) (u usage, err error) {
	heap, err := s.get(ctx, "/debug/pprof/heap?gc=1&debug=1")
	if err != nil {
		return u, err
	}
	u.heap = float64(number(heap, "# HeapAlloc = ")) / (1 << 20)
	goroutines, err := s.get(ctx, "/debug/pprof/goroutine?debug=1")
	if err != nil {
		return u, err
	}
	u.goroutines = int(number(goroutines, "goroutine profile: total "))
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.PID()))
	if err != nil {
		return u, fmt.Errorf("the server is gone: %w", err)
	}
	u.rss = float64(number(string(status), "VmRSS:")) / (1 << 10)
	if u.heap == 0 || u.goroutines == 0 || u.rss == 0 {
		return u, fmt.Errorf("the server's memory and goroutines cannot be read: %+v", u)
	}
	return u, nil
}

// number returns the number after a label, or 0 if there is none.
func number(text, label string) int64 {
	_, rest, _ := strings.Cut(text, label)
	fields := strings.Fields(rest[:min(len(rest), 100)])
	if len(fields) == 0 {
		return 0
	}
	n, _ := strconv.ParseInt(fields[0], 10, 64)
	return n
}

func (s *server) get(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Admin()+path, http.NoBody)
	if err != nil {
		return "", err
	}
	token, err := os.ReadFile(filepath.Join(s.dir, "admin.token")) // profiles are for operators
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	req.Close = true // an open connection would cost the server goroutines, which are counted
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", fmt.Errorf("ask the server's console: %w", err)
	}
	defer resp.Body.Close() //nolint:errcheck // all was read
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("ask the server's console for %s: %s: %.200s", path, resp.Status, text)
	}
	return string(text), err
}
