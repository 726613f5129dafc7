package gateway

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/market"
)

// many returns a universe of n instruments, S0, S1 and so on.
func many(t testing.TB, n int) *market.Universe {
	t.Helper()
	list := make([]market.Instrument, n)
	for i := range list {
		list[i] = market.Instrument{Market: "US", Code: fmt.Sprintf("S%05d", i), Name: "one of many", Lot: 1, Tick: 100,
			PreviousClose: 100_0000}
	}
	u, err := market.NewUniverse(list)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestPiecesAgainstASet notes changes and takes pieces at random: each instrument that has changed is taken once after
// that, nothing else is, and no instrument's turn is put off by others.
func TestPiecesAgainstASet(t *testing.T) {
	u := many(t, 200)
	rapid.Check(t, func(t *rapid.T) {
		anID := rapid.Map(rapid.IntRange(0, u.Len()-1), func(n int) market.ID { return market.ID(n) })
		sub := &subscription{}
		if rapid.Bool().Draw(t, "by codes") {
			sub.codes = rapid.SliceOfNDistinct(anID, 1, 20, rapid.ID).Draw(t, "codes")
			slices.Sort(sub.codes)
		}
		wanted := func(id market.ID) bool { return sub.codes == nil || slices.Contains(sub.codes, id) }
		pending, waits := make(map[market.ID]bool), make(map[market.ID]int)
		sub.noteAll(u)
		for id := range market.ID(u.Len()) {
			if wanted(id) {
				pending[id] = true
			}
		}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			c := &changes{ids: rapid.SliceOfN(anID, 0, 30).Draw(t, "changed")}
			c.set = setOf(c.ids, u)
			sub.note(c, u)
			for _, id := range c.ids {
				if wanted(id) {
					pending[id] = true
				}
			}
			most := rapid.IntRange(1, 60).Draw(t, "most")
			taken := sub.take(nil, most)
			if len(taken) != min(most, len(pending)) {
				t.Fatalf("%d taken, want %d of %d", len(taken), most, len(pending))
			}
			for _, id := range taken {
				if !pending[id] {
					t.Fatalf("%d was taken, and is not pending", id)
				}
				delete(pending, id)
				delete(waits, id)
			}
			for id := range pending {
				if waits[id] += len(taken); waits[id] > u.Len() {
					t.Fatalf("%d waits while %d others had their turn", id, waits[id])
				}
			}
			if (sub.pending == nil) != (len(pending) == 0) {
				t.Fatalf("%d are pending, and the subscription says %v", len(pending), sub.pending)
			}
		}
		if rest := sub.take(nil, u.Len()); len(rest) != len(pending) || sub.pending != nil {
			t.Fatalf("%d are left, want %d", len(rest), len(pending))
		}
	})
}

// want subscribes, with presence off.
func (p *peer) want(m *papertapev1.Subscribe) {
	p.t.Helper()
	p.id++
	p.write(codec.Append(nil, codec.TypeSubscribe, 0, p.id, m))
	p.expect(codec.TypeSubscribed)
}

// view is what a subscriber knows: the newest quote of each instrument, by code.
type view map[string]*papertapev1.Quote

// take reads one frame of QUOTES into the view.
func (v view) take(p *peer) {
	p.t.Helper()
	for _, q := range decoded(p.t, p.expect(codec.TypeQuotes), new(papertapev1.Quotes)).GetQuotes() {
		v[q.GetCode()] = q
	}
}

// is reports whether the view is that of a snapshot.
func (v view) is(u *market.Universe, prices *market.Prices) bool {
	for id := range market.ID(u.Len()) {
		got, q := v[u.At(id).Code], prices.Quote(id)
		if got == nil || got.GetPrice() != q.Last || got.GetTime() != q.Time || got.GetBid() != q.Bid ||
			got.GetVolume() != q.Volume || got.GetStatus() != papertapev1.MarketStatus(q.Status) {
			return false
		}
	}
	return true
}

