package bars

import (
	"context"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"go.uber.org/goleak"

	"github.com/papertape/papertape/market"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func at(id market.ID, time, price, size int64) market.Update {
	return market.Update{ID: id, Time: time, Says: market.SaysLast | market.SaysSize, Last: price, Size: size}
}

// TestBar: what a bar has of its trades, of each order of prices.
func TestBar(t *testing.T) {
	for _, test := range []struct {
		name   string
		prices []int64
		want   market.Bar
	}{
		{"one trade", []int64{5}, market.Bar{Open: 5, High: 5, Low: 5, Close: 5, Volume: 10, Amount: 50, Trades: 1}},
		{"up", []int64{5, 6}, market.Bar{Open: 5, High: 6, Low: 5, Close: 6, Volume: 20, Amount: 110, Trades: 2}},
		{"down", []int64{5, 4}, market.Bar{Open: 5, High: 5, Low: 4, Close: 4, Volume: 20, Amount: 90, Trades: 2}},
		{"up and down", []int64{5, 9, 3, 4},
			market.Bar{Open: 5, High: 9, Low: 3, Close: 4, Volume: 40, Amount: 210, Trades: 4}},
	} {
		s := open(t, universe(t, 1), "", 0)
		for _, price := range test.prices {
			s.Observe(nil, nil, []market.Update{at(0, 60e9, price, 10)})
		}
		test.want.Time = 60e9
		if got, _ := s.Bars(0, MinuteSeconds, 0, 0, 0); !slices.Equal(got, []market.Bar{test.want}) {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
		s.Observe(nil, nil, []market.Update{at(0, 120e9, 1, 1)}) // now it is finished
		if got, _ := s.Bars(0, MinuteSeconds, 0, 0, 0); len(got) != 2 || got[0] != test.want {
			t.Errorf("%s, once it is finished: %+v, want %+v", test.name, got, test.want)
		}
	}
}

// TestSaturated: the amount, the volume and the number of trades stay at what fits, over files too.
func TestSaturated(t *testing.T) {
	u, dir := universe(t, 1), t.TempDir()
	s := open(t, u, dir, 0)
	for range 2000 {
		s.Observe(nil, nil, []market.Update{at(0, epoch, market.MaxPrice, market.MaxVolume)})
	}
	s.instruments[0].series[minutes].cur.Trades = math.MaxUint32
	s.Observe(nil, nil, []market.Update{at(0, epoch, 1, 1), at(0, epoch+60e9, 1, 1)})
	stop(s)
	got, _ := open(t, u, dir, 0).Bars(0, MinuteSeconds, 0, 0, 0)
	if len(got) != 2 || got[0].Volume != math.MaxInt64 || got[0].Amount != math.MaxInt64 ||
		got[0].Trades != math.MaxUint32 || got[0].High != market.MaxPrice || got[0].Low != 1 {
		t.Errorf("%+v", got)
	}
}

// TestOldestGo: when memory is full, minutes go before days, oldest first, and the bound holds.
func TestOldestGo(t *testing.T) {
	u := universe(t, 20)
	s := open(t, u, "", leastBytes(20))
	chunksMost := s.chunks.most * slabChunks
	var models [20]model
	for n := range 40_000 {
		id := market.ID(n % 20) //nolint:gosec // small
		p := at(id, epoch+int64(n/20)*60e9, int64(1+n*7919%100_000), int64(n%997))
		s.Observe(nil, nil, []market.Update{p})
		models[id].trades = append(models[id].trades, p)
	}
	if got := s.chunks.kinds[minutes].count + s.chunks.kinds[days].count; got > chunksMost {
		t.Errorf("%d chunks are in use, of %d", got, chunksMost)
	}
	for id := range models {
		want := models[id].bars(MinuteSeconds)
		id := market.ID(id) //nolint:gosec // an index
		got := everything(s, id, MinuteSeconds)
		if len(got) < 150 || len(got) == len(want) || !slices.Equal(got, want[len(want)-len(got):]) {
			t.Errorf("%d: %d bars of %d are not the newest", id, len(got), len(want))
		}
		if got := everything(s, id, DaySeconds); !slices.Equal(got, models[id].bars(DaySeconds)) {
			t.Errorf("%d: days %+v", id, got)
		}
	}
}

// everything asks for all bars, page by page.
func everything(s *Store, id market.ID, seconds uint32) (all []market.Bar) {
	for from, more := int64(1), true; more; from = all[len(all)-1].Time + 1 {
		var page []market.Bar
		if page, more = s.Bars(id, seconds, from, 0, 100); len(page) == 0 {
			return all
		}
		all = append(all, page...)
	}
	return all
}

// TestDaysGoToo: days have at most half of the memory.
func TestDaysGoToo(t *testing.T) {
	s := open(t, universe(t, 1), "", 0)
	s.chunks = newChunks(1)
	for n := range 30_000 {
		s.Observe(nil, nil, []market.Update{at(0, epoch+int64(n)*dayNanoseconds/2, int64(1+n*7919%100_000), 5)})
	}
	m, d := s.chunks.kinds[minutes].count, s.chunks.kinds[days].count
	if m+d != slabChunks || m < d-1 {
		t.Errorf("%d chunks of minutes and %d of days, of %d", m, d, slabChunks)
	}
	if got := everything(s, 0, DaySeconds); len(got) < 1000 || !slices.IsSortedFunc(got, byTime) {
		t.Errorf("%d days are kept", len(got))
	}
}

func byTime(a, b market.Bar) int { return int(a.Time - b.Time) }

func TestTrades(t *testing.T) {
	s := open(t, universe(t, 1), "", 0)
	if list, more := s.Trades(0, 0, 0); len(list) > 0 || more {
		t.Errorf("before any: %v, more %v", list, more)
	}
	for n, time := range []int64{1, 2, 2, 2, 3, 4} {
		s.Observe(nil, nil, []market.Update{at(0, time, int64(n+1), 10*int64(n))})
	}
	for _, test := range []struct {
		from  int64
		limit int
		want  []uint64
		more  bool
	}{
		{0, 0, []uint64{1, 2, 3, 4, 5, 6}, false},
		{0, 2, []uint64{5, 6}, false},
		{1, 2, []uint64{1}, true}, // those at 2 come together
		{1, 4, []uint64{1, 2, 3, 4}, true},
		{2, 2, []uint64{2, 3}, true}, // they are more than asked for
		{3, 2, []uint64{5, 6}, false},
		{5, 2, nil, false},
	} {
		var got []uint64
		list, more := s.Trades(0, test.from, test.limit)
		for _, trade := range list {
			got = append(got, trade.Number)
			if trade.Price != int64(trade.Number) || trade.Size != 10*trade.Price-10 { //nolint:gosec // small
				t.Errorf("trade %+v", trade)
			}
		}
		if !slices.Equal(got, test.want) || more != test.more {
			t.Errorf("from %d, %d: %v, more %v; want %v, more %v",
				test.from, test.limit, got, more, test.want, test.more)
		}
	}
	for n := range int64(100) {
		s.Observe(nil, nil, []market.Update{at(0, 10+n, 5, 5)})
	}
	list, _ := s.Trades(0, 0, 0)
	if len(list) != 16 || list[0].Number != 91 || list[15].Number != 106 || list[15].Time != 109 {
		t.Errorf("of a full ring: %+v", list)
	}
	s.Observe(nil, nil, []market.Update{at(0, 20, 5, 5)})
	if list, _ := s.Trades(0, 0, 0); len(list) != 1 || list[0].Number != 107 {
		t.Errorf("when time has gone back: %+v", list)
	}
}

// TestFeed: a store that watches a feed, with trades whose size only the volume of the day tells.
func TestFeed(t *testing.T) {
	u := universe(t, 1)
	f, s := market.NewFeed(u, market.FeedConfig{}), open(t, u, "", 0)
	f.Watch(s.Observe)
	f.Apply(60e9, []market.Update{
		{Time: 60e9, Says: market.SaysLast | market.SaysVolume, Last: 5, Volume: 100},
		{Time: 61e9, Says: market.SaysLast | market.SaysVolume, Last: 6, Volume: 130},
		{Time: 3, Says: market.SaysLast, Last: 700}, // late
		{Time: 62e9, Says: market.SaysBid, Bid: 4},
	}, nil)
	want := []market.Bar{{Time: 60e9, Open: 5, High: 6, Low: 5, Close: 6, Volume: 130, Amount: 680, Trades: 2}}
	if got, _ := s.Bars(0, MinuteSeconds, 0, 0, 0); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestNoSuchBars(t *testing.T) {
	s := open(t, universe(t, 1), "", 0)
	s.Observe(nil, nil, []market.Update{at(0, epoch, 5, 5)})
	if got, more := s.Bars(0, 300, 0, 0, 0); got != nil || more {
		t.Errorf("bars of five minutes: %v", got)
	}
	if got, _ := s.Bars(0, MinuteSeconds, math.MinInt64, math.MaxInt64, -1); len(got) != 1 {
		t.Errorf("of all times: %v", got)
	}
}

func TestBounds(t *testing.T) {
	if got := unsafe.Sizeof(instrument{}) + unsafe.Sizeof(market.ID(0)); got > instrumentBytes {
		t.Errorf("an instrument takes %d bytes", got)
	}
	if got := unsafe.Sizeof(slab{}); got != slabBytes {
		t.Errorf("a slab takes %d bytes, not %d", got, slabBytes)
	}
	u := universe(t, 100)
	least := leastBytes(100)
	_, err := New(Config{Universe: u, MemoryBytesMax: 1000})
	if err == nil || !strings.Contains(err.Error(), "100 instruments; it must be at least") {
		t.Errorf("1,000 bytes: %v", err)
	}
	open(t, u, "", least)
	if _, err := New(Config{Universe: u, Zone: func(string) string { return "Moon/Base" }}); err == nil ||
		!strings.Contains(err.Error(), "market SH: unknown time zone Moon/Base") {
		t.Errorf("a zone that is none: %v", err)
	}
}

// TestNothingAllocated: once memory is full.
func TestNothingAllocated(t *testing.T) {
	s := open(t, universe(t, 3), "", leastBytes(3))
	now := epoch
	updates := make([]market.Update, 1)
	trade := func() {
		for id := range market.ID(3) {
			updates[0] = at(id, now, 10_0000+now%977, 100)
			s.Observe(nil, nil, updates)
		}
		now += 61e9
	}
	for range 30_000 {
		trade()
	}
	if got := testing.AllocsPerRun(1000, trade); got > 0 {
		t.Errorf("%v allocations", got)
	}
}

// TestReaders: any goroutine may ask while the feed goes on and the writer writes.
func TestReaders(t *testing.T) {
	u := universe(t, 4)
	s := open(t, u, t.TempDir(), leastBytes(4))
	ctx, cancel := context.WithCancel(context.Background())
	var readers, runner sync.WaitGroup
	runner.Go(func() { s.Run(ctx) })
	done := make(chan struct{})
	for range 3 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				list, _ := s.Bars(2, MinuteSeconds, 0, 0, 1000)
				trades, _ := s.Trades(2, 1, 5)
				if !slices.IsSortedFunc(list, byTime) || len(trades) > 5 {
					t.Errorf("%d bars, %d trades", len(list), len(trades))
				}
			}
		})
	}
	for n := range int64(300) {
		var updates []market.Update
		for i := range 60 * n % 251 {
			updates = append(updates, at(market.ID(i%4), epoch+(n*300+i)*20e9, 10+i%7, n)) //nolint:gosec // small
		}
		s.Observe(nil, nil, updates)
	}
	close(done)
	readers.Wait()
	cancel()
	runner.Wait()
}

