package shadow

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

// Shadow is one account as it must be, computed from its trades. It repeats the ledger's arithmetic
// in big integers and shares no code with the server's books.
//
// A bust or a correction needs no arithmetic of its own: the trades that stand are replayed in
// their order. The shadow knows the trades since it began, or the newest of them (Keep). It cannot
// compute a bust of an older trade and only counts it (Unfolded). A shadow that is given the
// account's whole history checks every bust.
//
// An event has facts that a shadow cannot know: its time (only that there is one), who made a trade
// (only that it is one of the three), the client order id, and the prices of rows that the event
// does not touch. So the total market value is checked exactly where the event has all rows, and
// else to be no less than the value of the event's rows. CompareEvents and the clients of the
// torture run, who know their orders, check the rest.
//
// A finding is a sentence that names the account, the sequence, the field, the expected and the
// actual value. After a finding the shadow adopts what the event says, so that one difference is
// not reported again with every event.
type Shadow struct {
	account uint64
	seq     uint64
	cash    struct{ balance, fees, realised int64 }
	rows    map[Key]*Row      // held now
	gone    map[Key]Row       // gone rows as they last were, with quantity 0
	past    past              // what the rows result from
	busts   map[string]uint64 // the sequence of each bust by its id; clones share it
	blind   int               // number of busts that could not be computed
}

// New returns the shadow of an account before its first event.
func New(account uint64) *Shadow {
	return &Shadow{
		account: account, rows: make(map[Key]*Row), gone: make(map[Key]Row), busts: make(map[string]uint64),
	}
}

// FromHoldings returns the shadow of an account that begins with a list, and the inconsistencies of
// the list.
func FromHoldings(h *client.Holdings) (*Shadow, []string) {
	s := New(h.Account)
	s.seq = h.AsOfSeq
	s.takeCash(h.Cash)
	for i := range h.Positions {
		p := &h.Positions[i]
		s.rows[KeyOf(p.Market, p.Code)] = readRow(p)
	}
	s.rebase()
	return s, s.CheckHoldings(h)
}

// Clone returns an independent shadow: what is applied to one does not show in the other. They
// share only the ids of busts, each of which belongs to one event of the account.
func (s *Shadow) Clone() *Shadow {
	c := *s
	c.rows = make(map[Key]*Row, len(s.rows))
	for k, r := range s.rows {
		held := *r
		c.rows[k] = &held
	}
	c.gone = maps.Clone(s.gone)
	c.past.trades = slices.Clip(s.past.trades)
	return &c
}

// Account returns the account's number.
func (s *Shadow) Account() uint64 { return s.account }

// Seq returns the last sequence applied.
func (s *Shadow) Seq() uint64 { return s.seq }

// Len returns how many rows the account holds.
func (s *Shadow) Len() int { return len(s.rows) }

// Keep bounds the trades that the shadow remembers and computes busts from: at least the newest n,
// at most twice as many. A new shadow has the bound 0, which keeps all.
func (s *Shadow) Keep(n int) { s.past.keep = n }

// Quantity returns how many shares of an instrument the account holds, 0 for none.
func (s *Shadow) Quantity(market, code string) int64 {
	if r := s.rows[Key{market, code}]; r != nil {
		return r.Quantity
	}
	return 0
}

// RowOf returns a copy of the row of an instrument, with quantity 0 if there is none.
func (s *Shadow) RowOf(k Key) Row {
	if r := s.rows[k]; r != nil {
		return *r
	}
	return s.gone[k]
}

// Balance returns the cash of the account, in 1/10000.
func (s *Shadow) Balance() int64 { return s.cash.balance }

// SeqOf returns the sequence in the id of a trade of the account, or 0 if it is no such id.
func (s *Shadow) SeqOf(tradeID string) uint64 {
	number, found := strings.CutPrefix(tradeID, strconv.FormatUint(s.account, 10)+"-")
	seq, err := strconv.ParseUint(number, 10, 64)
	if !found || err != nil {
		return 0
	}
	return seq
}

// Held returns the instruments that the account holds, as "SH.600519", by market and code.
func (s *Shadow) Held() []string {
	held := make([]string, 0, len(s.rows))
	for _, k := range s.keys() {
		held = append(held, k.Market+"."+k.Code)
	}
	return held
}

