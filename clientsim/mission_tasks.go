package clientsim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/client"
)

// mission lists the rows of the scenario and the clients' tasks that play them, in the order of
// the accounts.
var mission = [...]struct {
	name string
	play func(*trader, context.Context) error
}{
	{"list pulled and shown on login", (*trader).showList},
	{"from something to empty", (*trader).somethingToEmpty},
	{"fewer rows", (*trader).fewerRows},
	{"more rows", (*trader).moreRows},
	{"same rows, quantities up", (*trader).quantitiesUp},
	{"same rows, quantities down", (*trader).quantitiesDown},
	{"pushed by the simulator and shown", (*trader).watchPushes},
	{"cut off, resumed without a gap", (*trader).cutAndResume},
	{"taken back, the row restored", (*trader).takenBack},
	{"from empty to something", (*trader).emptyToSomething},
}

// Bounds of the tasks, since other fills may come in between. A task begins from the account as
// it is, since it may be begun anew.
const (
	roundsMax  = 40 // rounds in which a task approaches its goal
	lot        = 100
	oddMore    = 70 // on top of 100 shares; 170 has the divisor 17, so no part of a mixed cost is whole
	oddLess    = 33
	increment  = 10 // shares, so that even the dearest instrument is affordable
	pushesMin  = 4
	cutsMax    = 4
	cutPushes  = 3                       // fills to see before the connection is cut
	away       = 1200 * time.Millisecond // how long a cut client stays away
	openedRows = 3                       // rows to open from an empty account
	bustsMax   = 6                       // busts to see until one can be compared with the account before
)

// showList expects a list with rows at the login. If there are none, it buys and logs in again.
func (t *trader) showList(ctx context.Context) error {
	if t.shadow.Len() > 0 {
		t.report.Covered = true // the login has shown and compared it
		return nil
	}
	if err := t.holdAtLeast(ctx, 2); err != nil {
		return err
	}
	if err := t.relogin(ctx); err != nil {
		return err
	}
	t.report.Covered = t.shadow.Len() > 0
	return nil
}

func (t *trader) somethingToEmpty(ctx context.Context) error {
	if err := t.holdAtLeast(ctx, 2); err != nil {
		return err
	}
	if err := t.sellAll(ctx); err != nil {
		return err
	}
	t.report.Covered = t.emptied
	return nil
}

func (t *trader) emptyToSomething(ctx context.Context) error {
	if t.shadow.Len() > 0 { // the simulator was quicker
		if err := t.sellAll(ctx); err != nil {
			return err
		}
	}
	if err := t.holdAtLeast(ctx, openedRows); err != nil {
		return err
	}
	t.report.Covered = t.emptied && t.shadow.Len() > 0
	return nil
}

func (t *trader) fewerRows(ctx context.Context) error {
	if err := t.holdAtLeast(ctx, 3); err != nil {
		return err
	}
	goal := t.shadow.Len() - 2
	for range roundsMax {
		if t.shadow.Len() <= goal {
			t.report.Covered = true
			return nil
		}
		if err := t.sell(ctx, t.shadow.Held()[0], 1); err != nil {
			return err
		}
	}
	return fmt.Errorf("%d rows are left after %d sales: expected %d or fewer", t.shadow.Len(), roundsMax, goal)
}

func (t *trader) moreRows(ctx context.Context) error {
	if err := t.holdAtLeast(ctx, t.shadow.Len()+2); err != nil {
		return err
	}
	t.report.Covered = true
	return nil
}

func (t *trader) quantitiesUp(ctx context.Context) error {
	return t.moveAll(ctx, func(instrument string) error {
		return t.buy(ctx, instrument, increment)
	}, func(before, after int64) bool { return after > before })
}

func (t *trader) quantitiesDown(ctx context.Context) error {
	return t.moveAll(ctx, func(instrument string) error {
		if t.quantity(instrument) < 2 { // half of it would be zero
			if err := t.buy(ctx, instrument, lot); err != nil {
				return err
			}
		}
		return t.sell(ctx, instrument, 2)
	}, func(before, after int64) bool { return after < before })
}

