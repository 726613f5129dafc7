package codec_test

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

func eventRoundTrip(t *rapid.T) {
	ev := drawEvent(t)
	id := rapid.Uint64().Draw(t, "id")
	before := []byte("before")
	b := codec.AppendEvent(before, codec.TypeExecution, codec.FlagReply|codec.FlagReplay, id, ev, universe)
	if !bytes.HasPrefix(b, before) {
		t.Fatalf("AppendEvent wrote over what was there: %x", b)
	}
	payload := onlyFrame(t, b[len(before):], codec.TypeExecution, codec.FlagReply|codec.FlagReplay, id)
	want := wireEvent(ev, universe)
	checkPayload(t, payload, want)
	// Equal sizes mean that zero values are omitted and that lengths are encoded minimally.
	if len(payload) != proto.Size(want) {
		t.Fatalf("%d bytes, want %d", len(payload), proto.Size(want))
	}
}

func TestEventRoundTrip(t *testing.T) { rapid.Check(t, eventRoundTrip) }

// TestLengthsOfNestedMessages covers the sizes at which a length needs another byte, up to
// three.
func TestLengthsOfNestedMessages(t *testing.T) {
	sizes := make(map[int]bool)
	for _, cascade := range []int{0, 1620} {
		for reason := range 300 {
			ev := &positions.Event{
				Account: 100_017, Seq: 43, Kind: positions.KindBust,
				Bust: &positions.Bust{TradeSeq: 42, Reason: strings.Repeat("r", reason),
					Cascade: make([]uint64, cascade)},
			}
			want := wireEvent(ev, universe)
			sizes[proto.Size(want.GetBust())] = true
			frame := codec.AppendEvent(nil, codec.TypeEvent, 0, 0, ev, universe)
			checkPayload(t, onlyFrame(t, frame, codec.TypeEvent, 0, 0), want)
		}
	}
	for _, size := range []int{127, 128, 16383, 16384} {
		if !sizes[size] {
			t.Errorf("no message had %d bytes", size)
		}
	}
}

func TestAppendEventDoesNotAllocate(t *testing.T) {
	trade := sampleEvent(t)
	replacement := trade.Trade
	bust := &positions.Event{
		Account: 100_017, Seq: 43, Kind: positions.KindBust, Bust: &positions.Bust{
			TradeSeq: 42, Reason: "wrong price", Actor: "ops", ID: "b-1", Original: trade.Trade,
			Replacement: &replacement, Cascade: []uint64{1, 2}, Positions: []positions.Position{trade.Position},
		},
	}
	adjustment := &positions.Event{
		Account: 100_017, Seq: 1, Kind: positions.KindAdjustment,
		Adjustment: &positions.Adjustment{Cash: 1, Reason: "opening", Actor: "server"},
	}
	reset := &positions.Event{
		Account: 100_017, Seq: 2, Kind: positions.KindReset,
		Reset: &positions.Reset{Cash: 1, Reason: "anew", Actor: "ops", Gone: []market.ID{0, 3, 7}},
	}
	frame := make([]byte, 0, 4096)
	for _, ev := range []*positions.Event{trade, bust, adjustment, reset} {
		if n := testing.AllocsPerRun(100, func() {
			frame = codec.AppendEvent(frame[:0], codec.TypeEvent, 0, 0, ev, universe)
		}); n != 0 {
			t.Errorf("kind %d: %v allocations, want 0", ev.Kind, n)
		}
		checkPayload(t, onlyFrame(t, frame, codec.TypeEvent, 0, 0), wireEvent(ev, universe))
	}
}

func TestMarketValueSaturates(t *testing.T) {
	for _, test := range []struct{ quantity, price, want int64 }{
		{200, 16_800_000, 3_360_000_000},
		{math.MaxInt64, 1, math.MaxInt64},
		{math.MinInt64, 1, math.MinInt64},
		{math.MinInt64, -1, math.MaxInt64},
		{1 << 32, 1 << 31, math.MaxInt64},
		{-(1 << 32), 1 << 31, math.MinInt64},
		{math.MaxInt64, math.MaxInt64, math.MaxInt64},
		{math.MinInt64, math.MaxInt64, math.MinInt64},
	} {
		ev := sampleEvent(t)
		ev.Position.Quantity, ev.Position.Price = test.quantity, test.price
		var got papertapev1.AccountEvent
		payload := onlyFrame(t, codec.AppendEvent(nil, codec.TypeEvent, 0, 0, ev, universe), codec.TypeEvent, 0, 0)
		if err := codec.Unmarshal(payload, &got); err != nil {
			t.Fatal(err)
		}
		if value := got.GetPositions()[0].GetMarketValue(); value != test.want {
			t.Errorf("%d shares at %d: %d, want %d", test.quantity, test.price, value, test.want)
		}
	}
}

