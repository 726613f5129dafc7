package bars

import (
	"context"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/papertape/papertape/market"
)

// universe returns so many instruments of Shanghai.
func universe(t interface{ Fatal(args ...any) }, n int) *market.Universe {
	var list []market.Instrument
	for i := range n {
		list = append(list, market.Instrument{Market: "SH", Code: "A" + string(rune('A'+i/26)) + string(rune('A'+i%26)),
			Name: "x", PreviousClose: 10_0000, Lot: 100, Tick: 100})
	}
	u, err := market.NewUniverse(list)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// evening are hours of a market whose trading day begins at 18:00 of Shanghai the evening before.
type evening struct{}

const toShanghai = 8 * time.Hour

func (evening) Day(_ string, t int64) int32 {
	return int32((t + int64(toShanghai+6*time.Hour)) / dayNanoseconds) //nolint:gosec // small
}
func (evening) Status(string, int64) market.Status { return market.StatusOpen }
func (evening) Next(t int64) int64                 { return t + 1 }

func shanghai(string) string { return "Asia/Shanghai" }

// model keeps all trades, and makes bars of them when asked.
type model struct {
	trades []market.Update
	loaded bool
}

func (m *model) trade(u market.Update) {
	if n := len(m.trades); n > 0 {
		last := m.trades[n-1].Time
		if m.loaded && u.Time <= last || minuteOf(u.Time) < minuteOf(last) {
			m.trades = slices.DeleteFunc(m.trades, func(old market.Update) bool {
				return minuteOf(old.Time) >= minuteOf(u.Time)
			})
		}
	}
	m.loaded = false
	m.trades = append(m.trades, u)
}

func beginning(seconds uint32, t int64) int64 {
	if seconds == MinuteSeconds {
		return t - t%minuteNanoseconds
	}
	return int64(evening{}.Day("SH", t))*dayNanoseconds - int64(toShanghai)
}

func (m *model) bars(seconds uint32) (list []market.Bar) {
	for _, u := range m.trades {
		begin := beginning(seconds, u.Time)
		if n := len(list); n == 0 || list[n-1].Time != begin {
			list = append(list, market.Bar{Time: begin, Open: u.Last, High: u.Last, Low: u.Last})
		}
		b := &list[len(list)-1]
		if u.Last > b.High {
			b.High = u.Last
		}
		if u.Last < b.Low {
			b.Low = u.Last
		}
		b.Close = u.Last
		b.Volume += u.Size
		b.Amount += u.Size * u.Last
		b.Trades++
	}
	return list
}

// ask answers as BarsRequest says.
func (m *model) ask(seconds uint32, from, to int64, limit int) (list []market.Bar, more bool) {
	if limit == 0 {
		limit = 500
	}
	for _, b := range m.bars(seconds) {
		if b.Time >= from && (to == 0 || b.Time < to) {
			list = append(list, b)
		}
	}
	if len(list) <= limit {
		return list, false
	}
	if from == 0 {
		return list[len(list)-limit:], false
	}
	return list[:limit], true
}

func open(t interface{ Fatal(args ...any) }, u *market.Universe, dir string, bytes int64) *Store {
	s, err := New(Config{Universe: u, Hours: evening{}, Zone: shanghai, Dir: dir, MemoryBytesMax: bytes,
		TradesPerInstrument: 16})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// stop runs the writer to its end.
func stop(s *Store) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s.Run(ctx)
}

// crash writes what is finished, and nothing else.
func crash(s *Store) {
	s.writeFinished()
	s.writer.close()
}

const epoch = int64(1_700_000_000_000_000_000)

// TestModel compares a store with something stupid, over tapes that go forth and back, and restarts.
func TestModel(t *testing.T) {
	u := universe(t, 3)
	rapid.Check(t, func(rt *rapid.T) {
		dir, t := t.TempDir(), rt
		s := open(t, u, dir, 1<<20)
		models := make([]model, u.Len())
		now := epoch
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"trade", "trade", "trade", "quote", "back", "restart"}).Draw(t, "step") {
			case "quote":
				s.Observe(nil, nil, []market.Update{{Time: now, Says: market.SaysBid, Bid: 7}})
			case "back":
				now -= rapid.SampledFrom([]int64{1, 30e9, 60e9, 3e11, 1e13, 2e14}).Draw(t, "back")
			case "restart":
				stop(s)
				s = open(t, u, dir, 1<<20)
				for i := range models {
					models[i].loaded = true
				}
			default:
				id := rapid.IntRange(0, u.Len()-1).Draw(t, "id")
				now = playTrades(t, s, &models[id], market.ID(id), now) //nolint:gosec // an index
			}
			for id := range models {
				compare(t, s, &models[id], market.ID(id)) //nolint:gosec // an index
			}
		}
	})
}

