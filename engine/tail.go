package engine

import (
	"sort"
	"unsafe"

	"github.com/papertape/papertape/positions"
)

const (
	tailEvents     = 4096 // events of an account that stay in memory
	chunkEventsMin = 4    // size of an account's first chunk
	chunkEventsMax = 64

	eventBytes = int64(unsafe.Sizeof(positions.Event{}))
)

// tail holds the newest events of one account. The drainer of the account's shard owns it.
//
// Events lie in chunks that never move, and an event in a chunk never changes. So a pointer to it
// stays valid, also outside the drainer, for as long as it is held.
type tail struct {
	chunks []*chunk // by sequence
	oldest uint64   // oldest sequence in memory; 0: none
	head   uint64   // newest
	stored uint64   // newest sequence that the journal's Read returns; newer events are pinned
}

// chunk is a run of events of one account. It is either pinned or linked into the shard's list of
// chunks by age.
type chunk struct {
	events     []positions.Event
	first      uint64 // sequence of events[0]
	owner      *account
	prev, next *chunk
	pinned     bool // the journal's Read does not return all of it yet
}

func (c *chunk) bytes() int64 { return int64(cap(c.events)) * eventBytes }

// end returns the sequence after the chunk's newest event.
func (c *chunk) end() uint64 { return c.first + uint64(len(c.events)) }

// chunkIndex returns the index of the chunk that has sequence seq, which must be in memory.
func (t *tail) chunkIndex(seq uint64) int {
	i := len(t.chunks) - 1
	if t.chunks[i].first > seq {
		i = sort.Search(i, func(i int) bool { return t.chunks[i].first > seq }) - 1
	}
	return i
}

// at returns the event with sequence seq, which must be in memory.
func (t *tail) at(seq uint64) *positions.Event {
	c := t.chunks[t.chunkIndex(seq)]
	return &c.events[seq-c.first]
}

// has reports whether the event with sequence seq is in memory.
func (t *tail) has(seq uint64) bool { return t.oldest != 0 && seq >= t.oldest && seq <= t.head }

// appendUnstored appends the events after t.stored to runs, as appendFrom does.
func (t *tail) appendUnstored(runs [][]positions.Event) [][]positions.Event {
	return t.appendFrom(runs, t.stored+1)
}

// appendFrom appends the events from sequence from on, which must be in memory, to runs, as they
// lie in the chunks. No event is copied.
func (t *tail) appendFrom(runs [][]positions.Event, from uint64) [][]positions.Event {
	if from > t.head {
		return runs
	}
	for _, c := range t.chunks[t.chunkIndex(from):] {
		n := len(c.events)
		runs = append(runs, c.events[max(from, c.first)-c.first:n:n])
	}
	return runs
}

// memory holds the tails of all accounts of a shard.
//
// With a journal that keeps events, an event is pinned until a checkpoint has stored it: Read does
// not return it before, so it must not be dropped. Config.UncheckpointedBytesMax bounds the pinned
// events; the decision of orders enforces it. All other events are a cache, whose oldest chunks are
// dropped first: either the chunks fit into bytesMax, or all of them are pinned.
//
// Pinned chunks alone may exceed bytesMax. A new chunk that might exceed it is small, so that
// memory never holds more than bytesMax + chunkEventsMin × (pinned events).
type memory struct {
	eventsMax int   // events kept per account, unless more are pinned
	bytesMax  int64 // for all accounts of the shard
	pins      bool  // the journal keeps events. If not, an order id is forgotten together with its event
	bytes     int64 // of all chunks
	pinned    int64 // of the pinned chunks
	unstored  int64 // number of pinned events
	dropped   uint64
	root      chunk // root.next is the oldest chunk that is not pinned
	chunks    int   // in the list
}

func (m *memory) init(eventsMax int, bytesMax int64, pins bool) {
	m.eventsMax, m.bytesMax, m.pins = eventsMax, bytesMax, pins
	m.root.prev, m.root.next = &m.root, &m.root
}

// append adds the next event of a, and drops events that no longer fit.
func (m *memory) append(a *account, ev *positions.Event) {
	t := &a.tail
	n := len(t.chunks)
	if n == 0 || len(t.chunks[n-1].events) == cap(t.chunks[n-1].events) {
		m.grow(a, ev.Seq)
		n++
	}
	c := t.chunks[n-1]
	if m.pins {
		m.unstored++
		if !c.pinned {
			m.unlink(c)
			m.pin(c)
		}
	}
	c.events = append(c.events, *ev)
	t.head = ev.Seq
	if t.oldest == 0 {
		t.oldest = ev.Seq
	}
	m.trim(a)
	if m.bytes > m.bytesMax {
		m.shrink(c)
	}
}

