package console

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/papertape/papertape/market"
)

func read[T any](t *testing.T, w *httptest.ResponseRecorder) (v T) {
	t.Helper()
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil || w.Code != 200 {
		t.Fatalf("%d, %v: %s", w.Code, err, w.Body)
	}
	return v
}

// TestQuotePages: all instruments come once, page by page; and those asked for by name, by market and code.
func TestQuotePages(t *testing.T) {
	f := newFixture(t, "")
	var names []string
	for after, more := "", true; more; {
		page := read[Quotes](t, f.ask("GET", "/api/v1/quotes?limit=7"+after, ""))
		for _, q := range page.Quotes {
			names = append(names, q.Market+"."+q.Code)
		}
		after, more = "&after="+names[len(names)-1], page.More
	}
	u := market.Default()
	for n := range u.Len() {
		if n >= len(names) || names[n] != u.At(market.ID(n)).String() {
			t.Fatalf("the pages have %v", names)
		}
	}
	page := read[Quotes](t, f.ask("GET", "/api/v1/quotes?instrument=SZ.000001,SH.600519,SZ.000001", ""))
	if len(page.Quotes) != 2 || page.Quotes[0].Code != "600519" || page.Quotes[1].Code != "000001" || page.More {
		t.Errorf("%+v", page)
	}
	if q := page.Quotes[0]; q.Time != nil || q.Bid != q.Last || q.Open != 0 || q.Upper <= q.Last || q.Lower >= q.Last {
		t.Errorf("the opening: %+v", q)
	}
}

// TestNoLimitIsLeftOut: an instrument without a limit of the day has neither upper nor lower, as a quote and as an
// instrument; all others have both. The contract allows it.
func TestNoLimitIsLeftOut(t *testing.T) {
	c := loadContract(t)
	for _, limitBps := range []int64{0, 1000} {
		u, err := market.NewUniverse([]market.Instrument{{Market: "US", Code: "ONE", Name: "One",
			PreviousClose: 10_0000, Lot: 1, Tick: 100, LimitBps: limitBps}})
		if err != nil {
			t.Fatal(err)
		}
		prices := market.NewFeed(u, market.FeedConfig{}).Snapshot()
		for schema, v := range map[string]any{
			"Quote": newQuote(u.At(0), prices, 0), "Instrument": newInstrument(u.At(0), 0, prices),
		} {
			text, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			limits := strings.Contains(string(text), `"upper":"11.00","lower":"9.00"`)
			some := strings.Contains(string(text), "upper") || strings.Contains(string(text), "lower")
			if limits != (limitBps > 0) || some != limits {
				t.Errorf("with a limit of %d: %s", limitBps, text)
			}
			c.expect(t, schema, string(text), "")
		}
	}
}

// TestTellQuotes: what is told reaches the feed, and what cannot be applied is counted and explained.
func TestTellQuotes(t *testing.T) {
	f := newFixture(t, "")
	w := f.ask("POST", quotesPath, updates)
	if got := read[QuotesApplied](t, w); got.Applied != 1 || got.Unknown != 1 ||
		!slices.Equal(got.Problems, []string{"update 2: SH.1 is not traded here"}) {
		t.Errorf("%+v", got)
	}
	id, _ := market.Default().Lookup([]byte("SH"), []byte("600519"))
	const all = market.SaysBid | market.SaysAsk | market.SaysBidSize | market.SaysAskSize | market.SaysLast |
		market.SaysSize | market.SaysVolume | market.SaysStatus
	want := market.Update{ID: id, Time: tapeTime, Says: all, Bid: 1479_9900, Ask: 1480_0100, BidSize: 100, AskSize: 200,
		Last: 1480_0000, Size: 300, Volume: 4000, Status: market.StatusOpen}
	if len(f.tapes.told) != 1 || f.tapes.told[0] != want {
		t.Errorf("the feed was told %+v, want %+v", f.tapes.told, want)
	}
	for update, want := range map[string]struct{ field, sentence string }{
		`"time":"1","last":"1480.00"`:                {"late", "SH.600519 has a newer quote already"},
		`"time":"1970-01-01T00:00:00Z","size":1`:     {"bad", `"1970-01-01T00:00:00Z" is not a time after 1970`},
		`"time":"tomorrow","size":1`:                 {"bad", `"tomorrow" is not a time after 1970`},
		`"bid":"5.00","ask":"4.00"`:                  {"crossed", "the bid of SH.600519 would be above its ask"},
		`"last":"0.00"`:                              {"bad", "a price or a size of SH.600519"},
		`"bid_size":-1`:                              {"bad", "a price or a size of SH.600519"},
		`"status":"closed"`:                          {"bad", `"closed" is no status; it is halted or open`},
		`"time":"1700000000000000000"`:               {"bad", "it says nothing"},
		`"time":"9999-01-01T00:00:00Z","bid_size":1`: {"bad", `"9999-01-01T00:00:00Z" is not a time after 1970`},
	} {
		w := f.ask("POST", quotesPath, `{"updates":[{"market":"SH","code":"600519",`+update+`}]}`)
		got := read[QuotesApplied](t, w)
		if !strings.Contains(w.Body.String(), `"`+want.field+`":1`) || got.Applied != 0 || len(got.Problems) != 1 ||
			!strings.HasPrefix(got.Problems[0], "update 1: "+want.sentence) {
			t.Errorf("%s: %s", update, w.Body)
		}
	}
}

