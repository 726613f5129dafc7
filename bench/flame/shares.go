package flame

import (
	"fmt"
	"strings"
	"time"

	"github.com/google/pprof/profile"
)

// Category is what CPU time was spent on.
type Category string

// The categories. Each sample belongs to one of them: to the first category above the line
// that any function of its stack belongs to, otherwise to the category of the innermost
// function that belongs to one.
const (
	Storage   Category = "storage"   // writing and syncing events, and everything the journal does
	GC        Category = "GC"        // marking, sweeping and assists, but not allocating
	Write     Category = "write"     // to sockets
	Read      Category = "read"      // from sockets
	Futex     Category = "futex"     // putting threads to sleep and waking them
	Poll      Category = "epoll"     // waiting for sockets, and Go's netpoll
	Scheduler Category = "scheduler" // putting goroutines to sleep, waking and choosing them
	// --- the line
	Channels Category = "channels" // passing values by channel, outside the scheduler, and locks
	Codec    Category = "codec"    // bytes to messages and back
	Business Category = "business" // deciding and booking
	Server   Category = "server"   // the server's other code: sessions, queues
	Gnet     Category = "gnet"
	Ants     Category = "ants"
	Zinx     Category = "zinx"
	Net      Category = "net" // Go's network code around the system calls
	Other    Category = "other"
)

// Categories returns all categories, in the order of the picture.
func Categories() []Category {
	return []Category{Write, Read, Poll, Futex, Scheduler, Channels, GC, Storage, Codec, Business, Server, Gnet,
		Ants, Zinx, Net, Other}
}

// Share is the part of a profile's CPU time that a category took.
type Share struct {
	Category Category
	CPU      time.Duration
	Part     float64 // fraction, 0 to 1
}

// Shares returns the shares of all categories, in the order of Categories. The parts add up
// to 1.
func Shares(data []byte) ([]Share, error) {
	p, err := parse(data, "")
	if err != nil {
		return nil, err
	}
	at := cpuIndex(p)
	sums := make(map[Category]int64)
	total := int64(0)
	for _, s := range p.Sample {
		sums[categoryOf(stackOf(s))] += s.Value[at]
		total += s.Value[at]
	}
	if total <= 0 {
		return nil, fmt.Errorf("a profile of %d ns of CPU time: nothing was sampled", total)
	}
	shares := make([]Share, 0, len(Categories()))
	for _, c := range Categories() {
		shares = append(shares, Share{c, time.Duration(sums[c]), float64(sums[c]) / float64(total)})
	}
	return shares, nil
}

// stackOf returns the functions of a sample, innermost first, including inlined ones.
func stackOf(s *profile.Sample) []string {
	stack := make([]string, 0, len(s.Location))
	for _, l := range s.Location {
		for _, line := range l.Line {
			if line.Function != nil {
				stack = append(stack, line.Function.Name)
			}
		}
	}
	return stack
}

// rule lists the functions of a category. A name that ends in a star is a prefix.
type rule struct {
	category Category
	names    []string
}

