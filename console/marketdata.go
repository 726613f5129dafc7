package console

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/papertape/papertape/market"
)

// Bars are bars of an instrument, by time.
type Bars struct {
	Market  string `json:"market"`
	Code    string `json:"code"`
	Seconds uint32 `json:"seconds"`
	Bars    []Bar  `json:"bars"`
	More    bool   `json:"more"` // there are later ones
}

// Bar is what was traded in a minute or on a day.
type Bar struct {
	Time   time.Time `json:"time"` // when it begins
	Open   Money     `json:"open"`
	High   Money     `json:"high"`
	Low    Money     `json:"low"`
	Close  Money     `json:"close"`
	Volume int64     `json:"volume"`
	Amount Money     `json:"amount"`
	Trades uint32    `json:"trades"`
}

// Tape are the newest trades of an instrument, by time.
type Tape struct {
	Market string      `json:"market"`
	Code   string      `json:"code"`
	Trades []TapeTrade `json:"trades"`
	More   bool        `json:"more"` // there are later ones
}

// TapeTrade is a trade that the feed told of.
type TapeTrade struct {
	Number uint64    `json:"number"` // of the instrument's trades since the server's start, from 1
	Time   time.Time `json:"time"`
	Price  Money     `json:"price"`
	Size   int64     `json:"size"`
}

// Clock is the time of a market.
type Clock struct {
	Market    string     `json:"market"`
	Time      time.Time  `json:"time"`
	Status    string     `json:"status"` // open, closed, auction
	NextOpen  *time.Time `json:"next_open,omitempty"`
	NextClose *time.Time `json:"next_close,omitempty"`
	Zone      string     `json:"zone"`
	Tape      bool       `json:"tape"` // the time is that of a tape
}

// Calendar are the dates of a market.
type Calendar struct {
	Market string        `json:"market"`
	Days   []CalendarDay `json:"days"`
}

// CalendarDay is a date with its sessions, none if the market is closed.
type CalendarDay struct {
	Date     string            `json:"date"`
	Sessions []CalendarSession `json:"sessions"`
	Presumed bool              `json:"presumed"` // the exchange has not published that day yet
}

// CalendarSession is when a market trades.
type CalendarSession struct {
	Open  time.Time `json:"open"`
	Close time.Time `json:"close"`
}

var (
	barsQuery     = acceptParameters(text("instrument"), barLength(), moment("from"), moment("to"), number("limit"))
	tapeQuery     = acceptParameters(text("instrument"), moment("from"), number("limit"))
	clockQuery    = acceptParameters(text("market"))
	calendarQuery = acceptParameters(text("market"), date("from"), date("to"))
)

// barSeconds are the lengths of bars by the words for them.
var barSeconds = map[string]uint32{"": 60, "60": 60, "86400": 86400}

func barLength() parameter {
	return parameter{name: "seconds", check: func(value string) error {
		if barSeconds[value] == 0 {
			return fmt.Errorf("there are no bars of %q seconds; it is 60 or 86400", clip(value))
		}
		return nil
	}}
}

// date is a parameter that takes a date.
func date(name string) parameter {
	return parameter{name: name, check: func(value string) error {
		if _, err := time.Parse(time.DateOnly, value); err != nil {
			return fmt.Errorf("%q is not a date; write it as in 2026-11-30", clip(value))
		}
		return nil
	}}
}

// queryTime returns a time from a query that has been checked, 0 if it is not there or out of range.
func queryTime(r *http.Request, name string) int64 {
	at, err := time.Parse(time.RFC3339Nano, r.URL.Query().Get(name))
	if err != nil || at.Year() < 1970 || at.Year() > 2261 { // what 64 bits of nanoseconds hold
		return 0
	}
	return at.UnixNano()
}

// instrumentAsked reads the instrument in the query. If there is no such, it answers so and ok is false.
func (s *Server) instrumentAsked(w http.ResponseWriter, r *http.Request) (id market.ID, ok bool) {
	name := r.URL.Query().Get("instrument")
	if name == "" {
		badRequest(w, "the instrument is missing; write ?instrument=SH.600519")
		return 0, false
	}
	id, err := s.instrumentNamed(name)
	if err != nil {
		fail(w, http.StatusNotFound, codeUnknownInstrument, err.Error()+"; GET /api/v1/instruments lists them")
		return 0, false
	}
	if s.cfg.Bars == nil {
		fail(w, http.StatusConflict, codeConflict, "this server keeps no bars")
		return 0, false
	}
	return id, true
}

