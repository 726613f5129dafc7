package market

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseTicks(t *testing.T) {
	ticks, err := ParseTicks("0:0.01; 1:0.05;10:0.1")
	if err != nil {
		t.Fatal(err)
	}
	for price, want := range map[int64]int64{
		0: 100, 9999: 100, 1_0000: 500, 9_9500: 500, 10_0000: 1000, MaxPrice: 1000,
	} {
		if got := ticks.At(price); got != want {
			t.Errorf("at %s: %d, want %d", FormatMoney(price), got, want)
		}
	}
	if ticks.String() != "0.00:0.01;1.00:0.05;10.00:0.10" {
		t.Error(ticks)
	}
	for text, want := range map[string]string{
		"": "is not a price and its tick", "0.01": "is not a price and its tick", "1:0.01": "it must begin at 0",
		"0:0": "it must be above 0", "0:0.01;0:0.05": "must ascend", "0:0.03;1:0.01": "must be a multiple of 0.03",
		"0:x": "is not an amount", strings.Repeat("0:1;", 65): "must ascend",
	} {
		if _, err := ParseTicks(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// TestLimitsOnTicks: the limits of a day are on the tick of where they are.
func TestLimitsOnTicks(t *testing.T) {
	ticks, err := ParseTicks("0:0.001;0.25:0.005;0.5:0.01;10:0.02;20:0.05;100:0.1;200:0.2")
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		i := Instrument{Ticks: ticks, LimitBps: rapid.Int64Range(0, 10_000).Draw(t, "limit")}
		price := rapid.Int64Range(10, 1000_0000).Draw(t, "price")
		i.PreviousClose = price - price%ticks.At(price)
		i.Tick = ticks.At(i.PreviousClose)
		low, high := i.Limits()
		if low <= 0 || low > i.PreviousClose || high < i.PreviousClose || low%ticks.At(low) != 0 ||
			high%ticks.At(high) != 0 {
			t.Errorf("close %d, limit %d: %d to %d", i.PreviousClose, i.LimitBps, low, high)
		}
	})
}

// TestUS: the shipped universe has what it promises.
func TestUS(t *testing.T) {
	u := US()
	for _, code := range strings.Fields("AAPL MSFT SPY QQQ BRK.B PTAPE") {
		if in := u.At(mustParse(t, u, "US."+code)); in.ExchangeMIC() == "" || in.Lot != 1 || in.LimitBps != 0 {
			t.Errorf("%+v", in)
		}
	}
	if u.Len() < 60 || u.Currency() != "USD" || !strings.Contains(u.At(mustParse(t, u, "PTAPE.US")).Name, "fictional") {
		t.Errorf("%d instruments in %s", u.Len(), u.Currency())
	}
}

// TestDelisted: who is delisted has an ID, in order, and is found by nobody.
func TestDelisted(t *testing.T) {
	u := Default()
	gone := Instrument{Market: "SH", Code: "600001", Name: "gone", PreviousClose: 1, Lot: 1, Tick: 1, Halted: true,
		Delisted: true}
	all, err := u.With([]Instrument{gone})
	if err != nil || all.Len() != u.Len()+1 || all.Listed() != u.Len() || !all.Has("SH", "600001") ||
		u.Has("SH", "600001") {
		t.Fatal(err)
	}
	if _, found := all.Lookup([]byte("SH"), []byte("600001")); found {
		t.Error("it was found")
	}
	if _, err := all.Parse("SH.600001"); err == nil {
		t.Error("it was parsed")
	}
	for _, id := range all.ListedIDs() {
		if all.At(id).Delisted {
			t.Error("it is listed")
		}
	}
	before, after := Walk(u, 3), Walk(all, 3)
	for step := range 50 {
		b, a := before.Step(int64(step+1)), after.Step(int64(step+1))
		for n, id := range all.ListedIDs() {
			if b.At(ID(n)) != a.At(id) {
				t.Fatalf("step %d: the walk of %s is another", step, all.At(id))
			}
		}
	}
	if _, err := all.With([]Instrument{gone}); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Error(err)
	}
}

// TestWalkOnTicks: a walk that crosses from one step of the table to another stays on the tick.
func TestWalkOnTicks(t *testing.T) {
	ticks, err := ParseTicks("0:0.01;10:0.05;10.1:0.1")
	if err != nil {
		t.Fatal(err)
	}
	u, err := NewUniverse([]Instrument{{Market: "HK", Code: "1", Name: "n", PreviousClose: 10_0500, Lot: 1,
		Tick: 500, Ticks: ticks, LimitBps: 1000}})
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[int64]bool)
	for feed, step := Walk(u, 1), int64(1); step <= 20_000; step++ {
		price := feed.Step(step).At(0)
		if seen[ticks.At(price)] = true; price%ticks.At(price) != 0 {
			t.Fatalf("step %d: %s is off the tick", step, FormatMoney(price))
		}
	}
	if len(seen) != 3 {
		t.Errorf("the walk has been on %d of 3 steps", len(seen))
	}
}

// TestAlwaysOpen: the symbol for trying clients is open when its market is not, until it is halted.
func TestAlwaysOpen(t *testing.T) {
	u := US()
	f := NewFeed(u, FeedConfig{Hours: closedHours{}})
	f.Turn(1)
	test, share := mustParse(t, u, "US.PTAPE"), mustParse(t, u, "US.AAPL")
	if p := f.Snapshot(); p.Status(test) != StatusOpen || p.Status(share) != StatusClosed {
		t.Errorf("the test symbol is %v, a share %v", p.Status(test), p.Status(share))
	}
	f.Apply(2, []Update{{ID: test, Time: 2, Says: SaysStatus, Status: StatusHalted}}, nil)
	if got := f.Snapshot().Status(test); got != StatusHalted {
		t.Errorf("halted, it is %v", got)
	}
}

// closedHours are those of markets that are never open.
type closedHours struct{ alwaysOpen }

func (closedHours) Status(string, int64) Status { return StatusClosed }
