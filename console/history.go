package console

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// The number of events on a page, as in the wire protocol.
const (
	historyDefault = 20
	historyMax     = 100

	historyScanMax = 20_000 // events that are looked at for a page of some of them
)

// The kinds of events.
const (
	kindTrade      = "trade"
	kindBust       = "bust"
	kindCorrection = "correction"
	kindAdjustment = "adjustment"
)

// kindOfEvent names the kind of an event.
func kindOfEvent(ev *positions.Event) string {
	switch {
	case ev.Kind == positions.KindTrade:
		return kindTrade
	case ev.Kind == positions.KindAdjustment:
		return kindAdjustment
	case ev.Bust.Replacement != nil:
		return kindCorrection
	}
	return kindBust
}

// historyQuery is the check of a query for history.
func (s *Server) historyQuery() func(*http.Request) error {
	return acceptParameters(number("before"), number("after"), moment("at"),
		oneOf("kind", kindAdjustment, kindBust, kindCorrection, kindTrade),
		oneOf("origin", "client", "operator", "simulator"), s.instrumentParameter("instrument"), number("limit"))
}

// instrumentParameter is a parameter that takes an instrument, as MARKET.CODE.
func (s *Server) instrumentParameter(name string) parameter {
	return parameter{name, func(value string) error {
		_, err := s.instrumentNamed(value)
		return err
	}}
}

// instrumentNamed returns the instrument with this name, which is written as in an answer.
func (s *Server) instrumentNamed(name string) (market.ID, error) {
	id, err := s.cfg.Universe.Parse(name)
	if err != nil {
		return 0, err
	}
	if is := s.cfg.Universe.At(id).String(); is != name {
		return 0, fmt.Errorf("%q is not how an instrument is written here; write %s", clip(name), is)
	}
	return id, nil
}

// historyFilter says which events are wanted.
type historyFilter struct {
	kind, origin string
	instrument   market.ID
	any          bool // instrument
}

func (s *Server) filterOf(r *http.Request) historyFilter {
	q := r.URL.Query()
	f := historyFilter{kind: q.Get("kind"), origin: q.Get("origin"), any: true}
	if name := q.Get("instrument"); name != "" {
		f.instrument, _ = s.instrumentNamed(name) // it has been checked
		f.any = false
	}
	return f
}

// all reports whether every event is wanted.
func (f *historyFilter) all() bool { return f.kind == "" && f.origin == "" && f.any }

func (f *historyFilter) wants(ev *positions.Event) bool {
	if f.kind != "" && f.kind != kindOfEvent(ev) ||
		f.origin != "" && (ev.Kind != positions.KindTrade || originName(ev.Trade.Origin) != f.origin) {
		return false
	}
	switch {
	case f.any:
		return true
	case ev.Kind == positions.KindTrade:
		return ev.Trade.Instrument == f.instrument
	case ev.Kind == positions.KindBust:
		return ev.Bust.Original.Instrument == f.instrument ||
			slices.ContainsFunc(ev.Bust.Positions,
				func(p positions.Position) bool { return p.Instrument == f.instrument })
	}
	return false
}

func (s *Server) history(w http.ResponseWriter, r *http.Request) {
	account, ok := accountOf(w, r)
	if !ok {
		return
	}
	q := r.URL.Query()
	if q.Has("at") && (q.Has("before") || q.Has("after")) {
		badRequest(w, "at goes without before and after: it says itself where the page begins")
		return
	}
	limit := queryNumber(r, "limit")
	if limit == 0 {
		limit = historyDefault
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerTimeout)
	defer cancel()
	p := historyPage{
		server: s, ctx: ctx, account: account, limit: int(min(limit, historyMax)), filter: s.filterOf(r),
		before: queryNumber(r, "before"), after: queryNumber(r, "after"),
	}
	err := p.read(q.Has("after") && !q.Has("before"), q.Get("at"))
	if err != nil {
		s.failBooks(w, account, err)
		return
	}
	answer(w, p.answer())
}

