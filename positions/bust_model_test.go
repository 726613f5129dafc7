package positions

import (
	"math"
	"math/big"
	"slices"

	"github.com/papertape/papertape/market"
)

// bustModel is as simple as the model of orders: an account is the list of its bookings. A
// bust strikes trades out of a copy of the list, one at a time, as the page on the ledger
// describes. After each, everything is folded from the beginning, in unbounded numbers.
type bustModel struct {
	events   []modelEvent
	trades   []modelTrade
	adjusted *big.Int
	versions map[market.ID]uint64
	past     []modelTrade // of before the latest reset
	reset    uint64       // its sequence; 0: none
}

type modelEvent struct {
	kind Kind
	bust *Bust
}

type modelTrade struct {
	Trade
	seq     uint64
	struck  bool
	by      string
	byEvent uint64
}

// modelFold is the result of folding a list of trades.
type modelFold struct {
	rows                  map[market.ID]*modelRow
	moved, fees, realised *big.Int // moved: what trades and fees added to the cash
	// shortAt is the index of the first sale of more shares than held, or -1. Trades after
	// it are not folded.
	shortAt int
	fits    bool // every row fits after every trade
}

func foldTrades(trades []modelTrade) modelFold {
	s := modelFold{rows: map[market.ID]*modelRow{}, moved: number(0), fees: number(0), realised: number(0),
		shortAt: -1, fits: true}
	for i, t := range trades {
		if t.struck {
			continue
		}
		row := s.rows[t.Instrument]
		if row == nil {
			row = &modelRow{quantity: number(0), cost: number(0), realised: number(0)}
			s.rows[t.Instrument] = row
		}
		if row.quantity.Sign() == 0 {
			row.realised = number(0)
		}
		quantity := number(t.Quantity)
		amount := times(quantity, number(t.Price))
		if t.Side == Buy {
			row.quantity, row.cost = plus(row.quantity, quantity), plus(row.cost, amount)
			s.moved = minus(s.moved, amount)
		} else {
			if row.quantity.Cmp(quantity) < 0 {
				s.shortAt = i
				return s
			}
			taken := nearest(new(big.Rat).SetFrac(times(row.cost, quantity), row.quantity))
			row.quantity, row.cost = minus(row.quantity, quantity), minus(row.cost, taken)
			row.realised = plus(row.realised, minus(amount, taken))
			s.realised = plus(s.realised, minus(amount, taken))
			s.moved = plus(s.moved, amount)
		}
		s.moved, s.fees = minus(s.moved, number(t.Fees)), plus(s.fees, number(t.Fees))
		s.fits = s.fits && row.quantity.IsInt64() && row.cost.IsInt64() && row.realised.IsInt64()
	}
	return s
}

func (s modelFold) row(id market.ID) Row {
	row := Row{Instrument: id}
	if r := s.rows[id]; r != nil {
		row.Quantity, row.Cost, row.Realised = r.quantity.Int64(), r.cost.Int64(), r.realised.Int64()
	}
	return row
}

func (s modelFold) total(prices *market.Prices) *big.Int {
	total := number(0)
	for id, row := range s.rows {
		total = plus(total, times(row.quantity, number(prices.At(id))))
	}
	return total
}

func (m *bustModel) cash(s modelFold) *big.Int { return plus(m.adjusted, s.moved) }

// resetTo returns the expected event of a reset.
func (m *bustModel) resetTo(r Reset, now int64) Event {
	s := foldTrades(m.trades)
	for id := range market.ID(market.MaxInstruments) {
		if s.row(id).Quantity != 0 {
			r.Gone = append(r.Gone, id)
		}
	}
	return Event{
		Account: alice, Seq: uint64(len(m.events) + 1), Time: now, Kind: KindReset, Reset: &r,
		Cash: Cash{Balance: r.Cash},
	}
}

// add books an event that was decided and applied.
func (m *bustModel) add(ev *Event) {
	m.events = append(m.events, modelEvent{ev.Kind, ev.Bust})
	switch ev.Kind {
	case KindAdjustment:
		m.adjusted = plus(m.adjusted, number(ev.Adjustment.Cash))
	case KindTrade:
		m.trades = append(m.trades, modelTrade{Trade: ev.Trade, seq: ev.Seq})
		m.versions[ev.Trade.Instrument] = ev.Seq
	case KindReset:
		m.past, m.trades = append(m.past, m.trades...), nil
		m.adjusted, m.versions, m.reset = number(ev.Reset.Cash), map[market.ID]uint64{}, ev.Seq
	case KindBust:
		before := foldTrades(m.trades)
		m.strike(ev)
		after := foldTrades(m.trades)
		for id := range before.rows {
			if before.row(id) != after.row(id) {
				m.versions[id] = ev.Seq
			}
		}
	}
}

