package clientsim

import (
	"bytes"
	"fmt"
	"math/big"
	"strconv"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/market"
)

// findings collects the differences in one event or list.
type findings struct {
	account, seq uint64
	where        string // before "seq N"
	list         []string
}

func (f *findings) add(field, expected, got string) {
	f.list = append(f.list, fmt.Sprintf("account %d %sseq %d, %s: expected %s, got %s", f.account, f.where, f.seq, field, expected, got))
}

func (f *findings) number(field string, want, got uint64) {
	if want != got {
		f.add(field, strconv.FormatUint(want, 10), strconv.FormatUint(got, 10))
	}
}

func (f *findings) integer(field string, want, got int64) {
	if want != got {
		f.add(field, strconv.FormatInt(want, 10), strconv.FormatInt(got, 10))
	}
}

func (f *findings) text(field, want, got string) {
	if want != got {
		f.add(field, want, got)
	}
}

func (f *findings) present(field, got string) {
	if got == "" {
		f.add(field, "some text", "none")
	}
}

func (f *findings) positive(field string, got int64) {
	if got <= 0 {
		f.add(field, "more than 0", strconv.FormatInt(got, 10))
	}
}

func (f *findings) money(field string, want *big.Int, got int64) {
	if want.Cmp(big.NewInt(got)) != 0 {
		f.add(field, moneyText(want), market.FormatMoney(got))
	}
}

// fit is v as the wire carries it; what does not fit should have been refused.
func (f *findings) fit(field string, v *big.Int) int64 {
	if !v.IsInt64() {
		f.add(field, "no trade, as it passes 64 bits", v.String())
	}
	return v.Int64()
}

func moneyText(v *big.Int) string {
	if !v.IsInt64() {
		return v.String() + "/10000"
	}
	return market.FormatMoney(v.Int64())
}

func plus(a, b int64) *big.Int  { return new(big.Int).Add(big.NewInt(a), big.NewInt(b)) }
func times(a, b int64) *big.Int { return new(big.Int).Mul(big.NewInt(a), big.NewInt(b)) }

// part is cost*q/held, half to even; all of it where all are sold (or more, which is a finding of its own).
func part(cost, q, held int64) *big.Int {
	if q >= held || held <= 0 {
		return big.NewInt(cost)
	}
	whole, rest := new(big.Int).QuoRem(times(cost, q), big.NewInt(held), new(big.Int))
	switch rest.Lsh(rest, 1).Cmp(big.NewInt(held)) {
	case 1:
		whole.Add(whole, big.NewInt(1))
	case 0:
		whole.Add(whole, big.NewInt(int64(whole.Bit(0))))
	}
	return whole
}

// CompareEvents says whether two events are the same to the last byte, as they must be wherever one comes twice:
// pushed, replayed, and in the history.
func CompareEvents(shown, again *client.AccountEvent) []string {
	a, err := shown.MarshalVT()
	if err != nil {
		return []string{fmt.Sprintf("account %d seq %d cannot be encoded: %v", shown.GetAccount(), shown.GetSeq(), err)}
	}
	b, err := again.MarshalVT()
	if err != nil {
		return []string{fmt.Sprintf("account %d seq %d cannot be encoded: %v", again.GetAccount(), again.GetSeq(), err)}
	}
	if bytes.Equal(a, b) {
		return nil
	}
	f := findings{account: shown.GetAccount(), seq: shown.GetSeq()}
	f.add("the event sent again", shown.String(), again.String())
	return f.list
}
