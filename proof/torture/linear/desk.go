package linear

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/console"
)

// instrumentsTraded are the instruments of the orders. One is expensive, so that the cash runs out.
var instrumentsTraded = [...]string{"SZ.000001", "SH.601398", "SH.600519"}

// desk makes the calls of one account.
type desk struct {
	account     uint64
	tls         *tls.Config // nil: none
	began       time.Time
	rng         *rand.Rand // of the run's goroutine
	instruments []instrument
	history     *history
	named       int // number of ids handed out
	// gets a value, if there is room, when an answer arrives; owned by the run's goroutine while
	// nobody asks
	heard chan<- struct{}

	mu   sync.Mutex
	lost []*call // calls that were left open; some are made again
}

func (d *desk) dial(ctx context.Context, addr string) (*client.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	return client.Dial(ctx, addr, client.Options{Account: d.account, Mode: client.ModeQuick, Name: "linear",
		DiscardEvents: true, TLS: d.tls})
}

// begin reads the account's opening and the prices.
func (d *desk) begin(ctx context.Context, addr string) error {
	c, err := d.dial(ctx, addr)
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // the answers have arrived
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	list, err := c.Instruments(ctx, instrumentsTraded[:]...)
	if err != nil {
		return err
	}
	for _, in := range list {
		d.instruments = append(d.instruments, instrument{in.Market, in.Code, int64(in.Price)})
	}
	h, err := c.History(ctx, 0, 100)
	if err != nil {
		return err
	}
	d.history = &history{start: &state{account: d.account}}
	for _, ev := range slices.Backward(h.Events) {
		d.history.start.opened(ev)
	}
	if s := d.history.start; h.OldestSeq != 1 || uint64(len(h.Events)) != s.seq ||
		len(d.instruments) != len(instrumentsTraded) {
		return fmt.Errorf("account %d begins with %d events up to %d, from %d on: all of them were wanted", d.account,
			len(h.Events), s.seq, h.OldestSeq)
	}
	return nil
}

// conclude reads the account once more, and which id led to which event.
func (d *desk) conclude(ctx context.Context, addr string) error {
	c, err := d.dial(ctx, addr)
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // the answers have arrived
	d.trade(c, []*call{{kind: holdings}})
	done := make(map[string]uint64)
	for before := uint64(0); before != 1; {
		page, cancel := context.WithTimeout(ctx, callTimeout)
		h, err := c.History(page, before, 100)
		cancel()
		if err != nil {
			return err
		}
		for _, ev := range h.Events {
			before = ev.Seq
			if ev.Trade != nil {
				done[ev.Trade.ClientOrderID] = before
			}
			if ev.Bust != nil {
				done[ev.Bust.BustID] = before
			}
			if id, asked := strings.CutPrefix(reasonOf(ev), bookingReason); asked {
				done[id] = before
			}
		}
	}
	delete(done, "")
	d.history.conclude(done)
	return nil
}

// bookingReason begins the reason of a booking; its id follows, since events do not show it.
const bookingReason = "torture "

// reasonOf returns why cash was booked or the account was reset.
func reasonOf(ev *client.Event) string {
	switch {
	case ev.Adjustment != nil:
		return ev.Adjustment.Reason
	case ev.Reset != nil:
		return ev.Reset.Reason
	}
	return ""
}

// opened applies an event of the opening.
func (s *state) opened(ev *client.Event) {
	s.seq = ev.Seq
	if ev.Adjustment != nil {
		s.cash += int64(ev.Adjustment.Cash)
	}
	if t := ev.Trade; t != nil {
		s.trades = append(s.trades, trade{
			seq: s.seq, buy: t.Side == client.Buy, traded: instrument{t.Market, t.Code, int64(t.Price)},
			quantity: t.Quantity, price: int64(t.Price),
		})
	}
}

