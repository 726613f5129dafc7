package clientsim

import (
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/market"
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
	amount := times(t.GetQuantity(), t.GetPrice())
	gain = new(big.Int)
	if t.GetSide() == client.Buy {
		if r.quantity == 0 {
			r.realised = 0
		}
		r.quantity = f.fit("quantity", plus(r.quantity, t.GetQuantity()))
		r.cost = f.fit("cost", amount.Add(amount, big.NewInt(r.cost)))
		return gain
	}
	taken := part(r.cost, t.GetQuantity(), r.quantity)
	gain.Sub(amount, taken)
	r.quantity = f.fit("quantity", plus(r.quantity, -t.GetQuantity()))
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
	s := NewShadow(h.GetAccount(), rules)
	s.seq = h.GetAsOfSeq()
	s.cash.balance, s.cash.fees, s.cash.realised = h.GetCash().GetBalance(), h.GetCash().GetFeesPaid(), h.GetCash().GetRealised()
	for _, p := range h.GetPositions() {
		s.rows[key{p.GetMarket(), p.GetCode()}] = readRow(p)
	}
	s.rebase()
	return s, s.CheckHoldings(h)
}

func readRow(p *client.Position) *row {
	return &row{
		name: p.GetName(), quantity: p.GetQuantity(), cost: p.GetCost(), realised: p.GetRealised(), version: p.GetRowVersion(),
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
func (s *Shadow) Apply(ev *client.AccountEvent) []string {
	f := findings{account: s.account, seq: ev.GetSeq()}
	f.number("account", s.account, ev.GetAccount())
	f.number("seq", s.seq+1, ev.GetSeq())
	if ev.GetTime() <= 0 {
		f.add("time", "a time after 1970", strconv.FormatInt(ev.GetTime(), 10))
	}
	if ev.GetCash() == nil {
		f.add("cash", "the cash after the event", "none")
	}
	s.seq = ev.GetSeq()
	switch what := ev.GetWhat().(type) {
	case *client.EventTrade:
		s.applyTrade(&f, ev, what.Trade)
	case *client.EventAdjustment:
		s.applyAdjustment(&f, ev, what.Adjustment)
	case *client.EventBust:
		s.applyBust(&f, ev, what.Bust)
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

func (s *Shadow) applyAdjustment(f *findings, ev *client.AccountEvent, a *client.Adjustment) {
	f.text("change", client.NoChange.String(), ev.GetChange().String())
	f.number("number of positions", 0, uint64(len(ev.GetPositions())))
	f.present("adjustment reason", a.GetReason())
	f.present("adjustment actor", a.GetActor())
	s.checkCash(f, ev.GetCash(), plus(s.cash.balance, a.GetCash()), s.cash.fees, s.cash.realised)
}

func (s *Shadow) applyTrade(f *findings, ev *client.AccountEvent, t *client.Trade) {
	s.checkTrade(f, ev, t)
	k := key{t.GetMarket(), t.GetCode()}
	after := row{name: t.GetName()}
	if held := s.rows[k]; held != nil {
		after = *held
	}
	before := after.quantity
	if t.GetSide() != client.Buy && t.GetQuantity() > before {
		f.add("trade quantity", fmt.Sprintf("at most the %d shares held of %s", before, k), strconv.FormatInt(t.GetQuantity(), 10))
	}
	gain := after.step(f, t)
	after.version = ev.GetSeq()
	f.text("change", changeOf(before, after.quantity).String(), ev.GetChange().String())
	s.checkRow(f, ev, t, &after)
	balance, fees := moved(t)
	s.checkCash(f, ev.GetCash(), balance.Add(balance, big.NewInt(s.cash.balance)),
		f.fit("cash fees_paid", fees.Add(fees, big.NewInt(s.cash.fees))), f.fit("cash realised", gain.Add(gain, big.NewInt(s.cash.realised))))
	s.past.add(ev.GetSeq(), t)
}

// moved is what a trade adds to the cash, and to the fees paid.
func moved(t *client.Trade) (balance, fees *big.Int) {
	balance, fees = times(t.GetQuantity(), t.GetPrice()), big.NewInt(t.GetFees())
	if t.GetSide() == client.Buy {
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
func (s *Shadow) checkTrade(f *findings, ev *client.AccountEvent, t *client.Trade) {
	f.text("trade id", fmt.Sprintf("%d-%d", s.account, ev.GetSeq()), t.GetId())
	if t.GetSide() != client.Buy && t.GetSide() != client.Sell {
		f.add("trade side", "a buy or a sale", t.GetSide().String())
	}
	f.positive("trade quantity", t.GetQuantity())
	f.positive("trade price", t.GetPrice())
	f.money("trade amount", times(t.GetQuantity(), t.GetPrice()), t.GetAmount())
	if s.rules == RulesNone {
		f.money("trade fees", new(big.Int), t.GetFees())
	} else if t.GetFees() < 0 {
		f.add("trade fees", "0 or more", market.FormatMoney(t.GetFees()))
	}
	switch t.GetOrigin() {
	case client.OriginClient, client.OriginSimulator, client.OriginOperator:
	default:
		f.add("trade origin", "client, simulator or operator", t.GetOrigin().String())
	}
	f.number("trade revision", 0, uint64(t.GetRevision()))
}

// checkRow compares the one row that a trade touches.
func (s *Shadow) checkRow(f *findings, ev *client.AccountEvent, t *client.Trade, want *row) {
	f.number("number of positions", 1, uint64(len(ev.GetPositions())))
	if len(ev.GetPositions()) != 1 {
		return
	}
	p := ev.GetPositions()[0]
	f.text("position instrument", key{t.GetMarket(), t.GetCode()}.String(), key{p.GetMarket(), p.GetCode()}.String())
	f.text("trade name", want.name, t.GetName())
	f.money("position price", big.NewInt(t.GetPrice()), p.GetPrice())
	s.comparePosition(f, "position", p, want)
}

// comparePosition compares a row with what it must be, and its own arithmetic.
func (s *Shadow) comparePosition(f *findings, what string, p *client.Position, want *row) {
	f.present(what+" name", p.GetName())
	f.text(what+" name", want.name, p.GetName())
	f.integer(what+" quantity", want.quantity, p.GetQuantity())
	f.money(what+" cost", big.NewInt(want.cost), p.GetCost())
	f.money(what+" realised", big.NewInt(want.realised), p.GetRealised())
	f.number(what+" row_version", want.version, p.GetRowVersion())
	f.positive(what+" price", p.GetPrice())
	f.money(what+" market_value", times(p.GetQuantity(), p.GetPrice()), p.GetMarketValue())
	switch {
	case s.rules == RulesNone:
		f.integer(what+" sellable", want.quantity, p.GetSellable())
	case p.GetSellable() < 0 || p.GetSellable() > want.quantity:
		f.add(what+" sellable", fmt.Sprintf("0 to %d", want.quantity), strconv.FormatInt(p.GetSellable(), 10))
	}
}

func (s *Shadow) checkCash(f *findings, c *client.Cash, balance *big.Int, fees, realised int64) {
	f.money("cash balance", balance, c.GetBalance())
	f.money("cash fees_paid", big.NewInt(fees), c.GetFeesPaid())
	f.money("cash realised", big.NewInt(realised), c.GetRealised())
	if c.GetBalance() < 0 {
		f.add("cash balance", "0 or more", market.FormatMoney(c.GetBalance()))
	}
}

// checkTotal checks the total as far as the prices in the event go.
func (s *Shadow) checkTotal(f *findings, ev *client.AccountEvent) {
	known, others := new(big.Int), len(s.rows)
	for _, p := range ev.GetPositions() {
		known.Add(known, times(p.GetQuantity(), p.GetPrice()))
		if s.rows[key{p.GetMarket(), p.GetCode()}] != nil {
			others--
		}
	}
	switch {
	case others == 0:
		f.money("total_market_value", known, ev.GetTotalMarketValue())
	case known.Cmp(big.NewInt(ev.GetTotalMarketValue())) >= 0:
		f.add("total_market_value", "more than the "+moneyText(known)+" of the rows in the event, as there are others",
			market.FormatMoney(ev.GetTotalMarketValue()))
	}
}

// adopt goes on from what the event says.
func (s *Shadow) adopt(ev *client.AccountEvent) {
	for _, p := range ev.GetPositions() {
		k := key{p.GetMarket(), p.GetCode()}
		if p.GetQuantity() == 0 {
			delete(s.rows, k)
			s.gone[k] = *readRow(p)
			continue
		}
		s.rows[k] = readRow(p)
		delete(s.gone, k)
	}
	s.cash.balance, s.cash.fees, s.cash.realised = ev.GetCash().GetBalance(), ev.GetCash().GetFeesPaid(), ev.GetCash().GetRealised()
}

// CheckHoldings compares a whole list with the account as it must be: it has to be as of the last event applied. The
// state hash is computed from the shadow, not from the list.
func (s *Shadow) CheckHoldings(h *client.Holdings) []string {
	f := findings{account: s.account, seq: h.GetAsOfSeq(), where: "holdings as of "}
	f.number("account", s.account, h.GetAccount())
	f.number("as_of_seq", s.seq, h.GetAsOfSeq())
	if h.GetCash() == nil {
		f.add("cash", "the account's cash", "none")
	}
	s.checkCash(&f, h.GetCash(), big.NewInt(s.cash.balance), s.cash.fees, s.cash.realised)
	keys, total := s.keys(), new(big.Int)
	f.number("number of rows", uint64(len(keys)), uint64(len(h.GetPositions())))
	for i, p := range h.GetPositions() {
		total.Add(total, times(p.GetQuantity(), p.GetPrice()))
		if i >= len(keys) {
			continue
		}
		what := fmt.Sprintf("row %d (%s)", i+1, keys[i])
		f.text(what+" instrument", keys[i].String(), key{p.GetMarket(), p.GetCode()}.String())
		s.comparePosition(&f, what, p, s.rows[keys[i]])
		f.positive(what+" quantity", p.GetQuantity())
	}
	f.money("total_market_value", total, h.GetTotalMarketValue())
	if hash := s.stateHash(); hash != h.GetStateHash() {
		f.add("state_hash", fmt.Sprintf("%016x", hash), fmt.Sprintf("%016x", h.GetStateHash()))
	}
	return f.list
}
