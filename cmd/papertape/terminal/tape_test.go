package terminal

import (
	"strings"
	"testing"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/client"
)

const customer = 100017

// noon is the time of everything in these tests.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func newPrinter(c *catalogue, s style) *printer {
	return &printer{style: s, words: c, zone: time.UTC}
}

func row(market, code, name string, quantity, price, cost int64) *papertapev1.Position {
	return &papertapev1.Position{
		Market: market, Code: code, Name: name, Quantity: quantity, Sellable: quantity, Price: price,
		MarketValue: quantity * price, Cost: cost,
	}
}

// traded returns an event of a trade in an instrument. after is the instrument's row after it.
func traded(seq uint64, side client.Side, quantity int64, change client.Change, after *papertapev1.Position,
	origin client.Origin) *papertapev1.AccountEvent {
	return &papertapev1.AccountEvent{
		Account: customer, Seq: seq, Time: noon.UnixNano(), Change: papertapev1.Change(change),
		Positions: []*papertapev1.Position{after}, Cash: &papertapev1.Cash{Balance: 852000_0000},
		What: &papertapev1.AccountEvent_Trade{Trade: &papertapev1.Trade{
			Id: tradeID(customer, seq), Side: papertapev1.Side(side), Market: after.GetMarket(),
			Code: after.GetCode(), Name: after.GetName(), Quantity: quantity,
			Price: after.GetPrice(), Amount: quantity * after.GetPrice(), Origin: papertapev1.Origin(origin),
		}},
	}
}

func maotai(quantity int64) *papertapev1.Position {
	return row("SH", "600519", "贵州茅台", quantity, 1480_0000, quantity*1480_0000)
}

// asShown converts an event of the wire to the SDK's form.
func asShown(m *papertapev1.AccountEvent) *client.Event {
	payload, err := m.MarshalVT()
	if err != nil {
		panic(err)
	}
	ev, err := client.DecodeEvent(payload)
	if err != nil {
		panic(err)
	}
	return ev
}

// rowsShown converts rows of the wire to the SDK's form.
func rowsShown(rows ...*papertapev1.Position) []client.Position {
	payload, err := (&papertapev1.Holdings{Positions: rows}).MarshalVT()
	if err != nil {
		panic(err)
	}
	h, err := client.DecodeHoldings(payload)
	if err != nil {
		panic(err)
	}
	return h.Positions
}

// tape returns the events of TestTape, one of each kind, with the account before each.
func tape() (events []*client.Event, before []*picture) {
	st := row("SH", "609999", "ST虚构", 12345678, 3_1200, 1)
	sold := traded(2, client.Buy, 300, client.Increased, maotai(400), client.OriginClient).GetTrade()
	bust := &papertapev1.AccountEvent{
		Account: customer, Seq: 7, Time: noon.UnixNano(), Change: papertapev1.Change_CHANGE_DECREASED,
		Cash:      &papertapev1.Cash{Balance: 900000_0000},
		Positions: []*papertapev1.Position{maotai(100), row("SZ", "000001", "平安银行", 0, 10_0000, 0)},
		What: &papertapev1.AccountEvent_Bust{Bust: &papertapev1.Bust{
			TradeId: tradeID(customer, 2), Reason: "wrong\nprice", Actor: "ann", Original: sold,
			Cascade: []string{"100017-5", "100017-6"},
		}},
	}
	corrected := &papertapev1.AccountEvent{
		Account: customer, Seq: 8, Time: noon.UnixNano(), Change: papertapev1.Change_CHANGE_DECREASED,
		Cash:      &papertapev1.Cash{Balance: 900000_0000},
		Positions: []*papertapev1.Position{row("SH", "600519", "贵州茅台", 100, 1480_0000, 99_8000)},
		What: &papertapev1.AccountEvent_Bust{Bust: &papertapev1.Bust{
			TradeId: tradeID(customer, 2), Reason: "price", Actor: "ann", Original: sold,
			Replacement: &papertapev1.Trade{Side: papertapev1.Side_SIDE_BUY, Market: "SH", Code: "600519",
				Name: "贵州茅台", Quantity: 100, Price: 99800},
		}},
	}
	booked := &papertapev1.AccountEvent{
		Account: customer, Seq: 1, Time: noon.UnixNano(), Cash: &papertapev1.Cash{Balance: 1000000_0000},
		What: &papertapev1.AccountEvent_Adjustment{Adjustment: &papertapev1.Adjustment{Cash: 1000000_0000,
			Reason: "account opened", Actor: "papertape"}},
	}
	anew := &papertapev1.AccountEvent{
		Account: customer, Seq: 9, Time: noon.UnixNano(), Cash: &papertapev1.Cash{Balance: 1000000_0000},
		What: &papertapev1.AccountEvent_Reset_{Reset_: &papertapev1.Reset{Cash: 1000000_0000, Reason: "a new term",
			Actor: "ops"}},
		Positions: []*papertapev1.Position{{Market: "SH", Code: "600519"}, {Market: "SZ", Code: "000001"}},
	}
	was := pictureOf(&client.State{Seq: 1, Cash: client.Cash{Balance: 500000_0000}, Positions: rowsShown(
		maotai(400), row("SZ", "000001", "平安银行", 300, 10_0000, 3000_0000),
	)})
	for _, ev := range []*papertapev1.AccountEvent{
		traded(2, client.Buy, 100, client.Opened, maotai(100), client.OriginClient),
		traded(3, client.Buy, 300, client.Increased, maotai(400), client.OriginSimulator),
		traded(4, client.Sell, 100, client.Decreased, maotai(300), client.OriginOperator),
		traded(5, client.Sell, 300, client.Closed, maotai(0), client.OriginClient),
		traded(6, client.Buy, 12345678, client.Increased, st, client.OriginSimulator),
		booked, bust, corrected, anew,
	} {
		events = append(events, asShown(ev))
		before = append(before, was)
	}
	return events, before
}