// TestBytesOfABar: a minute of a busy instrument takes less than 24 bytes, all included.
func TestBytesOfABar(t *testing.T) {
	u := market.Default()
	f, s := market.Walk(u, 7), open(t, u, "", 0)
	f.Watch(s.Observe)
	for n := range int64(500) {
		for second := range int64(6) {
			f.Step(epoch + n*60e9 + second*10e9)
		}
	}
	var kept int
	for id := range market.ID(u.Len()) { //nolint:gosec // small
		kept += len(everything(s, id, MinuteSeconds))
	}
	taken := float64(s.chunks.kinds[minutes].count*(chunkBytes+headBytes)) / float64(kept)
	t.Logf("%d bars, %.1f bytes each", kept, taken)
	if taken > 24 {
		t.Errorf("a bar takes %.1f bytes", taken)
	}
}

func BenchmarkObserve(b *testing.B) {
	u := market.Default()
	s := open(b, u, "", 0)
	updates := make([]market.Update, u.Len())
	now := epoch
	b.ReportAllocs()
	for b.Loop() {
		for i := range updates {
			updates[i] = at(market.ID(i), now, 10_0000+now%977, 100) //nolint:gosec // an index
		}
		now += 1e9
		s.Observe(nil, nil, updates)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*u.Len()), "ns/trade")
}

func BenchmarkBars(b *testing.B) {
	s := open(b, universe(b, 1), "", 0)
	for n := range int64(100_000) {
		s.Observe(nil, nil, []market.Update{at(0, epoch+n*60e9, 10_0000+n%977, 100)})
	}
	b.ReportAllocs()
	for b.Loop() {
		s.Bars(0, MinuteSeconds, 0, 0, 1000)
	}
}
