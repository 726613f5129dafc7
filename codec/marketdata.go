package codec

import (
	"strings"
	"time"

	"github.com/papertape/papertape/market"
)

// Bounds of requests for bars and trades.
const (
	secondsOfMinute = 60
	secondsOfDay    = 86_400
	tapeDefault     = 500
	tapeMost        = 1000
)

// calendarMost is how many days a CALENDAR request may span.
const calendarMost = 366

// BarsRequest is a BARS request.
type BarsRequest struct {
	Instrument market.ID
	Seconds    uint32 // 60 or 86400
	From, To   int64  // From <= time < To, in nanoseconds since the Unix epoch; 0: no bound
	Limit      int    // 1 to 1,000; 500 if the request does not say
}

// DecodeBarsRequest decodes a BARS request. An error is an *Error. It is fatal if the payload
// does not parse, and not fatal if something is out of range.
func DecodeBarsRequest(payload []byte, u *market.Universe) (BarsRequest, error) {
	var (
		r                BarsRequest
		marketName, code []byte
		limit            uint32
	)
	f := fields{rest: payload}
	for f.next() {
		switch f.num {
		case 1:
			marketName = f.text()
		case 2:
			code = f.text()
		case 3:
			r.Seconds = uint32(f.varint())
		case 4:
			r.From = int64(f.varint())
		case 5:
			r.To = int64(f.varint())
		case 6:
			limit = uint32(f.varint())
		}
	}
	if f.fault != noFault {
		return BarsRequest{}, f.check(TypeBars)
	}
	var err error
	if r.Instrument, err = lookup(marketName, code, u); err != nil {
		return BarsRequest{}, err
	}
	if r.Seconds != secondsOfMinute && r.Seconds != secondsOfDay {
		return BarsRequest{}, malformed("bars of %d seconds: there are those of 60 (a minute) and of 86400 (a day)",
			r.Seconds)
	}
	if r.Limit, err = tapeLimit(r.From, r.To, limit); err != nil {
		return BarsRequest{}, err
	}
	return r, nil
}

// TradesRequest is a TRADES request.
type TradesRequest struct {
	Instrument market.ID
	From       int64 // nanoseconds since the Unix epoch; 0: no bound
	Limit      int   // 1 to 1,000; 500 if the request does not say
}

// DecodeTradesRequest decodes a TRADES request, as DecodeBarsRequest does.
func DecodeTradesRequest(payload []byte, u *market.Universe) (TradesRequest, error) {
	var (
		r                TradesRequest
		marketName, code []byte
		limit            uint32
	)
	f := fields{rest: payload}
	for f.next() {
		switch f.num {
		case 1:
			marketName = f.text()
		case 2:
			code = f.text()
		case 3:
			r.From = int64(f.varint())
		case 4:
			limit = uint32(f.varint())
		}
	}
	if f.fault != noFault {
		return TradesRequest{}, f.check(TypeTrades)
	}
	var err error
	if r.Instrument, err = lookup(marketName, code, u); err != nil {
		return TradesRequest{}, err
	}
	if r.Limit, err = tapeLimit(r.From, 0, limit); err != nil {
		return TradesRequest{}, err
	}
	return r, nil
}

// lookup finds the instrument of a request.
func lookup(marketName, code []byte, u *market.Universe) (market.ID, error) {
	id, ok := u.Lookup(marketName, code)
	if !ok {
		return 0, unknownInstrument(`there is no instrument with market %s and code %s; `+
			`a key is like market "SH", code "600519"`, echo(marketName), echo(code))
	}
	return id, nil
}

// tapeLimit checks the bounds of a request for bars or trades, and returns how many are wanted.
func tapeLimit(from, to int64, limit uint32) (int, error) {
	switch {
	case from < 0 || to < 0:
		return 0, malformed("from is %d and to is %d; they must be nanoseconds since 1970, or 0 for no bound", from, to)
	case to != 0 && from > to:
		return 0, malformed("from is %d, after to, which is %d; it must not be", from, to)
	case limit > tapeMost:
		return 0, malformed("%d are asked for; ask for at most %d at once", limit, tapeMost)
	case limit == 0:
		return tapeDefault, nil
	}
	return int(limit), nil
}

