package simulator

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// Runner runs a script against an engine.
type Runner struct {
	script *Script
	logins map[uint64]*accountLogins // by account; the map is never changed

	fills, busts, quotes, refused, skipped atomic.Uint64

	ended   atomic.Int64 // steps
	running atomic.Bool
}

// Exchange is what a script acts on: a part of an engine, and its feed.
type Exchange interface {
	Submit(account uint64, requests []engine.Request) (taken int)
	History(ctx context.Context, account, before uint64, limit int) (page []positions.Event, oldest uint64, err error)
	Bust(ctx context.Context, r *positions.BustRequest) (ev positions.Event, repeated bool, err error)
	// ApplyQuote applies an update as of now, unless it has a time.
	ApplyQuote(u market.Update) market.Outcome
}

// accountLogins counts the logins of an account and signals the steps that wait for one.
type accountLogins struct {
	count atomic.Int64
	nth   map[int64]chan struct{} // closed at that login; the map never changes
}

// NewRunner returns a runner. LoggedIn may be called before Run.
func NewRunner(s *Script) *Runner {
	r := &Runner{script: s, logins: make(map[uint64]*accountLogins)}
	for i := range s.steps {
		st := &s.steps[i]
		if st.On == "" {
			continue
		}
		a := r.logins[st.Account]
		if a == nil {
			a = &accountLogins{nth: make(map[int64]chan struct{})}
			r.logins[st.Account] = a
		}
		if a.nth[int64(st.LoginNth)] == nil {
			a.nth[int64(st.LoginNth)] = make(chan struct{})
		}
	}
	return r
}

// LoggedIn reports a login to the runner, and returns whether a step begins with it. It does not block; any
// goroutine may call it.
func (r *Runner) LoggedIn(account uint64) (awaited bool) {
	a := r.logins[account]
	if a == nil {
		return false
	}
	c := a.nth[a.count.Add(1)]
	if c != nil {
		close(c) // each number is reached once
	}
	return c != nil
}

// Run plays the script until it ends or ctx ends.
func (r *Runner) Run(ctx context.Context, x Exchange) {
	r.running.Store(true)
	defer r.running.Store(false)
	done := make(chan struct{}, len(r.script.steps))
	for i := range r.script.steps {
		go func() { // ends with ctx at the latest; Run waits for it
			defer func() { done <- struct{}{} }()
			r.play(ctx, x, &r.script.steps[i])
		}()
	}
	for range r.script.steps {
		<-done
		r.ended.Add(1)
	}
}

func (r *Runner) play(ctx context.Context, x Exchange, s *step) {
	if s.On == "login" {
		select {
		case <-r.logins[s.Account].nth[int64(s.LoginNth)]:
		case <-ctx.Done():
			return
		}
	}
	wait := s.wait
	for range s.Times {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		wait = s.every
		if s.quote != nil {
			r.setQuote(x, s)
			continue
		}
		if s.bust != nil {
			r.takeBack(ctx, x, s)
			continue
		}
		if x.Submit(s.Account, []engine.Request{r.fill(s)}) == 0 {
			r.skipped.Add(1)
		}
	}
}

// fill returns the request of one fill of a step.
func (r *Runner) fill(s *step) engine.Request {
	return engine.Request{Kind: engine.KindDecide, Account: s.Account, Decider: fill{r, s}}
}

// Played counts what a script has done so far.
type Played struct {
	Fills   uint64 // executed
	Busts   uint64 // trades taken back or corrected
	Quotes  uint64 // set
	Refused uint64 // refused by the book, or with nothing to sell or to bust
	Skipped uint64 // dropped because the server was too busy or stopped
}

// Progress is how far a script is.
type Progress struct {
	Played
	Steps, Ended int
	Running      bool // some steps are still to come
}

// Progress returns how far the script is. Any goroutine may call it.
func (r *Runner) Progress() Progress {
	return Progress{r.State(), len(r.script.steps), int(r.ended.Load()), r.running.Load()}
}

// State returns the script's counters. Any goroutine may call it.
func (r *Runner) State() Played {
	return Played{Fills: r.fills.Load(), Busts: r.busts.Load(), Quotes: r.quotes.Load(),
		Refused: r.refused.Load(), Skipped: r.skipped.Load()}
}

// fill is the Decider of one fill of a step.
type fill struct {
	r *Runner
	s *step
}

// Decide makes the step's order.
func (f fill) Decide(
	v positions.View, _ *market.Prices, _ int64, _ uint64, orders []positions.Order,
) []positions.Order {
	o := f.s.order
	if f.s.sellAll {
		row, held := v.Find(o.Instrument)
		if !held {
			return orders
		}
		o.Quantity = row.Quantity
	}
	return append(orders, o)
}

// Done counts the result.
func (f fill) Done(_ uint64, events []positions.Event, _ positions.Refusal) {
	if len(events) > 0 {
		f.r.fills.Add(1)
	} else {
		f.r.refused.Add(1)
	}
}
