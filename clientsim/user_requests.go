package clientsim

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/proof/shadow"
)

const (
	historyPage = 100
	busyPause   = 50 * time.Millisecond // if the server does not say how long to wait
)

// errResynced says that the account has begun anew from a snapshot meanwhile.
var errResynced = errors.New("the account has begun anew from a snapshot meanwhile")

// during runs a request and takes updates meanwhile. When it returns, everything that came
// before the answer has been taken. The duration is from the call to its answer.
func (u *user) during(ctx context.Context, request func(context.Context) error) (time.Duration, error) {
	u.since, u.recording = nil, true
	answered, stop := context.WithCancel(ctx)
	defer stop()
	var took time.Duration
	var err error
	done, start := make(chan struct{}), time.Now()
	go func() { // waited for below
		defer close(done)
		err = request(answered)
		took = time.Since(start)
		stop()
	}()
	var ended error
	for ended == nil {
		ended = u.next(answered)
	}
	over := answered.Err() == nil // next failed by itself
	stop()
	<-done
	if over {
		err = ended
	}
	return took, err
}

// idle takes updates for a while.
func (u *user) idle(ctx context.Context, d time.Duration) error {
	u.since, u.recording = nil, false
	short, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	for {
		if err := u.next(short); err != nil {
			if short.Err() != nil && errors.Is(err, short.Err()) {
				return ctx.Err()
			}
			return err
		}
	}
}

// catchUp takes events up to a sequence. It fails if the account begins anew, since the
// sequence then no longer exists.
func (u *user) catchUp(ctx context.Context, seq uint64) error {
	for resyncs := u.tally.Resyncs; u.shadow.Seq() < seq; {
		if err := u.next(ctx); err != nil {
			return fmt.Errorf("wait for seq %d: %w", seq, err)
		}
		if u.tally.Resyncs != resyncs {
			return errResynced
		}
	}
	return nil
}

// order places an order, checks its execution and takes all events up to it. A refusal is a
// *client.Reject.
func (u *user) order(ctx context.Context, o *client.Order) (*client.Event, time.Duration, error) {
	resyncs := u.tally.Resyncs
	var ev *client.Event
	took, err := u.during(ctx, func(ctx context.Context) (err error) {
		ev, err = u.acc.Order(ctx, *o)
		return err
	})
	if err != nil {
		u.countFailure(err, orderText(o))
		return nil, took, err
	}
	if !ev.Replay {
		u.tally.Orders++
	}
	u.checkExecution(o, ev)
	if u.tally.Resyncs != resyncs {
		return ev, took, errResynced
	}
	return ev, took, u.catchUp(ctx, ev.Seq)
}

// countFailure counts a request that did not get the answer it asked for.
func (u *user) countFailure(err error, what string) {
	var reject *client.Reject
	switch {
	case refusedForNow(err):
		u.tally.Busy++
	case errors.As(err, &reject):
		u.tally.Refused++
		if reject.Text == "" {
			u.wrongf("%s was refused %v without a sentence", what, papertapev1.RejectCode(reject.Code))
		}
	case lostConnection(err):
		u.tally.Broken++
	}
}

// refusedForNow reports whether a request was refused only for now, for reasons of the server.
func refusedForNow(err error) bool {
	var reject *client.Reject
	if !errors.As(err, &reject) {
		return false
	}
	switch reject.Code {
	case client.Busy, client.RateLimited, client.Draining, client.ReadOnly:
		return true
	}
	return false
}

// lostConnection reports whether a request lost its connection.
func lostConnection(err error) bool {
	return errors.Is(err, client.ErrDisconnected) || errors.Is(err, client.ErrOutcomeUnknown)
}

// retryPause returns how long to wait before asking again.
func retryPause(err error) time.Duration {
	var reject *client.Reject
	var bye *client.Goodbye
	switch {
	case errors.As(err, &bye):
		return max(bye.RetryAfter, busyPause)
	case errors.As(err, &reject):
		return max(reject.RetryAfter, busyPause)
	}
	return busyPause
}

// checkExecution compares an execution with its order.
func (u *user) checkExecution(o *client.Order, ev *client.Event) {
	f := shadow.Findings{Account: u.account, Seq: ev.Seq, Where: "execution of " + orderText(o) + ", "}
	trade := tradeOf(ev)
	f.Text("side", papertapev1.Side(o.Side).String(), papertapev1.Side(trade.Side).String())
	f.Text("instrument", shadow.KeyOf(o.Market, o.Code).String(), shadow.KeyOf(trade.Market, trade.Code).String())
	f.Integer("quantity", o.Quantity, trade.Quantity)
	if o.ClientOrderID != "" { // else the client library chose the id
		f.Text("client_order_id", o.ClientOrderID, trade.ClientOrderID)
	}
	f.Text("origin", papertapev1.Origin(client.OriginClient).String(), papertapev1.Origin(trade.Origin).String())
	u.wrong(f.List...)
}

// pull asks for the list, takes the events up to it and compares, as of exactly the list's
// sequence.
func (u *user) pull(ctx context.Context) (*client.Holdings, time.Duration, error) {
	resyncs, then := u.tally.Resyncs, u.shadow.Clone()
	var h *client.Holdings
	took, err := u.during(ctx, func(ctx context.Context) (err error) {
		h, err = u.acc.Holdings(ctx)
		return err
	})
	if err != nil {
		u.countFailure(err, "the list")
		return nil, took, err
	}
	if u.tally.Resyncs != resyncs {
		return nil, took, errResynced // the list may belong to either history
	}
	if err := u.catchUp(ctx, h.AsOfSeq); err != nil {
		return nil, took, err
	}
	for _, ev := range u.since {
		if ev.Seq <= h.AsOfSeq {
			then.Apply(ev) // its findings were reported when it came
		}
	}
	u.wrong(then.CheckHoldings(h)...)
	u.tally.Lists++
	return h, took, nil
}

