package positions

import (
	"fmt"

	"github.com/papertape/papertape/market"
)

// Reason says why an order was refused.
type Reason uint8

// The reasons. Each comment says what Have and Need of the Refusal are; otherwise they are
// 0.
const (
	NoRefusal      Reason = iota
	UnknownAccount        // the account is not open
	// BadQuantity: the quantity is not 1 to Need shares, or an amount or total would not
	// fit 64 bits at the price Have. For an adjustment, Have is the balance and Need the
	// booking.
	BadQuantity
	BadPrice           // the limit, Have, is negative
	InsufficientShares // the account holds Have, the order sells Need
	// InsufficientCash: the balance is Have, the order costs Need including fees. For an
	// adjustment, Need is the booking.
	InsufficientCash
	LimitNotMarketable // the price is Have, the limit is Need
	TooManyRows        // the account holds Have instruments, the maximum is Need
	MarketClosed       // it is outside the instrument's trading hours
)

// String returns the reason's name, for logs and tests.
func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return fmt.Sprintf("Reason(%d)", uint8(r))
}

var reasonNames = [...]string{
	NoRefusal: "NoRefusal", UnknownAccount: "UnknownAccount", BadQuantity: "BadQuantity", BadPrice: "BadPrice",
	InsufficientShares: "InsufficientShares", InsufficientCash: "InsufficientCash",
	LimitNotMarketable: "LimitNotMarketable", TooManyRows: "TooManyRows", MarketClosed: "MarketClosed",
}

// Refusal says why an order was refused. It is a value of 24 bytes that needs no
// allocation, so refusing is as cheap as filling. Its sentence is made only if someone
// reads it. The zero value means that nothing was refused.
type Refusal struct {
	Reason     Reason
	Have, Need int64 // meaning depends on Reason
}

// Sentence says what was wrong with o and what would be right, or returns "" if nothing was
// refused. u is the universe of the book that refused it.
func (r Refusal) Sentence(o *Order, u *market.Universe) string {
	if r.Reason == NoRefusal {
		return ""
	}
	instrument := u.At(o.Instrument)
	verb := "buy"
	if o.Side == Sell {
		verb = "sell"
	}
	order := fmt.Sprintf("%s %d %s %s", verb, o.Quantity, instrument.Market, instrument.Code)
	if o.Limit != 0 {
		order += " at limit " + market.FormatMoney(o.Limit)
	}
	return order + ": " + r.because(o)
}

func (r Refusal) because(o *Order) string {
	have, need := market.FormatMoney(r.Have), market.FormatMoney(r.Need)
	switch r.Reason {
	case UnknownAccount:
		return fmt.Sprintf("account %d is not open; use an account that is, or have this one opened", o.Account)
	case BadQuantity:
		if o.Quantity <= 0 || o.Quantity > r.Need {
			return fmt.Sprintf("the quantity must be 1 to %d shares", r.Need)
		}
		return fmt.Sprintf("at %s the amount, or a total of account %d, would pass the largest the ledger holds; "+
			"order fewer shares", have, o.Account)
	case BadPrice:
		return "a limit cannot be negative; give one above 0, or 0 for a market order"
	case InsufficientShares:
		return fmt.Sprintf("account %d holds %d", o.Account, r.Have)
	case InsufficientCash:
		return fmt.Sprintf("it takes %s and account %d has %s; order fewer shares, or sell something first",
			need, o.Account, have)
	case LimitNotMarketable:
		move := "raise"
		if o.Side == Sell {
			move = "lower"
		}
		return fmt.Sprintf("the price is %s; %s the limit to %s or send a market order (limit 0)", have, move, have)
	case TooManyRows:
		return fmt.Sprintf("account %d holds %d instruments, the most it can; sell all of one first", o.Account, r.Have)
	case MarketClosed:
		return "the market is closed; send it again when it is open"
	}
	return "refused: " + r.Reason.String()
}

// AdjustmentSentence is Sentence for a refused adjustment of an account.
func (r Refusal) AdjustmentSentence(account uint64) string {
	book, have := market.FormatMoney(r.Need), market.FormatMoney(r.Have)
	switch r.Reason {
	case NoRefusal:
		return ""
	case InsufficientCash:
		return fmt.Sprintf("book %s: account %d has %s; take out at most that", book, account, have)
	default:
		return fmt.Sprintf("book %s: account %d has %s, and a total would pass the largest the ledger holds; book less",
			book, account, have)
	}
}