// DecodeClockRequest returns the market that a CLOCK request names, in its canonical spelling.
// An error is an *Error. It is fatal if the payload does not parse, and not fatal if the
// universe has no such market.
func DecodeClockRequest(payload []byte, u *market.Universe) (string, error) {
	var name []byte
	f := fields{rest: payload}
	for f.next() {
		if f.num == 1 {
			name = f.text()
		}
	}
	if f.fault != noFault {
		return "", f.check(TypeClock)
	}
	return marketIn(u, name)
}

// marketIn returns the canonical spelling of a market of which the universe has an instrument.
func marketIn(u *market.Universe, name []byte) (string, error) {
	var markets []string
	for n := range u.Len() {
		i := u.At(market.ID(n))
		if id, ok := u.Lookup(name, []byte(i.Code)); ok {
			return u.At(id).Market, nil
		}
		if len(markets) == 0 || markets[len(markets)-1] != i.Market { // they are sorted by market
			markets = append(markets, i.Market)
		}
	}
	return "", unknownInstrument("there is no market %s here; it must be one of %s", echo(name),
		strings.Join(markets, ", "))
}

// CalendarRequest is a CALENDAR request.
type CalendarRequest struct {
	Market   string // in its canonical spelling
	From, To string // the first and the last date, as 2026-01-05; From is not after To
}

// DecodeCalendarRequest decodes a CALENDAR request. An error is an *Error. It is fatal if the
// payload does not parse, and not fatal for an unknown market, for dates that are none, and for
// more than 366 days.
func DecodeCalendarRequest(payload []byte, u *market.Universe) (CalendarRequest, error) {
	var name, from, to []byte
	f := fields{rest: payload}
	for f.next() {
		switch f.num {
		case 1:
			name = f.text()
		case 2:
			from = f.text()
		case 3:
			to = f.text()
		}
	}
	if f.fault != noFault {
		return CalendarRequest{}, f.check(TypeCalendar)
	}
	marketName, err := marketIn(u, name)
	if err != nil {
		return CalendarRequest{}, err
	}
	if err := checkDates(string(from), string(to)); err != nil {
		return CalendarRequest{}, err
	}
	return CalendarRequest{Market: marketName, From: string(from), To: string(to)}, nil
}

func checkDates(from, to string) error {
	first, errFrom := time.Parse(time.DateOnly, from)
	last, errTo := time.Parse(time.DateOnly, to)
	days := int(last.Sub(first)/(24*time.Hour)) + 1
	switch {
	case errFrom != nil:
		return malformed("from is %s; it must be a date like 2026-01-05", echo(from))
	case errTo != nil:
		return malformed("to is %s; it must be a date like 2026-01-05", echo(to))
	case days < 1:
		return malformed("from is %s, after to, which is %s; it must not be", from, to)
	case days > calendarMost:
		return malformed("the dates span %d days; ask for at most %d at once", days, calendarMost)
	}
	return nil
}

// AppendBars appends the reply to the BARS request with that id. Of bars that do not fit the
// frame it leaves out the last, and says that there are more; with newest it leaves out the
// first instead, and more stays as it is.
func AppendBars(dst []byte, id uint64, bars []market.Bar, more, newest bool) []byte {
	start := len(dst)
	dst = appendBars(dst, id, bars, more)
	for fit := len(bars); !fits(dst, start); {
		fit -= 1 + (len(dst)-start-LimitToClient)/barBytesMax
		if newest {
			bars = bars[len(bars)-fit:]
		} else {
			bars, more = bars[:fit], true
		}
		dst = appendBars(dst[:start], id, bars, more)
	}
	return endFrame(dst, start)
}

// barBytesMax is the most bytes that a bar takes: nine tags and lengths, seven numbers of 64 bits and one of 32.
const barBytesMax = 9 + 1 + 7*10 + 5

