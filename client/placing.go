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
	// forgetfulAfter is how many events after an order was sent its id is no longer relied on: half of the 4,096 ids that
	// a server remembers, since more may come while the order is on its way again.
	forgetfulAfter = 2048

	// resendPause is between two attempts at an order that was sent before and is answered BUSY, where the server does not
	// say how long.
	resendPause = 50 * time.Millisecond
)

// Order places an order and returns its execution; a refusal is a [*Reject]. While there is no connection it waits
// for one, until ctx ends.
//
// An order without a ClientOrderID is given one, unless AccountOptions.NoOrderID is set. An order that was under way
// when the connection broke is sent again on the next one, and by its id is executed once. Where that is not possible
// the error is an [*OutcomeUnknownError]: the order has no id; the server has begun a new history (a new epoch, as
// after a restart with durability none), or so much has happened meanwhile that it may have forgotten the id; ctx
// ended or the account was closed before the answer came. If the order was, or is yet, executed, the event has its
// id.
func (a *Account) Order(ctx context.Context, o Order) (*Event, error) {
	p := &placing{account: a, order: a.named(o)}
	for {
		c, err := a.connection(ctx)
		if err == nil {
			err = p.forgotten(c)
		}
		if err != nil {
			return nil, p.unknown(err)
		}
		ev, err := p.place(ctx, c)
		if err == nil {
			return ev, nil
		}
		if err = p.again(ctx, err); err != nil {
			return nil, err
		}
	}
}

// Buy buys shares at the market.
func (a *Account) Buy(ctx context.Context, market, code string, quantity int64) (*Event, error) {
	return a.Order(ctx, Order{Side: Buy, Market: market, Code: code, Quantity: quantity})
}

// Sell sells shares at the market.
func (a *Account) Sell(ctx context.Context, market, code string, quantity int64) (*Event, error) {
	return a.Order(ctx, Order{Side: Sell, Market: market, Code: code, Quantity: quantity})
}

// named is the order with an id.
func (a *Account) named(o Order) Order {
	if o.ClientOrderID != "" || a.o.NoOrderID {
		return o
	}
	a.mu.Lock()
	a.orders++
	n := a.orders
	a.mu.Unlock()
	o.ClientOrderID = a.orderID + strconv.FormatUint(n, 36)
	return o
}

// placing is an order on its way, over as many connections as it takes.
type placing struct {
	account *Account
	order   Order
	sent    int      // times
	first   position // where the account was when it was sent first: its execution comes after that
}

// place sends the order on a connection and waits for the answer.
func (p *placing) place(ctx context.Context, c *Client) (*Event, error) {
	waiting := newCall(codec.TypeExecution)
	at := position{c.login.Epoch, p.account.stream.newest()}
	if err := c.send(ctx, codec.TypeOrder, waiting, p.order.message()); err != nil {
		return nil, p.account.broken(c, err)
	}
	if p.sent++; p.sent == 1 {
		p.first = at
	}
	answer, err := c.await(ctx, waiting)
	if err != nil {
		return nil, p.account.broken(c, err)
	}
	return answer.(*Event), nil
}

// again returns nil when the order is to be tried again, else the error to report. What an order that was sent once is
// answered is its outcome. A refusal of one sent again may be of the repetition alone, and leave open what became of the
// first.
func (p *placing) again(ctx context.Context, err error) error {
	var reject *Reject
	switch {
	case errors.Is(err, ErrDisconnected):
		if p.sent > 0 && p.order.ClientOrderID == "" {
			return p.unknown(err)
		}
		return nil
	case errors.As(err, &reject) && (p.sent < 2 || outcome(reject.Code)):
		return err
	case errors.Is(err, ErrInFlight) && p.sent > 0,
		reject != nil && (reject.Code == Busy || reject.Code == RateLimited || reject.Code == Draining):
		return p.pause(ctx, max(resendPause, retryAfterOf(err)))
	}
	return p.unknown(err)
}

// outcome says that a refusal is by the book, which looks for the order id first: the order was not executed before.
func outcome(code RejectCode) bool {
	switch code {
	case Busy, RateLimited, Draining, ReadOnly, Internal:
		return false
	}
	return true
}

func (p *placing) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return p.unknown(ctx.Err())
	case <-p.account.open.Done():
		return p.unknown(p.account.failure())
	}
}

// forgotten says why a server that the order was not sent to last may not know it any more.
func (p *placing) forgotten(c *Client) error {
	r := c.login
	switch {
	case p.sent == 0:
		return nil
	case r.Epoch != p.first.epoch:
		return fmt.Errorf("the server has begun a new history, epoch %#x after %#x, and may not know the order",
			r.Epoch, p.first.epoch)
	case r.OldestSeq > p.first.seq+1:
		return fmt.Errorf("the server keeps events from seq %d on; the order was sent at seq %d, and may be forgotten",
			r.OldestSeq, p.first.seq)
	case r.HeadSeq > p.first.seq+forgetfulAfter:
		return fmt.Errorf("the order was sent at seq %d, the account is at seq %d now, and the order may be forgotten",
			p.first.seq, r.HeadSeq)
	}
	return nil
}

// unknown is the error for an order whose outcome is not known, if it was sent.
func (p *placing) unknown(err error) error {
	if p.sent == 0 {
		return err
	}
	return &OutcomeUnknownError{ClientOrderID: p.order.ClientOrderID, Err: err}
}
