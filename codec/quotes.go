package codec

import (
	"github.com/papertape/papertape/market"
)

// Numbers of quotes that always fit a frame.
const (
	quotesPerFrame         = 1000
	detailedQuotesPerFrame = 480
)

// The most bytes that one quote takes. So many as fit LimitToClient by these are one frame.
const (
	QuoteBytesMax         = LimitToClient/quotesPerFrame + 1
	DetailedQuoteBytesMax = LimitToClient/detailedQuotesPerFrame + 1
)

// AppendQuotes appends the last prices of ids as QUOTES, in several frames if there are more
// than 1,000.
func AppendQuotes(dst []byte, ids []market.ID, prices *market.Prices, u *market.Universe) []byte {
	for len(ids) > quotesPerFrame {
		dst = appendQuotes(dst, ids[:quotesPerFrame], prices, u)
		ids = ids[quotesPerFrame:]
	}
	return appendQuotes(dst, ids, prices, u)
}

func appendQuotes(dst []byte, ids []market.ID, prices *market.Prices, u *market.Universe) []byte {
	start := len(dst)
	dst = beginFrame(dst, TypeQuotes, 0, 0)
	for _, id := range ids {
		i := u.At(id)
		var at int
		dst, at = openMessage(dst, 1)
		dst = appendText(dst, 1, i.Market)
		dst = appendText(dst, 2, i.Code)
		dst = appendInt(dst, 3, prices.At(id))
		dst = appendInt(dst, 4, prices.Time())
		dst = closeMessage(dst, at)
	}
	return endFrame(dst, start)
}

// AppendDetailedQuotes appends all that is known of ids as QUOTES, in several frames if there
// are more than 480. The time of each is that of its instrument's last change.
func AppendDetailedQuotes(dst []byte, ids []market.ID, prices *market.Prices, u *market.Universe) []byte {
	for len(ids) > detailedQuotesPerFrame {
		dst = appendDetailedQuotes(dst, ids[:detailedQuotesPerFrame], prices, u)
		ids = ids[detailedQuotesPerFrame:]
	}
	return appendDetailedQuotes(dst, ids, prices, u)
}

func appendDetailedQuotes(dst []byte, ids []market.ID, prices *market.Prices, u *market.Universe) []byte {
	start := len(dst)
	dst = beginFrame(dst, TypeQuotes, 0, 0)
	for _, id := range ids {
		q := prices.Quote(id)
		dst = appendDetailedQuote(dst, u.At(id), &q)
	}
	return endFrame(dst, start)
}

func appendDetailedQuote(dst []byte, i *market.Instrument, q *market.Quote) []byte {
	dst, at := openMessage(dst, 1)
	dst = appendText(dst, 1, i.Market)
	dst = appendText(dst, 2, i.Code)
	dst = appendInt(dst, 3, q.Last)
	dst = appendInt(dst, 4, q.Time)
	dst = appendInt(dst, 5, q.Bid)
	dst = appendInt(dst, 6, q.Ask)
	dst = appendInt(dst, 7, q.BidSize)
	dst = appendInt(dst, 8, q.AskSize)
	dst = appendInt(dst, 9, q.Size)
	dst = appendInt(dst, 10, q.Open)
	dst = appendInt(dst, 11, q.High)
	dst = appendInt(dst, 12, q.Low)
	dst = appendInt(dst, 13, q.Volume)
	dst = appendInt(dst, 14, q.PreviousClose)
	dst = appendInt(dst, 15, int64(q.Status))
	return closeMessage(dst, at)
}
