package engine

import (
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// Kind says what a Request asks for.
type Kind uint8

// The kinds of request that go through the inbox of a shard.
const (
	KindOrder    Kind = iota + 1 // Order
	KindHoldings                 // the account now; of a session
	KindHistory                  // Before, Limit; of a session
	KindDecide                   // Decider, Arg
)

// Request is one piece of work for the shard of its account.
type Request struct {
	Kind    Kind
	Limit   int32           // KindHistory: how many events
	Account uint64          // that it concerns
	Session *Session        // who asks; nil: nobody waits for the answer
	ID      uint64          // of the request, for the answer
	Before  uint64          // KindHistory: newest first from below this sequence; 0: from the head
	Arg     uint64          // KindDecide: handed to Decider
	Decider Decider         // KindDecide
	Order   positions.Order // KindOrder; its account is set by the engine
}

// Decider makes an order while it looks at the account: this is how a book is changed by somebody who has to see it first,
// as the simulator does. It runs on the drainer of the account's shard, must not block, and keeps nothing of the view.
type Decider interface {
	// Decide returns the order, or false for none. The order's account is set by the engine; now is the time that its event
	// would have.
	Decide(v positions.View, prices *market.Prices, now int64, arg uint64) (positions.Order, bool)

	// Done is told what became of it, after the commit: executed (ev), refused, or no order at all (both zero).
	Done(arg uint64, ev *positions.Event, r positions.Refusal)
}