// grow starts the account's next chunk.
func (m *memory) grow(a *account, first uint64) {
	t, size := &a.tail, chunkEventsMin
	if n := len(t.chunks); n > 0 {
		size = min(2*cap(t.chunks[n-1].events), chunkEventsMax)
	}
	if m.pins && m.pinned+int64(size)*eventBytes > m.bytesMax {
		size = chunkEventsMin
	}
	c := &chunk{events: make([]positions.Event, 0, size), first: first, owner: a}
	t.chunks = append(t.chunks, c)
	m.bytes += c.bytes()
	if m.pins {
		m.pin(c)
	} else {
		m.link(c)
	}
}

func (m *memory) pin(c *chunk) {
	c.pinned = true
	m.pinned += c.bytes()
}

// markStored unpins the events up to seq: from now on Read returns them. It returns how many chunks
// it unpinned.
func (m *memory) markStored(a *account, seq uint64) int {
	t := &a.tail
	m.unstored -= int64(seq - t.stored)
	t.stored = seq
	first := len(t.chunks)
	for first > 0 && t.chunks[first-1].pinned {
		first--
	}
	n := 0
	for _, c := range t.chunks[first:] {
		if c.end() > seq+1 {
			break
		}
		c.pinned = false
		m.pinned -= c.bytes()
		m.link(c)
		n++
	}
	m.trim(a)
	if m.bytes > m.bytesMax {
		m.shrink(nil)
	}
	return n
}

// trim drops the oldest events of a beyond eventsMax, except pinned ones.
func (m *memory) trim(a *account) {
	t := &a.tail
	if t.oldest == 0 || t.head-t.oldest < uint64(m.eventsMax) {
		return
	}
	oldest := t.head - uint64(m.eventsMax) + 1
	if m.pins {
		oldest = min(oldest, t.stored+1)
	}
	if oldest <= t.oldest {
		return
	}
	m.dropped += oldest - t.oldest
	t.oldest = oldest
	m.forget(a)
	for t.chunks[0].end() <= t.oldest {
		m.drop(t.chunks[0])
	}
}

// shrinkSpares is how many chunks a call of shrink may spare. With many accounts of a few events
// each, every chunk is still being filled, and the search for one that is not would visit all of
// them.
const shrinkSpares = 8

// shrink drops the oldest chunks until the rest fits or is pinned. A chunk that its account is
// still filling may be moved to the young end of the list instead, since its newest events are
// younger than the chunk. keep, the chunk that was just appended to, is dropped last.
func (m *memory) shrink(keep *chunk) {
	for spares := shrinkSpares; m.bytes > m.bytesMax && m.chunks > 0; {
		c := m.root.next
		filling := c == c.owner.tail.chunks[len(c.owner.tail.chunks)-1]
		if filling && m.chunks > 1 && (spares > 0 || c == keep) {
			spares--
			m.unlink(c)
			m.link(c)
			continue
		}
		m.drop(c)
	}
}

// drop drops the oldest chunk of an account, which is not pinned.
func (m *memory) drop(c *chunk) {
	a := c.owner
	t := &a.tail
	m.unlink(c)
	m.bytes -= c.bytes()
	t.chunks[0] = nil
	t.chunks = t.chunks[1:]
	next := t.head + 1 // the oldest event that is left
	if len(t.chunks) > 0 {
		next = max(t.oldest, t.chunks[0].first)
	}
	m.dropped += next - t.oldest
	if t.oldest = next; len(t.chunks) == 0 {
		t.chunks, t.oldest = nil, 0
	}
	m.forget(a)
}

// forget drops the order ids of events that are no longer in memory, if the journal does not keep
// them.
func (m *memory) forget(a *account) {
	if m.pins || a.ids == nil {
		return
	}
	oldest := a.tail.oldest
	if oldest == 0 {
		oldest = a.tail.head + 1
	}
	a.ids.forgetBefore(oldest)
	a.ids.cut(a.ids.first)
}

func (m *memory) link(c *chunk) {
	last := m.root.prev
	c.prev, c.next = last, &m.root
	last.next, m.root.prev = c, c
	m.chunks++
}

func (m *memory) unlink(c *chunk) {
	c.prev.next, c.next.prev = c.next, c.prev
	c.prev, c.next = nil, nil
	m.chunks--
}
