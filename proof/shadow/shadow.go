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

// Shadow is one account as it must be, computed from its trades. It does the ledger's arithmetic again in big integers
// and shares no code with the server's books.
//
// A trade that is taken back or corrected is no arithmetic of its own: the trades that stand are done anew, in their
// order. The shadow knows those that came since it began, or the newest of them (Keep). A bust of an older one it cannot
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
	seq     uint64
	cash    struct{ balance, fees, realised int64 }
	rows    map[Key]*Row      // held
	gone    map[Key]Row       // as they last were, with quantity 0
	past    past              // what the rows come from
	busts   map[string]uint64 // by bust id, the sequence; clones share it
	blind   int               // busts that could not be computed
}

// New is the shadow of an account before its first event.
func New(account uint64) *Shadow {
	return &Shadow{
		account: account, rows: make(map[Key]*Row), gone: make(map[Key]Row), busts: make(map[string]uint64),
	}
}

// FromHoldings is the shadow of an account that begins with a list, and what is wrong with the list in itself.
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

// Clone is a shadow that goes on by itself: what is applied to it is not seen in s, nor the other way round. They share
// the ids of busts alone, each of which belongs to one event of the account.
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

// Account is the account's number.
func (s *Shadow) Account() uint64 { return s.account }

// Seq is the last sequence applied.
func (s *Shadow) Seq() uint64 { return s.seq }

// Len is how many rows the account holds.
func (s *Shadow) Len() int { return len(s.rows) }

// Keep bounds the trades that the shadow remembers, and computes busts from: the newest n at least, twice as many at
// most. 0 is the bound of a new shadow: all of them.
func (s *Shadow) Keep(n int) { s.past.keep = n }

// Quantity is how many shares the account holds of an instrument, 0 for none.
func (s *Shadow) Quantity(market, code string) int64 {
	if r := s.rows[Key{market, code}]; r != nil {
		return r.Quantity
	}
	return 0
}

// RowOf is a copy of the row of an instrument, with quantity 0 where there is none.
func (s *Shadow) RowOf(k Key) Row {
	if r := s.rows[k]; r != nil {
		return *r
	}
	return s.gone[k]
}

// Balance is the cash of the account, in 1/10000.
func (s *Shadow) Balance() int64 { return s.cash.balance }

// SeqOf is the sequence in the name of a trade of the account; 0: it is no such name.
func (s *Shadow) SeqOf(tradeID string) uint64 {
	number, found := strings.CutPrefix(tradeID, strconv.FormatUint(s.account, 10)+"-")
	seq, err := strconv.ParseUint(number, 10, 64)
	if !found || err != nil {
		return 0
	}
	return seq
}

// Held is the instruments the account holds, as "SH.600519", by market and code.
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

// Apply computes what the event must say, compares, and returns what differs.
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
	default:
		f.Add("what", "a trade, a bust or an adjustment", "nothing")
	}
	s.checkTotal(&f, ev)
	s.adopt(ev)
	if len(f.List) > 0 || s.past.lost {
		s.rebase() // the trades do not come to what is held now
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
	balance, fees := moved(t)
	s.checkCash(f, ev.Cash, balance.Add(balance, big.NewInt(s.cash.balance)),
		f.fit("cash fees_paid", fees.Add(fees, big.NewInt(s.cash.fees))),
		f.fit("cash realised", gain.Add(gain, big.NewInt(s.cash.realised))))
	s.past.add(ev.Seq, t)
}

// checkTrade checks what a trade says of itself.
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

// checkTotal checks the total as far as the prices in the event go.
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

// adopt goes on from what the event says.
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

// takeCash goes on from the cash as the server says it is.
func (s *Shadow) takeCash(told *client.Cash) {
	c := CashOf(told)
	s.cash.balance, s.cash.fees, s.cash.realised = int64(c.Balance), int64(c.FeesPaid), int64(c.Realised)
}

// CashOf is the cash that a server told, or nothing where it told none, which is a finding of its own.
func CashOf(told *client.Cash) client.Cash {
	if told == nil {
		return client.Cash{}
	}
	return *told
}

// CheckHoldings compares a whole list with the account as it must be: it has to be as of the last event applied. The
// state hash is computed from the shadow, not from the list.
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
