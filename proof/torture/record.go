package torture

import (
	"errors"
	"hash/fnv"
	"sync"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/proof/shadow"
)

// account records what clients were told about one account by any server, and what they asked for.
// It outlives the servers.
type account struct {
	number   uint64
	findings *findings

	unanswered unsettled[*order]
	undecided  unsettled[*takeback]
	unbooked   unsettled[*booking]

	mu        sync.Mutex           // guards what follows
	digests   []uint64             // of the events; digests[0] is that of sequence 1
	orders    map[string]*order    // by client order id
	executed  []*order             // by sequence
	takebacks map[string]*takeback // by bust id
	carried   []*takeback          // by sequence
	bookings  map[string]*booking  // by request id
	posted    []*booking           // by sequence
	recent    []shownTrade         // the last trades, at most recentMax
	checked   int                  // number of executed whose answers were compared with the stream
	read      uint64               // after a kill, the witness's stream has been compared up to here
}

// order is an order that was sent at least once. The account's mutex guards it.
type order struct {
	request
	message client.Order
	digest  uint64 // of the event in the answer
}

func newAccount(number uint64, f *findings) *account {
	return &account{
		number: number, findings: f, orders: make(map[string]*order), takebacks: make(map[string]*takeback),
		bookings: make(map[string]*booking),
	}
}

// digest hashes the whole content of an event.
func digest(ev *client.Event) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(shadow.EventBytes(ev))
	return h.Sum64()
}

// newestSeq returns the newest sequence that any client was told.
func (a *account) newestSeq() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return uint64(len(a.digests))
}

// heard records an event of a stream. fresh says that no client was told of it before.
func (a *account) heard(ev *client.Event) (fresh bool) {
	seq, d := ev.Seq, digest(ev)
	a.mu.Lock()
	defer a.mu.Unlock()
	switch top := uint64(len(a.digests)); {
	case seq == 0 || seq > top+1:
		a.findings.add(hole, 1, "account %d: event %d came when %d was the newest", a.number, seq, top)
		return false
	case seq <= top:
		if a.digests[seq-1] != d {
			a.findings.add(changed, 1, "account %d: event %d is not what it was when it was first told", a.number, seq)
		}
	default:
		a.digests = append(a.digests, d)
		fresh = true
	}
	if b := ev.Bust; b != nil {
		a.takenBack(b, seq)
	}
	a.booked(ev)
	if t := ev.Trade; t != nil && fresh {
		a.rememberTrade(seq, t)
	}
	if id := orderOf(ev); id != "" {
		a.traded(id, seq)
	}
	return fresh
}

// orderOf returns the client order id of an event's trade, or none.
func orderOf(ev *client.Event) string {
	if ev.Trade == nil {
		return ""
	}
	return ev.Trade.ClientOrderID
}

// traded records which event an order led to. The caller holds the mutex.
func (a *account) traded(id string, seq uint64) {
	o := a.orders[id]
	switch {
	case o == nil:
		a.findings.add(other, 1, "account %d: event %d is of order %q, which nobody sent", a.number, seq, id)
	case o.refused:
		a.findings.add(other, 1, "account %d: event %d is of order %q, which was refused", a.number, seq, id)
	case o.seq == 0:
		o.seq = seq
		a.executed = append(a.executed, o)
	case o.seq != seq:
		a.findings.add(twice, 1, "account %d: order %q was executed twice, as event %d and as event %d", a.number, id,
			o.seq, seq)
	}
}

// orderSent records an order before it is sent.
func (a *account) orderSent(o *order) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.orders[o.message.ClientOrderID] = o
	o.sent++
}

// orderExecuted records the execution in the answer to an order.
func (a *account) orderExecuted(o *order, ev *client.Event) {
	seq, d, id := ev.Seq, digest(ev), o.message.ClientOrderID
	a.mu.Lock()
	defer a.mu.Unlock()
	before := o.known()
	switch {
	case orderOf(ev) != id:
		a.findings.add(other, 1, "account %d: order %q was answered with event %d, of order %q", a.number, id, seq,
			orderOf(ev))
	case before != 0 && before != seq, !ev.Replay && o.answered != 0:
		a.findings.add(twice, 1, "account %d: order %q, executed as event %d, was answered with event %d", a.number,
			id, before, seq)
	case o.answered != 0 && o.digest != d:
		a.findings.add(changed, 1, "account %d: order %q was answered differently the second time, with event %d",
			a.number, id, seq)
	case ev.Replay && o.sent == 1:
		a.findings.add(other, 1, "account %d: order %q, sent once, was answered as a repeat", a.number, id)
	}
	o.answered, o.digest = seq, d
}

// orderRefused records that an order was not executed. The order is settled unless the refusal leaves the
// outcome open.
func (a *account) orderRefused(o *order, r *client.Reject) (settled bool) {
	switch r.Code {
	case client.Busy, client.Draining, client.ReadOnly:
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if o.seq != 0 || o.answered != 0 {
		a.findings.add(other, 1, "account %d: order %q, executed as event %d, was refused: %v", a.number,
			o.message.ClientOrderID, max(o.seq, o.answered), r)
	}
	o.refused = true
	return true
}

// rememberedMax is how many order ids of an account a server remembers. The idsSpare oldest of them
// may be forgotten while the server is asked.
const (
	rememberedMax = 4096
	idsSpare      = 256
)

// answeredOrder picks an executed order whose id the server must still know: the n-th, modulo their
// number. It returns nil if there are none.
func (a *account) answeredOrder(n int) *order {
	a.mu.Lock()
	defer a.mu.Unlock()
	known := a.executed[max(0, len(a.executed)-rememberedMax+idsSpare):]
	if len(known) == 0 {
		return nil
	}
	if o := known[n%len(known)]; o.answered != 0 {
		return o
	}
	return nil
}

// settle compares the answers since the last call with the events of the stream. The connections
// must have ended, and delivered all that they had.
func (a *account) settle() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, o := range a.executed[a.checked:] {
		if o.answered != 0 && (o.answered != o.seq || a.digests[o.seq-1] != o.digest) {
			a.findings.add(changed, 1, "account %d: order %q was answered with event %d, and the stream has it "+
				"as event %d, or otherwise",
				a.number, o.message.ClientOrderID, o.answered, o.seq)
		}
	}
	a.checked = len(a.executed)
}

// unconfirmed reports the answers that no event of a stream has confirmed. They were acknowledged
// all the same.
func (a *account) unconfirmed() (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, o := range a.orders {
		if o.answered != 0 && o.seq == 0 {
			a.findings.add(lost, 1, "account %d: order %q was answered with event %d, which no stream has", a.number,
				o.message.ClientOrderID, o.answered)
			n++
		}
	}
	for _, b := range a.takebacks {
		if b.answered != 0 && b.seq == 0 {
			a.findings.add(lost, 1, "account %d: bust id %q was answered with event %d, which no stream has",
				a.number, b.id, b.answered)
			n++
		}
	}
	return n + a.unconfirmedBookings()
}

// asReject returns the refusal in an error, or nil.
func asReject(err error) *client.Reject {
	var r *client.Reject
	if errors.As(err, &r) {
		return r
	}
	return nil
}
