package client

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/papertape/papertape/codec"
)

const (
	// After this many events the id of an order that was sent is no longer relied on. It is
	// half of the 4,096 ids that a server remembers, since more events may come while the order
	// is being sent again.
	forgottenAfterEvents = 2048

	// resendPause is the wait before an order that was sent before and answered BUSY is sent
	// again, if the server names no time.
	resendPause = 50 * time.Millisecond
)

// Order places an order and returns its execution; a refusal is a [*Reject]. While there is no
// connection, Order waits for one until ctx ends.
//
// An order without a ClientOrderID is given one, unless AccountOptions.NoOrderID is set. An
// order that was under way when the connection broke is sent again on the next one, and its id
// ensures that it is executed once.
//
// If that is not possible, the error is an [*OutcomeUnknownError]: the order has no id; the
// server has begun a new history (a new epoch, as after a restart with durability none); so
// many events have passed that the server may have forgotten the id; or ctx ended or the
// account was closed before the answer came. If the order was executed, or is executed later,
// the event carries its id.
func (a *Account) Order(ctx context.Context, o Order) (*Event, error) {
	p := &placement{account: a, order: a.withOrderID(o)}
	for {
		c, err := a.connection(ctx)
		if err == nil {
			err = p.mayBeForgotten(c)
		}
		if err != nil {
			return nil, p.outcomeUnknown(err)
		}
		ev, err := p.place(ctx, c)
		if err == nil {
			return ev, nil
		}
		if err = p.retryOrFail(ctx, err); err != nil {
			return nil, err
		}
	}
}

// Buy buys shares with a market order.
func (a *Account) Buy(ctx context.Context, market, code string, quantity int64) (*Event, error) {
	return a.Order(ctx, Order{Side: Buy, Market: market, Code: code, Quantity: quantity})
}

// Sell sells shares with a market order.
func (a *Account) Sell(ctx context.Context, market, code string, quantity int64) (*Event, error) {
	return a.Order(ctx, Order{Side: Sell, Market: market, Code: code, Quantity: quantity})
}

// withOrderID returns the order with an id, unless AccountOptions.NoOrderID is set.
func (a *Account) withOrderID(o Order) Order {
	if o.ClientOrderID != "" || a.options.NoOrderID {
		return o
	}
	a.mu.Lock()
	a.orders++
	n := a.orders
	a.mu.Unlock()
	o.ClientOrderID = a.orderID + strconv.FormatUint(n, 36)
	return o
}

// placement is an order under way, over as many connections as it takes.
type placement struct {
	account     *Account
	order       Order
	timesSent   int      // how many times it was sent
	firstSentAt position // the account's position when it was first sent; its execution comes later
}

// place sends the order on a connection and waits for the answer.
func (p *placement) place(ctx context.Context, c *Client) (*Event, error) {
	waiting := newCall(codec.TypeExecution)
	at := position{c.login.Epoch, p.account.stream.newest()}
	if err := c.send(ctx, codec.TypeOrder, waiting, p.order.message()); err != nil {
		return nil, p.account.requestError(c, err)
	}
	if p.timesSent++; p.timesSent == 1 {
		p.firstSentAt = at
	}
	answer, err := c.await(ctx, waiting)
	if err != nil {
		return nil, p.account.requestError(c, err)
	}
	return answer.(*Event), nil
}

// retryOrFail returns nil if the order is to be tried again, else the error to report. The
// answer to an order that was sent once is its outcome. The refusal of an order that was sent
// again may concern only the repetition, and leave open what became of the first.
func (p *placement) retryOrFail(ctx context.Context, err error) error {
	var reject *Reject
	switch {
	case errors.Is(err, ErrDisconnected):
		if p.timesSent > 0 && p.order.ClientOrderID == "" {
			return p.outcomeUnknown(err)
		}
		return nil
	case errors.As(err, &reject) && (p.timesSent < 2 || provesNotExecuted(reject.Code)):
		return err
	case errors.Is(err, ErrInFlight) && p.timesSent > 0,
		reject != nil && (reject.Code == Busy || reject.Code == RateLimited || reject.Code == Draining):
		return p.pause(ctx, max(resendPause, retryAfterOf(err)))
	}
	return p.outcomeUnknown(err)
}

// provesNotExecuted reports whether a refusal proves that the order was not executed before:
// the server decided it after looking up the order id.
func provesNotExecuted(code RejectCode) bool {
	switch code {
	case Busy, RateLimited, Draining, ReadOnly, Internal:
		return false
	}
	return true
}

func (p *placement) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return p.outcomeUnknown(ctx.Err())
	case <-p.account.lifetime.Done():
		return p.outcomeUnknown(p.account.failure())
	}
}

// mayBeForgotten returns why the server of this connection may no longer know an order that was
// sent on an earlier one. It returns nil if the server still knows it.
func (p *placement) mayBeForgotten(c *Client) error {
	r := c.login
	switch {
	case p.timesSent == 0:
		return nil
	case r.Epoch != p.firstSentAt.epoch:
		return fmt.Errorf("the server has begun a new history, epoch %#x after %#x, and may not know the order",
			r.Epoch, p.firstSentAt.epoch)
	case r.OldestSeq > p.firstSentAt.seq+1:
		return fmt.Errorf("the server keeps events from seq %d on; the order was sent at seq %d, and may be forgotten",
			r.OldestSeq, p.firstSentAt.seq)
	case r.HeadSeq > p.firstSentAt.seq+forgottenAfterEvents:
		return fmt.Errorf("the order was sent at seq %d, the account is at seq %d now, and the order may be forgotten",
			p.firstSentAt.seq, r.HeadSeq)
	}
	return nil
}

// outcomeUnknown turns an error into an OutcomeUnknownError if the order was sent.
func (p *placement) outcomeUnknown(err error) error {
	if p.timesSent == 0 {
		return err
	}
	return &OutcomeUnknownError{ClientOrderID: p.order.ClientOrderID, Err: err}
}
