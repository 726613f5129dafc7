package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// manager is a service manager that listens.
type manager struct {
	t    *testing.T
	conn *net.UnixConn
}

// startManager listens on a socket, to which processes started from now on report.
func startManager(t *testing.T, socket string) *manager {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	t.Setenv("NOTIFY_SOCKET", socket)
	return &manager{t, conn}
}

// hears returns the next state.
func (m *manager) hears() string {
	m.t.Helper()
	if err := m.conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		m.t.Fatal(err)
	}
	buf := make([]byte, 4096)
	n, err := m.conn.Read(buf)
	if err != nil {
		m.t.Fatalf("the service manager heard nothing: %v", err)
	}
	return string(buf[:n])
}

// socketIn returns a path that is short enough for a socket's address, as t.TempDir's may not be.
func socketIn(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "manager")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "notify")
}

// TestManagerHearsServe starts a server, reloads it with a valid file and an invalid one, and stops
// it.
func TestManagerHearsServe(t *testing.T) {
	for _, c := range []struct{ name, socket string }{
		{"path", socketIn(t)},
		{"abstract", fmt.Sprintf("@papertape-test-%d-%d", os.Getpid(), time.Now().UnixNano())},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := startManager(t, c.socket)
			file := filepath.Join(t.TempDir(), "papertape.yaml")
			write(t, file, "log.level: info\n")
			p := startServe(t, "--config", file)
			if got := m.hears(); got != managerReady {
				t.Fatalf("started: the manager heard %q", got)
			}
			p.until("listening") // logged before the manager is told
			for _, text := range []string{"log.level: debug\n", "no.such.key: 1\n"} {
				write(t, file, text)
				p.signal(syscall.SIGHUP)
				if got := m.hears(); !regexp.MustCompile(`^RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]*$`).MatchString(got) {
					t.Fatalf("reloading: the manager heard %q", got)
				}
				if got := m.hears(); got != managerReady {
					t.Fatalf("reloaded: the manager heard %q", got)
				}
			}
			p.stop()
			if got := m.hears(); got != managerStopping {
				t.Fatalf("stopped: the manager heard %q", got)
			}
		})
	}
}

// TestNoManager checks that nothing is logged without a manager, that a manager that does not
// listen causes a warning, and that no stop is reported if there was none.
func TestNoManager(t *testing.T) {
	var out bytes.Buffer
	log := zerolog.New(&out)
	t.Setenv("NOTIFY_SOCKET", "")
	tellManager(&log, managerReady)
	if out.Len() > 0 {
		t.Errorf("without a manager: %s", &out)
	}
	t.Setenv("NOTIFY_SOCKET", socketIn(t))
	tellManagerStopping(t.Context(), &log)()
	if out.Len() > 0 {
		t.Errorf("not stopped, and yet: %s", &out)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	tellManagerStopping(ended, &log)()
	if got := out.String(); !strings.Contains(got, `"warn"`) || !strings.Contains(got, managerStopping) {
		t.Errorf("nobody listens on the socket, and the log has %q", got)
	}
}
