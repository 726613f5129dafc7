package engine

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// tallied counts the answers to one submitter, by request id. It is the Peer of sessions under load.
type tallied struct {
	Session
	answers []atomic.Int32
	pushed  atomic.Int64
	seq     uint64 // of the newest event; owned by the drainer
	holes   atomic.Int64
}

// tallyOutlet only counts, so that the load is on the hand-off.
type tallyOutlet struct{}

func (tallyOutlet) Publisher() Publisher { return &tallyPublisher{} }

type tallyPublisher struct{ used int }

func (p *tallyPublisher) answer(s *Session, id uint64) {
	p.used++ // without a lock: two concurrent drainers of one shard are a data race here
	s.Peer.(*tallied).answers[id].Add(1)
}

func (p *tallyPublisher) Event(ev *positions.Event, live []*Session, owner *Session, id uint64) {
	for _, s := range live {
		to := s.Peer.(*tallied)
		if to.seq++; to.seq != ev.Seq {
			to.holes.Add(1)
		}
		if s == owner {
			p.answer(s, id)
		} else {
			to.pushed.Add(1)
		}
	}
}

func (p *tallyPublisher) Answer(a Answer) {
	switch a.Kind {
	case AnswerLoginRefused:
		return
	case AnswerLoggedIn:
		a.Session.Peer.(*tallied).seq = a.Login.HeadSeq
	}
	p.answer(a.Session, a.ID)
}

func (p *tallyPublisher) Replay(*positions.Event, *Session, uint64, bool) bool { return true }
func (p *tallyPublisher) Lost(*Session)                                        {}
func (p *tallyPublisher) Timed(int64, int64)                                   {}
func (p *tallyPublisher) Flush()                                               { p.used++ }

// doneCounter is a Decider that counts its calls.
type doneCounter struct{ decided, done atomic.Int64 }

func (d *doneCounter) Decide(
	_ positions.View, _ *market.Prices, _ int64, _ uint64, orders []positions.Order,
) []positions.Order {
	d.decided.Add(1)
	return append(orders, buy(1))
}

func (d *doneCounter) Done(uint64, []positions.Event, positions.Refusal) { d.done.Add(1) }

// TestHandOff lets many goroutines submit to few shards with tiny inboxes, so that shards are armed
// and disarmed all the time. Every accepted request is answered exactly once, no other request is
// answered, and none is left behind.
func TestHandOff(t *testing.T) {
	tests := map[string]struct {
		workers int
		spoil   func(t *testing.T, e *Engine)
	}{
		"one worker for each shard": {4, func(*testing.T, *Engine) {}},
		"all workers busy": {4, func(t *testing.T, e *Engine) {
			blocked := make(chan struct{})
			var started sync.WaitGroup
			for range 4 {
				started.Add(1)
				deadline := time.Now().Add(patience)
				// a worker goes idle a moment after its drain has ended
				for e.pool.Submit(func() { started.Done(); <-blocked }) != nil {
					if time.Now().After(deadline) {
						t.Fatal("the workers do not become idle")
					}
					runtime.Gosched()
				}
			}
			started.Wait()
			t.Cleanup(func() { close(blocked) })
		}},
		"pool released": {8, func(_ *testing.T, e *Engine) { e.pool.Release() }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			eng := handOffEngine(t, test.workers)
			test.spoil(t, eng)
			handOff(t, eng)
			if name != "one worker for each shard" && eng.Stats().PoolOverflows == 0 {
				t.Error("no drain overflowed the pool")
			}
		})
	}
}

