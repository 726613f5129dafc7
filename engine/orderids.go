package engine

import (
	"sort"

	"github.com/papertape/papertape/fnv1a"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// orderIDsMax is how many client order ids of an account are remembered.
const orderIDsMax = 4096

// orderIDs are the client order ids of an account's executed orders, so that a repeated order is
// not executed twice. It keeps hashes, as the disk does, and two ids may have the same hash. So
// when a hash is found, the id is compared with the one in the first order's event. If they differ,
// the order is executed, and its id is remembered by its text beside the first. After a restart
// such ids are known by their hash alone, as long as their events are not in memory. An order whose
// id cannot be told from another one is then refused: it is never executed twice, and never
// answered with the execution of the other order.
//
// A record never changes once it is written, so a checkpoint may read part of the queue outside the
// drainer. Forgotten records stay at the front of the queue until a checkpoint has forgotten them
// too. There are no more of them than events that are not checkpointed yet, since each was pushed
// out by the id of such an event.
type orderIDs struct {
	seen    map[uint64]int            // by hash of the id: its place in the queue, counted from the first id ever
	clashes map[positions.OrderID]int // by the id itself, if its hash was already that of another id
	texts   map[int]positions.OrderID // the keys of clashes, by place
	queue   []OrderIDRecord           // by sequence
	base    int                       // place of queue[0]
	first   int                       // place of the oldest remembered record
	// records before this place were forgotten when a checkpoint last copied the account
	offered int
}

// find returns the record of an id, or of another id with the same hash.
func (m *orderIDs) find(id *positions.OrderID, hash uint64) (OrderIDRecord, bool) {
	if len(m.clashes) > 0 {
		if place, ok := m.clashes[*id]; ok {
			return m.queue[place-m.base], true
		}
	}
	place, ok := m.seen[hash]
	if !ok {
		return OrderIDRecord{}, false
	}
	return m.queue[place-m.base], true
}

// remember adds the record of an executed id, by its hash, or, if clash is not nil, by that id
// itself, since another id has its hash. It forgets the oldest record if there would be more than
// limit.
func (m *orderIDs) remember(r OrderIDRecord, clash *positions.OrderID, limit int) {
	if m.seen == nil {
		m.seen = make(map[uint64]int)
	}
	end := m.base + len(m.queue)
	if end-m.first >= limit {
		m.forgetOldest()
	}
	if clash != nil {
		if m.clashes == nil {
			m.clashes, m.texts = make(map[positions.OrderID]int), make(map[int]positions.OrderID)
		}
		m.clashes[*clash], m.texts[end] = end, *clash
	} else {
		m.seen[r.ID] = end
	}
	m.queue = append(m.queue, r)
}

// forgetBefore forgets the ids of all events before seq.
func (m *orderIDs) forgetBefore(seq uint64) {
	for m.first < m.base+len(m.queue) && m.queue[m.first-m.base].Seq < seq {
		m.forgetOldest()
	}
}

func (m *orderIDs) forgetOldest() {
	id := m.queue[m.first-m.base].ID
	if place, ok := m.seen[id]; ok && place == m.first { // unless the hash was remembered again since
		delete(m.seen, id)
	}
	if text, clashed := m.texts[m.first]; clashed {
		delete(m.texts, m.first)
		delete(m.clashes, text) // a text is in clashes only once at a time
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

// idHash is the hash of a client order id. Like the content hash it is stored on disk.
func idHash(id *positions.OrderID) uint64 { return uint64(fnv1a.New.TextBytes(id.Bytes())) }

// contentHash is the hash of the fields in which two orders must agree to be the same: instrument,
// side, quantity and limit.
func contentHash(id market.ID, side positions.Side, quantity, limit int64, u *market.Universe) uint64 {
	in := u.At(id)
	h := fnv1a.New.Text(in.Market).Text(in.Code)
	return uint64(h.Number(uint64(side)).Number(uint64(quantity)).Number(uint64(limit)))
}

// orderIDRecord returns the record of an executed trade that has an order id.
func orderIDRecord(t *positions.Trade, seq uint64, u *market.Universe) OrderIDRecord {
	return OrderIDRecord{
		ID: idHash(&t.OrderID), Content: contentHash(t.Instrument, t.Side, t.Quantity, t.Limit, u), Seq: seq,
	}
}
