package positions

import (
	"github.com/papertape/papertape/fnv1a"
	"github.com/papertape/papertape/market"
)

// StateHash lets a client in any language prove that it agrees with the server. It is
// 64-bit FNV-1a over the following bytes, with each number as 8 bytes big-endian in two's
// complement: account, seq, cash balance, fees paid, realised; then for each row, which
// must be ordered by market and code: market, a zero byte, code, a zero byte, quantity,
// cost, realised. Prices and what follows from them are not hashed.
func StateHash(u *market.Universe, account, seq uint64, cash Cash, rows []Position) uint64 {
	h := fnv1a.New.Number(account).Number(seq)
	h = h.Number(uint64(cash.Balance)).Number(uint64(cash.FeesPaid)).Number(uint64(cash.Realised))
	for i := range rows {
		row := &rows[i].Row
		instrument := u.At(row.Instrument)
		h = h.Text(instrument.Market).Text(instrument.Code)
		h = h.Number(uint64(row.Quantity)).Number(uint64(row.Cost)).Number(uint64(row.Realised))
	}
	return uint64(h)
}
