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

// Decider makes orders while it looks at the account: this is how a book is changed by somebody who has to see it
// first, as the simulator does. It runs on the drainer of the account's shard, must not block, and keeps nothing of
// the view or of orders.
//
// Its orders are decided one after the other, as if nothing came between them, up to the first that is not executed:
// that one ends the command, and those after it are not decided at all. What was executed before it stands; whoever
// needs all or nothing has to make sure of it by what it sees in the view. All events of a command are in one commit,
// so a crash leaves all of them or none.
//
// Where a session waits for the answer, the event of the first order is its EXECUTION, and all others reach it as
// EVENTs. If no order was executed, it is answered with what the first one came to: refused, failed, or executed
// before under its id. So of an order after the first that was not executed only Done hears. An id and the account's
// rate count for each order by itself. Where no session waits, ids are ignored: nobody asked, so nobody asks again.
type Decider interface {
	// Decide appends its orders to orders, which is empty, and returns them; none is an answer too. Their account is
	// set by the engine; now is the time that their events would have.
	Decide(v positions.View, prices *market.Prices, now int64, arg uint64, orders []positions.Order) []positions.Order

	// Done is told what became of it, after the commit. events[i] is that of order i, and good during the call only.
	// Where there are fewer events than orders, the next order is the one that ended it: r says why if the book
	// refused it, and is zero if it failed for another reason (Failure) or was executed before under its id.
	Done(arg uint64, events []positions.Event, r positions.Refusal)
}
