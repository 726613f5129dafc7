package terminal

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/codec"
)

// holdingsOf returns an account with some shares of one instrument, as of a sequence.
func holdingsOf(seq uint64, shares int64) *papertapev1.Holdings {
	s := client.State{Account: customer, Seq: seq, Positions: rowsShown(maotai(shares)),
		Cash: client.Cash{Balance: 852000_0000}}
	return &papertapev1.Holdings{
		Account: customer, AsOfSeq: seq, Positions: []*papertapev1.Position{maotai(shares)},
		TotalMarketValue: shares * 1480_0000,
		Cash:             &papertapev1.Cash{Balance: 852000_0000}, StateHash: s.Hash(),
	}
}

// filled answers an order with its execution.
func (f *fake) filled(seq uint64, change client.Change, after *papertapev1.Position) *papertapev1.Order {
	f.t.Helper()
	order := new(papertapev1.Order)
	id := f.request(codec.TypeOrder, order)
	ev := traded(seq, client.Side(order.GetSide()), order.GetQuantity(), change, after, client.OriginClient)
	ev.GetTrade().ClientOrderId = order.GetClientOrderId()
	f.frames <- codec.Append(nil, codec.TypeExecution, codec.FlagReply, id, ev)
	return order
}

func (f *fake) refuse(code papertapev1.RejectCode, text string) {
	f.t.Helper()
	id := f.request(codec.TypeOrder, new(papertapev1.Order))
	f.frames <- codec.Append(nil, codec.TypeReject, codec.FlagReply, id, &papertapev1.Reject{Code: code, Text: text})
}

// TestBustOnTheTape: when the server takes back a trade that was shown, the tape says so and shows
// the values before.
func TestBustOnTheTape(t *testing.T) {
	f := newFake(t, holdingsOf(1, 100))
	r := startRun(t, f.addr, nil)
	f.push(traded(2, client.Buy, 300, client.Increased, maotai(400), client.OriginSimulator))
	f.push(&papertapev1.AccountEvent{
		Account: customer, Seq: 3, Time: noon.UnixNano(), Change: papertapev1.Change_CHANGE_DECREASED,
		Cash:      &papertapev1.Cash{Balance: 999999_0000},
		Positions: []*papertapev1.Position{maotai(100)},
		What: &papertapev1.AccountEvent_Bust{Bust: &papertapev1.Bust{
			TradeId: tradeID(customer, 2), Reason: "wrong price", Actor: "ann",
			Original: traded(2, client.Buy, 300, client.Increased, maotai(400), client.OriginSimulator).GetTrade(),
		}},
	})
	r.out.await(t, "cash: 852000.00 -> 999999.00\n")
	_ = r.in.Close()
	if err := r.end(); err != nil {
		t.Error(err)
	}
	for _, want := range []string{
		"Uid 7, customer 100017, sequence 1, at " + f.addr + "\n",
		"│ SH     │ 600519 │ 贵州茅台 │      100 │",
		"Δ+300    buy  SH.600519 贵州茅台      300 @   1480.00  simulator      holds 400      100017-2\n",
		"x        buy  SH.600519 贵州茅台      300 @   1480.00  TAKEN BACK 100017-2\n          by ann: wrong price\n" +
			"          SH.600519 贵州茅台: quantity 400 -> 100, cost 592000.00 -> 148000.00\n          cash: " +
			"852000.00 -> 999999.00\n",
	} {
		if !strings.Contains(r.out.String(), want) {
			t.Errorf("there is no %q in\n%s", want, r.out)
		}
	}
	if strings.Contains(r.out.String(), "\x1b") || strings.Contains(r.out.String(), prompt) {
		t.Errorf("a pipe was sent colours or a prompt: %q", r.out)
	}
}

