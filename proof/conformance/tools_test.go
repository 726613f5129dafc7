package conformance

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	pb "github.com/papertape/papertape/api/papertape/v1"
)

// Tests of the suite's own tools, by published vectors and by hand-computed figures.

func TestToolFrame(t *testing.T) {
	got := appendFrame(nil, kOrder, flagReply, 0x0102030405060708, []byte{0xaa, 0xbb})
	want := []byte{0, 0, 0, 14, 0, 16, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 0xaa, 0xbb}
	if !bytes.Equal(got, want) {
		t.Fatalf("frame % x, want % x", got, want)
	}
	whole := appendFrame(nil, kPong, flagReply, 7, encode(&pb.Pong{HeadSeq: 300}))
	f, err := readFrame(bytes.NewReader(whole))
	if err != nil || f.kind != kPong || !f.reply() || f.replay() || f.id != 7 || f.body.(*pb.Pong).HeadSeq != 300 {
		t.Fatalf("read %v, %v", f, err)
	}
	for cut := range len(whole) {
		want := io.ErrUnexpectedEOF
		if cut == 0 {
			want = io.EOF
		}
		if _, err := readFrame(bytes.NewReader(whole[:cut])); err != want {
			t.Fatalf("%d bytes of a frame: %v, want %v", cut, err, want)
		}
	}
	var bad *badFrameError
	for name, b := range map[string][]byte{
		"short":       {0, 0, 0, 11, 0, 5, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7},
		"long":        {0, 1, 0, 1, 0, 5, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7},
		"client type": appendFrame(nil, kOrder, 0, 1, nil),
		"payload":     appendFrame(nil, kPong, flagReply, 1, []byte{0x08}),
	} {
		if _, err := readFrame(bytes.NewReader(b)); !errors.As(err, &bad) {
			t.Fatalf("%s: %v, want a bad frame", name, err)
		}
	}
}

func TestToolHash(t *testing.T) {
	for text, want := range map[string]uint64{
		"": 0xcbf29ce484222325, "a": 0xaf63dc4c8601ec8c, "foobar": 0x85944171f73967e8,
	} {
		h := hasher(fnvOffset)
		for i := range len(text) {
			h.octet(text[i])
		}
		if uint64(h) != want {
			t.Errorf("FNV-1a of %q is %#x, want %#x", text, uint64(h), want)
		}
	}
	minus := int64(-1)
	numbers, octets := hasher(fnvOffset), hasher(fnvOffset)
	numbers.number(258)
	numbers.number(uint64(minus))
	numbers.text("SZ")
	for _, c := range []byte{0, 0, 0, 0, 0, 0, 1, 2, 255, 255, 255, 255, 255, 255, 255, 255, 'S', 'Z', 0} {
		octets.octet(c)
	}
	if numbers != octets {
		t.Errorf("numbers and text hash to %#x, their bytes to %#x", uint64(numbers), uint64(octets))
	}
}

func TestToolShareOfCost(t *testing.T) {
	for _, c := range []struct{ cost, q, held, want int64 }{
		{1000, 1, 3, 333}, {2000, 1, 3, 667},
		{5, 1, 2, 2}, {15, 1, 10, 2}, {25, 1, 10, 2}, {35, 1, 10, 4}, // halves are rounded to the even number
		{7, 3, 3, 7}, {0, 1, 2, 0},
		// the product exceeds 64 bits
		{9_000_000_000_000_000_000, 999_999_999, 1_000_000_000, 8_999_999_991_000_000_000},
	} {
		if got := shareOfCost(c.cost, c.q, c.held); got != c.want {
			t.Errorf("%d * %d / %d: %d, want %d", c.cost, c.q, c.held, got, c.want)
		}
	}
}

// tradeEvent returns the event of a trade in SZ.000001 with the row and the cash that should follow
// from it.
func tradeEvent(seq uint64, side pb.Side, q, price int64, change pb.Change, r row, cash *pb.Cash) *pb.AccountEvent {
	id := map[uint64]string{2: "9-2", 3: "9-3", 4: "9-4"}[seq]
	return &pb.AccountEvent{
		Account: 9, Seq: seq, Time: 1, Change: change, Cash: cash, TotalMarketValue: r.quantity * price,
		What: &pb.AccountEvent_Trade{Trade: &pb.Trade{
			Id: id, Side: side, Market: "SZ", Code: "000001", Name: "x",
			Quantity: q, Price: price, Amount: q * price, Origin: pb.Origin_ORIGIN_CLIENT,
		}},
		Positions: []*pb.Position{{
			Market: "SZ", Code: "000001", Name: "x", Quantity: r.quantity, Sellable: r.quantity, Price: price,
			MarketValue: r.quantity * price, Cost: r.cost, Realised: r.realised, RowVersion: seq,
		}},
	}
}

