package engine

import (
	"sort"

	"github.com/papertape/papertape/fnv1a"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// orderIDsMax is how many client order ids of an account are remembered.
const orderIDsMax = 4096

// orderIDs is what an account remembers of its executed client order ids, so that repeating one executes nothing. It keeps
// hashes, as the disk does, and two ids may have the same one. So a hash that was found is held against the first order's event,
// which has the id itself: an id that turns out to be another is executed, and remembered by its text beside the first. After
// a start such ids are known by their hash alone, as long as their events are not in memory: an order whose id cannot be told
// from another one's is then refused, never executed twice, and never answered with the other one's execution.
//
// Records are written once and never again, so a checkpoint may read a part of the queue outside the drainer. Those that are
// forgotten stay at its front until a checkpoint has forgotten them too. They are no more than the events that are not
// checkpointed yet, since each makes room for the id of one.
type orderIDs struct {
	seen    map[uint64]int            // by hash of the id: place in the queue, counted from the first id ever
	clashes map[positions.OrderID]int // likewise, by the id itself where its hash was that of another one when it came
	texts   map[int]positions.OrderID // the keys of clashes, by place
	queue   []OrderIDRecord           // by sequence
	base    int                       // place of queue[0]
	first   int                       // place of the oldest that is remembered
	offered int                       // those before this place were forgotten when the account was last copied for a checkpoint
}

// find returns the record of an id, or of another one with the same hash.
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

// remember notes an executed id by its hash, or, if clash is not nil, by that text, since its hash is another one's. The oldest
// is forgotten when there would be more than most.
func (m *orderIDs) remember(r OrderIDRecord, clash *positions.OrderID, most int) {
	if m.seen == nil {
		m.seen = make(map[uint64]int)
	}
	end := m.base + len(m.queue)
	if end-m.first >= most {
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
	if place, ok := m.seen[id]; ok && place == m.first { // not remembered anew since
		delete(m.seen, id)
	}
	if text, clashed := m.texts[m.first]; clashed {
		delete(m.texts, m.first)
		delete(m.clashes, text) // which nobody can have used again meanwhile
	}
	m.first++
}

// cut lets go of the records before a place. They must be forgotten.
func (m *orderIDs) cut(place int) {
	m.queue = m.queue[place-m.base:]
	m.base = place
}

// offer says what a checkpoint has to do that brings a store from event stored to the newest: store ids, and forget those it
// was ever given. given is the newest event whose ids it may have been given. Nothing is copied.
func (m *orderIDs) offer(stored, given uint64) (ids, forgotten []OrderIDRecord) {
	m.offered = m.first
	old, kept := m.queue[:m.first-m.base], m.queue[m.first-m.base:]
	n := sort.Search(len(old), func(i int) bool { return old[i].Seq > given })
	from := sort.Search(len(kept), func(i int) bool { return kept[i].Seq > stored })
	return kept[from:len(kept):len(kept)], old[:n:n]
}

// sameContent says whether an order asks for what a trade executed.
func sameContent(t *positions.Trade, o *positions.Order) bool {
	return t.Instrument == o.Instrument && t.Side == o.Side && t.Limit == o.Limit && t.Quantity == o.Quantity
}

// idHash is that of a client order id. It goes to disk, as that of the content does.
func idHash(id *positions.OrderID) uint64 { return uint64(fnv1a.New.TextBytes(id.Bytes())) }

// contentHash is over what makes two orders the same: instrument, side, quantity and limit.
func contentHash(id market.ID, side positions.Side, quantity, limit int64, u *market.Universe) uint64 {
	in := u.At(id)
	h := fnv1a.New.Text(in.Market).Text(in.Code)
	return uint64(h.Number(uint64(side)).Number(uint64(quantity)).Number(uint64(limit)))
}

// orderIDRecord is what is remembered of an executed trade that has an id.
func orderIDRecord(t *positions.Trade, seq uint64, u *market.Universe) OrderIDRecord {
	return OrderIDRecord{
		ID: idHash(&t.OrderID), Content: contentHash(t.Instrument, t.Side, t.Quantity, t.Limit, u), Seq: seq,
	}
}
