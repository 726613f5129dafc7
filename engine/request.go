package engine

import (
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// Kind is the kind of a Request.
type Kind uint8

// The kinds of request that go through the inbox of a shard.
const (
	KindOrder    Kind = iota + 1 // uses Order
	KindHoldings                 // the account's current holdings; for a session
	KindHistory                  // uses Before and Limit; for a session
	KindDecide                   // uses Decider and Arg
)

// Request is one piece of work for the shard of its account.
type Request struct {
	Kind    Kind
	Limit   int32           // KindHistory: how many events
	Account uint64          // the account it concerns
	Session *Session        // who sent it; nil: nobody waits for the answer
	ID      uint64          // of the request, for the answer
	Before  uint64          // KindHistory: the newest events below this sequence; 0: the newest of all
	Arg     uint64          // KindDecide: passed to Decider
	Asked   int64           // when it was read, by tally.Now; 0: nobody measures how long it takes
	Decider Decider         // KindDecide
	Order   positions.Order // KindOrder; the engine sets its account
}

// Decider makes orders after looking at the account, for a caller that must see the book in order
// to change it, such as the simulator. It runs on the drainer of the account's shard, must not
// block, and may not keep the view or orders.
//
// Its orders are decided one after the other, with nothing between them, up to the first that is
// not executed. That one ends the command, and the orders after it are not decided at all.
// Executions before it stand. A Decider that needs all or nothing has to make sure of it from the
// view. All events of a command are in one commit, so a crash leaves all of them or none.
//
// If a session waits for the answer, the event of the first order is its EXECUTION, and all other
// events reach it as EVENTs. If no order was executed, the session gets the outcome of the first
// one: refused, failed, or executed before under its id. So if a later order is not executed, only
// Done learns of it. Order ids and the account's rate apply to each order separately. If no session
// waits, ids are ignored: there is no client that could repeat the order.
type Decider interface {
	// Decide appends its orders to orders, which is empty, and returns them; it may make none. The
	// engine sets their account. now is the time that their events would have.
	Decide(v positions.View, prices *market.Prices, now int64, arg uint64, orders []positions.Order) []positions.Order

	// Done receives the result after the commit. events[i] is the event of order i, valid only
	// during the call. If there are fewer events than orders, the next order is the one that ended
	// the command: r says why if the book refused it, and is zero if it failed for another reason
	// (Failure) or was executed before under its id.
	Done(arg uint64, events []positions.Event, r positions.Refusal)
}
