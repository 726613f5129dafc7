package torture

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/proof/shadow"
)

const (
	burstMax    = 4 // orders that a trader has in progress at the same time
	pauseMax    = 60 * time.Millisecond
	dialTimeout = 20 * time.Second
	callTimeout = 20 * time.Second
)

// traded are the instruments of the orders. Every server has them.
var traded = [...]struct{ market, code string }{
	{"SZ", "000001"}, {"SH", "600036"}, {"SH", "601398"}, {"SZ", "000002"}, {"SH", "600030"}, {"SZ", "000858"},
}

// trader is a client that comes back after every kill. One goroutine calls its methods, except
// where they say otherwise.
type trader struct {
	account *account
	name    string
	tls     *tls.Config // nil: none
	rng     *rand.Rand
	shadow  *shadow.Shadow // nil for a witness, who reads again what was told since the last kill
	epoch   *epoch
	placed  int
	// gets a value, if there is room, when an order is executed; nil if nobody wants to know
	began chan<- struct{}

	conn *client.Client
	end  chan struct{} // closed when the stream has ended and err is set
	err  error         // why the stream ended
	// Of the stream, by the goroutine that reads it.
	seq          atomic.Uint64 // the last sequence
	fresh, again atomic.Int64  // new events that nobody had been told; replayed events that somebody had
}

// epoch is the epoch that all servers of a run must have.
type epoch struct{ atomic.Uint64 }

// connect logs in and resumes where the stream broke off; a witness resumes where the account was
// compared last. The first login asks for everything. An error is not a breach; breaches go to the
// account's findings.
func (t *trader) connect(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	o := client.Options{Account: t.account.number, Name: t.name, Mode: client.ModeResume, Epoch: t.epoch.Load(),
		TLS: t.tls}
	if t.shadow != nil {
		o.LastSeq = t.shadow.Seq()
	} else {
		o.LastSeq = t.account.read
	}
	if o.Epoch == 0 {
		o.Mode = client.ModeRestart
	}
	known := t.account.newestSeq()
	c, err := client.Dial(ctx, addr, o)
	if err != nil {
		return err
	}
	t.conn, t.end, t.err = c, make(chan struct{}), nil
	t.seq.Store(o.LastSeq)
	t.judge(c, &o, known)
	go t.follow() // ends with the connection, which disconnect waits for
	return nil
}

// judge checks how the server took the login.
func (t *trader) judge(c *client.Client, o *client.Options, known uint64) {
	f, reply := t.account.findings, c.LoginReply()
	if now := c.Welcome().Epoch; !t.epoch.CompareAndSwap(0, now) && t.epoch.Load() != now {
		f.add(other, 1, "account %d: the epoch is %x, and was %x before the kill", t.account.number, now,
			t.epoch.Load())
	}
	if reply.Mode != o.Mode || reply.Resynced {
		f.add(other, 1, "account %d: the answer to a %v from event %d is a %v", t.account.number,
			papertapev1.ResumeMode(o.Mode), o.LastSeq, papertapev1.ResumeMode(reply.Mode))
	}
	if head := reply.HeadSeq; head < known {
		f.add(lost, int(known-head), "account %d: event %d was told before the kill, and the newest is %d now",
			t.account.number, known, head)
	}
	if oldest := reply.OldestSeq; oldest > 1 {
		f.add(lost, int(oldest-1), "account %d: the oldest event kept is %d", t.account.number, oldest)
	}
}

// follow reads the stream to its end.
func (t *trader) follow() {
	defer close(t.end)
	for {
		ev, err := t.conn.Next(context.Background())
		if err != nil {
			t.err = err
			t.judgeEnd(err)
			return
		}
		switch fresh := t.account.heard(ev); {
		case fresh:
			t.fresh.Add(1)
		case ev.Replay: // otherwise it came on the account's other connection first
			t.again.Add(1)
		}
		if t.shadow != nil {
			for _, finding := range t.shadow.Apply(ev) {
				t.account.findings.add(other, 1, "%s", finding)
			}
		}
		t.seq.Store(ev.Seq)
	}
}

