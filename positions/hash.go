package positions

import "github.com/papertape/papertape/market"

// FNV-1a, 64 bits: http://www.isthe.com/chongo/tech/comp/fnv/
const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

// StateHash lets a client in any language prove that it agrees with the server. It is
// 64-bit FNV-1a over the following bytes, with each number as 8 bytes big-endian in two's
// complement: account, seq, cash balance, fees paid, realised; then for each row, which
// must be ordered by market and code: market, a zero byte, code, a zero byte, quantity,
// cost, realised. Prices and what follows from them are not hashed.
func StateHash(u *market.Universe, account, seq uint64, cash Cash, rows []Position) uint64 {
	h := hash(fnvOffset).number(account).number(seq)
	h = h.number(uint64(cash.Balance)).number(uint64(cash.FeesPaid)).number(uint64(cash.Realised))
	for i := range rows {
		row := &rows[i].Row
		instrument := u.At(row.Instrument)
		h = h.text(instrument.Market).text(instrument.Code)
		h = h.number(uint64(row.Quantity)).number(uint64(row.Cost)).number(uint64(row.Realised))
	}
	return uint64(h)
}

// hash is the FNV-1a hash of the bytes so far.
type hash uint64

func (h hash) number(v uint64) hash {
	for shift := 56; shift >= 0; shift -= 8 {
		h = (h ^ hash(v>>shift&0xff)) * fnvPrime
	}
	return h
}

// text hashes s and a zero byte.
func (h hash) text(s string) hash {
	for i := range len(s) {
		h = (h ^ hash(s[i])) * fnvPrime
	}
	return h * fnvPrime
}
