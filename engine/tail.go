package engine

import (
	"sort"
	"unsafe"

	"github.com/papertape/papertape/record"
)

const tailEvents = 4096 // events of an account that stay in memory

// chunkSizes are the sizes through which an account's chunk grows before it gets a block. They are
// size classes of Go's allocator, so that nothing is wasted.
var chunkSizes = [...]int{192, 256, 320, 416, 512, 640, 768, 1024, 1280, 1536, 2048, 2688, 3456}

const (
	chunkBytesMin = 192 // chunkSizes[0]
	// chunkOverhead is what a chunk takes beside its records: itself, and a pointer in its tail.
	chunkOverhead = int64(unsafe.Sizeof(chunk{}) + unsafe.Sizeof((*chunk)(nil)))
)

// tail holds the newest events of one account, as records. The drainer of the account's shard owns
// it.
type tail struct {
	chunks []*chunk // by sequence
	oldest uint64   // oldest sequence in memory; 0: none
	head   uint64   // newest
	stored uint64   // newest sequence that the journal's Read returns; newer events are pinned
	// unstored is the size of the records after stored.
	unstored int64
}

// chunk is a run of events of one account. It is either pinned or linked into the shard's list of
// chunks by age.
//
// A small chunk is in Go's heap, and is moved when it grows. The bytes that it had stay as they are
// for whoever reads them. The records of a full-sized chunk are in a block, which is used again when
// the chunk is dropped. So outside the drainer only the records of pinned chunks may be read.
type chunk struct {
	records    []byte // one behind the other
	first      uint64 // sequence of the first record
	owner      *account
	prev, next *chunk
	count      uint32
	block      bool // records are in a block
	pinned     bool // the journal's Read does not return all of it yet
}

// bytes is what the chunk takes, all in all.
func (c *chunk) bytes() int64 { return int64(cap(c.records)) + chunkOverhead }

// end returns the sequence after the chunk's newest event.
func (c *chunk) end() uint64 { return c.first + uint64(c.count) }

// from returns the records from sequence seq on, which must not be before the chunk's first.
func (c *chunk) from(seq uint64) []byte {
	rest := c.records
	for n := seq - c.first; n > 0; n-- {
		rest = rest[record.Size(rest):]
	}
	return rest[:len(rest):len(rest)]
}

// chunkIndex returns the index of the chunk that has sequence seq, which must be in memory.
func (t *tail) chunkIndex(seq uint64) int {
	i := len(t.chunks) - 1
	if t.chunks[i].first > seq {
		i = sort.Search(i, func(i int) bool { return t.chunks[i].first > seq }) - 1
	}
	return i
}

// has reports whether the event with sequence seq is in memory.
func (t *tail) has(seq uint64) bool { return t.oldest != 0 && seq >= t.oldest && seq <= t.head }

// at returns the record of the event with sequence seq, which must be in memory.
func (t *tail) at(seq uint64) []byte {
	rest := t.chunks[t.chunkIndex(seq)].from(seq)
	return rest[:record.Size(rest)]
}

// appendUnstored appends the records after t.stored to runs, as they lie in the chunks: all of these
// are pinned. No record is copied.
func (t *tail) appendUnstored(runs [][]byte) [][]byte {
	if t.stored == t.head {
		return runs
	}
	from := t.stored + 1
	for _, c := range t.chunks[t.chunkIndex(from):] {
		runs = append(runs, c.from(max(from, c.first)))
	}
	return runs
}

// copyFrom appends to dst the records from sequence from on, which must be in memory, up to about
// limit bytes. It returns the sequence after the last one.
func (t *tail) copyFrom(dst []byte, from uint64, limit int) ([]byte, uint64) {
	for i := t.chunkIndex(from); i < len(t.chunks) && len(dst) < limit; i++ {
		c := t.chunks[i]
		dst = append(dst, c.from(from)...)
		from = c.end()
	}
	return dst, from
}

// tailReader reads the records of a tail one after the other. It is valid until the tail changes.
type tailReader struct {
	t     *tail
	chunk int
	rest  []byte
}

// reader returns a reader that begins at sequence from, which must be in memory.
func (t *tail) reader(from uint64) tailReader {
	i := t.chunkIndex(from)
	return tailReader{t: t, chunk: i, rest: t.chunks[i].from(from)}
}

// next returns the next record. There must be one.
func (r *tailReader) next() []byte {
	if len(r.rest) == 0 {
		r.chunk++
		r.rest = r.t.chunks[r.chunk].records
	}
	n := record.Size(r.rest)
	rec := r.rest[:n:n]
	r.rest = r.rest[n:]
	return rec
}