// judgeEnd reports a breach if a connection ended in a way that a kill does not explain.
func (t *trader) judgeEnd(err error) {
	var gap *client.GapError
	var protocol *client.ProtocolError
	switch {
	case errors.As(err, &gap) && gap.Repeat():
		t.account.findings.add(twice, 1, "%v", err)
	case errors.As(err, &gap):
		t.account.findings.add(hole, 1, "%v", err)
	case errors.As(err, &protocol):
		t.account.findings.add(other, 1, "account %d: %v", t.account.number, err)
	}
}

// disconnect ends the connection, if there is one, and returns when all that arrived on it has been
// read.
func (t *trader) disconnect() {
	if t.conn == nil {
		return
	}
	_ = t.conn.Close()
	<-t.end
	t.conn = nil
}

// gone says whether the connection has ended.
func (t *trader) gone() bool {
	select {
	case <-t.end:
		return true
	default:
		return false
	}
}

// trade places orders until ctx or the connection ends.
func (t *trader) trade(ctx context.Context) {
	var burst sync.WaitGroup
	for ctx.Err() == nil && !t.gone() {
		for range 1 + t.rng.IntN(burstMax) {
			o := t.order()
			burst.Go(func() {
				if t.place(o) != nil {
					t.account.unanswered.leave(o)
				}
			})
		}
		burst.Wait()
		select {
		case <-time.After(time.Duration(t.rng.Int64N(int64(pauseMax)))):
		case <-ctx.Done():
		case <-t.end:
		}
	}
}

// order makes up the next order.
func (t *trader) order() *order {
	t.placed++
	in := traded[t.rng.IntN(len(traded))]
	side := client.Buy
	if t.rng.IntN(2) == 0 {
		side = client.Sell
	}
	return &order{message: client.Order{
		Side: side, Market: in.market, Code: in.code, Quantity: int64(1 + t.rng.IntN(3)),
		ClientOrderID: fmt.Sprintf("%s-%d", t.name, t.placed),
	}}
}

// place sends an order, for the first time or again, and records its answer. It returns an error if
// there was no answer, or one that leaves the outcome open. Any goroutine may call it.
func (t *trader) place(o *order) error {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	t.account.orderSent(o)
	ev, err := t.conn.Order(ctx, o.message)
	switch r := asReject(err); {
	case err == nil:
		t.account.orderExecuted(o, ev)
		select {
		case t.began <- struct{}{}:
		default:
		}
		return nil
	case r != nil && t.account.orderRefused(o, r):
		return nil
	}
	return err
}

// settle places an order until an answer settles its outcome. All traders ask at once for what has
// to be read from the disk, which a server may refuse with BUSY.
func (t *trader) settle(ctx context.Context, o *order) error {
	for {
		err := t.place(o)
		r := asReject(err)
		if r == nil {
			return err
		}
		select {
		case <-time.After(max(r.RetryAfter, 5*time.Millisecond)):
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

// compare asks for the holdings and compares them with the shadow. The account must be at rest.
func (t *trader) compare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	h, err := t.conn.Holdings(ctx)
	if err != nil {
		return err
	}
	if err := t.reach(ctx, h.AsOfSeq); err != nil {
		return err
	}
	for _, finding := range t.shadow.CheckHoldings(h) { // the stream is at rest, and so is the shadow
		t.account.findings.add(other, 1, "%s", finding)
	}
	return nil
}

// reach waits until the stream has reached a sequence.
func (t *trader) reach(ctx context.Context, seq uint64) error {
	for t.seq.Load() < seq {
		select {
		case <-t.end:
			if t.seq.Load() >= seq {
				return nil
			}
			return fmt.Errorf("account %d: the connection ended at event %d, on the way to %d: %w", t.account.number,
				t.seq.Load(), seq, t.err)
		case <-ctx.Done():
			return fmt.Errorf("account %d: event %d has not come; the last was %d: %w", t.account.number, seq,
				t.seq.Load(), ctx.Err())
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}
