package engine

import "github.com/papertape/papertape/record"

// idTable finds the place of an id in a queue by the hash of the id. It is a hash table with linear
// probing that holds places only, 4 bytes each, and is at most three quarters full. Two entries may
// have the same hash.
type idTable struct {
	slots []uint32 // a place plus 1, or 0 if unused; the length is a power of two
	used  int
}

const idSlotsMin = 8

// start returns the slot at which a search for a hash begins. The search goes on with the next slot.
func (t *idTable) start(hash record.IDHash) int { return int(hash.Low & (1<<32 - 1)) }

// at returns the place in slot i, modulo the number of slots.
func (t *idTable) at(i int) (place uint32, used bool) {
	if len(t.slots) == 0 {
		return 0, false
	}
	v := t.slots[i&(len(t.slots)-1)]
	return v - 1, v != 0
}

// full reports whether resize must be called before add.
func (t *idTable) full() bool { return 4*(t.used+1) > 3*len(t.slots) }

// resize makes room for at least as many entries again. The table is empty afterwards.
func (t *idTable) resize() {
	t.slots, t.used = make([]uint32, max(idSlotsMin, 2*len(t.slots))), 0
}

func (t *idTable) add(hash record.IDHash, place uint32) {
	i := t.start(hash)
	for used := true; used; i++ {
		_, used = t.at(i)
	}
	t.slots[(i-1)&(len(t.slots)-1)] = place + 1
	t.used++
}

// remove removes the entry of a place. hashAt returns the hash of another one. The entries behind
// it move up, so that no search ends too early.
func (t *idTable) remove(hash record.IDHash, place uint32, hashAt func(place uint32) record.IDHash) {
	mask := len(t.slots) - 1
	hole := t.start(hash) & mask
	for t.slots[hole] != place+1 {
		hole = (hole + 1) & mask
	}
	for next := (hole + 1) & mask; t.slots[next] != 0; next = (next + 1) & mask {
		home := t.start(hashAt(t.slots[next]-1)) & mask
		if (next-home)&mask >= (next-hole)&mask { // its search passes the hole
			t.slots[hole] = t.slots[next]
			hole = next
		}
	}
	t.slots[hole] = 0
	t.used--
}
