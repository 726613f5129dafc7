package codec

import (
	"strconv"

	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// AppendEvent appends an AccountEvent as one frame, an EVENT or an EXECUTION. Events
// identify instruments by their index in u. If dst has room, nothing is allocated. The
// event of a trade takes about 150 to 400 bytes. An operator's reason and name are made
// valid UTF-8 and cut at 1,024 bytes, so that the frame stays within its limit.
func AppendEvent(dst []byte, t Type, flags Flags, id uint64, ev *positions.Event, u *market.Universe) []byte {
	start := len(dst)
	dst = beginFrame(dst, t, flags, id)
	dst = appendEvent(dst, ev, u)
	return endFrame(dst, start)
}

func appendEvent(dst []byte, ev *positions.Event, u *market.Universe) []byte {
	dst = appendUint(dst, 1, ev.Account)
	dst = appendUint(dst, 2, ev.Seq)
	dst = appendInt(dst, 3, ev.Time)
	switch ev.Kind {
	case positions.KindTrade:
		dst = appendTrade(dst, 4, ev.Account, ev.Seq, &ev.Trade, u)
	case positions.KindBust:
		dst = appendBust(dst, 5, ev.Account, ev.Bust, u)
	case positions.KindAdjustment:
		dst = appendAdjustment(dst, 6, ev.Adjustment)
	}
	dst = appendUint(dst, 7, uint64(ev.Change))
	switch ev.Kind {
	case positions.KindTrade:
		dst = appendPosition(dst, 8, &ev.Position, u, named)
	case positions.KindBust:
		for n := range ev.Bust.Positions {
			dst = appendPosition(dst, 8, &ev.Bust.Positions[n], u, named)
		}
	case positions.KindReset:
		for _, id := range ev.Reset.Gone {
			gone := positions.Position{Row: positions.Row{Instrument: id}}
			dst = appendPosition(dst, 8, &gone, u, unnamed)
		}
	}
	dst = appendCash(dst, 9, &ev.Cash)
	dst = appendInt(dst, 10, ev.TotalMarketValue)
	if ev.Kind == positions.KindReset {
		dst = appendReset(dst, 14, ev.Reset)
	}
	return dst
}

// appendTrade appends the trade created by event seq of account.
func appendTrade(dst []byte, num byte, account, seq uint64, t *positions.Trade, u *market.Universe) []byte {
	i := u.At(t.Instrument)
	dst, at := openMessage(dst, num)
	dst = appendTradeID(dst, 1, account, seq)
	dst = appendUint(dst, 2, uint64(t.Side))
	dst = appendText(dst, 3, i.Market)
	dst = appendText(dst, 4, i.Code)
	dst = appendText(dst, 5, i.Name)
	dst = appendInt(dst, 6, t.Quantity)
	dst = appendInt(dst, 7, t.Price)
	dst = appendInt(dst, 8, t.Amount)
	dst = appendInt(dst, 9, t.Fees)
	dst = appendUint(dst, 10, uint64(t.Origin))
	dst = appendText(dst, 11, t.OrderID.Bytes())
	dst = appendUint(dst, 12, uint64(t.Revision))
	return closeMessage(dst, at)
}

// appendTradeID appends a string field with the name of a trade: account-seq, at most 41
// bytes.
func appendTradeID(dst []byte, num byte, account, seq uint64) []byte {
	dst, at := openMessage(dst, num)
	dst = strconv.AppendUint(dst, account, 10)
	dst = append(dst, '-')
	dst = strconv.AppendUint(dst, seq, 10)
	return closeMessage(dst, at)
}

func appendBust(dst []byte, num byte, account uint64, b *positions.Bust, u *market.Universe) []byte {
	dst, at := openMessage(dst, num)
	dst = appendTradeID(dst, 1, account, b.TradeSeq)
	dst = appendText(dst, 2, sentence(b.Reason))
	dst = appendText(dst, 3, sentence(b.Actor))
	dst = appendTrade(dst, 4, account, b.TradeSeq, &b.Original, u)
	if b.Replacement != nil {
		dst = appendTrade(dst, 5, account, b.TradeSeq, b.Replacement, u)
	}
	dst = appendText(dst, 6, validText(b.ID))
	for _, seq := range b.Cascade {
		dst = appendTradeID(dst, 7, account, seq)
	}
	return closeMessage(dst, at)
}

func appendAdjustment(dst []byte, num byte, a *positions.Adjustment) []byte {
	dst, at := openMessage(dst, num)
	dst = appendInt(dst, 1, a.Cash)
	dst = appendText(dst, 2, sentence(a.Reason))
	dst = appendText(dst, 3, sentence(a.Actor))
	return closeMessage(dst, at)
}

func appendReset(dst []byte, num byte, r *positions.Reset) []byte {
	dst, at := openMessage(dst, num)
	dst = appendInt(dst, 1, r.Cash)
	dst = appendText(dst, 2, sentence(r.Reason))
	dst = appendText(dst, 3, sentence(r.Actor))
	return closeMessage(dst, at)
}

// Whether a position includes the name of its instrument.
const (
	named   = true
	unnamed = false
)

func appendPosition(dst []byte, num byte, p *positions.Position, u *market.Universe, withName bool) []byte {
	i := u.At(p.Instrument)
	dst, at := openMessage(dst, num)
	dst = appendText(dst, 1, i.Market)
	dst = appendText(dst, 2, i.Code)
	if withName {
		dst = appendText(dst, 3, i.Name)
	}
	dst = appendInt(dst, 4, p.Quantity)
	dst = appendInt(dst, 5, p.Sellable)
	dst = appendInt(dst, 6, p.Price)
	dst = appendInt(dst, 7, p.MarketValue())
	dst = appendInt(dst, 8, p.Cost)
	dst = appendInt(dst, 9, p.Realised)
	dst = appendUint(dst, 10, p.Version)
	return closeMessage(dst, at)
}

func appendCash(dst []byte, num byte, c *positions.Cash) []byte {
	dst, at := openMessage(dst, num)
	dst = appendInt(dst, 1, c.Balance)
	dst = appendInt(dst, 2, c.FeesPaid)
	dst = appendInt(dst, 3, c.Realised)
	return closeMessage(dst, at)
}
