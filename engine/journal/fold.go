package journal

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/fnv1a"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/record"
)

// fold computes the state of an account anew from its history. From each event it takes only
// the cause (the trade, the cash, the bust), and checks the resulting state that the event
// says. Its size is that of the account's rows, the trades taken back, and the last order ids.
//
// Sums are taken modulo 2^64. A fold without the trades taken back may leave the range of int64
// on its way and come back. What the ledger says is within the range, so the two are equal only
// if they really are.
type fold struct {
	u       *market.Universe
	account uint64
	seq     uint64
	base    uint64 // the latest reset, from which everything is computed; 0: none
	opening int64  // the cash that it left
	cash    positions.Cash
	rows    map[market.ID]positions.Row // of every instrument ever traded; if sold out, as it was then
	revised map[uint64]*positions.Trade // corrected trades as they stand now; nil: taken back
	ids     []orderOf                   // of the last orderIDsMax trades that have one, and some before
	idKey   *record.IDKey

	// reread reads the history from its beginning up to a sequence.
	reread func(upTo uint64, f func(*positions.Event) error) error
}

// orderOf is the order of the trade of an event.
type orderOf struct {
	seq   uint64
	trade positions.Trade
}

func newFold(u *market.Universe, key *record.IDKey, account uint64,
	again func(uint64, func(*positions.Event) error) error,
) *fold {
	return &fold{
		u: u, idKey: key, account: account, reread: again,
		rows: make(map[market.ID]positions.Row), revised: make(map[uint64]*positions.Trade),
	}
}

// add applies the next event, and returns how it contradicts those before it.
func (f *fold) add(ev *positions.Event) error {
	var err error
	switch {
	case ev.Seq != f.seq+1:
		err = fmt.Errorf("it comes after event %d", f.seq)
	case ev.Seq == 1 && ev.Kind != positions.KindAdjustment:
		err = errors.New("it is the first, and no adjustment that opens the account")
	case ev.Kind == positions.KindTrade:
		err = f.trade(ev)
	case ev.Kind == positions.KindAdjustment:
		f.cash.Balance += ev.Adjustment.Cash
	case ev.Kind == positions.KindBust:
		err = f.bust(ev)
	case ev.Kind == positions.KindReset:
		err = f.reset(ev)
	}
	switch {
	case err != nil:
	case ev.Cash != f.cash:
		err = fmt.Errorf("it says %s, and the events up to it come to %s", describeCash(ev.Cash), describeCash(f.cash))
	case ev.Cash.Balance < 0:
		err = fmt.Errorf("it leaves cash at %s", market.FormatMoney(ev.Cash.Balance))
	}
	if err != nil {
		return fmt.Errorf("account %d, event %d: %w", f.account, ev.Seq, err)
	}
	f.seq = ev.Seq
	return nil
}

func (f *fold) trade(ev *positions.Event) error {
	t := &ev.Trade
	before := f.rows[t.Instrument]
	row, cash, err := stepTrade(before, f.cash, t)
	if err != nil {
		return err
	}
	row.Version = ev.Seq
	if ev.Position.Row != row {
		return fmt.Errorf("it says %s, and the events up to it come to %s",
			f.describeRow(&ev.Position.Row), f.describeRow(&row))
	}
	if ev.Position.Sellable < 0 || ev.Position.Sellable > row.Quantity {
		return fmt.Errorf("of %d shares %d are said to be sellable", row.Quantity, ev.Position.Sellable)
	}
	if want := changeOf(before.Quantity, row.Quantity); ev.Change != want {
		return fmt.Errorf("it is of change %d, and goes from %d to %d shares", ev.Change, before.Quantity, row.Quantity)
	}
	f.rows[t.Instrument], f.cash = row, cash
	f.remember(ev.Seq, t)
	return nil
}

// stepTrade is the arithmetic of the ledger: costs by moving average, rounded half to even, and
// the last share takes the remainder.
func stepTrade(row positions.Row, cash positions.Cash, t *positions.Trade) (positions.Row, positions.Cash, error) {
	if t.Quantity <= 0 || t.Quantity > positions.MaxOrderShares || t.Price < 0 || t.Fees < 0 ||
		t.Amount != t.Quantity*t.Price {
		return row, cash, fmt.Errorf("its trade is of %d shares at %s for %s with fees of %s",
			t.Quantity, market.FormatMoney(t.Price), market.FormatMoney(t.Amount), market.FormatMoney(t.Fees))
	}
	row.Instrument = t.Instrument
	cash.Balance -= t.Fees
	cash.FeesPaid += t.Fees
	switch t.Side {
	case positions.Buy:
		if row.Quantity == 0 {
			row.Realised = 0 // it counts from when the position was last opened
		}
		row.Quantity += t.Quantity
		row.Cost += t.Amount
		cash.Balance -= t.Amount
	case positions.Sell:
		if t.Quantity > row.Quantity {
			return row, cash, fmt.Errorf("it sells %d shares of %d", t.Quantity, row.Quantity)
		}
		taken := portion(row.Cost, t.Quantity, row.Quantity)
		row.Quantity -= t.Quantity
		row.Cost -= taken
		row.Realised += t.Amount - taken
		cash.Realised += t.Amount - taken
		cash.Balance += t.Amount
	default:
		return row, cash, fmt.Errorf("its trade is of side %d", t.Side)
	}
	return row, cash, nil
}

