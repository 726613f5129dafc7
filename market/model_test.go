package market

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// toyHours are hours of short days: the US opens and closes later than the others.
type toyHours struct{}

const toyDay = 100

func (toyHours) shifted(market string, t int64) int64 {
	if market == "US" {
		return t + toyDay/2
	}
	return t
}

// Day is of the next day from the close on, as with exchanges.
func (h toyHours) Day(market string, t int64) int32 {
	return int32((h.shifted(market, t) + toyDay - 60) / toyDay)
}

func (h toyHours) Status(market string, t int64) Status {
	switch at := h.shifted(market, t) % toyDay; {
	case at < 10:
		return StatusAuction
	case at < 60:
		return StatusOpen
	default:
		return StatusClosed
	}
}

func (h toyHours) Next(t int64) int64 {
	for t++; ; t++ {
		for _, m := range []string{"SH", "US"} {
			if h.Status(m, t) != h.Status(m, t-1) || h.Day(m, t) != h.Day(m, t-1) {
				return t
			}
		}
	}
}

// modelEvent is what a feed was told of one instrument: an update that was applied, or that time passed.
type modelEvent struct {
	now    int64
	update *Update // nil: Turn
}

// modelFeed is a feed that keeps everything it was told, and computes quotes from all of it.
type modelFeed struct {
	universe  *Universe
	keepClose bool
	events    map[ID][]modelEvent
}

// quote replays the events of an instrument.
func (m *modelFeed) quote(id ID) Quote {
	i := m.universe.At(id)
	q := Quote{Bid: i.PreviousClose, Ask: i.PreviousClose, Last: i.PreviousClose, PreviousClose: i.PreviousClose,
		Status: StatusOpen}
	halted, told, day, dayKnown := i.Halted, Fields(0), int32(0), false
	if halted {
		q.Status = StatusHalted
	}
	for _, ev := range m.events[id] {
		at := ev.now
		if ev.update != nil {
			at = ev.update.Time
		}
		trading := (toyHours{}).Status(i.Market, at) != StatusClosed
		if d := (toyHours{}).Day(i.Market, at); !dayKnown || d > day && trading {
			if dayKnown {
				q.Open, q.High, q.Low, q.Volume = 0, 0, 0, 0
				if !m.keepClose {
					q.PreviousClose = q.Last
				}
			}
			day, dayKnown = d, true
		}
		if u := ev.update; u != nil {
			told |= u.Says
			modelApply(&q, u, told)
			if u.Says&SaysStatus != 0 {
				halted = u.Status == StatusHalted
			}
		}
		if q.Status = (toyHours{}).Status(i.Market, ev.now); halted {
			q.Status = StatusHalted
		}
	}
	return q
}

// modelApply changes q as u says. told is all that was ever said, by u too.
func modelApply(q *Quote, u *Update, told Fields) {
	says := func(f Fields) bool { return u.Says&f == f }
	for _, f := range []struct {
		says     Fields
		from, to *int64
	}{{SaysBid, &u.Bid, &q.Bid}, {SaysAsk, &u.Ask, &q.Ask}, {SaysBidSize, &u.BidSize, &q.BidSize},
		{SaysAskSize, &u.AskSize, &q.AskSize}} {
		if says(f.says) {
			*f.to = *f.from
		}
	}
	if told&SaysBid == 0 {
		q.Bid = modelSide(says(SaysLast), u.Last, q.Bid)
		if told&SaysAsk != 0 && q.Ask != 0 && q.Bid > q.Ask {
			q.Bid = q.Ask
		}
	}
	if told&SaysAsk == 0 {
		q.Ask = modelSide(says(SaysLast), u.Last, q.Ask)
		if told&SaysBid != 0 && q.Bid > q.Ask {
			q.Ask = q.Bid
		}
	}
	q.Time = u.Time
	if says(SaysLast) {
		q.Last = u.Last
		if q.Open == 0 {
			q.Open, q.High, q.Low = u.Last, u.Last, u.Last
		}
		if u.Last > q.High {
			q.High = u.Last
		}
		if u.Last < q.Low {
			q.Low = u.Last
		}
		q.Size = 0
		if says(SaysSize) {
			q.Size = u.Size
		} else if says(SaysVolume) && u.Volume > q.Volume {
			q.Size = u.Volume - q.Volume
		}
		q.Volume += q.Size
	} else if told&(SaysBid|SaysAsk|SaysLast) == SaysBid|SaysAsk && (says(SaysBid) || says(SaysAsk)) &&
		q.Bid != 0 && q.Ask != 0 {
		q.Last = (q.Bid + q.Ask) / 2
	}
	if says(SaysVolume) {
		q.Volume = u.Volume
	}
}

