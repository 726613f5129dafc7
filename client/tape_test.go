package client_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine/gateway"
	"github.com/papertape/papertape/market"
)

// opened is when the market of a venue opened, on 5 January 2026 at 09:30 in Shanghai.
var opened = time.Date(2026, 1, 5, 1, 30, 0, 0, time.UTC)

// venueTape is a store of three bars, one a minute, and two trades.
type venueTape struct{}

func (venueTape) Bars(_ market.ID, seconds uint32, from, to int64, limit int) (bars []market.Bar, more bool) {
	for n := range int64(3) {
		at := opened.UnixNano() + n*int64(seconds)*1e9
		if at < from || to != 0 && at >= to {
			continue
		}
		if len(bars) == limit {
			return bars, true
		}
		bars = append(bars, market.Bar{Time: at, Open: 10_0000, High: 10_0000 + n*100, Low: 9_9900, Close: 10_0000,
			Volume: 300, Amount: 3_000_0000, Trades: 2})
	}
	return bars, false
}

func (venueTape) Trades(_ market.ID, from int64, _ int) ([]market.TapeTrade, bool) {
	return []market.TapeTrade{
		{Time: opened.UnixNano(), Price: 10_0000, Size: 200, Number: 1},
		{Time: opened.UnixNano() + 1, Price: 9_9900, Size: 100, Number: 2},
	}, from != 0
}

func venueClock(name string) gateway.ClockState {
	return gateway.ClockState{Time: opened.UnixNano(), Status: market.StatusOpen, Zone: "Asia/Shanghai",
		NextClose: opened.Add(2 * time.Hour).UnixNano(), Tape: name == "SZ"}
}

func venueCalendar(_, from, _ string) ([]gateway.CalendarDay, error) {
	return []gateway.CalendarDay{{Date: from, Opens: []int64{opened.UnixNano()},
		Closes: []int64{opened.Add(2 * time.Hour).UnixNano()}}}, nil
}

