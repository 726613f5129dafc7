package codec_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/market"
)

// goldenMarket returns what a market's data looks like: subscriptions and quotes in detail, bars,
// trades, clock and calendar.
func goldenMarket(t failer) []goldenCase {
	maotai := instrument(t, "SH", "600519")
	prices := tradedPrices(t)
	bars := []market.Bar{
		{Time: 1_767_578_400_000_000_000, Open: 10_0000, High: 10_5000, Low: 9_9900, Close: 10_2000, Volume: 1200,
			Amount: 12_180_0000, Trades: 7},
		{Time: 1_767_578_460_000_000_000, Open: 10_2000, High: 10_2000, Low: 10_2000, Close: 10_2000, Volume: 100,
			Amount: 1_020_0000, Trades: 1},
	}
	trades := []market.TapeTrade{
		{Time: goldenTime, Price: 10_2000, Size: 100, Number: 41}, {Time: goldenTime, Price: 10_2100, Number: 42},
	}
	clock := &codec.Clock{
		Time: goldenTime, Status: market.StatusClosed, NextOpen: goldenTime + 1_000, NextClose: goldenTime + 2_000,
		Zone: "Asia/Shanghai", Tape: true,
	}
	days := []codec.CalendarDay{
		{Date: "2026-01-05", Opens: []int64{1_767_576_600_000_000_000, 1_767_589_200_000_000_000},
			Closes: []int64{1_767_583_800_000_000_000, 1_767_596_400_000_000_000}},
		{Date: "2026-01-06", Opens: []int64{1_767_663_000_000_000_000}, Closes: []int64{1_767_670_200_000_000_000}},
	}
	return []goldenCase{
		request("subscribe_detail", codec.TypeSubscribe, 16, &papertapev1.Subscribe{
			Quotes: true, Detail: true, Codes: []string{"SH.600519", "SZ.000001"},
		}, checkSubscribe),
		{"quotes_detail", "QUOTES", codec.AppendDetailedQuotes(nil, []market.ID{maotai}, prices, universe),
			&papertapev1.Quotes{Quotes: []*papertapev1.Quote{wireQuote(prices, maotai)}}, nil},
		request("bars", codec.TypeBars, 17, &papertapev1.BarsRequest{
			Market: "SH", Code: "600519", Seconds: 60, From: goldenTime, To: goldenTime + 60_000_000_000, Limit: 2,
		}, checkBars),
		{"bars_reply", "BARS", codec.AppendBars(nil, 17, bars, true, false),
			&papertapev1.Bars{Bars: wireBars(bars), More: true}, nil},
		request("trades", codec.TypeTrades, 18, &papertapev1.TradesRequest{
			Market: "SH", Code: "600519", From: goldenTime, Limit: 2,
		}, checkTrades),
		{"trades_reply", "TRADES", codec.AppendTrades(nil, 18, trades, true),
			&papertapev1.Trades{Trades: wireTrades(trades), More: true}, nil},
		request("clock", codec.TypeClock, 19, &papertapev1.ClockRequest{Market: "SH"}, checkClock),
		{"clock_reply", "CLOCK", codec.AppendClock(nil, 19, clock), wireClock(clock), nil},
		request("calendar", codec.TypeCalendar, 20, &papertapev1.CalendarRequest{
			Market: "XSHG", From: "2026-01-05", To: "2026-01-06",
		}, checkCalendar),
		{"calendar_reply", "CALENDAR", codec.AppendCalendar(nil, 20, days), wireCalendar(days), nil},
	}
}

// tradedPrices returns a snapshot in which 600519 has every field of a quote.
func tradedPrices(t failer) *market.Prices {
	t.Helper()
	feed, outcomes := market.NewFeed(universe, market.FeedConfig{}), make([]market.Outcome, 2)
	id := instrument(t, "SH", "600519")
	const says = market.SaysBid | market.SaysAsk | market.SaysBidSize | market.SaysAskSize | market.SaysLast |
		market.SaysSize
	prices := feed.Apply(goldenTime, []market.Update{
		{ID: id, Time: goldenTime - 2, Says: says, Bid: 14_790_000, Ask: 14_800_000, Last: 14_800_000, BidSize: 300,
			AskSize: 200, Size: 100},
		{ID: id, Time: goldenTime - 1, Says: says, Bid: 14_790_100, Ask: 14_810_000, Last: 14_795_000, BidSize: 400,
			AskSize: 500, Size: 600},
	}, outcomes)
	if outcomes[0] != market.Applied || outcomes[1] != market.Applied {
		t.Fatalf("outcomes %v", outcomes)
	}
	return prices
}

