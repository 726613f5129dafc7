package load

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
)

// state is the stage of a connection.
type state uint8

const (
	away       state = iota // not connected, or ended
	connecting              // waiting for the socket to connect
	greeting                // waiting for WELCOME
	loggingIn               // waiting for the LOGIN reply
	live
)

// pendingRequest is a request that waits for its answer.
type pendingRequest struct {
	id   uint64 // 0: the slot is free
	at   int64
	kind kind
}

// conn is one connection. It is owned by its worker's loop.
type conn struct {
	fd      int32
	state   state
	stalled bool
	sell    bool // whether the next order is a sale
	account uint64
	number  int
	lastID  uint64
	sentAt  int64 // when something was last sent

	seq  uint64 // of the account, as seen on this connection
	have int64  // shares held of the ordered instrument

	waiting []pendingRequest // a ring: id n is at n mod its length, a power of two
	pending []byte           // the start of an incomplete frame
	unsent  []byte           // what the socket has not accepted yet
	sealed  *sealed          // TLS; nil: none
}

// ask appends a request to out. Its latency counts from at.
func (w *worker) ask(out []byte, c *conn, k kind, at int64) []byte {
	c.lastID++
	slot := c.slot(c.lastID)
	*slot = pendingRequest{id: c.lastID, at: at, kind: k}
	w.tally.sent[k]++
	return appendRequest(out, w.frames[k], c.lastID)
}

// slot returns the slot for a new id, and enlarges the ring if it is full.
func (c *conn) slot(id uint64) *pendingRequest {
	for {
		if n := uint64(len(c.waiting)); n > 0 {
			if slot := &c.waiting[id%n]; slot.id == 0 {
				return slot
			}
		}
		larger := make([]pendingRequest, max(1, 2*len(c.waiting)))
		for _, a := range c.waiting {
			if a.id != 0 {
				larger[a.id%uint64(len(larger))] = a
			}
		}
		c.waiting = larger
	}
}

// nextKind draws the kind of a connection's next request. Orders alternate between buying
// and selling, so that they can continue for ever.
func (w *worker) nextKind(c *conn) kind {
	if q := w.plan.Queries; q > 0 && w.rng.Float64() < q {
		return kindQuery
	}
	c.sell = !c.sell
	if c.sell {
		return kindBuy
	}
	return kindSell
}

// sendRaw writes b, and keeps what the socket does not accept.
func (w *worker) sendRaw(c *conn, b []byte) {
	c.sentAt = w.now
	if len(c.unsent) > 0 {
		c.unsent = append(c.unsent, b...)
		return
	}
	n, err := write(int(c.fd), b)
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		w.ended(c, fmt.Errorf("write: %w", err))
		return
	}
	if n < len(b) {
		c.unsent = append(c.unsent, b[n:]...)
		w.watch(c)
	}
}

// flush sends what was kept.
func (w *worker) flush(c *conn) {
	if len(c.unsent) == 0 {
		return
	}
	n, err := write(int(c.fd), c.unsent)
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		w.ended(c, fmt.Errorf("write: %w", err))
		return
	}
	c.unsent = append(c.unsent[:0], c.unsent[n:]...)
	if len(c.unsent) == 0 {
		c.unsent = nil
		w.watch(c)
	}
}

// receive reads once and handles the frames read. It returns the number of requests
// answered.
func (w *worker) receive(c *conn) (answers int) {
	have := copy(w.in, c.pending)
	var n int
	var err error
	if c.sealed == nil {
		n, err = read(int(c.fd), w.in[have:])
	} else {
		n, err = w.readSealed(c, w.in[have:])
	}
	switch {
	case errors.Is(err, unix.EAGAIN):
		return 0
	case err != nil:
		w.ended(c, fmt.Errorf("read: %w", err))
		return 0
	case n == 0:
		w.ended(c, errors.New("the server closed it"))
		return 0
	}
	w.tally.bytes += uint64(n)
	in := w.in[:have+n]
	for {
		f, n, err := codec.Cut(in, codec.LimitToClient)
		if err != nil {
			w.ended(c, err)
			return answers
		}
		if n == 0 {
			break
		}
		in = in[n:]
		if w.handleFrame(c, &f) {
			answers++
		}
		if c.state == away {
			return answers
		}
	}
	c.keep(in)
	return answers
}

// keep stores an incomplete frame. An idle connection holds no memory for it.
func (c *conn) keep(in []byte) {
	if len(in) == 0 && len(c.waiting) == 0 {
		c.pending = nil
		return
	}
	c.pending = append(c.pending[:0], in...)
}