func drawHoldings(t *rapid.T) *positions.Holdings {
	return &positions.Holdings{
		Account: anyUint.Draw(t, "account"), Seq: anyUint.Draw(t, "seq"), Cash: drawCash(t),
		Positions:        rapid.SliceOfN(rapid.Custom(drawPosition), 0, 5).Draw(t, "positions"),
		TotalMarketValue: anyInt.Draw(t, "total"), Hash: anyUint.Draw(t, "hash"),
	}
}

func TestHoldingsAndLoginReply(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := drawHoldings(t)
		id := anyUint.Draw(t, "id")
		b := codec.AppendHoldings(nil, id, h, universe)
		checkPayload(t, onlyFrame(t, b, codec.TypeHoldingsReply, codec.FlagReply, id), wireHoldings(h, universe))

		r := &codec.LoginReply{
			Account: anyUint.Draw(t, "account"), HeadSeq: anyUint.Draw(t, "head"), OldestSeq: anyUint.Draw(t, "oldest"),
			Epoch: anyUint.Draw(t, "epoch"), Mode: papertapev1.ResumeMode(rapid.IntRange(0, 4).Draw(t, "mode")),
			Resynced: rapid.Bool().Draw(t, "resynced"),
		}
		want := &papertapev1.LoginReply{
			Account: r.Account, HeadSeq: r.HeadSeq, OldestSeq: r.OldestSeq, Epoch: r.Epoch, Mode: r.Mode,
			Resynced: r.Resynced,
		}
		if rapid.Bool().Draw(t, "with holdings") {
			r.Holdings, want.Holdings = h, wireHoldings(h, universe)
		}
		b = codec.AppendLoginReply(nil, id, r, universe)
		checkPayload(t, onlyFrame(t, b, codec.TypeLoginReply, codec.FlagReply, id), want)
	})
}

func TestSmallReplies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.Uint64Min(1).Draw(t, "id")
		head := anyUint.Draw(t, "head")
		text := rapid.StringN(0, 100, 400).Draw(t, "text")
		code := rapid.Int32Range(0, 22).Draw(t, "code")
		retry := rapid.Uint32().Draw(t, "retry")
		after := time.Duration(retry) * time.Millisecond
		quotes, presence := rapid.Bool().Draw(t, "quotes"), rapid.Bool().Draw(t, "presence")

		checkPayload(t, onlyFrame(t, codec.AppendPing(nil, id, head), codec.TypePing, 0, id),
			&papertapev1.Ping{HeadSeq: head})
		checkPayload(t, onlyFrame(t, codec.AppendPong(nil, id, head), codec.TypePong, codec.FlagReply, id),
			&papertapev1.Pong{HeadSeq: head})
		checkPayload(t, onlyFrame(t, codec.AppendSubscribed(nil, id,
			codec.Subscribe{Quotes: quotes, Presence: presence}),
			codec.TypeSubscribed, codec.FlagReply, id), &papertapev1.Subscribed{Quotes: quotes, Presence: presence})
		reject := &papertapev1.Reject{Code: papertapev1.RejectCode(code), Text: text, RetryAfterMs: retry}
		checkPayload(t, onlyFrame(t, codec.AppendReject(nil, id, reject.Code, text, after),
			codec.TypeReject, codec.FlagReply, id), reject)
		checkPayload(t, onlyFrame(t, codec.AppendReject(nil, 0, reject.Code, text, after), codec.TypeReject, 0, 0),
			reject)
		reason := papertapev1.GoodbyeReason(code % 8)
		checkPayload(t, onlyFrame(t, codec.AppendGoodbye(nil, reason, text, after), codec.TypeGoodbye, 0, 0),
			&papertapev1.Goodbye{Reason: reason, Text: text, RetryAfterMs: retry})
	})
}

func TestRetryAfter(t *testing.T) {
	for after, want := range map[time.Duration]uint32{
		-time.Second: 0, 0: 0, 1: 1, time.Millisecond: 1, time.Millisecond + 1: 2, 5 * time.Second: 5000,
		50 * 24 * time.Hour: math.MaxUint32, math.MaxInt64: math.MaxUint32,
	} {
		b := codec.AppendGoodbye(nil, papertapev1.GoodbyeReason_GOODBYE_REASON_FULL, "", after)
		checkPayload(t, onlyFrame(t, b, codec.TypeGoodbye, 0, 0),
			&papertapev1.Goodbye{Reason: papertapev1.GoodbyeReason_GOODBYE_REASON_FULL, RetryAfterMs: want})
	}
}

