package journal

import (
	"context"
	"flag"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/papertape/papertape/cmd/papertape/process"
	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

var benchAccounts = flag.Int("benchaccounts", 100_000, "accounts that BenchmarkAccounts has in memory")

// BenchmarkRecover measures a start with -benchevents events in blocks and none in a
// checkpoint. They are read, verified, decoded, and for the engine also applied, without
// garbage collections, as papertape serve does it. An operation is a start.
func BenchmarkRecover(b *testing.B) {
	dir, o := b.TempDir(), benchOptions(b, Interval)
	j := benchJournal(b, dir, o)
	f := newFlow(100_001, 10_000)
	events := make([]positions.Event, 256)
	for range *benchEvents / len(events) {
		f.fill(events)
		if err := commit(j, events...); err != nil {
			b.Fatal(err)
		}
	}
	n := j.Stats().Events
	if err := j.Close(); err != nil {
		b.Fatal(err)
	}
	b.Run("alone", func(b *testing.B) {
		benchStart(b, dir, o, n, func(*Journal) (Recovery, func()) { return refusing{}, func() {} })
	})
	b.Run("engine", func(b *testing.B) {
		benchStart(b, dir, o, n, func(j *Journal) (Recovery, func()) {
			e := benchEngine(b, j)
			return e, e.Stop
		})
	})
}

// reserve is what the server does when it starts.
var reserve = sync.OnceValue(func() error {
	_, err := process.ReserveHugePages(4 << 30)
	return err
})

func benchStart(b *testing.B, dir string, o Options, events uint64, into func(*Journal) (Recovery, func())) {
	if err := reserve(); err != nil {
		b.Fatal(err)
	}
	var used time.Duration
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	for b.Loop() {
		used -= cpu(b)
		j, err := Open(dir, o)
		if err != nil {
			b.Fatal(err)
		}
		r, end := into(j)
		if err := j.Recover(context.Background(), r, nil); err != nil {
			b.Fatal(err)
		}
		used += cpu(b)
		b.StopTimer()
		end()
		if err := j.Close(); err != nil {
			b.Fatal(err)
		}
		runtime.GC()
		b.StartTimer()
	}
	n := float64(events) * float64(b.N)
	b.ReportMetric(n/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(used.Nanoseconds())/1000/n, "cpu-µs/event")
}

// benchEngine returns an engine that can take any number of events before its first checkpoint.
func benchEngine(b *testing.B, j engine.Journal) *engine.Engine {
	b.Helper()
	prices := universe.Opening()
	e, err := engine.New(engine.Config{
		Shards: 2, Workers: 4, InboxOrdersMax: 64, HistoryReadsMax: 4, HistoryMemoryBytesMax: 1 << 30,
		UncheckpointedBytesMax: 16 << 30, SessionsPerAccountMax: 1, Universe: universe,
		Prices: func() *market.Prices {
			return prices
		}, Clock: func() int64 { return 1 }, Journal: j, Outlet: newLedger(),
		Log: zerolog.Nop(), Fatal: func(err error) { panic(err) },
	})
	if err != nil {
		b.Fatal(err)
	}
	return e
}

// BenchmarkAccounts measures the memory that an engine takes for -benchaccounts idle accounts
// after a start, with no rows and with ten rows each. An operation is a start.
func BenchmarkAccounts(b *testing.B) {
	const rows = 10
	var empty float64
	for _, held := range []int{0, rows} {
		b.Run(fmt.Sprintf("rows=%d", held), func(b *testing.B) {
			for b.Loop() {
				each := loadedBytes(b, *benchAccounts, held)
				if b.ReportMetric(each, "B/account"); held == 0 {
					empty = each
				} else {
					b.ReportMetric((each-empty)/rows, "B/row")
				}
			}
		})
	}
}

// loadedBytes returns by how much the heap grows per account.
func loadedBytes(b *testing.B, accounts, held int) float64 {
	b.Helper()
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	j := benchJournal(b, b.TempDir(), benchOptions(b, Sync))
	e := benchEngine(b, j)
	before := heap()
	st := engine.AccountState{Seq: 11, Cash: positions.Cash{Balance: 1_000_000_0000}}
	for i := range held {
		st.Rows = append(st.Rows, positions.Row{
			Instrument: market.ID(i), Quantity: 100, Cost: 1_000_0000, Version: uint64(i + 2),
		})
	}
	for i := range accounts {
		st.Account = uint64(100_001 + i)
		if err := e.Load(&st); err != nil {
			b.Fatal(err)
		}
	}
	grown := heap() - before
	e.Stop()
	if err := j.Close(); err != nil {
		b.Fatal(err)
	}
	return float64(grown) / float64(accounts)
}