// handleFrame handles one frame. answered reports whether it answered a request of the load.
func (w *worker) handleFrame(c *conn, f *codec.Frame) (answered bool) {
	if w.plan.Echo {
		return w.answer(c, f.ID)
	}
	switch f.Type {
	case codec.TypeExecution:
		w.tally.executions++
		w.handleEvent(c, f, true)
		return w.answer(c, f.ID)
	case codec.TypeEvent:
		w.tally.events++
		w.handleEvent(c, f, w.plan.Mode != Receive)
	case codec.TypeHoldingsReply:
		w.checkHoldings(c, f)
		return w.answer(c, f.ID)
	case codec.TypeQuotes:
		w.tally.quotes++
		w.countPrices(c, f)
	case codec.TypeReject:
		return w.reject(c, f)
	case codec.TypePing:
		w.send(c, codec.AppendPong(nil, f.ID, 0))
	case codec.TypePong, codec.TypeSubscribed, codec.TypePresence:
	case codec.TypeWelcome:
		w.login(c, f)
	case codec.TypeLoginReply:
		w.loggedIn(c, f)
	case codec.TypeGoodbye:
		w.goodbye(c, f)
	default:
		w.tally.addFinding("connection %d: a %s, which nobody asked for", c.number, f.Type)
	}
	return false
}

// answer records that the request with that id was answered.
func (w *worker) answer(c *conn, id uint64) bool {
	if n := uint64(len(c.waiting)); n > 0 {
		if slot := &c.waiting[id%n]; slot.id == id && id != 0 {
			record(w.tally.latency[slot.kind], w.now-slot.at)
			w.tally.answered[slot.kind]++
			slot.id = 0
			return true
		}
	}
	w.tally.addFinding("connection %d: an answer with id %d, and no request with this id waits for one", c.number, id)
	return false
}

// handleEvent handles an event. It must be for the connection's account and must be the next
// one. If whole is set, the event is decoded completely, and its row must follow from the
// previous row.
func (w *worker) handleEvent(c *conn, f *codec.Frame, whole bool) {
	var e event
	ok := false
	if whole {
		ok = decodeEvent(f.Payload, &e)
	} else {
		ok = decodeHead(f.Payload, &e)
	}
	if !ok {
		w.tally.addFinding("connection %d: an event that does not parse: %x", c.number, f.Payload)
		return
	}
	if e.account != c.account || e.seq != c.seq+1 {
		w.tally.addFinding("connection %d: event %d of account %d; the next one here is %d of account %d",
			c.number, e.seq, e.account, c.seq+1, c.account)
	}
	c.seq = e.seq
	if f.Type == codec.TypeEvent {
		if lag, ok := w.lag.since(w.now, e.time); ok {
			record(w.tally.pushLag, lag)
		}
	}
	if !whole || !e.ours {
		return
	}
	if e.held != c.have+e.traded {
		w.tally.addFinding("connection %d: event %d of account %d trades %d of %s.%s, and %d became %d",
			c.number, e.seq, e.account, e.traded, orderMarket, orderCode, c.have, e.held)
	}
	c.have = e.held
}

// checkHoldings checks an answer: it must be for the account, and must not include events not
// yet seen.
func (w *worker) checkHoldings(c *conn, f *codec.Frame) {
	var e event
	switch {
	case !decodeHoldings(f.Payload, &e):
		w.tally.addFinding("connection %d: holdings that do not parse: %x", c.number, f.Payload)
	case e.account != c.account || e.seq > c.seq:
		w.tally.addFinding("connection %d: holdings of account %d as of %d; it is of account %d and has seen %d",
			c.number, e.account, e.seq, c.account, c.seq)
	case e.seq == c.seq && e.held != c.have:
		w.tally.addFinding("connection %d: account %d holds %d of %s.%s as of %d by its list, and %d by its events",
			c.number, c.account, e.held, orderMarket, orderCode, e.seq, c.have)
	}
}

// countPrices counts the prices in a QUOTES frame.
func (w *worker) countPrices(c *conn, f *codec.Frame) {
	var e field
	for p := f.Payload; len(p) > 0; {
		var ok bool
		if p, ok = nextField(p, &e); !ok {
			w.tally.addFinding("connection %d: quotes that do not parse: %x", c.number, f.Payload)
			return
		}
		w.tally.prices++
	}
}

// reject counts a REJECT. Before login it ends the attempt.
func (w *worker) reject(c *conn, f *codec.Frame) bool {
	var r papertapev1.Reject
	if err := codec.Unmarshal(f.Payload, &r); err != nil {
		w.tally.addFinding("connection %d: %v", c.number, err)
		return false
	}
	if c.state != live {
		w.ended(c, fmt.Errorf("login was refused: %s", r.GetText()))
		return false
	}
	w.tally.rejects[r.GetCode().String()]++
	return w.answer(c, f.ID)
}

func (w *worker) goodbye(c *conn, f *codec.Frame) {
	var g papertapev1.Goodbye
	if err := codec.Unmarshal(f.Payload, &g); err != nil {
		w.tally.addFinding("connection %d: %v", c.number, err)
		return
	}
	w.ended(c, fmt.Errorf("goodbye: %s %s", g.GetReason(), g.GetText()))
}
