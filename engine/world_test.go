package engine

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// The accounts of the tests. Their numbers end in 00, so they open with a single event: the cash.
const (
	alice = 100100
	bob   = 100200
	carol = 100300
)

// The instruments of testUniverse, by their index in it.
const (
	ten    market.ID = iota // 10.00
	twenty                  // 20.00
	penny                   // 0.01
)

const piecesUnbounded = 1 << 30

var testUniverse = func() *market.Universe {
	u, err := market.NewUniverse([]market.Instrument{
		{Market: "SH", Code: "600001", Name: "ten", PreviousClose: 10_0000, Lot: 100, Tick: 100},
		{Market: "SH", Code: "600002", Name: "twenty", PreviousClose: 20_0000, Lot: 100, Tick: 100},
		{Market: "SZ", Code: "000001", Name: "penny", PreviousClose: 100, Lot: 100, Tick: 100},
	})
	if err != nil {
		panic(err)
	}
	return u
}()

// tester is the common part of *testing.T and *rapid.T.
type tester interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// world is an engine with a fake journal and a fake outlet.
type world struct {
	t       tester
	eng     *Engine
	journal *fakeJournal
	outlet  *fakeOutlet
	prices  atomic.Pointer[market.Prices]
	clock   atomic.Int64 // nanoseconds; advances by one each time it is read
	elapsed atomic.Int64 // of the monotonic clock
	fatals  chan error   // the errors that Fatal was called with
	ended   bool         // a call of Fatal was expected, and its shard is gone
}

// testRecordBytes is what the smallest records of these tests take. Others are a little larger, which
// matters only where there are many.
const testRecordBytes = 33

// options are the engine settings that tests change. The zero value gives one shard with room for
// everything.
type options struct {
	shards, workers, inbox, reads, sessions int
	perSecond                               int // orders per account; 0: no limit
	keeps                                   bool
	tail                                    int   // events kept per account
	ids                                     int   // order ids remembered per account
	bytes                                   int64 // for all tails of a shard; -1: none
	uncheckpointed                          int64 // of a shard, in records of testRecordBytes
	readOnly                                func() bool
	slice                                   int          // accounts per slice of a checkpoint
	journal                                 *fakeJournal // from an earlier run; the engine recovers from it
}

func newWorld(t testing.TB, o options, accounts ...uint64) *world {
	t.Helper()
	w := makeWorld(t, o, accounts...)
	t.Cleanup(w.close)
	return w
}

// makeWorld is newWorld for callers that call close themselves.
func makeWorld(t tester, o options, accounts ...uint64) *world {
	t.Helper()
	w := &world{t: t, journal: o.journal, fatals: make(chan error, 16)}
	if w.journal == nil {
		w.journal = newFakeJournal(o.keeps)
	}
	w.outlet = &fakeOutlet{journal: w.journal}
	w.prices.Store(testUniverse.Opening())
	w.clock.Store(1_700_000_000_000_000_000)
	or := func(v, otherwise int) int {
		if v == 0 {
			return otherwise
		}
		return v
	}
	shards := or(o.shards, 1)
	eng, err := New(Config{
		Shards: shards, Workers: or(o.workers, 2*shards), InboxOrdersMax: or(o.inbox, 8192),
		HistoryReadsMax: or(o.reads, 4), HistoryMemoryBytesMax: 1 << 30, SessionsPerAccountMax: or(o.sessions, 64),
		OrdersPerSecond: o.perSecond, ReadOnly: o.readOnly,
		UncheckpointedBytesMax: 1 << 30,
		Universe:               testUniverse, Prices: w.prices.Load, Clock: func() int64 { return w.clock.Add(1) },
		Elapsed: w.elapsed.Load,
		Journal: w.journal, Outlet: w.outlet,
		Fatal: func(err error) {
			w.fatals <- err
			runtime.Goexit()
		},
	})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	w.eng = eng
	for _, s := range eng.shards {
		s.memory.eventsMax = or(o.tail, tailEvents)
		s.idsMax = or(o.ids, orderIDsMax)
		if o.uncheckpointed > 0 {
			s.unstoredMax = o.uncheckpointed * testRecordBytes
		}
		switch {
		case o.bytes > 0:
			s.memory.bytesMax = o.bytes
		case o.bytes < 0:
			s.memory.bytesMax = 0
		}
	}
	if o.slice > 0 {
		eng.sliceSize.accounts, eng.releaseSize.accounts = o.slice, o.slice
	}
	if err := w.journal.recover(eng); err != nil {
		t.Fatalf("recovery: %v", err)
	}
	w.open(accounts...)
	return w
}

// open opens accounts one by one.
func (w *world) open(accounts ...uint64) {
	w.t.Helper()
	for _, number := range accounts {
		open := func(q question[struct{}]) item {
			return &openItem{question: q, numbers: []uint64{number}, opening: openingOf(1)}
		}
		if _, err := ask(context.Background(), w.eng, number, open); err != nil {
			w.t.Fatalf("open %d: %v", number, err)
		}
	}
	w.settle()
}

// close stops the engine and reports everything that the fakes found wrong.
func (w *world) close() {
	if !w.ended {
		w.settle()
	}
	w.eng.Stop()
	select {
	case err := <-w.fatals:
		w.t.Errorf("Fatal was called: %v", err)
	default:
	}
	w.journal.mu.Lock()
	defer w.journal.mu.Unlock()
	w.outlet.mu.Lock()
	defer w.outlet.mu.Unlock()
	for i, p := range w.outlet.publishers {
		if p.dirty && !w.ended {
			w.t.Errorf("shard %d said something without a Flush after it", i)
		}
	}
	for _, wrong := range append(w.journal.wrong, w.outlet.wrong...) {
		w.t.Errorf("%s", wrong)
	}
}

