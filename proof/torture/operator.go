package torture

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/papertape/papertape/console"
)

const (
	operators        = 6 // that take trades back at the same time
	operatorPauseMax = 20 * time.Millisecond
	bustTimeout      = 20 * time.Second
	movePerMille     = 20 // by how much a correction moves a price, at most
)

// operator takes back and corrects trades that clients were shown a moment ago, books cash, and resets
// accounts. One goroutine calls its methods.
type operator struct {
	name     string
	accounts []*account
	rng      *rand.Rand
	asked    int
}

// work makes requests until ctx or the server ends.
func (o *operator) work(ctx context.Context, admin string) {
	c := console.NewClient(admin, "")
	for ctx.Err() == nil {
		a := o.accounts[o.rng.IntN(len(o.accounts))]
		if o.rng.IntN(bookingOneIn) == 0 {
			if b := o.booking(); a.book(c, b) != nil {
				a.unbooked.leave(b)
			}
		} else if b, ok := o.request(a); ok && a.takeBack(c, b) != nil {
			a.undecided.leave(b)
		}
		select {
		case <-time.After(time.Duration(o.rng.Int64N(int64(operatorPauseMax)))):
		case <-ctx.Done():
		}
	}
}

// request makes up the next request. Three of four are busts.
func (o *operator) request(a *account) (*takeback, bool) {
	t, ok := a.recentTrade(o.rng.Int())
	if !ok {
		return nil, false
	}
	o.asked++
	b := &takeback{id: fmt.Sprintf("%s-%d", o.name, o.asked), trade: t, cascade: o.rng.IntN(2) == 0}
	if b.correct = o.rng.IntN(4) == 0; b.correct {
		b.quantity = 1 + o.rng.Int64N(2*t.quantity)
		b.price = max(1, t.price/1000*(1000-movePerMille+o.rng.Int64N(2*movePerMille+1)))
	}
	return b, true
}

// takeBack sends a request, for the first time or again, and records its answer. It returns an
// error if there was no answer, or one that leaves the outcome open. Any goroutine may call it.
func (a *account) takeBack(c *console.Client, b *takeback) error {
	ctx, cancel := context.WithTimeout(context.Background(), bustTimeout)
	defer cancel()
	a.takebackSent(b)
	r := console.BustRequest{Trade: b.trade.name(a.number), Reason: "torture", BustID: b.id, Actor: "torture"}
	if b.cascade {
		r.Policy = "cascade"
	}
	var done console.TakenBack
	var err error
	if b.correct {
		done, err = c.Correct(ctx, console.CorrectionRequest{BustRequest: r, Price: console.Money(b.price),
			Quantity: b.quantity})
	} else {
		done, err = c.Bust(ctx, r)
	}
	var refused *console.Error
	switch {
	case err == nil:
		if done.Bust == nil {
			a.findings.add(other, 1, "account %d: bust id %q was answered with event %d, which takes nothing back",
				a.number, b.id, done.Seq)
			return nil
		}
		a.takebackDone(b, done.Bust.BustID, done.Seq, done.Repeated)
		return nil
	case !errors.As(err, &refused) || refused.Status == http.StatusServiceUnavailable ||
		refused.Status == http.StatusGatewayTimeout:
		return err
	case refused.Status == http.StatusConflict:
		a.takebackRefused(b, refused)
	default: // for instance, a trade that a stream has shown is unknown now
		a.findings.add(other, 1, "account %d: bust id %q: %v", a.number, b.id, refused)
	}
	return nil
}

// settleBust sends a request until an answer settles its outcome.
func (a *account) settleBust(ctx context.Context, c *console.Client, b *takeback) error {
	return settle(ctx, func() error { return a.takeBack(c, b) })
}

// settle sends an operator's request until an answer settles its outcome.
func settle(ctx context.Context, send func() error) error {
	for {
		err := send()
		var refused *console.Error
		if !errors.As(err, &refused) {
			return err
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}