// portion is cost × q / held, rounded half to even; 0 < q <= held.
func portion(cost, q, held int64) int64 {
	high, low := bits.Mul64(uint64(cost), uint64(q))
	quotient, rest := bits.Div64(high, low, uint64(held))
	if twice := 2 * rest; twice > uint64(held) || twice == uint64(held) && quotient%2 == 1 {
		quotient++
	}
	return int64(quotient)
}

func changeOf(before, after int64) positions.Change {
	switch {
	case after == before:
		return positions.Unchanged
	case before == 0:
		return positions.Opened
	case after == 0:
		return positions.Closed
	case after > before:
		return positions.Increased
	}
	return positions.Decreased
}

// bust folds the whole history anew, without the trades that the event takes back.
func (f *fold) bust(ev *positions.Event) error {
	b := ev.Bust
	if r, o := b.Replacement, &b.Original; r != nil &&
		(r.Instrument != o.Instrument || r.Side != o.Side || r.Revision != o.Revision+1) {
		return errors.New("its replacement is no correction of its original")
	}
	if len(b.Cascade) > positions.MaxCascade {
		return fmt.Errorf("it takes back %d trades with another, and the most is %d",
			len(b.Cascade), positions.MaxCascade)
	}
	meant := append([]uint64{b.TradeSeq}, b.Cascade...)
	instruments, err := f.checkStanding(ev.Seq, meant, &b.Original)
	if err != nil {
		return err
	}
	for i, seq := range meant {
		f.revised[seq] = nil
		if i == 0 {
			f.revised[seq] = b.Replacement
		}
	}
	anew, err := f.refold(ev.Seq)
	if err != nil {
		return err
	}
	if err := f.checkRows(ev, instruments, anew); err != nil {
		return err
	}
	before := f.rows[b.Original.Instrument].Quantity
	if want := changeOf(before, anew.rows[b.Original.Instrument].Quantity); ev.Change != want {
		return fmt.Errorf("it is of change %d where %d would be right", ev.Change, want)
	}
	f.cash = anew.cash
	for _, id := range instruments {
		row := f.rowAfter(id, anew, ev.Seq)
		f.rows[id] = row
	}
	return nil
}

// reset forgets everything before the event, except order ids.
func (f *fold) reset(ev *positions.Event) error {
	var held []market.ID
	for id, row := range f.rows {
		if row.Quantity != 0 {
			held = append(held, id)
		}
	}
	slices.Sort(held)
	if r := ev.Reset; !slices.Equal(r.Gone, held) {
		return fmt.Errorf("it says that the rows of %d instruments went, and %d were held, or others",
			len(r.Gone), len(held))
	}
	if ev.Change != 0 || ev.TotalMarketValue != 0 {
		return fmt.Errorf("it leaves no row, and says change %d and a value of %s", ev.Change,
			market.FormatMoney(ev.TotalMarketValue))
	}
	clear(f.rows)
	clear(f.revised)
	f.base, f.opening = ev.Seq, ev.Reset.Cash
	f.cash = positions.Cash{Balance: f.opening}
	return nil
}

// checkStanding checks that the trades which a bust takes back stand, and that its original is
// what the first of them is. It returns their instruments, by market and code.
func (f *fold) checkStanding(seq uint64, meant []uint64, original *positions.Trade) ([]market.ID, error) {
	var instruments []market.ID
	seen := 0
	err := f.reread(seq-1, func(ev *positions.Event) error {
		if !slices.Contains(meant, ev.Seq) {
			return nil
		}
		t, stands := f.stands(ev)
		switch {
		case !stands:
			return fmt.Errorf("it takes back trade %d, which does not stand", ev.Seq)
		case ev.Seq == meant[0] && *t != *original:
			return fmt.Errorf("its original is not what trade %d is", ev.Seq)
		}
		seen++
		instruments = append(instruments, t.Instrument)
		return nil
	})
	if err == nil && seen != len(meant) {
		err = fmt.Errorf("of the %d trades that it takes back, %d are before it", len(meant), seen)
	}
	slices.Sort(instruments)
	return slices.Compact(instruments), err
}

// stands returns the trade of an event as it stands, if it does.
func (f *fold) stands(ev *positions.Event) (t *positions.Trade, ok bool) {
	if ev.Kind != positions.KindTrade || ev.Seq < f.base {
		return nil, false
	}
	if t, revised := f.revised[ev.Seq]; revised {
		return t, t != nil
	}
	return &ev.Trade, true
}

