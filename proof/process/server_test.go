package process

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pretended returns a server that is a shell script.
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

// TestServer checks where the server listens, what its log complains of, and how it ended.
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

// TestServerThatStops: Stop returns an error exactly if the server did not end properly.
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
		if err := s.Stop(); want == "" && err != nil || want != "" &&
			(err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("stopped: %v, want %q", err, want)
		}
	}
}

// TestServerThatDoesNotStart: the error has the log. A server under a tracer is started by the
// tracer.
func TestServerThatDoesNotStart(t *testing.T) {
	s, err := StartUnder([]string{"/usr/bin/env", "-u", "NOTHING"}, pretended(t, "echo no room >&2; exit 1\n"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Kill()
	if _, err := s.Await(t.Context()); err == nil || !strings.Contains(err.Error(), "no room") ||
		!strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("%v", err)
	}
}

// TestLongLines: the log is read past a line of any length. The first mebibyte of the line is kept.
func TestLongLines(t *testing.T) {
	for _, size := range []int{70_000, lineBytesMax - 1, lineBytesMax, 5_000_000} {
		long := "{ head -c " + strconv.Itoa(size) + " /dev/zero | tr '\\0' x; echo; } >&2\n"
		s, err := Start(pretended(t, long+listens+"exec sleep 60\n"))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Kill()
		if _, err := s.Await(t.Context()); err != nil || s.Listen() != "127.0.0.1:1" {
			t.Errorf("after a line of %d bytes: listens at %q, %v", size, s.Listen(), err)
		}
		kept, _, _ := strings.Cut(s.Log(), "\n")
		if len(kept) != min(size, lineBytesMax) {
			t.Errorf("of a line of %d bytes %d are kept", size, len(kept))
		}
	}
}

// TestLines: every line is passed on in order, also one that is not JSON and one without an end.
func TestLines(t *testing.T) {
	var got []Line
	log := `{"level":"warn","message":"a"}` + "\r\n\npanic: b\n" + `{"listen":"l","debug":"d"}`
	readLines(strings.NewReader(log), func(l Line) { got = append(got, l) })
	want := []Line{
		{Text: `{"level":"warn","message":"a"}`, JSON: true, Level: "warn", Message: "a"},
		{},
		{Text: "panic: b"},
		{Text: `{"listen":"l","debug":"d"}`, JSON: true, Listen: "l", Debug: "d"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if want[0].announces() || want[2].announces() || !want[3].announces() {
		t.Error("the last line is the one that says where the server listens")
	}
}

// TestServerOnStdout: a program that reports its address on stdout, with a function that gets each
// line.
func TestServerOnStdout(t *testing.T) {
	lines := make(chan Line, 10)
	cmd := exec.Command(pretended(t, `echo '{"listen":"127.0.0.1:3","debug":"127.0.0.1:4"}'
echo more
exec sleep 60
`))
	s, err := Run(cmd, Options{OnStdout: true, Each: func(l Line) { lines <- l }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Kill()
	if _, err := s.Await(t.Context()); err != nil || s.Listen() != "127.0.0.1:3" || s.Debug() != "127.0.0.1:4" {
		t.Errorf("listens at %q, profiles at %q: %v", s.Listen(), s.Debug(), err)
	}
	if s.PID() != cmd.Process.Pid {
		t.Errorf("process %d is said to be %d", cmd.Process.Pid, s.PID())
	}
	if first, second := <-lines, <-lines; first.Listen == "" || second.Text != "more" {
		t.Errorf("lines %+v and %+v", first, second)
	}
}

// TestServerThatIsSilent: a silent server is waited for no longer than asked, and killed if it does
// not end.
func TestServerThatIsSilent(t *testing.T) {
	s, err := Start(pretended(t, "trap '' TERM\necho begun >&2\nwhile :; do sleep 0.01; done\n"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Kill()
	var failed *StartError
	const limit = 200 * time.Millisecond
	if _, err := s.AwaitWithin(t.Context(), limit); !errors.As(err, &failed) || failed.Within != limit {
		t.Errorf("awaited: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Await(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("awaited in vain: %v", err)
	}
	for s.Log() == "" { // it may not ignore the signal yet
		time.Sleep(time.Millisecond)
	}
	if late, err := s.End(50 * time.Millisecond); !late || err == nil {
		t.Errorf("ended, late %v: %v", late, err)
	}
}
