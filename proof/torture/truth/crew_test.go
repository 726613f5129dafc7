package truth

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pretended returns a crew whose clients are a shell script, behind a proxy to nowhere. It ends
// with the test.
func pretended(t *testing.T, script string) *crew {
	t.Helper()
	path := filepath.Join(t.TempDir(), "papertape")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	p, err := newProxy(func() string { return "" }, 1)
	if err != nil {
		t.Fatal(err)
	}
	c := &crew{ClientConfig: ClientConfig{Dir: t.TempDir(), Accounts: []uint64{100019}}, binary: path, proxy: p,
		upWithin: patience}
	t.Cleanup(func() {
		c.kill()
		p.close()
	})
	return c
}

// untilStopped ends a script: it does nothing until it is told to stop.
const untilStopped = "while :; do sleep 0.01; done\n"

// TestCrewIsUp: clients that take their time to handle signals are not told to stop before they do.
func TestCrewIsUp(t *testing.T) {
	c := pretended(t, "sleep 0.2\ntrap 'exit 0' TERM\necho '{\"up\":true}'\n"+untilStopped)
	for range 3 {
		if err := c.start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := c.stop(); err != nil {
			t.Errorf("told to stop when they were up: %v", err)
		}
	}
}

// TestCrewThatIsNotUp: clients that never report that they are up are an error, and are cleaned up.
func TestCrewThatIsNotUp(t *testing.T) {
	for script, want := range map[string]string{
		"exit 3\n":   "ended before they said that they are up: exit status 3",
		"exit 0\n":   "ended before they said that they are up",
		untilStopped: "did not say within 100ms that they are up",
	} {
		c := pretended(t, script)
		if script == untilStopped {
			c.upWithin = 100 * time.Millisecond
		}
		err := c.start(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "account 100019") {
			t.Errorf("%q: %v, want %q", script, err, want)
		}
		if c.cmd != nil {
			t.Errorf("%q: they were left running", script)
		}
	}
}

// TestCrewSaysItIsUp: clients that end right after they reported that they are up were up.
func TestCrewSaysItIsUp(t *testing.T) {
	c := pretended(t, "echo '{\"up\":true}'\n")
	for range 10 {
		if err := c.start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := c.end(); err != nil {
			t.Error(err)
		}
	}
}