// retry repeats a request until the server is not too busy, the connection holds, and the
// account does not begin anew meanwhile.
func (u *user) retry(ctx context.Context, ask func(context.Context) error) error {
	for {
		err := ask(ctx)
		if err == nil || ctx.Err() != nil || !refusedForNow(err) && !lostConnection(err) &&
			!errors.Is(err, errResynced) {
			return err
		}
		if err := u.idle(ctx, retryPause(err)); err != nil {
			return err
		}
	}
}

// page reads a page of the history and compares it with what is known of the same events. They
// must be newest first, without a gap, from below before (0 means from the newest).
func (u *user) page(ctx context.Context, before uint64) (*client.History, time.Duration, error) {
	resyncs := u.tally.Resyncs
	var page *client.History
	took, err := u.during(ctx, func(ctx context.Context) (err error) {
		page, err = u.acc.History(ctx, before, historyPage)
		return err
	})
	if err != nil {
		u.countFailure(err, "the history")
		return nil, took, err
	}
	if u.tally.Resyncs != resyncs {
		return nil, took, errResynced
	}
	nothing := before == 0 && u.shadow.Seq() == 0 || before > 0 && before <= page.OldestSeq
	if n := len(page.Events); n > historyPage || n == 0 && !nothing {
		u.wrongf("a page of history before seq %d has %d events: expected 1 to %d", before, n, historyPage)
	}
	for i, ev := range page.Events {
		if before == 0 && i == 0 {
			before = ev.Seq + 1
		}
		if before--; ev.Seq != before || ev.Account != u.account {
			u.wrongf("the history has seq %d of account %d: expected seq %d of account %d, newest first without a hole",
				ev.Seq, ev.Account, before, u.account)
			return page, took, nil
		}
		if seen := u.seen[ev.Seq]; seen != nil {
			u.wrong(shadow.CompareEvents(seen, ev)...)
		} else if ev.Seq > u.shadow.Seq() {
			u.seen[ev.Seq] = ev // the history may be ahead of the stream
		}
	}
	u.tally.History += len(page.Events)
	return page, took, nil
}

// fold reads the history back to its beginning and folds it from nothing into a second shadow,
// which must agree with the list as well. Events that also came in the stream must be the same
// in both. If the server no longer keeps the beginning, only that comparison remains.
func (u *user) fold(ctx context.Context, h *client.Holdings) error {
	var events []*client.Event // newest first
	resyncs := u.tally.Resyncs
	for before := h.AsOfSeq + 1; before > 1; before = events[len(events)-1].Seq {
		var page *client.History
		err := u.retry(ctx, func(ctx context.Context) (err error) {
			page, _, err = u.page(ctx, before)
			return err
		})
		switch {
		case err != nil:
			return fmt.Errorf("ask for the history before seq %d: %w", before, err)
		case u.tally.Resyncs != resyncs:
			return errResynced
		case len(page.Events) == 0 && page.OldestSeq < before:
			return fmt.Errorf("the history before seq %d is empty, and begins at seq %d", before, page.OldestSeq)
		case len(page.Events) == 0:
			u.notice("the server keeps the history from seq %d on: it was compared, and could not be folded from "+
				"nothing", before)
			return nil
		}
		events = append(events, page.Events...)
	}
	second := shadow.New(u.account)
	for _, ev := range slices.Backward(events) {
		for _, s := range second.Apply(ev) {
			u.wrong("history of " + s)
		}
	}
	for _, s := range second.CheckHoldings(h) {
		u.wrong("folded from the history: " + s)
	}
	return nil
}

// lowest returns the fewest shares of an instrument, and the least cash, that the account had
// since the last request began.
func (u *user) lowest(before *shadow.Shadow, market, code string) (shares, cash int64) {
	shares, cash = before.Quantity(market, code), before.Balance()
	for _, ev := range u.since {
		cash = min(cash, int64(balanceOf(ev)))
		for _, p := range ev.Positions {
			if p.Market == market && p.Code == code {
				shares = min(shares, p.Quantity)
			}
		}
	}
	return shares, cash
}

// judgeRefusal returns why the server should not have refused an order, or an empty string.
// price is about what a share costs; no price doubles within a day.
func (u *user) judgeRefusal(before *shadow.Shadow, o *client.Order, reject *client.Reject, price int64) string {
	shares, cash := u.lowest(before, o.Market, o.Code)
	cost := new(big.Int).Mul(big.NewInt(o.Quantity), big.NewInt(price))
	affordable := cost.Lsh(cost, 1).Cmp(big.NewInt(cash)) <= 0
	switch {
	case reject.Code == client.InsufficientShares && o.Side == client.Sell && shares < o.Quantity:
		return ""
	case reject.Code == client.InsufficientCash && o.Side == client.Buy && !affordable:
		return ""
	}
	return fmt.Sprintf("%s was refused with %v (%s), but there were %d shares and %s cash", orderText(o),
		papertapev1.RejectCode(reject.Code), reject.Text,
		shares, market.FormatMoney(cash))
}