// TestPipeAnswersInTurn: a command is sent only when the one before was answered and its result is
// on the tape.
func TestPipeAnswersInTurn(t *testing.T) {
	f := newFake(t, holdingsOf(1, 100))
	r := startRun(t, f.addr, func(cfg *Config) { cfg.Echo = true })
	go func() {
		r.say("# two orders\n\nbuy SH 600519 300 @ 1480\nsell 600519.XSHG 400")
		_ = r.in.Close()
	}()
	first := f.filled(2, client.Increased, maotai(400))
	second := f.filled(3, client.Closed, maotai(0))
	if err := r.end(); err != nil {
		t.Error(err)
	}
	if first.GetSide() != papertapev1.Side_SIDE_BUY || first.GetMarket() != "SH" || first.GetCode() != "600519" ||
		first.GetQuantity() != 300 || first.GetLimitPrice() != 1480_0000 {
		t.Errorf("the first order was %v", first)
	}
	if second.GetSide() != papertapev1.Side_SIDE_SELL || second.GetMarket() != "SH" || second.GetQuantity() != 400 ||
		second.GetLimitPrice() != 0 {
		t.Errorf("the second order was %v", second)
	}
	if first.GetClientOrderId() == "" || first.GetClientOrderId() == second.GetClientOrderId() {
		t.Errorf("the orders have the ids %q and %q", first.GetClientOrderId(), second.GetClientOrderId())
	}
	_, tape, _ := strings.Cut(r.out.String(), "cash 852000.00\n")
	var words []string
	for _, line := range strings.Split(tape, "\n") {
		line, _, _ = strings.Cut(line, " @ ")
		words = append(words, strings.Join(strings.Fields(line), " "))
	}
	want := []string{
		">>> # two orders", ">>>", ">>> buy SH 600519 300", "12:00:00 Δ+300 buy SH.600519 贵州茅台 300",
		">>> sell 600519.XSHG 400",
		"12:00:00 - sell SH.600519 贵州茅台 400", "",
	}
	got := strings.ReplaceAll(strings.Join(words, "\n"), noon.Local().Format(clock), "12:00:00")
	if got != strings.Join(want, "\n") || strings.Count(tape, " you ") != 2 {
		t.Errorf("the tape is\n%s\n%s", got, tape)
	}
}

// TestPipeStops: a pipe stops at the first error, which names the line.
func TestPipeStops(t *testing.T) {
	for _, c := range []struct {
		lines, want string
		usage       bool
	}{
		{"\nbuy SH.600519 1\n", "line 2: buy SH.600519 1: refused, not enough cash: it takes too much", false},
		{"buy SH.600519 1.5\nbuy SH.600519 1\n", `line 1: buy SH.600519 1.5: "1.5" is no quantity; it is a ` +
			`whole number of shares from 1 to 1000000000, as in 100`, true},
		{"# x\n# y\nbuy 600519 1", `line 3: buy 600519 1: "600519" is not traded here; did you mean SH.600519 ` +
			`(贵州茅台)?`, false},
	} {
		f := newFake(t, holdingsOf(1, 100))
		r := startRun(t, f.addr, nil)
		go func() { _, _ = r.in.Write([]byte(c.lines + "\nbuy SH.600519 2\n")); _ = r.in.Close() }()
		if strings.Contains(c.want, "refused") {
			f.refuse(papertapev1.RejectCode_REJECT_CODE_INSUFFICIENT_CASH, "it takes too much")
		}
		err := r.end()
		var line *LineError
		if !errors.As(err, &line) || err.Error() != c.want || line.Usage != c.usage {
			t.Errorf("%q: %v\nwant %s", c.lines, err, c.want)
		}
		select {
		case frame := <-f.requests:
			t.Errorf("%q: after that, %v was asked", c.lines, frame.Type)
		default:
		}
		_ = r.in.Close() // lets the writer end
	}
}

// TestOneCommand: only the result of its own order is shown.
func TestOneCommand(t *testing.T) {
	f := newFake(t, holdingsOf(1, 100))
	r := startRun(t, f.addr, func(cfg *Config) { cfg.Words = []string{"buy", "SH.600519", "300"} })
	f.push(traded(2, client.Sell, 100, client.Closed, maotai(0), client.OriginSimulator))
	f.filled(3, client.Opened, maotai(300))
	if err := r.end(); err != nil {
		t.Error(err)
	}
	if got := r.out.String(); strings.Count(got, "\n") != 1 ||
		!strings.Contains(got, "+        buy  SH.600519 贵州茅台      300 @   1480.00  you ") {
		t.Errorf("it wrote\n%s", got)
	}
}

// TestOneCommandWrong: a bad command is refused before a server is asked.
func TestOneCommandWrong(t *testing.T) {
	for words, want := range map[string]string{
		"buy SH.600519":  "how many shares",
		"frobnicate":     "there is no command",
		"presence on":    "logins and logouts show while a session lasts",
		"buy x 1 @ 1 --": "follows the price",
	} {
		err := startRun(t, "127.0.0.1:1", func(cfg *Config) { cfg.Words = strings.Fields(words) }).end()
		var line *LineError
		if !errors.As(err, &line) || !line.Usage || !strings.HasPrefix(err.Error(), want) &&
			!strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", words, err, want)
		}
	}
	r := startRun(t, "127.0.0.1:1", func(cfg *Config) { cfg.Words = []string{"help"} })
	if err := r.end(); err != nil || r.out.String() != english.menu() {
		t.Errorf("help: %v\n%s", err, r.out)
	}
}

