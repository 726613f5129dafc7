package engine

import (
	"sort"
	"unsafe"

	"github.com/papertape/papertape/positions"
)

const (
	tailEvents     = 4096 // events of an account that stay in memory
	chunkEventsMin = 4    // first chunk of an account
	chunkEventsMax = 64

	eventBytes = int64(unsafe.Sizeof(positions.Event{}))
)

// tail holds the newest events of one account. It belongs to the drainer of the account's shard.
//
// Events lie in chunks that are never moved, and an event in one is never written again: a pointer to it stays good, also
// outside the drainer, for as long as somebody holds it.
type tail struct {
	chunks []*chunk // by sequence
	oldest uint64   // oldest sequence held; 0: none
	head   uint64   // newest
	stored uint64   // newest that the journal's Read gives; what is newer is pinned
}

// chunk is a run of events of one account. It is either pinned, or a link of the shard's list of chunks by age.
type chunk struct {
	events     []positions.Event
	first      uint64 // sequence of events[0]
	owner      *account
	prev, next *chunk
	pinned     bool // the journal does not have all of it yet
}

func (c *chunk) bytes() int64 { return int64(cap(c.events)) * eventBytes }

// end is the sequence after the newest of the chunk.
func (c *chunk) end() uint64 { return c.first + uint64(len(c.events)) }

// place is the index of the chunk with sequence seq, which must be held.
func (t *tail) place(seq uint64) int {
	i := len(t.chunks) - 1
	if t.chunks[i].first > seq {
		i = sort.Search(i, func(i int) bool { return t.chunks[i].first > seq }) - 1
	}
	return i
}

// at returns the event with sequence seq, which must be held.
func (t *tail) at(seq uint64) *positions.Event {
	c := t.chunks[t.place(seq)]
	return &c.events[seq-c.first]
}

// has says whether the event with sequence seq is held.
func (t *tail) has(seq uint64) bool { return t.oldest != 0 && seq >= t.oldest && seq <= t.head }

// appendUnstored appends the events after t.stored to runs, as appendFrom does.
func (t *tail) appendUnstored(runs [][]positions.Event) [][]positions.Event {
	return t.appendFrom(runs, t.stored+1)
}

// appendFrom appends the events from a sequence on, which must be held, to runs, as they lie in the chunks: nothing is copied.
func (t *tail) appendFrom(runs [][]positions.Event, from uint64) [][]positions.Event {
	if from > t.head {
		return runs
	}
	for _, c := range t.chunks[t.place(from):] {
		n := len(c.events)
		runs = append(runs, c.events[max(from, c.first)-c.first:n:n])
	}
	return runs
}

// memory is the tails of one shard together.
//
// With a journal that keeps, events are pinned until a checkpoint has stored them: Read does not find them, so nothing may
// drop them. What they come to is bounded by Config.UncheckpointedBytesMax, where they are decided. All other events are a
// cache, which gives way, oldest chunks first: either the chunks are within bytesMax, or all of them are pinned.
//
// Pinned chunks alone can pass bytesMax. A chunk that is begun where they might is small, so that no more than
// bytesMax + chunkEventsMin × (pinned events) are ever held.
type memory struct {
	eventsMax int   // events kept of one account, where none of them is pinned
	bytesMax  int64 // over all accounts of the shard
	pins      bool  // the journal keeps. If not, an order id is forgotten with its event: nothing else has the event
	bytes     int64 // of all chunks
	pinned    int64 // of those that are pinned
	unstored  int64 // events that are pinned
	dropped   uint64
	root      chunk // root.next is the oldest chunk that is not pinned
	chunks    int   // in the list
}

func (m *memory) init(eventsMax int, bytesMax int64, pins bool) {
	m.eventsMax, m.bytesMax, m.pins = eventsMax, bytesMax, pins
	m.root.prev, m.root.next = &m.root, &m.root
}

// append adds the next event of a, and drops what no longer fits.
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

// grow begins the account's next chunk.
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

// store unpins the events up to seq: Read gives them from now on. It returns how many chunks that concerned.
func (m *memory) store(a *account, seq uint64) int {
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

// trim forgets events of a beyond eventsMax, oldest first, but none that is pinned.
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

// shrinkSpares is how many chunks are spared at a time: with many accounts that have only a few events each, all chunks are
// being filled, and looking for another one would look at all of them.
const shrinkSpares = 8

// shrink drops the oldest chunks until the rest fits, or is pinned. A chunk that an account is still filling may go to the
// young end instead, since its newest events are younger than its age. keep, the one that was just added to, goes last.
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

// drop forgets the oldest chunk of an account, which is not pinned.
func (m *memory) drop(c *chunk) {
	a := c.owner
	t := &a.tail
	m.unlink(c)
	m.bytes -= c.bytes()
	t.chunks[0] = nil
	t.chunks = t.chunks[1:]
	next := t.head + 1 // the oldest that is left
	if len(t.chunks) > 0 {
		next = max(t.oldest, t.chunks[0].first)
	}
	m.dropped += next - t.oldest
	if t.oldest = next; len(t.chunks) == 0 {
		t.chunks, t.oldest = nil, 0
	}
	m.forget(a)
}

// forget drops the order ids of events that are no longer held, where nothing else has them.
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
