package shadow

import (
	"math/big"
	"strings"

	"github.com/papertape/papertape/client"
)

// Key identifies an instrument, and thereby a row. A code alone would be ambiguous.
type Key struct{ Market, Code string }

// KeyOf returns the key of an instrument.
func KeyOf(market, code string) Key { return Key{market, code} }

func (k Key) String() string { return k.Market + " " + k.Code }

func (k Key) compare(o Key) int {
	if c := strings.Compare(k.Market, o.Market); c != 0 {
		return c
	}
	return strings.Compare(k.Code, o.Code)
}

// Row is what a shadow knows of an instrument held. Money is in 1/10000.
type Row struct {
	Name                     string
	Quantity, Cost, Realised int64
	Version                  uint64 // the sequence of the last event that changed the row
}

// step applies a trade to a row as the ledger does. A buy adds its amount to the cost. A sale of q
// out of Q takes cost*q/Q out of the cost, rounded half to even, and realises the rest of its
// amount, which is gain. A row counts what it realised since its quantity last left 0.
func (r *Row) step(f *Findings, t *client.Trade) (gain *big.Int) {
	amount := times(t.Quantity, t.Price)
	gain = new(big.Int)
	if t.Side == client.Buy {
		if r.Quantity == 0 {
			r.Realised = 0
		}
		r.Quantity = f.wireValue("quantity", plus(r.Quantity, t.Quantity))
		r.Cost = f.wireValue("cost", amount.Add(amount, big.NewInt(r.Cost)))
		return gain
	}
	taken := shareOfCost(r.Cost, t.Quantity, r.Quantity)
	gain.Sub(amount, taken)
	r.Quantity = f.wireValue("quantity", plus(r.Quantity, -t.Quantity))
	r.Cost = f.wireValue("cost", taken.Sub(big.NewInt(r.Cost), taken))
	r.Realised = f.wireValue("realised", new(big.Int).Add(gain, big.NewInt(r.Realised)))
	return gain
}

func readRow(p *client.Position) *Row {
	return &Row{
		Name: p.Name, Quantity: p.Quantity, Cost: int64(p.Cost), Realised: int64(p.Realised),
		Version: p.RowVersion,
	}
}

// changeOf returns the kind of change of a row from its quantity before and after.
func changeOf(before, after int64) client.Change {
	switch {
	case before == after:
		return client.Unchanged
	case before == 0:
		return client.Opened
	case after == 0:
		return client.Closed
	case after > before:
		return client.Increased
	}
	return client.Decreased
}

// cashChange returns what a trade adds to the cash, and to the fees paid.
func cashChange(t *client.Trade) (balance, fees *big.Int) {
	balance, fees = times(t.Quantity, t.Price), whole(t.Fees)
	if t.Side == client.Buy {
		balance.Neg(balance)
	}
	return balance.Sub(balance, fees), fees
}

func whole[T ~int64](v T) *big.Int         { return big.NewInt(int64(v)) }
func plus[A, B ~int64](a A, b B) *big.Int  { return new(big.Int).Add(whole(a), whole(b)) }
func times[A, B ~int64](a A, b B) *big.Int { return new(big.Int).Mul(whole(a), whole(b)) }

// shareOfCost returns cost*q/held, rounded half to even. It returns the whole cost if all are sold, or
// more than all, which is reported elsewhere.
func shareOfCost(cost, q, held int64) *big.Int {
	if q >= held || held <= 0 {
		return big.NewInt(cost)
	}
	quotient, rest := new(big.Int).QuoRem(times(cost, q), big.NewInt(held), new(big.Int))
	switch rest.Lsh(rest, 1).Cmp(big.NewInt(held)) {
	case 1:
		quotient.Add(quotient, big.NewInt(1))
	case 0:
		quotient.Add(quotient, big.NewInt(int64(quotient.Bit(0))))
	}
	return quotient
}
