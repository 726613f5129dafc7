// Package fnv1a is the hash FNV-1a of 64 bits: http://www.isthe.com/chongo/tech/comp/fnv/
//
// It is the same in every process and version, and may never change: its values are on the wire (the state hash) and
// on the disk (order ids, the chain of blocks). hash/fnv computes the same hash, but through an interface and a slice
// of bytes. This one is a plain number, for what is hashed once per order or event.
package fnv1a

// Hash is the hash of the bytes so far.
type Hash uint64

// New is the hash of no bytes.
const New Hash = 14695981039346656037

const prime = 1099511628211

// Byte adds one byte.
func (h Hash) Byte(b byte) Hash { return (h ^ Hash(b)) * prime }

// Number adds 8 bytes, big-endian.
func (h Hash) Number(v uint64) Hash {
	for shift := 56; shift >= 0; shift -= 8 {
		h = h.Byte(byte(v >> shift))
	}
	return h
}

// Text adds a text and a zero byte, so that two texts cannot run into one another.
func (h Hash) Text(s string) Hash {
	for i := range len(s) {
		h = h.Byte(s[i])
	}
	return h.Byte(0)
}

// TextBytes is Text of bytes.
func (h Hash) TextBytes(s []byte) Hash {
	for _, b := range s {
		h = h.Byte(b)
	}
	return h.Byte(0)
}