// modelSide is a side that was never told.
func modelSide(traded bool, last, before int64) int64 {
	if traded {
		return last
	}
	return before
}

// outcome says what becomes of an update, and notes it if it is applied.
func (m *modelFeed) outcome(now int64, u Update) Outcome {
	if u.Time < m.quote(u.ID).Time {
		return Late
	}
	for _, f := range []struct {
		says            Fields
		value, low, top int64
	}{{SaysBid, u.Bid, 0, MaxPrice}, {SaysAsk, u.Ask, 0, MaxPrice}, {SaysLast, u.Last, 1, MaxPrice},
		{SaysBidSize, u.BidSize, 0, MaxVolume}, {SaysAskSize, u.AskSize, 0, MaxVolume},
		{SaysSize, u.Size, 0, MaxVolume}, {SaysVolume, u.Volume, 0, MaxVolume}} {
		if u.Says&f.says != 0 && (f.value < f.low || f.value > f.top) {
			return BadPrice
		}
	}
	before := m.events[u.ID]
	bid, ask := m.quote(u.ID).Bid, m.quote(u.ID).Ask
	if u.Says&SaysBid != 0 {
		bid = u.Bid
	}
	if u.Says&SaysAsk != 0 {
		ask = u.Ask
	}
	told := u.Says
	for _, ev := range before {
		if ev.update != nil {
			told |= ev.update.Says
		}
	}
	if told&(SaysBid|SaysAsk) == SaysBid|SaysAsk && ask != 0 && bid > ask {
		return Crossed
	}
	m.events[u.ID] = append(before, modelEvent{now, &u})
	return Applied
}

func anyUpdate(t *rapid.T, u *Universe, now int64) Update {
	price := rapid.OneOf(rapid.Int64Range(90, 110), rapid.SampledFrom([]int64{-1, 0, 1, MaxPrice, MaxPrice + 1}))
	size := rapid.OneOf(rapid.Int64Range(0, 9), rapid.SampledFrom([]int64{-1, MaxVolume + 1}))
	return Update{
		ID: ID(rapid.IntRange(0, u.Len()-1).Draw(t, "id")), Time: max(1, now-rapid.Int64Range(-5, 30).Draw(t, "ago")),
		Says: Fields(rapid.Uint16Range(0, 1<<8-1).Draw(t, "says")),
		Bid:  price.Draw(t, "bid"), Ask: price.Draw(t, "ask"), Last: price.Draw(t, "last"),
		BidSize: size.Draw(t, "bid size"), AskSize: size.Draw(t, "ask size"), Size: size.Draw(t, "size"),
		Volume: rapid.Int64Range(-1, 200).Draw(t, "volume"),
		Status: rapid.SampledFrom([]Status{StatusOpen, StatusHalted}).Draw(t, "status"),
	}
}

// TestFeedAgainstModel tells a feed and a feed that recomputes everything the same, and compares quotes,
// outcomes, versions, what changed between any two snapshots, and what watchers are told.
func TestFeedAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := universeOfPages(t)
		cfg := FeedConfig{Hours: toyHours{}, KeepClose: rapid.Bool().Draw(t, "keep the close")}
		f, m := NewFeed(u, cfg), &modelFeed{universe: u, keepClose: cfg.KeepClose, events: make(map[ID][]modelEvent)}
		snapshots, quotes := []*Prices{f.Snapshot()}, [][]Quote{quotesOf(f.Snapshot())}
		var told []Update
		f.Watch(func(before, after *Prices, applied []Update) {
			if before != snapshots[len(snapshots)-1] || after.Version() != before.Version()+1 {
				t.Fatalf("a watcher is shown version %d after %d", after.Version(), before.Version())
			}
			told = slices.Clone(applied)
		})
		counts, now := make(map[Outcome]uint64), int64(1)
		for range rapid.IntRange(1, 12).Draw(t, "times") {
			now += rapid.Int64Range(0, toyDay).Draw(t, "later")
			told = nil
			var want []Update
			if rapid.IntRange(0, 3).Draw(t, "turn") == 0 {
				f.Turn(now)
				for n := range u.Len() {
					m.events[ID(n)] = append(m.events[ID(n)], modelEvent{now: now})
				}
			} else {
				want = applyToBoth(t, f, m, now, counts)
			}
			p := f.Snapshot()
			checkQuotes(t, p, m)
			if changed := p != snapshots[len(snapshots)-1]; changed {
				checkTold(t, told, want)
				if p.Time() != now {
					t.Fatalf("a snapshot of %d at %d", p.Time(), now)
				}
				snapshots, quotes = append(snapshots, p), append(quotes, quotesOf(p))
			} else if !slices.Equal(quotesOf(p), quotes[len(quotes)-1]) {
				t.Fatal("a snapshot changed")
			}
		}
		for o, n := range counts {
			if f.Count(o) != n {
				t.Fatalf("%d were %s, of %d", f.Count(o), o, n)
			}
		}
		checkChanged(t, snapshots, quotes)
	})
}

