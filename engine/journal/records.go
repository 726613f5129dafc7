package journal

import (
	"encoding/binary"

	"github.com/papertape/papertape/record"
)

// formatNumber is the format of everything in the directory: keys, values, files. A program
// refuses newer formats, and reads all earlier ones.
const (
	formatNumber = 2
	format1      = 1 // had no table of instruments and no key for order ids
)

// runRecord is the value of M "run", which every run of a server writes before anything else.
type runRecord struct {
	format   uint64
	epoch    uint64
	mode     Mode
	runs     uint64 // number of runs so far
	listings uint64 // how many instruments the table has; not in format 1
}

// newRunValue begins a value for a runRecord in b. It is of version 1, as every program expects it.
func newRunValue(b []byte) []byte { return append(b[:0], 0, 0, 0, 0, valueVersion1) }

// The format number comes first, and must stay first, so that an old program can refuse a newer
// format by its number.
func (r *runRecord) append(value []byte) []byte {
	value = binary.AppendUvarint(value, r.format)
	value = binary.LittleEndian.AppendUint64(value, r.epoch)
	value = append(value, byte(r.mode))
	value = binary.AppendUvarint(value, r.runs)
	if r.format == format1 {
		return value
	}
	return binary.AppendUvarint(value, r.listings)
}

func (d *decoder) runRecord(r *runRecord) {
	if r.format = d.Unsigned(); r.format > formatNumber {
		d.B = nil // only a newer program can read the rest
		return
	}
	r.epoch = d.Fixed()
	r.mode = Mode(d.Byte())
	r.runs = d.Unsigned()
	if r.format > format1 {
		r.listings = d.Unsigned()
	}
	if r.format == 0 || r.epoch == 0 || r.mode != Sync && r.mode != Interval {
		d.Fail(record.ErrNumber)
	}
}

// blockID identifies a block by number and hash. The zero value is the position before the
// first block.
type blockID struct{ number, hash uint64 }

// markRecord is the value of M "mark": the block up to which the checkpoints have everything. It is
// the same in both versions.
type markRecord struct {
	blockID
	accounts uint64 // about how many accounts there are; for the progress of the next start
}

func (m *markRecord) append(value []byte) []byte {
	value = binary.AppendUvarint(value, m.number)
	value = binary.LittleEndian.AppendUint64(value, m.hash)
	return binary.AppendUvarint(value, m.accounts)
}

func (d *decoder) markRecord(m *markRecord) {
	m.number = d.Unsigned()
	m.hash = d.Fixed()
	m.accounts = d.Unsigned()
}

// The value of M "idkey" is the 16 bytes of the key.
func (d *decoder) idKey(k *record.IDKey) {
	for i := range k {
		k[i] = d.Byte()
	}
}

// The value of T is an instrument: text market, text code, text name, text currency.
func appendListing(value []byte, l *record.Listing) []byte {
	for _, text := range []string{l.Market, l.Code, l.Name, l.Currency} {
		value = record.AppendText(value, text)
	}
	return value
}

func (d *decoder) listing(l *record.Listing) {
	l.Market, l.Code, l.Name, l.Currency = d.Text(), d.Text(), d.Text(), d.Text()
}

const (
	metaRun   = "run"
	metaMark  = "mark"
	metaIDKey = "idkey"
)
