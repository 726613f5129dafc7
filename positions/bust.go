package positions

import (
	"fmt"
	"slices"
	"strings"

	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/usertext"
)

// Limits of a bust. They guarantee that its event fits a frame.
const (
	// MaxCascade is the largest number of trades that are taken back along with another.
	MaxCascade = 100
	// MaxBustTextBytes is the maximum length of a reason.
	MaxBustTextBytes = 200
	// MaxBustNameBytes is the maximum length of a bust id, and of an actor's name.
	MaxBustNameBytes = 64
)

// BustPolicy says what to do about trades that depend on the one taken back.
type BustPolicy uint8

// The policies.
const (
	PolicyReject  BustPolicy = 0 // refuse the request, and name them
	PolicyCascade BustPolicy = 1 // take them back as well
)

var policyNames = [...]string{PolicyReject: "reject", PolicyCascade: "cascade"}

// String returns the policy as users type it.
func (p BustPolicy) String() string {
	if int(p) < len(policyNames) {
		return policyNames[p]
	}
	return fmt.Sprintf("BustPolicy(%d)", uint8(p))
}

// ParseBustPolicy parses "reject" or "cascade". The empty string means reject.
func ParseBustPolicy(text string) (BustPolicy, error) {
	switch i := slices.Index(policyNames[:], text); {
	case text == "":
		return PolicyReject, nil
	case i >= 0:
		return BustPolicy(i), nil
	}
	return 0, fmt.Errorf("%q is not a policy; it must be reject or cascade", text)
}

// BustRequest asks to take a trade back or, with Correct, to change its price and quantity.
// It must not change while a Fold uses it.
type BustRequest struct {
	Account  uint64
	TradeSeq uint64  // the trade is named Account-TradeSeq
	Price    int64   // Correct: in 1/10000 of the currency, 1 to market.MaxPrice
	Quantity int64   // Correct: shares, 1 to MaxOrderShares
	Revision *uint32 // the revision the request is about; nil: the current one
	Reason   string  // why: 1 to MaxBustTextBytes bytes, valid by usertext.CheckLine
	Actor    string  // who: 1 to MaxBustNameBytes bytes, likewise
	// ID is the idempotence key, or empty: at most MaxBustNameBytes bytes of printable
	// ASCII, without a blank at either end.
	ID      string
	Policy  BustPolicy
	Correct bool
	// Expected are the sequences of the only trades that may be taken back along with it; nil: any.
	Expected *[]uint64
}

// Check reports whether the request is well formed. It needs neither book nor history.
// DecideBust calls it as well.
func (r *BustRequest) Check() BustOutcome {
	if detail := r.malformed(); detail != "" {
		return BustOutcome{Reason: BustMalformed, detail: detail}
	}
	if _, fits := amountOf(r.Quantity, r.Price); !fits {
		return BustOutcome{Reason: BustTooLarge}
	}
	return BustOutcome{}
}

// malformed returns what is wrong with the request itself and what would be right, or "".
func (r *BustRequest) malformed() string {
	switch {
	case r.Correct && (r.Quantity <= 0 || r.Quantity > MaxOrderShares):
		return fmt.Sprintf("the quantity must be 1 to %d shares; to leave none of the trade, bust it", MaxOrderShares)
	case r.Correct && (r.Price <= 0 || r.Price > market.MaxPrice):
		return fmt.Sprintf("the price must be above 0 and at most %s", market.FormatMoney(market.MaxPrice))
	case !r.Correct && (r.Quantity != 0 || r.Price != 0):
		return "a bust has no price and no quantity; to change those of a trade, correct it"
	case r.ID != "" && !isKey(r.ID):
		return fmt.Sprintf("the bust id must be at most %d printable ASCII characters, "+
			"the first and the last no blanks", MaxBustNameBytes)
	case int(r.Policy) >= len(policyNames):
		return "the policy must be reject or cascade"
	}
	if err := usertext.CheckLine(r.Reason, MaxBustTextBytes); err != nil {
		return "the reason " + err.Error()
	}
	if err := usertext.CheckLine(r.Actor, MaxBustNameBytes); err != nil {
		return "the actor " + err.Error()
	}
	return ""
}

func isKey(id string) bool {
	printable := !slices.ContainsFunc([]byte(id), func(c byte) bool { return c < 0x20 || c > 0x7e })
	return printable && len(id) <= MaxBustNameBytes && strings.Trim(id, " ") == id
}

