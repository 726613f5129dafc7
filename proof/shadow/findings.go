package shadow

import (
	"encoding/json"
	"fmt"
	"math/big"
	"reflect"
	"strconv"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/market"
)

// Findings collects the differences in one event or list. Each check takes the name of a field, its
// expected and its actual value, and adds a sentence if they differ.
type Findings struct {
	Account, Seq uint64
	Where        string // before "seq N"
	List         []string
}

// Add adds a difference unconditionally.
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

// Change compares the kind of change that an event reports for its row, by its name on the wire.
func (f *Findings) Change(want, got client.Change) {
	f.Text("change", papertapev1.Change(want).String(), papertapev1.Change(got).String())
}

// Present reports a text that is empty.
func (f *Findings) Present(field, got string) {
	if got == "" {
		f.Add(field, "some text", "none")
	}
}

// Positive reports a number that is not above 0.
func (f *Findings) Positive(field string, got int64) {
	if got <= 0 {
		f.Add(field, "more than 0", strconv.FormatInt(got, 10))
	}
}

// Money compares two amounts; want is in 1/10000.
func (f *Findings) Money(field string, want *big.Int, got client.Money) {
	if want.Cmp(whole(got)) != 0 {
		f.Add(field, moneyText(want), got.String())
	}
}

// trade compares two trades in every field.
func (f *Findings) trade(field string, want, got *client.Trade) {
	if *want != *got {
		f.Add(field, tradeText(want), tradeText(got))
	}
}

// position compares a row with the expected one, and checks its own arithmetic.
func (f *Findings) position(field string, p *client.Position, want *Row) {
	f.Present(field+" name", p.Name)
	f.Text(field+" name", want.Name, p.Name)
	f.Integer(field+" quantity", want.Quantity, p.Quantity)
	f.Money(field+" cost", big.NewInt(want.Cost), p.Cost)
	f.Money(field+" realised", big.NewInt(want.Realised), p.Realised)
	f.Number(field+" row_version", want.Version, p.RowVersion)
	f.Positive(field+" price", int64(p.Price))
	f.Money(field+" market_value", times(p.Quantity, p.Price), p.MarketValue)
	f.Integer(field+" sellable", want.Quantity, p.Sellable)
}

// wireValue returns v as the wire carries it. A value that does not fit should have been refused.
func (f *Findings) wireValue(field string, v *big.Int) int64 {
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

// CompareEvents reports whether two copies of an event are equal in every field. They must be,
// wherever an event is sent twice: pushed, replayed, and in the history. How an event was delivered
// is not compared.
func CompareEvents(shown, again *client.Event) []string {
	a, b := *shown, *again
	a.Replay, a.Execution = b.Replay, b.Execution
	if reflect.DeepEqual(a, b) {
		return nil
	}
	f := Findings{Account: shown.Account, Seq: shown.Seq}
	f.Add("the event sent again", string(EventBytes(shown)), string(EventBytes(again)))
	return f.List
}

// EventBytes returns the content of an event without how it was delivered, for a digest or for
// reading. Equal events have equal bytes.
func EventBytes(ev *client.Event) []byte {
	said := *ev
	said.Replay, said.Execution = false, false
	text, err := json.Marshal(&said)
	if err != nil {
		panic(err) // JSON can represent every field
	}
	return text
}
