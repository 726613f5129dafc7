package clientsim

import (
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/client"
)

// Rules are the trading rules that the server keeps to, as far as the checks depend on them.
type Rules uint8

// The rules.
const (
	RulesNone Rules = iota // no fees, and all shares can be sold the day they were bought
	RulesAny               // not known: fees are taken as they come, sellable is checked to be 0 to the quantity
)

// key names a row: a code alone is not enough.
type key struct{ market, code string }

func (k key) String() string { return k.market + " " + k.code }

func (k key) compare(o key) int {
	if c := strings.Compare(k.market, o.market); c != 0 {
		return c
	}
	return strings.Compare(k.code, o.code)
}

// row is what a shadow keeps of an instrument held. Money is in 1/10000.
type row struct {
	name                     string
	quantity, cost, realised int64
	version                  uint64
}

// step does a trade to a row, as the ledger does: a buy adds its amount to the cost; a sale of q out of Q takes cost*q/Q out of
// it, half to even, and realises the amount less that, which is gain. A row counts what it realised since its quantity last
// left 0.
func (r *row) step(f *findings, t *client.Trade) (gain *big.Int) {
	amount := times(t.Quantity, t.Price)
	gain = new(big.Int)
	if t.Side == client.Buy {
		if r.quantity == 0 {
			r.realised = 0
		}
		r.quantity = f.fit("quantity", plus(r.quantity, t.Quantity))
		r.cost = f.fit("cost", amount.Add(amount, big.NewInt(r.cost)))
		return gain
	}
	taken := part(r.cost, t.Quantity, r.quantity)
	gain.Sub(amount, taken)
	r.quantity = f.fit("quantity", plus(r.quantity, -t.Quantity))
	r.cost = f.fit("cost", taken.Sub(big.NewInt(r.cost), taken))
	r.realised = f.fit("realised", new(big.Int).Add(gain, big.NewInt(r.realised)))
	return gain
}

// Shadow is one account as it must be, computed from its trades. It does the ledger's arithmetic again in big integers
// and shares no code with the server's books.
//
// A trade that is taken back or corrected is no arithmetic of its own: the trades that stand are done anew, in their order.
// The shadow knows those that came since it began, or the newest of them (past). A bust of an older one it cannot
// compute; it counts it (Unfolded), and a shadow that is given the account's whole history checks it.
//
// What an event says and a shadow cannot know: its time (only that there is one), who made a trade (only that it is one
// of the three), the client order id, and the prices of rows that the event does not touch, so that the total market
// value is checked exactly where the event's rows are all there are, and else to be no less than theirs. CompareEvents
// and the mission's clients, who know their orders, check the rest.
//
// A finding is a sentence that names the account, the sequence, the field, what was expected and what came. After a
// finding the shadow goes on from what the event says, so that one difference is not reported for ever after.
type Shadow struct {
	account uint64
	rules   Rules
	seq     uint64
	cash    struct{ balance, fees, realised int64 }
	rows    map[key]*row      // held
	gone    map[key]row       // as they last were, with quantity 0
	past    past              // what the rows come from
	busts   map[string]uint64 // by bust id, the sequence; clones share it
	blind   int               // busts that could not be computed
}

// NewShadow is the shadow of an account before its first event.
func NewShadow(account uint64, rules Rules) *Shadow {
	return &Shadow{account: account, rules: rules, rows: make(map[key]*row), gone: make(map[key]row), busts: make(map[string]uint64)}
}

// FromHoldings is the shadow of an account that begins with a list, and what is wrong with the list in itself.
func FromHoldings(h *client.Holdings, rules Rules) (*Shadow, []string) {
	s := NewShadow(h.Account, rules)
	s.seq = h.AsOfSeq
	s.adoptCash(h.Cash)
	for i := range h.Positions {
		p := &h.Positions[i]
		s.rows[key{p.Market, p.Code}] = readRow(p)
	}
	s.rebase()
	return s, s.CheckHoldings(h)
}

func readRow(p *client.Position) *row {
	return &row{
		name: p.Name, quantity: p.Quantity, cost: int64(p.Cost), realised: int64(p.Realised), version: p.RowVersion,
	}
}

// clone shares nothing with s.
func (s *Shadow) clone() *Shadow {
	c := *s
	c.rows = make(map[key]*row, len(s.rows))
	for k, r := range s.rows {
		held := *r
		c.rows[k] = &held
	}
	c.gone = maps.Clone(s.gone)
	c.past.trades = slices.Clip(s.past.trades)
	return &c
}

// Account is the account's number.
func (s *Shadow) Account() uint64 { return s.account }

// Seq is the last sequence applied.
func (s *Shadow) Seq() uint64 { return s.seq }

// Len is how many rows the account holds.
func (s *Shadow) Len() int { return len(s.rows) }

// Quantity is how many shares the account holds of an instrument, 0 for none.
func (s *Shadow) Quantity(market, code string) int64 {
	if r := s.rows[key{market, code}]; r != nil {
		return r.quantity
	}
	return 0
}