// moveAll trades every row once, and repeats that until a round leaves the same rows, each
// moved as wanted. Fills that come in between may undo a round.
func (t *trader) moveAll(ctx context.Context, trade func(instrument string) error,
	moved func(before, after int64) bool) error {
	if err := t.holdAtLeast(ctx, 2); err != nil {
		return err
	}
	for range roundsMax {
		rows := t.shadow.Held()
		before := make(map[string]int64, len(rows))
		for _, instrument := range rows {
			before[instrument] = t.quantity(instrument)
		}
		for _, instrument := range rows {
			if err := trade(instrument); err != nil {
				return err
			}
		}
		if slices.Equal(rows, t.shadow.Held()) && !slices.ContainsFunc(rows, func(instrument string) bool {
			return !moved(before[instrument], t.quantity(instrument))
		}) {
			t.report.Covered = true
			return nil
		}
		if err := t.holdAtLeast(ctx, 2); err != nil {
			return err
		}
	}
	return fmt.Errorf("no round of %d left the same rows with every quantity moved", roundsMax)
}

func (t *trader) watchPushes(ctx context.Context) error {
	if err := t.awaitPushes(ctx, pushesMin); err != nil {
		return err
	}
	t.report.Covered = true
	return nil
}

// cutAndResume is cut off with an order under way, while the server goes on making fills for
// the account, and comes back for what it missed. The order is sent again with the same id: by
// the client library if its answer was not seen, and once more by this task. It must have been
// executed once.
func (t *trader) cutAndResume(ctx context.Context) error {
	if err := t.holdAtLeast(ctx, 2); err != nil {
		return err
	}
	i := t.tools[len(t.tools)-1]
	for cut := range cutsMax {
		if err := t.awaitPushes(ctx, t.tally.Pushed+cutPushes); err != nil {
			return err
		}
		o := &client.Order{
			Side: client.Buy, Market: i.Market, Code: i.Code, Quantity: lot, ClientOrderID: fmt.Sprintf("cut-%d-%d",
				t.shadow.Seq(), cut),
		}
		missed, err := t.cutWith(ctx, o)
		if err != nil {
			return err
		}
		again, err := t.place(ctx, o)
		if err != nil {
			return err
		}
		if !again.Replay {
			t.wrongf("the order %q was executed, sent again, and answered with REPLAY false: expected true",
				o.ClientOrderID)
		}
		if n := t.count(o.ClientOrderID); n != 1 {
			t.wrongf("the order %q, sent before the cut and again after it, was executed %d times: expected once",
				o.ClientOrderID, n)
		}
		if missed > 0 {
			t.report.Covered = true
			return nil
		}
	}
	return fmt.Errorf("nothing happened in any of %d absences of %v: expected fills by the server meanwhile", cutsMax,
		away)
}

// cutWith cuts the connection with an order under way, stays away, resumes, and takes
// everything that was missed. It returns how many fills of the simulator were among that.
func (t *trader) cutWith(ctx context.Context, o *client.Order) (int, error) {
	resumes := t.tally.Resumes
	_, err := t.during(ctx, func(ctx context.Context) error {
		if t.cfg.cutting != nil {
			t.cfg.cutting(t.account)
		}
		answered := make(chan error, 1)
		go func() { // waited for below
			_, err := t.acc.Order(ctx, *o)
			answered <- err
		}()
		t.link.cut(away)
		return <-answered
	})
	if err = t.anew(err); err != nil {
		return 0, fmt.Errorf("%s, under way when the connection was cut: %w", orderText(o), err)
	}
	for t.tally.Resumes == resumes { // if the answer was quicker than the cut
		if err := t.next(ctx); err != nil {
			return 0, err
		}
		if err := t.anew(nil); err != nil {
			return 0, err
		}
	}
	if err := t.catchUp(ctx, t.head); err != nil {
		return 0, err
	}
	missed := 0
	for seq := t.head - t.missed + 1; seq <= t.head; seq++ {
		if tradeOf(t.seen[seq]).Origin == client.OriginSimulator {
			missed++
		}
	}
	return missed, nil
}

