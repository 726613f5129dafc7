package engine

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// flushed is a publisher that only signals the end of a step.
type flushed struct {
	tallyPublisher
	done chan struct{}
}

func (f *flushed) Publisher() Publisher                                 { return f }
func (f *flushed) Event(*positions.Event, []*Session, *Session, uint64) {}
func (f *flushed) Answer(Answer)                                        {}
func (f *flushed) Flush()                                               { f.done <- struct{}{} }

// BenchmarkStep submits a batch of orders and waits until the step that serves it has been flushed.
// It measures the decision, the tail, the in-flight count, and the hand-off to the pool and back,
// without a journal or the wire.
func BenchmarkStep(b *testing.B) {
	for _, batch := range []int{1, 32, 256} {
		b.Run(fmt.Sprintf("orders=%d", batch), func(b *testing.B) {
			out, prices := &flushed{done: make(chan struct{}, 1)}, testUniverse.Opening()
			eng, err := New(Config{
				Shards: 1, Workers: 2, InboxOrdersMax: 1024, HistoryReadsMax: 1, HistoryMemoryBytesMax: 1 << 24,
				SessionsPerAccountMax: 1, Universe: testUniverse, Prices: func() *market.Prices { return prices },
				Clock: func() int64 { return 1 }, Journal: NewMemoryJournal(), Outlet: out,
				Fatal: func(err error) { panic(err) },
			})
			if err != nil {
				b.Fatal(err)
			}
			defer eng.Stop()
			opened := make(chan error)
			go func() { opened <- openAccounts(b.Context(), eng, 64, 1) }()
			<-out.done
			if err := <-opened; err != nil {
				b.Fatal(err)
			}
			var ses Session
			eng.Login(&ses, Login{Account: firstAccount, Mode: ModeQuick})
			<-out.done
			requests := make([]Request, batch)
			for i := range requests { // buy and sell alternate, so that the cash lasts
				o := buy(1)
				if i%2 == 1 {
					o = sell(1)
				}
				account := firstAccount + uint64(i/2%64)
				requests[i] = Request{Kind: KindOrder, Account: account, Session: &ses, ID: uint64(i + 1), Order: o}
			}
			serve := func(n int) {
				for range n {
					for range batch {
						ses.Begin(1024)
					}
					if batch == 1 {
						requests[0].Order.Side ^= positions.Buy ^ positions.Sell
					}
					eng.Submit(firstAccount, requests)
					<-out.done
				}
			}
			requests[0].Order.Side = positions.Sell // serve flips it
			if batch > 1 {
				requests[0].Order.Side = positions.Buy
			}
			serve(2 * tailEvents / batch)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			b.ResetTimer()
			serve(b.N)
			b.StopTimer()
			runtime.ReadMemStats(&after)
			orders := float64(b.N * batch)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/orders, "ns/order")
			b.ReportMetric(float64(after.Mallocs-before.Mallocs)/orders, "allocs/order")
			if st := eng.Stats(); st.Refused != 0 || ses.InFlight() != 0 {
				b.Fatalf("%d orders were refused, %d are in flight", st.Refused, ses.InFlight())
			}
		})
	}
}

// recovered returns an engine with a journal that keeps, and with room for everything that is
// replayed.
func recovered(tb testing.TB, shards int) *Engine {
	tb.Helper()
	prices := testUniverse.Opening()
	eng, err := New(Config{
		Shards: shards, Workers: 2 * shards, InboxOrdersMax: 1024, HistoryReadsMax: 1, SessionsPerAccountMax: 1,
		HistoryMemoryBytesMax: 1 << 30, UncheckpointedBytesMax: 1 << 40,
		Universe: testUniverse, Prices: func() *market.Prices { return prices }, Clock: func() int64 { return 1 },
		Journal: newFakeJournal(true), Outlet: tallyOutlet{}, Fatal: func(err error) { panic(err) },
	})
	if err != nil {
		tb.Fatal(err)
	}
	eng.Use(testTable, testIDKey)
	return eng
}

