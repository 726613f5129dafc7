package console

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/papertape/papertape/positions"
)

// longLedger is a ledger of an account that is opened with cash and then buys and sells, a trade a second, of which
// some are taken back.
func longLedger(t *testing.T, f *fixture, events int) {
	t.Helper()
	l, golden := f.ledger, golden(t, f.server.cfg.Universe).events
	trade := golden[2]
	const begin = 1_700_000_000_000_000_000
	all := make([]positions.Event, 0, events)
	for seq := uint64(1); seq <= uint64(events); seq++ {
		ev := trade
		ev.Seq, ev.Time = seq, begin+int64(seq)*1e9
		ev.Cash = positions.Cash{Balance: 1_000_000_0000 + int64(seq)*100}
		ev.TotalMarketValue = int64(seq%10) * 10_0000
		switch {
		case seq == 1 || seq%100 == 50:
			ev.Kind, ev.Adjustment = positions.KindAdjustment, &positions.Adjustment{Cash: 500_0000,
				Reason: "paid in", Actor: "ann"}
		case seq%100 == 0:
			bust := *golden[0].Bust
			if seq%200 == 0 {
				bust.Replacement = nil
			}
			ev.Kind, ev.Bust = positions.KindBust, &bust
		case seq%3 == 0:
			ev.Trade.Origin = positions.OriginSimulator
		case seq%7 == 0:
			ev.Trade.Instrument = 0
			ev.Position.Instrument = 0
		}
		all = append(all, ev)
	}
	slices.Reverse(all)
	l.events = all
	l.holdings.Seq, l.holdings.Cash, l.holdings.TotalMarketValue = uint64(events), all[0].Cash, 77_0000
}

// historyOf asks for a page.
func (f *fixture) historyOf(t *testing.T, query string) (h History, seqs []uint64) {
	t.Helper()
	w := f.ask("GET", "/api/v1/accounts/100017/history?"+query, "")
	if err := json.Unmarshal(w.Body.Bytes(), &h); err != nil || w.Code != 200 {
		t.Fatalf("%s: %d %s", query, w.Code, w.Body)
	}
	for i := range h.Events {
		seqs = append(seqs, h.Events[i].Seq)
	}
	return h, seqs
}

// TestHistoryPages reads the whole history in pages, in both directions, with each filter, and compares what was found
// with what is there.
func TestHistoryPages(t *testing.T) {
	const events = 634
	f := newFixture(t, "")
	longLedger(t, f, events)
	first := f.server.cfg.Universe.At(0).String()
	for query, wanted := range map[string]func(ev *positions.Event) bool{
		"":                func(*positions.Event) bool { return true },
		"kind=adjustment": func(ev *positions.Event) bool { return ev.Kind == positions.KindAdjustment },
		"kind=bust": func(ev *positions.Event) bool {
			return ev.Kind == positions.KindBust &&
				ev.Bust.Replacement == nil
		},
		"kind=correction": func(ev *positions.Event) bool {
			return ev.Kind == positions.KindBust &&
				ev.Bust.Replacement != nil
		},
		"origin=simulator": func(ev *positions.Event) bool {
			return ev.Kind == positions.KindTrade && ev.Trade.Origin == positions.OriginSimulator
		},
		"instrument=" + first: func(ev *positions.Event) bool {
			return ev.Kind == positions.KindTrade && ev.Trade.Instrument == 0
		},
		"kind=trade&origin=client&instrument=" + first: func(ev *positions.Event) bool {
			return ev.Kind == positions.KindTrade && ev.Trade.Instrument == 0 &&
				ev.Trade.Origin == positions.OriginClient
		},
	} {
		for _, oldest := range []uint64{0, 400} {
			f.ledger.oldest = oldest
			kept := f.ledger.events
			if oldest > 0 {
				kept = kept[:events-oldest+1]
			}
			var want []uint64
			for i := range kept {
				if wanted(&kept[i]) {
					want = append(want, kept[i].Seq)
				}
			}
			for _, limit := range []int{7, 100} {
				if got := f.allBack(t, query, limit); !slices.Equal(got, want) {
					t.Errorf("%s by %d from %d, backwards: %d events, want %d", query, limit, oldest, len(got),
						len(want))
				}
				if got := f.allForth(t, query, limit); !slices.Equal(got, want) {
					t.Errorf("%s by %d from %d, forwards: %d events, want %d", query, limit, oldest, len(got),
						len(want))
				}
			}
		}
	}
}

// allBack reads all pages from the newest on.
func (f *fixture) allBack(t *testing.T, query string, limit int) (all []uint64) {
	before := uint64(0)
	for {
		h, seqs := f.historyOf(t, fmt.Sprintf("%s&limit=%d&before=%d", query, limit, before))
		all = append(all, seqs...)
		if before = h.NextBefore; before == 0 {
			return all
		}
	}
}

// allForth reads all pages from the oldest on, and returns them newest first.
func (f *fixture) allForth(t *testing.T, query string, limit int) (all []uint64) {
	after := uint64(0)
	for {
		h, seqs := f.historyOf(t, fmt.Sprintf("%s&limit=%d&after=%d", query, limit, after))
		all = append(seqs, all...)
		if after = h.NextAfter; after == 0 {
			return all
		}
	}
}