// rowOf is a copy of the row of an instrument, with quantity 0 where there is none.
func (s *Shadow) rowOf(k key) row {
	if r := s.rows[k]; r != nil {
		return *r
	}
	return s.gone[k]
}

// Held is the instruments the account holds, as "SH.600519", by market and code.
func (s *Shadow) Held() []string {
	held := make([]string, 0, len(s.rows))
	for _, k := range s.keys() {
		held = append(held, k.market+"."+k.code)
	}
	return held
}

func (s *Shadow) keys() []key {
	keys := make([]key, 0, len(s.rows))
	for k := range s.rows {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, key.compare)
	return keys
}

// Apply computes what the event must say, compares, and returns what differs.
func (s *Shadow) Apply(ev *client.Event) []string {
	f := findings{account: s.account, seq: ev.Seq}
	f.number("account", s.account, ev.Account)
	f.number("seq", s.seq+1, ev.Seq)
	if ev.Time.UnixNano() <= 0 {
		f.add("time", "a time after 1970", strconv.FormatInt(ev.Time.UnixNano(), 10))
	}
	if ev.Cash == nil {
		f.add("cash", "the cash after the event", "none")
	}
	s.seq = ev.Seq
	switch {
	case ev.Trade != nil:
		s.applyTrade(&f, ev, ev.Trade)
	case ev.Adjustment != nil:
		s.applyAdjustment(&f, ev, ev.Adjustment)
	case ev.Bust != nil:
		s.applyBust(&f, ev, ev.Bust)
	default:
		f.add("what", "a trade, a bust or an adjustment", "nothing")
	}
	s.checkTotal(&f, ev)
	s.adopt(ev)
	if len(f.list) > 0 || s.past.lost {
		s.rebase() // the trades do not come to what is held now
	}
	return f.list
}

func (s *Shadow) applyAdjustment(f *findings, ev *client.Event, a *client.Adjustment) {
	f.change(client.NoChange, ev.Change)
	f.number("number of positions", 0, uint64(len(ev.Positions)))
	f.present("adjustment reason", a.Reason)
	f.present("adjustment actor", a.Actor)
	s.checkCash(f, ev.Cash, plus(s.cash.balance, a.Cash), s.cash.fees, s.cash.realised)
}

func (s *Shadow) applyTrade(f *findings, ev *client.Event, t *client.Trade) {
	s.checkTrade(f, ev, t)
	k := key{t.Market, t.Code}
	after := row{name: t.Name}
	if held := s.rows[k]; held != nil {
		after = *held
	}
	before := after.quantity
	if t.Side != client.Buy && t.Quantity > before {
		f.add("trade quantity", fmt.Sprintf("at most the %d shares held of %s", before, k),
			strconv.FormatInt(t.Quantity, 10))
	}
	gain := after.step(f, t)
	after.version = ev.Seq
	f.change(changeOf(before, after.quantity), ev.Change)
	s.checkRow(f, ev, t, &after)
	balance, fees := moved(t)
	s.checkCash(f, ev.Cash, balance.Add(balance, big.NewInt(s.cash.balance)),
		f.fit("cash fees_paid", fees.Add(fees, big.NewInt(s.cash.fees))), f.fit("cash realised", gain.Add(gain, big.NewInt(s.cash.realised))))
	s.past.add(ev.Seq, t)
}

// moved is what a trade adds to the cash, and to the fees paid.
func moved(t *client.Trade) (balance, fees *big.Int) {
	balance, fees = times(t.Quantity, t.Price), whole(t.Fees)
	if t.Side == client.Buy {
		balance.Neg(balance)
	}
	return balance.Sub(balance, fees), fees
}

// changeOf is what became of a row whose quantity was before and is after.
func changeOf(before, after int64) client.Change {
	switch {
	case before == after:
		return client.Unchanged
	case before == 0:
		return client.Opened
	case after == 0:
		return client.Closed
	case after > before:
		return client.Increased
	}
	return client.Decreased
}

// checkTrade checks what a trade says of itself.
func (s *Shadow) checkTrade(f *findings, ev *client.Event, t *client.Trade) {
	f.text("trade id", fmt.Sprintf("%d-%d", s.account, ev.Seq), t.ID)
	if t.Side != client.Buy && t.Side != client.Sell {
		f.add("trade side", "a buy or a sale", papertapev1.Side(t.Side).String())
	}
	f.positive("trade quantity", t.Quantity)
	f.positive("trade price", int64(t.Price))
	f.money("trade amount", times(t.Quantity, t.Price), t.Amount)
	if s.rules == RulesNone {
		f.money("trade fees", new(big.Int), t.Fees)
	} else if t.Fees < 0 {
		f.add("trade fees", "0 or more", t.Fees.String())
	}
	switch t.Origin {
	case client.OriginClient, client.OriginSimulator, client.OriginOperator:
	default:
		f.add("trade origin", "client, simulator or operator", papertapev1.Origin(t.Origin).String())
	}
	f.number("trade revision", 0, uint64(t.Revision))
}

