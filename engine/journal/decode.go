package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// What can be wrong with the bytes of a value. The caller adds the place.
var (
	errShort   = errors.New("it ends too early")
	errNumber  = errors.New("a number in it is out of range")
	errKind    = errors.New("it has an event of no known kind")
	errOrderID = errors.New("an order id in it is not 1 to 64 printable characters")
	errLonger  = errors.New("it goes on after its end")
)

// unlistedError says that an instrument on the disk is not in the universe.
type unlistedError string

func (e unlistedError) Error() string {
	return fmt.Sprintf("%q is not among the instruments: start with the instruments that were traded", string(e))
}

// decoder reads values from the front of a byte slice. It keeps its first error; everything
// read after it is 0. It keeps no reference to the bytes, and allocates less than 40 times
// their size.
type decoder struct {
	l   *listings
	b   []byte
	err error
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
	d.b = nil
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail(errShort)
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *decoder) fixed() uint64 {
	if len(d.b) < 8 {
		d.fail(errShort)
		return 0
	}
	v := binary.LittleEndian.Uint64(d.b)
	d.b = d.b[8:]
	return v
}

func (d *decoder) unsigned() uint64 {
	if len(d.b) > 0 && d.b[0] < 0x80 {
		v := uint64(d.b[0])
		d.b = d.b[1:]
		return v
	}
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.failVarint(n)
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) signed() int64 {
	v := d.unsigned()
	return int64(v>>1) ^ -int64(v&1)
}

// failVarint tells the two failures of binary.Uvarint apart.
func (d *decoder) failVarint(n int) {
	if n == 0 {
		d.fail(errShort)
	} else {
		d.fail(errNumber)
	}
}

// count reads the number of items that follow, each of at least size bytes.
func (d *decoder) count(size int) int {
	n := d.unsigned()
	if n > uint64(len(d.b)/size) {
		d.fail(errShort)
		return 0
	}
	return int(n)
}

func (d *decoder) bytes() []byte {
	n := d.count(1)
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) text() string { return string(d.bytes()) }

func (d *decoder) instrument() market.ID {
	name := d.bytes()
	if d.err != nil {
		return 0
	}
	id, ok := d.l.ids[string(name)]
	if !ok {
		d.fail(unlistedError(name))
	}
	return id
}

// end returns the first error, or an error if bytes are left over.
func (d *decoder) end() error {
	if d.err == nil && len(d.b) > 0 {
		d.err = errLonger
	}
	return d.err
}

// event reads an event. After an error ev is in no particular state. Reading a trade allocates
// nothing.
func (d *decoder) event(ev *positions.Event) {
	*ev = positions.Event{}
	head := d.byte()
	ev.Kind, ev.Change = positions.Kind(head&3), positions.Change(head>>2&7)
	ev.Account = d.unsigned()
	ev.Seq = d.unsigned()
	ev.Time = int64(d.fixed())
	ev.Cash.Balance = d.signed()
	ev.Cash.FeesPaid = d.signed()
	ev.Cash.Realised = d.signed()
	ev.TotalMarketValue = d.signed()
	switch {
	case ev.Kind == positions.KindTrade && head>>6 == 0:
		d.trade(&ev.Trade)
		d.rowOfTrade(ev, head&eventRow != 0)
	case ev.Kind == positions.KindBust && head>>5 == 0:
		ev.Bust = d.bust()
	case ev.Kind == positions.KindAdjustment && head>>5 == 0:
		ev.Adjustment = &positions.Adjustment{Cash: d.signed(), Reason: d.text(), Actor: d.text()}
	default:
		d.fail(errKind)
	}
}

func (d *decoder) rowOfTrade(ev *positions.Event, whole bool) {
	p := &ev.Position
	p.Quantity = d.signed()
	p.Cost = d.signed()
	p.Realised = d.signed()
	if !whole {
		p.Version, p.Instrument, p.Sellable, p.Price = ev.Seq, ev.Trade.Instrument, p.Quantity, ev.Trade.Price
		return
	}
	p.Version = d.unsigned()
	p.Instrument = d.instrument()
	p.Sellable = d.signed()
	p.Price = d.signed()
}

func (d *decoder) trade(t *positions.Trade) {
	head := d.byte()
	t.Side, t.Origin = positions.Side(head&3), positions.Origin(head>>2&3)
	t.Quantity = d.signed()
	t.Price = d.signed()
	t.Amount = t.Quantity * t.Price
	t.Instrument = d.instrument()
	if head&tradeOrderID != 0 {
		var ok bool
		if t.OrderID, ok = positions.MakeOrderID(d.bytes()); !ok {
			d.fail(errOrderID)
		}
	}
	if head&tradeLimit != 0 {
		t.Limit = d.signed()
	}
	if head&tradeFees != 0 {
		t.Fees = d.signed()
	}
	if head&tradeRest != 0 {
		revision := d.unsigned()
		if revision > math.MaxUint32 {
			d.fail(errNumber)
		}
		t.Revision = uint32(revision)
		t.Amount = d.signed()
	}
}

func (d *decoder) bust() *positions.Bust {
	b := &positions.Bust{TradeSeq: d.unsigned(), Reason: d.text(), Actor: d.text(), ID: d.text()}
	d.trade(&b.Original)
	switch d.byte() {
	case 0:
	case 1:
		b.Replacement = new(positions.Trade)
		d.trade(b.Replacement)
	default:
		d.fail(errNumber)
	}
	if n := d.count(1); n > 0 {
		b.Cascade = make([]uint64, n)
		for i := range b.Cascade {
			b.Cascade[i] = d.unsigned()
		}
	}
	if n := d.count(positionBytesMin); n > 0 {
		b.Positions = make([]positions.Position, n)
		for i := range b.Positions {
			p := &b.Positions[i]
			d.row(&p.Row)
			p.Sellable = d.signed()
			p.Price = d.signed()
		}
	}
	return b
}

const (
	rowBytesMin      = 5 // an instrument and four numbers, a byte each at least
	positionBytesMin = rowBytesMin + 2
)

func (d *decoder) row(r *positions.Row) {
	r.Instrument = d.instrument()
	r.Quantity = d.signed()
	r.Cost = d.signed()
	r.Realised = d.signed()
	r.Version = d.unsigned()
}
