package doctor

import (
	"math"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// defaults is the plan of a server with no settings given.
func defaults() Plan {
	return Plan{
		ConnectionsPerSecond: 10_000, HandshakesPerSecond: 1000, Durable: true, AskHugePages: true, EventLoops: 2,
		Heartbeat: 15 * time.Second, HistoryBytes: 1 << 30, OutboxBytes: 256 << 10, OutboxTotalBytes: 1 << 30,
		SendBufferBytes: 64 << 10, DiskFreeBytesMin: 256 << 20, Data: "/data",
	}
}

// plenty is a machine on which nothing is short.
func plenty() Readings {
	r := Read(fstest.MapFS{}, "/data")
	r.FilesHard, r.NrOpen, r.FileMax, r.FilesUsed = 1<<20, 1<<20, 10<<20, 1000
	r.MemoryAvailable, r.ConntrackMax, r.ConntrackCount = 64<<30, 1<<20, 100
	r.TCPPressurePages, r.Somaxconn, r.SynBacklog, r.Syncookies = 64<<30/4096, 4096, 4096, 1
	r.HugePages, r.Filesystem, r.Processors, r.Synchronised = "madvise", "ext4", 8, Yes
	r.DiskFree, r.DiskP50, r.DiskP99 = 100<<30, 230*time.Microsecond, 330*time.Microsecond
	return r
}

func (r *Report) line(t *testing.T, name string) Line {
	t.Helper()
	for i := range r.Lines {
		if r.Lines[i].Name == name {
			return r.Lines[i]
		}
	}
	t.Fatalf("there is no line %q in %+v", name, r.Lines)
	return Line{}
}

func TestBounds(t *testing.T) {
	const fixed = 2<<30 + 1<<30 + 192<<20 + 256<<20 // history twice, outboxes, journal, everything else
	for _, c := range []struct {
		what   string
		change func(p *Plan, r *Readings)
		holds  int64
		binds  string
	}{
		{"nothing is short", func(*Plan, *Readings) {}, 100_000, "connections_max"},
		{"connections_max", func(p *Plan, _ *Readings) { p.ConnectionsMax = 5000 }, 5000, "connections_max"},
		{"files", func(_ *Plan, r *Readings) { r.FilesHard = 20_000 }, 18_500, "open files, hard"},
		{"fewer files than it keeps", func(_ *Plan, r *Readings) { r.FilesHard = 1024 }, 0, "open files, hard"},
		{"no limit of files", func(_ *Plan, r *Readings) { r.FilesHard = math.MaxInt64; r.NrOpen = 30_000 }, 28_500,
			"fs.nr_open"},
		{"files of the machine", func(_ *Plan, r *Readings) { r.FileMax = 12_500 }, 10_000, "fs.file-max"},
		{"conntrack", func(_ *Plan, r *Readings) { r.ConntrackMax, r.ConntrackCount = 65_536, 536 }, 65_000,
			"conntrack"},
		{"a full conntrack", func(_ *Plan, r *Readings) { r.ConntrackMax, r.ConntrackCount = 10, 20 }, 0, "conntrack"},
		{"memory", func(_ *Plan, r *Readings) { r.MemoryAvailable = fixed + 6347*1000 + 6346 }, 1000, "memory"},
		{"memory without a journal", func(p *Plan, r *Readings) {
			p.Durable = false
			r.MemoryAvailable = fixed - 192<<20 + 6347*1000
		}, 1000, "memory"},
		{"memory over TLS", func(p *Plan, r *Readings) {
			p.TLS = true
			r.MemoryAvailable = fixed + (6347+11*1024+8*1024)*1000
		}, 1000, "memory"},
		{"too little memory", func(_ *Plan, r *Readings) { r.MemoryAvailable = 1 << 30 }, 0, "memory"},
		{"memory of the cgroup", func(_ *Plan, r *Readings) {
			r.Cgroup.MemoryLimit, r.Cgroup.MemoryLeft = 8<<30, fixed+6347*2000
		}, 2000, "memory"},
		{"more in the cgroup than there is", func(_ *Plan, r *Readings) {
			r.MemoryAvailable, r.Cgroup.MemoryLeft = fixed+6347*3000, 64<<30
		}, 3000, "memory"},
		{"a history that no number holds", func(p *Plan, _ *Readings) { p.HistoryBytes = math.MaxInt64 }, 0, "memory"},
		{"nothing is known", func(_ *Plan, r *Readings) { *r = Read(fstest.MapFS{}, "") }, 100_000, "connections_max"},
	} {
		p, r := defaults(), plenty()
		c.change(&p, &r)
		rep := Examine(&p, &r)
		if rep.Holds != c.holds || rep.Binds != c.binds {
			t.Errorf("%s: %d connections, bound by %s; want %d, %s", c.what, rep.Holds, rep.Binds, c.holds, c.binds)
		}
		binding := rep.line(t, c.binds)
		if !strings.HasPrefix(binding.Note, "binds") && c.holds > 0 {
			t.Errorf("%s: the line that binds says %q", c.what, binding.Note)
		}
		if short := c.holds == 0; short != (rep.Failures > 0) || short == rep.Good() {
			t.Errorf("%s: %d failures", c.what, rep.Failures)
		}
	}
}

// TestConcerns makes one thing amiss after the other.
func TestConcerns(t *testing.T) {
	for _, c := range []struct {
		name, note string // of the only line that is not well; the note contains this
		verdict    Verdict
		change     func(p *Plan, r *Readings)
	}{
		{"open files, hard", "binds. LimitNOFILE=1048576 in the unit", Warn,
			func(_ *Plan, r *Readings) { r.FilesHard = 20_000 }},
		{"tcp_mem, pressure", `128 KiB each; fewer than the connections: sysctl -w net.ipv4.tcp_mem="2400000 `, Warn,
			func(_ *Plan, r *Readings) { r.TCPPressurePages = 383_866 }},
		{"somaxconn", "below 4,096: sysctl -w net.core.somaxconn=4096", Warn,
			func(_ *Plan, r *Readings) { r.Somaxconn = 128 }},
		{"tcp_max_syn_backlog", "sysctl -w net.ipv4.tcp_max_syn_backlog=4096", Warn,
			func(_ *Plan, r *Readings) { r.SynBacklog = 2048 }},
		{"tcp_syncookies", "net.ipv4.tcp_syncookies=1", Warn, func(_ *Plan, r *Readings) { r.Syncookies = 0 }},
		{"processors", "set event_loops and shards to 2, or raise cpu.max", Warn,
			func(p *Plan, r *Readings) { p.EventLoops, r.Cgroup.CPUs = 8, 1.5 }},
		{"transparent huge pages", "huge_pages has no effect", Warn,
			func(_ *Plan, r *Readings) { r.HugePages = "never" }},
		{"swap", "swapoff", Warn, func(_ *Plan, r *Readings) { r.Swap = true }},
		{"clock", "chrony", Warn, func(_ *Plan, r *Readings) { r.Synchronised = No }},
		{"filesystem", "/data is memory", Warn, func(_ *Plan, r *Readings) { r.Filesystem = "tmpfs" }},
		{"filesystem", "mount a volume", Warn, func(_ *Plan, r *Readings) { r.Filesystem = "overlay" }},
		{"filesystem", "over the network", Warn, func(_ *Plan, r *Readings) { r.Filesystem = "nfs4" }},
		{"free", "refused below 256 MiB", Warn, func(_ *Plan, r *Readings) { r.DiskFree = 1<<30 - 1 }},
		{"free", "orders are refused: disk_free_bytes_min is 256 MiB", Fail,
			func(_ *Plan, r *Readings) { r.DiskFree = 1 << 20 }},
		{"sync", "about 90 commits a second; every answer waits", Warn,
			func(_ *Plan, r *Readings) { r.DiskP50, r.DiskP99 = 11*time.Millisecond, 51*time.Millisecond }},
		{"sync", "no file", Warn, func(_ *Plan, r *Readings) { r.DiskTrouble = "no file can be written" }},
		{"data directory", "one at a time may", Warn, func(_ *Plan, r *Readings) { r.InUse = true }},
		{"addresses", "is a server running there", Warn,
			func(_ *Plan, r *Readings) { r.Taken = []string{"127.0.0.1:7300"} }},
		{"start", "serve does not start with connections_max 90,000; the files are enough for 18,500", Fail,
			func(p *Plan, r *Readings) { p.ConnectionsMax, r.FilesHard, p.Wanted = 90_000, 20_000, 1 }},
	} {
		p, r := defaults(), plenty()
		c.change(&p, &r)
		rep := Examine(&p, &r)
		if concerns := rep.Concerns(); len(concerns) != 1 || concerns[0] != c.name {
			t.Errorf("%s: it is concerned about %q", c.name, concerns)
		}
		if l := rep.line(t, c.name); l.Verdict != c.verdict || !strings.Contains(l.Note, c.note) {
			t.Errorf("%s: %s, %q; want %s, %q", c.name, l.Verdict, l.Note, c.verdict, c.note)
		}
		if warned := c.verdict == Warn; rep.Good() != warned || (rep.Warnings == 1) != warned ||
			(rep.Failures == 1) == warned {
			t.Errorf("%s: %d warnings, %d failures", c.name, rep.Warnings, rep.Failures)
		}
	}
}

// TestNoConcerns checks settings that make no difference where they could be taken for one.
func TestNoConcerns(t *testing.T) {
	for what, change := range map[string]func(p *Plan, r *Readings){
		"plenty": func(*Plan, *Readings) {},
		"without a journal": func(p *Plan, r *Readings) {
			p.Durable, r.Filesystem, r.DiskFree = false, "tmpfs", 0
		},
		"no huge pages asked for": func(p *Plan, r *Readings) { p.AskHugePages, r.HugePages = false, "never" },
		"a quota for all loops":   func(p *Plan, r *Readings) { p.EventLoops, r.Cgroup.CPUs = 2, 1.5 },
		"few connections, few that wait": func(p *Plan, r *Readings) {
			p.ConnectionsMax, r.SynBacklog, r.TCPPressurePages = 100, 128, 4096
		},
		"as many as are asked for": func(p *Plan, r *Readings) { p.Wanted, r.FilesHard = 18_500, 20_000 },
		"nothing is known":         func(_ *Plan, r *Readings) { *r = Read(fstest.MapFS{}, "") },
	} {
		p, r := defaults(), plenty()
		change(&p, &r)
		if rep := Examine(&p, &r); len(rep.Concerns()) > 0 || !rep.Good() {
			t.Errorf("%s: it is concerned about %q", what, rep.Concerns())
		}
	}
}

func TestWanted(t *testing.T) {
	p, r := defaults(), plenty()
	p.Wanted, r.FilesHard = 250_000, 20_000
	rep := Examine(&p, &r)
	if rep.Fits || rep.Good() || rep.Failures != 2 {
		t.Errorf("%d failures of which it fits: %v", rep.Failures, rep.Fits)
	}
	if note := rep.line(t, nameFiles).Note; note != "LimitNOFILE=1048576 in the unit, or ulimit -Hn" {
		t.Errorf("files: %q", note)
	}
	if note := rep.line(t, nameConnections).Note; note != "set connections_max to 250000" {
		t.Errorf("connections_max: %q", note)
	}
	if want := int64(250_000 * (840 + 4042)); rep.Expected != want {
		t.Errorf("they take %d, want %d", rep.Expected, want)
	}
	p.Wanted = 18_501
	if Examine(&p, &r).Fits {
		t.Error("one more fits than there may be")
	}
}

func TestNext(t *testing.T) {
	for _, c := range []struct {
		change func(p *Plan, r *Readings)
		want   string
	}{
		{func(_ *Plan, r *Readings) { r.FilesHard, r.ConntrackMax, r.ConntrackCount = 20_000, 262_144, 144 },
			"With LimitNOFILE=263500 and connections_max: 262000, conntrack binds next."},
		{func(_ *Plan, r *Readings) { r.ConntrackMax, r.ConntrackCount = 50_000, 0 },
			"Without that, connections_max binds next, at 100,000."},
		{func(_ *Plan, r *Readings) { *r = Read(fstest.MapFS{}, "") }, ""},
	} {
		p, r := defaults(), plenty()
		c.change(&p, &r)
		if got := Examine(&p, &r).Next; got != c.want {
			t.Errorf("next: %q, want %q", got, c.want)
		}
	}
}

// TestText compares what a person sees of the machine in testdata/v1.txtar.
func TestText(t *testing.T) {
	p, r := defaults(), Read(machineOf(t, "v1"), "/srv")
	p.Data = "/srv"
	r.Processors, r.DiskFree, r.DiskP50, r.DiskP99 = 2, 73<<30, 230*time.Microsecond, 330*time.Microsecond
	r.Cgroup.MemoryLeft = Unknown
	var b strings.Builder
	if err := Examine(&p, &r).Text(&b, false); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/v1.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got := b.String(); got != string(want) {
		t.Errorf("it is\n%s\nwant\n%s", got, want)
	}
	if strings.Contains(b.String(), "threads-max") {
		t.Error("it shows details that nobody asked for")
	}
	b.Reset()
	if err := Examine(&p, &r).Text(&b, true); err != nil || !strings.Contains(b.String(), "threads-max") {
		t.Errorf("%v; there are no details in\n%s", err, b.String())
	}
}

func TestCountAndSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1_047_076: "1,047,076", -1500: "-1,500",
		math.MaxInt64: "unlimited"} {
		if got := Count(n); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 855: "855 B", 6347: "6.2 KiB", 64 << 10: "64 KiB", 1 << 30: "1 GiB",
		3<<30 + 1<<29: "3.5 GiB", math.MaxInt64: "8,388,608 TiB"} {
		if got := Size(n); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
}

func TestProbe(t *testing.T) {
	rep := &Report{Each: costsOf(false)}
	p := NewProbe(rep, 5000, 766.4, 8215.9)
	const want = "Tried with 5,000 connections: 4.8 KiB each, of which 766 B in the server. Expected were " +
		"4.8 KiB (+0 %), and 6.2 KiB are reckoned with."
	if p.Measured() != 766+4107 || p.String() != want {
		t.Errorf("%d: %s", p.Measured(), p.String())
	}
}