func (m *bustModel) strike(ev *Event) {
	for i := range m.trades {
		t := &m.trades[i]
		switch {
		case t.seq == ev.Bust.TradeSeq && ev.Bust.Replacement != nil:
			t.Trade = *ev.Bust.Replacement
		case t.seq == ev.Bust.TradeSeq, slices.Contains(ev.Bust.Cascade, t.seq):
			t.struck, t.by, t.byEvent = true, ev.Bust.ID, ev.Seq
		}
	}
}

// plan strikes the trade that the request names, and then, as the page says, others until
// nothing is short.
func (m *bustModel) plan(r *BustRequest, target int) (trades []modelTrade, cascade []uint64, o BustOutcome) {
	trades = slices.Clone(m.trades)
	if r.Correct {
		trades[target].Trade = corrected(trades[target].Trade, r)
	} else {
		trades[target].struck = true
	}
	var first, cashWasShort BustOutcome
	for {
		s := foldTrades(trades)
		cash := m.cash(s)
		var victim int
		switch {
		case s.shortAt < 0 && cash.Sign() >= 0:
			more := len(cascade) > MaxCascade
			if !more && (r.Policy == PolicyCascade || len(cascade) == 0) {
				return trades, cascade, BustOutcome{}
			}
			o := first
			if r.Policy == PolicyCascade {
				o = BustOutcome{Reason: BustCascadeTooLong}
			}
			o.InTheWay, o.More = newestFirst(cascade[:min(len(cascade), MaxCascade)]), more
			return trades, cascade, o
		case s.shortAt >= 0:
			short := trades[s.shortAt]
			o := BustOutcome{Reason: BustSharesGone, Instrument: short.Instrument, Seq: short.seq,
				Have: s.row(short.Instrument).Quantity, Need: short.Quantity}
			if first.Reason == NoBustRefusal {
				first = o
			}
			switch {
			case s.shortAt == target && cashWasShort.Reason != NoBustRefusal:
				return nil, nil, cashWasShort
			case s.shortAt == target:
				return nil, nil, o
			}
			victim = newest(trades, target, func(t modelTrade) bool {
				return t.Side == Sell && t.Instrument == short.Instrument
			})
		default:
			if cashWasShort.Reason == NoBustRefusal {
				cashWasShort = BustOutcome{Reason: BustCashGone, Have: clamped(cash)}
			}
			if first.Reason == NoBustRefusal {
				first = cashWasShort
			}
			if victim = newest(trades, target, func(t modelTrade) bool { return t.Side == Buy }); victim < 0 {
				return nil, nil, cashWasShort
			}
		}
		trades[victim].struck = true
		cascade = append(cascade, trades[victim].seq)
	}
}

// newest returns the index of the newest standing trade that matches, other than target, or
// -1.
func newest(trades []modelTrade, target int, like func(modelTrade) bool) int {
	found := -1
	for i, t := range trades {
		if i != target && !t.struck && like(t) {
			found = i
		}
	}
	return found
}

func newestFirst(seqs []uint64) []uint64 {
	seqs = slices.Clone(seqs)
	slices.Sort(seqs)
	slices.Reverse(seqs)
	return seqs
}

func clamped(v *big.Int) int64 {
	if v.IsInt64() {
		return v.Int64()
	}
	return math.MinInt64
}

func corrected(t Trade, r *BustRequest) Trade {
	t.Price, t.Quantity, t.Amount, t.Revision = r.Price, r.Quantity, r.Price*r.Quantity, t.Revision+1
	return t
}

