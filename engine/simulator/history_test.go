package simulator

import (
	"testing"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/record"
)

// kept is a journal that says that it keeps everything, so that an engine may be recovered.
type kept struct{ *engine.MemoryJournal }

func (kept) Keeps() bool { return true }

// TestHistoryBytes counts what the simulator's events take as records, and in memory (P12 in
// docs/performance.md), without and with client order ids of 18 characters.
func TestHistoryBytes(t *testing.T) {
	if raceDetector {
		t.Skip("it counts bytes, which the race detector has no part in")
	}
	for _, test := range []struct {
		name              string
		accounts, perEach int
	}{{"4,096 events each", 12, 4096}, {"10,000 accounts of 10", 10_000, 10}} {
		events := drawn(t, test.accounts, test.accounts*test.perEach*3/2)
		for _, id := range []string{"", "order-000000000017"} {
			recordMax, tailMax := 64, 80.0
			if id != "" {
				recordMax, tailMax = 64+len(id)+1, 100
			}
			measure(t, test.name+" "+id, events, test.perEach, id, recordMax, tailMax)
		}
	}
}

// drawn returns the events of accounts, by account, after n draws.
func drawn(t *testing.T, accounts, n int) map[uint64][]positions.Event {
	t.Helper()
	x := newExchange(t, accounts, 2, n)
	f, err := NewFlow(x.Engine, FlowConfig{Accounts: accounts, Seed: 1, Universe: x.universe})
	if err != nil {
		t.Fatal(err)
	}
	f.submit(n)
	x.stop()
	events := make(map[uint64][]positions.Event)
	for _, ev := range x.tape.events {
		events[ev.Account] = append(events[ev.Account], ev)
	}
	return events
}

func measure(t *testing.T, name string, events map[uint64][]positions.Event, perEach int, id string, recordMax int,
	tailMax float64) {
	t.Helper()
	universe := market.Default()
	table := record.NewTable(universe)
	eng, err := engine.New(engine.Config{
		Shards: 2, Workers: 4, InboxOrdersMax: 1, HistoryReadsMax: 1, HistoryMemoryBytesMax: 1 << 30,
		UncheckpointedBytesMax: 1 << 30, SessionsPerAccountMax: 1, Universe: universe,
		Prices: market.Fixed(universe).Snapshot, Clock: func() int64 { return 12345 },
		Journal: kept{engine.NewMemoryJournal()}, Outlet: nobody{}, Fatal: func(err error) { panic(err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer eng.Stop()
	orderID, _ := positions.MakeOrderID([]byte(id))
	largest, total, count := 0, 0, 0
	for _, all := range events {
		for i := range all[:min(perEach, len(all))] {
			ev := &all[i]
			if ev.Kind == positions.KindTrade {
				ev.Trade.OrderID = orderID
			}
			rec := table.Append(nil, ev)
			if ev.Kind == positions.KindTrade {
				largest = max(largest, len(rec))
			}
			total, count = total+len(rec), count+1
			if err := eng.Replay(ev, rec); err != nil {
				t.Fatal(err)
			}
		}
	}
	for account := range uint64(2) { // a step of each shard brings its counters up to date
		_, _ = eng.Holdings(t.Context(), account) // there is no such account
	}
	st := eng.Stats()
	each := float64(st.HistoryBytes) / float64(st.HistoryEvents)
	t.Logf("%s: %d events of %.1f accounts; records of %.1f bytes, at most %d; %.1f in memory", name, count,
		float64(count)/float64(perEach), float64(total)/float64(count), largest, each)
	if int(st.HistoryEvents) != count || count < len(events)*perEach*9/10 {
		t.Errorf("%s: %d events are in memory, %d were replayed", name, st.HistoryEvents, count)
	}
	if largest > recordMax || each > tailMax {
		t.Errorf("%s: the largest record takes %d bytes, an event %.1f in memory; at most %d and %.0f", name, largest,
			each, recordMax, tailMax)
	}
}
