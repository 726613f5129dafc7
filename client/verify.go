package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
)

// Between two attempts to compare, where the server was busy or the answer came in another place.
const (
	firstPause   = 50 * time.Millisecond
	longestPause = 2 * time.Second
)

// Verify compares the state with the server's, by their hashes as of exactly the same sequence: State with all
// applied that waits for Next. A difference is a [*StateMismatch]; the account then replaces the state by a snapshot,
// which Next tells. The same is done after every reconnect without being asked.
func (a *Account) Verify(ctx context.Context) error {
	c, err := a.connection(ctx)
	if err != nil {
		return err
	}
	if err = a.compare(ctx, c); errors.Is(err, ErrStateHash) {
		return err
	}
	return a.broken(c, err)
}

// compare compares the state with the server's holdings, in their place in the stream: the reader does it before it reads
// on, with what waits for Next applied to a copy. A mismatch ends the connection; the next one begins with a snapshot.
func (a *Account) compare(ctx context.Context, c *Client) error {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := a.compareOnce(ctx, c)
		var reject *Reject
		var elsewhere *elsewhereError
		var mismatch *StateMismatch
		switch {
		case errors.As(err, &mismatch):
			c.fail(err)
			return err
		case !errors.As(err, &reject) && !errors.As(err, &elsewhere):
			return err
		}
		select {
		case <-time.After(max(pause, retryAfterOf(err))):
		case <-c.done:
			return c.err
		case <-ctx.Done():
			return fmt.Errorf("%w; before that: %w", ctx.Err(), err)
		}
	}
}

// compareOnce asks once. The error is a [*StateMismatch], or why there is no comparison.
func (a *Account) compareOnce(ctx context.Context, c *Client) error {
	var found error // by the reader, before it answers
	waiting := newCall(codec.TypeHoldingsReply)
	waiting.placed = func(h *Holdings) { found = a.differs(h) }
	if err := c.send(ctx, codec.TypeHoldings, waiting, &papertapev1.HoldingsRequest{}); err != nil {
		return err
	}
	if _, err := c.await(ctx, waiting); err != nil {
		return err
	}
	return found
}

// differs compares holdings that came just now with the state as it is at this place in the stream.
func (a *Account) differs(h *Holdings) error {
	ahead := a.stream.ahead()
	if ahead.Seq != h.AsOfSeq {
		return &elsewhereError{ahead.Seq, h.AsOfSeq}
	}
	if hash := ahead.Hash(); hash != h.StateHash {
		return &StateMismatch{Account: a.o.Account, Seq: ahead.Seq, Local: hash, Server: h.StateHash}
	}
	return nil
}

// elsewhereError says that holdings came after later events than those in them, which a server may do, so that there is
// nothing to compare them with.
type elsewhereError struct{ local, holdings uint64 }

func (e *elsewhereError) Error() string {
	return fmt.Sprintf("the holdings as of seq %d came when seq %d had come already", e.holdings, e.local)
}