// decide returns the expected outcome of a request and, if it succeeds, the expected event.
func (m *bustModel) decide(r *BustRequest, prices *market.Prices, now int64) (BustOutcome, Event) {
	if o := m.judge(r); o.Reason != NoBustRefusal || o.Repeats != 0 {
		return o, Event{}
	}
	target := slices.IndexFunc(m.trades, func(t modelTrade) bool { return t.seq == r.TradeSeq })
	trades, cascade, o := m.plan(r, target)
	if o.Reason != NoBustRefusal {
		return o, Event{}
	}
	before, after := foldTrades(m.trades), foldTrades(trades)
	cash, total := m.cash(after), after.total(prices)
	if !after.fits || !cash.IsInt64() || !after.fees.IsInt64() || !after.realised.IsInt64() || !total.IsInt64() {
		return BustOutcome{Reason: BustTooLarge}, Event{}
	}
	slices.Sort(cascade)
	original := m.trades[target].Trade
	bust := &Bust{TradeSeq: r.TradeSeq, Reason: r.Reason, Actor: r.Actor, ID: r.ID, Original: original,
		Cascade: cascade}
	if r.Correct {
		replacement := corrected(original, r)
		bust.Replacement = &replacement
	}
	seq := uint64(len(m.events) + 1)
	for id := range market.ID(prices.Len()) {
		if !slices.ContainsFunc(m.trades, func(t modelTrade) bool {
			return t.Instrument == id && (t.seq == r.TradeSeq || slices.Contains(cascade, t.seq))
		}) {
			continue
		}
		row := after.row(id)
		row.Version = m.versions[id]
		if before.row(id) != after.row(id) {
			row.Version = seq
		}
		bust.Positions = append(bust.Positions, Position{Row: row, Sellable: row.Quantity, Price: prices.At(id)})
	}
	return BustOutcome{}, Event{
		Account: r.Account, Seq: seq, Time: now, Kind: KindBust, Bust: bust, TotalMarketValue: total.Int64(),
		Cash:   Cash{Balance: cash.Int64(), FeesPaid: after.fees.Int64(), Realised: after.realised.Int64()},
		Change: changed(before.row(original.Instrument).Quantity, after.row(original.Instrument).Quantity),
	}
}

func changed(was, is int64) Change {
	switch {
	case is == was:
		return Unchanged
	case is > was && was == 0:
		return Opened
	case is < was && is == 0:
		return Closed
	case is > was:
		return Increased
	}
	return Decreased
}

// judge checks a request before anything is folded.
func (m *bustModel) judge(r *BustRequest) BustOutcome {
	if r.Correct && (r.Quantity < 1 || r.Quantity > MaxOrderShares || r.Price < 1 || r.Price > market.MaxPrice) {
		return BustOutcome{Reason: BustMalformed}
	}
	if !times(number(r.Quantity), number(r.Price)).IsInt64() {
		return BustOutcome{Reason: BustTooLarge}
	}
	for i, e := range m.events {
		if e.kind != KindBust || r.ID == "" || e.bust.ID != r.ID {
			continue
		}
		if m.same(r, e.bust) {
			return BustOutcome{Repeats: uint64(i + 1)}
		}
		return BustOutcome{Reason: BustIDReused, Seq: uint64(i + 1), TradeSeq: e.bust.TradeSeq, ID: r.ID}
	}
	if r.TradeSeq == 0 || r.TradeSeq > uint64(len(m.events)) {
		return BustOutcome{Reason: BustUnknownTrade, Seq: uint64(len(m.events))}
	}
	if kind := m.events[r.TradeSeq-1].kind; kind != KindTrade {
		return BustOutcome{Reason: BustNotATrade, Seq: r.TradeSeq, kind: kind}
	}
	all := slices.Concat(m.past, m.trades)
	t := all[slices.IndexFunc(all, func(t modelTrade) bool { return t.seq == r.TradeSeq })]
	switch {
	case t.struck:
		return BustOutcome{Reason: BustAlready, Seq: t.byEvent, ID: t.by}
	case t.seq < m.reset:
		return BustOutcome{Reason: BustBeforeReset, Seq: m.reset}
	case r.Revision != nil && *r.Revision != t.Revision:
		return BustOutcome{Reason: BustStaleRevision, Have: int64(t.Revision), Need: int64(*r.Revision)}
	case r.Correct && r.Price == t.Price && r.Quantity == t.Quantity:
		return BustOutcome{Reason: BustNothingToCorrect, Have: t.Quantity, Need: t.Price}
	}
	return BustOutcome{}
}

// same reports whether b results from the same request: the same trade, change and reason,
// the same revision if one is named, and no cascade that the request would not have
// allowed.
func (m *bustModel) same(r *BustRequest, b *Bust) bool {
	if r.Correct != (b.Replacement != nil) ||
		r.Correct && (r.Price != b.Replacement.Price || r.Quantity != b.Replacement.Quantity) {
		return false
	}
	return r.TradeSeq == b.TradeSeq && r.Reason == b.Reason &&
		(r.Revision == nil || *r.Revision == b.Original.Revision) &&
		(r.Policy == PolicyCascade || b.Cascade == nil)
}
