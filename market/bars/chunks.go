package bars

// Bars that are finished are kept in chunks, each of one instrument and period. A chunk never grows, so
// memory has a bound, and nothing is allocated once it is reached.
const (
	chunkBytes = 512 // some 25 to 40 bars
	slabChunks = 256 // that are allocated at a time; a slab is 17 pages of 8 KiB
	slabBytes  = slabChunks * (chunkBytes + headBytes)
	headBytes  = 32
)

// none is no chunk.
const none int32 = -1

// chunk is what is known of the bars in a chunk.
type chunk struct {
	prev, next   int32 // of the same series, by time
	older, newer int32 // of the same period, in the order in which they were begun
	series       int32
	first, last  int32 // keys
	count, used  uint16
}

type slab struct {
	heads [slabChunks]chunk
	bytes [slabChunks][chunkBytes]byte
}

// chunks are all chunks.
type chunks struct {
	slabs []*slab
	most  int   // slabs
	free  int32 // a list by next
	spare int32 // chunks of the newest slab that were never used
	kinds [periods]ages
}

// ages are the chunks of a period, from the one that was begun first.
type ages struct {
	oldest, newest int32
	count          int
}

func newChunks(slabs int) chunks {
	c := chunks{most: slabs, slabs: make([]*slab, 0, slabs), free: none}
	for p := range c.kinds {
		c.kinds[p] = ages{oldest: none, newest: none}
	}
	return c
}

func (c *chunks) head(n int32) *chunk { return &c.slabs[n/slabChunks].heads[n%slabChunks] }

func (c *chunks) bytes(n int32) *[chunkBytes]byte { return &c.slabs[n/slabChunks].bytes[n%slabChunks] }

// take returns a chunk that is not in use, or none if there is no room for another.
func (c *chunks) take() int32 {
	if n := c.free; n != none {
		c.free = c.head(n).next
		return n
	}
	if c.spare == 0 {
		if len(c.slabs) == c.most {
			return none
		}
		c.slabs, c.spare = append(c.slabs, new(slab)), slabChunks
	}
	c.spare--
	return int32(len(c.slabs)*slabChunks) - 1 - c.spare //nolint:gosec // bounded by most
}

// begin makes a chunk the newest of its period.
func (c *chunks) begin(n int32, p period) {
	a := &c.kinds[p]
	c.head(n).older, c.head(n).newer = a.newest, none
	if a.newest != none {
		c.head(a.newest).newer = n
	} else {
		a.oldest = n
	}
	a.newest = n
	a.count++
}

// give takes a chunk that is in use back.
func (c *chunks) give(n int32, p period) {
	a, h := &c.kinds[p], c.head(n)
	if h.older != none {
		c.head(h.older).newer = h.newer
	} else {
		a.oldest = h.newer
	}
	if h.newer != none {
		c.head(h.newer).older = h.older
	} else {
		a.newest = h.older
	}
	a.count--
	h.next, c.free = c.free, n
}

// victim returns the chunk to do without: the oldest of minutes, unless days have more than half.
func (c *chunks) victim() int32 {
	if m, d := &c.kinds[minutes], &c.kinds[days]; m.count > d.count {
		return m.oldest
	}
	return c.kinds[days].oldest
}
