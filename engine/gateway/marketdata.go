package gateway

import (
	"fmt"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/market"
)

// Bars keeps what was traded. Its methods are called on the event loops: they must not block. Times are in nanoseconds
// since the Unix epoch.
type Bars interface {
	// Bars returns the bars of so many seconds (60 or 86400) whose time is in from <= time < to, ascending; 0 is no
	// bound. With from they are the first limit of them, else the last limit. more says that there are later ones.
	Bars(id market.ID, seconds uint32, from, to int64, limit int) (bars []market.Bar, more bool)
	// Trades returns trades in the same way.
	Trades(id market.ID, from int64, limit int) (trades []market.TapeTrade, more bool)
}

// ClockState is the time of a market, and what comes next there. Times are in nanoseconds since the Unix epoch.
type ClockState struct {
	Time                int64 // the server's, in which orders are executed
	Status              market.Status
	NextOpen, NextClose int64  // 0: none is known
	Zone                string // by IANA
	Tape                bool   // Time is that of a tape
}

// CalendarDay is a trading day. Opens and Closes, in nanoseconds since the Unix epoch, have one pair for each of its
// sessions, of which there are at most six.
type CalendarDay struct {
	Date          string // 2026-01-05
	Opens, Closes []int64
	Presumed      bool // the exchange has not published it yet
}

// lacks answers a request for what the server does not have.
func (l *loop) lacks(s *Session, f codec.Frame, what string) {
	l.reject(s, f.ID, papertapev1.RejectCode_REJECT_CODE_UNKNOWN_TYPE,
		fmt.Sprintf("%v: this server keeps no %s", f.Type, what))
}

func bars(l *loop, s *Session, f codec.Frame) {
	in, err := codec.DecodeBarsRequest(f.Payload, l.gw.cfg.Universe)
	switch {
	case err != nil:
		l.refuse(s, f, err)
	case l.gw.cfg.Bars == nil:
		l.lacks(s, f, "bars")
	default:
		list, more := l.gw.cfg.Bars.Bars(in.Instrument, in.Seconds, in.From, in.To, in.Limit)
		l.frame = codec.AppendBars(l.frame[:0], f.ID, list, more, in.From == 0)
		l.reply(s)
	}
}

func trades(l *loop, s *Session, f codec.Frame) {
	in, err := codec.DecodeTradesRequest(f.Payload, l.gw.cfg.Universe)
	switch {
	case err != nil:
		l.refuse(s, f, err)
	case l.gw.cfg.Bars == nil:
		l.lacks(s, f, "trades")
	default:
		list, more := l.gw.cfg.Bars.Trades(in.Instrument, in.From, in.Limit)
		l.frame = codec.AppendTrades(l.frame[:0], f.ID, list, more)
		l.reply(s)
	}
}

func clock(l *loop, s *Session, f codec.Frame) {
	name, err := codec.DecodeClockRequest(f.Payload, l.gw.cfg.Universe)
	switch {
	case err != nil:
		l.refuse(s, f, err)
	case l.gw.cfg.Clock == nil:
		l.lacks(s, f, "market hours")
	default:
		state := codec.Clock(l.gw.cfg.Clock(name))
		l.frame = codec.AppendClock(l.frame[:0], f.ID, &state)
		l.reply(s)
	}
}

func calendar(l *loop, s *Session, f codec.Frame) {
	in, err := codec.DecodeCalendarRequest(f.Payload, l.gw.cfg.Universe)
	switch {
	case err != nil:
		l.refuse(s, f, err)
		return
	case l.gw.cfg.Calendar == nil:
		l.lacks(s, f, "calendar")
		return
	}
	days, err := l.gw.cfg.Calendar(in.Market, in.From, in.To)
	if err != nil {
		l.reject(s, f.ID, papertapev1.RejectCode_REJECT_CODE_MALFORMED, err.Error())
		return
	}
	wired := make([]codec.CalendarDay, len(days))
	for i, d := range days {
		wired[i] = codec.CalendarDay(d)
	}
	l.frame = codec.AppendCalendar(l.frame[:0], f.ID, wired)
	l.reply(s)
}
