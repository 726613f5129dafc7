package journal

import (
	"encoding/binary"
	"fmt"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/record"
)

// encoder1 encodes what values of version 1 have in them, as the older program did. The product only
// decodes it.
type encoder1 struct {
	encoded []string // by id: length and name, as in the encoding
}

func newEncoder1(u *market.Universe) *encoder1 {
	l := &encoder1{encoded: make([]string, u.Len())}
	for i := range l.encoded {
		name := u.At(market.ID(i)).String()
		l.encoded[i] = string(rune(len(name))) + name // market and code have at most 20 bytes together
	}
	return l
}

// appendEvent appends the encoding of ev. It panics if the kind of ev is unknown, which is a
// programming error.
func (l *encoder1) appendEvent(dst []byte, ev *positions.Event) []byte {
	if ev.Kind < positions.KindTrade || ev.Kind > positions.KindAdjustment || ev.Change > 7 {
		panic(fmt.Sprintf("journal: event %d of account %d is of kind %d with change %d",
			ev.Seq, ev.Account, ev.Kind, ev.Change))
	}
	head := byte(ev.Kind) | byte(ev.Change)<<2
	p := &ev.Position
	if ev.Kind == positions.KindTrade &&
		(p.Version != ev.Seq || p.Instrument != ev.Trade.Instrument ||
			p.Sellable != p.Quantity || p.Price != ev.Trade.Price) {
		head |= eventRow1
	}
	dst = append(dst, head)
	dst = binary.AppendUvarint(dst, ev.Account)
	dst = binary.AppendUvarint(dst, ev.Seq)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(ev.Time))
	dst = binary.AppendVarint(dst, ev.Cash.Balance)
	dst = binary.AppendVarint(dst, ev.Cash.FeesPaid)
	dst = binary.AppendVarint(dst, ev.Cash.Realised)
	dst = binary.AppendVarint(dst, ev.TotalMarketValue)
	switch ev.Kind {
	case positions.KindTrade:
		dst = l.appendTrade(dst, &ev.Trade)
		dst = binary.AppendVarint(dst, p.Quantity)
		dst = binary.AppendVarint(dst, p.Cost)
		dst = binary.AppendVarint(dst, p.Realised)
		if head&eventRow1 != 0 {
			dst = binary.AppendUvarint(dst, p.Version)
			dst = append(dst, l.encoded[p.Instrument]...)
			dst = binary.AppendVarint(dst, p.Sellable)
			dst = binary.AppendVarint(dst, p.Price)
		}
	case positions.KindBust:
		dst = l.appendBust(dst, ev.Bust)
	case positions.KindAdjustment:
		dst = binary.AppendVarint(dst, ev.Adjustment.Cash)
		dst = record.AppendText(dst, ev.Adjustment.Reason)
		dst = record.AppendText(dst, ev.Adjustment.Actor)
	}
	return dst
}

func (l *encoder1) appendTrade(dst []byte, t *positions.Trade) []byte {
	if t.Side > 3 || t.Origin > 3 {
		panic(fmt.Sprintf("journal: a trade of side %d and origin %d", t.Side, t.Origin))
	}
	head := byte(t.Side) | byte(t.Origin)<<2
	if !t.OrderID.IsZero() {
		head |= tradeOrderID1
	}
	if t.Limit != 0 {
		head |= tradeLimit1
	}
	if t.Fees != 0 {
		head |= tradeFees1
	}
	if t.Revision != 0 || t.Amount != t.Quantity*t.Price {
		head |= tradeRest1
	}
	dst = append(dst, head)
	dst = binary.AppendVarint(dst, t.Quantity)
	dst = binary.AppendVarint(dst, t.Price)
	dst = append(dst, l.encoded[t.Instrument]...)
	if head&tradeOrderID1 != 0 {
		id := t.OrderID.Bytes()
		dst = append(append(dst, byte(len(id))), id...)
	}
	if head&tradeLimit1 != 0 {
		dst = binary.AppendVarint(dst, t.Limit)
	}
	if head&tradeFees1 != 0 {
		dst = binary.AppendVarint(dst, t.Fees)
	}
	if head&tradeRest1 != 0 {
		dst = binary.AppendUvarint(dst, uint64(t.Revision))
		dst = binary.AppendVarint(dst, t.Amount)
	}
	return dst
}

func (l *encoder1) appendBust(dst []byte, b *positions.Bust) []byte {
	dst = binary.AppendUvarint(dst, b.TradeSeq)
	dst = record.AppendText(dst, b.Reason)
	dst = record.AppendText(dst, b.Actor)
	dst = record.AppendText(dst, b.ID)
	dst = l.appendTrade(dst, &b.Original)
	if b.Replacement != nil {
		dst = l.appendTrade(append(dst, 1), b.Replacement)
	} else {
		dst = append(dst, 0)
	}
	dst = binary.AppendUvarint(dst, uint64(len(b.Cascade)))
	for _, seq := range b.Cascade {
		dst = binary.AppendUvarint(dst, seq)
	}
	dst = binary.AppendUvarint(dst, uint64(len(b.Positions)))
	for i := range b.Positions {
		p := &b.Positions[i]
		dst = l.appendRow(dst, &p.Row)
		dst = binary.AppendVarint(dst, p.Sellable)
		dst = binary.AppendVarint(dst, p.Price)
	}
	return dst
}

func (l *encoder1) appendRow(dst []byte, r *positions.Row) []byte {
	dst = append(dst, l.encoded[r.Instrument]...)
	dst = binary.AppendVarint(dst, r.Quantity)
	dst = binary.AppendVarint(dst, r.Cost)
	dst = binary.AppendVarint(dst, r.Realised)
	return binary.AppendUvarint(dst, r.Version)
}

func (l *encoder1) appendRun(value []byte, events []positions.Event) []byte {
	value = binary.AppendUvarint(value, uint64(len(events)))
	for i := range events {
		value = l.appendEvent(value, &events[i])
	}
	return value
}

func (l *encoder1) appendAccount(value []byte, st *engine.AccountState) []byte {
	value = binary.AppendUvarint(value, st.Seq)
	value = binary.AppendVarint(value, st.Cash.Balance)
	value = binary.AppendVarint(value, st.Cash.FeesPaid)
	value = binary.AppendVarint(value, st.Cash.Realised)
	value = binary.AppendUvarint(value, uint64(len(st.Rows)))
	for i := range st.Rows {
		value = l.appendRow(value, &st.Rows[i])
	}
	return value
}