func wireQuote(prices *market.Prices, id market.ID) *papertapev1.Quote {
	i, q := universe.At(id), prices.Quote(id)
	return &papertapev1.Quote{
		Market: i.Market, Code: i.Code, Price: q.Last, Time: q.Time, Bid: q.Bid, Ask: q.Ask, BidSize: q.BidSize,
		AskSize: q.AskSize, Size: q.Size, Open: q.Open, High: q.High, Low: q.Low, Volume: q.Volume,
		PreviousClose: q.PreviousClose, Status: papertapev1.MarketStatus(q.Status),
	}
}

func wireBars(bars []market.Bar) (wired []*papertapev1.Bar) {
	for _, b := range bars {
		wired = append(wired, &papertapev1.Bar{Time: b.Time, Open: b.Open, High: b.High, Low: b.Low, Close: b.Close,
			Volume: b.Volume, Amount: b.Amount, Trades: b.Trades})
	}
	return wired
}

func wireTrades(trades []market.TapeTrade) (wired []*papertapev1.TapeTrade) {
	for _, t := range trades {
		wired = append(wired, &papertapev1.TapeTrade{Time: t.Time, Price: t.Price, Size: t.Size, Number: t.Number})
	}
	return wired
}

func wireClock(c *codec.Clock) *papertapev1.Clock {
	return &papertapev1.Clock{Time: c.Time, Status: papertapev1.MarketStatus(c.Status), NextOpen: c.NextOpen,
		NextClose: c.NextClose, Zone: c.Zone, Tape: c.Tape}
}

func wireCalendar(days []codec.CalendarDay) *papertapev1.Calendar {
	m := new(papertapev1.Calendar)
	for _, d := range days {
		m.Days = append(m.Days, &papertapev1.CalendarDay{Date: d.Date, Opens: d.Opens, Closes: d.Closes,
			Presumed: d.Presumed})
	}
	return m
}

func checkBars(t failer, payload []byte) {
	t.Helper()
	m := new(papertapev1.BarsRequest)
	ok := parses(payload, m)
	id, known := universe.Lookup([]byte(m.GetMarket()), []byte(m.GetCode()))
	inRange := (m.GetSeconds() == 60 || m.GetSeconds() == 86400) && rangeOK(m.GetFrom(), m.GetTo(), m.GetLimit())
	got, err := codec.DecodeBarsRequest(payload, universe)
	checkRanged(t, ok, known, inRange, err, got, codec.BarsRequest{
		Instrument: id, Seconds: m.GetSeconds(), From: m.GetFrom(), To: m.GetTo(), Limit: limitOf(m.GetLimit()),
	})
}

func checkTrades(t failer, payload []byte) {
	t.Helper()
	m := new(papertapev1.TradesRequest)
	ok := parses(payload, m)
	id, known := universe.Lookup([]byte(m.GetMarket()), []byte(m.GetCode()))
	got, err := codec.DecodeTradesRequest(payload, universe)
	checkRanged(t, ok, known, rangeOK(m.GetFrom(), 0, m.GetLimit()), err, got, codec.TradesRequest{
		Instrument: id, From: m.GetFrom(), Limit: limitOf(m.GetLimit()),
	})
}

func checkClock(t failer, payload []byte) {
	t.Helper()
	m := new(papertapev1.ClockRequest)
	ok := parses(payload, m)
	name, known := canonical(m.GetMarket())
	got, err := codec.DecodeClockRequest(payload, universe)
	checkRanged(t, ok, known, true, err, got, name)
}

func checkCalendar(t failer, payload []byte) {
	t.Helper()
	m := new(papertapev1.CalendarRequest)
	ok := parses(payload, m)
	name, known := canonical(m.GetMarket())
	from, errFrom := time.Parse("2006-01-02", m.GetFrom())
	to, errTo := time.Parse("2006-01-02", m.GetTo())
	inRange := errFrom == nil && errTo == nil && !from.After(to) && to.Before(from.AddDate(0, 0, 366))
	got, err := codec.DecodeCalendarRequest(payload, universe)
	checkRanged(t, ok, known, inRange, err, got, codec.CalendarRequest{Market: name, From: m.GetFrom(), To: m.GetTo()})
}

