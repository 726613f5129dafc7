package positions

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/papertape/papertape/market"
)

// Fold holds as much of an account's history as one request to take a trade back needs.
// Events are added in order, from the account's first. Most are added outside the book's
// owner, on whatever goroutine reads the history. The book's owner adds those that came
// since, and then decides:
//
//	fold := positions.NewFold(universe, &request)
//	for ev := range history { // up to some sequence
//		if err := fold.Add(ev); err != nil { ... }
//	}
//	... on the book's owner: Add what came after fold.Seq(), then
//	outcome := book.DecideBust(fold, prices, now, &ev)
//
// Add checks each event against the ones before it, so that a new event is never based on a
// damaged history.
//
// A trade takes 24 bytes, or 32 with fees. In addition there is one row per instrument of
// the universe, and another such set of rows about every 16,384 trades. A Fold must not be
// used by two goroutines at once.
type Fold struct {
	universe *market.Universe
	request  *BustRequest
	err      error  // the first error of Add, returned from then on
	first    uint64 // sequence of the first event added; 0: none yet. Above 1, nothing can be folded
	seq      uint64 // sequence of the newest event added

	tape      tape
	cash      Cash   // after the newest event
	rows      []Row  // by instrument; a row not held has quantity 0 and otherwise its last state
	marks     []mark // ascending
	markEvery int    // trades between two marks
	reset     uint64 // sequence of the latest reset, where folding starts; 0: none

	target      target
	earlierBust *Bust // the bust that has the request's id
	earlierSeq  uint64
}

// mark holds all rows as of a place on the tape, so that folding can start there.
type mark struct {
	trades int
	rows   []Row
}

const markTrades = 16384

// target is what is known about the trade that the request names.
type target struct {
	trade   Trade // as corrected so far
	takenBy string
	takenAt uint64 // sequence of the bust that took it back; 0: none
	place   int    // index on the tape
	kind    Kind   // kind of the event that the request names; 0: not seen
}

// NewFold returns a fold without history. u must be the universe of the book.
func NewFold(u *market.Universe, r *BustRequest) *Fold {
	return &Fold{universe: u, request: r, rows: noRows(u), markEvery: max(markTrades, 64*u.Len())}
}

// noRows returns the rows of an account that never traded.
func noRows(u *market.Universe) []Row {
	rows := make([]Row, u.Len())
	for i := range rows {
		rows[i].Instrument = market.ID(i)
	}
	return rows
}

// Seq returns the sequence of the newest event added, or 0.
func (f *Fold) Seq() uint64 { return f.seq }

// Len returns the number of trades added.
func (f *Fold) Len() int { return f.tape.n }

// Add adds the next event of the account's history. The first event may have any sequence.
// If that is not 1 and no reset follows, the beginning of the history is no longer kept, and
// DecideBust refuses for that reason. An error says which event contradicts what. The fold is then useless and
// returns the same error from then on. The fold keeps what the pointers of ev lead to, and
// nothing else of ev.
func (f *Fold) Add(ev *Event) error {
	if f.err != nil {
		return f.err
	}
	if err := f.add(ev); err != nil {
		f.err = fmt.Errorf("history of account %d, event %d: %w", f.request.Account, ev.Seq, err)
	}
	return f.err
}

func (f *Fold) add(ev *Event) error {
	switch {
	case ev.Account != f.request.Account:
		return fmt.Errorf("it is of account %d", ev.Account)
	case ev.Seq == 0 || f.first != 0 && ev.Seq != f.seq+1:
		return fmt.Errorf("it comes after event %d", f.seq)
	case ev.Kind == KindBust && ev.Bust == nil, ev.Kind == KindAdjustment && ev.Adjustment == nil,
		ev.Kind == KindReset && ev.Reset == nil:
		return fmt.Errorf("it is of kind %d and says nothing about that", ev.Kind)
	case ev.Cash.Balance < 0:
		return fmt.Errorf("it leaves cash at %s", market.FormatMoney(ev.Cash.Balance))
	}
	if f.first == 0 {
		f.first = ev.Seq
	}
	var err error
	switch {
	case !ev.Kind.Known():
		return fmt.Errorf("it is of unknown kind %d", ev.Kind)
	case ev.Kind == KindReset:
		err = f.addReset(ev)
	case !f.based(): // there is nothing to fold onto
	case ev.Kind == KindTrade:
		err = f.addTrade(ev)
	case ev.Kind == KindBust:
		err = f.addBust(ev)
	case ev.Kind == KindAdjustment:
		err = f.addAdjustment(ev)
	}
	if err != nil {
		return err
	}
	f.noteRequested(ev)
	f.seq, f.cash = ev.Seq, ev.Cash
	return nil
}

