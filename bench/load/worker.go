package load

import (
	"crypto/tls"
	"math/rand/v2"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/papertape/papertape/codec"
)

const (
	patienceMost = 10 * time.Millisecond // also bounds how long a command waits
	readBytes    = 256 << 10
	eventsMost   = 512
	burstMost    = 256 // most due requests sent before reading again
	sweep        = time.Second
)

// worker is one thread with its connections.
type worker struct {
	// Set before run.
	plan     *Plan
	to       unix.SockaddrInet4 // a copy of its own, as connecting writes to it
	frames   [kinds][]byte
	epoll    int
	first    int // number of the first connection
	commands chan func(*worker)
	base     time.Time       // now counts from here
	report   func(err error) // called once: all connections are logged in, or that failed
	gone     chan struct{}   // closed when run has returned

	// Owned by run.
	conns     []conn
	tally     *tally
	rng       *rand.Rand
	now       int64 // nanoseconds since base
	lag       lagClock
	heartbeat int64 // nanoseconds, as the server requires
	in, out   []byte

	tls             *tls.Config // nil: none
	raw, ciphertext []byte      // scratch, of TLS

	dialed, onTheWay, alive          int
	opened, started, failed, stopped bool

	timers   timers // Think: when each connection sends next
	due      float64
	interval float64 // OpenLoop: when the next request is due, and the time between two
	turn     int     // OpenLoop: the next connection to send
	swept    int64   // when heartbeats were last checked
}

func (w *worker) run() {
	runtime.LockOSThread()                             // for the times of the thread
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // nanoseconds; otherwise timers are up to 50 µs late
	defer close(w.gone)
	defer w.closeAll()
	events := make([]unix.EpollEvent, eventsMost)
	w.tally.begin()
	for !w.stopped {
		select {
		case command := <-w.commands:
			command(w)
			continue
		default:
		}
		w.clock()
		w.dialSome()
		w.sendDue()
		n, err := poll(w.epoll, events, w.patience())
		if err != nil {
			w.fail(err)
		}
		w.clock()
		for _, e := range events[:n] {
			w.serve(&w.conns[e.Fd], e.Events)
		}
		if w.now-w.swept > int64(sweep) {
			w.ping()
		}
	}
}

// clock reads the time, once for everything from one poll.
func (w *worker) clock() {
	at := time.Now()
	w.now = int64(at.Sub(w.base))
	w.lag.reading(w.now, at.UnixNano())
}

// serve handles the events that a poll returned for a connection.
func (w *worker) serve(c *conn, events uint32) {
	if c.state == connecting {
		w.connected(c)
		return
	}
	if events&unix.EPOLLOUT != 0 {
		w.flush(c)
	}
	if c.state == away || events&^unix.EPOLLOUT == 0 {
		return
	}
	if c.stalled && w.started && c.state == live {
		w.ended(c, nil) // it waits only for the end of the connection
		return
	}
	answers := w.receive(c)
	if answers == 0 || !w.started || c.state != live {
		return
	}
	switch w.plan.Mode {
	case ClosedLoop:
		w.askAgain(c, answers)
	case Think:
		w.think(c)
	case OpenLoop, Receive:
	}
}

// watch tells epoll what the connection waits for.
func (w *worker) watch(c *conn) {
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(c.number - w.first)}
	if c.stalled && w.started && c.state == live {
		ev.Events = unix.EPOLLRDHUP
	}
	if len(c.unsent) > 0 {
		ev.Events |= unix.EPOLLOUT
	}
	if c.state == away {
		return
	}
	if err := unix.EpollCtl(w.epoll, unix.EPOLL_CTL_MOD, int(c.fd), &ev); err != nil {
		w.fail(err)
	}
}

// start starts the traffic.
func (w *worker) start() {
	w.started = true
	w.clock()
	w.due = float64(w.now)
	for i := range w.conns {
		if c := &w.conns[i]; c.state == live {
			w.begin(c)
		}
	}
}

// begin starts the traffic of one connection.
func (w *worker) begin(c *conn) {
	if w.plan.Quotes {
		w.subscribe(c)
	}
	switch {
	case c.stalled:
		w.watch(c)
	case w.plan.Mode == ClosedLoop:
		w.askAgain(c, w.plan.Outstanding)
	// The first pause is drawn from 0, so that connections do not all start together.
	case w.plan.Mode == Think:
		w.timers.add(w.now+int64(w.rng.Float64()*float64(w.plan.ThinkHigh)), int32(c.number-w.first))
	}
}

// askAgain sends n requests in one write.
func (w *worker) askAgain(c *conn, n int) {
	w.out = w.out[:0]
	for range n {
		w.out = w.ask(w.out, c, w.nextKind(c), w.now)
	}
	w.send(c, w.out)
}

// think makes the connection pause before its next request.
func (w *worker) think(c *conn) {
	pause := w.plan.ThinkLow + time.Duration(w.rng.Float64()*float64(w.plan.ThinkHigh-w.plan.ThinkLow))
	w.timers.add(w.now+int64(pause), int32(c.number-w.first))
}

// sendDue sends the requests that are due.
func (w *worker) sendDue() {
	if !w.started {
		return
	}
	switch w.plan.Mode {
	case Think:
		for len(w.timers) > 0 && w.timers[0].at <= w.now {
			t := w.timers.pop()
			c := &w.conns[t.conn]
			if c.state != live {
				continue
			}
			record(w.tally.lag, w.now-t.at)
			w.askAgain(c, 1)
		}
	case OpenLoop:
		for range burstMost {
			if w.due > float64(w.now) || !w.sendNext() {
				return
			}
		}
	case ClosedLoop, Receive:
	}
}

// sendNext sends the due request on the connection whose turn it is. It returns false if no
// connection is left.
func (w *worker) sendNext() bool {
	at := int64(w.due)
	w.due += w.interval
	for range w.conns {
		c := &w.conns[w.turn]
		if w.turn++; w.turn == len(w.conns) {
			w.turn = 0
		}
		if c.state != live || c.stalled {
			continue
		}
		record(w.tally.lag, w.now-at)
		w.out = w.ask(w.out[:0], c, w.nextKind(c), at)
		w.send(c, w.out)
		return true
	}
	return false
}

// patience returns how long the worker may wait until it has something to do by itself.
func (w *worker) patience() time.Duration {
	at := w.now + int64(patienceMost)
	switch {
	case w.dialed < len(w.conns) && w.onTheWay < loginsMost:
		return 0
	case !w.started:
	case w.plan.Mode == Think && len(w.timers) > 0:
		at = min(at, w.timers[0].at)
	case w.plan.Mode == OpenLoop:
		at = min(at, int64(w.due))
	}
	return time.Duration(max(0, at-w.now))
}

// ping sends heartbeats on connections that have been silent for too long.
func (w *worker) ping() {
	w.swept = w.now
	if w.heartbeat == 0 {
		return
	}
	for i := range w.conns {
		c := &w.conns[i]
		if c.state != live || c.stalled && w.started || w.now-c.sentAt < w.heartbeat {
			continue
		}
		c.lastID++
		w.send(c, codec.AppendPing(w.out[:0], c.lastID, 0))
	}
}

// fail ends the run. It is an error in Open, and later a finding.
func (w *worker) fail(err error) {
	if !w.opened && !w.failed {
		w.failed = true
		w.report(err)
	}
	w.tally.addFinding("the generator cannot go on: %v", err)
	w.stopped = true
}

func (w *worker) closeAll() {
	for i := range w.conns {
		if c := &w.conns[i]; c.state != away {
			_ = unix.Close(int(c.fd))
		}
	}
	_ = unix.Close(w.epoll)
}
