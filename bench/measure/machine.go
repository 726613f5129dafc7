package measure

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Kernel is kernel memory of the whole machine. Only differences of it are meaningful.
type Kernel struct {
	Slab    int64 // bytes of kernel objects: sockets, files, epoll entries
	TCP     int64 // bytes of socket buffers
	Sockets int   // TCP sockets in use
}

// KernelMemory reads the current values.
func KernelMemory() (Kernel, error) {
	info, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return Kernel{}, err
	}
	stat, err := os.ReadFile("/proc/net/sockstat")
	if err != nil {
		return Kernel{}, err
	}
	k := Kernel{Slab: int64(lineOf(info, "Slab:")) << 10}
	for line := range strings.Lines(string(stat)) {
		f := strings.Fields(line) // TCP: inuse 5 orphan 0 tw 2 alloc 8 mem 3
		if len(f) < 11 || f[0] != "TCP:" {
			continue
		}
		pages, _ := strconv.ParseInt(f[10], 10, 64)
		k.TCP = pages * int64(os.Getpagesize())
		k.Sockets, _ = strconv.Atoi(f[2])
	}
	return k, nil
}

// Idle returns the total idle time of all processors since the machine started.
func Idle() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	f := strings.Fields(line) // cpu user nice system idle iowait …
	if len(f) < 6 || f[0] != "cpu" {
		return 0, fmt.Errorf("/proc/stat begins with %q", line)
	}
	idle, err := strconv.ParseInt(f[4], 10, 64)
	waiting, err2 := strconv.ParseInt(f[5], 10, 64)
	return time.Duration(idle+waiting) * time.Second / ticks, errors.Join(err, err2)
}

// Environment describes where a measurement was made.
type Environment struct {
	Time     time.Time
	Kernel   string
	CPU      string
	Cores    int
	MemoryGB float64
	Go       string
	Commit   string // of the source, with "-dirty" if it was modified
	Command  string
	Files    uint64  // limit of open files per process
	Ports    string  // net.ipv4.ip_local_port_range
	FsyncP50 float64 // milliseconds, for appending 4 KiB
	FsyncP99 float64
	Costs    Costs
	Load     string // load of the machine before the measurement
}

// NewEnvironment examines the machine. commit is the output of git describe; dir is on the
// disk that the servers write to.
func NewEnvironment(commit, dir string) (Environment, error) {
	e := Environment{
		Time: time.Now().UTC().Truncate(time.Second), CPU: cpuModel(), Cores: runtime.NumCPU(), Go: runtime.Version(),
		Commit: commit, Command: strings.Join(os.Args, " "), Ports: firstLine("/proc/sys/net/ipv4/ip_local_port_range"),
		Load: firstLine("/proc/loadavg"),
	}
	e.Command = filepath.Base(os.Args[0]) + strings.TrimPrefix(e.Command, os.Args[0])
	if commit == "" {
		e.Commit = builtFrom()
	}
	var name unix.Utsname
	var limit unix.Rlimit
	if err := errors.Join(unix.Uname(&name), unix.Getrlimit(unix.RLIMIT_NOFILE, &limit)); err != nil {
		return e, err
	}
	e.Kernel, e.Files = unix.ByteSliceToString(name.Release[:]), limit.Max
	if info, err := os.ReadFile("/proc/meminfo"); err == nil {
		e.MemoryGB = float64(lineOf(info, "MemTotal:")) / (1 << 20)
	}
	p50, p99, err := Fsync(dir, fsyncs)
	e.FsyncP50, e.FsyncP99 = float64(p50.Microseconds())/1e3, float64(p99.Microseconds())/1e3
	if err != nil {
		return e, err
	}
	e.Costs, err = NewCosts()
	return e, err
}

// builtFrom returns the revision that the Go command recorded in this program.
func builtFrom() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	commit, dirty := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value[:min(7, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "-dirty"
		}
	}
	return commit + dirty
}

func firstLine(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.Join(strings.Fields(line), " ")
}

func cpuModel() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// fsyncs is the number of syncs in NewEnvironment: about a second on a disk that takes 3
// ms.
const fsyncs = 300

// Fsync appends 4 KiB and syncs, n times, in dir.
func Fsync(dir string, n int) (p50, p99 time.Duration, err error) {
	f, err := os.CreateTemp(dir, "fsync")
	if err != nil {
		return 0, 0, err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // of no use any more
	defer f.Close()           //nolint:errcheck // likewise
	took, page := make([]time.Duration, n), make([]byte, 4<<10)
	for i := range took {
		began := time.Now()
		_, err := f.Write(page)
		if err = errors.Join(err, unix.Fdatasync(int(f.Fd()))); err != nil {
			return 0, 0, fmt.Errorf("sync in %s: %w", dir, err)
		}
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	return took[n/2], took[n*99/100], nil
}

// RaiseFiles raises the soft limit of open files to the hard limit, and returns it.
// Processes started later inherit it.
func RaiseFiles() (uint64, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	limit.Cur = limit.Max
	return limit.Max, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
}

// Processors returns the number of processors of the machine.
func Processors() int { return runtime.NumCPU() }
