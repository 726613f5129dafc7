package bars

import "math"

// period is the length of a bar.
type period uint8

const (
	minutes period = iota
	days
	periods
)

// series are the bars of one instrument and period. All but the last are in chunks.
type series struct {
	cur         row
	close       int64 // of the last row of tail
	first, tail int32 // chunks
	written     int32 // the greatest key that a file has
	open        bool  // there is a cur
}

func newSeries() series { return series{first: none, tail: none, written: math.MinInt32} }

// begin makes r the last bar. What was the last is finished.
func (s *Store) begin(n int32, r row) {
	if se := s.at(n); se.open {
		s.finish(n)
		s.note(n)
	}
	se := s.at(n)
	se.cur, se.open = r, true
}

// finish puts the last bar into a chunk.
func (s *Store) finish(n int32) {
	se := s.at(n)
	var before row
	if se.tail != none {
		h := s.chunks.head(se.tail)
		before.key, before.Close = h.last, se.close
		text := appendRow(s.scratch[:0], &before, &se.cur)
		if int(h.used)+len(text) <= chunkBytes {
			copy(s.chunks.bytes(se.tail)[h.used:], text)
			s.lengthen(se, h, len(text))
			return
		}
	}
	at := s.room()
	se.link(s, n, at)
	h := s.chunks.head(at)
	text := appendRow(s.scratch[:0], new(row), &se.cur)
	copy(s.chunks.bytes(at)[:], text)
	h.first = se.cur.key
	s.lengthen(se, h, len(text))
}

func (s *Store) lengthen(se *series, h *chunk, bytes int) {
	h.used += uint16(bytes) //nolint:gosec // at most chunkBytes
	h.count++
	h.last, se.close = se.cur.key, se.cur.Close
}

// link makes an empty chunk the last of a series.
func (se *series) link(s *Store, n, at int32) {
	h := s.chunks.head(at)
	*h = chunk{prev: se.tail, next: none, series: n}
	if se.tail != none {
		s.chunks.head(se.tail).next = at
	} else {
		se.first = at
	}
	se.tail = at
	s.chunks.begin(at, period(n%int32(periods))) //nolint:gosec // below periods
}

// room returns an empty chunk. If there is none, the oldest bars go.
func (s *Store) room() int32 {
	for {
		if at := s.chunks.take(); at != none {
			return at
		}
		s.drop(s.chunks.victim())
	}
}

// drop takes a chunk out of its series.
func (s *Store) drop(at int32) {
	h := s.chunks.head(at)
	se := s.at(h.series)
	if h.prev != none {
		s.chunks.head(h.prev).next = h.next
	} else {
		se.first = h.next
	}
	if h.next != none {
		s.chunks.head(h.next).prev = h.prev
	} else {
		se.tail = h.prev
	}
	s.chunks.give(at, period(h.series%int32(periods))) //nolint:gosec // below periods
}

// cut forgets the bars from key on.
func (s *Store) cut(n, key int32) {
	se := s.at(n)
	se.written = min(se.written, key-1)
	if se.open && se.cur.key < key {
		return
	}
	se.open = false
	for se.tail != none && s.chunks.head(se.tail).first >= key {
		s.drop(se.tail)
	}
	if se.tail == none {
		return
	}
	h := s.chunks.head(se.tail)
	in := reader{rest: s.chunks.bytes(se.tail)[:h.used]}
	var last row
	var count, used uint16
	for range h.count {
		next := in.row(&last)
		if next.key >= key {
			break
		}
		last = next
		count, used = count+1, h.used-uint16(len(in.rest)) //nolint:gosec // at most chunkBytes
	}
	h.count, h.used, h.last, se.close = count, used, last.key, last.Close
}

// lastRow returns the last bar.
func (s *Store) lastRow(n int32) (row, bool) {
	se := s.at(n)
	if se.open || se.tail == none {
		return se.cur, se.open
	}
	var last row
	s.rows(se.tail, func(r *row) bool { last = *r; return true })
	return last, true
}

// rows calls see for each row of a chunk until it returns false. It reports whether it never did.
func (s *Store) rows(at int32, see func(*row) bool) bool {
	h := s.chunks.head(at)
	in := reader{rest: s.chunks.bytes(at)[:h.used]}
	var r row
	for range h.count {
		if r = in.row(&r); !see(&r) {
			return false
		}
	}
	return true
}

// from returns the first chunk that has a key of at least so much, or none.
func (s *Store) from(n, key int32) int32 {
	at := s.at(n).first
	for at != none && s.chunks.head(at).last < key {
		at = s.chunks.head(at).next
	}
	return at
}

// each calls see for each bar of a chunk and what follows, in order, until it returns false. The last bar
// may be under way.
func (s *Store) each(n, at int32, see func(*row) bool) {
	for ; at != none; at = s.chunks.head(at).next {
		if !s.rows(at, see) {
			return
		}
	}
	if se := s.at(n); se.open {
		see(&se.cur)
	}
}
