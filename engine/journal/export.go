package journal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// Export writes the history of each account in the journal in dir, which no server may have
// open, to a text file of its own in the directory out: 100017.txt, a line per event. It does
// not overwrite a file.
func Export(ctx context.Context, dir, out string, o Options) (sum Summary, err error) {
	a, err := openArchive(ctx, dir, o)
	if err != nil {
		return Summary{}, err
	}
	defer func() { err = errors.Join(err, a.unlock()) }()
	if err := makeDir(privateFS{vfs.Default}, out); err != nil {
		return a.sum, &TargetError{fmt.Errorf("the directory of the export cannot be made: %w", err)}
	}
	err = a.everyAccount(ctx, func(stored *engine.AccountState) error {
		if err := a.export(ctx, stored, out, a.universe); err != nil {
			return err
		}
		return ctx.Err()
	})
	return a.sum, err
}

func (a *archive) export(ctx context.Context, stored *engine.AccountState, out string, u *market.Universe) error {
	return WriteText(out, stored.Account, u, func(write func(*positions.Event) error) error {
		return a.eachEvent(stored.Account, stored.Seq, math.MaxUint64, func(ev *positions.Event) error {
			a.sum.Events++
			if err := write(ev); err != nil {
				return err
			}
			if ev.Seq%checkContextEvery == 0 {
				return ctx.Err()
			}
			return nil
		})
	})
}

// WriteText writes the history of an account, as Export does, to a text file of its own in the directory out.
// each calls write with the account's events, from the first to the last. WriteText does not overwrite a file.
func WriteText(out string, account uint64, u *market.Universe,
	each func(write func(*positions.Event) error) error) (err error) {
	f, err := openPrivate(filepath.Join(out, strconv.FormatUint(account, 10)+".txt"))
	if err != nil {
		return fmt.Errorf("the export of account %d: %w", account, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, 64<<10)
	line := append([]byte(exportHead), '\n')
	if _, err = w.Write(line); err == nil {
		err = each(func(ev *positions.Event) error {
			line = append(appendLine(line[:0], ev, u), '\n')
			_, err := w.Write(line)
			return err
		})
	}
	if err = errors.Join(err, w.Flush()); err != nil {
		return fmt.Errorf("the export of account %d: %w", account, err)
	}
	return nil
}

const exportColumns = "%8v  %-30v  %-10v  %-10v  %12v  %16v  %20v  %20v  %v"

// exportHead names the columns. Whatever an event has beyond them is in the last one, as
// name=value.
var exportHead = "#" + fmt.Sprintf(exportColumns,
	"seq", "time", "what", "instrument", "quantity", "price", "amount", "cash", "more")[1:]

// appendLine appends an event as a line for people and scripts.
func appendLine(line []byte, ev *positions.Event, u *market.Universe) []byte {
	e := exportedLine{ev: ev, instrument: "-", quantity: "-", price: "-"}
	switch ev.Kind {
	case positions.KindTrade:
		e.what = sideName(ev.Trade.Side)
		e.trade(&ev.Trade, u)
		e.addMore("shares", strconv.FormatInt(ev.Position.Quantity, 10))
		e.addMore("cost", market.FormatMoney(ev.Position.Cost))
		e.addMore("realised", market.FormatMoney(ev.Position.Realised))
	case positions.KindAdjustment:
		e.what, e.amount = "adjustment", market.FormatMoney(ev.Adjustment.Cash)
		e.addMore("reason", strconv.Quote(ev.Adjustment.Reason))
		e.addMore("actor", strconv.Quote(ev.Adjustment.Actor))
		e.addID(ev.Adjustment.ID)
	case positions.KindReset:
		e.reset(ev.Reset, u)
	case positions.KindBust:
		e.bust(ev.Bust, u)
	}
	at := time.Unix(0, ev.Time).UTC().Format("2006-01-02T15:04:05.000000000Z")
	line = fmt.Appendf(line, exportColumns, ev.Seq, at, e.what, e.instrument, e.quantity, e.price, e.amount,
		market.FormatMoney(ev.Cash.Balance), strings.TrimLeft(e.more.String(), " "))
	return line
}

type exportedLine struct {
	ev                                        *positions.Event
	what, instrument, quantity, price, amount string
	more                                      strings.Builder
}

func (e *exportedLine) addMore(name, value string) {
	e.more.WriteString(" " + name + "=" + value)
}

func (e *exportedLine) trade(t *positions.Trade, u *market.Universe) {
	e.instrument = u.At(t.Instrument).String()
	e.quantity = strconv.FormatInt(t.Quantity, 10)
	e.price = market.FormatMoney(t.Price)
	e.amount = market.FormatMoney(t.Amount)
	if t.Fees != 0 {
		e.addMore("fees", market.FormatMoney(t.Fees))
	}
	if t.Limit != 0 {
		e.addMore("limit", market.FormatMoney(t.Limit))
	}
	if t.Origin != positions.OriginClient {
		e.addMore("origin", originName(t.Origin))
	}
	if !t.OrderID.IsZero() {
		e.addMore("order", strconv.Quote(t.OrderID.String()))
	}
}

// bust fills the columns with what stands after the bust, and adds what stood before.
func (e *exportedLine) bust(b *positions.Bust, u *market.Universe) {
	e.what = "bust"
	shown := &b.Original
	if b.Replacement != nil {
		e.what, shown = "correction", b.Replacement
	}
	e.trade(shown, u)
	e.addMore("trade", fmt.Sprintf("%d-%d", e.ev.Account, b.TradeSeq))
	e.addMore("side", sideName(shown.Side))
	if b.Replacement != nil {
		e.addMore("revision", strconv.FormatUint(uint64(b.Replacement.Revision), 10))
		e.addMore("was", fmt.Sprintf("%d@%s", b.Original.Quantity, market.FormatMoney(b.Original.Price)))
	}
	for _, seq := range b.Cascade {
		e.addMore("also", fmt.Sprintf("%d-%d", e.ev.Account, seq))
	}
	for i := range b.Positions {
		p := &b.Positions[i]
		e.addMore("left", fmt.Sprintf("%s:%d:%s", u.At(p.Instrument), p.Quantity, market.FormatMoney(p.Cost)))
	}
	e.addMore("reason", strconv.Quote(b.Reason))
	e.addMore("actor", strconv.Quote(b.Actor))
	e.addID(b.ID)
}

// addID adds the id under which an operator asked, if there was one.
func (e *exportedLine) addID(id string) {
	if id != "" {
		e.addMore("id", strconv.Quote(id))
	}
}

func (e *exportedLine) reset(r *positions.Reset, u *market.Universe) {
	e.what, e.amount = "reset", market.FormatMoney(r.Cash)
	for _, id := range r.Gone {
		e.addMore("gone", u.At(id).String())
	}
	e.addMore("reason", strconv.Quote(r.Reason))
	e.addMore("actor", strconv.Quote(r.Actor))
	e.addID(r.ID)
}

func sideName(s positions.Side) string {
	if s == positions.Sell {
		return "sell"
	}
	return "buy"
}

func originName(o positions.Origin) string {
	switch o {
	case positions.OriginClient:
		return "client"
	case positions.OriginSimulator:
		return "simulator"
	case positions.OriginOperator:
		return "operator"
	}
	return strconv.Itoa(int(o))
}