func (s *Shadow) keys() []Key {
	keys := make([]Key, 0, len(s.rows))
	for k := range s.rows {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, Key.compare)
	return keys
}

// Apply computes what the event must say, and returns the differences from what it says.
func (s *Shadow) Apply(ev *client.Event) []string {
	f := Findings{Account: s.account, Seq: ev.Seq}
	f.Number("account", s.account, ev.Account)
	f.Number("seq", s.seq+1, ev.Seq)
	if ev.Time.UnixNano() <= 0 {
		f.Add("time", "a time after 1970", strconv.FormatInt(ev.Time.UnixNano(), 10))
	}
	if ev.Cash == nil {
		f.Add("cash", "the cash after the event", "none")
	}
	s.seq = ev.Seq
	switch {
	case ev.Trade != nil:
		s.applyTrade(&f, ev, ev.Trade)
	case ev.Adjustment != nil:
		s.applyAdjustment(&f, ev, ev.Adjustment)
	case ev.Bust != nil:
		s.applyBust(&f, ev, ev.Bust)
	case ev.Reset != nil:
		s.applyReset(&f, ev, ev.Reset)
	default:
		f.Add("what", "a trade, a bust, an adjustment or a reset", "nothing")
	}
	s.checkTotal(&f, ev)
	s.adopt(ev)
	if ev.Reset != nil {
		s.begin()
	}
	if len(f.List) > 0 || s.past.lost {
		s.rebase() // the trades no longer result in what is held now
	}
	return f.List
}

func (s *Shadow) applyAdjustment(f *Findings, ev *client.Event, a *client.Adjustment) {
	f.Change(client.NoChange, ev.Change)
	f.Number("number of positions", 0, uint64(len(ev.Positions)))
	f.Present("adjustment reason", a.Reason)
	f.Present("adjustment actor", a.Actor)
	s.checkCash(f, ev.Cash, plus(s.cash.balance, a.Cash), s.cash.fees, s.cash.realised)
}

func (s *Shadow) applyTrade(f *Findings, ev *client.Event, t *client.Trade) {
	s.checkTrade(f, ev, t)
	k := KeyOf(t.Market, t.Code)
	after := Row{Name: t.Name}
	if held := s.rows[k]; held != nil {
		after = *held
	}
	before := after.Quantity
	if t.Side != client.Buy && t.Quantity > before {
		f.Add("trade quantity", fmt.Sprintf("at most the %d shares held of %s", before, k),
			strconv.FormatInt(t.Quantity, 10))
	}
	gain := after.step(f, t)
	after.Version = ev.Seq
	f.Change(changeOf(before, after.Quantity), ev.Change)
	s.checkRow(f, ev, t, &after)
	balance, fees := cashChange(t)
	s.checkCash(f, ev.Cash, balance.Add(balance, big.NewInt(s.cash.balance)),
		f.wireValue("cash fees_paid", fees.Add(fees, big.NewInt(s.cash.fees))),
		f.wireValue("cash realised", gain.Add(gain, big.NewInt(s.cash.realised))))
	s.past.add(ev.Seq, t)
}

// checkTrade checks what a trade says about itself.
func (s *Shadow) checkTrade(f *Findings, ev *client.Event, t *client.Trade) {
	f.Text("trade id", fmt.Sprintf("%d-%d", s.account, ev.Seq), t.ID)
	if t.Side != client.Buy && t.Side != client.Sell {
		f.Add("trade side", "a buy or a sale", papertapev1.Side(t.Side).String())
	}
	f.Positive("trade quantity", t.Quantity)
	f.Positive("trade price", int64(t.Price))
	f.Money("trade amount", times(t.Quantity, t.Price), t.Amount)
	f.Money("trade fees", new(big.Int), t.Fees)
	switch t.Origin {
	case client.OriginClient, client.OriginSimulator, client.OriginOperator:
	default:
		f.Add("trade origin", "client, simulator or operator", papertapev1.Origin(t.Origin).String())
	}
	f.Number("trade revision", 0, uint64(t.Revision))
}

