package clientsim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/market"
)

const (
	orderPause      = 150 * time.Millisecond // between orders, so that the server's own fills come in between
	pushPatience    = 15 * time.Second       // for what the server does by itself, while connected
	pricePatience   = 3 * time.Second        // for another price; prices change once a second
	busyTries       = 20                     // for an order that is answered BUSY
	affordablePrice = 100_0000               // 100.00: the most that a share may cost for a mission client to buy it
	senselessShares = 999999999              // more than any account holds
)

// trader is one mission client: a user with a task. Only one goroutine uses it.
type trader struct {
	user
	cfg     *MissionConfig
	report  *ClientReport
	tools   []client.Instrument // what it may buy: the cheaper instruments, in its own order
	resyncs int                 // of the account when the current step began
}

func newTrader(cfg *MissionConfig, r *ClientReport) *trader {
	t := &trader{cfg: cfg, report: r}
	t.user = user{account: r.Account, key: cfg.Key, link: new(link), tls: cfg.TLS,
		allowPlaintext: cfg.AllowPlaintext, tally: &r.Tally}
	if cfg.Progress != nil {
		t.onProgress = func(text string) { cfg.Progress(r.Account, text) }
	} else {
		t.onNotice = cfg.Notice
	}
	return t
}

// anew replaces err by errResynced if the account has begun anew since the current step began,
// since what the step relies on is no longer true.
func (t *trader) anew(err error) error {
	if t.tally.Resyncs != t.resyncs && (err == nil || !errors.Is(err, context.Canceled) &&
		!errors.Is(err, context.DeadlineExceeded)) {
		return errResynced
	}
	return err
}

// load asks for the instruments that can be bought.
func (t *trader) load(ctx context.Context) error {
	list, err := t.instruments(ctx)
	if err != nil {
		return err
	}
	t.tools = nil
	for _, i := range list {
		if i.Price <= affordablePrice {
			t.tools = append(t.tools, i)
		}
	}
	if len(t.tools) == 0 {
		return fmt.Errorf("none of %d instruments costs %s or less: expected some", len(list),
			market.FormatMoney(affordablePrice))
	}
	first := int(t.account*7) % len(t.tools)
	t.tools = slices.Concat(t.tools[first:], t.tools[:first])
	return t.anew(nil)
}

// relogin ends the connection and logs in as if for the first time.
func (t *trader) relogin(ctx context.Context) error {
	t.close()
	t.acc, t.shadow, t.online = nil, nil, false
	return t.openWithin(ctx, t.cfg.Addr, missionName, openPatience, nil)
}

// awaitPushes takes updates until n fills by the server's simulator have come.
func (t *trader) awaitPushes(ctx context.Context, n int) error {
	return t.awaitCount(ctx, "fills by the server's simulator", &t.tally.Pushed, n, becauseScript)
}

// becauseScript says where the events come from that clients wait for.
const becauseScript = "the server has to play the mission's script, which begins with the first login of each " +
	"account and goes on for an hour " +
	"(papertape swarm --print-script prints it, papertape serve --simulator.script plays it)"

// awaitCount takes updates until the count of something that the server does by itself has
// reached n. Time without a connection does not count.
func (t *trader) awaitCount(ctx context.Context, what string, count *int, n int, because string) error {
	for left := t.cfg.patience; *count < n; {
		if left <= 0 {
			return fmt.Errorf("%d %s came, and in %v no more: expected %d; %s", *count, what, t.cfg.patience, n,
				because)
		}
		begun := time.Now()
		if err := t.oneOrIdle(ctx, min(left, time.Second)); err != nil {
			return t.anew(err)
		}
		if t.online {
			left -= time.Since(begun)
		}
	}
	return t.anew(nil)
}

// oneOrIdle takes an update if one comes within a while.
func (t *trader) oneOrIdle(ctx context.Context, d time.Duration) error {
	short, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	err := t.next(short)
	if err != nil && short.Err() != nil && errors.Is(err, short.Err()) {
		return ctx.Err()
	}
	return err
}

// awaitPrice waits until an instrument has another price. It gives up after a while, since
// prices may be fixed.
func (t *trader) awaitPrice(ctx context.Context, i *client.Instrument, price client.Money) error {
	for end := time.Now().Add(pricePatience); time.Now().Before(end); {
		var list []client.Instrument
		_, err := t.during(ctx, func(ctx context.Context) (err error) {
			list, err = t.acc.Instruments(ctx, i.Market+"."+i.Code)
			return err
		})
		if err = t.anew(err); err != nil && !refusedForNow(err) && !lostConnection(err) {
			return fmt.Errorf("ask for a price: %w", err)
		}
		for _, now := range list {
			if now.Price != price {
				return nil
			}
		}
		if err := t.idle(ctx, orderPause); err != nil {
			return err
		}
	}
	return t.anew(nil)
}

// awaitOnline takes updates until there is a connection.
func (t *trader) awaitOnline(ctx context.Context) error {
	for !t.online {
		if err := t.next(ctx); err != nil {
			return err
		}
	}
	return nil
}

// place places an order, checks its execution and takes all events up to it. A refusal is a
// *client.Reject.
func (t *trader) place(ctx context.Context, o *client.Order) (*client.Event, error) {
	if err := t.idle(ctx, orderPause); err != nil {
		return nil, t.anew(err)
	}
	if err := t.anew(nil); err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		ev, _, err := t.order(ctx, o)
		if try == busyTries || !refusedForNow(err) {
			var reject *client.Reject
			if err != nil && !errors.As(err, &reject) && !errors.Is(err, errResynced) {
				err = fmt.Errorf("%s: %w", orderText(o), err)
			}
			return ev, t.anew(err)
		}
		if err := t.idle(ctx, retryPause(err)); err != nil {
			return nil, t.anew(err)
		}
	}
}

// placeIfHeld places a sale. If it was refused because the simulator has sold meanwhile, there
// is neither an event nor an error.
func (t *trader) placeIfHeld(ctx context.Context, o *client.Order) (*client.Event, error) {
	before := t.shadow.Clone()
	ev, err := t.place(ctx, o)
	var reject *client.Reject
	if o.Side != client.Sell || !errors.As(err, &reject) || reject.Code != client.InsufficientShares {
		return ev, err
	}
	shares, _ := t.lowest(before, o.Market, o.Code)
	if shares = min(shares, t.shadow.Quantity(o.Market, o.Code)); shares >= o.Quantity {
		t.wrongf("%s was refused (%s), but %d are held", orderText(o), reject.Text, shares)
	}
	return nil, nil
}

// list asks for the list until it comes, takes the events up to it and compares.
func (t *trader) list(ctx context.Context) (h *client.Holdings, err error) {
	err = t.retry(ctx, func(ctx context.Context) (err error) {
		h, _, err = t.pull(ctx)
		return err
	})
	if err != nil {
		err = fmt.Errorf("ask for the holdings: %w", err)
	}
	return h, t.anew(err)
}
