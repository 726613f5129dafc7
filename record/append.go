package record

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/papertape/papertape/positions"
)

const (
	changeMask = 7
	flagRow    = 1 << 3 // of a trade: the row's version, instrument, sellable and price follow
	flagID     = 1 << 4 // of an adjustment: the operator's id follows
	flagsKnown = changeMask | flagRow | flagID

	withOrderID = 1 << 4
	withLimit   = 1 << 5
	withFees    = 1 << 6
	withRest    = 1 << 7 // revision and amount
	tradeKnown  = 1<<8 - 1
)

// plainBytesMax is more than a record of a trade takes, and more than any record takes without
// its texts and lists.
const plainBytesMax = 256

// Append appends the record of ev to dst. It panics if the kind of ev is unknown, which is a
// programming error.
func (t *Table) Append(dst []byte, ev *positions.Event) []byte {
	if !ev.Kind.Known() || ev.Change > changeMask {
		panic(fmt.Sprintf("record: event %d of account %d is of kind %d with change %d",
			ev.Seq, ev.Account, ev.Kind, ev.Change))
	}
	flags := byte(ev.Change)
	p := &ev.Position
	if ev.Kind == positions.KindTrade &&
		(p.Version != ev.Seq || p.Instrument != ev.Trade.Instrument ||
			p.Sellable != p.Quantity || p.Price != ev.Trade.Price) {
		flags |= flagRow
	}
	if ev.Kind == positions.KindAdjustment && ev.Adjustment.ID != "" {
		flags |= flagID
	}
	start := len(dst)
	dst = slices.Grow(dst, plainBytesMax)
	dst = append(dst, 0, byte(ev.Kind), flags) // the length, of one byte as a rule, comes last
	dst = unsigned(dst, ev.Account)
	dst = unsigned(dst, ev.Seq)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(ev.Time))
	dst = signed(dst, ev.Cash.Balance)
	dst = signed(dst, ev.Cash.FeesPaid)
	dst = signed(dst, ev.Cash.Realised)
	dst = signed(dst, ev.TotalMarketValue)
	switch ev.Kind {
	case positions.KindTrade:
		dst = t.appendTrade(dst, &ev.Trade)
		dst = signed(dst, p.Quantity)
		dst = signed(dst, p.Cost)
		dst = signed(dst, p.Realised)
		if flags&flagRow != 0 {
			dst = unsigned(dst, p.Version)
			dst = unsigned(dst, t.Number(p.Instrument))
			dst = signed(dst, p.Sellable)
			dst = signed(dst, p.Price)
		}
	case positions.KindBust:
		dst = t.appendBust(dst, ev.Bust)
	case positions.KindAdjustment:
		dst = signed(dst, ev.Adjustment.Cash)
		dst = AppendText(dst, ev.Adjustment.Reason)
		dst = AppendText(dst, ev.Adjustment.Actor)
		if flags&flagID != 0 {
			dst = AppendText(dst, ev.Adjustment.ID)
		}
	case positions.KindReset:
		dst = t.appendReset(dst, ev.Reset)
	}
	size := len(dst) - start - 1
	if size < 0x80 {
		dst[start] = byte(size)
		return dst
	}
	var length [binary.MaxVarintLen64]byte
	n := binary.PutUvarint(length[:], uint64(size))
	return slices.Replace(dst, start, start+1, length[:n]...)
}

// unsigned and signed append varints. They are shorter than those of encoding/binary, and so
// inlined.
func unsigned(dst []byte, v uint64) []byte {
	for v >= 0x80 {
		dst = append(dst, byte(v)|0x80)
		v >>= 7
	}
	return append(dst, byte(v))
}

func signed(dst []byte, v int64) []byte { return unsigned(dst, uint64(v)<<1^uint64(v>>63)) }

func (t *Table) appendTrade(dst []byte, tr *positions.Trade) []byte {
	if tr.Side > 3 || tr.Origin > 3 {
		panic(fmt.Sprintf("record: a trade of side %d and origin %d", tr.Side, tr.Origin))
	}
	head := uint64(tr.Side) | uint64(tr.Origin)<<2
	if !tr.OrderID.IsZero() {
		head |= withOrderID
	}
	if tr.Limit != 0 {
		head |= withLimit
	}
	if tr.Fees != 0 {
		head |= withFees
	}
	if tr.Revision != 0 || tr.Amount != tr.Quantity*tr.Price {
		head |= withRest
	}
	dst = unsigned(dst, head)
	dst = signed(dst, tr.Quantity)
	dst = signed(dst, tr.Price)
	dst = unsigned(dst, t.Number(tr.Instrument))
	if head&withOrderID != 0 {
		id := tr.OrderID.Bytes()
		dst = append(unsigned(dst, uint64(len(id))), id...)
	}
	if head&withLimit != 0 {
		dst = signed(dst, tr.Limit)
	}
	if head&withFees != 0 {
		dst = signed(dst, tr.Fees)
	}
	if head&withRest != 0 {
		dst = unsigned(dst, uint64(tr.Revision))
		dst = signed(dst, tr.Amount)
	}
	return dst
}

func (t *Table) appendBust(dst []byte, b *positions.Bust) []byte {
	dst = unsigned(dst, b.TradeSeq)
	dst = AppendText(dst, b.Reason)
	dst = AppendText(dst, b.Actor)
	dst = AppendText(dst, b.ID)
	dst = t.appendTrade(dst, &b.Original)
	if b.Replacement != nil {
		dst = t.appendTrade(append(dst, 1), b.Replacement)
	} else {
		dst = append(dst, 0)
	}
	dst = unsigned(dst, uint64(len(b.Cascade)))
	for _, seq := range b.Cascade {
		dst = unsigned(dst, seq)
	}
	dst = unsigned(dst, uint64(len(b.Positions)))
	for i := range b.Positions {
		p := &b.Positions[i]
		dst = t.AppendRow(dst, &p.Row)
		dst = signed(dst, p.Sellable)
		dst = signed(dst, p.Price)
	}
	return dst
}

func (t *Table) appendReset(dst []byte, r *positions.Reset) []byte {
	dst = signed(dst, r.Cash)
	dst = AppendText(dst, r.Reason)
	dst = AppendText(dst, r.Actor)
	dst = AppendText(dst, r.ID)
	dst = unsigned(dst, uint64(len(r.Gone)))
	for _, id := range r.Gone {
		dst = unsigned(dst, t.Number(id))
	}
	return dst
}

// AppendRow appends a row: instrument, sv quantity, sv cost, sv realised, uv version.
func (t *Table) AppendRow(dst []byte, r *positions.Row) []byte {
	dst = unsigned(dst, t.Number(r.Instrument))
	dst = signed(dst, r.Quantity)
	dst = signed(dst, r.Cost)
	dst = signed(dst, r.Realised)
	return unsigned(dst, r.Version)
}