func rangeOK(from, to int64, limit uint32) bool {
	return from >= 0 && to >= 0 && (to == 0 || from <= to) && limit <= 1000
}

func limitOf(asked uint32) int {
	if asked == 0 {
		return 500
	}
	return int(asked)
}

func canonical(name string) (string, bool) {
	known := map[string]string{"SH": "SH", "XSHG": "SH", "SZ": "SZ", "XSHE": "SZ"} // those of the universe
	canonical, ok := known[name]
	return canonical, ok
}

// checkRanged checks requests with a key that must be known and fields that must be in range.
func checkRanged[V comparable](t failer, parses, known, inRange bool, err error, got, want V) {
	t.Helper()
	switch {
	case !parses:
		checkRefused(t, err, malformed, true)
	case !known:
		checkRefused(t, err, unknown, false)
	case !inRange:
		checkRefused(t, err, malformed, false)
	case err != nil:
		t.Fatalf("refused with %v, want %v", err, want)
	case got != want:
		t.Fatalf("got %v, want %v", got, want)
	}
}

// TestDecodeMarketRequestsOfEncoded covers requests that are nearly or wholly right, which random fields rarely are.
func TestDecodeMarketRequestsOfEncoded(t *testing.T) {
	dates := rapid.SampledFrom([]string{
		"2026-01-05", "2026-02-28", "2027-01-05", "2027-01-06", "2026-02-29", "2026-1-5", "", "20260105",
	})
	times := rapid.SampledFrom([]int64{0, 1, 2, math.MaxInt64, -1})
	rapid.Check(t, func(t *rapid.T) {
		i := universe.At(anyID.Draw(t, "instrument"))
		limit := rapid.SampledFrom([]uint32{0, 1, 500, 1000, 1001, math.MaxUint32}).Draw(t, "limit")
		from := times.Draw(t, "from")
		checkBars(t, marshal(t, &papertapev1.BarsRequest{
			Market: i.Market, Code: i.Code, Seconds: rapid.SampledFrom([]uint32{60, 86400, 0, 61}).Draw(t, "seconds"),
			From: from, To: times.Draw(t, "to"), Limit: limit,
		}))
		checkTrades(t, marshal(t, &papertapev1.TradesRequest{Market: i.Market, Code: i.Code, From: from, Limit: limit}))
		name := rapid.SampledFrom([]string{"SH", "XSHG", "SZ", "XSHE", "US", "sh", ""}).Draw(t, "market")
		checkClock(t, marshal(t, &papertapev1.ClockRequest{Market: name}))
		checkCalendar(t, marshal(t, &papertapev1.CalendarRequest{
			Market: name, From: dates.Draw(t, "first"), To: dates.Draw(t, "last"),
		}))
	})
}

func TestMarketRequestsSentences(t *testing.T) {
	bars := func(m *papertapev1.BarsRequest) error {
		m.Market, m.Code = "SH", "600519"
		_, err := codec.DecodeBarsRequest(marshal(t, m), universe)
		return err
	}
	calendar := func(from, to string) error {
		m := &papertapev1.CalendarRequest{Market: "SH", From: from, To: to}
		_, err := codec.DecodeCalendarRequest(marshal(t, m), universe)
		return err
	}
	_, nowhere := codec.DecodeClockRequest(marshal(t, &papertapev1.ClockRequest{Market: "US"}), universe)
	_, noCode := codec.DecodeSubscribe(marshal(t, &papertapev1.Subscribe{Codes: []string{"SH.999999"}}), universe)
	for _, test := range []struct {
		err  error
		code papertapev1.RejectCode
		says []string
	}{
		{bars(&papertapev1.BarsRequest{Seconds: 30}), malformed,
			[]string{"30 seconds", "60 (a minute)", "86400 (a day)"}},
		{bars(&papertapev1.BarsRequest{Seconds: 60, From: 2, To: 1}), malformed, []string{"from is 2, after to"}},
		{bars(&papertapev1.BarsRequest{Seconds: 60, From: -2}), malformed, []string{"from is -2", "since 1970"}},
		{bars(&papertapev1.BarsRequest{Seconds: 60, Limit: 1001}), malformed, []string{"1001", "at most 1000"}},
		{calendar("2026-13-01", "2026-01-01"), malformed, []string{`from is "2026-13-01"`, "2026-01-05"}},
		{calendar("2026-01-01", "tomorrow"), malformed, []string{`to is "tomorrow"`, "2026-01-05"}},
		{calendar("2026-01-02", "2026-01-01"), malformed, []string{"2026-01-02, after to"}},
		{calendar("2026-01-01", "2027-01-02"), malformed, []string{"367 days", "at most 366"}},
		{nowhere, unknown, []string{`no market "US" here`, "SH, SZ"}},
		{noCode, unknown, []string{"999999"}},
	} {
		checkRefused(t, test.err, test.code, false)
		checkSentence(t, test.err, test.says...)
	}
}

