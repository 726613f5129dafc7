package journal

import (
	"encoding/binary"
	"fmt"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/fnv1a"
	"github.com/papertape/papertape/positions"
)

// The bodies of values, version 1, in the notation of event.go. The values of M are in records.go.
//
//	J  block    8 bytes hash of the block before, uv number of the newest block on the disk when this one was made,
//	            uv count, count × event
//	H  run      uv count, count × event: of one account, contiguous
//	A  account  uv seq, sv cash balance, sv fees paid, sv realised, uv count, count × row
//	   row      instrument, sv quantity, sv cost, sv realised, uv version
//	I  order id 8 bytes hash of the id, 8 bytes hash of what was ordered

// block is the head of a block, which is the value of a J key.
type block struct {
	before uint64 // hash of the previous block
	synced uint64 // number of the newest block that was on the disk when this one was made
	count  uint64 // events
}

const blockHeadMax = valueHead + 8 + 2*binary.MaxVarintLen64

// append appends a placeholder for the checksum, the version of the value, and the head.
func (b *block) append(dst []byte) []byte {
	dst = append(dst, 0, 0, 0, 0, valueVersion)
	dst = binary.LittleEndian.AppendUint64(dst, b.before)
	dst = binary.AppendUvarint(dst, b.synced)
	return binary.AppendUvarint(dst, b.count)
}

func (d *decoder) block() (b block) {
	b.before = d.fixed()
	b.synced = d.unsigned()
	b.count = uint64(d.count(eventBytesMin))
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

// eventBytesMin is less than the size of any event: head, account, sequence, time, four
// numbers, and the three of an adjustment.
const eventBytesMin = 1 + 1 + 1 + 8 + 4 + 3

// runEventsMax bounds a run, and so how many events are read in vain to reach the one wanted.
const runEventsMax = 256

// appendRun appends a run of at most runEventsMax events to a value.
func (l *listings) appendRun(value []byte, events []positions.Event) []byte {
	value = binary.AppendUvarint(value, uint64(len(events)))
	for i := range events {
		value = l.appendEvent(value, &events[i])
	}
	return value
}

func (l *listings) appendAccount(value []byte, st *engine.AccountState) []byte {
	value = binary.AppendUvarint(value, st.Seq)
	value = binary.AppendVarint(value, st.Cash.Balance)
	value = binary.AppendVarint(value, st.Cash.FeesPaid)
	value = binary.AppendVarint(value, st.Cash.Realised)
	value = binary.AppendUvarint(value, uint64(len(st.Rows)))
	for i := range st.Rows {
		value = l.appendRow(value, &st.Rows[i])
	}
	return value
}

// account reads an A value into st, whose Rows are reused.
func (d *decoder) account(st *engine.AccountState) {
	st.Seq = d.unsigned()
	st.Cash.Balance = d.signed()
	st.Cash.FeesPaid = d.signed()
	st.Cash.Realised = d.signed()
	st.Rows = st.Rows[:0]
	for range d.count(rowBytesMin) {
		var r positions.Row
		d.row(&r)
		if n := len(st.Rows); d.err == nil && n > 0 && st.Rows[n-1].Instrument >= r.Instrument {
			d.fail(fmt.Errorf("its rows are not by instrument"))
		}
		st.Rows = append(st.Rows, r)
	}
}

func appendOrderID(value []byte, r *engine.OrderIDRecord) []byte {
	value = binary.LittleEndian.AppendUint64(value, r.ID)
	return binary.LittleEndian.AppendUint64(value, r.Content)
}

func (d *decoder) orderID(r *engine.OrderIDRecord) {
	r.ID = d.fixed()
	r.Content = d.fixed()
}
