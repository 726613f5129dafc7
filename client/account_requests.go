package client

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/papertape/papertape/codec"
)

// Holdings asks for the server's current holdings. All events up to their as_of_seq wait for
// Next, or have been returned by it, when Holdings returns.
//
// While there is no connection, Holdings, History, Instruments, Ping and Verify wait for one
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

// Ping asks the server for a sign of life.
func (a *Account) Ping(ctx context.Context) error {
	_, err := ask(ctx, a, func(c *Client) (struct{}, error) { return struct{}{}, c.Ping(ctx) })
	return err
}

// Subscribe sets the topics that this connection and all later ones are subscribed to,
// replacing those before. Without topics it ends all subscriptions. It returns when the server
// has agreed; from then on Next returns what the topics deliver.
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
		if err = a.requestError(c, a.subscribe(ctx, c, true)); !errors.Is(err, ErrDisconnected) {
			return err
		}
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
	topics := a.topics
	a.mu.Unlock()
	if len(topics) == 0 && !sendEmpty {
		return false, nil
	}
	request, err := subscription(topics)
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
