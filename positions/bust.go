package positions

import (
	"fmt"
	"slices"
	"strings"

	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/usertext"
)

// Limits of a bust. With them its event always fits a frame.
const (
	// MaxCascade is how many trades are taken back with another at most.
	MaxCascade = 100
	// MaxBustTextBytes is the longest reason.
	MaxBustTextBytes = 200
	// MaxBustNameBytes is the longest bust id, and the longest name of an actor.
	MaxBustNameBytes = 64
)

// BustPolicy says what becomes of trades that could not have been without the one taken back.
type BustPolicy uint8

// The policies.
const (
	PolicyReject  BustPolicy = 0 // the request is refused and names them
	PolicyCascade BustPolicy = 1 // they are taken back as well
)

var policyNames = [...]string{PolicyReject: "reject", PolicyCascade: "cascade"}

// String is the policy as it is typed.
func (p BustPolicy) String() string {
	if int(p) < len(policyNames) {
		return policyNames[p]
	}
	return fmt.Sprintf("BustPolicy(%d)", uint8(p))
}

// ParseBustPolicy reads reject, cascade or nothing, which is reject.
func ParseBustPolicy(text string) (BustPolicy, error) {
	switch i := slices.Index(policyNames[:], text); {
	case text == "":
		return PolicyReject, nil
	case i >= 0:
		return BustPolicy(i), nil
	}
	return 0, fmt.Errorf("%q is not a policy; it must be reject or cascade", text)
}

// BustRequest asks that a trade be taken back or, with Correct, that it stand with another price and quantity. It must
// not change while a Fold has it.
type BustRequest struct {
	Account  uint64
	TradeSeq uint64  // the trade's name is Account-TradeSeq
	Price    int64   // Correct: in 1/10000 of the currency, 1 to market.MaxPrice
	Quantity int64   // Correct: shares, 1 to MaxOrderShares
	Revision *uint32 // which revision of the trade is meant; nil: the one that stands
	Reason   string  // why: 1 to MaxBustTextBytes bytes, as usertext.CheckLine says
	Actor    string  // who: 1 to MaxBustNameBytes bytes, likewise
	ID       string  // idempotence key: at most MaxBustNameBytes of printable ASCII, no blank at its ends; empty: none
	Policy   BustPolicy
	Correct  bool
}

// Check says whether the request is well formed, which takes neither book nor history. DecideBust does it as well.
func (r *BustRequest) Check() BustOutcome {
	if detail := r.malformed(); detail != "" {
		return BustOutcome{Reason: BustMalformed, detail: detail}
	}
	if _, fits := amountOf(r.Quantity, r.Price); !fits {
		return BustOutcome{Reason: BustTooLarge}
	}
	return BustOutcome{}
}

// malformed says what is wrong with a request in itself, and what would be right.
func (r *BustRequest) malformed() string {
	switch {
	case r.Correct && (r.Quantity <= 0 || r.Quantity > MaxOrderShares):
		return fmt.Sprintf("the quantity must be 1 to %d shares; to leave none of the trade, bust it", MaxOrderShares)
	case r.Correct && (r.Price <= 0 || r.Price > market.MaxPrice):
		return fmt.Sprintf("the price must be above 0 and at most %s", market.FormatMoney(market.MaxPrice))
	case !r.Correct && (r.Quantity != 0 || r.Price != 0):
		return "a bust has no price and no quantity; to change those of a trade, correct it"
	case r.ID != "" && !isKey(r.ID):
		return fmt.Sprintf("the bust id must be at most %d printable ASCII characters, the first and the last no blanks",
			MaxBustNameBytes)
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

// Repeats says whether b is what became of a request with the same content: it is of the same trade, comes to the same,
// for the same reason. It needs nothing but what a bust's event keeps: a policy that would have made no difference to
// what happened is not part of the content, nor is a revision that was not named, nor who asks.
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

// DecideBust says what the request of a fold would do at prices and at now (nanoseconds since the Unix epoch), without
// doing it. Where the outcome's Reason is NoBustRefusal and its Repeats 0, ev is the event to apply, all of it whatever
// was in there before; otherwise ev is in no particular state. Book and fold stay as they were.
//
// f must have been given the account's history up to its newest event; anything else is an error of the program, and
// panics.
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
		panic(fmt.Sprintf("positions: bust of account %d decided with its history up to %d of %d", r.Account, f.seq, acc.seq))
	}
	if o := f.judge(); o.Reason != NoBustRefusal || o.Repeats != 0 {
		return o
	}
	if err := f.agrees(acc); err != nil {
		return BustOutcome{Reason: BustDamaged, detail: err.Error()}
	}
	p := newPlan(f)
	defer p.undo()
	if o := p.make(acc.cash.Balance); o.Reason != NoBustRefusal {
		return o
	}
	if o := p.refold(); o.Reason != NoBustRefusal {
		return o
	}
	return p.event(acc, prices, now, ev)
}

// judge checks what can be said of a request without folding anything.
func (f *Fold) judge() BustOutcome {
	r, t := f.request, &f.target
	switch {
	case f.answer != nil && r.Repeats(f.answer):
		return BustOutcome{Repeats: f.answered}
	case f.answer != nil:
		return BustOutcome{Reason: BustIDReused, Seq: f.answered, TradeSeq: f.answer.TradeSeq, ID: r.ID}
	case r.TradeSeq == 0 || r.TradeSeq > f.seq:
		return BustOutcome{Reason: BustUnknownTrade, Seq: f.seq}
	case t.takenAt != 0:
		return BustOutcome{Reason: BustAlready, Seq: t.takenAt, ID: t.takenBy}
	case t.kind == KindBust || t.kind == KindAdjustment:
		return BustOutcome{Reason: BustNotATrade, Seq: r.TradeSeq, kind: t.kind}
	case f.first != 1:
		return BustOutcome{Reason: BustNotKept, Seq: f.first}
	case r.Revision != nil && *r.Revision != t.trade.Revision:
		return BustOutcome{Reason: BustStaleRevision, Have: int64(t.trade.Revision), Need: int64(*r.Revision)}
	case r.Correct && r.Price == t.trade.Price && r.Quantity == t.trade.Quantity:
		return BustOutcome{Reason: BustNothingToCorrect, Have: t.trade.Quantity, Need: t.trade.Price}
	}
	return BustOutcome{}
}

// replacement is the trade as it is to stand. Its fees stay as they are, as there are no rules yet that would say others.
func (r *BustRequest) replacement(t Trade) *Trade {
	t.Price, t.Quantity, t.Amount = r.Price, r.Quantity, r.Quantity*r.Price
	t.Revision++
	return &t
}
