// Package measure observes a server process from outside: its use of processor, memory and
// kernel, and what its profiler reports. The server contributes only its pprof endpoint.
// Linux only.
//
// A caller's loop:
//
//	before, err := measure.Process(pid).Sample()
//	… the work …
//	after, err := measure.Process(pid).Sample()
//	used := after.Since(before)
//	perRequest := used.CPU.Seconds() / requests
package measure

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Process is a process id.
type Process int

// Sample is what a process has used so far.
type Sample struct {
	At           time.Time
	CPU          time.Duration // by the scheduler, in nanoseconds, including threads that have ended
	User, System time.Duration // in hundredths of a second
	Voluntary    uint64        // context switches of the current threads because they waited
	Involuntary  uint64        // context switches forced on them
	RSS          int64         // bytes
	Threads      int
	Faults       uint64 // page faults
}

// Sample examines the process.
func (p Process) Sample() (Sample, error) {
	s := Sample{At: time.Now()}
	err := errors.Join(p.clock(&s), p.stat(&s), p.switches(&s))
	if err != nil {
		return Sample{}, fmt.Errorf("process %d: %w", p, err)
	}
	return s, nil
}

// clock reads the process's own clock, which is finer than /proc/PID/stat.
func (p Process) clock(s *Sample) error {
	const schedulerClock = 2 // CPUCLOCK_SCHED, as in clock_getcpuclockid for a process
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^int32(p)<<3|schedulerClock), &t); err != nil {
		return fmt.Errorf("read its clock: %w", err)
	}
	s.CPU = time.Duration(t.Nano())
	return nil
}

// ticks is USER_HZ, which has always been 100 on Linux.
const ticks = 100

func (p Process) stat(s *Sample) error {
	text, err := os.ReadFile(p.file("stat"))
	if err != nil {
		return err
	}
	// The name, in parentheses, may contain anything. The third field is the first after
	// it.
	f := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(f) < 22 {
		return fmt.Errorf("%s has %d fields", p.file("stat"), len(f))
	}
	number := func(field int) uint64 {
		n, _ := strconv.ParseUint(f[field-3], 10, 64)
		return n
	}
	s.Faults = number(10) + number(12)
	s.User = time.Duration(number(14)) * time.Second / ticks
	s.System = time.Duration(number(15)) * time.Second / ticks
	s.Threads = int(number(20))
	s.RSS = int64(number(24)) * int64(os.Getpagesize())
	return nil
}

// switches sums over the threads. A thread that ends meanwhile is left out.
func (p Process) switches(s *Sample) error {
	files, err := filepath.Glob(p.file("task/*/status"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("it has no threads: %w", errors.Join(err, os.ErrNotExist))
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		s.Voluntary += lineOf(text, "voluntary_ctxt_switches:")
		s.Involuntary += lineOf(text, "nonvoluntary_ctxt_switches:")
	}
	return nil
}

func (p Process) file(name string) string { return fmt.Sprintf("/proc/%d/%s", int(p), name) }

// lineOf returns the number in the line that starts with key, or 0.
func lineOf(text []byte, key string) uint64 {
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, key); ok {
			n, _ := strconv.ParseUint(strings.Fields(rest)[0], 10, 64)
			return n
		}
	}
	return 0
}

// Usage is what a process used between two samples, and its state at the second.
type Usage struct {
	Seconds         float64
	CPUSeconds      float64
	UserSeconds     float64
	SystemSeconds   float64
	Cores           float64 // processors used on average
	ContextSwitches uint64
	Involuntary     uint64 // of the context switches
	Faults          uint64
	RSS             int64
	Threads         int
}

// Since returns the difference.
func (s Sample) Since(before Sample) Usage {
	u := Usage{
		Seconds: s.At.Sub(before.At).Seconds(), CPUSeconds: (s.CPU - before.CPU).Seconds(),
		UserSeconds: (s.User - before.User).Seconds(), SystemSeconds: (s.System - before.System).Seconds(),
		Involuntary: subtract(s.Involuntary, before.Involuntary), Faults: subtract(s.Faults,
			before.Faults), RSS: s.RSS, Threads: s.Threads,
	}
	u.ContextSwitches = subtract(s.Voluntary, before.Voluntary) + u.Involuntary
	if u.Seconds > 0 {
		u.Cores = u.CPUSeconds / u.Seconds
	}
	return u
}

// subtract returns a - b, or 0 if threads counted in b have ended meanwhile.
func subtract(a, b uint64) uint64 { return a - min(a, b) }
