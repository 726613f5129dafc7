package main

import (
	"bytes"
	"errors"
	"net/http"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/papertape/papertape/console"
)

// blockingWriter is a terminal that blocks its first line.
type blockingWriter struct {
	once    sync.Once
	reached chan struct{} // closed at the first write
	open    chan struct{}

	mu    sync.Mutex
	shown bytes.Buffer
}

func newBlockingWriter() *blockingWriter {
	return &blockingWriter{reached: make(chan struct{}), open: make(chan struct{})}
}

func (g *blockingWriter) Write(p []byte) (int, error) {
	g.once.Do(func() { close(g.reached) })
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.shown.Write(p)
}

// TestReadyWhileRecovering observes a server during its recovery: it is alive, reports its
// progress, answers nothing else, and becomes ready at the end.
func TestReadyWhileRecovering(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	first := startInProcess(t, dir, nil)
	first.at()
	if err := first.end(); err != nil {
		t.Fatal(err)
	}
	terminal, admin := newBlockingWriter(), freeAddress(t)
	second := startInProcess(t, dir, func(s *server) { s.terminal, s.cfg.Admin = terminal, admin })
	select {
	case <-terminal.reached:
	case <-time.After(patience):
		t.Fatal("nothing is shown of the recovery")
	}
	ctx, c := t.Context(), console.NewClient(admin, "")
	resp, err := http.Get("http://" + admin + "/livez")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("/livez: %s", resp.Status)
	}
	var answered *console.Error
	const want = "recovering: 33% (1 of 3 accounts and commits)"
	if err := c.Ready(ctx); !errors.As(err, &answered) ||
		!reflect.DeepEqual(*answered, console.Error{Status: 503, Code: "not_ready", Text: want}) {
		t.Errorf("/readyz: %+v, want 503, %s", err, want)
	}
	for what, server := range map[string]func() error{
		"accounts": func() error { _, err := c.Accounts(ctx, 0, 0); return err },
		"holdings": func() error { _, err := c.Holdings(ctx, 100001); return err },
		"history":  func() error { _, err := c.History(ctx, 100001, 0, 1); return err },
		"backup":   func() error { _, err := c.Backup(ctx, filepath.Join(t.TempDir(), "b")); return err },
	} {
		if err := server(); !errors.As(err, &answered) || answered.Status != 503 || answered.Code != "not_ready" ||
			!strings.HasPrefix(answered.Text, "the server is not ready: ") {
			t.Errorf("%s of a server that recovers: %v", what, err)
		}
	}
	if _, err := c.Counters(ctx); err != nil {
		t.Errorf("counters of a server that recovers: %v", err)
	}
	close(terminal.open)
	at := second.at()
	if err := c.Ready(ctx); err != nil {
		t.Errorf("/readyz after the recovery: %v", err)
	}
	if _, err := console.NewClient(at.admin, "").Holdings(ctx, 100003); err != nil {
		t.Errorf("holdings after the recovery: %v", err)
	}
	if err := second.end(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(terminal.shown.String(), "recovering") || !strings.Contains(terminal.shown.String(), "33%") {
		t.Errorf("shown on the terminal: %q", terminal.shown.String())
	}
}

// TestStopWhileRecovering checks that a server that is told to stop before it is ready stops
// cleanly, and that the next start finds everything.
func TestStopWhileRecovering(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	first := startInProcess(t, dir, nil)
	buyAs(t, first.at().listen, "kept")
	if err := first.end(); err != nil {
		t.Fatal(err)
	}
	terminal := newBlockingWriter()
	second := startInProcess(t, dir, func(s *server) { s.terminal = terminal })
	<-terminal.reached
	second.stop()
	close(terminal.open)
	if err := second.end(); err != nil {
		t.Errorf("stopped while it recovered: %v", err)
	}
	select {
	case <-second.ready:
		t.Error("it became ready")
	default:
	}
	third := startInProcess(t, dir, nil)
	if ev := buyAs(t, third.at().listen, "kept"); !ev.Replay {
		t.Error("the order of the first run was executed again")
	}
	if err := third.end(); err != nil {
		t.Error(err)
	}
}