// refold folds the trades that stand before an event, in their original order. Cash may be
// negative on the way.
func (f *fold) refold(seq uint64) (*fold, error) {
	anew := newFold(f.u, f.idKey, f.account, nil)
	anew.cash.Balance = f.opening
	err := f.reread(seq-1, func(ev *positions.Event) error {
		if ev.Kind == positions.KindAdjustment && ev.Seq > f.base {
			anew.cash.Balance += ev.Adjustment.Cash
		}
		t, ok := f.stands(ev)
		if !ok {
			return nil
		}
		row, cash, err := stepTrade(anew.rows[t.Instrument], anew.cash, t)
		if err != nil {
			return fmt.Errorf("without what it takes back, trade %d cannot stand: %w", ev.Seq, err)
		}
		anew.rows[t.Instrument], anew.cash = row, cash
		return nil
	})
	return anew, err
}

// rowAfter is a row after a bust. A row in which nothing has changed keeps its version.
func (f *fold) rowAfter(id market.ID, anew *fold, seq uint64) positions.Row {
	before, row := f.rows[id], anew.rows[id]
	row.Instrument = id
	if row.Version = before.Version; row != before {
		row.Version = seq
	}
	return row
}

func (f *fold) checkRows(ev *positions.Event, instruments []market.ID, anew *fold) error {
	rows := ev.Bust.Positions
	if len(rows) != len(instruments) {
		return fmt.Errorf("it has %d rows where it touches %d", len(rows), len(instruments))
	}
	for i, id := range instruments {
		if want := f.rowAfter(id, anew, ev.Seq); rows[i].Row != want {
			return fmt.Errorf("it says %s, and the trades that stand come to %s",
				f.describeRow(&rows[i].Row), f.describeRow(&want))
		}
	}
	return nil
}

// remember keeps the last order ids, as the engine does.
func (f *fold) remember(seq uint64, t *positions.Trade) {
	if t.OrderID.IsZero() {
		return
	}
	if len(f.ids) == 2*orderIDsMax {
		f.ids = f.ids[:copy(f.ids, f.ids[orderIDsMax:])]
	}
	f.ids = append(f.ids, orderOf{seq, *t})
}

// checkOrderIDs compares the order ids of a checkpoint with those of the last events. The hashes are
// computed anew. They are on the disk, so neither the engine's computation nor this one may ever
// change; a test compares them.
func (f *fold) checkOrderIDs(st *engine.AccountState) error {
	last := f.ids[max(0, len(f.ids)-orderIDsMax):]
	same := len(st.IDs) == len(last)
	for i := 0; same && i < len(last); i++ {
		same = orderIDOf(&last[i], f.u, f.idKey, st.IDs[i].ID.Keyed()) == st.IDs[i]
	}
	if !same {
		return fmt.Errorf("account %d: "+
			"the checkpoint of event %d has %d order ids that are not the last %d of its events",
			f.account, st.Seq, len(st.IDs), len(last))
	}
	return nil
}

// orderIDOf returns what is remembered of an order. An order that format 1 remembered has no keyed
// hash.
func orderIDOf(o *orderOf, u *market.Universe, key *record.IDKey, keyed bool) engine.OrderIDRecord {
	t, in := &o.trade, u.At(o.trade.Instrument)
	content := fnv1a.New.Text(in.Market).Text(in.Code).
		Number(uint64(t.Side)).Number(uint64(t.Quantity)).Number(uint64(t.Limit))
	id := record.UnkeyedHash(&t.OrderID)
	if keyed {
		id = key.Hash(&t.OrderID)
	}
	return engine.OrderIDRecord{ID: id, Content: uint64(content), Seq: o.seq}
}

// checkCheckpoint compares a stored checkpoint with the state that the events up to it lead to.
func (f *fold) checkCheckpoint(st *engine.AccountState) error {
	if st.Cash != f.cash {
		return fmt.Errorf("account %d: the checkpoint of event %d has %s, and its events come to %s",
			f.account, st.Seq, describeCash(st.Cash), describeCash(f.cash))
	}
	held := 0
	for i := range st.Rows {
		row := &st.Rows[i]
		want, known := f.rows[row.Instrument]
		if !known || want != *row || row.Quantity == 0 {
			return fmt.Errorf("account %d: the checkpoint of event %d has %s, and its events come to %s",
				f.account, st.Seq, f.describeRow(row), f.describeRow(&want))
		}
	}
	for _, row := range f.rows {
		if row.Quantity != 0 {
			held++
		}
	}
	if held != len(st.Rows) {
		return fmt.Errorf("account %d: the checkpoint of event %d has %d rows, and its events come to %d",
			f.account, st.Seq, len(st.Rows), held)
	}
	return f.checkOrderIDs(st)
}

func (f *fold) describeRow(r *positions.Row) string {
	if int(r.Instrument) >= f.u.Len() {
		return fmt.Sprintf("instrument %d", r.Instrument)
	}
	return fmt.Sprintf("%d %s, cost %s, realised %s, version %d", r.Quantity, f.u.At(r.Instrument),
		market.FormatMoney(r.Cost), market.FormatMoney(r.Realised), r.Version)
}

func describeCash(c positions.Cash) string {
	return fmt.Sprintf("cash %s, fees paid %s, realised %s",
		market.FormatMoney(c.Balance), market.FormatMoney(c.FeesPaid), market.FormatMoney(c.Realised))
}