func TestMarketReplies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.Uint64Min(1).Draw(t, "id")
		more := rapid.Bool().Draw(t, "more")
		bars := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) market.Bar {
			n := func(name string) int64 { return anyInt.Draw(t, name) }
			return market.Bar{Time: n("time"), Open: n("open"), High: n("high"), Low: n("low"), Close: n("close"),
				Volume: n("volume"), Amount: n("amount"), Trades: rapid.Uint32().Draw(t, "trades")}
		}), 0, 20).Draw(t, "bars")
		checkPayload(t, onlyFrame(t, codec.AppendBars(nil, id, bars, more, rapid.Bool().Draw(t, "newest")),
			codec.TypeBarsReply, codec.FlagReply, id), &papertapev1.Bars{Bars: wireBars(bars), More: more})
		trades := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) market.TapeTrade {
			return market.TapeTrade{Time: anyInt.Draw(t, "time"), Price: anyInt.Draw(t, "price"),
				Size: anyInt.Draw(t, "size"), Number: anyUint.Draw(t, "number")}
		}), 0, 20).Draw(t, "tape")
		checkPayload(t, onlyFrame(t, codec.AppendTrades(nil, id, trades, more), codec.TypeTradesReply, codec.FlagReply,
			id), &papertapev1.Trades{Trades: wireTrades(trades), More: more})
		clock := &codec.Clock{
			Time: anyInt.Draw(t, "now"), Status: market.Status(rapid.IntRange(0, 4).Draw(t, "status")),
			NextOpen: anyInt.Draw(t, "open"), NextClose: anyInt.Draw(t, "close"),
			Zone: rapid.StringN(0, 20, 60).Draw(t, "zone"), Tape: rapid.Bool().Draw(t, "tape"),
		}
		checkPayload(t, onlyFrame(t, codec.AppendClock(nil, id, clock), codec.TypeClockReply, codec.FlagReply, id),
			wireClock(clock))
		days := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) codec.CalendarDay {
			return codec.CalendarDay{Date: rapid.StringN(0, 10, 10).Draw(t, "date"),
				Opens:  rapid.SliceOfN(anyInt, 0, 20).Draw(t, "opens"),
				Closes: rapid.SliceOfN(anyInt, 0, 20).Draw(t, "closes"), Presumed: rapid.Bool().Draw(t, "presumed")}
		}), 0, 20).Draw(t, "days")
		payload := onlyFrame(t, codec.AppendCalendar(nil, id, days), codec.TypeCalendarReply, codec.FlagReply, id)
		checkPayload(t, payload, wireCalendar(days))
		if len(payload) != proto.Size(wireCalendar(days)) {
			t.Fatalf("%d bytes, want %d", len(payload), proto.Size(wireCalendar(days)))
		}
	})
}

// TestMarketRepliesAlwaysFit has replies of the most that can be asked for, with numbers that take the most bytes.
func TestMarketRepliesAlwaysFit(t *testing.T) {
	trades := slices.Repeat([]market.TapeTrade{{Time: -1, Price: -1, Size: -1, Number: math.MaxUint64}}, 1000)
	checkPayload(t, onlyFrame(t, codec.AppendTrades(nil, 5, trades, true), codec.TypeTradesReply, codec.FlagReply, 5),
		&papertapev1.Trades{Trades: wireTrades(trades), More: true})
	sessions := slices.Repeat([]int64{math.MaxInt64}, 6)
	days := slices.Repeat([]codec.CalendarDay{{"2026-01-05", sessions, sessions, true}}, 366)
	checkPayload(t, onlyFrame(t, codec.AppendCalendar(nil, 5, days), codec.TypeCalendarReply, codec.FlagReply, 5),
		wireCalendar(days))
}

