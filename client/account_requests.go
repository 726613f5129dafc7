package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/papertape/papertape/codec"
)

// Holdings asks for the server's current holdings. All events up to their as_of_seq wait for
// Next, or have been returned by it, when Holdings returns.
//
// While there is no connection, Holdings, the other questions, Ping and Verify wait for one
// until ctx ends. If the connection breaks before the answer comes, the error is
// [ErrDisconnected].
func (a *Account) Holdings(ctx context.Context) (*Holdings, error) {
	return ask(ctx, a, func(c *Client) (*Holdings, error) { return c.Holdings(ctx) })
}

// History asks for at most limit events (0 means 20; the maximum is 100) with sequences below
// before (0 means from the newest), newest first. The server may send fewer. The end is reached
// at the answer's oldest_seq.
func (a *Account) History(ctx context.Context, before uint64, limit int) (*History, error) {
	return ask(ctx, a, func(c *Client) (*History, error) { return c.History(ctx, before, limit) })
}

// Instruments asks for instruments and their prices by codes such as "SH.600519". Without codes
// it asks for all of them, by market and code.
func (a *Account) Instruments(ctx context.Context, codes ...string) ([]Instrument, error) {
	return ask(ctx, a, func(c *Client) ([]Instrument, error) { return c.Instruments(ctx, codes...) })
}

// Bars asks for bars of an instrument, see [Client.Bars].
func (a *Account) Bars(ctx context.Context, r BarsRequest) (bars []Bar, more bool, err error) {
	p, err := ask(ctx, a, func(c *Client) (p page[Bar], err error) {
		p.list, p.more, err = c.Bars(ctx, r)
		return p, err
	})
	return p.list, p.more, err
}

// Trades asks for trades of an instrument, by anybody, see [Client.Trades].
func (a *Account) Trades(ctx context.Context, r TradesRequest) (trades []TapeTrade, more bool, err error) {
	p, err := ask(ctx, a, func(c *Client) (p page[TapeTrade], err error) {
		p.list, p.more, err = c.Trades(ctx, r)
		return p, err
	})
	return p.list, p.more, err
}

// Clock asks for the time of a market, such as SH or XSHG, and when it opens and closes next.
func (a *Account) Clock(ctx context.Context, market string) (*Clock, error) {
	return ask(ctx, a, func(c *Client) (*Clock, error) { return c.Clock(ctx, market) })
}

// Calendar asks for the trading days of a market, see [Client.Calendar].
func (a *Account) Calendar(ctx context.Context, market, from, to string) ([]CalendarDay, error) {
	return ask(ctx, a, func(c *Client) ([]CalendarDay, error) { return c.Calendar(ctx, market, from, to) })
}

// Ping asks the server for a sign of life.
func (a *Account) Ping(ctx context.Context) error {
	_, err := ask(ctx, a, func(c *Client) (struct{}, error) { return struct{}{}, c.Ping(ctx) })
	return err
}

// Subscribe sets the topics that this connection and all later ones are subscribed to,
// replacing those before. Without topics it ends all subscriptions. It returns when the server
// has agreed; from then on Next returns what the topics deliver.
func (a *Account) Subscribe(ctx context.Context, topics ...Topic) error {
	return a.resubscribe(ctx, subscribed{topics: topics})
}

// SubscribeQuotes does what Subscribe does, with the quotes that o says among the topics.
func (a *Account) SubscribeQuotes(ctx context.Context, o QuotesOptions, topics ...Topic) error {
	return a.resubscribe(ctx, subscribed{withQuotes(topics), o})
}

// resubscribe subscribes to other topics. If the server refuses them, those before stay.
func (a *Account) resubscribe(ctx context.Context, to subscribed) error {
	if _, err := to.message(); err != nil {
		return err
	}
	mine := to.clone()
	a.mu.Lock()
	before := a.subscribed
	a.subscribed = mine
	a.mu.Unlock()
	for {
		c, err := a.connection(ctx)
		if err != nil {
			return err
		}
		err = a.requestError(c, a.subscribe(ctx, c, true))
		switch {
		case errors.Is(err, ErrDisconnected):
			continue
		case err != nil && ctx.Err() == nil && a.failure() == nil:
			a.mu.Lock()
			if a.subscribed == mine {
				a.subscribed = before
			}
			a.mu.Unlock()
		}
		return err
	}
}

// subscribe sends the current topics to the server. If there are none it sends that only if
// sendEmpty is set.
func (a *Account) subscribe(ctx context.Context, c *Client, sendEmpty bool) error {
	waiting := newCall(codec.TypeSubscribed)
	if sent, err := a.sendTopics(ctx, c, waiting, sendEmpty); !sent || err != nil {
		return err
	}
	_, err := c.await(ctx, waiting)
	return err
}

// sendTopics serialises the sending of topics, so that the topics sent last are those set last.
func (a *Account) sendTopics(ctx context.Context, c *Client, waiting *call, sendEmpty bool) (sent bool, err error) {
	a.subscribing.Lock()
	defer a.subscribing.Unlock()
	a.mu.Lock()
	to := a.subscribed
	a.mu.Unlock()
	if len(to.topics) == 0 && !sendEmpty {
		return false, nil
	}
	request, err := to.message()
	if err != nil {
		return false, err
	}
	return true, c.send(ctx, codec.TypeSubscribe, waiting, request)
}

// ask runs a request on the current connection.
func ask[T any](ctx context.Context, a *Account, question func(*Client) (T, error)) (answer T, err error) {
	c, err := a.connection(ctx)
	if err != nil {
		return answer, err
	}
	answer, err = question(c)
	return answer, a.requestError(c, err)
}

// requestError turns a connection's error into the one that the account's caller gets:
// [ErrDisconnected] if the connection ended, the account's own reason if the account ended.
func (a *Account) requestError(c *Client, err error) error {
	end := c.Err()
	if err == nil || end == nil || !errors.Is(err, end) {
		return err
	}
	if why := a.failure(); why != nil {
		return why
	}
	return fmt.Errorf("%w: %w", ErrDisconnected, end)
}
