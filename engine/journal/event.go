package journal

import (
	"encoding/binary"
	"fmt"

	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// The encoding of an event, version 1. uv is an unsigned varint, sv a zigzag varint, text a uv
// with the length and then the bytes.
//
//	event       1 byte (kind | change<<2 | eventRow<<5), uv account, uv seq, 8 bytes time (little-endian),
//	            sv cash balance, sv fees paid, sv realised, sv total market value, and then by kind
//	trade       trade, sv row quantity, sv cost, sv realised [, uv version, instrument, sv sellable, sv price]
//	adjustment  sv cash, text reason, text actor
//	bust        uv seq of the trade, text reason, text actor, text id, trade original, 1 byte (1: replacement follows)
//	            [, trade replacement], uv n, n × uv seq of the cascade, uv n, n × position
//
//	trade       1 byte (side | origin<<2 | trade flags<<4), sv quantity, sv price, instrument
//	            [, text order id] [, sv limit] [, sv fees] [, uv revision, sv amount]
//	position    instrument, sv quantity, sv cost, sv realised, uv version, sv sellable, sv price
//	instrument  1 byte length, market, '.', code; not its id, which is an index into a universe that may change
//
// All values are absolute. A field that almost always follows from others (a row's version is the
// event's sequence) is left out when it does.
const (
	eventRow = 1 << 5 // the row's version, instrument, sellable and price follow

	tradeOrderID = 1 << 4
	tradeLimit   = 1 << 5
	tradeFees    = 1 << 6
	tradeRest    = 1 << 7 // revision and amount follow: revision is not 0, or amount not quantity × price
)

// listings translates between the instruments of a universe and their encoding.
type listings struct {
	encoded []string // by id: length and name, as in the encoding
	ids     map[string]market.ID
}

func newListings(u *market.Universe) *listings {
	l := &listings{encoded: make([]string, u.Len()), ids: make(map[string]market.ID, u.Len())}
	for i := range l.encoded {
		name := u.At(market.ID(i)).String()
		l.encoded[i] = string(rune(len(name))) + name // market and code have at most 20 bytes together
		l.ids[name] = market.ID(i)
	}
	return l
}

// appendEvent appends the encoding of ev. It panics if the kind of ev is unknown, which is a
// programming error.
func (l *listings) appendEvent(dst []byte, ev *positions.Event) []byte {
	if ev.Kind < positions.KindTrade || ev.Kind > positions.KindAdjustment || ev.Change > 7 {
		panic(fmt.Sprintf("journal: event %d of account %d is of kind %d with change %d",
			ev.Seq, ev.Account, ev.Kind, ev.Change))
	}
	head := byte(ev.Kind) | byte(ev.Change)<<2
	p := &ev.Position
	if ev.Kind == positions.KindTrade &&
		(p.Version != ev.Seq || p.Instrument != ev.Trade.Instrument ||
			p.Sellable != p.Quantity || p.Price != ev.Trade.Price) {
		head |= eventRow
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
		if head&eventRow != 0 {
			dst = binary.AppendUvarint(dst, p.Version)
			dst = append(dst, l.encoded[p.Instrument]...)
			dst = binary.AppendVarint(dst, p.Sellable)
			dst = binary.AppendVarint(dst, p.Price)
		}
	case positions.KindBust:
		dst = l.appendBust(dst, ev.Bust)
	case positions.KindAdjustment:
		dst = binary.AppendVarint(dst, ev.Adjustment.Cash)
		dst = appendText(dst, ev.Adjustment.Reason)
		dst = appendText(dst, ev.Adjustment.Actor)
	}
	return dst
}

func (l *listings) appendTrade(dst []byte, t *positions.Trade) []byte {
	if t.Side > 3 || t.Origin > 3 {
		panic(fmt.Sprintf("journal: a trade of side %d and origin %d", t.Side, t.Origin))
	}
	head := byte(t.Side) | byte(t.Origin)<<2
	if !t.OrderID.IsZero() {
		head |= tradeOrderID
	}
	if t.Limit != 0 {
		head |= tradeLimit
	}
	if t.Fees != 0 {
		head |= tradeFees
	}
	if t.Revision != 0 || t.Amount != t.Quantity*t.Price {
		head |= tradeRest
	}
	dst = append(dst, head)
	dst = binary.AppendVarint(dst, t.Quantity)
	dst = binary.AppendVarint(dst, t.Price)
	dst = append(dst, l.encoded[t.Instrument]...)
	if head&tradeOrderID != 0 {
		id := t.OrderID.Bytes()
		dst = append(append(dst, byte(len(id))), id...)
	}
	if head&tradeLimit != 0 {
		dst = binary.AppendVarint(dst, t.Limit)
	}
	if head&tradeFees != 0 {
		dst = binary.AppendVarint(dst, t.Fees)
	}
	if head&tradeRest != 0 {
		dst = binary.AppendUvarint(dst, uint64(t.Revision))
		dst = binary.AppendVarint(dst, t.Amount)
	}
	return dst
}

func (l *listings) appendBust(dst []byte, b *positions.Bust) []byte {
	dst = binary.AppendUvarint(dst, b.TradeSeq)
	dst = appendText(dst, b.Reason)
	dst = appendText(dst, b.Actor)
	dst = appendText(dst, b.ID)
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

func (l *listings) appendRow(dst []byte, r *positions.Row) []byte {
	dst = append(dst, l.encoded[r.Instrument]...)
	dst = binary.AppendVarint(dst, r.Quantity)
	dst = binary.AppendVarint(dst, r.Cost)
	dst = binary.AppendVarint(dst, r.Realised)
	return binary.AppendUvarint(dst, r.Version)
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}