// TestBarsStopAtTheLimit: of bars that do not fit a frame those come that were asked for first, without a hole.
func TestBarsStopAtTheLimit(t *testing.T) {
	bars := make([]market.Bar, 1000)
	for n := range bars {
		bars[n] = market.Bar{Time: int64(n), Open: -1, High: -1, Low: -1, Close: -1, Volume: -1, Amount: -1,
			Trades: math.MaxUint32}
	}
	for _, newest := range []bool{false, true} {
		var got papertapev1.Bars
		frame := codec.AppendBars(nil, 5, bars, false, newest)
		if err := codec.Unmarshal(onlyFrame(t, frame, codec.TypeBarsReply, codec.FlagReply, 5), &got); err != nil {
			t.Fatal(err)
		}
		n := len(got.GetBars())
		want := bars[:n]
		if newest {
			want = bars[1000-n:]
		}
		if got.GetMore() == newest || !proto.Equal(&papertapev1.Bars{Bars: got.GetBars()},
			&papertapev1.Bars{Bars: wireBars(want)}) {
			t.Errorf("newest %t: %d bars, more %t", newest, n, got.GetMore())
		}
		if length := len(frame) - 4; length > codec.LimitToClient || length < codec.LimitToClient-2*85 {
			t.Errorf("newest %t: %d bars in a frame of %d, which has room for one more", newest, n, length)
		}
	}
}

// widestPrices returns a snapshot in which all numbers of all quotes take the most bytes.
func widestPrices(t *testing.T, u *market.Universe) *market.Prices {
	t.Helper()
	updates := make([]market.Update, u.Len())
	for n := range updates {
		updates[n] = market.Update{
			ID: market.ID(n), Time: math.MaxInt64, Bid: market.MaxPrice, Ask: market.MaxPrice, Last: market.MaxPrice,
			BidSize: market.MaxVolume, AskSize: market.MaxVolume, Size: market.MaxVolume,
			Says: market.SaysBid | market.SaysAsk | market.SaysBidSize | market.SaysAskSize | market.SaysLast |
				market.SaysSize,
		}
	}
	return market.NewFeed(u, market.FeedConfig{}).Apply(math.MaxInt64, updates, nil)
}

// TestDetailedQuotesOfAll: all quotes are sent, in order, in frames that clients accept; none takes more than is said.
func TestDetailedQuotesOfAll(t *testing.T) {
	u := widest(t)
	prices := widestPrices(t, u)
	for _, count := range []int{0, 1, 480, 481, 1001, market.MaxInstruments} {
		ids := make([]market.ID, count)
		for n := range ids {
			ids[n] = market.ID(n)
		}
		rest := codec.AppendDetailedQuotes([]byte("before"), ids, prices, u)[len("before"):]
		if most := codec.HeaderBytes + count*codec.DetailedQuoteBytesMax; len(rest) > most {
			t.Errorf("%d quotes take %d bytes, over %d", count, len(rest), most)
		}
		got := quotesIn(t, rest)
		if len(got) != count {
			t.Fatalf("%d quotes, want %d", len(got), count)
		}
		for n, quote := range got {
			if quote.GetCode() != u.At(market.ID(n)).Code || quote.GetVolume() != market.MaxVolume {
				t.Fatalf("quote %d is %v", n, quote)
			}
		}
		if plain := codec.AppendQuotes(nil, ids, prices, u); len(plain) > codec.HeaderBytes+count*codec.QuoteBytesMax {
			t.Errorf("%d plain quotes take %d bytes", count, len(plain))
		}
	}
}

func quotesIn(t *testing.T, frames []byte) (all []*papertapev1.Quote) {
	t.Helper()
	for len(frames) > 0 {
		f, n, err := codec.Cut(frames, codec.LimitToClient)
		if err != nil || n == 0 || f.Type != codec.TypeQuotes {
			t.Fatalf("%v, %d, %v", f.Type, n, err)
		}
		var quotes papertapev1.Quotes
		if err := codec.Unmarshal(f.Payload, &quotes); err != nil {
			t.Fatal(err)
		}
		all = append(all, quotes.GetQuotes()...)
		frames = frames[n:]
	}
	return all
}

