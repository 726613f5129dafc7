package console

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/papertape/papertape/market"
)

const (
	quotesPath       = "/api/v1/quotes"
	quotesDefault    = 1000
	quotesMost       = 5000
	updatesMax       = 1000    // of one request
	updatesBytesMax  = 1 << 20 // of its body
	problemsAnswered = 10
)

// Market takes quotes from outside.
type Market interface {
	// Apply applies updates in their order and says what became of each. An update whose Time is 0 is of
	// now. The error is a sentence that says why this server takes none, ErrNotReady, or that of ctx.
	Apply(ctx context.Context, updates []market.Update) ([]market.Outcome, error)
}

// Quotes is a page of quotes, by market and code. The next one begins after the last of this one.
type Quotes struct {
	Quotes []Quote `json:"quotes"`
	More   bool    `json:"more"`
}

// Quote is what an instrument is bought and sold for. An amount of 0.00 is not there.
type Quote struct {
	Market        string     `json:"market"`
	Code          string     `json:"code"`
	Name          string     `json:"name"`
	Status        string     `json:"status"` // open, closed, halted, auction
	Bid           Money      `json:"bid"`
	Ask           Money      `json:"ask"`
	BidSize       int64      `json:"bid_size"`
	AskSize       int64      `json:"ask_size"`
	Last          Money      `json:"last"`
	Size          int64      `json:"size"`           // of the last trade
	Time          *time.Time `json:"time,omitempty"` // of the last change; nil: the opening
	Open          Money      `json:"open"`           // of the day, as are those that follow
	High          Money      `json:"high"`
	Low           Money      `json:"low"`
	Volume        int64      `json:"volume"`
	PreviousClose Money      `json:"previous_close"`
	Upper         Money      `json:"upper,omitempty"` // the highest price of the day; 0: there is no limit
	Lower         Money      `json:"lower,omitempty"`
}

// QuoteUpdates is what a feed says.
type QuoteUpdates struct {
	Updates []QuoteUpdate `json:"updates"`
}

// QuoteUpdate is what a feed says about an instrument. What is not said stays as it is.
type QuoteUpdate struct {
	Time    string `json:"time,omitempty"` // RFC 3339, or nanoseconds since 1970; empty: now
	Market  string `json:"market"`
	Code    string `json:"code"`
	Bid     *Money `json:"bid,omitempty"` // 0 takes the side away
	Ask     *Money `json:"ask,omitempty"`
	BidSize *int64 `json:"bid_size,omitempty"`
	AskSize *int64 `json:"ask_size,omitempty"`
	Last    *Money `json:"last,omitempty"` // a trade
	Size    *int64 `json:"size,omitempty"` // of the trade
	Volume  *int64 `json:"volume,omitempty"`
	Status  string `json:"status,omitempty"` // halted or open
}

// QuotesApplied says what became of updates.
type QuotesApplied struct {
	Applied  int      `json:"applied"`
	Late     int      `json:"late"`
	Crossed  int      `json:"crossed"`
	Bad      int      `json:"bad"`      // a number, a time or a status that cannot be
	Unknown  int      `json:"unknown"`  // instruments that are not traded here
	Problems []string `json:"problems"` // sentences about the first ten that were not applied
}

var quotesQuery = acceptParameters(text("instrument"), text("after"), number("limit"))

func (s *Server) quotes(w http.ResponseWriter, r *http.Request) {
	ids, err := s.wantedQuotes(r)
	if err != nil {
		fail(w, http.StatusNotFound, codeUnknownInstrument, err.Error()+"; GET /api/v1/instruments lists them")
		return
	}
	limit := queryNumber(r, "limit")
	if limit == 0 {
		limit = quotesDefault
	}
	count := min(int(min(limit, quotesMost)), len(ids))
	prices := s.cfg.Prices()
	page := Quotes{Quotes: make([]Quote, 0, count), More: count < len(ids)}
	for _, id := range ids[:count] {
		page.Quotes = append(page.Quotes, newQuote(s.cfg.Universe.At(id), prices, id))
	}
	answer(w, page)
}

