package terminal

import (
	"strings"
	"testing"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/codec"
)

// someQuotes are two instruments and their quotes: one that was traded, and one that was not and has nobody to sell it.
func someQuotes() ([]client.Instrument, map[instrument]client.Quote) {
	list := []client.Instrument{{Market: "SH", Code: "600519", Name: "贵州茅台"}, {Market: "SZ", Code: "000001",
		Name: "平安银行"}}
	return list, map[instrument]client.Quote{
		{"SH", "600519"}: {Price: 1480_0000, Bid: 1479_9900, Ask: 1480_0100, BidSize: 500, AskSize: 300, Size: 100,
			Time: noon, Open: 1475_0000, High: 1490_0000, Low: 1470_0000, Volume: 123400, PreviousClose: 1475_0000,
			Status: client.MarketIsOpen},
		{"SZ", "000001"}: {Price: 10_0000, Bid: 10_0000, BidSize: 900, PreviousClose: 10_0000, Time: time.Unix(0, 0),
			Status: client.MarketIsHalted},
	}
}

// TestDetails checks quotes in detail line by line in both languages.
func TestDetails(t *testing.T) {
	list, quotes := someQuotes()
	for of, want := range map[*catalogue]string{&english: `
SH.600519 贵州茅台: 1480.00 (+0.34%), open
  bid 1479.99 x 1480.01 ask, sizes 500 x 300
  open 1475.00, high 1490.00, low 1470.00, volume 123400, previous close 1475.00
SZ.000001 平安银行: 10.00 (+0.00%), halted
  bid 10.00 x - ask, sizes 900 x 0
  nothing was traded today, previous close 10.00`, &chinese: `
SH.600519 贵州茅台：1480.00（+0.34%），交易中
  买 1479.99 x 1480.01 卖，数量 500 x 300
  开 1475.00，高 1490.00，低 1470.00，成交量 123400，昨收 1475.00
SZ.000001 平安银行：10.00（+0.00%），停牌
  买 10.00 x - 卖，数量 900 x 0
  今天还没有成交，昨收 10.00`} {
		if got := newPrinter(of, style{}).details(list, quotes); "\n"+got != want {
			t.Errorf("got\n%s\nwant%s", got, want)
		}
	}
	var b strings.Builder
	if err := printJSON(&b, detailsJSON(list, quotes)); err != nil {
		t.Fatal(err)
	}
	const want = `{"type":"quotes","quotes":[{"market":"SH","code":"600519","name":"贵州茅台","price":"1480.00",` +
		`"previous_close":"1475.00","status":"open","bid":"1479.99","ask":"1480.01","bid_size":500,"ask_size":300,` +
		`"size":100,"time":"2026-11-23T12:00:00Z","open":"1475.00","high":"1490.00","low":"1470.00","volume":123400},` +
		`{"market":"SZ","code":"000001","name":"平安银行","price":"10.00","previous_close":"10.00","status":"halted",` +
		`"bid":"10.00","ask":"0.00","bid_size":900,"ask_size":0,"size":0,"open":"0.00","high":"0.00","low":"0.00",` +
		`"volume":0}]}` + "\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
	statuses := map[client.MarketStatus]string{client.MarketIsOpen: "open", client.MarketIsClosed: "closed",
		client.MarketIsHalted: "halted", client.MarketIsInAuction: "in auction", 9: client.MarketStatus(9).String()}
	for status, want := range statuses {
		if got := newPrinter(&english, style{}).status(status); got != want {
			t.Errorf("status %d is %q, want %q", status, got, want)
		}
	}
}

// subscribed answers the next SUBSCRIBE, which must be want, and sends frames after the answer.
func (f *fake) subscribed(want *papertapev1.Subscribe, frames ...[]byte) {
	f.t.Helper()
	got := new(papertapev1.Subscribe)
	id := f.request(codec.TypeSubscribe, got)
	if got.String() != want.String() {
		f.t.Errorf("subscribed to %v, want %v", got, want)
	}
	f.frames <- codec.Append(nil, codec.TypeSubscribed, codec.FlagReply, id, &papertapev1.Subscribed{
		Quotes: want.GetQuotes(), Presence: want.GetPresence()})
	for _, frame := range frames {
		f.frames <- frame
	}
}

// quotesFrame is a push of quotes in detail, at a price each.
func quotesFrame(price int64, codes ...string) []byte {
	m := new(papertapev1.Quotes)
	for _, code := range codes {
		where, code, _ := strings.Cut(code, ".")
		m.Quotes = append(m.Quotes, &papertapev1.Quote{Market: where, Code: code, Price: price, Bid: price, Ask: price,
			PreviousClose: 10_0000, Status: papertapev1.MarketStatus_MARKET_STATUS_OPEN})
	}
	return codec.Append(nil, codec.TypeQuotes, 0, 0, m)
}

// newQuoting starts a server that tells quotes in detail.
func newQuoting(t *testing.T) *fake {
	f := newFake(t, holdingsOf(1, 100))
	for _, in := range f.instruments {
		in.Status = papertapev1.MarketStatus_MARKET_STATUS_OPEN
	}
	return f
}

