package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
)

// Waits between two attempts to compare, if the server was busy or the sequences differed.
const (
	comparePauseShortest = 50 * time.Millisecond
	comparePauseLongest  = 2 * time.Second
)

// Verify compares the state with the server's by their hashes as of exactly the same sequence.
// The state compared is State with everything applied that waits for Next. A difference is a
// [*StateMismatch]; the account then replaces the state by a snapshot, which Next reports.
// Every reconnect makes this comparison by itself.
func (a *Account) Verify(ctx context.Context) error {
	c, err := a.connection(ctx)
	if err != nil {
		return err
	}
	if err = a.compare(ctx, c); errors.Is(err, ErrStateHash) {
		return err
	}
	return a.requestError(c, err)
}

// compare compares the state with the server's holdings at their place in the stream: the
// reader does it before it reads on, and applies what waits for Next to a copy of the state. A
// mismatch ends the connection, and the next one begins with a snapshot.
func (a *Account) compare(ctx context.Context, c *Client) error {
	for pause := comparePauseShortest; ; pause = min(2*pause, comparePauseLongest) {
		err := a.compareOnce(ctx, c)
		var reject *Reject
		var laterEvents *laterEventsError
		var mismatch *StateMismatch
		switch {
		case errors.As(err, &mismatch):
			c.fail(err)
			return err
		case !errors.As(err, &reject) && !errors.As(err, &laterEvents):
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

// compareOnce makes one attempt. The error is a [*StateMismatch], or why there was no
// comparison.
func (a *Account) compareOnce(ctx context.Context, c *Client) error {
	var found error // set by the reader before it delivers the answer
	waiting := newCall(codec.TypeHoldingsReply)
	waiting.onHoldings = func(h *Holdings) { found = a.compareHoldings(h) }
	if err := c.send(ctx, codec.TypeHoldings, waiting, &papertapev1.HoldingsRequest{}); err != nil {
		return err
	}
	if _, err := c.await(ctx, waiting); err != nil {
		return err
	}
	return found
}

// compareHoldings compares holdings that have just arrived with the state at this place in the
// stream.
func (a *Account) compareHoldings(h *Holdings) error {
	ahead := a.stream.stateAfterQueue()
	if ahead.Seq != h.AsOfSeq {
		return &laterEventsError{ahead.Seq, h.AsOfSeq}
	}
	if hash := ahead.Hash(); hash != h.StateHash {
		return &StateMismatch{Account: a.options.Account, Seq: ahead.Seq, Local: hash, Server: h.StateHash}
	}
	return nil
}

// laterEventsError says that events later than the holdings came before them. A server may do
// that; there is then no state to compare the holdings with.
type laterEventsError struct{ local, holdings uint64 }

func (e *laterEventsError) Error() string {
	return fmt.Sprintf("the holdings as of seq %d came when seq %d had come already", e.holdings, e.local)
}