// crowd is a server with more instruments than fit an outbox, and quotes that the test sets.
type crowd struct {
	*server
	u    *market.Universe
	feed *market.Feed
	rng  *rand.Rand
	now  int64
}

func newCrowd(t *testing.T, change func(*Config)) *crowd { return newCrowdOf(t, many(t, 1500), change) }

func newCrowdOf(t *testing.T, u *market.Universe, change func(*Config)) *crowd {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	c := &crowd{u: u, rng: rand.New(rand.NewPCG(seed, 0))}
	c.feed = market.NewFeed(c.u, market.FeedConfig{})
	c.server = start(t, func(g *Config, e *engine.Config) {
		g.Universe, e.Universe = c.u, c.u
		g.Prices, e.Prices = c.feed.Snapshot, c.feed.Snapshot
		g.EventLoops, g.SocketSendBufferBytes, g.OutboxBytesMax = 1, 8<<10, 32<<10
		if change != nil {
			change(g)
		}
	})
	c.gw.Quote(c.feed.Snapshot())
	return c
}

// move has n instruments traded at other prices, and the gateway quote them.
func (c *crowd) move(n int) {
	c.now++
	updates := make([]market.Update, n)
	for i, id := range c.rng.Perm(c.u.Len())[:n] {
		updates[i] = market.Update{ID: market.ID(id), Time: c.now, Last: 100 + c.rng.Int64N(1_000_000), Size: 7,
			Says: market.SaysLast | market.SaysSize}
	}
	c.gw.Quote(c.feed.Apply(c.now, updates, nil))
}

// TestQuotesInPieces has more instruments than an outbox has room for, a subscriber that does not read, and one that
// does. Nobody is cut, no outbox fills, the one that reads does not wait for the other, and both have the newest quotes
// in the end.
func TestQuotesInPieces(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, nil)
	slow, reader := c.lazy(t, alice), c.user(t, bob)
	slow.want(&papertapev1.Subscribe{Quotes: true, Detail: true})
	reader.want(&papertapev1.Subscribe{Quotes: true, Detail: true})
	seen, late := make(view), make(view)
	for _, n := range []int{0, 1, c.u.Len(), 3, 700, 1, c.u.Len(), 90, 1, 20} {
		if n > 0 {
			c.move(n)
		}
		for !seen.is(c.u, c.feed.Snapshot()) {
			seen.take(reader)
		}
		if _, waiting := c.stalledSince(t, slow); waiting > c.gw.cfg.OutboxBytesMax {
			t.Fatalf("%d bytes wait for one that does not read, over %d", waiting, c.gw.cfg.OutboxBytesMax)
		}
	}
	for !late.is(c.u, c.feed.Snapshot()) {
		late.take(slow)
	}
	if s := c.gw.Stats(); s.CutOutbox.Load() != 0 || s.CutTotal.Load() != 0 || s.Panics.Load() != 0 {
		t.Errorf("cut %d and %d, panics %d, want none", s.CutOutbox.Load(), s.CutTotal.Load(), s.Panics.Load())
	}
	c.move(5)
	for !late.is(c.u, c.feed.Snapshot()) {
		late.take(slow)
	}
	slow.alive() // and nothing else came
}

