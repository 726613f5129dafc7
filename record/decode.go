package record

import (
	"fmt"
	"math"

	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// BytesMin is less than any record takes: length, kind, flags, account, sequence, time, four
// numbers, and the three of an adjustment.
const BytesMin = 1 + 1 + 1 + 1 + 1 + 8 + 4 + 3

const (
	rowBytesMin      = 5 // an instrument and four numbers, a byte each at least
	positionBytesMin = rowBytesMin + 2
)

// NewerError says that a record has something in it that this program does not know.
type NewerError struct{ What string }

func (e *NewerError) Error() string {
	return e.What + ", which this papertape does not know: use the newer papertape that wrote it"
}

// Cut returns the first record of b, with its length, and what follows it. It does not look into
// the record.
func Cut(b []byte) (rec, rest []byte, err error) {
	r := Reader{B: b}
	n := r.Count(1)
	if r.Err != nil {
		return nil, nil, r.Err
	}
	size := len(b) - len(r.B) + n
	return b[:size:size], b[size:], nil
}

// Size returns the size of the first record of b, with its length. b must begin with a record that
// Append has made.
func Size(b []byte) int {
	if b[0] < 0x80 {
		return 1 + int(b[0])
	}
	n, shift := int(b[0]&0x7f), 7
	for i := 1; ; i++ {
		n |= int(b[i]&0x7f) << shift
		if b[i] < 0x80 {
			return n + i + 1
		}
		shift += 7
	}
}

// body returns a reader of a record without its length.
func body(rec []byte) (r Reader) {
	r.B = rec
	if n := r.Count(1); r.Err == nil && n != len(r.B) {
		r.Fail(ErrLonger)
	}
	return r
}

// Head returns whose event a record is, and which.
func Head(rec []byte) (account, seq uint64, err error) {
	r := body(rec)
	r.Unsigned() // kind
	r.Unsigned() // flags
	account, seq = r.Unsigned(), r.Unsigned()
	return account, seq, r.Err
}

// Time returns when the event of a record happened, in nanoseconds since the Unix epoch.
func Time(rec []byte) (at int64, err error) {
	r := body(rec)
	for range 4 { // kind, flags, account, sequence
		r.Unsigned()
	}
	at = int64(r.Fixed()) //nolint:gosec // as Append has written it
	return at, r.Err
}

// Decode decodes a record, which Cut has returned, into ev. Decoding a trade allocates nothing.
// After an error ev is in no particular state.
func (t *Table) Decode(rec []byte, ev *positions.Event) error {
	d := decoder{Reader: body(rec), t: t}
	d.event(ev)
	return d.End()
}

// decoder reads what has instruments in it.
type decoder struct {
	Reader
	t *Table
}

func (d *decoder) event(ev *positions.Event) {
	*ev = positions.Event{}
	kind, flags := d.Unsigned(), d.Unsigned()
	ev.Account = d.Unsigned()
	ev.Seq = d.Unsigned()
	ev.Time = int64(d.Fixed())
	ev.Cash.Balance = d.Signed()
	ev.Cash.FeesPaid = d.Signed()
	ev.Cash.Realised = d.Signed()
	ev.TotalMarketValue = d.Signed()
	if d.Err != nil {
		return
	}
	if flags&^flagsKnown != 0 || flags&flagRow != 0 && kind != uint64(positions.KindTrade) {
		d.Fail(&NewerError{fmt.Sprintf("event %d of account %d has flags %#x", ev.Seq, ev.Account, flags)})
		return
	}
	ev.Kind, ev.Change = positions.Kind(kind), positions.Change(flags&changeMask)
	switch kind {
	case uint64(positions.KindTrade):
		d.trade(&ev.Trade)
		d.rowOfTrade(ev, flags&flagRow != 0)
	case uint64(positions.KindBust):
		ev.Bust = d.bust()
	case uint64(positions.KindAdjustment):
		ev.Adjustment = &positions.Adjustment{Cash: d.Signed(), Reason: d.Text(), Actor: d.Text()}
	default:
		d.Fail(&NewerError{fmt.Sprintf("event %d of account %d is of kind %d", ev.Seq, ev.Account, kind)})
	}
}

func (d *decoder) instrument() market.ID {
	n := d.Unsigned()
	if d.Err != nil {
		return 0
	}
	id, err := d.t.ID(n)
	if err != nil {
		d.Fail(err)
	}
	return id
}

func (d *decoder) rowOfTrade(ev *positions.Event, whole bool) {
	p := &ev.Position
	p.Quantity = d.Signed()
	p.Cost = d.Signed()
	p.Realised = d.Signed()
	if !whole {
		p.Version, p.Instrument, p.Sellable, p.Price = ev.Seq, ev.Trade.Instrument, p.Quantity, ev.Trade.Price
		return
	}
	p.Version = d.Unsigned()
	p.Instrument = d.instrument()
	p.Sellable = d.Signed()
	p.Price = d.Signed()
}

func (d *decoder) trade(t *positions.Trade) {
	head := d.Unsigned()
	if head > tradeKnown {
		d.Fail(&NewerError{fmt.Sprintf("a trade has the head %#x", head)})
		return
	}
	t.Side, t.Origin = positions.Side(head&3), positions.Origin(head>>2&3)
	t.Quantity = d.Signed()
	t.Price = d.Signed()
	t.Amount = t.Quantity * t.Price
	t.Instrument = d.instrument()
	if head&withOrderID != 0 {
		var ok bool
		if t.OrderID, ok = positions.MakeOrderID(d.Bytes()); !ok {
			d.Fail(ErrOrderID)
		}
	}
	if head&withLimit != 0 {
		t.Limit = d.Signed()
	}
	if head&withFees != 0 {
		t.Fees = d.Signed()
	}
	if head&withRest != 0 {
		revision := d.Unsigned()
		if revision > math.MaxUint32 {
			d.Fail(ErrNumber)
		}
		t.Revision = uint32(revision)
		t.Amount = d.Signed()
	}
}

func (d *decoder) bust() *positions.Bust {
	b := &positions.Bust{TradeSeq: d.Unsigned(), Reason: d.Text(), Actor: d.Text(), ID: d.Text()}
	d.trade(&b.Original)
	switch d.Unsigned() {
	case 0:
	case 1:
		b.Replacement = new(positions.Trade)
		d.trade(b.Replacement)
	default:
		d.Fail(ErrNumber)
	}
	if n := d.Count(1); n > 0 {
		b.Cascade = make([]uint64, n)
		for i := range b.Cascade {
			b.Cascade[i] = d.Unsigned()
		}
	}
	if n := d.Count(positionBytesMin); n > 0 {
		b.Positions = make([]positions.Position, n)
		for i := range b.Positions {
			p := &b.Positions[i]
			d.row(&p.Row)
			p.Sellable = d.Signed()
			p.Price = d.Signed()
		}
	}
	return b
}

func (d *decoder) row(r *positions.Row) {
	r.Instrument = d.instrument()
	r.Quantity = d.Signed()
	r.Cost = d.Signed()
	r.Realised = d.Signed()
	r.Version = d.Unsigned()
}

// Row reads a row as AppendRow writes it.
func (t *Table) Row(from *Reader, r *positions.Row) {
	d := decoder{Reader: *from, t: t}
	d.row(r)
	*from = d.Reader
}

// RowBytesMin is the least that a row takes.
const RowBytesMin = rowBytesMin
