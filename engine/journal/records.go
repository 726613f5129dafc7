package journal

import (
	"encoding/binary"
)

// formatNumber is the format of everything in the directory: keys, values, files. A program
// refuses newer formats.
const formatNumber = 1

// runRecord is the value of M "run", which every run of a server writes before anything else.
type runRecord struct {
	format uint64
	epoch  uint64
	mode   Mode
	runs   uint64 // number of runs so far
}

// The format number comes first, and must stay first within this version of values, so that an
// old program can refuse a newer format by its number.
func (r *runRecord) append(value []byte) []byte {
	value = binary.AppendUvarint(value, r.format)
	value = binary.LittleEndian.AppendUint64(value, r.epoch)
	value = append(value, byte(r.mode))
	return binary.AppendUvarint(value, r.runs)
}

func (d *decoder) runRecord(r *runRecord) {
	if r.format = d.unsigned(); r.format != formatNumber {
		d.b = nil // only a newer program can read the rest
		return
	}
	r.epoch = d.fixed()
	r.mode = Mode(d.byte())
	r.runs = d.unsigned()
	if r.epoch == 0 || r.mode != Sync && r.mode != Interval {
		d.fail(errNumber)
	}
}

// blockID identifies a block by number and hash. The zero value is the position before the
// first block.
type blockID struct{ number, hash uint64 }

// markRecord is the value of M "mark": the block up to which the checkpoints have everything.
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
	m.number = d.unsigned()
	m.hash = d.fixed()
	m.accounts = d.unsigned()
}

const (
	metaRun  = "run"
	metaMark = "mark"
)
