package engine

import (
	"sort"

	"github.com/papertape/papertape/fnv1a"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/record"
)

// orderIDsMax is how many client order ids of an account are remembered.
const orderIDsMax = 4096

// orderIDs are the client order ids of an account's executed orders, so that a repeated order is
// not executed twice. It keeps hashes, as the disk does. Equal keyed hashes are those of equal ids.
// A ledger of format 1 has left hashes without a key, and two ids may have the same one. The events
// of such ids are not in memory. They are read before anything is answered, and an order whose id
// turns out to be another one is refused: it is never answered with the execution of the other
// order. Unkeyed hashes are forgotten in the course of time, as all ids are.
//
// A record never changes once it is written, so a checkpoint may read part of the queue outside the
// drainer. Forgotten records stay at the front of the queue until a checkpoint has forgotten them
// too. There are no more of them than events that are not checkpointed yet, since each was pushed
// out by the id of such an event.
type orderIDs struct {
	places  idTable         // of the remembered records
	queue   []OrderIDRecord // by sequence
	base    int             // place of queue[0], counted from the first id ever
	first   int             // place of the oldest remembered record
	unkeyed int             // remembered records whose hash has no key
	// records before this place were forgotten when a checkpoint last copied the account
	offered int
}

// find returns the record of an id, or one with the same unkeyed hash.
func (m *orderIDs) find(id *positions.OrderID, hash record.IDHash) (OrderIDRecord, bool) {
	if r, ok := m.findHash(hash); ok {
		return r, true
	}
	if m.unkeyed == 0 {
		return OrderIDRecord{}, false
	}
	return m.findHash(record.UnkeyedHash(id))
}

func (m *orderIDs) findHash(hash record.IDHash) (OrderIDRecord, bool) {
	for i := m.places.start(hash); ; i++ {
		place, used := m.places.at(i)
		if !used {
			return OrderIDRecord{}, false
		}
		if r := m.record(place); r.ID == hash {
			return *r, true
		}
	}
}

// record returns the record at a place, of which the lowest 32 bits are enough.
func (m *orderIDs) record(place uint32) *OrderIDRecord { return &m.queue[place-uint32(m.base)] }

// remember adds the record of an executed id. It forgets the oldest record if there would be more
// than limit.
func (m *orderIDs) remember(r OrderIDRecord, limit int) {
	end := m.base + len(m.queue)
	if end-m.first >= limit {
		m.forgetOldest()
	}
	m.queue = append(m.queue, r)
	if !r.ID.Keyed() {
		m.unkeyed++
	}
	if m.places.full() {
		m.places.resize()
		for place := m.first; place < end; place++ {
			m.places.add(m.record(uint32(place)).ID, uint32(place))
		}
	}
	m.places.add(r.ID, uint32(end))
}

// forgetBefore forgets the ids of all events before seq.
func (m *orderIDs) forgetBefore(seq uint64) {
	for m.first < m.base+len(m.queue) && m.queue[m.first-m.base].Seq < seq {
		m.forgetOldest()
	}
}

func (m *orderIDs) forgetOldest() {
	id := m.queue[m.first-m.base].ID
	m.places.remove(id, uint32(m.first), func(place uint32) record.IDHash { return m.record(place).ID })
	if !id.Keyed() {
		m.unkeyed--
	}
	m.first++
}

// cut drops the records before a place, which must be forgotten already.
func (m *orderIDs) cut(place int) {
	m.queue = m.queue[place-m.base:]
	m.base = place
}

// offer returns what a checkpoint has to do to bring a store from event stored to the newest event:
// the ids to store, and the forgotten ones to remove, if they may ever have been stored. copied is
// the newest event whose ids the store may have. Nothing is copied.
func (m *orderIDs) offer(stored, copied uint64) (ids, forgotten []OrderIDRecord) {
	m.offered = m.first
	old, kept := m.queue[:m.first-m.base], m.queue[m.first-m.base:]
	n := sort.Search(len(old), func(i int) bool { return old[i].Seq > copied })
	from := sort.Search(len(kept), func(i int) bool { return kept[i].Seq > stored })
	return kept[from:len(kept):len(kept)], old[:n:n]
}

// sameContent reports whether an order asks for exactly what a trade executed.
func sameContent(t *positions.Trade, o *positions.Order) bool {
	return t.Instrument == o.Instrument && t.Side == o.Side && t.Limit == o.Limit && t.Quantity == o.Quantity
}

// contentHash is the hash of the fields in which two orders must agree to be the same: instrument,
// side, quantity and limit. It is stored on disk.
func contentHash(id market.ID, side positions.Side, quantity, limit int64, u *market.Universe) uint64 {
	in := u.At(id)
	h := fnv1a.New.Text(in.Market).Text(in.Code)
	return uint64(h.Number(uint64(side)).Number(uint64(quantity)).Number(uint64(limit)))
}

// orderIDRecord returns the record of an executed trade that has an order id.
func (s *shard) orderIDRecord(t *positions.Trade, seq uint64) OrderIDRecord {
	content := contentHash(t.Instrument, t.Side, t.Quantity, t.Limit, s.eng.cfg.Universe)
	return OrderIDRecord{ID: s.idKey.Hash(&t.OrderID), Content: content, Seq: seq}
}
