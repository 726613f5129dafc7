package gateway

import (
	"fmt"
	"testing"
	"time"

	"github.com/papertape/papertape/market"
)

// BenchmarkFeed measures a quote to all shards: 5,000 instruments change at once, the snapshot is published,
// and the gateway is shown it, without subscribers. Once a second that may take 10 ms, 1 % of a core.
func BenchmarkFeed(b *testing.B) {
	const n = 5000
	list := make([]market.Instrument, n)
	for i := range list {
		list[i] = market.Instrument{Market: "US", Code: fmt.Sprintf("X%04d", i), Name: "x", Lot: 1, Tick: 100,
			PreviousClose: 10 * market.MoneyUnit}
	}
	u, err := market.NewUniverse(list)
	if err != nil {
		b.Fatal(err)
	}
	feed := market.NewFeed(u, market.FeedConfig{})
	g := New(Config{Universe: u, Prices: feed.Snapshot, Heartbeat: time.Second, LoginTimeout: time.Second,
		StallTimeout: time.Second})
	feed.Watch(func(_, after *market.Prices, _ []market.Update) { g.Quote(after) })
	updates := make([]market.Update, n)
	now := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		now++
		last := (10 + now%2) * market.MoneyUnit
		for i := range updates {
			updates[i] = market.Update{ID: market.ID(i), Time: now, Says: market.SaysBid | market.SaysAsk |
				market.SaysLast | market.SaysSize, Bid: last, Ask: last + 100, Last: last, Size: 100}
		}
		feed.Apply(now, updates, nil)
	}
}