// script makes up n calls of a connection.
func (d *desk) script(n int) (calls []*call) {
	for range n {
		if again := d.repeatOpen(order); again != nil {
			calls = append(calls, again)
			continue
		}
		if d.rng.IntN(3) == 0 {
			calls = append(calls, &call{kind: holdings})
			continue
		}
		in := d.instruments[d.rng.IntN(len(d.instruments))]
		most := max(1, 5_000_000_000/in.price) // about four of these use up the cash
		c := &call{kind: order, id: d.name(), buy: d.rng.IntN(3) > 0, traded: in, quantity: 1 + d.rng.Int64N(most)}
		if !c.buy {
			c.quantity = 1 + c.quantity/3
		}
		if calls = append(calls, c); d.rng.IntN(8) == 0 {
			calls = append(calls, c) // repeated
		}
	}
	return calls
}

func (d *desk) name() string {
	d.named++
	return fmt.Sprintf("%d-%d", d.account, d.named)
}

// repeatOpen returns one of the calls that were left open, every other time.
func (d *desk) repeatOpen(kinds ...kind) *call {
	d.mu.Lock()
	defer d.mu.Unlock()
	at := slices.IndexFunc(d.lost, func(c *call) bool { return slices.Contains(kinds, c.kind) })
	if at < 0 || d.rng.IntN(2) == 0 {
		return nil
	}
	c := d.lost[at]
	d.lost = slices.Delete(d.lost, at, at+1)
	return c
}

// request is what an operator asks for. The trade of a bust or a correction is chosen when the request is made.
type request struct {
	*call
	pick, scale int
}

// requests makes up n requests of the operator.
func (d *desk) requests(n int) (list []request) {
	for range n {
		if again := d.repeatOpen(bust, correct, book, reset); again != nil {
			list = append(list, request{call: again})
			continue
		}
		c := &call{kind: bust, id: d.name(), cascade: d.rng.IntN(2) == 0}
		switch d.rng.IntN(12) {
		case 0, 1, 2, 3:
			c.kind = correct
		case 4, 5:
			c.kind, c.cash = book, d.rng.Int64N(1_000_000_000)*2-999_999_999 // odd, so never 0
		case 6:
			c.kind, c.cash = reset, 5_000_000_000+d.rng.Int64N(5_000_000_000)
		}
		list = append(list, request{call: c, pick: d.rng.IntN(1 << 20), scale: 1 + d.rng.IntN(8)})
	}
	return list
}

// trade makes calls on a connection, one after the other, until one is left open.
func (d *desk) trade(c *client.Client, calls []*call) {
	lane := d.history.newLane()
	for _, asked := range calls {
		made := time.Since(d.began)
		a := ask(c, asked)
		lane = d.history.add(lane, asked, a, made, time.Since(d.began))
		if a.open {
			d.leave(asked)
			return
		}
		d.signalAnswer()
	}
}

// signalAnswer signals that an answer arrived.
func (d *desk) signalAnswer() {
	select {
	case d.heard <- struct{}{}:
	default:
	}
}