// memory holds the tails of all accounts of a shard.
//
// With a journal that keeps events, an event is pinned until a checkpoint has stored it: Read does
// not return it before, so it must not be dropped. Config.UncheckpointedBytesMax bounds the pinned
// events; the decision of orders enforces it. All other events are a cache, whose oldest chunks are
// dropped first: either the chunks fit into bytesMax, or all of them are pinned.
//
// Pinned chunks alone may exceed bytesMax. A new chunk that might exceed it is small.
type memory struct {
	eventsMax int   // events kept per account, unless more are pinned
	bytesMax  int64 // for all accounts of the shard
	pins      bool  // the journal keeps events. If not, an order id is forgotten together with its event
	bytes     int64 // of all chunks
	pinned    int64 // of the pinned chunks
	unstored  int64 // size of the records that no checkpoint has stored
	events    int64 // in memory
	dropped   uint64
	root      chunk // root.next is the oldest chunk that is not pinned
	chunks    int   // in the list
	blocks    *blocks
}

func (m *memory) init(eventsMax int, bytesMax int64, pins bool, b *blocks) {
	m.eventsMax, m.bytesMax, m.pins, m.blocks = eventsMax, bytesMax, pins, b
	m.root.prev, m.root.next = &m.root, &m.root
}

// append adds the record of the next event of a, and drops events that no longer fit.
func (m *memory) append(a *account, seq uint64, rec []byte) {
	t := &a.tail
	c := m.room(a, seq, len(rec))
	if m.pins {
		m.unstored += int64(len(rec))
		t.unstored += int64(len(rec))
		if !c.pinned {
			m.unlink(c)
			m.pin(c)
		}
	}
	c.records = append(c.records, rec...)
	c.count++
	m.events++
	t.head = seq
	if t.oldest == 0 {
		t.oldest = seq
	}
	m.trim(a)
	if m.bytes > m.bytesMax {
		m.shrink(c)
	}
}

// room returns the account's newest chunk, with room for a record of n bytes. If there is none, the
// chunk grows, or another one begins with event seq.
func (m *memory) room(a *account, seq uint64, n int) *chunk {
	t := &a.tail
	size := chunkBytesMin
	if last := len(t.chunks) - 1; last >= 0 {
		c := t.chunks[last]
		if cap(c.records)-len(c.records) >= n {
			return c
		}
		if larger := sizeFor(len(c.records) + n); !c.block && larger <= blockBytes && m.fits(larger) {
			m.grow(c, larger)
			return c
		}
		size = blockBytes // the account is one of the large ones
	}
	if !m.fits(size) {
		size = chunkBytesMin
	}
	c := &chunk{first: seq, owner: a}
	m.give(c, max(size, n))
	t.chunks = append(t.chunks, c)
	m.bytes += c.bytes()
	if m.pins {
		m.pin(c)
	} else {
		m.link(c)
	}
	return c
}

// fits reports whether a chunk of this size may be pinned without exceeding the bound.
func (m *memory) fits(size int) bool { return !m.pins || m.pinned+int64(size) <= m.bytesMax }

// sizeFor returns the size of a chunk for n bytes, or more than blockBytes if there is none.
func sizeFor(n int) int {
	if i := sort.SearchInts(chunkSizes[:], n); i < len(chunkSizes) {
		return chunkSizes[i]
	}
	return max(n, blockBytes)
}

// grow moves the records of a small chunk to where there is more room.
func (m *memory) grow(c *chunk, size int) {
	before, records := c.bytes(), c.records
	m.give(c, size)
	c.records = append(c.records, records...)
	grown := c.bytes() - before
	m.bytes += grown
	if c.pinned {
		m.pinned += grown
	}
}

// give gives a chunk room for size bytes: a block, or memory of Go's heap if the size is another.
func (m *memory) give(c *chunk, size int) {
	if c.block = size == blockBytes; c.block {
		c.records = m.blocks.take()[:0]
	} else {
		c.records = make([]byte, 0, size)
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
	unstored := t.unstored
	t.stored, t.unstored = seq, 0
	first := len(t.chunks)
	for first > 0 && t.chunks[first-1].pinned {
		first--
		if c := t.chunks[first]; seq < c.end() {
			t.unstored += int64(len(c.from(max(seq+1, c.first))))
		}
	}
	m.unstored += t.unstored - unstored
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
	m.countDropped(oldest - t.oldest)
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
	if c.block {
		m.blocks.give((*block)(c.records[:blockBytes]))
	}
	c.records = nil
	t.chunks[0] = nil
	t.chunks = t.chunks[1:]
	next := t.head + 1 // the oldest event that is left
	if len(t.chunks) > 0 {
		next = max(t.oldest, t.chunks[0].first)
	}
	m.countDropped(next - t.oldest)
	if t.oldest = next; len(t.chunks) == 0 {
		t.chunks, t.oldest = nil, 0
	}
	m.forget(a)
}

func (m *memory) countDropped(n uint64) {
	m.dropped += n
	m.events -= int64(n)
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