// TestQuotesAgree: plain quotes are the same bytes whatever else is known of an instrument, and detailed ones carry
// every field.
func TestQuotesAgree(t *testing.T) {
	prices := tradedPrices(t)
	ids := []market.ID{0, instrument(t, "SH", "600519"), 40}
	var plain, detailed papertapev1.Quotes
	for _, id := range ids {
		q := wireQuote(prices, id)
		detailed.Quotes = append(detailed.Quotes, q)
		plain.Quotes = append(plain.Quotes, &papertapev1.Quote{Market: q.Market, Code: q.Code, Price: q.Price,
			Time: prices.Time()})
	}
	checkPayload(t, onlyFrame(t, codec.AppendQuotes(nil, ids, prices, universe), codec.TypeQuotes, 0, 0), &plain)
	checkPayload(t, onlyFrame(t, codec.AppendDetailedQuotes(nil, ids, prices, universe), codec.TypeQuotes, 0, 0),
		&detailed)
	if text := detailed.GetQuotes()[1].String(); strings.Count(text, ":") != 15 {
		t.Errorf("not every field is set: %s", text)
	}
}

func TestMarketDataDoesNotAllocate(t *testing.T) {
	prices, ids := tradedPrices(t), []market.ID{0, 1, 2, 3}
	bars := slices.Repeat([]market.Bar{{Time: goldenTime, Open: 1, Trades: 1}}, 100)
	payload := marshal(t, &papertapev1.BarsRequest{Market: "SH", Code: "600519", Seconds: 60})
	frame := make([]byte, 0, 8192)
	for name, f := range map[string]func(){
		"AppendDetailedQuotes": func() { frame = codec.AppendDetailedQuotes(frame[:0], ids, prices, universe) },
		"AppendQuotes":         func() { frame = codec.AppendQuotes(frame[:0], ids, prices, universe) },
		"AppendBars":           func() { frame = codec.AppendBars(frame[:0], 1, bars, false, true) },
		"DecodeBarsRequest": func() {
			if _, err := codec.DecodeBarsRequest(payload, universe); err != nil {
				t.Fatal(err)
			}
		},
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations, want 0", name, n)
		}
	}
}

// TestDecodeSubscribeSorts: codes come in order, each once, however they were spelled.
func TestDecodeSubscribeSorts(t *testing.T) {
	payload := marshal(t, &papertapev1.Subscribe{Quotes: true, Codes: []string{"000001.SZ", "SH600519", "sh.600519"}})
	got, err := codec.DecodeSubscribe(payload, universe)
	want := []market.ID{instrument(t, "SH", "600519"), instrument(t, "SZ", "000001")}
	if err != nil || !slices.Equal(got.Codes, want) || !got.Quotes || got.Detail || got.Presence {
		t.Errorf("%+v, %v", got, err)
	}
}

// FuzzUnmarshalReplies: replies from an untrusted server must not cause a panic, and what decodes must encode to the
// same message.
func FuzzUnmarshalReplies(f *testing.F) {
	addGolden(f, func(payload []byte) { f.Add(payload) })
	f.Fuzz(func(t *testing.T, payload []byte) {
		for _, m := range []generated{&papertapev1.Quotes{}, &papertapev1.Bars{}, &papertapev1.Trades{},
			&papertapev1.Clock{}, &papertapev1.Calendar{}} {
			again := m.ProtoReflect().New().Interface().(generated)
			if codec.Unmarshal(payload, m) != nil {
				continue
			}
			frame := codec.Append(nil, codec.TypeEmbedder, 0, 0, m)
			if err := codec.Unmarshal(frame[codec.HeaderBytes:], again); err != nil || !proto.Equal(m, again) {
				t.Fatalf("%v\ngot  %v\nwant %v", err, again, m)
			}
		}
	})
}

func BenchmarkAppendQuotes(b *testing.B) {
	prices := tradedPrices(b)
	ids := make([]market.ID, universe.Len())
	for n := range ids {
		ids[n] = market.ID(n)
	}
	for _, test := range []struct {
		name  string
		quote func([]byte, []market.ID, *market.Prices, *market.Universe) []byte
	}{{"plain", codec.AppendQuotes}, {"detail", codec.AppendDetailedQuotes}} {
		b.Run(fmt.Sprintf("%s-%d", test.name, len(ids)), func(b *testing.B) {
			b.ReportAllocs()
			var frame []byte
			for b.Loop() {
				frame = test.quote(frame[:0], ids, prices, universe)
			}
			b.SetBytes(int64(len(frame)))
		})
	}
}