// anywhere returns the rules above the line, in order.
func anywhere() []rule {
	return []rule{
		{Storage, []string{"github.com/papertape/papertape/engine/journal.*", "github.com/cockroachdb/pebble*",
			"github.com/papertape/papertape/bench/venue.(*storage).*",
			"os.(*File).*", "syscall.Fsync", "syscall.fsync", "syscall.fdatasync", "golang.org/x/sys/unix.Fdatasync",
			"golang.org/x/sys/unix.Fsync"}},
		{GC, []string{"runtime.gc*", "runtime.bgsweep", "runtime.bgscavenge", "runtime.(*gc*", "runtime.sweepone",
			"runtime.markroot*", "runtime.scanobject"}},
		{Write, []string{"syscall.write", "syscall.Write", "syscall.writev", "syscall.Sendto", "syscall.sendto",
			"golang.org/x/sys/unix.Write", "golang.org/x/sys/unix.Writev",
			"golang.org/x/sys/unix.write", "golang.org/x/sys/unix.writev"}},
		{Read, []string{"syscall.read", "syscall.Read", "syscall.recvfrom", "golang.org/x/sys/unix.Read",
			"golang.org/x/sys/unix.read", "golang.org/x/sys/unix.Readv"}},
		{Futex, []string{"runtime.futex*"}},
		{Poll, []string{"runtime.netpoll*", "internal/runtime/syscall.Epoll*",
			"internal/runtime/syscall/linux.Epoll*", "golang.org/x/sys/unix.Epoll*", "syscall.Epoll*",
			"syscall.EpollWait", "github.com/panjf2000/gnet/v2/pkg/netpoll.epoll*"}},
		{Scheduler, []string{"runtime.schedule", "runtime.findRunnable", "runtime.mcall", "runtime.park_m",
			"runtime.goready*", "runtime.ready", "runtime.wakep",
			"runtime.gopark", "runtime.goschedImpl", "runtime.gosched_m", "runtime.goexit0", "runtime.newproc*",
			"runtime.startm", "runtime.stopm", "runtime.sysmon",
			"runtime.mstart*", "runtime.retake", "runtime.resetspinning", "runtime.execute", "runtime.gogo",
			"runtime.preemptPark", "runtime.morestack*", "runtime.newstack"}},
	}
}

// innermost returns the rules below the line.
func innermost() []rule {
	return []rule{
		{Channels, []string{"runtime.chan*", "runtime.selectgo", "runtime.selectnb*", "runtime.send",
			"runtime.recv", "runtime.sellock", "runtime.selunlock",
			"sync.(*Mutex)*", "sync.(*RWMutex)*", "sync.(*Cond)*", "sync.runtime_*", "internal/sync.*",
			"runtime.sem*", "runtime.lock*", "runtime.unlock*"}},
		{Codec, []string{"github.com/papertape/papertape/codec.*", "github.com/papertape/papertape/api/*",
			"google.golang.org/protobuf/*"}},
		{Business, []string{"github.com/papertape/papertape/positions.*", "github.com/papertape/papertape/market.*",
			"github.com/papertape/papertape/engine.*",
			"github.com/papertape/papertape/engine/simulator.*", "github.com/papertape/papertape/bench/venue.*"}},
		{Server, []string{"github.com/papertape/papertape/engine/gateway.*",
			"github.com/papertape/papertape/bench/*", "github.com/papertape/papertape/cmd/*",
			"github.com/papertape/papertape/console*"}},
		{Gnet, []string{"github.com/panjf2000/gnet/*"}},
		{Ants, []string{"github.com/panjf2000/ants/*"}},
		{Zinx, []string{"github.com/aceld/zinx/*"}},
		{Net, []string{"net.*", "internal/poll.*", "syscall.*", "golang.org/x/sys/unix.*"}},
	}
}

// categoryOf returns the category of a stack, whose innermost function is first.
func categoryOf(stack []string) Category {
	for _, r := range anywhere() {
		for _, name := range stack {
			if r.has(name) {
				return r.category
			}
		}
	}
	for _, name := range stack {
		if c, ok := first(innermost(), name); ok {
			return c
		}
	}
	return Other
}

// calleeCategory returns the category of a function called by one of category caller. It is the
// same, unless the function itself belongs to a category that comes first.
func calleeCategory(caller Category, name string) Category {
	for _, r := range anywhere() {
		if r.has(name) || r.category == caller {
			return r.category
		}
	}
	if c, ok := first(innermost(), name); ok {
		return c
	}
	return caller
}

func first(rules []rule, name string) (Category, bool) {
	for _, r := range rules {
		if r.has(name) {
			return r.category, true
		}
	}
	return Other, false
}

func (r *rule) has(name string) bool {
	for _, n := range r.names {
		if begin, ok := strings.CutSuffix(n, "*"); ok && strings.HasPrefix(name, begin) || n == name {
			return true
		}
	}
	return false
}