// Repeats reports whether b is the result of a request with the same content: the same
// trade, the same change, the same reason. It uses only what a bust's event stores. Four
// things are therefore not part of the content: a policy that made no difference, a
// revision that was not named, the actor, and which cascade was expected.
func (r *BustRequest) Repeats(b *Bust) bool {
	if r.TradeSeq != b.TradeSeq || r.Reason != b.Reason || r.Correct != (b.Replacement != nil) {
		return false
	}
	if r.Correct && (r.Price != b.Replacement.Price || r.Quantity != b.Replacement.Quantity) {
		return false
	}
	if r.Revision != nil && *r.Revision != b.Original.Revision {
		return false
	}
	return r.Policy == PolicyCascade || len(b.Cascade) == 0
}

// DecideBust returns what the fold's request would do at prices and at time now
// (nanoseconds since the Unix epoch), without doing it. If the outcome's Reason is
// NoBustRefusal and its Repeats is 0, ev is the event to apply, and everything in it has
// been overwritten. Otherwise the contents of ev are undefined. Book and fold do not
// change.
//
// The account's history up to its newest event must have been added to f; anything else is
// a bug, and panics.
func (b *Book) DecideBust(f *Fold, prices *market.Prices, now int64, ev *Event) BustOutcome {
	r := f.request
	if o := r.Check(); o.Reason != NoBustRefusal {
		return o
	}
	acc := b.find(r.Account)
	if acc == nil {
		return BustOutcome{Reason: BustUnknownAccount}
	}
	if f.err != nil {
		return BustOutcome{Reason: BustDamaged, detail: f.err.Error()}
	}
	if f.seq != acc.seq {
		panic(fmt.Sprintf("positions: bust of account %d decided with its history up to %d of %d", r.Account, f.seq,
			acc.seq))
	}
	if o := f.judge(); o.Reason != NoBustRefusal || o.Repeats != 0 {
		return o
	}
	if err := f.checkAccount(acc); err != nil {
		return BustOutcome{Reason: BustDamaged, detail: err.Error()}
	}
	p := newPlan(f)
	defer p.undo()
	if o := p.build(acc.cash.Balance); o.Reason != NoBustRefusal {
		return o
	}
	if o := p.refold(); o.Reason != NoBustRefusal {
		return o
	}
	if o := p.event(acc, prices, now, ev); o.Reason != NoBustRefusal {
		return o
	}
	for i := range ev.Bust.Positions {
		if row := &ev.Bust.Positions[i]; row.Quantity > 0 && b.universe.At(row.Instrument).Delisted {
			return BustOutcome{Reason: BustDelisted, Instrument: row.Instrument}
		}
	}
	return r.expected(ev.Bust.Cascade)
}

// expected refuses a cascade with trades that the request does not expect.
func (r *BustRequest) expected(cascade []uint64) BustOutcome {
	if r.Expected == nil {
		return BustOutcome{}
	}
	var others []uint64
	for _, seq := range slices.Backward(cascade) {
		if !slices.Contains(*r.Expected, seq) {
			others = append(others, seq)
		}
	}
	if len(others) == 0 {
		return BustOutcome{}
	}
	return BustOutcome{Reason: BustCascadeChanged, InTheWay: others}
}

// judge makes the checks that need no folding.
func (f *Fold) judge() BustOutcome {
	r, t := f.request, &f.target
	switch {
	case f.earlierBust != nil && r.Repeats(f.earlierBust):
		return BustOutcome{Repeats: f.earlierSeq}
	case f.earlierBust != nil:
		return BustOutcome{Reason: BustIDReused, Seq: f.earlierSeq, TradeSeq: f.earlierBust.TradeSeq, ID: r.ID}
	case r.TradeSeq == 0 || r.TradeSeq > f.seq:
		return BustOutcome{Reason: BustUnknownTrade, Seq: f.seq}
	case t.takenAt != 0:
		return BustOutcome{Reason: BustAlready, Seq: t.takenAt, ID: t.takenBy}
	case t.kind != 0 && t.kind != KindTrade:
		return BustOutcome{Reason: BustNotATrade, Seq: r.TradeSeq, kind: t.kind}
	case r.TradeSeq < f.reset:
		return BustOutcome{Reason: BustBeforeReset, Seq: f.reset}
	case !f.based():
		return BustOutcome{Reason: BustNotKept, Seq: f.first}
	case r.Revision != nil && *r.Revision != t.trade.Revision:
		return BustOutcome{Reason: BustStaleRevision, Have: int64(t.trade.Revision), Need: int64(*r.Revision)}
	case r.Correct && r.Price == t.trade.Price && r.Quantity == t.trade.Quantity:
		return BustOutcome{Reason: BustNothingToCorrect, Have: t.trade.Quantity, Need: t.trade.Price}
	}
	return BustOutcome{}
}

// replacement returns t as corrected. Fees stay as they are, since no rule says otherwise
// yet.
func (r *BustRequest) replacement(t Trade) *Trade {
	t.Price, t.Quantity, t.Amount = r.Price, r.Quantity, r.Quantity*r.Price
	t.Revision++
	return &t
}