// TestDetailsAsked: instruments that are named are subscribed to in detail until all have come, in whatever pieces;
// what the person has subscribed to stays. Quotes that nobody waits for are not shown.
func TestDetailsAsked(t *testing.T) {
	f := newQuoting(t)
	r := startRun(t, f.addr, nil)
	go func() {
		r.say("presence on\nquote SZ.000001 SH 600519\npresence off\nquote 600519.SH")
		_ = r.in.Close()
	}()
	f.subscribed(&papertapev1.Subscribe{Presence: true})
	f.subscribed(&papertapev1.Subscribe{Presence: true, Quotes: true, Detail: true,
		Codes: []string{"SZ.000001", "SH.600519"}},
		quotesFrame(11_0000, "SZ.000001"), quotesFrame(77_0000, "SZ.000002"), quotesFrame(12_0000, "SH.600519"))
	f.subscribed(&papertapev1.Subscribe{Presence: true}, quotesFrame(99_0000, "SZ.000001"))
	f.subscribed(&papertapev1.Subscribe{})
	f.subscribed(&papertapev1.Subscribe{Quotes: true, Detail: true, Codes: []string{"SH.600519"}},
		quotesFrame(13_0000, "SH.600519"))
	f.subscribed(&papertapev1.Subscribe{})
	if err := r.end(); err != nil {
		t.Error(err)
	}
	got := r.out.String()
	for _, want := range []string{"\nSZ.000001 平安银行: 11.00 (+10.00%), open\n",
		"\nSH.600519 贵州茅台: 12.00 (+20.00%), open\n",
		"\nSH.600519 贵州茅台: 13.00 (+30.00%), open\n  bid 13.00 x 13.00 ask"} {
		if strings.Count(got, want) != 1 {
			t.Errorf("there is no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "77.00") || strings.Contains(got, "99.00") {
		t.Errorf("quotes that nobody asked for:\n%s", got)
	}
}

// TestDetailsOneShot: the only command may ask for them too.
func TestDetailsOneShot(t *testing.T) {
	f := newQuoting(t)
	r := startRun(t, f.addr, func(cfg *Config) { cfg.Words, cfg.JSON = []string{"行情", "SZ.000001"}, true })
	f.subscribed(&papertapev1.Subscribe{Quotes: true, Detail: true, Codes: []string{"SZ.000001"}},
		quotesFrame(11_0000, "SZ.000001"))
	f.subscribed(&papertapev1.Subscribe{})
	if err := r.end(); err != nil {
		t.Error(err)
	}
	if got := r.out.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `"price":"11.00"`) ||
		!strings.Contains(got, `"status":"open","bid":"11.00"`) {
		t.Errorf("the output is %s", got)
	}
}

// TestDetailsGivenUp: a command that is given up leaves no subscription behind: the next one ends it first, unless it
// is an order, which nothing delays.
func TestDetailsGivenUp(t *testing.T) {
	f := newQuoting(t)
	s := &session{printer: *newPrinter(&english, style{}), quoting: true}
	account, err := client.Open(t.Context(), f.addr, client.AccountOptions{Account: customer, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer account.Close() //nolint:errcheck // without a cursor it does not fail
	s.account = account
	done := make(chan error, 1)
	go func() {
		_, err := s.ask(t.Context(), &command{verb: verbHistory, count: 1}, "")
		done <- err
	}()
	f.subscribed(&papertapev1.Subscribe{})
	id := f.request(codec.TypeHistory, new(papertapev1.HistoryRequest))
	f.frames <- codec.Append(nil, codec.TypeHistoryReply, codec.FlagReply, id, &papertapev1.History{})
	if err := <-done; err != nil || s.quoting {
		t.Errorf("%v; quotes are subscribed to: %t", err, s.quoting)
	}
	s.quoting = true
	s.listing.Store(shipped(t))
	go func() {
		_, err := s.ask(t.Context(), &command{verb: verbBuy, words: []string{"SH.600519"}, quantity: 100}, "1")
		done <- err
	}()
	f.filled(2, client.Increased, maotai(200))
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestDetailsOfMany: of many instruments, and from a server that has no quotes in detail, there is a table as before.
func TestDetailsOfMany(t *testing.T) {
	for name, f := range map[string]*fake{"many": newQuoting(t), "old": newFake(t, holdingsOf(1, 100))} {
		line := "quote SZ.000001"
		if name == "many" {
			line = "quote"
			for _, in := range f.instruments[:detailMost+1] {
				line += " " + in.GetMarket() + "." + in.GetCode()
			}
		}
		r := startRun(t, f.addr, nil)
		go func() {
			r.say(line)
			_ = r.in.Close()
		}()
		if err := r.end(); err != nil {
			t.Error(err)
		}
		if got := r.out.String(); !strings.Contains(got, "previous close │ change │") || len(f.requests) != 0 {
			t.Errorf("%s: %d requests, and\n%s", name, len(f.requests), got)
		}
	}
}