// TestSlowReaderOfALargeUniverse has a subscriber in detail of as many instruments as a server may have read a piece at
// a time while most of them change. It is not cut, its outbox stays within its bound, and it has the newest quote of
// each in the end. Orders and quotes of another client of the same loop are answered and sent meanwhile.
func TestSlowReaderOfALargeUniverse(t *testing.T) {
	t.Parallel()
	instruments, rounds := 20_000, 20
	if testing.Short() {
		instruments, rounds = 4000, 10
	}
	list := make([]market.Instrument, instruments)
	for i := range list {
		list[i] = market.Instrument{Market: "SZ", Code: fmt.Sprintf("%06d", i), Name: "one of many", Lot: 100,
			Tick: 100, PreviousClose: 100_0000}
	}
	u, err := market.NewUniverse(list)
	if err != nil {
		t.Fatal(err)
	}
	c := newCrowdOf(t, u, func(g *Config) { g.OutboxBytesMax = 128 << 10 })
	slow, other := c.lazy(t, alice), c.user(t, bob)
	slow.want(&papertapev1.Subscribe{Quotes: true, Detail: true})
	late := make(view)
	for round := range rounds {
		c.move(instruments * (1 + round%4) / 4)
		late.take(slow)
		other.trade(1)
		other.want(&papertapev1.Subscribe{Quotes: true, Detail: true, Codes: []string{"SZ.000001"}})
		seen := make(view)
		for seen.take(other); seen["000001"].GetPrice() != c.feed.Snapshot().At(1); {
			seen.take(other)
		}
		other.want(&papertapev1.Subscribe{})
		if _, waiting := c.stalledSince(t, slow); waiting > c.gw.cfg.OutboxBytesMax {
			t.Fatalf("%d bytes wait for one that reads slowly, over %d", waiting, c.gw.cfg.OutboxBytesMax)
		}
	}
	for !late.is(c.u, c.feed.Snapshot()) {
		late.take(slow)
	}
	slow.alive() // and nothing else came
	if s := c.gw.Stats(); s.CutOutbox.Load() != 0 || s.CutTotal.Load() != 0 || s.Panics.Load() != 0 {
		t.Errorf("cut %d and %d, panics %d, want none", s.CutOutbox.Load(), s.CutTotal.Load(), s.Panics.Load())
	}
}

// TestPlainQuotesInPieces: plain quotes of many instruments come in pieces too, with four fields.
func TestPlainQuotesInPieces(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, nil)
	p := c.lazy(t, alice)
	p.want(&papertapev1.Subscribe{Quotes: true})
	seen := make(view)
	newest := func() bool {
		for id := range market.ID(c.u.Len()) {
			if q := seen[c.u.At(id).Code]; q == nil || q.GetPrice() != c.feed.Snapshot().At(id) || q.GetVolume() != 0 {
				return false
			}
		}
		return true
	}
	for _, n := range []int{0, c.u.Len(), 1, 800} {
		if n > 0 {
			c.move(n)
		}
	}
	for !newest() {
		seen.take(p)
	}
	p.alive()
}

// TestPiecesAreHeldBack has all outboxes together near their bound while pieces wait: they come when there is room.
func TestPiecesAreHeldBack(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, func(g *Config) { g.OutboxBytesMax, g.OutboxTotalBytesMax = 8<<20, 128<<10 })
	p := c.user(t, bob)
	c.gw.outboxBytes.Add(100 << 10) // as if others did not read
	c.move(3)
	p.want(&papertapev1.Subscribe{Quotes: true, Detail: true})
	seen := make(view)
	seen.take(p)
	c.move(c.u.Len())
	eventually(t, "a loop has noted the quotes", func() bool {
		n := 0
		c.onLoops(func(l *loop) { n += len(l.pieces) })
		return n == 1
	})
	p.alive() // pieces are left out, answers are not
	c.gw.outboxBytes.Add(-100 << 10)
	for !seen.is(c.u, c.feed.Snapshot()) {
		seen.take(p)
	}
}

