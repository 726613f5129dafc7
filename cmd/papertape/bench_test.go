package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/cmd/papertape/config"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/console"
)

// The benchmarks in this file measure the whole server from outside: the real binary in its own
// process, over loopback, driven by one thread with epoll. Besides the rate they report the CPU
// time of the server process (user and system) per order, which is more robust on a noisy machine,
// and its resident memory.
//
//	go test -run '^$' -bench Server -benchtime 500000x -count 5 ./cmd/papertape

// BenchmarkServerOrders measures the order path with different numbers of connections and of
// outstanding orders on each, in each durability mode. With a durable mode it also reports how long
// a sync of the same disk takes during the run, and which share of the server's CPU, according to
// its profile, is spent in the journal and the functions that it calls.
func BenchmarkServerOrders(b *testing.B) {
	for _, durability := range []string{config.DurabilityNone, config.DurabilityInterval, config.DurabilitySync} {
		for _, bc := range []struct{ conns, outstanding int }{{100, 1}, {1000, 1}, {100, 32}} {
			b.Run(fmt.Sprintf("durability=%s/conns=%d/outstanding=%d", durability, bc.conns, bc.outstanding),
				func(b *testing.B) {
					benchmarkOrders(b, durability, bc.conns, bc.outstanding)
				})
		}
	}
}

func benchmarkOrders(b *testing.B, durability string, conns, outstanding int) {
	profile := filepath.Join(b.TempDir(), "cpu")
	p := startProcess(b, "--accounts", "1000", "--connections-prelogin-max", "20000", "--durability", durability,
		"--cpuprofile", profile)
	load := newLoad(b, p.listen, conns, 1000)
	load.run(b, outstanding, min(b.N, 20*conns*outstanding)) // warm up
	mallocs, commits := p.mallocs(b), p.commits(b)
	before, start := p.cpu(b), time.Now()
	b.ResetTimer()
	load.run(b, outstanding, b.N)
	b.StopTimer()
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "orders/s")
	b.ReportMetric(float64((p.cpu(b)-before).Nanoseconds())/1e3/float64(b.N), "server-µs/order")
	b.ReportMetric(float64(p.mallocs(b)-mallocs)/float64(b.N), "server-allocs/order")
	b.ReportMetric(0, "ns/op")
	if durability == config.DurabilityNone {
		return
	}
	b.ReportMetric(float64(b.N)/float64(max(p.commits(b)-commits, 1)), "orders/commit")
	p50, p99 := syncLatency(b)
	b.ReportMetric(float64(p50.Microseconds())/1e3, "sync-p50-ms")
	b.ReportMetric(float64(p99.Microseconds())/1e3, "sync-p99-ms")
	load.close()
	p.stop()
	b.ReportMetric(journalShare(b, profile), "journal-%CPU")
}