// wantedQuotes returns the instruments that a query asks for, by market and code.
func (s *Server) wantedQuotes(r *http.Request) (ids []market.ID, err error) {
	first := 0
	if after := r.URL.Query().Get("after"); after != "" {
		id, err := s.instrumentNamed(after)
		if err != nil {
			return nil, err
		}
		first = int(id) + 1
	}
	names := r.URL.Query().Get("instrument")
	if names == "" {
		return s.cfg.Universe.ListedFrom(first, market.MaxInstruments), nil
	}
	for name := range strings.SplitSeq(names, ",") {
		id, err := s.instrumentNamed(name)
		if err != nil {
			return nil, err
		}
		if int(id) >= first {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

func newQuote(in *market.Instrument, prices *market.Prices, id market.ID) Quote {
	q := prices.Quote(id)
	lower, upper := limitsOf(in, id, prices)
	return Quote{
		Market: in.Market, Code: in.Code, Name: in.Name, Status: q.Status.String(),
		Bid: Money(q.Bid), Ask: Money(q.Ask),
		BidSize: q.BidSize, AskSize: q.AskSize, Last: Money(q.Last), Size: q.Size, Time: timeAt(q.Time),
		Open: Money(q.Open), High: Money(q.High), Low: Money(q.Low), Volume: q.Volume,
		PreviousClose: Money(q.PreviousClose), Upper: upper, Lower: lower,
	}
}

// timeAt returns a time, or nil for 0.
func timeAt(ns int64) *time.Time {
	if ns == 0 {
		return nil
	}
	at := time.Unix(0, ns).UTC()
	return &at
}

func (s *Server) setQuotes(w http.ResponseWriter, r *http.Request) {
	var body QuoteUpdates
	err := decodeBodyOf(w, r, updatesBytesMax, &body)
	switch {
	case err != nil:
	case len(body.Updates) == 0:
		err = errors.New("there are no updates; write " +
			`{"updates": [{"market": "SH", "code": "600519", "last": "1480.00"}]}`)
	case len(body.Updates) > updatesMax:
		err = fmt.Errorf("%d updates are more than the %d of one request; send them in several",
			len(body.Updates), updatesMax)
	}
	if err != nil {
		badRequest(w, err.Error())
		return
	}
	done := QuotesApplied{Problems: []string{}}
	updates, numbers := s.readUpdates(body.Updates, &done)
	outcomes, err := s.applyQuotes(r.Context(), updates)
	if err != nil {
		s.failMarket(w, err)
		return
	}
	s.noteQuotes(r, len(body.Updates))
	for i, outcome := range outcomes {
		done.count(numbers[i], &body.Updates[numbers[i]], outcome)
	}
	answer(w, done)
}

// applyQuotes applies updates, if there are any.
func (s *Server) applyQuotes(ctx context.Context, updates []market.Update) ([]market.Outcome, error) {
	if s.cfg.Market == nil {
		return nil, Conflict("this server takes no quotes from outside")
	}
	if len(updates) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	return s.cfg.Market.Apply(ctx, updates)
}

// failMarket answers why no quotes are taken.
func (s *Server) failMarket(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, ErrNotReady), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		s.failBooks(w, 0, err)
	default:
		fail(w, http.StatusConflict, codeConflict, err.Error())
	}
}

// readUpdates returns the updates that can be applied, and which they are. It counts the others.
func (s *Server) readUpdates(list []QuoteUpdate, done *QuotesApplied) (updates []market.Update, numbers []int) {
	for n := range list {
		q := &list[n]
		id, known := s.cfg.Universe.Lookup([]byte(q.Market), []byte(q.Code))
		if !known {
			done.Unknown++
			done.problem(n, fmt.Sprintf("%s.%s is not traded here", clip(q.Market), clip(q.Code)))
			continue
		}
		u, err := q.update(id)
		if err == nil {
			err = s.tooFarAhead(&u)
		}
		if err != nil {
			done.Bad++
			done.problem(n, err.Error())
			continue
		}
		updates, numbers = append(updates, u), append(numbers, n)
	}
	return updates, numbers
}

// aheadMost is how far ahead of the clock, and of the instrument's newest quote, the time of an update may lie. What is
// later than that would make all that comes after it late, for good.
const aheadMost = 24 * time.Hour

// tooFarAhead refuses an update whose time is wrong.
func (s *Server) tooFarAhead(u *market.Update) error {
	newest := max(s.now(), s.cfg.Prices().Quote(u.ID).Time)
	if u.Time <= newest || u.Time-newest <= int64(aheadMost) {
		return nil
	}
	return fmt.Errorf("%s is more than a day ahead of the server's clock, which shows %s; "+
		"give the time of the quote, or none",
		time.Unix(0, u.Time).UTC().Format(time.RFC3339), time.Unix(0, s.now()).UTC().Format(time.RFC3339))
}

// update returns what is said, for the feed.
func (q *QuoteUpdate) update(id market.ID) (market.Update, error) {
	u := market.Update{ID: id}
	var err error
	if u.Time, err = parseUpdateTime(q.Time); err != nil {
		return u, err
	}
	for _, one := range []struct {
		said *Money
		says market.Fields
		to   *int64
	}{{q.Bid, market.SaysBid, &u.Bid}, {q.Ask, market.SaysAsk, &u.Ask}, {q.Last, market.SaysLast, &u.Last}} {
		if one.said != nil {
			*one.to, u.Says = int64(*one.said), u.Says|one.says
		}
	}
	for _, one := range []struct {
		said *int64
		says market.Fields
		to   *int64
	}{{q.BidSize, market.SaysBidSize, &u.BidSize}, {q.AskSize, market.SaysAskSize, &u.AskSize},
		{q.Size, market.SaysSize, &u.Size}, {q.Volume, market.SaysVolume, &u.Volume}} {
		if one.said != nil {
			*one.to, u.Says = *one.said, u.Says|one.says
		}
	}
	switch q.Status {
	case "":
	case market.StatusHalted.String(), market.StatusOpen.String():
		u.Says, u.Status = u.Says|market.SaysStatus, market.StatusOpen
		if q.Status == market.StatusHalted.String() {
			u.Status = market.StatusHalted
		}
	default:
		return u, fmt.Errorf("%q is no status; it is halted or open", clip(q.Status))
	}
	if u.Says == 0 {
		return u, errors.New("it says nothing; give a price, a size, a volume or a status")
	}
	return u, nil
}

// parseUpdateTime returns nanoseconds since 1970, 0 for "".
func parseUpdateTime(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	if n, err := parseNumber(text); err == nil && n > 0 && n <= math.MaxInt64 {
		return int64(n), nil //nolint:gosec // at most MaxInt64
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	const lastYear = 2262 // in which 64 bits of nanoseconds end
	if err != nil || at.Unix() <= 0 || at.Year() >= lastYear {
		return 0, fmt.Errorf("%q is not a time after 1970; write it as in 2026-11-30T09:30:00Z, or as nanoseconds "+
			"since 1970", clip(text))
	}
	return at.UnixNano(), nil
}

// count counts what became of an update.
func (a *QuotesApplied) count(n int, q *QuoteUpdate, outcome market.Outcome) {
	name := q.Market + "." + q.Code
	switch outcome {
	case market.Applied:
		a.Applied++
	case market.Late:
		a.Late++
		a.problem(n, name+" has a newer quote already")
	case market.Crossed:
		a.Crossed++
		a.problem(n, "the bid of "+name+" would be above its ask")
	default:
		a.Bad++
		a.problem(n, "a price or a size of "+name+" is negative or too large, or a trade is at 0")
	}
}

func (a *QuotesApplied) problem(n int, sentence string) {
	if len(a.Problems) < problemsAnswered {
		a.Problems = append(a.Problems, "update "+strconv.Itoa(n+1)+": "+sentence)
	}
}

func (s *Server) halt(w http.ResponseWriter, r *http.Request) { s.setStatus(w, r, market.StatusHalted) }

func (s *Server) resume(w http.ResponseWriter, r *http.Request) { s.setStatus(w, r, market.StatusOpen) }

// setStatus halts an instrument, or has its trading go on, and answers its quote.
func (s *Server) setStatus(w http.ResponseWriter, r *http.Request, status market.Status) {
	id, ok := s.instrumentOf(w, r)
	if !ok {
		return
	}
	outcomes, err := s.applyQuotes(r.Context(), []market.Update{{ID: id, Says: market.SaysStatus, Status: status}})
	if err == nil && outcomes[0] != market.Applied {
		err = Conflict("its newest quote is of a later time than the server's; try again then")
	}
	if err != nil {
		s.failMarket(w, err)
		return
	}
	in := s.cfg.Universe.At(id)
	s.cfg.Log.Info().Stringer("instrument", in).Stringer("status", status).Func(signedBy(r)).
		Msg("an operator halted an instrument, or had it go on")
	answer(w, newQuote(in, s.cfg.Prices(), id))
}
