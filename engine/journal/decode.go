package journal

import (
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/record"
)

// instruments says which instruments the values of a ledger mean.
type instruments struct {
	table *record.Table
	named namedInstruments // those of version 1
}

// newInstruments returns those of a ledger that has stored these listings.
func newInstruments(stored []record.Listing, u *market.Universe) instruments {
	return instruments{table: record.ExtendTable(stored, u), named: nameInstruments(u)}
}

// decoder reads the body of a value of any version.
type decoder struct {
	record.Reader
	instruments
	version byte
}

// decode checks a value, and returns a decoder of its body.
func (s *store) decode(key, value []byte) (decoder, error) {
	body, version, err := openValue(key, value)
	return decoder{Reader: record.Reader{B: body}, instruments: s.instruments, version: version}, err
}

// events reads the number of events that follow.
func (d *decoder) events() int {
	if d.version == valueVersion1 {
		return d.Count(eventBytesMin1)
	}
	return d.Count(record.BytesMin)
}

// event reads an event of a block or a run. After an error ev is in no particular state. Reading a
// trade allocates nothing.
func (d *decoder) event(ev *positions.Event) {
	if d.version == valueVersion1 {
		d.event1(ev)
		return
	}
	if rec := d.cut(); d.Err == nil {
		if err := d.table.Decode(rec, ev); err != nil {
			d.Fail(err)
		}
	}
}

// appendRecord reads an event of a block or a run, and appends its record to dst.
func (d *decoder) appendRecord(dst []byte) []byte {
	if d.version != valueVersion1 {
		return append(dst, d.cut()...)
	}
	var ev positions.Event
	if d.event1(&ev); d.Err != nil {
		return dst
	}
	return d.table.Append(dst, &ev)
}

// cut reads a record without looking into it.
func (d *decoder) cut() []byte {
	if d.Err != nil {
		return nil
	}
	rec, rest, err := record.Cut(d.B)
	if err != nil {
		d.Fail(err)
		return nil
	}
	d.B = rest
	return rec
}

// row reads a row of an account.
func (d *decoder) row(r *positions.Row) {
	if d.version == valueVersion1 {
		d.row1(r)
		return
	}
	d.table.Row(&d.Reader, r)
}