// TestNobodyThere: without a server, the error says which address was tried and what to do.
func TestNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	err = startRun(t, l.Addr().String(), nil).end()
	if err == nil || !strings.Contains(err.Error(), l.Addr().String()) ||
		!strings.HasSuffix(err.Error(), english.say(keyIsItRunning)) {
		t.Errorf("%v", err)
	}
}

// TestJSONLines: every line is an object with its type; amounts are decimal strings.
func TestJSONLines(t *testing.T) {
	f := newFake(t, holdingsOf(1, 100))
	r := startRun(t, f.addr, func(cfg *Config) { cfg.JSON = true })
	go func() {
		r.say("buy SH.600519 300\nholding\nhistory 2\nquote SZ 000001")
		_ = r.in.Close()
	}()
	f.filled(2, client.Increased, maotai(400))
	f.frames <- codec.Append(nil, codec.TypeHoldingsReply, codec.FlagReply,
		f.request(codec.TypeHoldings, new(papertapev1.HoldingsRequest)), holdingsOf(2, 400))
	page := new(papertapev1.HistoryRequest)
	id := f.request(codec.TypeHistory, page)
	f.frames <- codec.Append(nil, codec.TypeHistoryReply, codec.FlagReply, id, &papertapev1.History{OldestSeq: 1,
		Events: []*papertapev1.AccountEvent{
			traded(2, client.Buy, 300, client.Increased, maotai(400), client.OriginClient),
			traded(1, client.Buy, 100, client.Opened, maotai(100), client.OriginOperator),
		}})
	if err := r.end(); err != nil {
		t.Error(err)
	}
	if page.GetLimit() != 2 {
		t.Errorf("history 2 asked for %d", page.GetLimit())
	}
	var got []string
	for line := range strings.Lines(r.out.String()) {
		var v struct {
			Type   string `json:"type"`
			UID    uint64 `json:"uid"`
			Mine   bool   `json:"mine"`
			Seq    uint64 `json:"seq"`
			Events []struct {
				Seq   uint64 `json:"seq"`
				Trade struct {
					Price string `json:"price"`
				} `json:"trade"`
			} `json:"events"`
			Total  string `json:"total_market_value"`
			Quotes []struct {
				Code  string `json:"code"`
				Price string `json:"price"`
			} `json:"quotes"`
		}
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		got = append(got, fmt.Sprintf("%+v", v))
	}
	want := []string{
		"{Type:login UID:7 Mine:false Seq:0 Events:[] Total:148000.00 Quotes:[]}",
		"{Type:event UID:0 Mine:true Seq:2 Events:[] Total:0.00 Quotes:[]}",
		"{Type:holdings UID:0 Mine:false Seq:0 Events:[] Total:592000.00 Quotes:[]}",
		"{Type:history UID:0 Mine:false Seq:0 Events:[{Seq:1 Trade:{Price:1480.00}} {Seq:2 " +
			"Trade:{Price:1480.00}}] Total: Quotes:[]}",
		"{Type:quotes UID:0 Mine:false Seq:0 Events:[] Total: Quotes:[{Code:000001 Price:10.00}]}",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestManyInstruments: an instrument that is not in the server's default list is asked for by code.
func TestManyInstruments(t *testing.T) {
	f := newFake(t, holdingsOf(1, 100))
	f.instruments = nil
	for n := range listingPage {
		f.instruments = append(f.instruments, &papertapev1.Instrument{
			Market: "SH", Code: fmt.Sprintf("%06d", n), Name: "some", Price: 1_0000, PreviousClose: 1_0000, Lot: 100,
			Tick: 100,
		})
	}
	f.more = []*papertapev1.Instrument{{Market: "SZ", Code: "000001", Name: "平安银行", Price: 10_0000,
		PreviousClose: 10_0000, Lot: 100, Tick: 100}}
	r := startRun(t, f.addr, nil)
	go func() { r.say("quote\nquote SZ.000001\nquote 000001.SZ SH.000499\nquote SZ.000002") }()
	err := r.end()
	if err == nil || !strings.HasPrefix(err.Error(), `line 4: quote SZ.000002: "SZ.000002" is not traded here;`) {
		t.Errorf("an instrument that nobody knows: %v", err)
	}
	if got := r.out.String(); strings.Count(got, "│ SZ     │ 000001 │ 平安银行 │ 10.00 │") != 2 ||
		strings.Count(got, "the first 500 of all instruments; for others, name them\n") != 1 ||
		!strings.Contains(got, "│ SH     │ 000499 │ some     │") {
		t.Errorf("the quotes are\n%s", got)
	}
}

// TestHistoryPages: pages are fetched until there are enough events.
func TestHistoryPages(t *testing.T) {
	f := newFake(t, holdingsOf(1, 100))
	r := startRun(t, f.addr, nil)
	go func() { r.say("history 150") }()
	next := uint64(200)
	var asked []string
	for _, gives := range []int{70, 60, 20} {
		page := new(papertapev1.HistoryRequest)
		id := f.request(codec.TypeHistory, page)
		asked = append(asked, fmt.Sprintf("%d before %d", page.GetLimit(), page.GetBeforeSeq()))
		reply := &papertapev1.History{OldestSeq: 1}
		for range gives {
			reply.Events = append(reply.Events, traded(next, client.Buy, 1, client.Increased, maotai(int64(next)),
				client.OriginSimulator))
			next--
		}
		f.frames <- codec.Append(nil, codec.TypeHistoryReply, codec.FlagReply, id, reply)
	}
	// The answer is shown when the tape has reached it.
	for seq := uint64(2); seq <= 200; seq++ {
		f.push(traded(seq, client.Buy, 1, client.Increased, maotai(int64(seq)), client.OriginSimulator))
	}
	r.out.await(t, "the last 150 of 200 events, newest last\n")
	if got := strings.Join(asked, ", "); got != "100 before 0, 80 before 131, 20 before 71" {
		t.Errorf("it asked for %s", got)
	}
	tape, table, _ := strings.Cut(r.out.String(), "the last 150")
	if strings.Count(tape, "simulator") != 199 || strings.Count(table, "simulator") != 150 ||
		!strings.Contains(table, "│  51 │") {
		t.Errorf("the tape and the history:\n%s", r.out)
	}
	_ = r.in.Close()
	if err := r.end(); err != nil {
		t.Error(err)
	}
}

// TestInterrupted: an interrupt ends the wait for an answer at once, and says that an order may
// still be executed.
func TestInterrupted(t *testing.T) {
	f := newFake(t, holdingsOf(1, 100))
	r := startRun(t, f.addr, nil)
	go func() { r.say("buy SH.600519 100") }()
	f.request(codec.TypeOrder, new(papertapev1.Order))
	r.cancel()
	if err := r.end(); err == nil || err.Error() != "interrupted before the answer to: buy SH.600519 100; it "+
		"may be executed all the same, see history" {
		t.Errorf("it ended with: %v", err)
	}
}

// TestInterruptedAnswer: an answer that waits for earlier events does not delay the end.
func TestInterruptedAnswer(t *testing.T) {
	f := newFake(t, holdingsOf(1, 100))
	r := startRun(t, f.addr, nil)
	go func() { r.say("history") }()
	id := f.request(codec.TypeHistory, new(papertapev1.HistoryRequest))
	f.frames <- codec.Append(nil, codec.TypeHistoryReply, codec.FlagReply, id, &papertapev1.History{OldestSeq: 3,
		Events: []*papertapev1.AccountEvent{
			traded(3, client.Buy, 1, client.Increased, maotai(101), client.OriginSimulator),
		}})
	f.push(traded(2, client.Buy, 1, client.Increased, maotai(101), client.OriginSimulator))
	r.out.await(t, "100017-2\n") // the answer came first; event 3 never comes
	r.cancel()
	if err := r.end(); err == nil || err.Error() != "interrupted" {
		t.Errorf("it ended with: %v", err)
	}
	if strings.Contains(r.out.String(), "the last 1 of") {
		t.Errorf("the history was shown before its events:\n%s", r.out)
	}
}

// TestConnectionGoes: messages about the connection are not among the data.
func TestConnectionGoes(t *testing.T) {
	f := newFake(t, holdingsOf(1, 100))
	r := startRun(t, f.addr, nil)
	r.out.await(t, "cash 852000.00\n")
	f.frames <- codec.Append(nil, codec.TypeGoodbye, 0, 0,
		&papertapev1.Goodbye{Reason: papertapev1.GoodbyeReason_GOODBYE_REASON_KICKED, Text: "enough"})
	r.notices.await(t, "! connection lost: the server ended it, by an operator: enough; trying again\n")
	_ = r.in.Close()
	if err := r.end(); err != nil {
		t.Error(err)
	}
	if strings.Contains(r.out.String(), "lost") {
		t.Errorf("the data are\n%s", r.out)
	}
}