// TestQuotesByCode: a subscriber that names instruments is told of those alone, in detail or not; a code that is
// unknown is named, and changes nothing.
func TestQuotesByCode(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, nil)
	plain, detailed := c.user(t, alice), c.user(t, bob)
	codes := []string{"US.S00007", "US.S01400", "S00008.XNAS"}
	plain.want(&papertapev1.Subscribe{Quotes: true, Codes: codes})
	detailed.want(&papertapev1.Subscribe{Quotes: true, Detail: true, Codes: codes})
	wantCodes := func(p *peer, want ...string) view {
		t.Helper()
		got := make(view)
		got.take(p)
		if have := slices.Sorted(maps.Keys(got)); !slices.Equal(have, want) {
			t.Fatalf("quotes of %v, want %v", have, want)
		}
		return got
	}
	wantCodes(plain, "S00007", "S00008", "S01400")
	if q := wantCodes(detailed, "S00007", "S00008", "S01400")["S00008"]; q.GetPreviousClose() != 100_0000 ||
		q.GetStatus() != papertapev1.MarketStatus_MARKET_STATUS_OPEN {
		t.Errorf("in detail: %v", q)
	}
	apply := func(updates ...market.Update) {
		c.now++
		for i := range updates {
			updates[i].Time = c.now
		}
		c.gw.Quote(c.feed.Apply(c.now, updates, nil))
	}
	apply(market.Update{ID: 7, Bid: 99_0000, Ask: 101_0000, Last: 100_5000, Says: market.SaysBid | market.SaysAsk |
		market.SaysLast}, market.Update{ID: 9, Last: 1_0000, Says: market.SaysLast})
	wantCodes(plain, "S00007")
	wantCodes(detailed, "S00007")
	apply(market.Update{ID: 7, BidSize: 5, Says: market.SaysBidSize}) // no other price
	if q := wantCodes(detailed, "S00007")["S00007"]; q.GetBidSize() != 5 || q.GetBid() != 99_0000 {
		t.Errorf("in detail: %v", q)
	}
	apply(market.Update{ID: 10, Last: 1_0000, Says: market.SaysLast}) // nobody's
	plain.id++
	plain.write(codec.Append(nil, codec.TypeSubscribe, 0, plain.id, &papertapev1.Subscribe{Codes: []string{"US.NONE"}}))
	r := plain.rejected(plain.id, papertapev1.RejectCode_REJECT_CODE_UNKNOWN_INSTRUMENT)
	if !bytes.Contains([]byte(r.GetText()), []byte("NONE")) {
		t.Errorf("the reject says %q", r.GetText())
	}
	apply(market.Update{ID: 7, Last: 100_0000, Says: market.SaysLast})
	wantCodes(plain, "S00007")
	plain.want(&papertapev1.Subscribe{Quotes: true, Detail: true, Codes: codes[1:2]}) // replaces what was before
	wantCodes(plain, "S01400")
	plain.alive()
}

// TestOldSubscribersGetTheSameBytes: a SUBSCRIBE of before is answered with the frames of before: four fields, of the
// instruments whose last price has moved, whatever else there is to tell.
func TestOldSubscribersGetTheSameBytes(t *testing.T) {
	t.Parallel()
	s, feed := walking(t, nil)
	u := s.gw.cfg.Universe
	p, other := s.user(t, alice), s.user(t, bob)
	other.want(&papertapev1.Subscribe{Quotes: true, Detail: true})
	old := func(ids []market.ID) []byte {
		m := new(papertapev1.Quotes)
		for _, id := range ids {
			m.Quotes = append(m.Quotes, &papertapev1.Quote{Market: u.At(id).Market, Code: u.At(id).Code,
				Price: feed.Snapshot().At(id), Time: feed.Snapshot().Time()})
		}
		return codec.Append(nil, codec.TypeQuotes, 0, 0, m)[codec.HeaderBytes:]
	}
	p.id++
	p.write([]byte{0, 0, 0, 14, 0, byte(codec.TypeSubscribe), 0, 0, 0, 0, 0, 0, 0, 0, 0, byte(p.id), 0x08, 1})
	if f := p.expect(codec.TypeSubscribed); !bytes.Equal(f.Payload, []byte{0x08, 1}) {
		t.Fatalf("SUBSCRIBED %x", f.Payload)
	}
	everything := make([]market.ID, u.Len())
	for i := range everything {
		everything[i] = market.ID(i)
	}
	if f := p.expect(codec.TypeQuotes); !bytes.Equal(f.Payload, old(everything)) {
		t.Fatalf("at first %x", f.Payload)
	}
	for i := range int64(10) {
		before := feed.Snapshot()
		after := feed.Step(1 + i)
		s.gw.Quote(after)
		var moved []market.ID
		for id := range market.ID(u.Len()) {
			if before.At(id) != after.At(id) {
				moved = append(moved, id)
			}
		}
		if f := p.expect(codec.TypeQuotes); !bytes.Equal(f.Payload, old(moved)) {
			t.Fatalf("%x, want the %d that moved", f.Payload, len(moved))
		}
	}
	s.gw.Quote(feed.Apply(20, []market.Update{{ID: 3, Time: 20, BidSize: 9, Says: market.SaysBidSize}}, nil))
	p.alive() // nothing moved
}