// checkRow compares the one row that a trade touches.
func (s *Shadow) checkRow(f *Findings, ev *client.Event, t *client.Trade, want *Row) {
	f.Number("number of positions", 1, uint64(len(ev.Positions)))
	if len(ev.Positions) != 1 {
		return
	}
	p := &ev.Positions[0]
	f.Text("position instrument", KeyOf(t.Market, t.Code).String(), KeyOf(p.Market, p.Code).String())
	f.Text("trade name", want.Name, t.Name)
	f.Money("position price", whole(t.Price), p.Price)
	f.position("position", p, want)
}

func (s *Shadow) checkCash(f *Findings, told *client.Cash, balance *big.Int, fees, realised int64) {
	c := CashOf(told)
	f.Money("cash balance", balance, c.Balance)
	f.Money("cash fees_paid", big.NewInt(fees), c.FeesPaid)
	f.Money("cash realised", big.NewInt(realised), c.Realised)
	if c.Balance < 0 {
		f.Add("cash balance", "0 or more", c.Balance.String())
	}
}

// checkTotal checks the total market value as far as the prices in the event allow.
func (s *Shadow) checkTotal(f *Findings, ev *client.Event) {
	known, others := new(big.Int), len(s.rows)
	for i := range ev.Positions {
		p := &ev.Positions[i]
		known.Add(known, times(p.Quantity, p.Price))
		if s.rows[KeyOf(p.Market, p.Code)] != nil {
			others--
		}
	}
	switch {
	case others == 0:
		f.Money("total_market_value", known, ev.TotalMarketValue)
	case known.Cmp(whole(ev.TotalMarketValue)) >= 0:
		f.Add("total_market_value", "more than the "+moneyText(known)+" of the rows in the event, as there are others",
			ev.TotalMarketValue.String())
	}
}

// adopt sets the shadow to what the event says.
func (s *Shadow) adopt(ev *client.Event) {
	for i := range ev.Positions {
		p := &ev.Positions[i]
		k := KeyOf(p.Market, p.Code)
		if p.Quantity == 0 {
			delete(s.rows, k)
			s.gone[k] = *readRow(p)
			continue
		}
		s.rows[k] = readRow(p)
		delete(s.gone, k)
	}
	s.takeCash(ev.Cash)
}

// takeCash sets the cash to what the server says.
func (s *Shadow) takeCash(told *client.Cash) {
	c := CashOf(told)
	s.cash.balance, s.cash.fees, s.cash.realised = int64(c.Balance), int64(c.FeesPaid), int64(c.Realised)
}

// CashOf returns the cash that a server sent, or zero if it sent none, which is reported elsewhere.
func CashOf(told *client.Cash) client.Cash {
	if told == nil {
		return client.Cash{}
	}
	return *told
}

// CheckHoldings compares a whole list with the account as it must be. The list has to be as of the
// last event applied. The state hash is computed from the shadow, not from the list.
func (s *Shadow) CheckHoldings(h *client.Holdings) []string {
	f := Findings{Account: s.account, Seq: h.AsOfSeq, Where: "holdings as of "}
	f.Number("account", s.account, h.Account)
	f.Number("as_of_seq", s.seq, h.AsOfSeq)
	if h.Cash == nil {
		f.Add("cash", "the account's cash", "none")
	}
	s.checkCash(&f, h.Cash, big.NewInt(s.cash.balance), s.cash.fees, s.cash.realised)
	keys, total := s.keys(), new(big.Int)
	f.Number("number of rows", uint64(len(keys)), uint64(len(h.Positions)))
	for i := range h.Positions {
		p := &h.Positions[i]
		total.Add(total, times(p.Quantity, p.Price))
		if i >= len(keys) {
			continue
		}
		what := fmt.Sprintf("row %d (%s)", i+1, keys[i])
		f.Text(what+" instrument", keys[i].String(), KeyOf(p.Market, p.Code).String())
		f.position(what, p, s.rows[keys[i]])
		f.Positive(what+" quantity", p.Quantity)
	}
	f.Money("total_market_value", total, h.TotalMarketValue)
	if hash := s.stateHash(); hash != h.StateHash {
		f.Add("state_hash", fmt.Sprintf("%016x", hash), fmt.Sprintf("%016x", h.StateHash))
	}
	return f.List
}