func render(p *printer) string {
	var b strings.Builder
	events, before := tape()
	for i, ev := range events {
		b.WriteString(p.event(ev, before[i], i == 0) + "\n")
	}
	return b.String()
}

// TestTape checks the tape line by line in both languages.
func TestTape(t *testing.T) {
	for of, want := range map[*catalogue]string{
		&english: `
12:00:00  +        buy  SH.600519 贵州茅台      100 @   1480.00  you            holds 100      100017-2
12:00:00  Δ+300    buy  SH.600519 贵州茅台      300 @   1480.00  simulator      holds 400      100017-3
12:00:00  Δ-100    sell SH.600519 贵州茅台      100 @   1480.00  operator       holds 300      100017-4
12:00:00  -        sell SH.600519 贵州茅台      300 @   1480.00  other session  holds 0        100017-5
12:00:00  Δ+12345678 buy  SH.609999 ST虚构   12345678 @      3.12  simulator      holds 12345678  100017-6
12:00:00  cash      +1000000.00  by papertape: account opened  cash 1000000.00
12:00:00  x        buy  SH.600519 贵州茅台      300 @   1480.00  TAKEN BACK 100017-2
          by ann: wrong price
          taken back with it: 100017-5, 100017-6
          SH.600519 贵州茅台: quantity 400 -> 100, cost 592000.00 -> 148000.00
          SZ.000001 平安银行: quantity 300 -> 0, cost 3000.00 -> 0.00
          cash: 500000.00 -> 900000.00
12:00:00  x        buy  SH.600519 贵州茅台      300 @   1480.00  CORRECTED 100017-2
          by ann: price
          now      buy  SH.600519 贵州茅台      100 @      9.98
          SH.600519 贵州茅台: quantity 400 -> 100, cost 592000.00 -> 99.80
          cash: 500000.00 -> 900000.00
12:00:00  reset     rows gone: 2  by ops: a new term  cash 1000000.00
`,
		&chinese: `
12:00:00  +        买入 SH.600519 贵州茅台      100 @   1480.00  本人           持有 100      100017-2
12:00:00  Δ+300    买入 SH.600519 贵州茅台      300 @   1480.00  模拟器         持有 400      100017-3
12:00:00  Δ-100    卖出 SH.600519 贵州茅台      100 @   1480.00  管理员         持有 300      100017-4
12:00:00  -        卖出 SH.600519 贵州茅台      300 @   1480.00  其他会话       持有 0        100017-5
12:00:00  Δ+12345678 买入 SH.609999 ST虚构   12345678 @      3.12  模拟器         持有 12345678  100017-6
12:00:00  现金      +1000000.00  papertape：account opened  现金 1000000.00
12:00:00  x        买入 SH.600519 贵州茅台      300 @   1480.00  已撤销 100017-2
          ann：wrong price
          一并撤销：100017-5, 100017-6
          SH.600519 贵州茅台：数量 400 -> 100，成本 592000.00 -> 148000.00
          SZ.000001 平安银行：数量 300 -> 0，成本 3000.00 -> 0.00
          现金：500000.00 -> 900000.00
12:00:00  x        买入 SH.600519 贵州茅台      300 @   1480.00  已更正 100017-2
          ann：price
          现为     买入 SH.600519 贵州茅台      100 @      9.98
          SH.600519 贵州茅台：数量 400 -> 100，成本 592000.00 -> 99.80
          现金：500000.00 -> 900000.00
12:00:00  重置      清空 2 行  ops：a new term  现金 1000000.00
`,
	} {
		if got := render(newPrinter(of, style{})); "\n"+got != want {
			t.Errorf("got\n%s\nwant%s", got, want)
		}
	}
}