// historyPage is a page that is being read.
type historyPage struct {
	server        *Server
	ctx           context.Context
	account       uint64
	limit         int
	filter        historyFilter
	before, after uint64 // only events below before (0: all), and above after

	events                []positions.Event // newest first
	oldest                uint64
	scanned               int
	nextBefore, nextAfter uint64
}

func (p *historyPage) read(forwards bool, at string) error {
	switch {
	case at != "":
		when, _ := time.Parse(time.RFC3339Nano, at) // it has been checked
		seq, err := p.server.seqAt(p.ctx, p.account, when.UnixNano())
		if err != nil {
			return err
		}
		if p.before = seq + 1; seq == 0 { // nothing had happened yet
			_, p.oldest, err = p.server.cfg.Books.History(p.ctx, p.account, 1, 1)
			return err
		}
		return p.readBack()
	case forwards:
		return p.readForth()
	default:
		return p.readBack()
	}
}

// readBack reads from the newest event to older ones.
func (p *historyPage) readBack() error {
	for before := p.before; ; {
		many := historyMax
		if p.filter.all() {
			many = p.limit
		}
		page, oldest, err := p.server.cfg.Books.History(p.ctx, p.account, before, many)
		if err != nil {
			return err
		}
		p.oldest = oldest
		for i := range page {
			ev := &page[i]
			if ev.Seq <= p.after {
				return nil
			}
			p.scanned++
			if p.filter.wants(ev) {
				p.events = append(p.events, *ev)
			}
			if len(p.events) == p.limit || p.scanned >= historyScanMax {
				if ev.Seq > max(oldest, p.after+1) {
					p.nextBefore = ev.Seq
				}
				return nil
			}
		}
		if len(page) < many || page[len(page)-1].Seq <= oldest {
			return nil
		}
		before = page[len(page)-1].Seq
	}
}

// readForth reads from an event to newer ones.
func (p *historyPage) readForth() error {
	defer func() { slices.Reverse(p.events) }()
	for after := min(p.after, math.MaxUint64-historyMax-1); ; {
		before := after + historyMax + 1
		page, oldest, err := p.server.cfg.Books.History(p.ctx, p.account, before, historyMax)
		if err != nil {
			return err
		}
		if p.oldest = oldest; after+1 < oldest { // what came next is no longer kept
			after = oldest - 1
			continue
		}
		for i := len(page) - 1; i >= 0; i-- {
			ev := &page[i]
			if ev.Seq <= after {
				continue
			}
			p.scanned++
			if p.filter.wants(ev) {
				p.events = append(p.events, *ev)
			}
			if len(p.events) == p.limit || p.scanned >= historyScanMax {
				if i > 0 || ev.Seq == before-1 {
					p.nextAfter = ev.Seq
				}
				return nil
			}
		}
		if len(page) == 0 || page[0].Seq < before-1 {
			return nil
		}
		after = before - 1
	}
}

func (p *historyPage) answer() History {
	h := newHistory(p.server.cfg.Universe, p.account, p.oldest, p.events)
	h.NextBefore, h.NextAfter = p.nextBefore, p.nextAfter
	if !p.filter.all() {
		h.Scanned = &p.scanned
	}
	return h
}

// seqAt returns the newest event of an account that was not later than a time, in nanoseconds since the Unix epoch; 0
// if there is none that is kept. It halves the history, and so takes the clock of the server to have gone forwards.
func (s *Server) seqAt(ctx context.Context, account uint64, at int64) (uint64, error) {
	newest, oldest, err := s.cfg.Books.History(ctx, account, 0, 1)
	if err != nil || len(newest) == 0 {
		return 0, err
	}
	if newest[0].Time <= at {
		return newest[0].Seq, nil
	}
	low, high := oldest-1, newest[0].Seq // low is not later, or before the oldest; high is later
	for high-low > 1 {
		middle := low + (high-low)/2
		page, _, err := s.cfg.Books.History(ctx, account, middle+1, 1)
		if err != nil {
			return 0, err
		}
		if len(page) == 0 || page[0].Seq != middle { // it is no longer kept
			low = middle
			continue
		}
		if page[0].Time <= at {
			low = middle
		} else {
			high = middle
		}
	}
	if low < oldest {
		return 0, nil
	}
	return low, nil
}
