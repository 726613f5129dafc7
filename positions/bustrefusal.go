package positions

import (
	"fmt"
	"strings"

	"github.com/papertape/papertape/market"
)

// BustReason says why a request to take a trade back was refused.
type BustReason uint8

// The reasons. Each comment says which other fields of the outcome are set; all others are
// 0.
const (
	NoBustRefusal        BustReason = iota
	BustMalformed                   // the request is not well formed
	BustUnknownAccount              // the account is not open
	BustUnknownTrade                // there is no event TradeSeq; Seq is the account's newest event
	BustNotATrade                   // event Seq is an adjustment, a reset, or itself a bust
	BustBeforeReset                 // event Seq has reset the account since
	BustNotKept                     // the history kept begins at Seq, after the trade or something it depends on
	BustIDReused                    // conflict: ID belongs to event Seq, which did something else to trade TradeSeq
	BustAlready                     // conflict: bust ID, event Seq, took the trade back
	BustStaleRevision               // conflict: the trade is at revision Have, the request is about Need
	BustNothingToCorrect            // the trade is already of Have shares at Need
	// BustSharesGone: trade Seq would sell Need shares of Instrument, but only Have are
	// held. InTheWay lists the trades to take back first. It is empty if that would not
	// help, because Seq is the trade being corrected.
	BustSharesGone
	// BustCashGone: cash would end at Have. InTheWay lists the trades to take back first.
	// It is empty if that would not help.
	BustCashGone
	BustCascadeTooLong // more than MaxCascade trades depend on it; InTheWay lists the first found
	BustTooLarge       // an amount or a total would not fit 64 bits
	BustTooManyRows    // the account would hold Have instruments, the maximum is Need
	BustDamaged        // the account's history contradicts itself or the book
	BustCascadeChanged // trades would go with it that the request does not expect: InTheWay
	BustDelisted       // the account would hold Instrument, which is delisted
)

var bustReasonNames = [...]string{
	NoBustRefusal: "NoBustRefusal", BustMalformed: "BustMalformed", BustUnknownAccount: "BustUnknownAccount",
	BustUnknownTrade: "BustUnknownTrade", BustNotATrade: "BustNotATrade", BustBeforeReset: "BustBeforeReset",
	BustNotKept:  "BustNotKept",
	BustIDReused: "BustIDReused", BustAlready: "BustAlready", BustStaleRevision: "BustStaleRevision",
	BustNothingToCorrect: "BustNothingToCorrect", BustSharesGone: "BustSharesGone", BustCashGone: "BustCashGone",
	BustCascadeTooLong: "BustCascadeTooLong", BustTooLarge: "BustTooLarge", BustTooManyRows: "BustTooManyRows",
	BustDamaged: "BustDamaged", BustCascadeChanged: "BustCascadeChanged",
	BustDelisted: "BustDelisted",
}

// String returns the reason's name, for logs and tests.
func (r BustReason) String() string {
	if int(r) < len(bustReasonNames) {
		return bustReasonNames[r]
	}
	return fmt.Sprintf("BustReason(%d)", uint8(r))
}

// BustOutcome is the result of a request: a refusal, a repeat of an earlier answer, or an
// event. In the last case it is zero.
type BustOutcome struct {
	Reason     BustReason
	Repeats    uint64 // not 0: event Repeats already did exactly this, under the same id; there is nothing to do
	Have, Need int64  // meaning depends on Reason, as for Instrument, Seq, TradeSeq and ID
	Seq        uint64
	TradeSeq   uint64
	ID         string
	InTheWay   []uint64 // sequences of trades, newest first, at most MaxCascade
	More       bool     // more trades are in the way
	Instrument market.ID

	kind   Kind   // set for BustNotATrade
	detail string // set for BustMalformed and BustDamaged
}

// Sentence says what was wrong with r and what would be right, or returns "" if nothing was
// refused. u is the universe of the book.
func (o *BustOutcome) Sentence(r *BustRequest, u *market.Universe) string {
	if o.Reason == NoBustRefusal {
		return ""
	}
	if r.Correct {
		return fmt.Sprintf("correct %d-%d to %d @ %s: %s", r.Account, r.TradeSeq, r.Quantity,
			market.FormatMoney(r.Price),
			o.because(r, u))
	}
	return fmt.Sprintf("bust %d-%d: %s", r.Account, r.TradeSeq, o.because(r, u))
}

