package torture

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/console"
	"github.com/papertape/papertape/proof/process"
)

// Between two loads a server is at rest: nobody trades, so its state can be compared.

// checkAtRest brings all clients back, sends the orders without an answer again, and compares everything.
func (r *run) checkAtRest(ctx context.Context, s *process.Server) error {
	ctx, cancel := context.WithTimeout(ctx, restTimeout)
	defer cancel()
	if err := r.eachTrader(dialingMax, func(t *trader) error { return connect(ctx, t, s.Listen()) }); err != nil {
		return fmt.Errorf("a client could not come back: %w", err)
	}
	if r.findings.any() {
		return nil // there may be nothing to catch up with
	}
	r.report.Resumed += len(r.traders)
	if err := r.caughtUp(ctx); err != nil {
		return err
	}
	for _, a := range r.accounts {
		a.read = a.newestSeq() // by the witness
	}
	if err := r.eachTrader(len(r.traders), func(t *trader) error { return r.repeat(ctx, t) }); err != nil {
		return fmt.Errorf("an order could not be sent again: %w", err)
	}
	if err := r.eachTrader(repeatingMax, func(t *trader) error {
		c := console.NewClient(s.Admin(), "")
		return errors.Join(r.repeatBusts(ctx, t, c), r.repeatBookings(ctx, t, c))
	}); err != nil {
		return fmt.Errorf("a bust or a booking could not be sent again: %w", err)
	}
	if err := r.caughtUp(ctx); err != nil {
		return err
	}
	return r.eachTrader(len(r.traders), func(t *trader) error {
		if t.shadow == nil {
			return nil
		}
		r.count(&r.report.Holdings)
		return t.compare(ctx)
	})
}

// connect retries while the server has no room for so many connections at once.
func connect(ctx context.Context, t *trader, addr string) error {
	for {
		err := t.connect(ctx, addr)
		var bye *client.Goodbye
		if !errors.As(err, &bye) || bye.Reason != client.GoodbyeFull {
			return err
		}
		select {
		case <-time.After(max(bye.RetryAfter, 10*time.Millisecond)):
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

// caughtUp waits until every stream has all events of its account that the server, or any client,
// knows.
func (r *run) caughtUp(ctx context.Context) error {
	for _, t := range r.traders {
		if err := t.reach(ctx, max(t.conn.LoginReply().HeadSeq, t.account.newestSeq())); err != nil {
			return err
		}
	}
	return nil
}

// repeat makes a trader send the unanswered orders again, and a witness an order that was answered.
func (r *run) repeat(ctx context.Context, t *trader) error {
	if t.shadow == nil {
		if o := t.account.answeredOrder(t.rng.Int()); o != nil {
			r.count(&r.report.Repeated)
			return t.settle(ctx, o)
		}
		return ctx.Err()
	}
	for _, o := range t.account.unanswered.take() {
		if t.account.shown(&o.request) {
			r.count(&r.report.HadBeen)
		}
		if err := t.settle(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// repeatBusts sends the account's unanswered busts and corrections again, and one that was
// answered.
func (r *run) repeatBusts(ctx context.Context, t *trader, c *console.Client) error {
	a := t.account
	if t.shadow == nil {
		if b := a.carriedOut(t.rng.Int()); b != nil {
			r.count(&r.report.BustsRepeated)
			return a.settleBust(ctx, c, b)
		}
		return ctx.Err()
	}
	for _, b := range a.undecided.take() {
		if a.shown(&b.request) {
			r.count(&r.report.BustsHadBeen)
		}
		if err := a.settleBust(ctx, c, b); err != nil {
			return err
		}
	}
	return nil
}

// repeatingMax is how many accounts send busts again at the same time. The server accepts a limited
// number at once.
const repeatingMax = 16

// count increments a figure of the report. Any goroutine may call it.
func (r *run) count(n *int) {
	r.counting.Lock()
	defer r.counting.Unlock()
	*n++
}

// eachTrader runs f for all traders, at most so many at a time, and returns the first error.
func (r *run) eachTrader(most int, f func(*trader) error) error {
	slots := make(chan struct{}, most)
	errs := make(chan error, len(r.traders))
	for _, t := range r.traders {
		slots <- struct{}{}
		go func() { // waited for below
			errs <- f(t)
			<-slots
		}()
	}
	var first error
	for range r.traders {
		if err := <-errs; first == nil {
			first = err
		}
	}
	return first
}

// storm lets all clients connect, and kills the server in the middle of that.
func (r *run) storm(ctx context.Context, s *process.Server) error {
	strike := make(chan error, 1)
	after := time.Duration(r.rng.Int64N(int64(stormMax)))
	go func() { // waited for below
		select {
		case <-time.After(after):
			s.Kill()
			strike <- nil
		case <-ctx.Done():
			strike <- ctx.Err()
		}
	}()
	_ = r.eachTrader(dialingMax, func(t *trader) error { return t.connect(ctx, s.Listen()) }) // most of them fail
	return <-strike
}

// replayAll starts a server once more, and makes it replay everything from the first event, to clients
// that know nothing.
func (r *run) replayAll(ctx context.Context) error {
	s, err := r.start()
	if err != nil {
		return err
	}
	defer s.Kill()
	if _, err := s.Await(ctx); err != nil {
		return r.reportBroken(ctx, s, err)
	}
	for _, a := range r.accounts {
		a.read = 0
	}
	if err := r.checkAtRest(ctx, s); err != nil {
		return r.reportBroken(ctx, s, err)
	}
	for _, t := range r.traders {
		t.disconnect()
	}
	r.tally(s, fates)
	for _, a := range r.accounts {
		a.unconfirmed()
	}
	if err := s.Stop(); err != nil {
		return r.reportBroken(ctx, s, err)
	}
	r.report.CleanStops++
	_, breach, err := process.Verify(ctx, r.Binary, r.Data)
	if err == nil && breach != "" {
		r.findings.add(other, 1, "%s", breach)
	} else {
		r.report.Verified++
	}
	return err
}
