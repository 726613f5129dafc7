package torture

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/console"
)

// booking is a deposit, a withdrawal or a reset that was requested at least once. The account's mutex
// guards it.
type booking struct {
	request
	id   string
	what bookingKind
	cash console.Money // deposited or withdrawn, or the cash after a reset; of a reset 0: that of its opening
}

type bookingKind int

const (
	deposit bookingKind = iota
	withdrawal
	reset
)

// The reason of a booking has its id, since streams do not show ids.
const bookingReason = "torture "

// bookingOneIn is how many requests of an operator there are for each booking, and resetOneIn how many
// bookings for each reset, which ends what can be taken back.
const (
	bookingOneIn = 5
	resetOneIn   = 6
)

// booking makes up the next booking.
func (o *operator) booking() *booking {
	o.asked++
	b := &booking{id: fmt.Sprintf("%s-%d", o.name, o.asked), what: bookingKind(o.rng.IntN(2))}
	b.cash = console.Money(1 + o.rng.Int64N(1_000_0000))
	if o.rng.IntN(resetOneIn) == 0 {
		b.what, b.cash = reset, 0
		if o.rng.IntN(2) == 0 {
			b.cash = console.Money(1_000_000_0000 + o.rng.Int64N(1_000_0000))
		}
	}
	return b
}

// book sends a request, for the first time or again, and records its answer. It returns an error if there
// was no answer, or one that leaves the outcome open. Any goroutine may call it.
func (a *account) book(c *console.Client, b *booking) error {
	ctx, cancel := context.WithTimeout(context.Background(), bustTimeout)
	defer cancel()
	a.bookingSent(b)
	done, err := b.ask(ctx, c, a.number)
	var refused *console.Error
	switch {
	case err == nil:
		a.bookingDone(b, bookingIDOf(&done), done.Seq, done.Repeated)
		return nil
	case !errors.As(err, &refused) || refused.Status == http.StatusServiceUnavailable ||
		refused.Status == http.StatusGatewayTimeout:
		return err
	case refused.Code == "insufficient_cash":
		a.bookingRefused(b, refused)
	default:
		a.findings.add(other, 1, "account %d: request id %q: %v", a.number, b.id, refused)
	}
	return nil
}

func (b *booking) ask(ctx context.Context, c *console.Client, account uint64) (console.Booked, error) {
	r := console.CashRequest{Amount: b.cash, Reason: bookingReason + b.id, RequestID: b.id}
	switch b.what {
	case deposit:
		return c.Deposit(ctx, account, r)
	case withdrawal:
		return c.Withdraw(ctx, account, r)
	}
	anew := console.ResetRequest{Reason: r.Reason, RequestID: b.id}
	if b.cash != 0 {
		anew.Cash = &b.cash
	}
	return c.Reset(ctx, account, anew)
}

func bookingIDOf(done *console.Booked) string {
	switch {
	case done.Adjustment != nil:
		return done.Adjustment.RequestID
	case done.Reset != nil:
		return done.Reset.RequestID
	}
	return ""
}

// settleBooking sends a request until an answer settles its outcome.
func (a *account) settleBooking(ctx context.Context, c *console.Client, b *booking) error {
	return settle(ctx, func() error { return a.book(c, b) })
}

func (a *account) bookingSent(b *booking) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.bookings[b.id] = b
	b.sent++
}

// booked records which event a request led to. Bookings that nobody asked for are those of the opening. The
// caller holds the mutex.
func (a *account) booked(ev *client.Event) {
	reason, what, cash := "", reset, client.Money(0)
	if r := ev.Reset; r != nil {
		reason, cash = r.Reason, r.Cash
	} else if m := ev.Adjustment; m != nil {
		if reason, what, cash = m.Reason, deposit, m.Cash; cash < 0 {
			what, cash = withdrawal, -cash
		}
	}
	id, asked := strings.CutPrefix(reason, bookingReason)
	if !asked {
		return
	}
	b := a.bookings[id]
	switch {
	case b == nil:
		a.findings.add(other, 1, "account %d: event %d is of request id %q, which nobody gave", a.number, ev.Seq, id)
	case b.refused:
		a.findings.add(other, 1, "account %d: event %d is of request id %q, which was refused", a.number, ev.Seq, id)
	case b.seq != 0 && b.seq != ev.Seq, b.answered != 0 && b.answered != ev.Seq:
		a.findings.add(twice, 1, "account %d: request id %q, carried out as event %d, was carried out as event %d",
			a.number, id, max(b.seq, b.answered), ev.Seq)
	case b.what != what, b.cash != 0 && b.cash != console.Money(cash):
		a.findings.add(other, 1, "account %d: event %d, of request id %q, is not what was asked for", a.number, ev.Seq,
			id)
	case b.seq == 0:
		b.seq = ev.Seq
		a.posted = append(a.posted, b)
	}
}

// bookingDone records the answer to a request that was carried out.
func (a *account) bookingDone(b *booking, id string, seq uint64, repeated bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := b.known()
	switch {
	case id != b.id:
		a.findings.add(other, 1, "account %d: request id %q was answered with event %d, of %q", a.number, b.id, seq, id)
	case before != 0 && before != seq, !repeated && b.answered != 0:
		a.findings.add(twice, 1, "account %d: request id %q, carried out as event %d, was answered with event %d",
			a.number, b.id, before, seq)
	case repeated && b.sent == 1:
		a.findings.add(other, 1, "account %d: request id %q, sent once, was answered as a repeat", a.number, b.id)
	}
	b.answered = seq
}

// bookingRefused records that a request was refused.
func (a *account) bookingRefused(b *booking, why error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if b.known() != 0 {
		a.findings.add(other, 1, "account %d: request id %q, carried out as event %d, was refused: %v", a.number, b.id,
			b.known(), why)
	}
	b.refused = true
}

// unconfirmedBookings reports the answers that no event of a stream has confirmed. The caller holds the mutex.
func (a *account) unconfirmedBookings() (n int) {
	for _, b := range a.bookings {
		if b.answered != 0 && b.seq == 0 {
			a.findings.add(lost, 1, "account %d: request id %q was answered with event %d, which no stream has",
				a.number, b.id, b.answered)
			n++
		}
	}
	return n
}

// postedBooking picks a booking that was carried out: the n-th, modulo their number. It returns nil if that one
// was not answered.
func (a *account) postedBooking(n int) *booking {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.posted) == 0 {
		return nil
	}
	if b := a.posted[n%len(a.posted)]; b.answered != 0 {
		return b
	}
	return nil
}

// countBookings returns how many deposits and withdrawals, and how many resets, were carried out.
func (a *account) countBookings() (bookings, resets int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, b := range a.posted {
		if b.what == reset {
			resets++
		} else {
			bookings++
		}
	}
	return bookings, resets
}

// repeatBookings sends the account's unanswered bookings again, and one that was answered.
func (r *run) repeatBookings(ctx context.Context, t *trader, c *console.Client) error {
	a := t.account
	if t.shadow == nil {
		if b := a.postedBooking(t.rng.Int()); b != nil {
			r.count(&r.report.BookingsRepeated)
			return a.settleBooking(ctx, c, b)
		}
		return ctx.Err()
	}
	for _, b := range a.unbooked.take() {
		if a.shown(&b.request) {
			r.count(&r.report.BookingsHadBeen)
		}
		if err := a.settleBooking(ctx, c, b); err != nil {
			return err
		}
	}
	return nil
}
