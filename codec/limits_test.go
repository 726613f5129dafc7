package codec_test

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// widest returns the largest possible universe, with the longest possible names.
func widest(t *testing.T) *market.Universe {
	t.Helper()
	list := make([]market.Instrument, market.MaxInstruments)
	for n := range list {
		list[n] = market.Instrument{
			Market: "SH", Code: fmt.Sprintf("%0*d", market.MaxCodeBytes, n),
			Name: strings.Repeat("贵", market.MaxNameBytes/3), PreviousClose: market.MaxPrice, Lot: math.MaxUint32,
			Tick: market.MaxPrice, LimitBps: 10_000,
		}
	}
	u, err := market.NewUniverse(list)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// fullHoldings returns the maximum number of rows, with numbers that take the most bytes.
func fullHoldings(u *market.Universe, figure int64) *positions.Holdings {
	h := &positions.Holdings{
		Account: math.MaxUint64, Seq: math.MaxUint64, TotalMarketValue: -1, Hash: math.MaxUint64,
		Cash: positions.Cash{Balance: -1, FeesPaid: -1, Realised: -1},
	}
	for n := range positions.MaxRows {
		h.Positions = append(h.Positions, positions.Position{
			Row: positions.Row{
				Quantity: figure, Cost: figure, Realised: -1, Version: uint64(figure), Instrument: market.ID(n),
			},
			Sellable: figure, Price: figure,
		})
	}
	return h
}

// TestHoldingsAlwaysFit: large numbers fit with the names, and any numbers fit without
// them.
func TestHoldingsAlwaysFit(t *testing.T) {
	u := widest(t)
	for _, test := range []struct {
		figure int64
		named  bool
	}{{1 << 34, true}, {-1, false}} {
		h := fullHoldings(u, test.figure)
		want := wireHoldings(h, u)
		if !test.named {
			for _, p := range want.GetPositions() {
				p.Name = ""
			}
		}
		before := []byte("before")
		b := codec.AppendHoldings(before, 5, h, u)
		checkPayload(t, onlyFrame(t, b[len(before):], codec.TypeHoldingsReply, codec.FlagReply, 5), want)
		r := &codec.LoginReply{
			Account: math.MaxUint64, HeadSeq: math.MaxUint64, OldestSeq: math.MaxUint64, Epoch: math.MaxUint64,
			Mode: papertapev1.ResumeMode_RESUME_MODE_SNAPSHOT, Resynced: true, Holdings: h,
		}
		b = codec.AppendLoginReply(before, 5, r, u)
		checkPayload(t, onlyFrame(t, b[len(before):], codec.TypeLoginReply, codec.FlagReply, 5),
			&papertapev1.LoginReply{
				Account: math.MaxUint64, HeadSeq: math.MaxUint64, OldestSeq: math.MaxUint64, Epoch: math.MaxUint64,
				Mode: papertapev1.ResumeMode_RESUME_MODE_SNAPSHOT, Resynced: true, Holdings: want,
			})
	}
}

// TestResetAlwaysFits: an event that takes as many rows as there can be, of the longest names, fits a frame.
func TestResetAlwaysFits(t *testing.T) {
	u := widest(t)
	ev := &positions.Event{
		Account: math.MaxUint64, Seq: math.MaxUint64, Time: -1, Kind: positions.KindReset,
		Cash:  positions.Cash{Balance: -1, FeesPaid: -1, Realised: -1},
		Reset: &positions.Reset{Cash: -1, Reason: strings.Repeat("r", 1024), Actor: strings.Repeat("a", 1024)},
	}
	for n := range positions.MaxRows {
		ev.Reset.Gone = append(ev.Reset.Gone, market.ID(n))
	}
	frame := codec.AppendEvent(nil, codec.TypeEvent, 0, 0, ev, u)
	checkPayload(t, onlyFrame(t, frame, codec.TypeEvent, 0, 0), wireEvent(ev, u))
}

func TestInstrumentsAlwaysFit(t *testing.T) {
	u := widest(t)
	asked := new(papertapev1.InstrumentsRequest)
	var seen, pages int
	for more := true; more; pages++ {
		r, err := codec.DecodeInstrumentsRequest(marshal(t, asked), u)
		if err != nil || len(r.IDs) > 500 || len(r.IDs) == 0 || int(r.IDs[0]) != seen {
			t.Fatalf("behind %q: %d, %v", asked.GetAfter(), len(r.IDs), err)
		}
		b := codec.AppendInstruments([]byte("before"), 5, &r, u.Opening(), u)[len("before"):]
		var got papertapev1.Instruments
		if err := codec.Unmarshal(onlyFrame(t, b, codec.TypeInstrumentsReply, codec.FlagReply, 5), &got); err != nil {
			t.Fatal(err)
		}
		list := got.GetInstruments()
		for n, in := range list {
			if want := u.At(market.ID(seen + n)); in.GetCode() != want.Code {
				t.Fatalf("instrument %d is %s, want %s", seen+n, in.GetCode(), want.Code)
			}
		}
		if len(list) < 400 && got.GetMore() {
			t.Errorf("a page has only %d instruments", len(list))
		}
		seen, more = seen+len(list), got.GetMore()
		asked.After = "SH." + list[len(list)-1].GetCode()
	}
	if seen != u.Len() {
		t.Errorf("%d instruments of %d on %d pages", seen, u.Len(), pages)
	}
}

// TestQuotesOfAll: all quotes are sent, in order, in frames that clients accept.
func TestQuotesOfAll(t *testing.T) {
	u := widest(t)
	prices := market.Walk(u, 1).Step(math.MaxInt64)
	for _, count := range []int{0, 1, 1000, 1001, 2000, market.MaxInstruments} {
		ids := make([]market.ID, count)
		for n := range ids {
			ids[n] = market.ID(n)
		}
		rest := codec.AppendQuotes(nil, ids, prices, u)
		var got []*papertapev1.Quote
		frames := 0
		for len(rest) > 0 {
			f, n, err := codec.Cut(rest, codec.LimitToClient)
			if err != nil || n == 0 || f.Type != codec.TypeQuotes {
				t.Fatalf("of %d quotes: %v, %d, %v", count, f.Type, n, err)
			}
			var quotes papertapev1.Quotes
			if err := codec.Unmarshal(f.Payload, &quotes); err != nil {
				t.Fatal(err)
			}
			got = append(got, quotes.GetQuotes()...)
			rest = rest[n:]
			frames++
		}
		if want := max(1, (count+999)/1000); frames != want || len(got) != count {
			t.Errorf("%d quotes: %d in %d frames, want %d frames", count, len(got), frames, want)
		}
		for n, quote := range got {
			if quote.GetCode() != u.At(market.ID(n)).Code || quote.GetPrice() != prices.At(market.ID(n)) {
				t.Fatalf("quote %d is %v", n, quote)
			}
		}
	}
}

// TestHistoryStopsAtTheLimit: a frame has as many events as fit, up to exactly the limit,
// and always has oldest_seq.
func TestHistoryStopsAtTheLimit(t *testing.T) {
	const oldest = math.MaxUint64 // the longest encoding
	event := func(reason int) *positions.Event {
		return &positions.Event{
			Account: 100_017, Seq: 7, Kind: positions.KindAdjustment,
			Adjustment: &positions.Adjustment{Cash: 1, Reason: strings.Repeat("r", reason)},
		}
	}
	history := func(events []*positions.Event) (length int, got *papertapev1.History) {
		b := codec.AppendHistory([]byte("before"), 5, events, oldest, universe)[len("before"):]
		got = new(papertapev1.History)
		if err := codec.Unmarshal(onlyFrame(t, b, codec.TypeHistoryReply, codec.FlagReply, 5), got); err != nil {
			t.Fatal(err)
		}
		if got.GetOldestSeq() != oldest {
			t.Fatalf("oldest_seq %d", got.GetOldestSeq())
		}
		return len(b) - 4, got
	}
	events := append(slices.Repeat([]*positions.Event{event(1000)}, 63), event(600))
	if _, got := history(events); len(got.GetEvents()) != 64 {
		t.Fatalf("%d of 64 events", len(got.GetEvents()))
	}
	// Add an event that fills the frame exactly to its limit; then make it one byte longer.
	short, _ := history(append(slices.Clone(events), event(300)))
	reason := 300 + codec.LimitToClient - short
	length, got := history(append(slices.Clone(events), event(reason)))
	if length != codec.LimitToClient ||
		len(got.GetEvents()) != 65 {
		t.Fatalf("length %d with %d events, want %d with 65", length, len(got.GetEvents()), codec.LimitToClient)
	}
	length, got = history(append(slices.Clone(events), event(reason+1), event(0)))
	if length > codec.LimitToClient ||
		len(got.GetEvents()) != 64 {
		t.Fatalf("length %d with %d events, want 64: the newest without a hole", length, len(got.GetEvents()))
	}
}

func TestHistoryKeepsTheOrder(t *testing.T) {
	newer, older := sampleEvent(t), sampleEvent(t)
	older.Seq = 41
	b := codec.AppendHistory(nil, 5, []*positions.Event{newer, older}, 3, universe)
	checkPayload(t, onlyFrame(t, b, codec.TypeHistoryReply, codec.FlagReply, 5), &papertapev1.History{
		Events:    []*papertapev1.AccountEvent{wireEvent(newer, universe), wireEvent(older, universe)},
		OldestSeq: 3,
	})
	empty := codec.AppendHistory(nil, 5, nil, 0, universe)
	if !bytes.Equal(empty, codec.Append(nil, codec.TypeHistoryReply, codec.FlagReply, 5, &papertapev1.History{})) {
		t.Errorf("no events: %x", empty)
	}
}

// TestInstrumentsByCodeFit: whatever codes fit into a request, their instruments fit into one reply.
func TestInstrumentsByCodeFit(t *testing.T) {
	for _, width := range []int{1, 2, 3, 4, 6, market.MaxCodeBytes} {
		u, err := market.NewUniverse([]market.Instrument{{
			Market: "SH", Code: strings.Repeat("9", width), Name: strings.Repeat("贵", market.MaxNameBytes/3),
			PreviousClose: market.MaxPrice, Lot: math.MaxUint32, Tick: market.MaxPrice, LimitBps: 10_000,
		}})
		if err != nil {
			t.Fatal(err)
		}
		m := new(papertapev1.InstrumentsRequest)
		for len(marshal(t, m)) < codec.LimitAfterLogin && len(m.GetCodes()) < 500 {
			m.Codes = append(m.Codes, "SH"+u.At(0).Code)
		}
		r, err := codec.DecodeInstrumentsRequest(marshal(t, m), u)
		if err != nil {
			t.Fatal(err)
		}
		var got papertapev1.Instruments
		b := codec.AppendInstruments(nil, 5, &r, u.Opening(), u)
		if err := codec.Unmarshal(onlyFrame(t, b, codec.TypeInstrumentsReply, codec.FlagReply, 5), &got); err != nil {
			t.Fatal(err)
		}
		if len(got.GetInstruments()) != len(m.GetCodes()) || got.GetMore() {
			t.Errorf("codes of %d: %d of %d instruments, more %t", width, len(got.GetInstruments()), len(m.GetCodes()),
				got.GetMore())
		}
	}
}