// The golden case of the ledger: buy 100 @ 10, buy 100 @ 20, sell 50 @ 18.
func goldenEvents() []*pb.AccountEvent {
	const buys, sells = pb.Side_SIDE_BUY, pb.Side_SIDE_SELL
	return []*pb.AccountEvent{
		{
			Account: 9, Seq: 1, Time: 1, Cash: &pb.Cash{Balance: 10_000},
			What: &pb.AccountEvent_Adjustment{Adjustment: &pb.Adjustment{Cash: 10_000}},
		},
		tradeEvent(2, buys, 100, 10, pb.Change_CHANGE_OPENED, row{quantity: 100, cost: 1000}, &pb.Cash{Balance: 9000}),
		tradeEvent(3, buys, 100, 20, pb.Change_CHANGE_INCREASED, row{quantity: 200, cost: 3000},
			&pb.Cash{Balance: 7000}),
		tradeEvent(4, sells, 50, 18, pb.Change_CHANGE_DECREASED,
			row{quantity: 150, cost: 2250, realised: 150}, &pb.Cash{Balance: 7900, Realised: 150}),
	}
}

func TestToolShadow(t *testing.T) {
	b := newShadow(9, true)
	for _, ev := range goldenEvents() {
		if err := b.fold(ev); err != nil {
			t.Fatal(err)
		}
	}
	wrong := map[string]func(ev *pb.AccountEvent){
		"row version":  func(ev *pb.AccountEvent) { ev.Positions[0].RowVersion = 3 },
		"quantity":     func(ev *pb.AccountEvent) { ev.Positions[0].Quantity++ },
		"cost":         func(ev *pb.AccountEvent) { ev.Positions[0].Cost++ },
		"realised":     func(ev *pb.AccountEvent) { ev.Positions[0].Realised = 0 },
		"market value": func(ev *pb.AccountEvent) { ev.Positions[0].MarketValue-- },
		"sellable":     func(ev *pb.AccountEvent) { ev.Positions[0].Sellable = 0 },
		"total market": func(ev *pb.AccountEvent) { ev.TotalMarketValue++ },
		"cash balance": func(ev *pb.AccountEvent) { ev.Cash.Balance++ },
		"of the acc":   func(ev *pb.AccountEvent) { ev.Cash.Realised++ },
		"change":       func(ev *pb.AccountEvent) { ev.Change = pb.Change_CHANGE_CLOSED },
		"trade id":     func(ev *pb.AccountEvent) { ev.GetTrade().Id = "9-5" },
		"of account":   func(ev *pb.AccountEvent) { ev.Account = 8 },
		"follows":      func(ev *pb.AccountEvent) { ev.Seq = 5 },
		"were held":    func(ev *pb.AccountEvent) { ev.GetTrade().Quantity, ev.GetTrade().Amount = 201, 201*18 },
	}
	for name, spoil := range wrong {
		b := newShadow(9, true)
		events := goldenEvents()
		for _, ev := range events[:3] {
			if err := b.fold(ev); err != nil {
				t.Fatal(err)
			}
		}
		spoil(events[3])
		if err := b.fold(events[3]); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s spoilt: %v, want that named", name, err)
		}
	}
}

func TestToolHoldings(t *testing.T) {
	list := func() *pb.Holdings {
		b := newShadow(9, true)
		for _, ev := range goldenEvents() {
			if err := b.fold(ev); err != nil {
				t.Fatal(err)
			}
		}
		return &pb.Holdings{
			Account: 9, AsOfSeq: 4, TotalMarketValue: 150 * 18, StateHash: b.hash(),
			Cash: &pb.Cash{Balance: 7900, Realised: 150},
			Positions: []*pb.Position{{
				Market: "SZ", Code: "000001", Name: "x", Quantity: 150, Sellable: 150, Price: 18,
				MarketValue: 150 * 18, Cost: 2250, Realised: 150, RowVersion: 4,
			}},
		}
	}
	if err := consistent(list()); err != nil {
		t.Fatal(err)
	}
	if err := shadowOf(list(), true).agrees(list()); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(h *pb.Holdings){
		"state hash":   func(h *pb.Holdings) { h.StateHash++ },
		"total market": func(h *pb.Holdings) { h.TotalMarketValue++ },
		"market value": func(h *pb.Holdings) { h.Positions[0].MarketValue++ },
		"version":      func(h *pb.Holdings) { h.Positions[0].RowVersion = 5 },
		"comes after":  func(h *pb.Holdings) { h.Positions = append(h.Positions, h.Positions[0]) },
		"no cash":      func(h *pb.Holdings) { h.Cash = nil },
	} {
		h := list()
		spoil(h)
		if err := consistent(h); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s spoilt: %v, want that named", name, err)
		}
	}
	for name, spoil := range map[string]func(h *pb.Holdings){
		"cost":        func(h *pb.Holdings) { h.Positions[0].Cost++ },
		"row version": func(h *pb.Holdings) { h.Positions[0].RowVersion-- },
		"rows":        func(h *pb.Holdings) { h.Positions = nil },
		"cash":        func(h *pb.Holdings) { h.Cash.Balance++ },
		"as of":       func(h *pb.Holdings) { h.AsOfSeq++ },
	} {
		h := list()
		spoil(h)
		if err := shadowOf(list(), true).agrees(h); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s differs: %v, want that named", name, err)
		}
	}
}

