package doctor

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// machine is about processors, memory and the clock.
func machine(rep *Report, p *Plan, r *Readings, n int64) {
	processors := Line{Section: sectionMachine, Name: "processors", Value: Count(int64(r.Processors)), Verdict: OK,
		Note: fmt.Sprintf("%d event loops", p.EventLoops)}
	if quota := r.Cgroup.CPUs; quota > 0 {
		processors.Value = fmt.Sprintf("%.3g of %d", quota, r.Processors)
		if whole := max(int(math.Ceil(quota)), 1); p.EventLoops > whole {
			processors.Verdict = Warn
			processors.Note = fmt.Sprintf("%d event loops share a quota that stops them together: set event_loops and "+
				"shards to %d, or raise cpu.max", p.EventLoops, whole)
		}
	}
	if r.Processors > 0 {
		rep.add(processors)
	}
	if p.Heartbeat > 0 {
		rep.add(Line{Section: sectionMachine, Name: "heartbeat", Value: p.Heartbeat.String(), Verdict: OK,
			Note: Count(int64(float64(n)/p.Heartbeat.Seconds())) + " pings a second while all are silent"})
	}
	if pages := r.HugePages; pages != "" {
		l := Line{Section: sectionMachine, Name: "transparent huge pages", Value: pages, Verdict: OK}
		if pages == "never" && p.AskHugePages {
			l.Verdict = Warn
			l.Note = "huge_pages has no effect: echo madvise >/sys/kernel/mm/transparent_hugepage/enabled"
		}
		rep.add(l)
	}
	if r.Overcommit == 2 {
		rep.add(Line{Section: sectionMachine, Name: "vm.overcommit_memory", Value: "2", Verdict: OK,
			Note: "address space is counted as memory, so the heap gets no huge pages"})
	}
	if r.Swap {
		rep.add(Line{Section: sectionMachine, Name: "swap", Value: "on", Verdict: Warn,
			Note: "who needs a page that was swapped out waits for the disk: swapoff -a, or vm.swappiness=1"})
	}
	switch r.Synchronised {
	case Yes:
		rep.add(Line{Section: sectionMachine, Name: "clock", Value: "synchronised", Verdict: OK})
	case No:
		rep.add(Line{Section: sectionMachine, Name: "clock", Value: "not synchronised", Verdict: Warn,
			Note: "events have its time: run chrony or systemd-timesyncd, here or on the host"})
	}
	for _, d := range []struct {
		name  string
		value int64
	}{
		{"epoll max_user_watches", r.EpollWatches}, {"threads-max", r.ThreadsMax}, {"pids left", r.Cgroup.PIDsLeft},
	} {
		if d.value != Unknown {
			rep.add(Line{Section: sectionMachine, Name: d.name, Value: Count(d.value), Verdict: OK, Detail: true})
		}
	}
}

// slowSync is when a disk that every answer waits for is too slow.
const slowSync = 50 * time.Millisecond

// lasting says of a filesystem why a ledger should not be there.
var lasting = map[string]string{
	"tmpfs":   "memory: nothing of it is left after a restart of the machine",
	"ramfs":   "memory: nothing of it is left after a restart of the machine",
	"overlay": "the layer of a container, which goes with it: mount a volume there",
	"nfs":     "a disk over the network: a commit waits for it, and its locks may not hold",
	"nfs4":    "a disk over the network: a commit waits for it, and its locks may not hold",
	"cifs":    "a disk over the network: a commit waits for it, and its locks may not hold",
	"9p":      "a directory of another system: its syncs may not hold",
}

// disk is about the data directory, and the addresses.
func disk(rep *Report, p *Plan, r *Readings) {
	if p.Durable {
		dataDirectory(rep, p, r)
	}
	if r.InUse {
		rep.add(Line{Section: sectionDisk, Name: "data directory", Value: "in use", Verdict: Warn,
			Note: "a server has it open, and one at a time may"})
	}
	if len(r.Taken) > 0 {
		rep.add(Line{Section: sectionDisk, Name: "addresses", Value: strings.Join(r.Taken, ", "), Verdict: Warn,
			Note: "not free; is a server running there?"})
	}
}

func dataDirectory(rep *Report, p *Plan, r *Readings) {
	kind := r.Filesystem
	if kind == "" {
		kind = "unknown"
	}
	l := Line{Section: sectionDisk, Name: "filesystem", Value: kind, Verdict: OK, Note: p.Data}
	if why, found := lasting[kind]; found {
		l.Verdict, l.Note = Warn, p.Data+" is "+why
	}
	rep.add(l)
	if free := r.DiskFree; free != Unknown {
		l := Line{Section: sectionDisk, Name: "free", Value: Size(free), Verdict: OK,
			Note: "orders are refused below " + Size(p.DiskFreeBytesMin)}
		switch {
		case free < p.DiskFreeBytesMin:
			l.Verdict, l.Note = Fail, "orders are refused: disk_free_bytes_min is "+Size(p.DiskFreeBytesMin)
		case free/4 < p.DiskFreeBytesMin:
			l.Verdict = Warn
		}
		rep.add(l)
	}
	switch {
	case r.DiskTrouble != "":
		rep.add(Line{Section: sectionDisk, Name: "sync", Value: "not tried", Verdict: Warn, Note: r.DiskTrouble})
	case r.DiskP50 > 0:
		l := Line{Section: sectionDisk, Name: "sync", Verdict: OK,
			Value: fmt.Sprintf("p50 %s, p99 %s", milliseconds(r.DiskP50), milliseconds(r.DiskP99)),
			Note:  fmt.Sprintf("4 KiB appended and synced: about %s commits a second", Count(perSecond(r.DiskP50)))}
		if r.DiskP99 > slowSync {
			l.Verdict = Warn
			l.Note += "; every answer waits for one (durability: sync), so take a faster disk, or interval"
		}
		rep.add(l)
	}
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.3g ms", float64(d.Nanoseconds())/1e6)
}

// perSecond returns how often something that takes so long happens in a second, to two digits.
func perSecond(took time.Duration) int64 {
	n, scale := int64(time.Second/max(took, 1)), int64(1)
	for n/scale >= 100 {
		scale *= 10
	}
	return n / scale * scale
}
