package shadow

import (
	"strings"
	"testing"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/positions"
)

// anew is a run of events with a reset of two rows, the sixth, and trades after it.
func anew(t *testing.T) (*ledger, []*client.Event) {
	l := newLedger(testAccount)
	return l, []*client.Event{
		l.open(t, 1_000_000_0000),
		l.at(t, positions.Buy, "SZ.000001", 100, 10_0000),
		l.at(t, positions.Buy, "SH.601398", 100, 7_0000),
		l.at(t, positions.Sell, "SZ.000001", 40, 12_0000),
		l.at(t, positions.Buy, "SZ.000001", 10, 9_0000),
		l.reset(t, 500_0000),
		l.at(t, positions.Buy, "SZ.000001", 10, 9_0000),
	}
}

// TestShadowCatchesAnyChangedFieldOfAReset: the reset is accepted as it is, and no change of it is.
func TestShadowCatchesAnyChangedFieldOfAReset(t *testing.T) {
	_, events := anew(t)
	for name, change := range map[string]func(*client.Event){
		"":                        func(*client.Event) {},
		"reset reason: ":          func(ev *client.Event) { ev.Reset.Reason = "" },
		"reset actor: ":           func(ev *client.Event) { ev.Reset.Actor = "" },
		"cash balance: ":          func(ev *client.Event) { ev.Cash.Balance++ },
		"cash fees_paid: ":        func(ev *client.Event) { ev.Cash.FeesPaid++ },
		"cash realised: ":         func(ev *client.Event) { ev.Cash.Realised++ },
		"number of positions: ":   func(ev *client.Event) { ev.Positions = ev.Positions[:1] },
		"row 1 instrument: ":      func(ev *client.Event) { ev.Positions[0].Code = "000002" },
		"row 2: expected the mar": func(ev *client.Event) { ev.Positions[1].RowVersion = 6 },
		"change: ":                func(ev *client.Event) { ev.Change = client.Closed },
		"total_market_value: ":    func(ev *client.Event) { ev.TotalMarketValue = 1 },
	} {
		s := New(testAccount)
		for _, ev := range events[:5] {
			if found := s.Apply(ev); len(found) > 0 {
				t.Fatalf("%q", found)
			}
		}
		ev := cloneEvent(events[5])
		change(ev)
		found := strings.Join(s.Apply(ev), "\n")
		if name == "" && found != "" || !strings.Contains(found, name) {
			t.Errorf("a changed %s was not found, only %q, in\n%v", name, found, ev)
		}
		if name != "" && len(CompareEvents(events[5], ev)) != 1 {
			t.Errorf("CompareEvents sees no difference in %s", name)
		}
	}
}

// TestShadowBustBeforeAReset: a bust of a trade from before a reset is found wrong, also by a shadow that has
// not seen that trade; what came after it is computed.
func TestShadowBustBeforeAReset(t *testing.T) {
	l, events := anew(t)
	whole, late := New(testAccount), (*Shadow)(nil)
	for i, ev := range events {
		for _, s := range []*Shadow{whole, late} {
			if s == nil {
				continue
			}
			if found := s.Apply(ev); len(found) > 0 {
				t.Fatalf("%q", found)
			}
		}
		if i == 2 {
			late, _ = FromHoldings(holdingsAfter(l, t, i+1))
		}
	}
	ev, why := l.bust(t, &positions.BustRequest{TradeSeq: 7})
	if ev == nil {
		t.Fatal(why)
	}
	for _, s := range []*Shadow{whole, late} {
		if found := s.Clone().Apply(ev); len(found) > 0 || s.Unfolded() != 0 {
			t.Errorf("a correct bust: %q, %d not computed", found, s.Unfolded())
		}
		bad := cloneEvent(ev)
		bad.Bust.TradeID = "100017-2"
		if found := strings.Join(s.Apply(bad), "\n"); !strings.Contains(found, "bust trade_id: expected a trade that "+
			"stands, got 100017-2, which does not") {
			t.Errorf("a bust of a trade from before the reset: %s", found)
		}
	}
	_, why = l.bust(t, &positions.BustRequest{TradeSeq: 2})
	if !strings.Contains(why, "event 6 has reset the account") {
		t.Errorf("the book refuses with %q", why)
	}
}