// syncLatency repeatedly appends 4 KiB and syncs, on the disk with the servers' data.
func syncLatency(b *testing.B) (p50, p99 time.Duration) {
	f, err := os.Create(filepath.Join(b.TempDir(), "sync"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // the file is not needed any more
	took := make([]time.Duration, 1000)
	for i := range took {
		start := time.Now()
		_, err := f.Write(make([]byte, 4<<10))
		if err = errors.Join(err, f.Sync()); err != nil {
			b.Fatal(err)
		}
		took[i] = time.Since(start)
	}
	slices.Sort(took)
	return took[len(took)/2], took[len(took)*99/100]
}

// journalShare returns the percentage of a profile's samples that have a function of the journal or
// of Pebble on the stack.
func journalShare(b *testing.B, profile string) float64 {
	out, err := exec.Command("go", "tool", "pprof", "-top", "-nodefraction=0", "-nodecount=1000000",
		"-focus=papertape/engine/journal|cockroachdb/pebble", profile).CombinedOutput()
	if err != nil {
		b.Fatalf("pprof: %v\n%s", err, out)
	}
	share := regexp.MustCompile(`Showing nodes accounting for \S+, ([0-9.]+)% of`).FindSubmatch(out)
	if share == nil {
		b.Fatalf("pprof does not say how much it is:\n%s", out)
	}
	percent, err := strconv.ParseFloat(string(share[1]), 64)
	if err != nil {
		b.Fatal(err)
	}
	return percent
}

// BenchmarkServerIdle measures the resident memory of idle logged-in connections, once, whatever
// b.N is.
func BenchmarkServerIdle(b *testing.B) {
	const conns = 9_500 // this process needs as many files
	p := startProcess(b, "--connections-prelogin-max", "20000", "--sessions-per-account-max", "1000", "--durability",
		"none")
	newLoad(b, p.listen, 100, 100).close()
	time.Sleep(100 * time.Millisecond)
	before := p.rss(b)
	newLoad(b, p.listen, conns, 100)
	time.Sleep(500 * time.Millisecond)
	b.ReportMetric(float64(p.rss(b)-before)/conns, "RSS-bytes/conn")
	b.ReportMetric(0, "ns/op")
}

// startedServer is a server in its own process.
type startedServer struct {
	cmd           *exec.Cmd
	listen, admin string
}

// startProcess builds the server once and starts it. It ends with the benchmark.
func startProcess(tb testing.TB, flags ...string) *startedServer {
	tb.Helper()
	bin := filepath.Join(os.TempDir(), fmt.Sprintf("papertape-bench-%d", os.Getpid()))
	if _, err := os.Stat(bin); err != nil {
		if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
			tb.Fatalf("build: %v\n%s", err, out)
		}
	}
	p := &startedServer{cmd: exec.Command(bin, append([]string{"serve", "--listen", "127.0.0.1:0", "--admin",
		"127.0.0.1:0",
		"--log.format", "json", "--simulator.rate", "0", "--prices", "fixed"}, flags...)...)}
	p.cmd.Dir = tb.TempDir()
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(p.stop)
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		var line struct{ Message, Listen, Admin string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Message == "listening" {
			p.listen, p.admin = line.Listen, line.Admin
			go func() { // ends with the process
				for lines.Scan() {
				}
			}()
			return p
		}
	}
	tb.Fatal("the server did not say where it listens")
	return nil
}

// stop stops the process cleanly. It may be called twice.
func (p *startedServer) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	_ = p.cmd.Wait()
}

// commits returns how many commits the journal has made, or 0 without a journal.
func (p *startedServer) commits(tb testing.TB) uint64 {
	all, err := console.NewClient(p.admin, "").Counters(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	for _, c := range all.Counters {
		if c.Name == "journal_commits" {
			return c.Value
		}
	}
	return 0
}

// cpu returns the CPU time that the process has used, user and system.
func (p *startedServer) cpu(tb testing.TB) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		tb.Fatal(err)
	}
	f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+2:]))
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100
}

// rss returns the resident memory in bytes.
func (p *startedServer) rss(tb testing.TB) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		tb.Fatal(err)
	}
	for _, line := range strings.Split(string(status), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kb << 10
		}
	}
	tb.Fatal("no VmRSS")
	return 0
}

// mallocs returns how many objects the process has allocated.
func (p *startedServer) mallocs(tb testing.TB) int64 {
	resp, err := http.Get("http://" + p.admin + "/debug/pprof/heap?debug=1")
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // the body was read
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "# Mallocs = ")
	n, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// load is a set of connections driven by one thread.
type load struct {
	epoll int
	conns []loadConn
	buf   []byte
	order []byte // an encoded frame, into which the ID is patched
}

type loadConn struct {
	fd      int
	id      uint64
	pending []byte // an incomplete frame
	sell    bool
}