// Bars are asked for page by page, and bounds are those of the request.
func TestBarsAndTrades(t *testing.T) {
	v := startVenue(t, nil)
	c := dial(t, v.addr, client.Options{Account: 100100})
	r := client.BarsRequest{Market: "SZ", Code: "000001", Seconds: client.Minute, Limit: 2, From: opened}
	var all []client.Bar
	for more := true; more; {
		var bars []client.Bar
		var err error
		if bars, more, err = c.Bars(patience(t), r); err != nil {
			t.Fatal(err)
		}
		all = append(all, bars...)
		r.From = all[len(all)-1].Time.Add(1)
	}
	if len(all) != 3 || !all[0].Time.Equal(opened) || !all[2].Time.Equal(opened.Add(2*time.Minute)) ||
		all[1].Amount != 3000*client.One {
		t.Errorf("bars %v", all)
	}
	bars, more, err := c.Bars(patience(t), client.BarsRequest{Market: "SZ", Code: "000001", Seconds: client.Day,
		To: opened.Add(1)})
	if err != nil || more || len(bars) != 1 {
		t.Errorf("bars %v, more %t, %v", bars, more, err)
	}
	trades, more, err := c.Trades(patience(t), client.TradesRequest{Market: "SZ", Code: "000001", From: opened})
	if err != nil || !more || len(trades) != 2 || trades[1].Number != 2 || !trades[1].Time.Equal(opened.Add(1)) {
		t.Errorf("trades %v, more %t, %v", trades, more, err)
	}
	for _, r := range []client.BarsRequest{
		{Market: "SZ", Code: "000001", Seconds: 30}, {Market: "SZ", Code: "000001", Seconds: 60, Limit: -1},
		{Market: "SZ", Code: "000001", Seconds: 60, Limit: 1001},
		{Market: "SZ", Code: "000001", Seconds: 60, From: opened, To: opened.Add(-1)},
	} {
		var reject *client.Reject
		if _, _, err := c.Bars(patience(t), r); !errors.As(err, &reject) || reject.Code != client.Malformed {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

func TestClockAndCalendar(t *testing.T) {
	v := startVenue(t, nil)
	c := dial(t, v.addr, client.Options{Account: 100100})
	clock, err := c.Clock(patience(t), "XSHE")
	if err != nil || !clock.Tape || !clock.NextOpen.IsZero() || clock.Status != client.MarketIsOpen ||
		!clock.NextClose.Equal(opened.Add(2*time.Hour)) {
		t.Errorf("clock %+v, %v", clock, err)
	}
	var reject *client.Reject
	if _, err := c.Clock(patience(t), "US"); !errors.As(err, &reject) || reject.Code != client.UnknownInstrument {
		t.Errorf("the clock of a market that is not there: %v", err)
	}
	days, err := c.Calendar(patience(t), "SZ", "2026-01-05", "2026-01-06")
	if err != nil || len(days) != 1 || days[0].Date != "2026-01-05" || !days[0].Sessions[0].Open.Equal(opened) {
		t.Errorf("calendar %v, %v", days, err)
	}
	if _, err := c.Calendar(patience(t), "SZ", "soon", "2026-01-06"); !errors.As(err, &reject) {
		t.Errorf("a date that is none: %v", err)
	}
}

// Quotes by code and in detail, from a real server.
func TestQuotesInDetail(t *testing.T) {
	v := startVenue(t, nil)
	a := open(t, v.addr, func(o *client.AccountOptions) {
		o.Account, o.Subscribe = 100100, []client.Topic{client.TopicQuotes}
		o.Quotes = client.QuotesOptions{Detail: true, Codes: []string{"SZ.000001"}}
	})
	q := takeUntil[*client.Quotes](t, a).Quotes
	if len(q) != 1 || q[0].Code != "000001" || q[0].Bid != q[0].Price || q[0].PreviousClose != 10*client.One ||
		q[0].Status != client.MarketIsOpen {
		t.Errorf("quotes %+v", q)
	}
	var reject *client.Reject
	err := a.SubscribeQuotes(patience(t), client.QuotesOptions{Codes: []string{"SZ.NONE"}})
	if !errors.As(err, &reject) || reject.Code != client.UnknownInstrument {
		t.Errorf("an unknown code: %v", err)
	}
	if err := a.SubscribeQuotes(patience(t), client.QuotesOptions{Codes: []string{"SH.600519"}}); err != nil {
		t.Fatal(err)
	}
	for { // those that were subscribed to before may still come
		q := takeUntil[*client.Quotes](t, a).Quotes
		if last := q[0]; last.Code == "600519" {
			if last.Bid != 0 || last.Status != 0 {
				t.Errorf("without detail: %+v", last)
			}
			return
		}
	}
}

// A subscription that the server refuses is not repeated on the next connection: those before stay.
func TestRefusedSubscription(t *testing.T) {
	wants := func(p *peer, detail bool, codes int) codec.Frame {
		f, m := p.expect(codec.TypeSubscribe), new(papertapev1.Subscribe)
		p.unmarshal(f, m)
		if !m.GetQuotes() || m.GetDetail() != detail || len(m.GetCodes()) != codes {
			t.Errorf("subscribed to %v: expected detail %t, %d codes", m, detail, codes)
		}
		return f
	}
	accept := func(p *peer, f codec.Frame) {
		p.send(codec.Append(nil, codec.TypeSubscribed, codec.FlagReply, f.ID, &papertapev1.Subscribed{Quotes: true}))
	}
	again := make(chan struct{}) // closed when the second connection has asked for all, which comes after Connected
	addr := serve(t, func(p *peer) {
		p.logInWithSnapshot(1)
		accept(p, wants(p, true, 0))
		p.send(quotes(7))
		f := wants(p, false, 1)
		p.send(codec.AppendReject(nil, f.ID, papertapev1.RejectCode_REJECT_CODE_UNKNOWN_INSTRUMENT, "no", 0))
		p.send(pong(p.expect(codec.TypePing).ID, 1))
	}, func(p *peer) {
		p.logInResumed(1, 1)
		accept(p, wants(p, true, 0))
		p.sendBookHoldings(1)
		close(again)
		p.waitClosed()
	})
	a := open(t, addr, func(o *client.AccountOptions) {
		o.Subscribe, o.Quotes = []client.Topic{client.TopicQuotes}, client.QuotesOptions{Detail: true}
	})
	takeUntil[*client.Quotes](t, a) // the first topics have been sent
	var reject *client.Reject
	err := a.SubscribeQuotes(patience(t), client.QuotesOptions{Codes: []string{"SZ.NONE"}})
	if !errors.As(err, &reject) {
		t.Errorf("refused: %v", err)
	}
	if err := a.Ping(patience(t)); err != nil {
		t.Fatal(err)
	}
	takeUntil[*client.Disconnected](t, a)
	takeUntil[*client.Connected](t, a)
	if err := a.SubscribeQuotes(patience(t), client.QuotesOptions{}, client.Topic(9)); err == nil {
		t.Error("there is no topic 9, and no error either")
	}
	<-again
}

// All fields of the quotes of one instrument, at once and then whenever one of them changes.
func ExampleAccount_SubscribeQuotes() {
	ctx := context.Background()
	a, end := openExample(ctx)
	defer end()
	err := a.SubscribeQuotes(ctx, client.QuotesOptions{Detail: true, Codes: []string{"SZ.000001"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for {
		u, err := a.Next(ctx)
		if err != nil {
			fmt.Println(err)
			return
		}
		if quotes, ok := u.(*client.Quotes); ok {
			q := quotes.Quotes[0]
			fmt.Println(q.Market, q.Code, "bid", q.Bid, "ask", q.Ask, q.Status)
			return
		}
	}
	// Output: SZ 000001 bid 10.00 ask 10.00 OPEN
}

// The bars of one minute since the market opened.
func ExampleAccount_Bars() {
	ctx := context.Background()
	a, end := openExample(ctx)
	defer end()
	opened := time.Date(2026, 1, 5, 1, 30, 0, 0, time.UTC)
	bars, more, err := a.Bars(ctx, client.BarsRequest{
		Market: "SZ", Code: "000001", Seconds: client.Minute, From: opened, Limit: 2,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, b := range bars {
		fmt.Println(b.Time.Format("15:04"), b.Open, b.High, b.Low, b.Close, b.Volume)
	}
	fmt.Println("there are more:", more)
	// Output:
	// 01:30 10.00 10.00 9.99 10.00 300
	// 01:31 10.00 10.01 9.99 10.00 300
	// there are more: true
}

// The last trades of an instrument, by anybody.
func ExampleAccount_Trades() {
	ctx := context.Background()
	a, end := openExample(ctx)
	defer end()
	trades, _, err := a.Trades(ctx, client.TradesRequest{Market: "SZ", Code: "000001"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, t := range trades {
		fmt.Println(t.Number, t.Size, "at", t.Price)
	}
	// Output:
	// 1 200 at 10.00
	// 2 100 at 9.99
}

// Whether a market is open, and until when.
func ExampleAccount_Clock() {
	ctx := context.Background()
	a, end := openExample(ctx)
	defer end()
	clock, err := a.Clock(ctx, "SH")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(clock.Status, "until", clock.NextClose.Format(time.RFC3339), "in", clock.Zone)
	// Output: OPEN until 2026-01-05T03:30:00Z in Asia/Shanghai
}

// The trading days of a week.
func ExampleAccount_Calendar() {
	ctx := context.Background()
	a, end := openExample(ctx)
	defer end()
	days, err := a.Calendar(ctx, "SH", "2026-01-05", "2026-01-11")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, day := range days {
		fmt.Println(day.Date, "opens", day.Sessions[0].Open.Format(time.RFC3339))
	}
	// Output: 2026-01-05 opens 2026-01-05T01:30:00Z
}