// fourMovements opens, increases, decreases and closes a row. The second purchase is at another
// price and the sale of an odd part, so that the cost does not divide evenly. If the simulator
// trades the same instrument in between, the movements differ, and only the shadow judges them.
func (t *trader) fourMovements(ctx context.Context) error {
	i, err := t.notHeld()
	if err != nil {
		return err
	}
	var held int64
	for _, move := range []struct {
		side     client.Side
		quantity int64
		want     client.Change
	}{
		{client.Buy, lot, client.Opened}, {client.Buy, oddMore, client.Increased},
		{client.Sell, oddLess, client.Decreased}, {client.Sell, lot + oddMore - oddLess, client.Closed},
	} {
		alone := t.shadow.Quantity(i.Market, i.Code) == held
		ev, err := t.placeIfHeld(ctx, &client.Order{Side: move.side, Market: i.Market, Code: i.Code,
			Quantity: move.quantity})
		if err != nil || ev == nil {
			return err
		}
		if held += move.quantity; move.side == client.Sell {
			held -= 2 * move.quantity
		}
		after := int64(-1)
		for _, p := range ev.Positions {
			after = p.Quantity
		}
		if alone && after == held && ev.Change != move.want {
			t.wrongf("seq %d is %v: expected %v", ev.Seq, papertapev1.Change(ev.Change), papertapev1.Change(move.want))
		}
		if move.want == client.Opened {
			if err := t.awaitPrice(ctx, i, tradeOf(ev).Price); err != nil {
				return err
			}
		}
	}
	return nil
}

// notHeld returns an instrument whose purchase would open a new row.
func (t *trader) notHeld() (*client.Instrument, error) {
	for n := range t.tools {
		i := &t.tools[n]
		if t.shadow.Quantity(i.Market, i.Code) == 0 {
			return i, nil
		}
	}
	return nil, fmt.Errorf("there is nothing to buy that is not held, among %d instruments", len(t.tools))
}

// holdAtLeast buys instruments that are not held until the account has that many rows.
func (t *trader) holdAtLeast(ctx context.Context, rows int) error {
	for range roundsMax {
		if t.shadow.Len() >= rows {
			return nil
		}
		i, err := t.notHeld()
		if err != nil {
			return err
		}
		if err := t.buy(ctx, i.Market+"."+i.Code, lot); err != nil {
			return err
		}
	}
	return fmt.Errorf("%d rows are held after %d purchases: expected %d", t.shadow.Len(), roundsMax, rows)
}

// sellAll sells everything until the list was seen empty.
func (t *trader) sellAll(ctx context.Context) error {
	t.emptied = false
	for range roundsMax {
		for _, instrument := range t.shadow.Held() {
			if err := t.sell(ctx, instrument, 1); err != nil {
				return err
			}
		}
		if t.emptied || t.shadow.Len() == 0 {
			t.emptied = true
			return nil
		}
	}
	return fmt.Errorf("%d rows are left after selling all %d times: expected none", t.shadow.Len(), roundsMax)
}

func (t *trader) buy(ctx context.Context, instrument string, quantity int64) error {
	m, code, _ := strings.Cut(instrument, ".")
	_, err := t.place(ctx, &client.Order{Side: client.Buy, Market: m, Code: code, Quantity: quantity})
	return err
}

// sell sells 1/divisor of what is held of an instrument. It is no error if the simulator has
// sold that already.
func (t *trader) sell(ctx context.Context, instrument string, divisor int64) error {
	m, code, _ := strings.Cut(instrument, ".")
	quantity := t.quantity(instrument) / divisor
	if quantity == 0 {
		return nil
	}
	_, err := t.placeIfHeld(ctx, &client.Order{Side: client.Sell, Market: m, Code: code, Quantity: quantity})
	return err
}

func (t *trader) quantity(instrument string) int64 {
	m, code, _ := strings.Cut(instrument, ".")
	return t.shadow.Quantity(m, code)
}

// count returns how many of the events are executions of an order.
func (t *trader) count(orderID string) int {
	n := 0
	for _, ev := range t.seen {
		if tradeOf(ev).ClientOrderID == orderID {
			n++
		}
	}
	return n
}

// expectReject expects a refusal with the given code. An error that is no refusal is returned.
func (t *trader) expectReject(err error, code client.RejectCode, what string) error {
	var reject *client.Reject
	switch {
	case err == nil:
		t.wrongf("%s was executed: expected a refusal, %v", what, papertapev1.RejectCode(code))
	case !errors.As(err, &reject):
		return err
	case reject.Code != code:
		t.wrongf("%s was refused with %v (%s): expected %v",
			what, papertapev1.RejectCode(reject.Code), reject.Text, papertapev1.RejectCode(code))
	}
	return nil
}
