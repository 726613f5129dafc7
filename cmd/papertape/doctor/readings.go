package doctor

import (
	"io/fs"
	"math"
	"strconv"
	"strings"
	"time"
)

// Unknown is a number that the machine did not tell.
const Unknown = -1

// Readings are what a machine says about itself. Read fills the first part, Measure the second; a number is Unknown
// where nothing said it.
type Readings struct {
	FilesHard, NrOpen, FileMax, FilesUsed int64

	MemoryAvailable int64  // bytes
	Cgroup          Cgroup // around this process
	PageBytes       int64

	TCPPressurePages, TCPPages                    int64
	Somaxconn, SynBacklog, NetBacklog, Syncookies int64
	ConntrackMax, ConntrackCount                  int64 // Unknown: nothing counts connections
	PortLow, PortHigh                             int64
	EpollWatches, ThreadsMax                      int64
	TCPWriteBytes, TCPReadBytes                   int64 // the most of a socket, where it sets none itself
	HugePages                                     string
	Overcommit                                    int64
	Swap                                          bool
	Filesystem                                    string // of the data directory; empty: unknown

	Processors   int
	DiskFree     int64
	DiskP50      time.Duration // of 4 KiB appended and synced; 0: not measured
	DiskP99      time.Duration
	DiskTrouble  string // why it could not be measured
	Synchronised Answer // the clock
	Taken        []string
	InUse        bool // a server has the data directory open
}

// Answer is yes, no, or nobody knows.
type Answer int

// The answers.
const (
	Nobody Answer = iota
	No
	Yes
)

// Read reads what the files of /proc and /sys below root say. data is the absolute path of the data directory, of which
// the filesystem is wanted.
func Read(root fs.FS, data string) Readings {
	t := tree{root}
	r := Readings{
		FilesHard: t.hardFiles(), NrOpen: t.number("proc/sys/fs/nr_open", 0),
		FileMax: t.number("proc/sys/fs/file-max", 0), FilesUsed: t.number("proc/sys/fs/file-nr", 0),
		MemoryAvailable: t.labelled("proc/meminfo", "MemAvailable:", 1), PageBytes: pageBytes,
		TCPPressurePages: t.number("proc/sys/net/ipv4/tcp_mem", 1), TCPPages: t.tcpPages(),
		Somaxconn:      t.number("proc/sys/net/core/somaxconn", 0),
		SynBacklog:     t.number("proc/sys/net/ipv4/tcp_max_syn_backlog", 0),
		NetBacklog:     t.number("proc/sys/net/core/netdev_max_backlog", 0),
		Syncookies:     t.number("proc/sys/net/ipv4/tcp_syncookies", 0),
		ConntrackMax:   t.number("proc/sys/net/netfilter/nf_conntrack_max", 0),
		ConntrackCount: t.number("proc/sys/net/netfilter/nf_conntrack_count", 0),
		PortLow:        t.number("proc/sys/net/ipv4/ip_local_port_range", 0),
		PortHigh:       t.number("proc/sys/net/ipv4/ip_local_port_range", 1),
		EpollWatches:   t.number("proc/sys/fs/epoll/max_user_watches", 0),
		ThreadsMax:     t.number("proc/sys/kernel/threads-max", 0),
		TCPWriteBytes:  t.number("proc/sys/net/ipv4/tcp_wmem", 2),
		TCPReadBytes:   t.number("proc/sys/net/ipv4/tcp_rmem", 2),
		HugePages:      t.chosen("sys/kernel/mm/transparent_hugepage/enabled"),
		Overcommit:     t.number("proc/sys/vm/overcommit_memory", 0),
		Swap:           strings.Count(t.text("proc/swaps"), "\n") > 1,
		DiskFree:       Unknown,
	}
	if r.MemoryAvailable != Unknown {
		r.MemoryAvailable <<= 10
	}
	mounts := t.mounts()
	r.Filesystem = filesystemOf(mounts, data)
	r.Cgroup = t.cgroup(mounts)
	return r
}

// pageBytes is what the kernel counts the memory of sockets in. Machines with larger pages exist; there the arithmetic
// is on the safe side.
const pageBytes = 4096

// tree reads small files of the kernel.
type tree struct{ fs.FS }

func (t tree) text(path string) string {
	b, err := fs.ReadFile(t.FS, path)
	if err != nil {
		return "" // who asks makes Unknown of it
	}
	return string(b)
}

// number returns the word of a file with this index, as a number.
func (t tree) number(path string, index int) int64 {
	return wordOf(t.text(path), index)
}

func wordOf(text string, index int) int64 {
	words := strings.Fields(text)
	if index >= len(words) {
		return Unknown
	}
	n, err := strconv.ParseUint(words[index], 10, 64)
	if err != nil {
		return Unknown
	}
	return int64(min(n, math.MaxInt64))
}

// labelled returns a word of the line that begins with label.
func (t tree) labelled(path, label string, index int) int64 {
	for line := range strings.Lines(t.text(path)) {
		if strings.HasPrefix(line, label) {
			return wordOf(line, index)
		}
	}
	return Unknown
}

// hardFiles returns the hard limit of this process's open files.
func (t tree) hardFiles() int64 {
	const label = "Max open files"
	for line := range strings.Lines(t.text("proc/self/limits")) {
		if rest, ok := strings.CutPrefix(line, label); ok {
			if words := strings.Fields(rest); len(words) > 1 && words[1] == "unlimited" {
				return math.MaxInt64
			}
			return wordOf(rest, 1)
		}
	}
	return Unknown
}

// tcpPages returns how many pages all sockets have now.
func (t tree) tcpPages() int64 {
	for line := range strings.Lines(t.text("proc/net/sockstat")) {
		f := strings.Fields(line) // TCP: inuse 5 orphan 0 tw 2 alloc 8 mem 3
		if len(f) > 10 && f[0] == "TCP:" {
			return wordOf(line, 10)
		}
	}
	return Unknown
}

// chosen returns the word in brackets: "always [madvise] never".
func (t tree) chosen(path string) string {
	_, rest, _ := strings.Cut(t.text(path), "[")
	word, _, _ := strings.Cut(rest, "]")
	return word
}