func TestToolListening(t *testing.T) {
	at, ok := parseListening([]byte(
		`{"level":"info","listen":"127.0.0.1:4711","admin":"127.0.0.1:4712","message":"listening"}` + "\n"))
	if !ok || at.Listen != "127.0.0.1:4711" || at.Admin != "127.0.0.1:4712" {
		t.Errorf("parsed %+v, %v", at, ok)
	}
	for _, line := range []string{
		"", "listening", `{"message":"draining","listen":"127.0.0.1:4711"}`, `{"message":"listening"}`,
	} {
		if at, ok := parseListening([]byte(line)); ok {
			t.Errorf("%q was read as %+v", line, at)
		}
	}
}

// verdict returns how the judge sees one frame of a session that is logged in to account 9 at
// sequence 4.
func verdict(f frame) error {
	s := &session{
		server: &server{}, asked: map[uint64]kind{1: kOrder, 2: kPing}, stash: map[uint64]frame{},
		quotes: map[instrument]int64{}, welcome: &pb.Welcome{Epoch: 77}, account: 9, cursor: 3,
		reply: &pb.LoginReply{HeadSeq: 3},
	}
	return s.judge(f)
}

func TestToolJudge(t *testing.T) {
	ev := goldenEvents()[3]
	for name, c := range map[string]struct {
		f    frame
		fine bool
	}{
		"execution":               {frame{kExecution, flagReply, 1, ev}, true},
		"event":                   {frame{kEvent, 0, 0, ev}, true},
		"pong":                    {frame{kPong, flagReply, 2, &pb.Pong{HeadSeq: 3}}, true},
		"ping":                    {frame{kPing, 0, 8, &pb.Ping{HeadSeq: 3}}, true},
		"repeated execution":      {frame{kExecution, flagReply | flagReplay, 1, goldenEvents()[1]}, true},
		"live event with REPLAY":  {frame{kEvent, flagReplay, 0, ev}, false},
		"event with an id":        {frame{kEvent, 0, 1, ev}, false},
		"event again":             {frame{kEvent, 0, 0, goldenEvents()[2]}, false},
		"execution not asked for": {frame{kExecution, flagReply, 3, ev}, false},
		"execution of a ping":     {frame{kExecution, flagReply, 2, ev}, false},
		"execution without REPLY": {frame{kExecution, 0, 1, ev}, false},
		"pong with another head":  {frame{kPong, flagReply, 2, &pb.Pong{HeadSeq: 4}}, false},
		"ping without an id":      {frame{kPing, 0, 0, &pb.Ping{HeadSeq: 3}}, false},
		"unknown flag":            {frame{kEvent, 4, 0, ev}, false},
		"reject without text": {frame{kReject, flagReply, 1, &pb.Reject{Code: pb.RejectCode_REJECT_CODE_BUSY}},
			false},
		"reject without REPLY": {frame{kReject, 0, 1, &pb.Reject{Code: 1, Text: "a long sentence"}}, false},
		"second welcome":       {frame{kWelcome, 0, 0, &pb.Welcome{}}, false},
		"other account":        {frame{kEvent, 0, 0, &pb.AccountEvent{Account: 8, Seq: 4}}, false},
	} {
		if err := verdict(c.f); (err == nil) != c.fine {
			t.Errorf("%s: the judge says %v", name, err)
		}
	}
}

func TestToolTogether(t *testing.T) {
	s := &testPart{TB: t}
	s.run(func(t testing.TB) {
		t.Fatalf("sequence %d is missing", 7)
		t.Error("a part goes on after its failure")
	})
	if s.failure != "sequence 7 is missing" {
		t.Errorf("the part's failure is %q", s.failure)
	}
}

// TestToolTooLittle: if hardly a frame was judged, the tests together mean nothing.
func TestToolTooLittle(t *testing.T) {
	if said := tooLittle(0); !strings.HasPrefix(said, "0 frames of servers were judged") {
		t.Errorf("no frame: %q", said)
	}
	if said := tooLittle(judgedMin); said != "" {
		t.Errorf("enough: %q", said)
	}
}