// TestTextIsMadeFit: text written by people is sent as valid UTF-8 of bounded length.
func TestTextIsMadeFit(t *testing.T) {
	long := strings.Repeat("贵", 1000)
	for _, test := range []struct{ text, want string }{
		{"a\xffb\xc0\xafc", "a\uFFFDb\uFFFDc"},
		{strings.Repeat("x", 1024), strings.Repeat("x", 1024)},
		{strings.Repeat("x", 1025), strings.Repeat("x", 1021) + "…"},
		{long, long[:340*3] + "…"},
	} {
		if len(test.want) > 1024 || !utf8.ValidString(test.want) {
			t.Fatalf("the test wants %d bytes", len(test.want))
		}
		reject := codec.AppendReject(nil, 1, malformed, test.text, 0)
		checkPayload(t, onlyFrame(t, reject, codec.TypeReject, codec.FlagReply, 1),
			&papertapev1.Reject{Code: malformed, Text: test.want})
		ev := &positions.Event{
			Account: 1, Seq: 1, Kind: positions.KindAdjustment,
			Adjustment: &positions.Adjustment{Reason: test.text, Actor: test.text},
		}
		wanted := wireEvent(ev, universe)
		wanted.GetAdjustment().Reason, wanted.GetAdjustment().Actor = test.want, test.want
		checkPayload(t, onlyFrame(t, codec.AppendEvent(nil, codec.TypeEvent, 0, 0, ev, universe), codec.TypeEvent,
			0, 0),
			wanted)
	}
	reset := &positions.Event{Account: 1, Seq: 2, Kind: positions.KindReset, Reset: &positions.Reset{
		Reason: "\xff", Actor: "\xfe",
	}}
	wantReset := wireEvent(reset, universe)
	wantReset.GetReset_().Reason, wantReset.GetReset_().Actor = "\uFFFD", "\uFFFD"
	checkPayload(t, onlyFrame(t, codec.AppendEvent(nil, codec.TypeEvent, 0, 0, reset, universe), codec.TypeEvent, 0,
		0), wantReset)
	ev := &positions.Event{Account: 1, Seq: 2, Kind: positions.KindBust, Bust: &positions.Bust{
		TradeSeq: 1, Reason: "\xff", Actor: "\xfe", ID: "\xfd",
	}}
	wanted := wireEvent(ev, universe)
	wanted.GetBust().Reason, wanted.GetBust().Actor, wanted.GetBust().BustId = "\uFFFD", "\uFFFD", "\uFFFD"
	checkPayload(t, onlyFrame(t, codec.AppendEvent(nil, codec.TypeEvent, 0, 0, ev, universe), codec.TypeEvent, 0,
		0), wanted)
}

func TestInstrumentsAndQuotes(t *testing.T) {
	prices := market.Walk(universe, 1).Step(1_767_578_400_000_000_000)
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfN(anyID, 0, 20).Draw(t, "ids")
		more := rapid.Bool().Draw(t, "more")
		instruments, quotes := new(papertapev1.Instruments), new(papertapev1.Quotes)
		for _, id := range ids {
			i := universe.At(id)
			lower, upper := i.Limits()
			status := papertapev1.MarketStatus_MARKET_STATUS_OPEN
			if i.Halted {
				status = papertapev1.MarketStatus_MARKET_STATUS_HALTED
			}
			instruments.Instruments = append(instruments.Instruments, &papertapev1.Instrument{
				Market: i.Market, Code: i.Code, Name: i.Name, Price: prices.At(id), PreviousClose: i.PreviousClose,
				Lot: i.Lot, Tick: i.Tick, Currency: i.Currency(), Upper: upper, Lower: lower,
				Status: status, Mic: i.ExchangeMIC(),
			})
			quotes.Quotes = append(quotes.Quotes, &papertapev1.Quote{
				Market: i.Market, Code: i.Code, Price: prices.At(id), Time: prices.Time(),
			})
		}
		instruments.More = more
		asked := &codec.InstrumentsRequest{IDs: ids, More: more}
		checkPayload(t, onlyFrame(t, codec.AppendInstruments(nil, 9, asked, prices, universe),
			codec.TypeInstrumentsReply, codec.FlagReply, 9), instruments)
		checkPayload(t, onlyFrame(t, codec.AppendQuotes(nil, ids, prices, universe), codec.TypeQuotes, 0, 0), quotes)
	})
}
