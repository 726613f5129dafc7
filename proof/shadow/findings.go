package shadow

import (
	"bytes"
	"fmt"
	"math/big"
	"strconv"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/market"
)

// Findings collects the differences in one event or list. Each check is given the name of a field, what it must be and
// what it is, and adds a sentence if they differ.
type Findings struct {
	Account, Seq uint64
	Where        string // before "seq N"
	List         []string
}

// Add adds a difference, whatever it is.
func (f *Findings) Add(field, expected, got string) {
	f.List = append(f.List, fmt.Sprintf("account %d %sseq %d, %s: expected %s, got %s",
		f.Account, f.Where, f.Seq, field, expected, got))
}

// Number compares two unsigned numbers.
func (f *Findings) Number(field string, want, got uint64) {
	if want != got {
		f.Add(field, strconv.FormatUint(want, 10), strconv.FormatUint(got, 10))
	}
}

// Integer compares two whole numbers.
func (f *Findings) Integer(field string, want, got int64) {
	if want != got {
		f.Add(field, strconv.FormatInt(want, 10), strconv.FormatInt(got, 10))
	}
}

// Text compares two texts.
func (f *Findings) Text(field, want, got string) {
	if want != got {
		f.Add(field, want, got)
	}
}

// Present finds a text that is empty.
func (f *Findings) Present(field, got string) {
	if got == "" {
		f.Add(field, "some text", "none")
	}
}

// Positive finds a number that is not above 0.
func (f *Findings) Positive(field string, got int64) {
	if got <= 0 {
		f.Add(field, "more than 0", strconv.FormatInt(got, 10))
	}
}

// Money compares two amounts, in 1/10000.
func (f *Findings) Money(field string, want *big.Int, got int64) {
	if want.Cmp(big.NewInt(got)) != 0 {
		f.Add(field, moneyText(want), market.FormatMoney(got))
	}
}

// trade compares two trades in every field.
func (f *Findings) trade(field string, want, got *client.Trade) {
	a, err1 := want.MarshalVT()
	b, err2 := got.MarshalVT()
	if err1 != nil || err2 != nil || string(a) != string(b) {
		f.Add(field, tradeText(want), tradeText(got))
	}
}

// position compares a row with what it must be, and its own arithmetic.
func (f *Findings) position(what string, p *client.Position, want *Row) {
	f.Present(what+" name", p.GetName())
	f.Text(what+" name", want.Name, p.GetName())
	f.Integer(what+" quantity", want.Quantity, p.GetQuantity())
	f.Money(what+" cost", big.NewInt(want.Cost), p.GetCost())
	f.Money(what+" realised", big.NewInt(want.Realised), p.GetRealised())
	f.Number(what+" row_version", want.Version, p.GetRowVersion())
	f.Positive(what+" price", p.GetPrice())
	f.Money(what+" market_value", times(p.GetQuantity(), p.GetPrice()), p.GetMarketValue())
	f.Integer(what+" sellable", want.Quantity, p.GetSellable())
}

// fit is v as the wire carries it; what does not fit should have been refused.
func (f *Findings) fit(field string, v *big.Int) int64 {
	if !v.IsInt64() {
		f.Add(field, "no trade, as it passes 64 bits", v.String())
	}
	return v.Int64()
}

func moneyText(v *big.Int) string {
	if !v.IsInt64() {
		return v.String() + "/10000"
	}
	return market.FormatMoney(v.Int64())
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
	f := Findings{Account: shown.GetAccount(), Seq: shown.GetSeq()}
	f.Add("the event sent again", shown.String(), again.String())
	return f.List
}