// TestTapeColumns: a column begins at the same place of the screen on every line.
func TestTapeColumns(t *testing.T) {
	for _, c := range []*catalogue{&english, &chinese} {
		events, before := tape()
		var at []int
		for i, ev := range events[:4] {
			line := newPrinter(c, style{}).event(ev, before[i], i == 0)
			trade, rest, _ := strings.Cut(line, "@")
			at = append(at, columns(trade), columns(rest[:strings.LastIndex(rest, " ")+1]))
		}
		for i := range at {
			if at[i] != at[i%2] {
				t.Errorf("the columns are at %d", at)
			}
		}
	}
}

// TestTapeColours: red means up, or green does. What is struck through is also said in a word.
// Without colours there is no escape sequence.
func TestTapeColours(t *testing.T) {
	events, before := tape()
	line := func(s style, i int) string { return newPrinter(&english, s).event(events[i], before[i], false) }
	cn, western := style{attributes: true, colours: true, scheme: SchemeCN},
		style{attributes: true, colours: true, scheme: SchemeWestern}
	for _, c := range []struct {
		style  style
		event  int
		colour string
	}{{cn, 0, "31"}, {cn, 1, "31"}, {cn, 2, "32"}, {cn, 3, "32"}, {western, 0, "32"}, {western, 2, "31"},
		{western, 3, "31"}} {
		opposite := map[string]string{"31": "32", "32": "31"}[c.colour]
		if got := line(c.style, c.event); !strings.Contains(got, "\x1b["+c.colour+"m") ||
			strings.Contains(got, "\x1b["+opposite+"m") {
			t.Errorf("%s, event %d: %q, want colour %s alone", c.style.scheme, c.event, got, c.colour)
		}
	}
	if got := line(style{attributes: true}, 6); !strings.Contains(got, "\x1b[9mbuy ") ||
		!strings.Contains(got, "\x1b[1mTAKEN BACK\x1b[0m") {
		t.Errorf("a trade taken back, with attributes: %q", got)
	}
	for _, s := range []style{cn, western, {attributes: true}, {}} {
		got := render(newPrinter(&english, s))
		if plain := text.StripEscape(got); plain != render(newPrinter(&english, style{})) {
			t.Errorf("%+v changes more than colours:\n%s", s, got)
		}
		if colour := strings.Contains(got, "\x1b[3"); colour != s.colours {
			t.Errorf("%+v: %q", s, got)
		}
	}
	if got := render(newPrinter(&english, style{})); strings.Contains(got, "\x1b") {
		t.Errorf("without attributes: %q", got)
	}
}

// TestTapeFits: a narrow screen leaves out the least important parts, and never the trade itself.
func TestTapeFits(t *testing.T) {
	events, before := tape()
	for _, c := range []struct {
		width int
		last  string
	}{{0, "100017-2"}, {120, "100017-2"}, {97, "holds 100"}, {80, "you"}, {70, "you"}, {60, "1480.00"},
		{10, "1480.00"}} {
		p := newPrinter(&english, style{width: func() int { return c.width }})
		if got := p.event(events[0], before[0], true); !strings.HasSuffix(got, c.last) {
			t.Errorf("on %d columns: %q, want %q last", c.width, got, c.last)
		}
	}
}

func TestResynced(t *testing.T) {
	before := &client.State{Cash: client.Cash{Balance: 10_0000}, Positions: rowsShown(
		row("SH", "600036", "招商银行", 100, 1, 100), maotai(100), row("SZ", "000001", "平安银行", 300, 1, 1),
	)}
	after := &client.State{Cash: client.Cash{Balance: 20_0000}, Positions: rowsShown(
		row("BJ", "899101", "虚构精工", 7, 1, 7), row("SH", "600036", "招商银行", 100, 1, 100),
		row("SZ", "000001", "平安银行", 200, 1, 1),
	)}
	const want = `* what differs from before:
  BJ.899101 虚构精工: quantity 0 -> 7, cost 0.00 -> 0.0007
  SH.600519 贵州茅台: quantity 100 -> 0, cost 148000.00 -> 0.00
  SZ.000001 平安银行: quantity 300 -> 200, cost 0.0001 -> 0.0001
  cash: 10.00 -> 20.00`
	if got := newPrinter(&english, style{}).resynced(before, after); got != want {
		t.Errorf("\n%s\nwant\n%s", got, want)
	}
	if got := newPrinter(&english, style{}).resynced(before, before); got != english.say(keyResyncSame) {
		t.Errorf("the same: %s", got)
	}
}

func TestTidy(t *testing.T) {
	const nasty = "a\x1b[2Jb\r\nc\u202Ed\ufffde贵"
	if got := tidy(nasty); got != "a?[2Jb  c?d?e贵" {
		t.Errorf("%q", got)
	}
}
