package doctor

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// The sections of a report.
const (
	sectionBounds  = ""
	sectionStall   = "if many clients stop reading"
	sectionReturn  = "if all come back at once"
	sectionMachine = "the machine"
	sectionDisk    = "the disk and the addresses"
)

// Names of lines that others refer to.
const (
	nameFiles       = "open files, hard"
	nameConnections = "connections_max"
	nameMemory      = "memory"
)

// bound is a line that says how many connections there may be at most.
type bound struct {
	name, value string
	because     string // as in "bound by …"
	allows      int64
	chosen      bool   // somebody wants it so, or it has to be so
	own         bool   // a setting of the server or of its process, and not of the whole machine
	note        string // what it is about
	raise       func(n int64) string
}

// Examine does the arithmetic.
func Examine(p *Plan, r *Readings) *Report {
	rep := &Report{Each: costsOf(p.TLS), Wanted: p.Wanted, Lines: []Line{}}
	bounds := boundsOf(p, r, rep.Each.Most)
	binding := slices.MinFunc(bounds, func(a, b bound) int { return cmp.Compare(a.allows, b.allows) })
	rep.Holds, rep.Binds, rep.because = binding.allows, binding.name, binding.because
	rep.Fits = int64(p.Wanted) <= rep.Holds
	rep.Next = nextOf(bounds, &binding)
	for i := range bounds {
		rep.add(bounds[i].line(&binding, int64(p.Wanted)))
	}
	if most, hard := int64(p.ConnectionsMax), r.FilesHard; hard != Unknown && most > max(hard-FilesReserved, 0) {
		rep.add(Line{Name: "start", Value: "refused", Verdict: Fail, Note: fmt.Sprintf("serve does not start with "+
			"connections_max %s; the files are enough for %s", Count(most), Count(max(hard-FilesReserved, 0)))})
	}
	n := cmp.Or(int64(p.Wanted), rep.Holds)
	rep.Expected = n * (rep.Each.User + rep.Each.Kernel)
	stalled(rep, p, r, n)
	comingBack(rep, p, r, n)
	machine(rep, p, r, n)
	disk(rep, p, r)
	for i := range rep.Lines {
		switch rep.Lines[i].Verdict {
		case Warn:
			rep.Warnings++
		case Fail:
			rep.Failures++
		}
	}
	return rep
}

// boundsOf returns what bounds the connections. There is always one: connections_max.
func boundsOf(p *Plan, r *Readings, each int64) (list []bound) {
	known := func(n int64, b bound) {
		if n != Unknown {
			b.allows = max(b.allows, 0)
			list = append(list, b)
		}
	}
	withFiles := func(n int64) int64 { return n + FilesReserved }
	known(r.FilesHard, bound{
		name: nameFiles, value: Count(r.FilesHard), because: "the hard limit of open files", own: true,
		allows: without(r.FilesHard, FilesReserved), raise: func(n int64) string {
			return fmt.Sprintf("LimitNOFILE=%d in the unit, or ulimit -Hn", max(withFiles(n), 1<<20))
		},
	})
	known(r.NrOpen, bound{
		name: "fs.nr_open", value: Count(r.NrOpen), because: "fs.nr_open", allows: without(r.NrOpen, FilesReserved),
		note:  "what the line above can be raised to",
		raise: func(n int64) string { return fmt.Sprintf("sysctl -w fs.nr_open=%d", withFiles(n)) },
	})
	if r.FilesUsed != Unknown {
		known(r.FileMax, bound{
			name: "fs.file-max", value: Count(r.FileMax), because: "fs.file-max",
			allows: without(r.FileMax, r.FilesUsed+FilesReserved), note: "in use: " + Count(r.FilesUsed),
			raise: func(n int64) string {
				return fmt.Sprintf("sysctl -w fs.file-max=%d", withFiles(n)+r.FilesUsed)
			},
		})
	}
	if b, ok := memoryBound(p, r, each); ok {
		list = append(list, b)
	}
	if r.ConntrackCount != Unknown {
		known(r.ConntrackMax, bound{
			name: "conntrack", value: Count(r.ConntrackMax), because: "the connections that the firewall keeps",
			allows: r.ConntrackMax - r.ConntrackCount, note: "in use: " + Count(r.ConntrackCount),
			raise: func(n int64) string {
				return fmt.Sprintf("sysctl -w net.netfilter.nf_conntrack_max=%d", n+r.ConntrackCount)
			},
		})
	}
	return append(list, connectionsBound(p))
}

