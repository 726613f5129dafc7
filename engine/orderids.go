package engine

import (
	"sort"

	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// orderIDsMax is how many client order ids of an account are remembered.
const orderIDsMax = 4096

// orderIDs is what an account remembers of its executed client order ids, so that repeating one executes nothing. It keeps
// hashes, not texts: two ids of one account that collide in 64 bits are taken for one, and the second order is not
// executed. With 4,096 ids remembered that happens by chance once in 10^12 accounts, and to nobody but its own account.
//
// Records are written once and never again, so a checkpoint may read a part of the queue outside the drainer. Those that are
// forgotten stay at its front until a checkpoint has forgotten them too. They are no more than the events that are not
// checkpointed yet, since each makes room for the id of one.
type orderIDs struct {
	seen    map[uint64]int  // by hash of the id: place in the queue, counted from the first id ever
	queue   []OrderIDRecord // by sequence
	base    int             // place of queue[0]
	first   int             // place of the oldest that is remembered
	offered int             // those before this place were forgotten when the account was last copied for a checkpoint
}

func (m *orderIDs) find(id uint64) (OrderIDRecord, bool) {
	place, ok := m.seen[id]
	if !ok {
		return OrderIDRecord{}, false
	}
	return m.queue[place-m.base], true
}

// remember notes an executed id. The oldest is forgotten when there would be more than most.
func (m *orderIDs) remember(r OrderIDRecord, most int) {
	if m.seen == nil {
		m.seen = make(map[uint64]int)
	}
	end := m.base + len(m.queue)
	if end-m.first >= most {
		m.forgetOldest()
	}
	m.seen[r.ID] = end
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
	if m.seen[id] == m.first { // not remembered anew since
		delete(m.seen, id)
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

// FNV-1a, 64 bits: stable over processes and versions, so that it may go to disk.
const (
	fnvOffset uint64 = 14695981039346656037
	fnvPrime  uint64 = 1099511628211
)

func hashBytes[T string | []byte](h uint64, b T) uint64 {
	for i := range len(b) {
		h = (h ^ uint64(b[i])) * fnvPrime
	}
	return h * fnvPrime // as if a zero byte followed, so that fields cannot run into one another
}

func hashNumber(h, v uint64) uint64 {
	for shift := 56; shift >= 0; shift -= 8 {
		h = (h ^ (v >> shift & 0xff)) * fnvPrime
	}
	return h
}

// contentHash is over what makes two orders the same: instrument, side, quantity and limit.
func contentHash(id market.ID, side positions.Side, quantity, limit int64, u *market.Universe) uint64 {
	in := u.At(id)
	h := hashBytes(hashBytes(fnvOffset, in.Market), in.Code)
	return hashNumber(hashNumber(hashNumber(h, uint64(side)), uint64(quantity)), uint64(limit))
}

// orderIDRecord is what is remembered of an executed trade that has an id.
func orderIDRecord(t *positions.Trade, seq uint64, u *market.Universe) OrderIDRecord {
	return OrderIDRecord{
		ID: hashBytes(fnvOffset, t.OrderID.Bytes()), Content: contentHash(t.Instrument, t.Side, t.Quantity, t.Limit, u), Seq: seq,
	}
}
