package journal

import (
	"errors"
	"math"

	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/record"
)

// The bodies of values, version 1. They were written until format 2 came, and are read for ever. uv
// is an unsigned varint, sv a zigzag varint, text a uv with the length and then the bytes.
//
//	J  block    8 bytes hash of the block before, uv number of the newest block on the disk when this one was made,
//	            uv count, count × event
//	H  run      uv count, count × event: of one account, contiguous
//	A  account  uv seq, sv cash balance, sv fees paid, sv realised, uv count, count × row
//	   row      instrument, sv quantity, sv cost, sv realised, uv version
//	I  order id 8 bytes hash of the id (FNV-1a), 8 bytes hash of what was ordered
//
//	event       1 byte (kind | change<<2 | eventRow1<<5), uv account, uv seq, 8 bytes time (little-endian),
//	            sv cash balance, sv fees paid, sv realised, sv total market value, and then by kind
//	trade       trade, sv row quantity, sv cost, sv realised [, uv version, instrument, sv sellable, sv price]
//	adjustment  sv cash, text reason, text actor
//	bust        uv seq of the trade, text reason, text actor, text id, trade original, 1 byte (1: replacement follows)
//	            [, trade replacement], uv n, n × uv seq of the cascade, uv n, n × position
//
//	trade       1 byte (side | origin<<2 | trade flags<<4), sv quantity, sv price, instrument
//	            [, text order id] [, sv limit] [, sv fees] [, uv revision, sv amount]
//	position    instrument, sv quantity, sv cost, sv realised, uv version, sv sellable, sv price
//	instrument  1 byte length, market, '.', code
//
// All values are absolute. A field that almost always follows from others (a row's version is the
// event's sequence) is left out when it does.
const (
	eventRow1 = 1 << 5 // the row's version, instrument, sellable and price follow

	tradeOrderID1 = 1 << 4
	tradeLimit1   = 1 << 5
	tradeFees1    = 1 << 6
	tradeRest1    = 1 << 7 // revision and amount follow: revision is not 0, or amount not quantity × price

	// eventBytesMin1 is less than the size of any event: head, account, sequence, time, four numbers,
	// and the three of an adjustment.
	eventBytesMin1    = 1 + 1 + 1 + 8 + 4 + 3
	rowBytesMin1      = 5 // an instrument and four numbers, a byte each at least
	positionBytesMin1 = rowBytesMin1 + 2
)

var errKind1 = errors.New("it has an event of no known kind")

// namedInstruments are the instruments of a universe by market and code, as version 1 names them.
type namedInstruments map[string]market.ID

func nameInstruments(u *market.Universe) namedInstruments {
	named := make(namedInstruments, u.Len())
	for i := range u.Len() {
		named[u.At(market.ID(i)).String()] = market.ID(i)
	}
	return named
}

func (d *decoder) instrument1() market.ID {
	name := d.Bytes()
	if d.Err != nil {
		return 0
	}
	id, ok := d.named[string(name)]
	if !ok {
		d.Fail(record.UnlistedError{Instrument: string(name)})
	}
	return id
}

// event1 reads an event of version 1. After an error ev is in no particular state. Reading a trade
// allocates nothing.
func (d *decoder) event1(ev *positions.Event) {
	*ev = positions.Event{}
	head := d.Byte()
	ev.Kind, ev.Change = positions.Kind(head&3), positions.Change(head>>2&7)
	ev.Account = d.Unsigned()
	ev.Seq = d.Unsigned()
	ev.Time = int64(d.Fixed())
	ev.Cash.Balance = d.Signed()
	ev.Cash.FeesPaid = d.Signed()
	ev.Cash.Realised = d.Signed()
	ev.TotalMarketValue = d.Signed()
	switch {
	case ev.Kind == positions.KindTrade && head>>6 == 0:
		d.trade1(&ev.Trade)
		d.rowOfTrade1(ev, head&eventRow1 != 0)
	case ev.Kind == positions.KindBust && head>>5 == 0:
		ev.Bust = d.bust1()
	case ev.Kind == positions.KindAdjustment && head>>5 == 0:
		ev.Adjustment = &positions.Adjustment{Cash: d.Signed(), Reason: d.Text(), Actor: d.Text()}
	default:
		d.Fail(errKind1)
	}
}

func (d *decoder) rowOfTrade1(ev *positions.Event, whole bool) {
	p := &ev.Position
	p.Quantity = d.Signed()
	p.Cost = d.Signed()
	p.Realised = d.Signed()
	if !whole {
		p.Version, p.Instrument, p.Sellable, p.Price = ev.Seq, ev.Trade.Instrument, p.Quantity, ev.Trade.Price
		return
	}
	p.Version = d.Unsigned()
	p.Instrument = d.instrument1()
	p.Sellable = d.Signed()
	p.Price = d.Signed()
}

func (d *decoder) trade1(t *positions.Trade) {
	head := d.Byte()
	t.Side, t.Origin = positions.Side(head&3), positions.Origin(head>>2&3)
	t.Quantity = d.Signed()
	t.Price = d.Signed()
	t.Amount = t.Quantity * t.Price
	t.Instrument = d.instrument1()
	if head&tradeOrderID1 != 0 {
		var ok bool
		if t.OrderID, ok = positions.MakeOrderID(d.Bytes()); !ok {
			d.Fail(record.ErrOrderID)
		}
	}
	if head&tradeLimit1 != 0 {
		t.Limit = d.Signed()
	}
	if head&tradeFees1 != 0 {
		t.Fees = d.Signed()
	}
	if head&tradeRest1 != 0 {
		revision := d.Unsigned()
		if revision > math.MaxUint32 {
			d.Fail(record.ErrNumber)
		}
		t.Revision = uint32(revision)
		t.Amount = d.Signed()
	}
}

func (d *decoder) bust1() *positions.Bust {
	b := &positions.Bust{TradeSeq: d.Unsigned(), Reason: d.Text(), Actor: d.Text(), ID: d.Text()}
	d.trade1(&b.Original)
	switch d.Byte() {
	case 0:
	case 1:
		b.Replacement = new(positions.Trade)
		d.trade1(b.Replacement)
	default:
		d.Fail(record.ErrNumber)
	}
	if n := d.Count(1); n > 0 {
		b.Cascade = make([]uint64, n)
		for i := range b.Cascade {
			b.Cascade[i] = d.Unsigned()
		}
	}
	if n := d.Count(positionBytesMin1); n > 0 {
		b.Positions = make([]positions.Position, n)
		for i := range b.Positions {
			p := &b.Positions[i]
			d.row1(&p.Row)
			p.Sellable = d.Signed()
			p.Price = d.Signed()
		}
	}
	return b
}

func (d *decoder) row1(r *positions.Row) {
	r.Instrument = d.instrument1()
	r.Quantity = d.Signed()
	r.Cost = d.Signed()
	r.Realised = d.Signed()
	r.Version = d.Unsigned()
}

// orderID1 reads the hash of an order id. It has no key.
func (d *decoder) orderID1() record.IDHash { return record.IDHash{Low: d.Fixed()} }
