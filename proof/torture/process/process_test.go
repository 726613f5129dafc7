package process

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pretended is a server that is a shell script.
func pretended(t *testing.T, lines string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "papertape")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+lines), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

const listens = `echo '{"level":"error","message":"something"}' >&2
echo '{"level":"info","message":"listening","listen":"127.0.0.1:1","admin":"127.0.0.1:2"}' >&2
`

// TestServer: where it listens, what its log complains of, how it was ended.
func TestServer(t *testing.T) {
	s, err := Start(pretended(t, listens+"exec sleep 60\n"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Kill()
	if _, err := s.Await(t.Context()); err != nil || s.Listen() != "127.0.0.1:1" || s.Admin() != "127.0.0.1:2" {
		t.Errorf("listens at %q and %q, %v", s.Listen(), s.Admin(), err)
	}
	if c := s.Complaints(); len(c) != 1 || !strings.Contains(c[0], "something") {
		t.Errorf("complaints %q", c)
	}
	if !s.Kill() || s.Err() == nil {
		t.Errorf("killed, and it ended with %v", s.Err())
	}
}

// TestServerThatStops ends as it should, or says that it did not.
func TestServerThatStops(t *testing.T) {
	for lines, want := range map[string]string{
		"trap 'exit 0' TERM\n" + listens + "while :; do sleep 0.01; done\n": "",
		"trap 'exit 3' TERM\n" + listens + "while :; do sleep 0.01; done\n": "exit status 3",
	} {
		s, err := Start(pretended(t, lines))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Await(t.Context()); err != nil {
			t.Error(err)
		}
		if err := s.Stop(); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("stopped: %v, want %q", err, want)
		}
	}
}

// TestServerThatDoesNotStart is reported with its log; one under another program is that program's to run.
func TestServerThatDoesNotStart(t *testing.T) {
	s, err := StartUnder([]string{"/usr/bin/env", "-u", "NOTHING"}, pretended(t, "echo no room >&2; exit 1\n"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Kill()
	if _, err := s.Await(t.Context()); err == nil || !strings.Contains(err.Error(), "no room") || !strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("%v", err)
	}
}