// based reports whether the history that was added begins where folding can: with the account or
// with a reset.
func (f *Fold) based() bool { return f.first == 1 || f.reset != 0 }

// noteRequested keeps what the request asks about.
func (f *Fold) noteRequested(ev *Event) {
	r, t := f.request, &f.target
	if ev.Seq == r.TradeSeq {
		t.kind, t.trade, t.place = ev.Kind, ev.Trade, f.tape.n-1
	}
	if ev.Kind != KindBust {
		return
	}
	b := ev.Bust
	if r.ID != "" && b.ID == r.ID {
		f.earlierBust, f.earlierSeq = b, ev.Seq
	}
	switch {
	case b.TradeSeq == r.TradeSeq && b.Replacement != nil:
		t.trade = *b.Replacement
	case b.TradeSeq == r.TradeSeq, slices.Contains(b.Cascade, r.TradeSeq):
		t.takenBy, t.takenAt = b.ID, ev.Seq
	}
}

func (f *Fold) addAdjustment(ev *Event) error {
	var balance wide
	balance.add(ev.Adjustment.Cash)
	return f.checkCash(ev, balance, wide{}, f.cash.Realised)
}

// addReset begins the fold anew.
func (f *Fold) addReset(ev *Event) error {
	r := ev.Reset
	if want := (Cash{Balance: r.Cash}); ev.Cash != want {
		return fmt.Errorf("it says %s, and resets to %s", describeCash(ev.Cash), describeCash(want))
	}
	if f.based() {
		if held := f.held(); !slices.Equal(r.Gone, held) {
			return fmt.Errorf("it says that the rows of instruments %d went, and those of %d were held", r.Gone, held)
		}
	}
	f.tape, f.marks, f.rows, f.reset = tape{}, nil, noRows(f.universe), ev.Seq
	return nil
}

// held returns the instruments of which shares are held, ascending.
func (f *Fold) held() []market.ID {
	var held []market.ID
	for i := range f.rows {
		if f.rows[i].Quantity != 0 {
			held = append(held, f.rows[i].Instrument)
		}
	}
	return held
}

// checkCash checks the cash of an event against the cash before it and what it moved.
func (f *Fold) checkCash(ev *Event, balance, fees wide, realised int64) error {
	want := Cash{Realised: realised}
	var fits1, fits2 bool
	want.Balance, fits1 = balance.plus(f.cash.Balance)
	want.FeesPaid, fits2 = fees.plus(f.cash.FeesPaid)
	if !fits1 || !fits2 {
		return errors.New("its cash would pass the largest the ledger holds")
	}
	if want != ev.Cash {
		return fmt.Errorf("it says %s, and the events up to it come to %s", describeCash(ev.Cash), describeCash(want))
	}
	return nil
}

func describeCash(c Cash) string {
	return fmt.Sprintf("cash %s, fees paid %s, realised %s",
		market.FormatMoney(c.Balance), market.FormatMoney(c.FeesPaid), market.FormatMoney(c.Realised))
}

func (f *Fold) describe(r *Row) string {
	name := fmt.Sprintf("instrument %d", r.Instrument)
	if int(r.Instrument) < f.universe.Len() {
		name = f.universe.At(r.Instrument).String()
	}
	return fmt.Sprintf("%d %s, cost %s, realised %s, version %d", r.Quantity, name, market.FormatMoney(r.Cost),
		market.FormatMoney(r.Realised), r.Version)
}