func (o *BustOutcome) because(r *BustRequest, u *market.Universe) string {
	switch o.Reason {
	case BustMalformed:
		return o.detail
	case BustUnknownAccount:
		return fmt.Sprintf("account %d is not open; a trade's name is its account and sequence, as 100017-42",
			r.Account)
	case BustUnknownTrade:
		return fmt.Sprintf("account %d has no such event, its newest is %d; name one of its trades", r.Account, o.Seq)
	case BustNotATrade:
		return o.notATrade(r)
	case BustBeforeReset:
		return fmt.Sprintf("event %d has reset the account since, and what lies before a reset stays as it was; "+
			"book an adjustment instead", o.Seq)
	case BustNotKept:
		return fmt.Sprintf("older than the history kept, which begins at event %d "+
			"and must begin at 1 to fold the account anew; book a new trade or an adjustment instead", o.Seq)
	case BustIDReused:
		return fmt.Sprintf("bust id %s is that of event %d, which was another request, for %d-%d; give this one an "+
			"id of its own",
			o.ID, o.Seq, r.Account, o.TradeSeq)
	case BustAlready:
		return fmt.Sprintf("already busted by %s; a bust is never undone, book a new trade instead", o.bustName())
	case BustStaleRevision:
		return fmt.Sprintf("it stands at revision %d and the request means revision %d; look at it as it stands, "+
			"and name that one",
			o.Have, o.Need)
	case BustNothingToCorrect:
		return "that is how it stands already; give another price or quantity"
	case BustSharesGone, BustCashGone, BustCascadeTooLong:
		return o.shortageSentence(r, u)
	case BustTooLarge:
		return fmt.Sprintf("an amount, or a total of account %d, would pass the largest the ledger holds; "+
			"correct to fewer shares or a lower price, or book an adjustment instead", r.Account)
	case BustTooManyRows:
		return fmt.Sprintf("account %d would hold %d instruments, and the most is %d; sell all of one first",
			r.Account, o.Have, o.Need)
	case BustDelisted:
		return fmt.Sprintf("account %d would hold %s again, which is not traded here any more; add it to the "+
			"universe, or book an adjustment instead", r.Account, u.At(o.Instrument))
	case BustCascadeChanged:
		var b strings.Builder
		b.WriteString("other trades would go with it than were expected; ")
		o.writeInTheWay(&b, r.Account)
		b.WriteString("; look at it again, and expect these too")
		return b.String()
	case BustDamaged:
		return "the account cannot be folded anew: " + o.detail + "; stop the server and verify its journal"
	}
	return "refused: " + o.Reason.String()
}

func (o *BustOutcome) bustName() string {
	if o.ID == "" {
		return fmt.Sprintf("event %d", o.Seq)
	}
	return fmt.Sprintf("%s (event %d)", o.ID, o.Seq)
}

func (o *BustOutcome) notATrade(r *BustRequest) string {
	if o.kind == KindBust {
		return fmt.Sprintf("event %d is itself a bust or correction, which is never undone; name the trade, or "+
			"book a new one", o.Seq)
	}
	if o.kind == KindReset {
		return fmt.Sprintf("event %d of account %d is a reset, which is never undone; name a trade that came after it",
			o.Seq, r.Account)
	}
	return fmt.Sprintf("event %d of account %d is an adjustment of cash; name a trade, or book another adjustment",
		o.Seq, r.Account)
}

// shortageSentence explains a lack of shares or cash, or a cascade that is too long.
func (o *BustOutcome) shortageSentence(r *BustRequest, u *market.Universe) string {
	var b strings.Builder
	switch o.Reason {
	case BustSharesGone:
		fmt.Fprintf(&b, "%d-%d would sell %d %s where %d are held; ", r.Account, o.Seq, o.Need, u.At(o.Instrument),
			o.Have)
		if len(o.InTheWay) == 0 {
			b.WriteString("correct it to fewer shares, or bust it")
			return b.String()
		}
	case BustCashGone:
		fmt.Fprintf(&b, "cash would be %s; ", market.FormatMoney(o.Have))
		if len(o.InTheWay) == 0 {
			b.WriteString("taking back other trades would not make up for it, so book an adjustment of at least " +
				"that first")
			return b.String()
		}
	case BustCascadeTooLong:
		fmt.Fprintf(&b, "more than %d trades would have to go with it; ", MaxCascade)
	}
	o.writeInTheWay(&b, r.Account)
	if o.Reason == BustCascadeTooLong || o.More {
		b.WriteString("; take some back first, one by one")
	} else {
		b.WriteString("; take these back first, or choose the policy cascade")
	}
	return b.String()
}

// namesMax is the maximum number of trades that a sentence names.
const namesMax = 10

func (o *BustOutcome) writeInTheWay(b *strings.Builder, account uint64) {
	b.WriteString("in the way, newest first: ")
	for i, seq := range o.InTheWay[:min(len(o.InTheWay), namesMax)] {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(b, "%d-%d", account, seq)
	}
	switch rest := len(o.InTheWay) - namesMax; {
	case o.More:
		b.WriteString(" and more")
	case rest > 0:
		fmt.Fprintf(b, " and %d more", rest)
	}
}
