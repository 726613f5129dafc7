package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/papertape/papertape/cmd/papertape/doctor"
)

// askDoctor runs a shell command in which $DOCTOR is doctor, with JSON for an answer.
func askDoctor(t *testing.T, script string, args ...string) (d diagnosis, exit int) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("doctor reads /proc")
	}
	program := "exec papertape doctor -o json --data " + t.TempDir() + " " + strings.Join(args, " ")
	cmd := exec.CommandContext(t.Context(), "sh", "-c", strings.ReplaceAll(script, "$DOCTOR", program))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var failed *exec.ExitError
	if err != nil && (!errors.As(err, &failed) || failed.ExitCode() != exitCheck) {
		t.Fatalf("%s: %v\n%s", script, err, stderr.String())
	}
	if err := json.Unmarshal(out, &d); err != nil {
		t.Fatalf("%s: %v\n%s%s", script, err, out, stderr.String())
	}
	return d, cmd.ProcessState.ExitCode()
}

// TestDoctorNamesTheLimit lowers the limit of open files, and checks that doctor says so and serve agrees.
func TestDoctorNamesTheLimit(t *testing.T) {
	d, exit := askDoctor(t, "ulimit -n 4000 && $DOCTOR")
	if d.Holds != 2500 || d.Binds != "open files, hard" || exit != 0 {
		t.Errorf("with 4000 files: %d connections, bound by %s, exit %d", d.Holds, d.Binds, exit)
	}
	d, exit = askDoctor(t, "ulimit -n 4000 && $DOCTOR", "--connections", "2501")
	if d.Fits || exit != exitCheck {
		t.Errorf("2501 connections fit: %v, exit %d", d.Fits, exit)
	}
	d, exit = askDoctor(t, "ulimit -n 4000 && $DOCTOR", "--connections-max", "2600")
	if d.Failures == 0 || exit != exitCheck {
		t.Errorf("serve would refuse 2600 connections; doctor has %d failures, exit %d", d.Failures, exit)
	}
	if d, exit = askDoctor(t, "ulimit -n 1500 && $DOCTOR"); d.Holds != 0 || exit != exitCheck {
		t.Errorf("with as many files as the server keeps: %d connections, exit %d", d.Holds, exit)
	}
}

// TestDoctorNamesTheCgroup puts doctor into a control group with little memory, where this machine lets us.
func TestDoctorNamesTheCgroup(t *testing.T) {
	const limit = 512 << 20
	group := memoryGroup(t, limit)
	settings := []string{"--durability", "none", "--history-memory-bytes-max", "64MiB", "--outbox-total-bytes-max",
		"64MiB"}
	d, _ := askDoctor(t, fmt.Sprintf("ulimit -n 20000; echo $$ >%s/cgroup.procs && $DOCTOR", group), settings...)
	// twice the history, the outboxes and 256 MiB leave 64 MiB, of which doctor itself has some
	if most := int64(64 << 20 / 6347); d.Binds != "memory" || d.Holds > most || d.Holds < most/4 {
		t.Errorf("in a group with %d bytes: %d connections, bound by %s; want up to %d, by memory", limit, d.Holds,
			d.Binds, most)
	}
	if line := lineOf(d.Report, "memory"); !strings.HasSuffix(line.Value, "left in the cgroup") {
		t.Errorf("it says of the memory: %+v", line)
	}
	if d, _ := askDoctor(t, "ulimit -n 20000; $DOCTOR", settings...); d.Binds == "memory" {
		t.Skip("this machine has as little memory without a group")
	}
}

// memoryGroup makes a control group, which is gone after the test.
func memoryGroup(t *testing.T, bytes int) (dir string) {
	t.Helper()
	name := "papertape-test-" + strconv.Itoa(os.Getpid())
	for _, c := range []struct{ parent, file string }{
		{"/sys/fs/cgroup/memory", "memory.limit_in_bytes"}, {"/sys/fs/cgroup", "memory.max"},
	} {
		dir := filepath.Join(c.parent, name)
		if os.Mkdir(dir, 0o755) != nil {
			continue
		}
		t.Cleanup(func() { _ = os.Remove(dir) }) // its processes have ended
		if os.WriteFile(filepath.Join(dir, c.file), []byte(strconv.Itoa(bytes)), 0o644) == nil {
			return dir
		}
	}
	t.Skip("no control group can be made here")
	return ""
}

func lineOf(r *doctor.Report, name string) doctor.Line {
	for i := range r.Lines {
		if r.Lines[i].Name == name {
			return r.Lines[i]
		}
	}
	return doctor.Line{}
}

// TestDoctorBesideAServer checks that a running server is seen, and what it said of the machine itself.
func TestDoctorBesideAServer(t *testing.T) {
	dir := t.TempDir()
	s := startServe(t, "--log.format", "json", "--data", dir, "--connections-max", "auto")
	at := s.until("listening")
	if d, _ := askDoctor(t, "$DOCTOR"); d.Warnings+d.Failures > 0 {
		s.until("papertape doctor warns about this machine")
	}
	d, exit := askDoctor(t, "$DOCTOR", "--data", dir, "--listen", at.Listen, "--admin", at.Admin)
	if got, want := lineOf(d.Report, "addresses").Value, at.Listen+", "+at.Admin; got != want || exit != 0 {
		t.Errorf("taken are %q, want %q; exit %d", got, want, exit)
	}
	if value := lineOf(d.Report, "data directory").Value; value != "in use" {
		t.Errorf("the data directory is %q", value)
	}
}

// TestDoctorProbe opens connections to a server of doctor's own. make long does it with as many as doctor says, and
// holds what they took to what it expects.
func TestDoctorProbe(t *testing.T) {
	n, long := 300, os.Getenv("PAPERTAPE_TEST_LONG") != ""
	switch {
	case long:
		d, _ := askDoctor(t, "$DOCTOR")
		n = int(d.Holds)
	case testing.Short():
		t.Skip("it starts a server and opens hundreds of connections")
	}
	d, exit := askDoctor(t, "$DOCTOR", "--probe", strconv.Itoa(n))
	if exit != 0 || d.Probe == nil || d.Probe.Connections != n || d.Probe.Reckoned != d.Each.Most {
		t.Fatalf("exit %d, %+v; want %d connections", exit, d.Probe, n)
	}
	t.Log(d.Probe.String())
	if off := float64(d.Probe.Measured())/float64(d.Probe.Expected) - 1; long && (off > 0.1 || off < -0.1) {
		t.Errorf("each of %d connections took %d bytes, %+.1f %% of the %d that doctor expects", n, d.Probe.Measured(),
			100*off, d.Probe.Expected)
	}
}