// TestTellBounds: how much one request may tell.
func TestTellBounds(t *testing.T) {
	f := newFixture(t, "")
	many := func(n int, text string) string {
		one := fmt.Sprintf(`{"market":"SH","code":"%s","last":"1480.00"}`, text)
		return `{"updates":[` + strings.TrimSuffix(strings.Repeat(one+",", n), ",") + `]}`
	}
	if got := read[QuotesApplied](t, f.ask("POST", quotesPath, many(1000, "1"))); got.Unknown != 1000 ||
		len(got.Problems) != 10 {
		t.Errorf("%+v", got)
	}
	for body, want := range map[string]string{
		many(1001, "1"):                       "1001 updates are more than the 1000",
		many(1000, strings.Repeat("1", 2000)): "the body is longer than 1048576 bytes",
		`{"updates":[]}`:                      "there are no updates",
		`{"updates":[{"price":"1.00"}]}`:      `there is no \"price\" here`,
	} {
		if w := f.ask("POST", quotesPath, body); w.Code != 400 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%d %s, want %s", w.Code, w.Body, want)
		}
	}
}

// TestHalt: an instrument is halted until trading goes on.
func TestHalt(t *testing.T) {
	f := newFixtureWith(t, func(*Config) {})
	f.server.cfg.Prices = f.tapes.feed.Snapshot
	for _, verb := range []string{"halt", "resume"} {
		want := map[string]string{"halt": "halted", "resume": "open"}[verb]
		q := read[Quote](t, f.ask("POST", "/api/v1/instruments/SH.600519/"+verb, ""))
		if q.Status != want || q.Code != "600519" {
			t.Errorf("%s: %+v", verb, q)
		}
	}
}

// TestBarsAsked: what is asked for gets to the store, and wrong questions are explained.
func TestBarsAsked(t *testing.T) {
	f := newFixture(t, "")
	const times = "&from=2023-11-14T22:13:20Z&to=1970-01-01T00:00:00.000000005Z&limit=7"
	b := read[Bars](t, f.ask("GET", "/api/v1/bars?instrument=SH.600519&seconds=86400"+times, ""))
	if len(b.Bars) != 1 || b.Bars[0].Time.UnixNano() != tapeTime || b.Bars[0].Volume != 7 || b.Bars[0].Close != 5 ||
		b.Bars[0].Amount != 86400 || b.Seconds != 86400 || !b.More {
		t.Errorf("%+v", b)
	}
	for query, want := range map[string]string{
		"bars": "the instrument is missing", "tape": "the instrument is missing",
		"bars?instrument=SH.600519&seconds=300":            `there are no bars of \"300\" seconds; it is 60 or 86400`,
		"bars?instrument=SH.600519&from=noon":              `\"noon\" is not a time`,
		"clock?market=MOON":                                `\"MOON\" is no market that is traded here`,
		"calendar?market=XSHG":                             "the dates are missing",
		"calendar?market=SH&from=1&to=2":                   `\"1\" is not a date; write it as in 2026-11-30`,
		"calendar?market=SH&from=2026-11-30&to=2026-11-29": "the dates end before they begin",
	} {
		if w := f.ask("GET", "/api/v1/"+query, ""); w.Code != 400 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %s, want %s", query, w.Code, w.Body, want)
		}
	}
	if c := read[Clock](t, f.ask("GET", "/api/v1/clock?market=XSHG", "")); c.Market != "SH" || c.Zone != "zone of SH" {
		t.Errorf("%+v", c)
	}
}

// TestTooFarAhead: a time that lies ahead by more than a day is refused, and nothing becomes late by it.
func TestTooFarAhead(t *testing.T) {
	for ahead, want := range map[time.Duration]int{
		0: 1, 23 * time.Hour: 1, 25 * time.Hour: 0, 100 * 365 * 24 * time.Hour: 0,
	} {
		f := newFixture(t, "") // of its own: what one applies makes another late
		now := time.Unix(0, f.server.now())
		body := fmt.Sprintf(`{"updates":[{"time":%q,"market":"SZ","code":"000001","last":"10.00"}]}`,
			now.Add(ahead).UTC().Format(time.RFC3339Nano))
		done := read[QuotesApplied](t, f.ask("POST", "/api/v1/quotes", body))
		if done.Applied != want || done.Bad != 1-want {
			t.Errorf("%v ahead: %+v", ahead, done)
		}
		if want == 0 && (len(done.Problems) != 1 || !strings.Contains(fmt.Sprint(done.Problems), "a day ahead")) {
			t.Errorf("%v ahead: %v", ahead, done.Problems)
		}
	}
}