// newLoad connects and logs in. Connection i belongs to account i mod accounts.
func newLoad(tb testing.TB, addr string, conns, accounts int) *load {
	tb.Helper()
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	l := &load{conns: make([]loadConn, conns), buf: make([]byte, 256<<10)}
	l.epoll, err = unix.EpollCreate1(0)
	if err != nil {
		tb.Fatal(err)
	}
	to := &unix.SockaddrInet4{Port: tcp.Port, Addr: [4]byte{127, 0, 0, 1}}
	for i := range l.conns {
		c := &l.conns[i]
		if c.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0); err != nil {
			tb.Fatal(err)
		}
		if err := unix.Connect(c.fd, to); err != nil {
			tb.Fatal(err)
		}
		_ = unix.SetsockoptInt(c.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		login := codec.Append(nil, codec.TypeLogin, 0, 1, &papertapev1.Login{
			Account: uint64(100001 + i%accounts), Mode: papertapev1.ResumeMode_RESUME_MODE_QUICK})
		if _, err := unix.Write(c.fd, login); err != nil {
			tb.Fatal(err)
		}
	}
	for i := range l.conns {
		l.awaitLogin(tb, &l.conns[i])
		_ = unix.SetNonblock(l.conns[i].fd, true)
		if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, l.conns[i].fd,
			&unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}); err != nil {
			tb.Fatal(err)
		}
	}
	tb.Cleanup(l.close)
	return l
}

// awaitLogin reads up to the response to the login.
func (l *load) awaitLogin(tb testing.TB, c *loadConn) {
	for {
		f, n, err := codec.Cut(c.pending, codec.LimitToClient)
		if err != nil {
			tb.Fatal(err)
		}
		if n > 0 {
			c.pending = c.pending[n:]
			switch f.Type {
			case codec.TypeWelcome:
				continue
			case codec.TypeLoginReply:
				return
			}
			tb.Fatalf("%v instead of a login reply", f.Type)
		}
		n, err = unix.Read(c.fd, l.buf)
		if err != nil || n == 0 {
			tb.Fatalf("login: read %d bytes, %v", n, err)
		}
		c.pending = append(c.pending, l.buf[:n]...)
	}
}

func (l *load) close() {
	if l.conns == nil {
		return // closed already; another file may have its number now
	}
	for i := range l.conns {
		_ = unix.Close(l.conns[i].fd)
	}
	_ = unix.Close(l.epoll)
	l.conns = nil
}

// run sends n orders in all, alternately buying and selling 100 shares, with up to outstanding
// unanswered orders per connection. Every answer must be an execution.
func (l *load) run(tb testing.TB, outstanding, n int) {
	sent, answered := 0, 0
	send := func(c *loadConn, k int) {
		k = min(k, n-sent)
		if k == 0 {
			return
		}
		out := l.order[:0]
		for range k {
			side := papertapev1.Side_SIDE_BUY
			if c.sell {
				side = papertapev1.Side_SIDE_SELL
			}
			c.sell = !c.sell
			c.id++
			out = codec.Append(out, codec.TypeOrder, 0, c.id+1,
				&papertapev1.Order{Side: side, Market: "SZ", Code: "000001", Quantity: 100})
		}
		l.order = out
		if m, err := unix.Write(c.fd, out); err != nil || m != len(out) {
			tb.Fatalf("write: %d of %d bytes, %v", m, len(out), err)
		}
		sent += k
	}
	for i := range l.conns {
		send(&l.conns[i], outstanding)
	}
	events := make([]unix.EpollEvent, 512)
	for answered < n {
		ready, err := unix.EpollWait(l.epoll, events, 10_000)
		if err == unix.EINTR {
			continue
		}
		if err != nil || ready == 0 {
			tb.Fatalf("no answer in ten seconds (%d of %d): %v", answered, n, err)
		}
		for _, e := range events[:ready] {
			c := &l.conns[e.Fd]
			k := l.read(tb, c)
			answered += k
			send(c, k)
		}
	}
}

// read reads the available data and returns the number of executions in it.
func (l *load) read(tb testing.TB, c *loadConn) (executions int) {
	have := copy(l.buf, c.pending)
	n, err := unix.Read(c.fd, l.buf[have:])
	if err != nil || n == 0 {
		tb.Fatalf("read: %d bytes, %v", n, err)
	}
	in := l.buf[:have+n]
	for {
		f, n, err := codec.Cut(in, codec.LimitToClient)
		if err != nil {
			tb.Fatal(err)
		}
		if n == 0 {
			break
		}
		in = in[n:]
		switch f.Type {
		case codec.TypeExecution:
			executions++
		case codec.TypeEvent, codec.TypePing:
		default:
			tb.Fatalf("%v in answer to an order", f.Type)
		}
	}
	c.pending = append(c.pending[:0], in...)
	return executions
}