// tape is a store of bars and trades.
type tape struct{}

func (tape) Bars(id market.ID, seconds uint32, from, to int64, limit int) ([]market.Bar, bool) {
	return []market.Bar{{Time: from, Open: int64(id), High: int64(seconds), Low: to, Close: int64(limit)}}, true
}

func (tape) Trades(id market.ID, from int64, limit int) ([]market.TapeTrade, bool) {
	return []market.TapeTrade{{Time: from, Price: int64(id), Size: int64(limit), Number: 4}}, false
}

// TestMarketData: bars, trades, clock and calendar are what the server's stores say.
func TestMarketData(t *testing.T) {
	t.Parallel()
	s := start(t, func(g *Config, _ *engine.Config) {
		g.Bars = tape{}
		g.Clock = func(name string) ClockState { return ClockState{Time: 5, Status: market.StatusAuction, Zone: name} }
		g.Calendar = func(name, from, to string) ([]CalendarDay, error) {
			if from == to {
				return nil, fmt.Errorf("the calendar of %s ends in 2027", name)
			}
			return []CalendarDay{{Date: from, Opens: []int64{1}, Closes: []int64{2}}}, nil
		}
	})
	id, _ := s.gw.cfg.Universe.Parse("SH.600519")
	p := s.user(t, alice)
	ask := func(typ, reply codec.Type, m codec.Message, into message) {
		t.Helper()
		p.id++
		p.write(codec.Append(nil, typ, 0, p.id, m))
		if f := p.expect(reply); f.ID != p.id || f.Flags != codec.FlagReply {
			t.Fatalf("%v id %d flags %d", f.Type, f.ID, f.Flags)
		} else if err := codec.Unmarshal(f.Payload, into); err != nil {
			t.Fatal(err)
		}
	}
	var bars papertapev1.Bars
	ask(codec.TypeBars, codec.TypeBarsReply, &papertapev1.BarsRequest{Market: "XSHG", Code: "600519", Seconds: 60,
		From: 3, To: 4, Limit: 9}, &bars)
	if b := bars.GetBars()[0]; !bars.GetMore() || b.GetTime() != 3 || b.GetOpen() != int64(id) || b.GetHigh() != 60 ||
		b.GetLow() != 4 || b.GetClose() != 9 {
		t.Errorf("bars %v", &bars)
	}
	var trades papertapev1.Trades
	ask(codec.TypeTrades, codec.TypeTradesReply, &papertapev1.TradesRequest{Market: "SH", Code: "600519", From: 3},
		&trades)
	if tt := trades.GetTrades()[0]; trades.GetMore() || tt.GetTime() != 3 || tt.GetSize() != 500 ||
		tt.GetNumber() != 4 {
		t.Errorf("trades %v", &trades)
	}
	var clock papertapev1.Clock
	ask(codec.TypeClock, codec.TypeClockReply, &papertapev1.ClockRequest{Market: "XSHG"}, &clock)
	if clock.GetTime() != 5 || clock.GetZone() != "SH" ||
		clock.GetStatus() != papertapev1.MarketStatus_MARKET_STATUS_AUCTION {
		t.Errorf("clock %v", &clock)
	}
	var days papertapev1.Calendar
	ask(codec.TypeCalendar, codec.TypeCalendarReply, &papertapev1.CalendarRequest{Market: "SZ", From: "2026-01-05",
		To: "2026-01-06"}, &days)
	if d := days.GetDays(); len(d) != 1 || d[0].GetDate() != "2026-01-05" ||
		!slices.Equal(d[0].GetCloses(), []int64{2}) {
		t.Errorf("calendar %v", &days)
	}
	p.id++
	p.write(codec.Append(nil, codec.TypeCalendar, 0, p.id,
		&papertapev1.CalendarRequest{Market: "SZ", From: "2026-01-05", To: "2026-01-05"}))
	text := p.rejected(p.id, papertapev1.RejectCode_REJECT_CODE_MALFORMED).GetText()
	if text != "the calendar of SZ ends in 2027" {
		t.Errorf("the reject says %q", text)
	}
}

