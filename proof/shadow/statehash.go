package shadow

// FNV-1a, 64 bits: http://www.isthe.com/chongo/tech/comp/fnv/
const (
	fnvOffset = 0xcbf29ce484222325
	fnvPrime  = 0x100000001b3
)

// hash64 is a running FNV-1a hash.
type hash64 uint64

func (h *hash64) octet(b byte) { *h = (*h ^ hash64(b)) * fnvPrime }

// number hashes 8 bytes, big-endian. A negative number is passed as its two's complement.
func (h *hash64) number(v uint64) {
	for shift := 56; shift >= 0; shift -= 8 {
		h.octet(byte(v >> shift))
	}
}

// text hashes the bytes of a text and a zero byte.
func (h *hash64) text(s string) {
	for i := range len(s) {
		h.octet(s[i])
	}
	h.octet(0)
}

// stateHash is the state hash of the wire protocol: account, sequence, cash balance, fees paid and realised; then of
// each row, by market and code, market, code, quantity, cost and realised.
func (s *Shadow) stateHash() uint64 {
	h := hash64(fnvOffset)
	h.number(s.account)
	h.number(s.seq)
	for _, v := range []int64{s.cash.balance, s.cash.fees, s.cash.realised} {
		h.number(uint64(v))
	}
	for _, k := range s.keys() {
		r := s.rows[k]
		h.text(k.Market)
		h.text(k.Code)
		for _, v := range []int64{r.Quantity, r.Cost, r.Realised} {
			h.number(uint64(v))
		}
	}
	return uint64(h)
}