func handOffEngine(t *testing.T, workers int) *Engine {
	t.Helper()
	prices := testUniverse.Opening()
	eng, err := New(Config{
		Shards: 4, Workers: workers, InboxOrdersMax: 8, HistoryReadsMax: 2, HistoryMemoryBytesMax: 1 << 22,
		SessionsPerAccountMax: 64,
		Universe:              testUniverse, Prices: func() *market.Prices { return prices },
		Clock:   func() int64 { return 1 },
		Journal: NewMemoryJournal(), Outlet: tallyOutlet{}, Fatal: func(err error) { panic(err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(eng.Stop)
	if err := openAccounts(t.Context(), eng, 8, 1); err != nil {
		t.Fatal(err)
	}
	return eng
}

// submitter is one of many. Its account belongs to one of four shards.
type submitter struct {
	tallied
	account  uint64
	taken    []bool
	fills    int64
	deciders *doneCounter
}

func handOff(t *testing.T, eng *Engine) {
	t.Helper()
	const submitters, requests = 16, 1500
	all := make([]*submitter, submitters)
	for i := range all {
		s := &submitter{account: firstAccount + uint64(i%8), taken: make([]bool, requests), deciders: new(doneCounter)}
		s.answers = make([]atomic.Int32, requests)
		s.Peer = &s.tallied
		eng.Login(&s.Session, Login{ID: 0, Account: s.account, Mode: ModeQuick})
		s.taken[0] = true
		all[i] = s
	}
	if err := eng.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	for i, s := range all {
		done.Go(func() { s.run(eng, i) })
	}
	done.Wait()
	if err := eng.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, s := range all {
		if n := s.InFlight(); n != 0 {
			t.Errorf("submitter %d: %d requests in flight", i, n)
		}
		for id, taken := range s.taken {
			if n := s.answers[id].Load(); taken && n != 1 || !taken && n != 0 {
				t.Fatalf("submitter %d: request %d (taken: %v) was answered %d times", i, id, taken, n)
			}
		}
		if d := s.deciders; d.decided.Load() != s.fills || d.done.Load() != s.fills || s.holes.Load() != 0 {
			t.Errorf("submitter %d: %d deciders taken, %d asked, %d told; %d holes", i, s.fills, d.decided.Load(),
				d.done.Load(), s.holes.Load())
		}
	}
	for _, s := range eng.shards {
		if s.armed || len(s.inbox)+len(s.control) != 0 {
			t.Errorf("a shard is left with %d requests and %d controls, armed: %v", len(s.inbox), len(s.control),
				s.armed)
		}
	}
}

// run submits in batches of one to three requests, without waiting for answers.
func (s *submitter) run(eng *Engine, seed int) {
	batch := make([]Request, 0, 3)
	for id := 1; id < len(s.taken); {
		batch = batch[:0]
		for range 1 + (id+seed)%3 {
			r := Request{Kind: KindOrder, Session: &s.Session, ID: uint64(id + len(batch)), Order: buy(1)}
			switch (id + len(batch)) % 5 {
			case 1:
				r.Kind = KindHoldings
			case 2:
				r.Kind, r.Limit = KindHistory, 5
			case 3:
				r.Order = sell(1 << 20)
			}
			r.Account = s.account
			if r.ID < uint64(len(s.taken)) {
				s.Begin(1 << 20)
				batch = append(batch, r)
			}
		}
		n := eng.Submit(s.account, batch)
		for i := range batch {
			if i < n {
				s.taken[batch[i].ID] = true
			} else {
				s.End()
			}
		}
		id += len(batch)
		if id%7 == 0 {
			r := Request{Kind: KindDecide, Decider: s.deciders}
			r.Account = s.account
			s.fills += int64(eng.Submit(s.account, []Request{r}))
		}
		if n < len(batch) {
			runtime.Gosched()
		}
	}
}

// TestHandOffOfControls lets sessions come and go while orders are served: the control lane refuses
// nothing.
func TestHandOffOfControls(t *testing.T) {
	eng := handOffEngine(t, 4)
	var done sync.WaitGroup
	for i := range 8 {
		account := firstAccount + uint64(i)
		done.Go(func() {
			for range 200 {
				s := &tallied{answers: make([]atomic.Int32, 2)}
				s.Peer = s
				eng.Login(&s.Session, Login{ID: 1, Account: account, Mode: ModeSnapshot})
				eng.Logout(&s.Session, account)
			}
		})
		done.Go(func() {
			for range 200 {
				r := Request{Kind: KindOrder, Order: buy(1)}
				r.Account = account
				eng.Submit(account, []Request{r})
			}
		})
		done.Go(func() {
			for range 100 {
				if _, err := eng.Holdings(t.Context(), account); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done.Wait()
	if err := eng.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, s := range eng.shards {
		for number, a := range s.accounts {
			if a.sessions != 0 || len(a.live) != 0 {
				t.Errorf("account %d: %d sessions, %d live ones are left", number, a.sessions, len(a.live))
			}
		}
	}
}
