package journal

import (
	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// orderIDOf computes anew, for Verify, what the engine remembers of an executed trade with an
// order id. The hashes are on the disk, so neither the engine's computation nor this one may
// ever change. A test verifies the engine's checkpoints with it.
func orderIDOf(seq uint64, t *positions.Trade, u *market.Universe) engine.OrderIDRecord {
	in := u.At(t.Instrument)
	content := fnvNew.text(in.Market).text(in.Code).
		number(uint64(t.Side)).number(uint64(t.Quantity)).number(uint64(t.Limit))
	return engine.OrderIDRecord{ID: uint64(fnvNew.text(t.OrderID.String())), Content: uint64(content), Seq: seq}
}

// fnv is the 64-bit FNV-1a hash of the bytes so far: http://www.isthe.com/chongo/tech/comp/fnv/
type fnv uint64

const (
	fnvNew   fnv = 14695981039346656037
	fnvPrime fnv = 1099511628211
)

func (h fnv) byte(c byte) fnv { return (h ^ fnv(c)) * fnvPrime }

// text adds a text and a zero byte.
func (h fnv) text(s string) fnv {
	for i := range len(s) {
		h = h.byte(s[i])
	}
	return h.byte(0)
}

// number adds 8 bytes, big-endian.
func (h fnv) number(v uint64) fnv {
	for shift := 56; shift >= 0; shift -= 8 {
		h = h.byte(byte(v >> shift))
	}
	return h
}