func queryLimit(r *http.Request) int { return int(min(queryNumber(r, "limit"), math.MaxInt32)) }

func (s *Server) bars(w http.ResponseWriter, r *http.Request) {
	id, ok := s.instrumentAsked(w, r)
	if !ok {
		return
	}
	length := barSeconds[r.URL.Query().Get("seconds")]
	list, more := s.cfg.Bars.Bars(id, length, queryTime(r, "from"), queryTime(r, "to"), queryLimit(r))
	in := s.cfg.Universe.At(id)
	all := Bars{Market: in.Market, Code: in.Code, Seconds: length, Bars: make([]Bar, len(list)), More: more}
	for i := range list {
		b := &list[i]
		all.Bars[i] = Bar{
			Time: time.Unix(0, b.Time).UTC(), Open: Money(b.Open), High: Money(b.High), Low: Money(b.Low),
			Close: Money(b.Close), Volume: b.Volume, Amount: Money(b.Amount), Trades: b.Trades,
		}
	}
	answer(w, all)
}

func (s *Server) tape(w http.ResponseWriter, r *http.Request) {
	id, ok := s.instrumentAsked(w, r)
	if !ok {
		return
	}
	list, more := s.cfg.Bars.Trades(id, queryTime(r, "from"), queryLimit(r))
	in := s.cfg.Universe.At(id)
	all := Tape{Market: in.Market, Code: in.Code, Trades: make([]TapeTrade, len(list)), More: more}
	for i := range list {
		t := &list[i]
		all.Trades[i] = TapeTrade{t.Number, time.Unix(0, t.Time).UTC(), Money(t.Price), t.Size}
	}
	answer(w, all)
}

// marketAsked reads the market in the query. If it is not traded here, it answers so and ok is false.
func (s *Server) marketAsked(w http.ResponseWriter, r *http.Request) (name string, ok bool) {
	asked := r.URL.Query().Get("market")
	u := s.cfg.Universe
	for n := range u.Len() {
		in := u.At(market.ID(n)) //nolint:gosec // an index
		if id, same := u.Lookup([]byte(asked), []byte(in.Code)); same {
			return u.At(id).Market, true
		}
	}
	badRequest(w, fmt.Sprintf("%q is no market that is traded here; write ?market=%s", clip(asked), u.At(0).Market))
	return "", false
}

var errNoHours = errors.New("this server keeps no market hours")

func (s *Server) clock(w http.ResponseWriter, r *http.Request) {
	name, ok := s.marketAsked(w, r)
	if !ok {
		return
	}
	if s.cfg.Clock == nil {
		fail(w, http.StatusConflict, codeConflict, errNoHours.Error())
		return
	}
	c := s.cfg.Clock(name)
	answer(w, Clock{
		Market: name, Time: time.Unix(0, c.Time).UTC(), Status: c.Status.String(), NextOpen: timeAt(c.NextOpen),
		NextClose: timeAt(c.NextClose), Zone: c.Zone, Tape: c.Tape,
	})
}

func (s *Server) calendar(w http.ResponseWriter, r *http.Request) {
	name, ok := s.marketAsked(w, r)
	if !ok {
		return
	}
	if s.cfg.Calendar == nil {
		fail(w, http.StatusConflict, codeConflict, errNoHours.Error())
		return
	}
	from, to := r.URL.Query().Get("from"), r.URL.Query().Get("to")
	if from == "" || to == "" {
		badRequest(w, "the dates are missing; write ?from=2026-11-01&to=2026-11-30")
		return
	}
	days, err := s.cfg.Calendar(name, from, to)
	if err != nil {
		badRequest(w, err.Error())
		return
	}
	all := Calendar{Market: name, Days: make([]CalendarDay, len(days))}
	for i, d := range days {
		all.Days[i] = CalendarDay{Date: d.Date, Presumed: d.Presumed, Sessions: make([]CalendarSession, len(d.Opens))}
		for n := range d.Opens {
			all.Days[i].Sessions[n] = CalendarSession{time.Unix(0, d.Opens[n]).UTC(), time.Unix(0, d.Closes[n]).UTC()}
		}
	}
	answer(w, all)
}
