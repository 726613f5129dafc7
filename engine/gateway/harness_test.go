package gateway

import (
	"context"
	"net"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/engine/simulator"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// patience is how long a test waits for something that must happen.
const patience = 2 * time.Minute

// server is a gateway with an engine behind it, on a free port, for one test.
type server struct {
	gw     *Gateway
	engine *engine.Engine
	addr   string
	cancel context.CancelFunc // begins the shutdown
	stop   func() error       // once; called at the end of the test if the test did not

	mu    sync.Mutex
	conns []net.Conn // that tests dialled
}

// start serves until the test ends. change may alter the configurations. At the end all connections of the test are
// closed, and nothing may be left of them: no count, no byte, no session in a list.
func start(t testing.TB, change func(*Config, *engine.Config)) *server {
	t.Helper()
	s := newServer(t, change)
	s.serve(t)
	return s
}

// serve is the second half of start, for tests that do something to the gateway first.
func (s *server) serve(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() { ended <- s.gw.Serve(ctx, s.engine, func(addr string) { ready <- addr }) }()
	select {
	case s.addr = <-ready:
	case err := <-ended:
		cancel()
		s.engine.Stop()
		t.Fatal(err)
	}
	stopped := false
	s.stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		err := <-ended
		s.engine.Stop()
		return err
	}
	t.Cleanup(func() {
		s.closeAll()
		if !stopped {
			s.nothingLeft(t)
		}
		if err := s.stop(); err != nil {
			t.Errorf("Serve: %v", err)
		}
		if n := s.gw.outboxBytes.Load(); n != 0 {
			t.Errorf("%d bytes are counted in outboxes after the end, want 0", n)
		}
	})
}

// newServer returns a gateway and its engine, with a hundred accounts, not serving yet.
func newServer(t testing.TB, change func(*Config, *engine.Config)) *server {
	t.Helper()
	universe := market.Default()
	feed := market.Fixed(universe)
	log := zerolog.Nop()
	gc := Config{
		Listen: "127.0.0.1:0", EventLoops: 2, Server: "test",
		Limits: Limits{ConnectionsMax: 1000, ConnectionsPreloginMax: 1000}, RequestsInFlightMax: 256,
		OutboxBytesMax: 256 << 10, OutboxTotalBytesMax: 1 << 30, SocketSendBufferBytes: 64 << 10,
		// A busy machine must not end what a test does not want to end.
		Heartbeat: time.Hour, LoginTimeout: 5 * time.Second,
		StallTimeout: time.Hour, ShutdownTimeout: 5 * time.Second,
		Universe: universe, Prices: feed.Snapshot, Log: log,
	}
	ec := engine.Config{
		Shards: 2, Workers: 4, InboxOrdersMax: 8192, HistoryReadsMax: 64,
		HistoryMemoryBytesMax: 1 << 30, SessionsPerAccountMax: 64,
		Universe: universe, Prices: feed.Snapshot, Clock: func() int64 { return time.Now().UnixNano() },
		Journal: engine.NewMemoryJournal(), Log: log, Fatal: func(err error) { t.Error(err); runtime.Goexit() },
	}
	if change != nil {
		change(&gc, &ec)
	}
	s := &server{gw: New(gc)}
	ec.Outlet = s.gw
	var err error
	if s.engine, err = engine.New(ec); err != nil {
		t.Fatal(err)
	}
	accounts := simulator.Accounts{Count: 300, Seed: 1, Universe: ec.Universe}
	if err := accounts.Open(context.Background(), s.engine); err != nil {
		t.Fatal(err)
	}
	return s
}

// Accounts of tests: they begin with cash and nothing else, so their first event is their last. The first two are of
// the two shards that servers of tests have by default; so are account and account+1 always.
const (
	alice = simulator.FirstAccount + 99  // 100100
	bob   = simulator.FirstAccount + 199 // 100200
	carol = simulator.FirstAccount + 299 // 100300
)

// dial opens a bare connection.
func (s *server) dial(t testing.TB) *net.TCPConn {
	t.Helper()
	return s.dialWith(t, &net.Dialer{})
}

func (s *server) dialWith(t testing.TB, d *net.Dialer) *net.TCPConn {
	t.Helper()
	d.Timeout = patience
	c, err := d.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.conns = append(s.conns, c)
	s.mu.Unlock()
	return c.(*net.TCPConn)
}

// smallBuffers dials connections with a small receive buffer.
func smallBuffers() *net.Dialer {
	return &net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if outer := c.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4096)
		}); outer != nil {
			return outer
		}
		return err
	}}
}

// closeAll closes every connection that was dialled.
func (s *server) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		_ = c.Close()
	}
	s.conns = nil
}

