package market

import "testing"

// TestSidesNeverTold: the opening price is nobody's ask, so no bid is refused for it, and nothing is valued by it.
func TestSidesNeverTold(t *testing.T) {
	for _, c := range []struct {
		name    string
		updates []Update
		want    [3]int64 // bid, ask, last
		outcome Outcome  // of the last one
	}{
		{"a bid above the opening", []Update{{Says: SaysBid, Bid: 150}}, [3]int64{150, 150, 100}, Applied},
		{"an ask below it", []Update{{Says: SaysAsk, Ask: 50}}, [3]int64{50, 50, 100}, Applied},
		{"a bid far below it", []Update{{Says: SaysBid, Bid: 1}}, [3]int64{1, 100, 100}, Applied},
		{
			"one side, then the other",
			[]Update{{Says: SaysBid, Bid: 150}, {Says: SaysAsk, Ask: 160}},
			[3]int64{150, 160, 155},
			Applied,
		},
		{
			"a bid and a trade",
			[]Update{{Says: SaysBid, Bid: 150}, {Says: SaysLast, Last: 155}},
			[3]int64{150, 155, 155},
			Applied,
		},
		{
			"both, then a bid above the ask",
			[]Update{{Says: SaysBid | SaysAsk, Bid: 150, Ask: 160}, {Says: SaysBid, Bid: 161}},
			[3]int64{150, 160, 155},
			Crossed,
		},
	} {
		u, err := NewUniverse([]Instrument{{Market: "US", Code: "A", Name: "A", Lot: 1, Tick: 1, PreviousClose: 100}})
		if err != nil {
			t.Fatal(err)
		}
		f, outcomes := NewFeed(u, FeedConfig{}), make([]Outcome, 1)
		for n, update := range c.updates {
			update.Time = int64(n + 1)
			f.Apply(update.Time, []Update{update}, outcomes)
		}
		q := f.Snapshot().Quote(0)
		if got := [3]int64{q.Bid, q.Ask, q.Last}; got != c.want || outcomes[0] != c.outcome {
			t.Errorf("%s: %v, %v; want %v, %v", c.name, got, outcomes[0], c.want, c.outcome)
		}
	}
}