// TestMarketDataThatIsNotThere: a server without a store says so, and the session goes on.
func TestMarketDataThatIsNotThere(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	p := s.user(t, alice)
	for typ, test := range map[codec.Type]struct {
		m    codec.Message
		text string
	}{
		codec.TypeBars: {&papertapev1.BarsRequest{Market: "SH", Code: "600519", Seconds: 60},
			"BARS: this server keeps no bars"},
		codec.TypeTrades: {&papertapev1.TradesRequest{Market: "SH", Code: "600519"},
			"TRADES: this server keeps no trades"},
		codec.TypeClock: {&papertapev1.ClockRequest{Market: "SH"}, "CLOCK: this server keeps no market hours"},
		codec.TypeCalendar: {&papertapev1.CalendarRequest{Market: "SH", From: "2026-01-05", To: "2026-01-05"},
			"CALENDAR: this server keeps no calendar"},
	} {
		p.id++
		p.write(codec.Append(nil, typ, 0, p.id, test.m))
		if r := p.rejected(p.id, papertapev1.RejectCode_REJECT_CODE_UNKNOWN_TYPE); r.GetText() != test.text {
			t.Errorf("the reject says %q", r.GetText())
		}
		p.write(codec.Append(nil, typ, 0, p.id, &papertapev1.Ping{}))
		p.rejected(p.id, papertapev1.RejectCode_REJECT_CODE_UNKNOWN_INSTRUMENT)
	}
	p.alive()
}

// TestQuotesThatALoopMissed has quotes change three times while a loop is busy, some of them back. Subscribers in
// detail and of single instruments have the newest afterwards, though nobody sends them everything again.
func TestQuotesThatALoopMissed(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, nil)
	p, one := c.user(t, alice), c.user(t, bob)
	p.want(&papertapev1.Subscribe{Quotes: true, Detail: true})
	one.want(&papertapev1.Subscribe{Quotes: true, Codes: []string{"US.S00003"}})
	seen, seenOne := make(view), make(view)
	seenOne.take(one)
	for !seen.is(c.u, c.feed.Snapshot()) {
		seen.take(p)
	}
	for _, n := range []int{40, 900} {
		c.onLoops(func(*loop) {
			c.move(n)
			first := c.feed.Snapshot()
			c.gw.Quote(first.With(3, 77_0000))
			c.move(n)
			c.gw.Quote(c.feed.Apply(c.now, []market.Update{{ID: 3, Time: c.now, Last: int64(n) * 100,
				Says: market.SaysLast}}, nil))
		})
		for !seen.is(c.u, c.feed.Snapshot()) {
			seen.take(p)
		}
		if seenOne.take(one); seenOne["S00003"].GetPrice() != int64(n)*100 {
			t.Fatalf("%v, want the newest", seenOne["S00003"])
		}
	}
	p.alive()
	one.alive()
}