// nothingLeft checks that closed connections have left nothing behind.
func (s *server) nothingLeft(t testing.TB) {
	t.Helper()
	g := s.gw
	addresses := func() int {
		g.admissionMu.Lock()
		defer g.admissionMu.Unlock()
		return len(g.perIP)
	}
	eventually(t, "all connections are forgotten", func() bool {
		return g.open.Load() == 0 && g.prelogin.Load() == 0 && g.refused.Load() == 0 && g.holds() == 0 &&
			g.stuck.Load() == 0 && addresses() == 0
	}, func() {
		t.Logf("open %d, prelogin %d, refused %d, outbox bytes %d, of half frames %d, stuck %d, addresses %d",
			g.open.Load(), g.prelogin.Load(), g.refused.Load(), g.outboxBytes.Load(), g.halfFrames.Load(),
			g.stuck.Load(), addresses())
	})
	s.onLoops(func(l *loop) {
		l.lookAtBacklog()
		l.retryCatchingUp()
		l.sendPieces()
		for what, n := range map[string]int{
			"sessions in its wheel": l.wheel.count, "to look at again": len(l.backlog),
			"waiting":     l.waiting,
			"catching up": len(l.retries), "subscribers of quotes": len(l.subscribers),
			"subscriptions": len(l.subscriptions), "waiting for quotes": len(l.pieces),
			"watched accounts": len(l.watchers), "requests": len(l.requests),
		} {
			if n != 0 {
				t.Errorf("loop %d holds %d %s, want none", l.index, n, what)
			}
		}
	})
}

// onLoops runs f on each loop, one at a time, on the loop's goroutine.
func (s *server) onLoops(f func(*loop)) {
	var mu sync.Mutex
	s.gw.onEachLoop(func(l *loop) {
		mu.Lock()
		defer mu.Unlock()
		f(l)
	})
}

// sessionOf returns the session of a client.
func (s *server) sessionOf(t testing.TB, p *peer) *Session {
	t.Helper()
	var found *Session
	s.onLoops(func(l *loop) {
		l.wheel.each(func(ses *Session) {
			if ses.uid == p.uid {
				found = ses
			}
		})
	})
	if found == nil {
		t.Fatalf("the server has no connection of uid %d", p.uid)
	}
	return found
}

// elapse has so much time pass for one client: its deadlines come nearer by that. Deadlines that a test waits for would
// also come where it does not want them, on a busy machine.
func (s *server) elapse(t testing.TB, p *peer, d time.Duration) {
	t.Helper()
	ses, ago := s.sessionOf(t, p), toMillis(d)
	s.onLoops(func(l *loop) {
		if l != ses.loop || ses.phase.Load() == phaseClosed {
			return
		}
		ses.opened, ses.lastRead, ses.lastWrite = ses.opened-ago, ses.lastRead-ago, ses.lastWrite-ago
		l.schedule(ses)
	})
}

// stalledSince returns since when a client has been stalled, 0 if it is not, and how many bytes wait for it.
func (s *server) stalledSince(t testing.TB, p *peer) (since millis, waiting int) {
	t.Helper()
	ses := s.sessionOf(t, p)
	s.onLoops(func(l *loop) {
		if l == ses.loop {
			ses.mu.Lock()
			since, waiting = ses.stalled, ses.waiting()
			ses.mu.Unlock()
		}
	})
	return since, waiting
}

// tick returns when every loop that has had a connection has turned its wheel once more.
func (s *server) tick(t testing.TB) {
	t.Helper()
	before := make(map[*loop]millis)
	s.onLoops(func(l *loop) { before[l] = l.wheel.at })
	eventually(t, "the wheels turn", func() bool {
		turned := true
		s.onLoops(func(l *loop) { turned = turned && l.wheel.at > before[l] })
		return turned
	})
}

// books returns the last sequence of each account. The server must have been stopped.
func (s *server) books() map[uint64]uint64 {
	seqs := make(map[uint64]uint64)
	s.engine.Books(func(h positions.Holdings) { seqs[h.Account] = h.Seq })
	return seqs
}

// eventually polls until done. If that takes too long, it calls otherwise and fails the test.
func eventually(t testing.TB, what string, done func() bool, otherwise ...func()) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			for _, f := range otherwise {
				f()
			}
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// gatedJournal is a memory journal whose commits wait while its gate is shut.
type gatedJournal struct {
	*engine.MemoryJournal
	mu      sync.Mutex
	gate    chan struct{} // closed: commits pass
	waiting int           // commits that wait
}

func newGatedJournal() *gatedJournal {
	j := &gatedJournal{MemoryJournal: engine.NewMemoryJournal(), gate: make(chan struct{})}
	close(j.gate)
	return j
}

// shut makes commits wait until the function that it returns is called.
func (j *gatedJournal) shut(t testing.TB) (open func()) {
	gate := make(chan struct{})
	j.mu.Lock()
	j.gate = gate
	j.mu.Unlock()
	open = sync.OnceFunc(func() { close(gate) })
	t.Cleanup(open) // before the server's own, which waits for the commits
	return open
}

// Commit waits for the gate.
func (j *gatedJournal) Commit([]byte, int) error {
	j.mu.Lock()
	gate := j.gate
	j.waiting++
	j.mu.Unlock()
	<-gate
	j.mu.Lock()
	j.waiting--
	j.mu.Unlock()
	return nil
}

// committing says whether a commit waits.
func (j *gatedJournal) committing() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.waiting > 0
}
