package record

import (
	"crypto/rand"
	"encoding/binary"

	"github.com/dchest/siphash"

	"github.com/papertape/papertape/fnv1a"
	"github.com/papertape/papertape/positions"
)

// IDKey is the secret with which a ledger hashes client order ids. Without it nobody can look for
// two ids with the same hash.
type IDKey [16]byte

// NewIDKey returns a random key.
func NewIDKey() IDKey {
	var k IDKey
	_, _ = rand.Read(k[:]) // never fails
	return k
}

// IDHash is what is remembered of a client order id. A hash of format 1 has 64 bits and no key, and
// its High is 0; two ids may have the same one.
type IDHash struct{ High, Low uint64 }

// Keyed reports whether h has 128 bits: equal hashes are those of equal ids.
func (h IDHash) Keyed() bool { return h.High != 0 }

// Hash returns the hash of an id: SipHash-2-4 with 128 bits. High is never 0.
func (k *IDKey) Hash(id *positions.OrderID) IDHash {
	low, high := siphash.Hash128(binary.LittleEndian.Uint64(k[:8]), binary.LittleEndian.Uint64(k[8:]), id.Bytes())
	return IDHash{High: max(high, 1), Low: low}
}

// UnkeyedHash returns the hash of an id as format 1 has it: FNV-1a, 64 bits.
func UnkeyedHash(id *positions.OrderID) IDHash {
	return IDHash{Low: uint64(fnv1a.New.TextBytes(id.Bytes()))}
}
