package codec

import (
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// AppendWelcome appends a WELCOME. Its text must be valid UTF-8.
func AppendWelcome(dst []byte, w *papertapev1.Welcome) []byte {
	return Append(dst, TypeWelcome, 0, 0, w)
}

// LoginReply answers a LOGIN. Holdings is set only with SNAPSHOT.
type LoginReply struct {
	Account   uint64
	HeadSeq   uint64 // newest durable sequence of the account; 0: none
	OldestSeq uint64 // oldest sequence that can be replayed; 0: none
	Epoch     uint64
	Mode      papertapev1.ResumeMode // what the server does
	Resynced  bool                   // RESUME was requested but was not possible
	Holdings  *positions.Holdings
}

// AppendLoginReply appends the reply to the LOGIN with that id. It omits the names of
// instruments in the same case as AppendHoldings.
func AppendLoginReply(dst []byte, id uint64, r *LoginReply, u *market.Universe) []byte {
	start := len(dst)
	dst = appendLoginReply(dst, id, r, u, named)
	if !fits(dst, start) {
		dst = appendLoginReply(dst[:start], id, r, u, unnamed)
	}
	return endFrame(dst, start)
}

func appendLoginReply(dst []byte, id uint64, r *LoginReply, u *market.Universe, withNames bool) []byte {
	dst = beginFrame(dst, TypeLoginReply, FlagReply, id)
	dst = appendUint(dst, 1, r.Account)
	dst = appendUint(dst, 2, r.HeadSeq)
	dst = appendUint(dst, 3, r.OldestSeq)
	dst = appendFixed64(dst, 4, r.Epoch)
	dst = appendInt(dst, 5, int64(r.Mode))
	dst = appendBool(dst, 6, r.Resynced)
	if r.Holdings == nil {
		return dst
	}
	dst, at := openMessage(dst, 7)
	dst = appendHoldings(dst, r.Holdings, u, withNames)
	return closeMessage(dst, at)
}

// AppendHoldings appends the reply to the HOLDINGS request with that id. The rows of an
// account always fit the frame. If the account holds the maximum number of rows, with names
// and codes of full length and numbers near the limit of 64 bits, the names are omitted to
// make them fit.
func AppendHoldings(dst []byte, id uint64, h *positions.Holdings, u *market.Universe) []byte {
	start := len(dst)
	dst = appendHoldings(beginFrame(dst, TypeHoldingsReply, FlagReply, id), h, u, named)
	if !fits(dst, start) {
		dst = appendHoldings(beginFrame(dst[:start], TypeHoldingsReply, FlagReply, id), h, u, unnamed)
	}
	return endFrame(dst, start)
}

func appendHoldings(dst []byte, h *positions.Holdings, u *market.Universe, withNames bool) []byte {
	dst = appendUint(dst, 1, h.Account)
	dst = appendUint(dst, 2, h.Seq)
	for n := range h.Positions {
		dst = appendPosition(dst, 3, &h.Positions[n], u, withNames)
	}
	dst = appendInt(dst, 4, h.TotalMarketValue)
	dst = appendCash(dst, 5, &h.Cash)
	return appendFixed64(dst, 6, h.Hash)
}

// fits reports whether the frame that starts at start is within the limit for clients.
func fits(dst []byte, start int) bool { return len(dst)-start-lengthBytes <= LimitToClient }

// AppendHistory appends the reply to the HISTORY request with that id: as many of the
// events as fit, in the given order, which is newest first. oldest is the oldest sequence
// that is kept.
func AppendHistory(dst []byte, id uint64, events []*positions.Event, oldest uint64, u *market.Universe) []byte {
	const oldestBytes = 1 + 10 // the maximum size of oldest_seq, which follows the events
	start := len(dst)
	dst = beginFrame(dst, TypeHistoryReply, FlagReply, id)
	for _, ev := range events {
		before := len(dst)
		var at int
		dst, at = openMessage(dst, 1)
		dst = appendEvent(dst, ev, u)
		dst = closeMessage(dst, at)
		if len(dst)-start-lengthBytes+oldestBytes > LimitToClient {
			dst = dst[:before]
			break
		}
	}
	dst = appendUint(dst, 2, oldest)
	return endFrame(dst, start)
}

// AppendReject appends a REJECT. It answers the request with that id, or no request if id
// is 0. text is made valid UTF-8 and cut at 1,024 bytes. retryAfter is sent in whole
// milliseconds, rounded up; 0 means not given.
func AppendReject(dst []byte, id uint64, code papertapev1.RejectCode, text string, retryAfter time.Duration) []byte {
	start := len(dst)
	var flags Flags
	if id != 0 {
		flags = FlagReply
	}
	dst = beginFrame(dst, TypeReject, flags, id)
	dst = appendInt(dst, 1, int64(code))
	dst = appendText(dst, 2, sentence(text))
	dst = appendUint(dst, 3, milliseconds(retryAfter))
	return endFrame(dst, start)
}

// AppendGoodbye appends a GOODBYE. It treats text and retryAfter as AppendReject does.
func AppendGoodbye(dst []byte, reason papertapev1.GoodbyeReason, text string, retryAfter time.Duration) []byte {
	start := len(dst)
	dst = beginFrame(dst, TypeGoodbye, 0, 0)
	dst = appendInt(dst, 1, int64(reason))
	dst = appendText(dst, 2, sentence(text))
	dst = appendUint(dst, 3, milliseconds(retryAfter))
	return endFrame(dst, start)
}

// AppendPing appends a PING. A server sends the account's newest sequence so far, a client
// sends 0.
func AppendPing(dst []byte, id, headSeq uint64) []byte {
	start := len(dst)
	dst = beginFrame(dst, TypePing, 0, id)
	dst = appendUint(dst, 1, headSeq)
	return endFrame(dst, start)
}

// AppendPong appends the reply to the PING with that id. headSeq is as for AppendPing.
func AppendPong(dst []byte, id, headSeq uint64) []byte {
	start := len(dst)
	dst = beginFrame(dst, TypePong, FlagReply, id)
	dst = appendUint(dst, 1, headSeq)
	return endFrame(dst, start)
}

// AppendInstruments appends the reply to the INSTRUMENTS request with that id: as many of the
// instruments as fit. If some do not, the reply says that there are more. Those that a
// request of at most LimitAfterLogin names by their codes always fit.
func AppendInstruments(
	dst []byte, id uint64, r *InstrumentsRequest, prices *market.Prices, u *market.Universe,
) []byte {
	const moreBytes = 2 // of the field that follows the instruments
	start := len(dst)
	dst = beginFrame(dst, TypeInstrumentsReply, FlagReply, id)
	more := r.More
	for _, which := range r.IDs {
		before := len(dst)
		var at int
		dst, at = openMessage(dst, 1)
		dst = closeMessage(appendInstrument(dst, which, prices, u), at)
		if len(dst)-start-lengthBytes+moreBytes > LimitToClient {
			dst, more = dst[:before], true
			break
		}
	}
	dst = appendBool(dst, 2, more)
	return endFrame(dst, start)
}

func appendInstrument(dst []byte, id market.ID, prices *market.Prices, u *market.Universe) []byte {
	i := u.At(id)
	dst = appendText(dst, 1, i.Market)
	dst = appendText(dst, 2, i.Code)
	dst = appendText(dst, 3, i.Name)
	dst = appendInt(dst, 4, prices.At(id))
	dst = appendInt(dst, 5, i.PreviousClose)
	dst = appendUint(dst, 6, uint64(i.Lot))
	dst = appendInt(dst, 7, i.Tick)
	dst = appendText(dst, 8, i.Currency())
	if i.LimitBps > 0 {
		lower, upper := prices.Limits(id)
		dst = appendInt(dst, 9, upper)
		dst = appendInt(dst, 10, lower)
	}
	dst = appendInt(dst, 11, int64(prices.Status(id))) // the numbers are the same
	return appendText(dst, 12, i.ExchangeMIC())
}

// AppendSubscribed appends the reply to the SUBSCRIBE request with that id: what is now
// switched on.
func AppendSubscribed(dst []byte, id uint64, s Subscribe) []byte {
	start := len(dst)
	dst = beginFrame(dst, TypeSubscribed, FlagReply, id)
	dst = appendBool(dst, 1, s.Quotes)
	dst = appendBool(dst, 2, s.Presence)
	return endFrame(dst, start)
}

// AppendPresence appends a PRESENCE: a session of account came online or went offline, and
// the account now has that many sessions.
func AppendPresence(dst []byte, account, uid uint64, online bool, sessions uint32) []byte {
	return Append(dst, TypePresence, 0, 0, &papertapev1.Presence{Account: account, Uid: uid, Online: online,
		Sessions: sessions})
}
