package shadow

import (
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/papertape/papertape/client"
)

// Unfolded returns how many busts the shadow could not compute because they concern trades older
// than the shadow. It has checked what such busts say of themselves, and adopted the rest. A shadow
// by New that is given the account's history from its first event computes all of them.
func (s *Shadow) Unfolded() int { return s.blind }

// applyBust takes back or corrects the trades that the event names, replays the trades that stand,
// and compares the result with the event.
func (s *Shadow) applyBust(f *Findings, ev *client.Event, b *client.Bust) {
	f.Present("bust reason", b.Reason)
	f.Present("bust actor", b.Actor)
	s.checkBustID(f, b.BustID, ev.Seq)
	after := slices.Clone(s.past.trades)
	if !s.takeBack(f, after, b) {
		s.blind++
		s.past.lost = true
		if c := ev.Cash; c != nil {
			s.checkCash(f, c, whole(c.Balance), int64(c.FeesPaid), int64(c.Realised))
		}
		return
	}
	s.compareBust(f, ev, after)
	s.past.trades = after
}

func (s *Shadow) checkBustID(f *Findings, id string, seq uint64) {
	if id == "" {
		return
	}
	if before, used := s.busts[id]; used && before != seq {
		f.Add("bust_id", "an id that was not used before", fmt.Sprintf("%q, which is that of seq %d", id, before))
	}
	s.busts[id] = seq
}

// takeBack applies a bust to the trades. It returns false if one of its trades is unknown, because
// it is older than the shadow.
func (s *Shadow) takeBack(f *Findings, trades []standing, b *client.Bust) bool {
	known := true
	if at := s.indexOf(f, trades, "trade_id", b.TradeID); at == older {
		known = false
	} else if at >= 0 {
		f.trade("bust original", trades[at].trade, &b.Original)
		trades[at].trade = s.replacement(f, trades[at].trade, b.Replacement)
	}
	last := uint64(0)
	for _, id := range b.Cascade {
		at := s.indexOf(f, trades, "cascade", id)
		if at == older {
			known = false
		}
		if at < 0 {
			continue
		}
		if trades[at].seq <= last {
			f.Add("bust cascade", "each trade once, in the order of their sequences",
				strings.Join(b.Cascade, ", "))
		}
		last, trades[at].trade = trades[at].seq, nil
	}
	return known
}

// What stands returns for a trade that is not among those of a shadow.
const (
	nowhere = -1 // there is no such trade, or it does not stand; this was reported
	older   = -2 // it is older than the shadow
)

// indexOf returns the index of a trade by its id, if the trade stands.
func (s *Shadow) indexOf(f *Findings, trades []standing, field, id string) int {
	seq := s.SeqOf(id)
	if seq == 0 || seq >= s.seq {
		f.Add("bust "+field, fmt.Sprintf("an earlier trade of the account, as %d-42", s.account), strconv.Quote(id))
		return nowhere
	}
	if seq <= s.past.from {
		return older
	}
	at := s.past.find(seq)
	if at < 0 || trades[at].trade == nil {
		f.Add("bust "+field, "a trade that stands", id+", which does not")
		return nowhere
	}
	return at
}

// replacement returns the corrected trade: quantity and price are the operator's, the revision is
// the next one, and all else is unchanged. It returns nil if the trade is taken back.
func (s *Shadow) replacement(f *Findings, t, r *client.Trade) *client.Trade {
	if r == nil {
		return nil
	}
	f.Positive("replacement quantity", r.Quantity)
	f.Positive("replacement price", int64(r.Price))
	want := *t
	want.Quantity, want.Price = r.Quantity, r.Price
	want.Amount = client.Money(f.wireValue("replacement amount", times(r.Quantity, r.Price)))
	want.Revision++
	f.trade("replacement", &want, r)
	return r
}

// compareBust compares an event with the result of the trades. after has the trades that stand now.
func (s *Shadow) compareBust(f *Findings, ev *client.Event, after []standing) {
	balance, fees := big.NewInt(s.cash.balance), big.NewInt(s.cash.fees)
	touched := make(map[Key]string) // with the name that the trades give the instrument
	for i, was := range s.past.trades {
		is := after[i]
		if was.trade == is.trade {
			continue
		}
		touched[KeyOf(was.trade.Market, was.trade.Code)] = was.trade.Name
		b, fee := cashChange(was.trade)
		balance.Sub(balance, b)
		fees.Sub(fees, fee)
		if is.trade != nil {
			b, fee = cashChange(is.trade)
			balance.Add(balance, b)
			fees.Add(fees, fee)
		}
	}
	f.Number("number of positions", uint64(len(touched)), uint64(len(ev.Positions)))
	realised := big.NewInt(s.cash.realised)
	for i, k := range slices.SortedFunc(maps.Keys(touched), Key.compare) {
		realised.Add(realised, s.compareFold(f, ev, i, k, after, touched[k]))
	}
	s.checkCash(f, ev.Cash, balance, f.wireValue("cash fees_paid", fees), f.wireValue("cash realised", realised))
}

// compareFold compares the i-th row of a bust with the result of the instrument's trades. It
// returns by how much their realised profit rose.
func (s *Shadow) compareFold(
	f *Findings, ev *client.Event, i int, k Key, after []standing, name string,
) *big.Int {
	was, before, _ := s.past.refold(new(Findings), s.past.trades, k)
	want, gain, vague := s.past.refold(f, after, k)
	want.Name = name
	if o := &ev.Bust.Original; o.Market == k.Market && o.Code == k.Code {
		f.Change(changeOf(was.Quantity, want.Quantity), ev.Change)
	}
	if i < len(ev.Positions) {
		p := &ev.Positions[i]
		what := fmt.Sprintf("row %d (%s)", i+1, k)
		f.Text(what+" instrument", k.String(), KeyOf(p.Market, p.Code).String())
		if vague {
			want.Realised = int64(p.Realised)
		}
		want.Version = s.RowOf(k).Version
		if was.Quantity != want.Quantity || was.Cost != want.Cost || was.Realised != want.Realised {
			want.Version = ev.Seq
		}
		f.position(what, p, &want)
	}
	return gain.Sub(gain, before)
}