func appendBars(dst []byte, id uint64, bars []market.Bar, more bool) []byte {
	dst = beginFrame(dst, TypeBarsReply, FlagReply, id)
	for n := range bars {
		b := &bars[n]
		var at int
		dst, at = openMessage(dst, 1)
		dst = appendInt(dst, 1, b.Time)
		dst = appendInt(dst, 2, b.Open)
		dst = appendInt(dst, 3, b.High)
		dst = appendInt(dst, 4, b.Low)
		dst = appendInt(dst, 5, b.Close)
		dst = appendInt(dst, 6, b.Volume)
		dst = appendInt(dst, 7, b.Amount)
		dst = appendUint(dst, 8, uint64(b.Trades))
		dst = closeMessage(dst, at)
	}
	return appendBool(dst, 2, more)
}

// AppendTrades appends the reply to the TRADES request with that id. Up to 1,000 trades always
// fit the frame, and DecodeTradesRequest asks for no more.
func AppendTrades(dst []byte, id uint64, trades []market.TapeTrade, more bool) []byte {
	start := len(dst)
	dst = beginFrame(dst, TypeTradesReply, FlagReply, id)
	for n := range trades {
		t := &trades[n]
		var at int
		dst, at = openMessage(dst, 1)
		dst = appendInt(dst, 1, t.Time)
		dst = appendInt(dst, 2, t.Price)
		dst = appendInt(dst, 3, t.Size)
		dst = appendUint(dst, 4, t.Number)
		dst = closeMessage(dst, at)
	}
	dst = appendBool(dst, 2, more)
	return endFrame(dst, start)
}

// Clock answers a CLOCK request. Times are in nanoseconds since the Unix epoch.
type Clock struct {
	Time                int64
	Status              market.Status
	NextOpen, NextClose int64  // 0: none is known
	Zone                string // of the market, by IANA
	Tape                bool   // Time is that of a tape
}

// AppendClock appends the reply to the CLOCK request with that id.
func AppendClock(dst []byte, id uint64, c *Clock) []byte {
	start := len(dst)
	dst = beginFrame(dst, TypeClockReply, FlagReply, id)
	dst = appendInt(dst, 1, c.Time)
	dst = appendUint(dst, 2, uint64(c.Status))
	dst = appendInt(dst, 3, c.NextOpen)
	dst = appendInt(dst, 4, c.NextClose)
	dst = appendText(dst, 5, sentence(c.Zone))
	dst = appendBool(dst, 6, c.Tape)
	return endFrame(dst, start)
}

// CalendarDay is a trading day. Opens and Closes, in nanoseconds since the Unix epoch, have one
// pair for each of its sessions, of which there are at most six.
type CalendarDay struct {
	Date          string // 2026-01-05
	Opens, Closes []int64
	Presumed      bool // the exchange has not published it yet
}

// AppendCalendar appends the reply to the CALENDAR request with that id. 366 days always fit
// the frame, and DecodeCalendarRequest asks for no more.
func AppendCalendar(dst []byte, id uint64, days []CalendarDay) []byte {
	start := len(dst)
	dst = beginFrame(dst, TypeCalendarReply, FlagReply, id)
	for n := range days {
		d := &days[n]
		var at int
		dst, at = openMessage(dst, 1)
		dst = appendText(dst, 1, d.Date)
		dst = appendPacked(dst, 2, d.Opens)
		dst = appendPacked(dst, 3, d.Closes)
		dst = appendBool(dst, 4, d.Presumed)
		dst = closeMessage(dst, at)
	}
	return endFrame(dst, start)
}

// appendPacked appends a repeated int64 field, packed.
func appendPacked(dst []byte, num byte, values []int64) []byte {
	if len(values) == 0 {
		return dst
	}
	dst, at := openMessage(dst, num)
	for _, v := range values {
		dst = appendVarint(dst, uint64(v))
	}
	return closeMessage(dst, at)
}
