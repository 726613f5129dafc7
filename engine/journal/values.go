package journal

import (
	"encoding/binary"
	"errors"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/fnv1a"
	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/record"
)

// The bodies of values, version 2, in the notation of package record, which also says what a record
// and an instrument are. Those of version 1 are in format1.go, those of M and T in records.go.
//
//	J  block    8 bytes hash of the block before, uv number of the newest block on the disk when this one was made,
//	            uv count, count × record
//	H  run      uv count, count × record: of one account, contiguous
//	A  account  uv seq, sv cash balance, sv fees paid, sv realised, uv count, count × row
//	   row      instrument, sv quantity, sv cost, sv realised, uv version
//	I  order id 16 bytes hash of the id (high half, low half), 8 bytes hash of what was ordered
//
// What has 8 or 16 bytes is little-endian.

// block is the head of a block, which is the value of a J key. It is the same in both versions.
type block struct {
	before uint64 // hash of the previous block
	synced uint64 // number of the newest block that was on the disk when this one was made
	count  uint64 // events
}

const blockHeadMax = valueHead + 8 + 2*binary.MaxVarintLen64

// append appends a placeholder for the checksum, the version of the value, and the head.
func (b *block) append(dst []byte) []byte {
	dst = append(dst, 0, 0, 0, 0, valueVersion2)
	dst = binary.LittleEndian.AppendUint64(dst, b.before)
	dst = binary.AppendUvarint(dst, b.synced)
	return binary.AppendUvarint(dst, b.count)
}

func (d *decoder) block() (b block) {
	b.before = d.Fixed()
	b.synced = d.Unsigned()
	b.count = uint64(d.events())
	return b
}

// blockHash links the chain of blocks. It is FNV-1a over a block's number and checksum; the
// checksum covers the block's head, so also the hash of the previous block, and all its events.
// It detects blocks that are missing, misplaced, or from another history. It does not protect
// against somebody who forges blocks.
func blockHash(number uint64, value []byte) uint64 {
	h := fnv1a.New.Number(number)
	for _, c := range value[:sumBytes] {
		h = h.Byte(c)
	}
	return uint64(h)
}

// runEventsMax bounds a run, and so how many events are read in vain to reach the one wanted.
const runEventsMax = 256

func appendAccount(value []byte, st *engine.AccountState, t *record.Table) []byte {
	value = binary.AppendUvarint(value, st.Seq)
	value = binary.AppendVarint(value, st.Cash.Balance)
	value = binary.AppendVarint(value, st.Cash.FeesPaid)
	value = binary.AppendVarint(value, st.Cash.Realised)
	value = binary.AppendUvarint(value, uint64(len(st.Rows)))
	for i := range st.Rows {
		value = t.AppendRow(value, &st.Rows[i])
	}
	return value
}

var errRowOrder = errors.New("its rows are not by instrument")

// account reads an A value into st, whose Rows are reused.
func (d *decoder) account(st *engine.AccountState) {
	st.Seq = d.Unsigned()
	st.Cash.Balance = d.Signed()
	st.Cash.FeesPaid = d.Signed()
	st.Cash.Realised = d.Signed()
	st.Rows = st.Rows[:0]
	for range d.Count(record.RowBytesMin) {
		var r positions.Row
		d.row(&r)
		if n := len(st.Rows); d.Err == nil && n > 0 && st.Rows[n-1].Instrument >= r.Instrument {
			d.Fail(errRowOrder)
		}
		st.Rows = append(st.Rows, r)
	}
}

func appendOrderID(value []byte, r *engine.OrderIDRecord) []byte {
	value = binary.LittleEndian.AppendUint64(value, r.ID.High)
	value = binary.LittleEndian.AppendUint64(value, r.ID.Low)
	return binary.LittleEndian.AppendUint64(value, r.Content)
}

func (d *decoder) orderID(r *engine.OrderIDRecord) {
	if d.version == valueVersion1 {
		r.ID = d.orderID1()
	} else {
		r.ID.High = d.Fixed()
		r.ID.Low = d.Fixed()
	}
	r.Content = d.Fixed()
}