// fatal waits for one call of Fatal, and returns its error.
func (w *world) fatal() error {
	w.t.Helper()
	w.ended = true
	select {
	case err := <-w.fatals:
		return err
	case <-time.After(patience):
		w.t.Fatalf("Fatal was not called")
		return nil
	}
}

// patience is how long a test waits for something that must happen. It says nothing about speed.
const patience = 2 * time.Minute

// until polls until done returns true.
func (w *world) until(condition string, done func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(patience); !done(); {
		if time.Now().After(deadline) {
			w.t.Fatalf("waited in vain: %s", condition)
		}
		time.Sleep(20 * time.Microsecond)
	}
}

// settle waits until no shard has work and no reader is running.
func (w *world) settle() {
	w.t.Helper()
	w.until("all shards idle", func() bool {
		if len(w.fatals) > 0 {
			w.ended = true
			w.t.Fatalf("Fatal was called: %v", <-w.fatals)
		}
		return w.eng.idle()
	})
}

// hold arms the shard as if a drain had been submitted, so that its mailbox fills up until a drain
// is executed.
func (s *shard) hold() (held bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.armed {
		return false
	}
	s.armed = true
	s.eng.busy.Add(1)
	s.eng.drains.Add(1)
	return true
}

// disarmed reports whether no drainer is running or submitted.
func (s *shard) disarmed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.armed
}

// together lets one step of each shard serve everything that f puts into the mailboxes, and waits
// for it.
func (w *world) together(f func()) {
	w.t.Helper()
	for _, s := range w.eng.shards {
		w.until("the drainer to end", s.hold)
	}
	f()
	for _, s := range w.eng.shards {
		w.eng.execute(s.drainFunc)
	}
	w.settle()
}

// connect returns a connection that has not logged in.
func (w *world) connect(account uint64) *conn {
	c := &conn{w: w, account: account, piece: piecesUnbounded}
	c.Peer = c
	return c
}

func (c *conn) id() uint64 {
	c.nextID++
	return c.nextID
}

// login posts a login with the journal's epoch.
func (c *conn) login(mode ResumeMode, last uint64) uint64 {
	l := Login{ID: c.id(), Account: c.account, Mode: mode, LastSeq: last, Epoch: c.w.journal.epoch}
	c.w.eng.Login(&c.Session, l)
	return l.ID
}

// loggedIn returns a session logged in with QUICK, and discards the reply.
func (w *world) loggedIn(account uint64) *conn {
	w.t.Helper()
	c := w.connect(account)
	c.login(ModeQuick, 0)
	w.settle()
	if f := c.last(); f.kind != "LOGIN" {
		w.t.Fatalf("no login: %s", f)
	}
	c.seen = len(c.all())
	return c
}

func (c *conn) logout() { c.w.eng.Logout(&c.Session, c.account) }

// ask submits a request of the session.
func (c *conn) ask(r Request) (id uint64) {
	c.w.t.Helper()
	r.Session, r.ID, r.Account = &c.Session, c.id(), c.account
	c.Begin(1 << 20)
	if n := c.w.eng.Submit(c.account, []Request{r}); n != 1 {
		c.w.t.Fatalf("Submit took %d of 1", n)
	}
	return r.ID
}

func (c *conn) order(o positions.Order) uint64 { return c.ask(Request{Kind: KindOrder, Order: o}) }
func (c *conn) holdings() uint64               { return c.ask(Request{Kind: KindHoldings}) }
func (c *conn) history(before uint64, limit int) uint64 {
	return c.ask(Request{Kind: KindHistory, Before: before, Limit: int32(limit)})
}

func buy(n int64, id ...string) positions.Order {
	return orderOf(positions.Buy, penny, n, id...)
}

func sell(n int64, id ...string) positions.Order {
	return orderOf(positions.Sell, penny, n, id...)
}

func orderOf(side positions.Side, in market.ID, n int64, id ...string) positions.Order {
	o := positions.Order{Side: side, Instrument: in, Quantity: n, Origin: positions.OriginClient}
	for _, text := range id {
		o.ID, _ = positions.MakeOrderID([]byte(text))
	}
	return o
}

// checkpoint stores everything, so that the tails may be dropped.
func (w *world) checkpoint() {
	w.t.Helper()
	if _, err := w.eng.Checkpoint(context.Background(), w.journal.store); err != nil {
		w.t.Fatalf("Checkpoint: %v", err)
	}
	w.eng.Checkpointed()
	w.settle()
}

// trade makes n events that answer no session. If the journal keeps events, a checkpoint follows.
func (w *world) trade(account uint64, n int) {
	w.t.Helper()
	for range n {
		r := Request{Kind: KindOrder, Order: buy(1)}
		r.Account = account
		w.eng.Submit(account, []Request{r})
	}
	w.settle()
	if w.journal.keeps {
		w.checkpoint()
	}
}

// account returns what the engine keeps of an account. The engine must be idle.
func (w *world) account(number uint64) *account { return w.eng.shardOf(number).accounts[number] }

// events returns the texts of pushes from first to last.
func events(first, last int, suffix string) (names []string) {
	for seq := first; seq <= last; seq++ {
		names = append(names, fmt.Sprintf("EVENT %d%s", seq, suffix))
	}
	return names
}