// without subtracts from a number that may mean that there is no limit.
func without(n, less int64) int64 {
	if n == math.MaxInt64 {
		return n
	}
	return n - less
}

func connectionsBound(p *Plan) bound {
	b := bound{
		name: nameConnections, value: "auto", because: "connections_max", allows: ConnectionsAuto, own: true,
		chosen: true, note: "auto never goes above this: set it for more",
		raise: func(n int64) string { return fmt.Sprintf("set connections_max to %d", n) },
	}
	if p.ConnectionsMax > 0 {
		b.value, b.allows, b.note = Count(int64(p.ConnectionsMax)), int64(p.ConnectionsMax), ""
	}
	return b
}

// memoryBound returns how many connections there is memory for, after all that the settings may take.
func memoryBound(p *Plan, r *Readings, each int64) (bound, bool) {
	available, value := r.MemoryAvailable, "available"
	why, cure := "memory", "more memory, or less history_memory_bytes_max and outbox_total_bytes_max"
	if left := r.Cgroup.MemoryLeft; left != Unknown && (available == Unknown || left < available) {
		available, value, why = left, "left in the cgroup", "the memory that the cgroup leaves"
		cure = "raise the cgroup's limit (" + Size(r.Cgroup.MemoryLimit) + "), or lower history_memory_bytes_max and " +
			"outbox_total_bytes_max"
	}
	if available == Unknown {
		return bound{}, false
	}
	fixed := reserved(p)
	b := bound{
		name: nameMemory, value: Size(available) + " " + value, because: why, allows: max((available-fixed)/each, 0),
		note: fmt.Sprintf("at %s each, after %s for history, outboxes and the rest", Size(each), Size(fixed)),
		raise: func(n int64) string {
			return fmt.Sprintf("%s; it takes %s", cure, Size(saturating(n, each, fixed)))
		},
	}
	return b, true
}

// reserved returns what a server may take besides its connections. The history is counted twice, for the headroom of
// Go's collector: that of many small accounts is on its heap.
func reserved(p *Plan) int64 {
	fixed := saturating(2, p.HistoryBytes, baseBytes)
	if p.Durable {
		fixed += journalBytes
	}
	return saturating(1, p.OutboxTotalBytes, fixed)
}

// saturating returns a*b+c, or the highest number.
func saturating(a, b, c int64) int64 {
	if b > 0 && a > (math.MaxInt64-c)/b {
		return math.MaxInt64
	}
	return a*b + c
}

func (b *bound) line(binding *bound, wanted int64) Line {
	l := Line{Section: sectionBounds, Name: b.name, Value: b.value, Allows: &b.allows, Verdict: OK, Note: b.note}
	more := min(max(2*b.allows, ConnectionsAuto), math.MaxInt32)
	switch {
	case b.allows < wanted:
		l.Verdict, l.Note = Fail, b.raise(wanted)
	case b.name != binding.name:
	case b.allows == 0:
		l.Verdict, l.Note = Fail, "binds. "+b.raise(more)
	case !b.chosen && wanted == 0:
		l.Verdict, l.Note = Warn, "binds. "+b.raise(more)
	case b.note == "":
		l.Note = "binds"
	default:
		l.Note = "binds; " + b.note
	}
	return l
}

// nextOf says what binds when what binds now does not any more. The server's own limits are raised together.
func nextOf(bounds []bound, binding *bound) string {
	var next *bound
	for i := range bounds {
		b := &bounds[i]
		if b.name != binding.name && (!binding.own || !b.own) && (next == nil || b.allows < next.allows) {
			next = b
		}
	}
	switch {
	case next == nil || next.allows <= binding.allows:
		return ""
	case binding.own:
		return fmt.Sprintf("With LimitNOFILE=%d and connections_max: %d, %s binds next.",
			next.allows+FilesReserved, next.allows, next.name)
	default:
		return fmt.Sprintf("Without that, %s binds next, at %s.", next.name, Count(next.allows))
	}
}