// TestHistoryBetween: before and after together bound a page, at finds the events up to a time, and a page of a few
// among many says how far it has looked.
func TestHistoryBetween(t *testing.T) {
	f := newFixture(t, "")
	longLedger(t, f, 500)
	for query, want := range map[string][]uint64{
		"before=5&after=2":                {4, 3},
		"before=5&after=4":                nil,
		"after=498":                       {500, 499},
		"after=18446744073709551615":      nil,
		"at=2023-11-14T22:13:24Z":         {4, 3, 2, 1}, // begin is 22:13:20
		"at=2023-11-14T22:13:24.9Z":       {4, 3, 2, 1},
		"at=2023-11-15T06:13:22%2B08:00":  {2, 1},
		"at=2023-11-14T22:13:20Z":         nil,
		"at=2030-01-01T00:00:00Z&limit=1": {500},
	} {
		if _, got := f.historyOf(t, query); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	longLedger(t, f, historyScanMax+300)
	f.ledger.events[len(f.ledger.events)-2].Trade.Origin = positions.OriginOperator
	h, seqs := f.historyOf(t, "origin=operator")
	if len(seqs) != 0 || h.NextBefore != 301 || h.Scanned == nil || *h.Scanned != historyScanMax {
		t.Errorf("the first part: %v, %+v", seqs, h)
	}
	if h, seqs = f.historyOf(t, "origin=operator&before=301"); !slices.Equal(seqs, []uint64{2}) || h.NextBefore != 0 {
		t.Errorf("the rest: %v, next %d", seqs, h.NextBefore)
	}
}

// equityOf asks for a curve.
func (f *fixture) equityOf(t *testing.T, query string) (c EquityCurve) {
	t.Helper()
	w := f.ask("GET", "/api/v1/accounts/100017/equity?"+query, "")
	if err := json.Unmarshal(w.Body.Bytes(), &c); err != nil || w.Code != 200 {
		t.Fatalf("%s: %d %s", query, w.Code, w.Body)
	}
	return c
}

// TestEquity: the curve ends with the equity beside it, which is that of the holdings; no event is higher or lower than
// its point; booked cash is no gain; and the points are as many as asked for, in order.
func TestEquity(t *testing.T) {
	const events = 1234
	for _, oldest := range []uint64{0, 1, 777} {
		for _, points := range []int{1, 2, 7, 300} {
			f := newFixture(t, "")
			longLedger(t, f, events)
			f.ledger.oldest = oldest
			c := f.equityOf(t, fmt.Sprintf("points=%d", points))
			last := c.Points[len(c.Points)-1]
			h := &f.ledger.holdings
			if want := Money(h.Cash.Balance + h.TotalMarketValue); c.Equity != want || last.Last != want ||
				c.AsOfSeq != events || last.Seq != events || last.Booked != c.Booked || len(c.Points) > points {
				t.Errorf("oldest %d, %d points: %+v\n%+v, want %v", oldest, points, c, last, want)
			}
			from := max(1, oldest)
			booked := Money(0)
			for seq := from; seq <= events; seq++ {
				ev := &f.ledger.events[events-seq]
				if ev.Kind == positions.KindAdjustment {
					booked += 500_0000
				}
				p := c.Points[slices.IndexFunc(c.Points, func(p EquityPoint) bool { return p.Seq >= seq })]
				if e := equityAfter(ev); e < p.Min || e > p.Max {
					t.Fatalf("event %d is %v, outside of %+v", seq, e, p)
				}
			}
			base := Money(0)
			if from > 1 {
				base = equityAfter(&f.ledger.events[events-from])
			}
			if c.Booked != booked || c.Base != base || c.Gain != c.Equity-base-booked || c.Complete != (from == 1) ||
				c.FromSeq != from {
				t.Errorf("oldest %d: %+v; want base %v, booked %v", oldest, c, base, booked)
			}
			marks := 0
			for _, ev := range f.ledger.events[:events-from+1] {
				if ev.Kind != positions.KindTrade {
					marks++
				}
			}
			if len(c.Marks) != min(marks, marksMax) || len(c.Marks)+c.MoreMarks != marks || c.Marks[0].Text == "" {
				t.Errorf("oldest %d: %d marks and %d more, want %d", oldest, len(c.Marks), c.MoreMarks, marks)
			}
		}
	}
}

// TestEquitySince: a curve from a time on begins with what the account was worth before.
func TestEquitySince(t *testing.T) {
	f := newFixture(t, "")
	longLedger(t, f, 500)
	since := time.Unix(1_700_000_000+450, 0)
	c := f.equityOf(t, "since="+since.UTC().Format(time.RFC3339))
	if want := equityAfter(&f.ledger.events[500-449]); c.FromSeq != 450 || c.Base != want || c.Complete ||
		c.Points[0].Seq < 450 || c.Booked != 500_0000 {
		t.Errorf("%+v, want base %v", c, want)
	}
	if c = f.equityOf(t, "since=2040-01-01T00:00:00Z"); c.FromSeq != 501 || len(c.Points) != 1 || c.Booked != 0 ||
		c.Base != equityAfter(&f.ledger.events[0]) || c.Points[0].Last != c.Equity {
		t.Errorf("of the future: %+v", c)
	}
}

// TestManyMarks: of more marks than are shown, the newest are.
func TestManyMarks(t *testing.T) {
	pen := equityPen{points: 1, part: -1}
	for seq := range uint64(5 * marksMax) {
		pen.mark(&positions.Event{Seq: seq}, kindBust, nil, "wrong")
	}
	c := pen.finish(&positions.Holdings{})
	if len(c.Marks) != marksMax || c.MoreMarks != 4*marksMax || c.Marks[0].Seq != 4*marksMax {
		t.Errorf("%d marks from %d on, and %d more", len(c.Marks), c.Marks[0].Seq, c.MoreMarks)
	}
}

// TestAuditPage: a page has the lines that are wanted, newest first, and says from where to go on.
func TestAuditPage(t *testing.T) {
	f := newFixture(t, "")
	f.fillAudit()
	for query, want := range map[string][]uint64{
		"": {5, 4, 3, 2, 1}, "limit=2": {5, 4}, "before=3": {2, 1}, "result=asked": {2}, "result=done": {4},
		"result=failed": {3}, "result=refused": {5}, "result=noted": {1}, "action=/api/v1/log": {4, 3, 2},
		"action=start": {1},
		"action=PUT":   {4, 3, 2}, "actor=PK7": {2}, "actor=des": {2}, "actor=ann": {2}, "actor=esk": nil,
		"limit=5000": {5, 4, 3, 2, 1},
	} {
		w := f.ask("GET", "/api/v1/audit?"+query, "")
		var page AuditPage
		if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || w.Code != 200 {
			t.Fatalf("%s: %d %s", query, w.Code, w.Body)
		}
		var got []uint64
		for i := range page.Lines {
			got = append(got, page.Lines[i].Number)
		}
		next := uint64(0)
		if query == "limit=2" {
			next = 4
		}
		if !slices.Equal(got, want) || page.NextBefore != next || page.Newest != 5 || len(page.Head) != 64 {
			t.Errorf("%s: %v, %+v; want %v", query, got, page, want)
		}
	}
}

// TestPreviewIsNoChange: a preview is not written to the audit, and neither carried out nor logged; what only looks
// like
// one is.
func TestPreviewIsNoChange(t *testing.T) {
	f := newFixture(t, "")
	f.server.cfg.Audit = f.journal
	const preview = `{"trade":"100017-42","reason":"mistyped","preview":true}`
	ids := make(map[string]bool)
	for range 20 {
		w := f.ask("POST", "/api/v1/busts", preview)
		var p BustPreview
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != 200 || !p.Preview || p.AsOfSeq != 43 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		ids[p.BustID] = true
	}
	number, _ := f.journal.Head()
	if len(ids) != 20 || number != 0 {
		t.Errorf("%d ids of 20 previews, and %d lines of the audit", len(ids), number)
	}
	for body, want := range map[string]string{
		`{"trade":"100017-42","reason":"r","preview":false}`:                    "",
		`{"trade":"100017-42","reason":"r","preview":true,"bust_id":"b"}`:       "a preview takes neither bust_id nor",
		`{"trade":"100017-42","reason":"r","preview":true,"expect_cascade":[]}`: "a preview takes neither",
		`{"trade":"100017-42","reason":"r","expect_cascade":["100018-42"]}`:     "is a trade of another account",
		`{"trade":"100017-42","reason":"r","expect_cascade":["ann"]}`:           `"ann" is not the name of a trade`,
		`{"trade":"100017-42","reason":"r","preview":1}`:                        "preview must be true or false, and",
		`{"trade":"100017-42","reason":"r","preview":true,"preview":false}`:     `"preview" is there twice`,
		`{"trade":"100017-42","reason":"r","expect_cascade":[` + strings.Repeat(`"1-1",`,
			101) + `"1-1"]}`: "at most 100",
	} {
		f.desk.asked = nil
		w := f.ask("POST", "/api/v1/busts", body)
		if want == "" {
			if w.Code != 200 || f.desk.asked == nil {
				t.Errorf("%s: %d %s", body, w.Code, w.Body)
			}
			continue
		}
		if w.Code != 400 || !strings.Contains(w.Body.String(), strings.ReplaceAll(want, `"`, `\"`)) ||
			f.desk.asked != nil {
			t.Errorf("%s: %d %s, want %s", body, w.Code, w.Body, want)
		}
	}
	f.ask("POST", "/api/v1/busts",
		`{"trade":"100017-42","reason":"r","policy":"cascade","expect_cascade":["100017-50"]}`)
	if r := f.desk.asked; r == nil || r.Expected == nil || !slices.Equal(*r.Expected, []uint64{50}) {
		t.Errorf("asked %+v", r)
	}
}