func (d *desk) leave(c *call) {
	if c.kind == holdings {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lost = append(d.lost, c)
}

func ask(c *client.Client, asked *call) *answer {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	if asked.kind == holdings {
		h, err := c.Holdings(ctx)
		if err != nil {
			return refusal(err)
		}
		a := &answer{seq: h.AsOfSeq, rows: rowsOf(h.Positions), hash: h.StateHash}
		a.cash(h.Cash)
		return a
	}
	side := client.Sell
	if asked.buy {
		side = client.Buy
	}
	ev, err := c.Order(ctx, client.Order{
		Side: side, Market: asked.traded.market, Code: asked.traded.code, Quantity: asked.quantity,
		ClientOrderID: asked.id,
	})
	if err != nil {
		return refusal(err)
	}
	a := &answer{repeated: ev.Replay, seq: ev.Seq, rows: rowsOf(ev.Positions)}
	a.cash(ev.Cash)
	return a
}

// cash takes the cash of an answer. A server always sends it.
func (a *answer) cash(c *client.Cash) {
	if c != nil {
		a.balance, a.realised = int64(c.Balance), int64(c.Realised)
	}
}

func rowsOf(list []client.Position) (rows []row) {
	for i := range list {
		p := &list[i]
		rows = append(rows, row{p.Market, p.Code, p.Quantity, int64(p.Cost), int64(p.Realised)})
	}
	return rows
}

// refusal converts an error to an answer: the refusal, or that there was no answer.
func refusal(err error) *answer {
	var r *client.Reject
	switch {
	case !errors.As(err, &r):
		return &answer{open: true}
	case r.Code == client.Busy || r.Code == client.Draining:
		return &answer{unheard: true}
	}
	return &answer{refused: r.Code.String()}
}

// operate makes busts, corrections and bookings, one after the other, until one is left open.
func (d *desk) operate(admin string, list []request) {
	c, lane := console.NewClient(admin, ""), d.history.newLane()
	for _, r := range list {
		if (r.kind == bust || r.kind == correct) && r.trade == 0 && !d.choose(&r) {
			time.Sleep(time.Millisecond) // nobody has traded yet
			continue
		}
		made := time.Since(d.began)
		a := d.carryOut(c, r.call)
		lane = d.history.add(lane, r.call, a, made, time.Since(d.began))
		if a.open {
			d.leave(r.call)
			return
		}
	}
}

// choose picks the trade of a request, and its corrected values.
func (d *desk) choose(r *request) bool {
	t, ok := d.history.someTrade(r.pick)
	if !ok {
		return false
	}
	if r.trade = t.seq; r.kind == correct {
		r.quantity, r.price = max(1, t.quantity*int64(r.scale)/4), max(1, t.price/100*int64(96+r.scale))
	}
	return true
}

func (d *desk) carryOut(c *console.Client, asked *call) *answer {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	if asked.kind == book || asked.kind == reset {
		done, err := d.book(ctx, c, asked)
		return told(&done.Event, done.Repeated, err)
	}
	done, err := d.takeBack(ctx, c, asked)
	a := told(&done.Event, done.Repeated, err)
	if done.Bust != nil {
		a.cascade = sequencesOf(done.Bust.Cascade)
	}
	return a
}

func (d *desk) book(ctx context.Context, c *console.Client, asked *call) (console.Booked, error) {
	cash, reason := console.Money(asked.cash), bookingReason+asked.id
	switch {
	case asked.kind == reset:
		return c.Reset(ctx, d.account, console.ResetRequest{Cash: &cash, Reason: reason, RequestID: asked.id})
	case cash < 0:
		return c.Withdraw(ctx, d.account, console.CashRequest{Amount: -cash, Reason: reason, RequestID: asked.id})
	}
	return c.Deposit(ctx, d.account, console.CashRequest{Amount: cash, Reason: reason, RequestID: asked.id})
}

func (d *desk) takeBack(ctx context.Context, c *console.Client, asked *call) (console.TakenBack, error) {
	r := console.BustRequest{Trade: fmt.Sprintf("%d-%d", d.account, asked.trade), Reason: "torture", BustID: asked.id}
	if asked.cascade {
		r.Policy = "cascade"
	}
	if asked.kind == correct {
		return c.Correct(ctx, console.CorrectionRequest{BustRequest: r, Price: console.Money(asked.price),
			Quantity: asked.quantity})
	}
	return c.Bust(ctx, r)
}

// told converts the console's answer.
func told(ev *console.Event, repeated bool, err error) *answer {
	var refused *console.Error
	switch {
	case errors.As(err, &refused) && refused.Status == http.StatusServiceUnavailable:
		return &answer{unheard: true}
	case errors.As(err, &refused) && refused.Status != http.StatusGatewayTimeout:
		return &answer{refused: refused.Code}
	case err != nil:
		return &answer{open: true}
	}
	a := &answer{repeated: repeated, seq: ev.Seq, balance: int64(ev.Cash.Balance), realised: int64(ev.Cash.Realised)}
	for _, p := range ev.Positions {
		a.rows = append(a.rows, row{p.Market, p.Code, p.Quantity, int64(p.Cost), int64(p.Realised)})
	}
	return a
}

// sequencesOf returns the sequences in the names of trades.
func sequencesOf(names []string) (all []uint64) {
	for _, name := range names {
		_, seq, _ := strings.Cut(name, "-")
		n, err := strconv.ParseUint(seq, 10, 64)
		if err != nil {
			n = 0 // no trade has this number
		}
		all = append(all, n)
	}
	return all
}
