package measure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ErrNoStrace means that system calls cannot be counted here.
var ErrNoStrace = errors.New("system calls were not counted: there is no strace on this machine (Debian: apt " +
	"install strace)")

// Trace counts the system calls of a process while it is attached. The process is much
// slower meanwhile. Only the number of calls per answered request is meaningful, not the
// speed.
type Trace struct {
	cmd   *exec.Cmd
	table bytes.Buffer
}

// attachPatience is the time for strace to attach to all threads of a process.
const attachPatience = time.Second

// Trace attaches to the process. Start the load only afterwards: earlier requests are not
// counted.
func (p Process) Trace(ctx context.Context) (*Trace, error) {
	path, err := exec.LookPath("strace")
	if err != nil {
		return nil, ErrNoStrace
	}
	t := &Trace{cmd: exec.Command(path, "-c", "-f", "-q", "-p", strconv.Itoa(int(p)))}
	t.cmd.Stderr = &t.table
	if err := t.cmd.Start(); err != nil {
		return nil, fmt.Errorf("strace: %w", err)
	}
	select {
	case <-time.After(attachPatience):
		return t, nil
	case <-ctx.Done():
		_, _ = t.Stop()
		return nil, ctx.Err()
	}
}

// Stop detaches from the process, and returns how often it made each call, by name.
func (t *Trace) Stop() (map[string]uint64, error) {
	_ = t.cmd.Process.Signal(syscall.SIGINT)
	end := time.AfterFunc(10*time.Second, func() { _ = t.cmd.Process.Kill() })
	defer end.Stop()
	_ = t.cmd.Wait() // it ends by the signal; its output shows whether it worked
	counts, err := parseStrace(t.table.String())
	if err != nil {
		return nil, fmt.Errorf("strace: %w: %s", err, t.table.Bytes()[:min(t.table.Len(), 300)])
	}
	return counts, nil
}

// parseStrace parses the table of strace -c: % time, seconds, usecs/call, calls, errors or
// nothing, name.
func parseStrace(table string) (map[string]uint64, error) {
	counts := make(map[string]uint64)
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) < 5 || f[len(f)-1] == "total" {
			continue
		}
		if _, err := strconv.ParseFloat(f[0], 64); err != nil {
			continue
		}
		n, err := strconv.ParseUint(f[3], 10, 64)
		if err != nil {
			continue
		}
		counts[f[len(f)-1]] = n
	}
	if len(counts) == 0 {
		return nil, errors.New("no system call was counted")
	}
	return counts, nil
}