// stalled is about clients that do not read.
func stalled(rep *Report, p *Plan, r *Readings, n int64) {
	if r.TCPPressurePages != Unknown && p.SendBufferBytes > 0 {
		each := 2 * p.SendBufferBytes // the kernel doubles it
		bytes := saturating(r.TCPPressurePages, r.PageBytes, 0)
		readers := bytes / each
		l := Line{Section: sectionStall, Name: "tcp_mem, pressure", Value: Size(bytes), Allows: &readers, Verdict: OK,
			Note: fmt.Sprintf("stalled at %s each", Size(each))}
		if readers < n {
			l.Verdict = Warn
			l.Note += fmt.Sprintf("; fewer than the connections: sysctl -w net.ipv4.tcp_mem=\"%d %d %d\"",
				pagesFor(n, each, r.PageBytes)*3/4, pagesFor(n, each, r.PageBytes), pagesFor(n, each, r.PageBytes)*3/2)
		}
		rep.add(l)
	}
	full := p.OutboxTotalBytes / max(p.OutboxBytes, 1)
	rep.add(Line{Section: sectionStall, Name: "outbox_total_bytes_max", Value: Size(p.OutboxTotalBytes), Allows: &full,
		Verdict: OK, Note: "full outboxes, then the longest-stalled are cut"})
	if r.TCPWriteBytes != Unknown && r.TCPReadBytes != Unknown {
		rep.add(Line{Section: sectionStall, Name: "tcp_wmem, tcp_rmem", Verdict: OK, Detail: true,
			Value: Size(r.TCPWriteBytes) + ", " + Size(r.TCPReadBytes),
			Note:  "the most of a socket; socket_send_buffer_bytes takes the place of the first"})
	}
}

func pagesFor(n, each, page int64) int64 { return (saturating(n, each, 0) + page - 1) / page }

// backlogLeast is how many connections should be able to wait for being accepted, when everybody comes back.
const backlogLeast = 4096

// comingBack is about everybody at once, after a restart.
func comingBack(rep *Report, p *Plan, r *Readings, n int64) {
	rate := func(name string, perSecond int) {
		took := time.Duration(float64(n) / float64(perSecond) * float64(time.Second)).Round(100 * time.Millisecond)
		rep.add(Line{Section: sectionReturn, Name: name, Value: Count(int64(perSecond)) + "/s", Verdict: OK,
			Note: fmt.Sprintf("%v until %s are in", max(took, 100*time.Millisecond), Count(n))})
	}
	if p.ConnectionsPerSecond > 0 {
		rate("connections_per_second_max", p.ConnectionsPerSecond)
	}
	if p.TLS && p.HandshakesPerSecond > 0 {
		rate("tls.handshakes_per_second_max", p.HandshakesPerSecond)
	}
	backlog := func(name, key string, value int64) {
		if value == Unknown {
			return
		}
		l := Line{Section: sectionReturn, Name: name, Value: Count(value), Verdict: OK}
		if want := min(backlogLeast, max(n, 1)); value < want {
			l.Verdict = Warn
			l.Note = fmt.Sprintf("below %s: sysctl -w %s=%d", Count(want), key, backlogLeast)
		}
		rep.add(l)
	}
	backlog("somaxconn", "net.core.somaxconn", r.Somaxconn)
	backlog("tcp_max_syn_backlog", "net.ipv4.tcp_max_syn_backlog", r.SynBacklog)
	if r.Syncookies == 0 {
		rep.add(Line{Section: sectionReturn, Name: "tcp_syncookies", Value: "off", Verdict: Warn,
			Note: "a flood of SYNs keeps everybody out: sysctl -w net.ipv4.tcp_syncookies=1"})
	}
	detail := func(name string, value int64, note string) {
		if value != Unknown {
			rep.add(Line{Section: sectionReturn, Name: name, Value: Count(value), Verdict: OK, Note: note,
				Detail: true})
		}
	}
	detail("netdev_max_backlog", r.NetBacklog, "packets that wait for a processor")
	if r.PortLow != Unknown && r.PortHigh != Unknown {
		detail("ip_local_port_range", r.PortHigh-r.PortLow+1,
			"connections that one address of a client's machine opens to this port")
	}
}