// checkRow compares the one row that a trade touches.
func (s *Shadow) checkRow(f *findings, ev *client.Event, t *client.Trade, want *row) {
	f.number("number of positions", 1, uint64(len(ev.Positions)))
	if len(ev.Positions) != 1 {
		return
	}
	p := &ev.Positions[0]
	f.text("position instrument", key{t.Market, t.Code}.String(), key{p.Market, p.Code}.String())
	f.text("trade name", want.name, t.Name)
	f.money("position price", whole(t.Price), p.Price)
	s.comparePosition(f, "position", p, want)
}

// comparePosition compares a row with what it must be, and its own arithmetic.
func (s *Shadow) comparePosition(f *findings, what string, p *client.Position, want *row) {
	f.present(what+" name", p.Name)
	f.text(what+" name", want.name, p.Name)
	f.integer(what+" quantity", want.quantity, p.Quantity)
	f.money(what+" cost", big.NewInt(want.cost), p.Cost)
	f.money(what+" realised", big.NewInt(want.realised), p.Realised)
	f.number(what+" row_version", want.version, p.RowVersion)
	f.positive(what+" price", int64(p.Price))
	f.money(what+" market_value", times(p.Quantity, p.Price), p.MarketValue)
	switch {
	case s.rules == RulesNone:
		f.integer(what+" sellable", want.quantity, p.Sellable)
	case p.Sellable < 0 || p.Sellable > want.quantity:
		f.add(what+" sellable", fmt.Sprintf("0 to %d", want.quantity), strconv.FormatInt(p.Sellable, 10))
	}
}

func (s *Shadow) checkCash(f *findings, told *client.Cash, balance *big.Int, fees, realised int64) {
	c := cashOf(told)
	f.money("cash balance", balance, c.Balance)
	f.money("cash fees_paid", big.NewInt(fees), c.FeesPaid)
	f.money("cash realised", big.NewInt(realised), c.Realised)
	if c.Balance < 0 {
		f.add("cash balance", "0 or more", c.Balance.String())
	}
}

// checkTotal checks the total as far as the prices in the event go.
func (s *Shadow) checkTotal(f *findings, ev *client.Event) {
	known, others := new(big.Int), len(s.rows)
	for i := range ev.Positions {
		p := &ev.Positions[i]
		known.Add(known, times(p.Quantity, p.Price))
		if s.rows[key{p.Market, p.Code}] != nil {
			others--
		}
	}
	switch {
	case others == 0:
		f.money("total_market_value", known, ev.TotalMarketValue)
	case known.Cmp(whole(ev.TotalMarketValue)) >= 0:
		f.add("total_market_value", "more than the "+moneyText(known)+" of the rows in the event, as there are others",
			ev.TotalMarketValue.String())
	}
}

// adopt goes on from what the event says.
func (s *Shadow) adopt(ev *client.Event) {
	for i := range ev.Positions {
		p := &ev.Positions[i]
		k := key{p.Market, p.Code}
		if p.Quantity == 0 {
			delete(s.rows, k)
			s.gone[k] = *readRow(p)
			continue
		}
		s.rows[k] = readRow(p)
		delete(s.gone, k)
	}
	s.adoptCash(ev.Cash)
}

func (s *Shadow) adoptCash(told *client.Cash) {
	c := cashOf(told)
	s.cash.balance, s.cash.fees, s.cash.realised = int64(c.Balance), int64(c.FeesPaid), int64(c.Realised)
}

// CheckHoldings compares a whole list with the account as it must be: it has to be as of the last event applied. The
// state hash is computed from the shadow, not from the list.
func (s *Shadow) CheckHoldings(h *client.Holdings) []string {
	f := findings{account: s.account, seq: h.AsOfSeq, where: "holdings as of "}
	f.number("account", s.account, h.Account)
	f.number("as_of_seq", s.seq, h.AsOfSeq)
	if h.Cash == nil {
		f.add("cash", "the account's cash", "none")
	}
	s.checkCash(&f, h.Cash, big.NewInt(s.cash.balance), s.cash.fees, s.cash.realised)
	keys, total := s.keys(), new(big.Int)
	f.number("number of rows", uint64(len(keys)), uint64(len(h.Positions)))
	for i := range h.Positions {
		p := &h.Positions[i]
		total.Add(total, times(p.Quantity, p.Price))
		if i >= len(keys) {
			continue
		}
		what := fmt.Sprintf("row %d (%s)", i+1, keys[i])
		f.text(what+" instrument", keys[i].String(), key{p.Market, p.Code}.String())
		s.comparePosition(&f, what, p, s.rows[keys[i]])
		f.positive(what+" quantity", p.Quantity)
	}
	f.money("total_market_value", total, h.TotalMarketValue)
	if hash := s.stateHash(); hash != h.StateHash {
		f.add("state_hash", fmt.Sprintf("%016x", hash), fmt.Sprintf("%016x", h.StateHash))
	}
	return f.list
}
