package positions

import (
	"fmt"

	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/usertext"
)

// BookingKind says what an operator asks to be done to an account.
type BookingKind uint8

// The kinds of booking.
const (
	Deposit    BookingKind = 1
	Withdrawal BookingKind = 2
	ResetTo    BookingKind = 3
)

var bookingVerbs = [...]string{Deposit: "deposit", Withdrawal: "withdraw", ResetTo: "reset to"}

// BookingRequest asks to book cash, or to reset an account. It becomes an adjustment or a reset.
type BookingRequest struct {
	Account uint64
	Amount  int64 // deposited or withdrawn, above 0; of a reset, the cash afterwards, 0 or more
	Reason  string
	Actor   string
	ID      string // the idempotence key, or empty; of the form of a bust's
	Kind    BookingKind
}

// Check returns what is wrong with the request itself, or nil. It needs no book.
func (r *BookingRequest) Check() error {
	switch {
	case r.Kind < Deposit || r.Kind > ResetTo:
		return fmt.Errorf("there is no booking of kind %d", r.Kind)
	case r.Kind == ResetTo && r.Amount < 0:
		return fmt.Errorf("the cash of a reset cannot be %s; it must be 0 or more", market.FormatMoney(r.Amount))
	case r.Kind != ResetTo && r.Amount <= 0:
		return fmt.Errorf("the amount to %s must be above 0, and is %s", bookingVerbs[r.Kind],
			market.FormatMoney(r.Amount))
	case r.ID != "" && !isKey(r.ID):
		return fmt.Errorf("the request id must be at most %d printable ASCII characters, "+
			"the first and the last no blanks", MaxBustNameBytes)
	}
	return CheckOperatorTexts(r.Reason, r.Actor)
}

// CheckOperatorTexts returns what is wrong with the reason and the name that an operator gives, or nil.
func CheckOperatorTexts(reason, actor string) error {
	if err := usertext.CheckLine(reason, MaxBustTextBytes); err != nil {
		return fmt.Errorf("the reason %w", err)
	}
	if err := usertext.CheckLine(actor, MaxBustNameBytes); err != nil {
		return fmt.Errorf("the actor %w", err)
	}
	return nil
}

// DecideBooking returns what the request, which Check has passed, would do at prices and at time
// now, without doing it. It is refused as DecideAdjustment and DecideReset are, and if the account
// is not open (UnknownAccount).
func (b *Book) DecideBooking(r *BookingRequest, prices *market.Prices, now int64, ev *Event) Refusal {
	if b.find(r.Account) == nil {
		return Refusal{Reason: UnknownAccount}
	}
	if r.Kind == ResetTo {
		return b.DecideReset(r.Account, &Reset{Cash: r.Amount, Reason: r.Reason, Actor: r.Actor, ID: r.ID}, now, ev)
	}
	return b.DecideAdjustment(r.Account, &Adjustment{Cash: r.signed(), Reason: r.Reason, Actor: r.Actor, ID: r.ID},
		prices, now, ev)
}

// signed returns the amount as an adjustment has it.
func (r *BookingRequest) signed() int64 {
	if r.Kind == Withdrawal {
		return -r.Amount
	}
	return r.Amount
}

// BookingID returns the id of the request that ev carried out, or "".
func (ev *Event) BookingID() string {
	switch ev.Kind {
	case KindAdjustment:
		return ev.Adjustment.ID
	case KindReset:
		return ev.Reset.ID
	}
	return ""
}

// Repeats reports whether ev is the result of a request with the same content. The actor is no part
// of it.
func (r *BookingRequest) Repeats(ev *Event) bool {
	if r.Kind == ResetTo {
		return ev.Kind == KindReset && ev.Reset.Cash == r.Amount && ev.Reset.Reason == r.Reason
	}
	return ev.Kind == KindAdjustment && ev.Adjustment.Cash == r.signed() && ev.Adjustment.Reason == r.Reason
}

// Title says what is asked, to begin a sentence with.
func (r *BookingRequest) Title() string {
	return fmt.Sprintf("%s %s, account %d", bookingVerbs[r.Kind], market.FormatMoney(r.Amount), r.Account)
}

// Sentence says why the request was refused and what would be right, or returns "" if it was not.
func (r *BookingRequest) Sentence(refusal Refusal) string {
	have := market.FormatMoney(refusal.Have)
	switch refusal.Reason {
	case NoRefusal:
		return ""
	case UnknownAccount:
		return fmt.Sprintf("%s: there is no such account; open it first", r.Title())
	case InsufficientCash:
		return fmt.Sprintf("%s: it has %s; withdraw at most that", r.Title(), have)
	default:
		return fmt.Sprintf("%s: it has %s, and a total would pass the largest the ledger holds; book less",
			r.Title(), have)
	}
}
