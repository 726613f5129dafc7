package journal

import (
	"encoding/binary"
)

// formatNumber is the format of everything in the directory: keys, values, files. A program refuses a newer one.
const formatNumber = 1

// runRecord is M "run": what the newest run of a server wrote before anything else.
type runRecord struct {
	format uint64
	epoch  uint64
	mode   Mode
	runs   uint64 // how many there have been
}

// The format comes first and stays first, under the version of values that there is now, so that an old program can refuse a
// newer one by its number.
func (r *runRecord) append(value []byte) []byte {
	value = binary.AppendUvarint(value, r.format)
	value = binary.LittleEndian.AppendUint64(value, r.epoch)
	value = append(value, byte(r.mode))
	return binary.AppendUvarint(value, r.runs)
}

func (d *decoder) run(r *runRecord) {
	if r.format = d.unsigned(); r.format != formatNumber {
		d.b = nil // the rest is for others to read
		return
	}
	r.epoch = d.fixed()
	r.mode = Mode(d.byte())
	r.runs = d.unsigned()
	if r.epoch == 0 || r.mode != Sync && r.mode != Interval {
		d.fail(errNumber)
	}
}

// place is a block by number and hash; the zero one is the place before the first.
type place struct{ number, hash uint64 }

// markRecord is M "mark": up to which block the checkpoints have everything.
type markRecord struct {
	place
	accounts uint64 // how many there are, about: for the progress of the next start
}

func (m *markRecord) append(value []byte) []byte {
	value = binary.AppendUvarint(value, m.number)
	value = binary.LittleEndian.AppendUint64(value, m.hash)
	return binary.AppendUvarint(value, m.accounts)
}

func (d *decoder) mark(m *markRecord) {
	m.number = d.unsigned()
	m.hash = d.fixed()
	m.accounts = d.unsigned()
}

const (
	metaRun  = "run"
	metaMark = "mark"
)
