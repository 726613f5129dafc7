package clientsim

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

// change compares what an event says became of its row, by the names of the wire.
func (f *findings) change(want, got client.Change) {
	f.text("change", papertapev1.Change(want).String(), papertapev1.Change(got).String())
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

func (f *findings) money(field string, want *big.Int, got client.Money) {
	if want.Cmp(whole(got)) != 0 {
		f.add(field, moneyText(want), got.String())
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

func whole[T ~int64](v T) *big.Int         { return big.NewInt(int64(v)) }
func plus[A, B ~int64](a A, b B) *big.Int  { return new(big.Int).Add(whole(a), whole(b)) }
func times[A, B ~int64](a A, b B) *big.Int { return new(big.Int).Mul(whole(a), whole(b)) }

// part is cost*q/held, half to even; all of it where all are sold (or more, which is a finding of its own).
func part(cost, q, held int64) *big.Int {
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

// CompareEvents says whether two events are the same in every field, as they must be wherever one comes twice: pushed,
// replayed, and in the history. How they came does not count.
func CompareEvents(shown, again *client.Event) []string {
	a, b := *shown, *again
	a.Replay, a.Execution = b.Replay, b.Execution
	if reflect.DeepEqual(a, b) {
		return nil
	}
	f := findings{account: shown.Account, seq: shown.Seq}
	f.add("the event sent again", string(EventBytes(shown)), string(EventBytes(again)))
	return f.list
}

// EventBytes are all that an event says, however it came: for a digest, or a look. Equal events have equal bytes.
func EventBytes(ev *client.Event) []byte {
	said := *ev
	said.Replay, said.Execution = false, false
	text, err := json.Marshal(&said)
	if err != nil {
		panic(err) // there is nothing in it that JSON does not know
	}
	return text
}
