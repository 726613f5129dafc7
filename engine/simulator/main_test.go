package simulator

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/record"
)

func TestMain(m *testing.M) {
	// Loading ants starts its default pool. Every goroutine started after that has to end.
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}

// tape is a journal that records everything committed, for tests to inspect.
type tape struct {
	mu     sync.Mutex
	events []positions.Event
	blocks [][]positions.Event // the same events, by commit
	gate   chan struct{}       // if set, Commit waits until it is closed
	held   int                 // waiting Commits
}

func (j *tape) Epoch() uint64     { return 1 }
func (j *tape) Keeps() bool       { return false }
func (j *tape) Committed() uint64 { return 0 }

func (j *tape) Commit(records []byte, count int) error {
	table := record.NewTable(market.Default())
	events := make([]positions.Event, count)
	for i := range events {
		rec, rest, err := record.Cut(records)
		if err == nil {
			err = table.Decode(rec, &events[i])
		}
		if err != nil {
			return err
		}
		records = rest
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if gate := j.gate; gate != nil {
		j.held++
		j.mu.Unlock()
		<-gate
		j.mu.Lock()
		j.held--
	}
	j.events = append(j.events, events...)
	j.blocks = append(j.blocks, events)
	return nil
}

// hold makes Commit wait until release is called.
func (j *tape) hold() (release func()) {
	gate := make(chan struct{})
	j.mu.Lock()
	defer j.mu.Unlock()
	j.gate = gate
	return func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.gate = nil
		close(gate)
	}
}

func (j *tape) isHeld() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.held > 0
}

func (j *tape) Read(dst []positions.Event, _, _ uint64, _ int) ([]positions.Event, error) {
	return dst, nil
}

// fills returns the simulator's trades.
func (j *tape) fills() (events []positions.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, ev := range j.events {
		if ev.Kind == positions.KindTrade && ev.Trade.Origin == positions.OriginSimulator {
			events = append(events, ev)
		}
	}
	return events
}

// ofAccount returns the committed events of one account.
func (j *tape) ofAccount(number uint64) []positions.Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(j.events), func(ev positions.Event) bool { return ev.Account != number })
}

// nobody is an outlet without sessions, which sends nothing.
type nobody struct{}

func (nobody) Publisher() engine.Publisher                                        { return nobody{} }
func (nobody) Event(*positions.Event, []*engine.Session, *engine.Session, uint64) {}
func (nobody) Replay(*positions.Event, *engine.Session, uint64, bool) bool        { return true }
func (nobody) Answer(engine.Answer)                                               {}
func (nobody) Lost(*engine.Session)                                               {}
func (nobody) Timed(int64, int64)                                                 {}
func (nobody) Flush()                                                             {}

// exchange is an engine with opened accounts, at fixed prices.
type exchange struct {
	*engine.Engine
	t        *testing.T
	tape     *tape
	universe *market.Universe
	feed     *market.Feed
}

func (x *exchange) ApplyQuote(u market.Update) market.Outcome {
	var outcome [1]market.Outcome
	u.Time = time.Now().UnixNano()
	x.feed.Apply(u.Time, []market.Update{u}, outcome[:])
	return outcome[0]
}

func newExchange(t *testing.T, accounts, shards, inbox int) *exchange {
	t.Helper()
	x := &exchange{t: t, tape: new(tape), universe: market.Default()}
	x.feed = market.Fixed(x.universe)
	eng, err := engine.New(engine.Config{
		Shards: shards, Workers: 2 * shards, InboxOrdersMax: inbox, HistoryReadsMax: 1, HistoryMemoryBytesMax: 1 << 24,
		SessionsPerAccountMax: 1,
		Universe:              x.universe, Prices: x.feed.Snapshot,
		Clock:   func() int64 { return time.Now().UnixNano() },
		Journal: x.tape, Outlet: nobody{}, Fatal: func(err error) { panic(err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	x.Engine = eng
	if err := (Accounts{Count: accounts, Seed: 1, Universe: x.universe}).Open(context.Background(), eng); err != nil {
		t.Fatal(err)
	}
	return x
}

// settle waits until all submitted requests are done.
func (x *exchange) settle() {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := x.Drain(ctx); err != nil {
		x.t.Fatal(err)
	}
}

func (x *exchange) stop() {
	x.settle()
	x.Stop()
}