// universeOfPages draws a universe of several pages, or of one.
func universeOfPages(t *rapid.T) *Universe {
	sizes := []int{1, 3, pageLen, pageLen + 1, 2*pageLen + 5}
	list := make([]Instrument, rapid.SampledFrom(sizes).Draw(t, "instruments"))
	for n := range list {
		list[n] = Instrument{Market: "SH", Code: fmt.Sprintf("%04d", n), Name: "x", Lot: 1, Tick: 1, PreviousClose: 100,
			Halted: n%5 == 4}
		if n%3 == 2 {
			list[n].Market = "US"
		}
	}
	u, err := NewUniverse(list)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// applyToBoth returns the updates that were applied.
func applyToBoth(t *rapid.T, f *Feed, m *modelFeed, now int64, counts map[Outcome]uint64) (applied []Update) {
	batch := make([]Update, rapid.IntRange(0, 6).Draw(t, "updates"))
	outcomes := make([]Outcome, len(batch))
	for i := range batch {
		batch[i] = anyUpdate(t, f.universe, now)
	}
	f.Apply(now, batch, outcomes)
	for i, u := range batch {
		want := m.outcome(now, u)
		if outcomes[i] != want {
			t.Fatalf("%+v was %s, want %s", u, outcomes[i], want)
		}
		if counts[want]++; want == Applied {
			applied = append(applied, u)
		}
	}
	return applied
}

func checkQuotes(t *rapid.T, p *Prices, m *modelFeed) {
	for n := range p.Len() {
		id := ID(n)
		got, want := p.Quote(id), m.quote(id)
		if got != want {
			t.Fatalf("%s is\n%+v, want\n%+v", m.universe.At(id), got, want)
		}
		if p.At(id) != want.Last || p.Bid(id) != want.Bid || p.Ask(id) != want.Ask || p.Status(id) != want.Status {
			t.Fatalf("%s: one value differs from the quote's", m.universe.At(id))
		}
		low, high := m.universe.At(id).LimitsFrom(want.PreviousClose)
		if l, h := p.Limits(id); l != low || h != high {
			t.Fatalf("limits of %d to %d, want %d to %d", l, h, low, high)
		}
	}
}

// checkTold checks what a watcher was told: what was applied, with the sizes that make the volume.
func checkTold(t *rapid.T, told, want []Update) {
	if len(told) != len(want) {
		t.Fatalf("a watcher was told %d updates of %d", len(told), len(want))
	}
	for i := range want {
		size := told[i].Size
		told[i].Size = want[i].Size
		if told[i] != want[i] {
			t.Fatalf("a watcher was told %+v, want %+v", told[i], want[i])
		}
		sized := want[i].Says&(SaysLast|SaysSize) == SaysLast|SaysSize
		if want[i].Says&SaysLast == 0 && size != 0 || sized && size != want[i].Size {
			t.Fatalf("a watcher was told %d shares of %+v", size, want[i])
		}
	}
}

func checkChanged(t *rapid.T, snapshots []*Prices, quotes [][]Quote) {
	for a := range snapshots {
		if !slices.Equal(quotesOf(snapshots[a]), quotes[a]) {
			t.Fatalf("snapshot %d was written into", a)
		}
		for b := range snapshots {
			var want []ID
			for n := range quotes[a] {
				if quotes[a][n] != quotes[b][n] {
					want = append(want, ID(n))
				}
			}
			if got := snapshots[b].Changed(snapshots[a], nil); !slices.Equal(got, want) {
				t.Fatalf("from %d to %d changed %v, want %v", a, b, got, want)
			}
		}
		if all := snapshots[a].Changed(nil, nil); len(all) != len(quotes[a]) {
			t.Fatalf("%d quotes differ from none, of %d", len(all), len(quotes[a]))
		}
	}
}
