package simulator

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/papertape/papertape/market"
)

// TestParseQuotes reads steps that set quotes, and checks what is said of those that cannot be.
func TestParseQuotes(t *testing.T) {
	u := market.Default()
	moutai, _ := u.Parse("SH.600519")
	s, err := ParseScript([]byte("steps:\n- {at: 1s, quote: 600519.SH, bid: 1479.99, ask: 0, last: 1480, size: 100, "+
		"bid_size: 0300, ask_size: 0, volume: 5000, status: halted}\n"), u)
	if err != nil {
		t.Fatal(err)
	}
	all := market.SaysBid | market.SaysAsk | market.SaysBidSize | market.SaysAskSize | market.SaysLast |
		market.SaysSize | market.SaysVolume | market.SaysStatus
	if want := (market.Update{ID: moutai, Says: all, Bid: 1479_9900, Last: 1480_0000, Size: 100, BidSize: 300,
		Volume: 5000, Status: market.StatusHalted}); *s.steps[0].quote != want {
		t.Errorf("%+v, want %+v", *s.steps[0].quote, want)
	}
	for keys, want := range map[string]string{
		"quote: SH.600519":                 "quote says nothing; give bid, ask, last, their sizes, volume or status",
		"quote: SH.600519, bid: 2, ask: 1": "bid: 2 is above the ask of 1; nobody quotes that",
		"quote: SH.600519, last: 0": "last: 0; it is a price from 0.0001 to 1000000000.00, " +
			"and 0 takes a bid or an ask away",
		"quote: SH.600519, size: 3":            "size without last: it is the size of a trade, so write last too",
		"quote: SH.600519, bid_size: -3":       "bid_size: -3; it is a number of shares in decimal digits",
		"quote: SH.600519, status: closed":     `status: "closed"; it is halted or open`,
		"quote: SH.600519, on: login, last: 1": "account is missing",
		"quote: SH.600519, last: 1, side: buy": "a step with quote sets a quote and nothing else; " +
			"give bid, ask, last, their sizes, volume or status",
		"account: 100001, bid: 3": "bid, ask, last, their sizes, volume and status are for quote; " +
			"a step without quote has none of them",
	} {
		_, err := ParseScript([]byte("steps:\n- {"+keys+"}\n"), u)
		if want := "scenario script: step 1: " + want; err == nil || err.Error() != want {
			t.Errorf("%s:\n got %v\nwant %s", keys, err, want)
		}
	}
}

// TestScriptSetsQuotes plays steps that set quotes: at their times, again and again, and what would cross is
// counted as refused.
func TestScriptSetsQuotes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newExchange(t, 1, 1, 2)
		defer x.stop()
		s, err := ParseScript([]byte(`
steps:
- {at: 1s, quote: SZ.000001, bid: 9.99, ask: 10.01}
- {at: 2s, quote: SZ.000001, last: 10.01, size: 300, every: 1s, times: 2}
- {at: 5s, quote: SZ.000001, bid: 10.02}
- {at: 6s, quote: SZ.000001, status: halted}
`), x.universe)
		if err != nil {
			t.Fatal(err)
		}
		id, _ := x.universe.Parse("SZ.000001")
		r := NewRunner(s)
		ended := make(chan struct{})
		go func() { defer close(ended); r.Run(context.Background(), x) }()
		began := time.Now()
		for _, c := range []struct {
			after          time.Duration
			bid, ask, last int64
			volume         int64
			status         market.Status
		}{
			{1500, 9_9900, 10_0100, 10_0000, 0, market.StatusOpen},
			{2500, 9_9900, 10_0100, 10_0100, 300, market.StatusOpen},
			{5500, 9_9900, 10_0100, 10_0100, 600, market.StatusOpen},
			{6500, 9_9900, 10_0100, 10_0100, 600, market.StatusHalted},
		} {
			time.Sleep(time.Until(began.Add(c.after * time.Millisecond)))
			q := x.feed.Snapshot().Quote(id)
			if q.Bid != c.bid || q.Ask != c.ask || q.Last != c.last || q.Volume != c.volume || q.Status != c.status {
				t.Errorf("after %d ms: %+v, want %+v", c.after, q, c)
			}
		}
		<-ended
		if got, want := r.State(), (Played{Quotes: 4, Refused: 1}); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	})
}