// playTrades lets some trades of an instrument come, and returns when the last one came.
func playTrades(t *rapid.T, s *Store, m *model, id market.ID, now int64) int64 {
	step := rapid.SampledFrom([]int64{0, 1e9, 40e9, 60e9, 1e12, 3e13}).Draw(t, "apart")
	var updates []market.Update
	for range rapid.IntRange(1, 80).Draw(t, "trades") {
		now += step
		u := market.Update{ID: id, Time: now, Says: market.SaysLast,
			Last: rapid.Int64Range(1, 40_0000).Draw(t, "price"), Size: rapid.Int64Range(0, 100_000).Draw(t, "size")}
		updates = append(updates, u)
		m.trade(u)
	}
	s.Observe(nil, nil, updates)
	return now
}

func compare(t *rapid.T, s *Store, m *model, id market.ID) {
	for _, seconds := range []uint32{MinuteSeconds, DaySeconds} {
		all := m.bars(seconds)
		bound := func(name string) int64 {
			if len(all) == 0 || rapid.Bool().Draw(t, name+" none") {
				return 0
			}
			return rapid.SampledFrom(all).Draw(t, name).Time + rapid.Int64Range(-1, 1).Draw(t, name+" off")
		}
		from, to, limit := bound("from"), bound("to"), rapid.SampledFrom([]int{0, 1, 2, 30}).Draw(t, "limit")
		got, more := s.Bars(id, seconds, from, to, limit)
		want, wantMore := m.ask(seconds, from, to, limit)
		if more != wantMore || !slices.Equal(got, want) {
			t.Fatalf("%d: bars of %d s from %d to %d, %d of %d: %v, more %v; want %v, more %v",
				id, seconds, from, to, limit, len(all), got, more, want, wantMore)
		}
	}
}

// TestCrash compares a store that was not stopped with what was written: all but the minutes under way.
func TestCrash(t *testing.T) {
	u := universe(t, 3)
	rapid.Check(t, func(rt *rapid.T) {
		dir, t := t.TempDir(), rt
		s := open(t, u, dir, 1<<20)
		models, safe := make([]model, u.Len()), make([]int, u.Len())
		now := epoch
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"trade", "trade", "write", "stop", "crash"}).Draw(t, "step") {
			case "write":
				s.writeFinished()
			case "stop":
				stop(s)
				s = open(t, u, dir, 1<<20)
				for i := range models {
					models[i].loaded, safe[i] = true, len(models[i].trades)
				}
			case "crash":
				crash(s)
				s = open(t, u, dir, 1<<20)
				for i := range models {
					models[i].loseMinute(safe[i])
					models[i].loaded, safe[i] = true, len(models[i].trades)
				}
				now++ // what is lost is not told again
			default:
				id := rapid.IntRange(0, u.Len()-1).Draw(t, "id")
				now = playTrades(t, s, &models[id], market.ID(id), now+60e9) //nolint:gosec // an index
			}
			for id := range models {
				compare(t, s, &models[id], market.ID(id)) //nolint:gosec // an index
			}
		}
	})
}

// loseMinute loses the trades of the last minute that came after so many.
func (m *model) loseMinute(safe int) {
	n := len(m.trades)
	if n == 0 {
		return
	}
	last := minuteOf(m.trades[n-1].Time)
	for n > safe && minuteOf(m.trades[n-1].Time) == last {
		n--
	}
	m.trades = m.trades[:n]
}
