package positions

import (
	"encoding/hex"
	"hash/fnv"
	"strings"
	"testing"

	"github.com/papertape/papertape/market"
)

// golden is the state below, encoded by hand as the protocol's page describes.
const golden = `
00000000000186b1 account 100017
0000000000000004 as_of_seq 4
00000002540be400 cash.balance 1000000.0000
000000000000c350 cash.fees_paid 5.0000
ffffffffffffffff cash.realised -0.0001
5348 00 363030353139 00 SH 600519
0000000000000064 quantity 100
0000000008d24d00 cost 14800.0000
0000000000000000 realised 0
535a 00 303030303031 00 SZ 000001
0000000000000096 quantity 150
00000000015752a0 cost 2250.0000
fffffffffffe7960 realised -10.0000
`

func TestStateHash(t *testing.T) {
	var page []byte
	for line := range strings.Lines(golden) {
		for _, field := range strings.Fields(line) {
			b, err := hex.DecodeString(field)
			if err != nil {
				break // the explanation follows the bytes
			}
			page = append(page, b...)
		}
	}
	u := market.Default()
	cash := Cash{Balance: 1_000_000_0000, FeesPaid: 5_0000, Realised: -1}
	rows := []Position{
		{Row: Row{Quantity: 100, Cost: 14800_0000, Version: 3, Instrument: instrument(t, u, "SH 600519")},
			Sellable: 100, Price: 148_0000},
		{Row: Row{Quantity: 150, Cost: 2250_0000, Realised: -10_0000, Version: 4,
			Instrument: instrument(t, u, "SZ 000001")}},
	}
	h := fnv.New64a()
	h.Write(page)
	equal(t, "bytes", len(page), 8*5+2*(2+1+6+1+3*8))
	equal(t, "hash of the bytes", h.Sum64(), 0x19a156eb18301106)
	equal(t, "StateHash", StateHash(u, 100017, 4, cash, rows), 0x19a156eb18301106)
	if n := testing.AllocsPerRun(100, func() { StateHash(u, 100017, 4, cash, rows) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