// history returns n events, which go round the accounts. If ids is set, every fourth has an order
// id.
func history(n, accounts int, ids bool) []positions.Event {
	book := positions.NewBook(testUniverse)
	prices := testUniverse.Opening()
	all := make([]positions.Event, 0, n)
	for i := range n {
		var ev positions.Event
		account := firstAccount + uint64(i*7919%accounts)
		if _, open := book.Seq(account); !open {
			book.DecideAdjustment(account, &positions.Adjustment{Cash: openingCash}, prices, 1, &ev)
		} else {
			o := orderOf(positions.Buy, market.ID(i%3), 1)
			if o.Account = account; ids && i%4 == 0 {
				o.ID, _ = positions.MakeOrderID(fmt.Append(nil, "order ", i))
			}
			if r := book.Decide(&o, prices, int64(i), &ev); r.Reason != positions.NoRefusal {
				o.Side = positions.Sell
				book.Decide(&o, prices, int64(i), &ev)
			}
		}
		book.Apply(&ev)
		all = append(all, ev)
	}
	return all
}

// encoded returns the record of each event.
func encoded(events []positions.Event) [][]byte {
	records := make([][]byte, len(events))
	var all []byte
	for i := range events {
		n := len(all)
		all = testTable.Append(all, &events[i]) // earlier records may keep an earlier array
		records[i] = all[n:len(all):len(all)]
	}
	return records
}

// BenchmarkReplay measures recovery without the disk: events are applied and pinned in memory, on
// one goroutine.
func BenchmarkReplay(b *testing.B) {
	for _, test := range []struct {
		accounts int
		ids      bool
	}{{100, false}, {10_000, false}, {100_000, false}, {10_000, true}} {
		b.Run(fmt.Sprintf("accounts=%d/ids=%v", test.accounts, test.ids), func(b *testing.B) {
			const n = 1_000_000
			events := history(n, test.accounts, test.ids)
			records := encoded(events)
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			for b.Loop() {
				eng := recovered(b, 2)
				for i := range events {
					if err := eng.Replay(&events[i], records[i]); err != nil {
						b.Fatal(err)
					}
				}
				eng.Stop()
			}
			runtime.ReadMemStats(&after)
			total := float64(b.N) * n
			b.ReportMetric(total/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(after.Mallocs-before.Mallocs)/total, "allocs/event")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkCheckpoint measures a checkpoint of accounts with ten events each, without the disk: the
// slices of the drainer. The longest pause is that of a drainer,
// including pauses of the machine.
func BenchmarkCheckpoint(b *testing.B) {
	for _, accounts := range []int{1000, 100_000} {
		b.Run(fmt.Sprintf("accounts=%d", accounts), func(b *testing.B) {
			events := history(10*accounts, accounts, true)
			eng := recovered(b, 1)
			defer eng.Stop()
			records := encoded(events)
			for i := range events {
				if err := eng.Replay(&events[i], records[i]); err != nil {
					b.Fatal(err)
				}
			}
			s := eng.shards[0]
			s.drainer.Take()
			defer s.drainer.Release()
			all := slices.Clone(s.dirty.accounts)
			var sl slice
			sl.holder.Take()
			longest, n := time.Duration(0), 0
			for b.Loop() { // as the drainer would
				for sl.begin, sl.more = true, true; sl.more; sl.begin = false {
					began := time.Now()
					s.copySlice(&sl)
					longest = max(longest, time.Since(began))
					n++
					sl.states()
				}
				b.StopTimer() // make all accounts dirty again
				s.dirty = dirty{accounts: slices.Clone(all)}
				for _, a := range all {
					a.dirty = true
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(events)), "ns/event")
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(n), "µs/slice")
			b.ReportMetric(float64(longest.Microseconds()), "µs-longest-pause")
		})
	}
}