func (f *Fold) addTrade(ev *Event) error {
	t := &ev.Trade
	if err := f.checkTrade(t); err != nil {
		return err
	}
	e := newTaped(ev.Seq, t)
	row := f.rows[t.Instrument]
	gain, ok1 := row.step(&e)
	realised, ok2 := add(f.cash.Realised, gain)
	if !ok1 || !ok2 {
		return fmt.Errorf("it does not go with %s", f.describe(&row))
	}
	row.Version = ev.Seq
	if row != ev.Position.Row {
		return fmt.Errorf("it says %s, and the events up to it come to %s", f.describe(&ev.Position.Row),
			f.describe(&row))
	}
	var balance, fees wide
	balance.sub(e.amount())
	balance.sub(t.Fees)
	fees.add(t.Fees)
	if err := f.checkCash(ev, balance, fees, realised); err != nil {
		return err
	}
	f.rows[t.Instrument] = row
	f.tape.append(e, t.Fees)
	if f.tape.n%f.markEvery == 0 {
		f.marks = append(f.marks, mark{f.tape.n, slices.Clone(f.rows)})
	}
	return nil
}

// checkTrade makes the checks that need only the trade.
func (f *Fold) checkTrade(t *Trade) error {
	amount, fits := amountOf(t.Quantity, t.Price)
	switch {
	case int(t.Instrument) >= f.universe.Len():
		return fmt.Errorf("it is of instrument %d of %d", t.Instrument, f.universe.Len())
	case t.Side != Buy && t.Side != Sell:
		return fmt.Errorf("its trade has side %d", t.Side)
	case t.Quantity <= 0 || t.Quantity > MaxOrderShares || t.Price < 0 || t.Fees < 0:
		return fmt.Errorf("its trade is of %d shares at %s with fees of %s",
			t.Quantity, market.FormatMoney(t.Price), market.FormatMoney(t.Fees))
	case !fits || amount != t.Amount:
		return fmt.Errorf("its trade is of %d shares at %s for %s",
			t.Quantity, market.FormatMoney(t.Price), market.FormatMoney(t.Amount))
	}
	return nil
}

// addBust takes back what a bust took back, and sets the rows and cash that its event
// states. It checks quantities, cash and fees, but not cost and realised: refolding an
// instrument for every bust would be quadratic in the length of the history. Refold checks
// those for the instruments that the request touches, and Verify for all.
func (f *Fold) addBust(ev *Event) error {
	b := ev.Bust
	if len(b.Cascade) > MaxCascade {
		return fmt.Errorf("it takes %d trades back with another, and the most is %d", len(b.Cascade), MaxCascade)
	}
	p := newPlan(f)
	if err := p.replayBust(b); err != nil {
		return err
	}
	if err := f.checkCash(ev, p.balance, p.fees, ev.Cash.Realised); err != nil {
		return err
	}
	slices.SortFunc(p.touched, func(a, b touch) int { return cmp.Compare(a.now.Instrument, b.now.Instrument) })
	if len(b.Positions) != len(p.touched) {
		return fmt.Errorf("it has %d rows where it touches %d", len(b.Positions), len(p.touched))
	}
	for i := range p.touched {
		if err := f.checkRow(&b.Positions[i].Row, p.touched[i].now.Instrument, p.touched[i].held, ev.Seq); err != nil {
			return err
		}
	}
	for i := range b.Positions {
		f.rows[b.Positions[i].Instrument] = b.Positions[i].Row
	}
	first := slices.MinFunc(p.changes, func(a, b change) int { return cmp.Compare(a.place, b.place) })
	for len(f.marks) > 0 && f.marks[len(f.marks)-1].trades > first.place {
		f.marks = f.marks[:len(f.marks)-1]
	}
	return nil
}

// checkRow checks a row after a bust that leaves held shares of instrument id.
func (f *Fold) checkRow(row *Row, id market.ID, held int64, seq uint64) error {
	if row.Instrument != id {
		return fmt.Errorf("it has a row of instrument %d in the place of %s", row.Instrument, f.universe.At(id))
	}
	version := f.rows[id].Version
	if !row.sameState(&f.rows[id]) {
		version = seq
	}
	if row.Quantity != held || held < 0 || row.Cost < 0 || held == 0 && row.Cost != 0 || row.Version != version {
		return fmt.Errorf("it says %s, and the events up to it leave %d shares in version %d", f.describe(row),
			held, version)
	}
	return nil
}
