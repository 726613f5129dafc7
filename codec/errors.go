package codec

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/positions"
)

// Error says why a frame was refused, as a REJECT tells the client. After a fatal error the
// server sends GOODBYE PROTOCOL and closes the connection; otherwise the connection stays
// open.
type Error struct {
	Code  papertapev1.RejectCode
	Text  string // a sentence for people: what was wrong and what would be right
	Fatal bool
}

// Error returns the code's name and the sentence.
func (e *Error) Error() string {
	return strings.TrimPrefix(e.Code.String(), "REJECT_CODE_") + ": " + e.Text
}

// malformed returns the error for a field out of range. The connection stays open.
func malformed(format string, args ...any) *Error {
	return &Error{Code: papertapev1.RejectCode_REJECT_CODE_MALFORMED, Text: fmt.Sprintf(format, args...)}
}

// unknownInstrument returns the error for a key that the universe does not have.
func unknownInstrument(format string, args ...any) *Error {
	return &Error{Code: papertapev1.RejectCode_REJECT_CODE_UNKNOWN_INSTRUMENT, Text: fmt.Sprintf(format, args...)}
}

// maxEchoBytes bounds how much of its own input a client gets back, so that a reject is no
// larger than what caused it.
const maxEchoBytes = 32

// echo quotes what a client sent, as valid UTF-8 without control characters, shortened if
// long.
func echo[T string | []byte](asked T) string {
	if len(asked) <= maxEchoBytes {
		return strconv.Quote(string(asked))
	}
	end := maxEchoBytes
	for end > maxEchoBytes-utf8.UTFMax && !utf8.RuneStart(asked[end]) {
		end--
	}
	return strconv.Quote(string(asked[:end])) + "…"
}

// CodeOf returns the reject code for a refusal by the book. Too many rows is BAD_QUANTITY,
// because the account cannot buy any quantity of another instrument. NoRefusal has no code:
// UNSPECIFIED.
func CodeOf(r positions.Reason) papertapev1.RejectCode {
	switch r {
	case positions.NoRefusal:
		return papertapev1.RejectCode_REJECT_CODE_UNSPECIFIED
	case positions.UnknownAccount:
		return papertapev1.RejectCode_REJECT_CODE_UNKNOWN_ACCOUNT
	case positions.BadQuantity, positions.TooManyRows:
		return papertapev1.RejectCode_REJECT_CODE_BAD_QUANTITY
	case positions.BadPrice:
		return papertapev1.RejectCode_REJECT_CODE_BAD_PRICE
	case positions.InsufficientShares:
		return papertapev1.RejectCode_REJECT_CODE_INSUFFICIENT_SHARES
	case positions.InsufficientCash:
		return papertapev1.RejectCode_REJECT_CODE_INSUFFICIENT_CASH
	case positions.LimitNotMarketable:
		return papertapev1.RejectCode_REJECT_CODE_LIMIT_NOT_MARKETABLE
	case positions.MarketClosed:
		return papertapev1.RejectCode_REJECT_CODE_MARKET_CLOSED
	}
	return papertapev1.RejectCode_REJECT_CODE_INTERNAL
}
