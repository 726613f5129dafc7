package gateway

import (
	"fmt"

	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// Call is one request that uses a message type of the embedder.
type Call struct {
	Session *Session
	Account uint64
	Time    int64          // of this step, in nanoseconds since the Unix epoch
	Prices  *market.Prices // the snapshot of this step
	View    positions.View // the account; valid only during the call
	Payload []byte         // a copy, which the handler may keep
}

// Answer is the handler's answer to a call. Exactly one of Order, Reject and Type is set.
type Answer struct {
	// Order is executed as if the session had sent it, and answered with its EXECUTION or its
	// REJECT. This is the only way to change a book. The gateway sets its account and origin.
	Order *positions.Order

	// Reject refuses the call. Its field Fatal is ignored.
	Reject *codec.Error

	// Type and Payload are the reply, sent with REPLY and the request's id.
	Type    codec.Type
	Payload []byte
}

// Handler handles a message type of the embedder. It runs on the drainer of the account's shard: it
// sees the account between two orders, must not block, and holds up the shard while it works. A
// panic is answered INTERNAL.
type Handler func(*Call) Answer

// Handle routes a message type of the embedder's range (codec.TypeEmbedder and above) to h, for
// sessions that are logged in. It must be called before Serve. A type outside the range, or one
// that already has a handler, is a programming error and panics.
func (g *Gateway) Handle(t codec.Type, h Handler) {
	switch {
	case t < codec.TypeEmbedder:
		panic(fmt.Sprintf("gateway: Handle of type %#x: the embedder's range begins at %#x",
			uint16(t), uint16(codec.TypeEmbedder)))
	case g.handlers[t] != nil:
		panic(fmt.Sprintf("gateway: Handle of type %#x, which has a handler", uint16(t)))
	case g.engine != nil:
		panic("gateway: Handle after Serve")
	}
	g.handlers[t] = h
}

// embedded is a call under way. To the engine it is a Decider.
type embedded struct {
	session  *Session
	handler  Handler
	payload  []byte
	readOnly bool
	answer   Answer // owned by the drainer
}

// Decide runs the handler.
func (e *embedded) Decide(
	v positions.View, prices *market.Prices, now int64, _ uint64, orders []positions.Order,
) []positions.Order {
	e.answer = e.handler(&Call{
		Session: e.session, Account: v.Account(), Time: now, Prices: prices, View: v, Payload: e.payload,
	}).unlessReadOnly(e.readOnly)
	if e.answer.Order == nil {
		return orders
	}
	o := *e.answer.Order
	o.Origin = positions.OriginClient
	return append(orders, o)
}

// Done does nothing: the publisher answers the session.
func (e *embedded) Done(uint64, []positions.Event, positions.Refusal) {}

// embed passes a message of the embedder to the account's shard. It returns false if its type has
// no handler.
func (l *loop) embed(s *Session, f codec.Frame) bool {
	h := l.gw.handlers[f.Type]
	if h == nil {
		return false
	}
	if r := l.add(s, f, engine.KindDecide); r != nil {
		r.Decider = &embedded{
			session: s, handler: h, payload: append([]byte(nil), f.Payload...), readOnly: s.readOnly(),
		}
	}
	return true
}

// declined answers a call whose handler returned no order.
func (p *publisher) declined(id uint64, d engine.Decider) {
	e, ok := d.(*embedded)
	switch {
	case ok && e.answer.Reject != nil:
		p.countReject(e.answer.Reject.Code)
		p.frame = codec.AppendReject(p.frame[:0], id, e.answer.Reject.Code, e.answer.Reject.Text, 0)
	case ok && e.answer.Type >= codec.TypeEmbedder && len(e.answer.Payload) <= codec.LimitToClient-12:
		p.frame = codec.AppendFrame(p.frame[:0], e.answer.Type, codec.FlagReply, id, e.answer.Payload)
	default:
		p.failed(id, nil, engine.FailureInternal)
	}
}
