package client

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/papertape/papertape/codec"
)

// Holdings asks for the account as the server has it now. The events up to its as_of_seq wait for Next, or were handed out,
// before it returns.
//
// Holdings, History, Instruments, Ping and Verify wait for a connection while there is none, until ctx ends. Where it breaks
// before the answer comes, the error is [ErrDisconnected].
func (a *Account) Holdings(ctx context.Context) (*Holdings, error) {
	return ask(ctx, a, func(c *Client) (*Holdings, error) { return c.Holdings(ctx) })
}

// History asks for at most limit events (0: 20, at most 100) with sequences below before (0: from the head), newest
// first. The server may send fewer; the end is reached at the answer's oldest_seq.
func (a *Account) History(ctx context.Context, before uint64, limit int) (*History, error) {
	return ask(ctx, a, func(c *Client) (*History, error) { return c.History(ctx, before, limit) })
}

// Instruments asks for instruments and their prices, by codes such as "SH.600519"; without codes for the first 500.
func (a *Account) Instruments(ctx context.Context, codes ...string) ([]Instrument, error) {
	return ask(ctx, a, func(c *Client) ([]Instrument, error) { return c.Instruments(ctx, codes...) })
}

// Ping asks the server for a sign of life.
func (a *Account) Ping(ctx context.Context) error {
	_, err := ask(ctx, a, func(c *Client) (struct{}, error) { return struct{}{}, c.Ping(ctx) })
	return err
}

// Subscribe sets the topics that this connection and all later ones are subscribed to, in place of those before; without
// topics there are none. It returns when the server has agreed, and then Next hands out what comes of it.
func (a *Account) Subscribe(ctx context.Context, topics ...Topic) error {
	if _, err := subscription(topics); err != nil {
		return err
	}
	a.mu.Lock()
	a.topics = slices.Clone(topics)
	a.mu.Unlock()
	for {
		c, err := a.connection(ctx)
		if err != nil {
			return err
		}
		if err = a.broken(c, a.subscribe(ctx, c, true)); !errors.Is(err, ErrDisconnected) {
			return err
		}
	}
}

// subscribe tells the server the topics as they are now; none only if that is news.
func (a *Account) subscribe(ctx context.Context, c *Client, none bool) error {
	waiting := newCall(codec.TypeSubscribed)
	if sent, err := a.sendTopics(ctx, c, waiting, none); !sent || err != nil {
		return err
	}
	_, err := c.await(ctx, waiting)
	return err
}

// sendTopics sends one after the other, so that the topics sent last are those set last.
func (a *Account) sendTopics(ctx context.Context, c *Client, waiting *call, none bool) (sent bool, err error) {
	a.subscribing.Lock()
	defer a.subscribing.Unlock()
	a.mu.Lock()
	topics := a.topics
	a.mu.Unlock()
	if len(topics) == 0 && !none {
		return false, nil
	}
	request, err := subscription(topics)
	if err != nil {
		return false, err
	}
	return true, c.send(ctx, codec.TypeSubscribe, waiting, request)
}

// ask asks on the connection that there is.
func ask[T any](ctx context.Context, a *Account, question func(*Client) (T, error)) (answer T, err error) {
	c, err := a.connection(ctx)
	if err != nil {
		return answer, err
	}
	answer, err = question(c)
	return answer, a.broken(c, err)
}

// broken is what an error of a connection is to the account's caller: the end of the connection is [ErrDisconnected],
// that of the account its own reason.
func (a *Account) broken(c *Client, err error) error {
	end := c.Err()
	if err == nil || end == nil || !errors.Is(err, end) {
		return err
	}
	if why := a.failure(); why != nil {
		return why
	}
	return fmt.Errorf("%w: %w", ErrDisconnected, end)
}
