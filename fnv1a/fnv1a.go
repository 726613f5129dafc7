// Package fnv1a implements the 64-bit hash FNV-1a: http://www.isthe.com/chongo/tech/comp/fnv/
//
// It is the same in every process and version, and may never change: its values are on the wire
// (the state hash) and on disk (order ids, the chain of blocks). hash/fnv computes the same hash,
// but through an interface and a byte slice. This one is a plain number, for data that is hashed
// once per order or event.
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

// Text adds a string and a zero byte, which keeps adjacent strings apart: "a", "bc" and "ab", "c"
// have different hashes.
func (h Hash) Text(s string) Hash {
	for i := range len(s) {
		h = h.Byte(s[i])
	}
	return h.Byte(0)
}

// TextBytes is Text for a byte slice.
func (h Hash) TextBytes(s []byte) Hash {
	for _, b := range s {
		h = h.Byte(b)
	}
	return h.Byte(0)
}
