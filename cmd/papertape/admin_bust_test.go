package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/console"
)

// TestTakenBackFarBack checks that trades are marked, and earlier rows found, across several pages
// of history.
func TestTakenBackFarBack(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	at := runServer(t)
	c, err := client.Dial(ctx, at.listen, client.Options{Account: 100002, DiscardEvents: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // the test is over
	order := func(side func(context.Context, string, string, int64) (*client.Event, error), code string,
		quantity int64) uint64 {
		t.Helper()
		ev, err := side(ctx, "SZ", code, quantity)
		if err != nil {
			t.Fatal(err)
		}
		return ev.Seq
	}
	busted, corrected := order(c.Buy, "000333", 3), order(c.Buy, "000333", 4)
	for range 120 {
		order(c.Buy, "000001", 1)
		order(c.Sell, "000001", 1)
	}
	name := func(seq uint64) string { return fmt.Sprintf("100002-%d", seq) }
	out, err := runAdmin(ctx, at, "bust", name(busted), "--reason", "never was", "--bust-id", "b")
	if err != nil || strings.Contains(out, "?") {
		t.Errorf("bust: %v\n%s", err, out)
	}
	if out, err = runAdmin(ctx, at, "correct", name(corrected), "--reason", "fewer", "--price", "50", "--quantity",
		"2"); err != nil {
		t.Errorf("correct: %v\n%s", err, out)
	}
	head := order(c.Buy, "000001", 1)
	out, err = runAdmin(ctx, at, "history", "100002", "--before", fmt.Sprint(corrected+1), "--limit", "2")
	for _, want := range []string{
		fmt.Sprintf("taken back by %d ", head-2), fmt.Sprintf("corrected by %d to 2 @ 50.00 ", head-1),
	} {
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("history does not say %q: %v\n%s", want, err, out)
		}
	}
	var page struct {
		Account   uint64
		FatesUpTo uint64 `json:"fates_up_to"`
		Events    []struct {
			Seq  uint64
			Cash console.Cash
			Fate *struct {
				State, With string
				Seq         uint64
				Stands      *console.Trade
			}
		}
	}
	in, err := runAdmin(ctx, at, "history", "100002", "--before", fmt.Sprint(corrected+2), "--limit", "3", "-o", "json")
	if err != nil || json.Unmarshal([]byte(in), &page) != nil || page.Account != 100002 || page.FatesUpTo != 0 ||
		len(page.Events) != 3 {
		t.Fatalf("history -o json: %v\n%s", err, in)
	}
	whole, fewer, gone := page.Events[0], page.Events[1].Fate, page.Events[2].Fate
	if whole.Fate != nil || whole.Cash.Balance == 0 || gone == nil || gone.State != "taken_back" ||
		gone.Seq != head-2 || gone.Stands != nil || gone.With != "" ||
		fewer == nil || fewer.State != "corrected" || fewer.Seq != head-1 || fewer.Stands == nil ||
		fewer.Stands.Quantity != 2 {
		t.Errorf("history -o json does not say what became of the trades:\n%s", in)
	}
	if strings.Contains(out, "was looked for") {
		t.Errorf("all of it was looked at, and history says otherwise:\n%s", out)
	}
	out, err = runAdmin(ctx, at, "trade", name(busted), "-o", "json")
	if err != nil || !strings.Contains(out, `"state": "taken_back"`) ||
		!strings.Contains(out, fmt.Sprintf(`"as_of_seq": %d`, head)) {
		t.Errorf("trade: %v\n%s", err, out)
	}
}

// correctedEvents returns, newest first, a trade, its correction, and the bust of another trade
// that took it back as well.
func correctedEvents() []console.Event {
	trade := console.Trade{ID: "7-2", Side: "sell", Market: "SZ", Code: "000001", Name: "n", Quantity: 100,
		Price: 10_0000, Amount: 1000_0000}
	stands := trade
	stands.Quantity, stands.Amount, stands.Revision = 50, 500_0000, 1
	other := console.Trade{ID: "7-1", Side: "buy", Market: "SZ", Code: "000001", Name: "n", Quantity: 100,
		Price: 10_0000, Amount: 1000_0000}
	row := []console.Position{{Market: "SZ", Code: "000001", Name: "n"}}
	return []console.Event{
		{Seq: 4, Change: "closed", Positions: row,
			Bust: &console.Bust{TradeID: "7-1", Reason: "r", Actor: "a", Original: other, Cascade: []string{"7-2"}}},
		{Seq: 3, Change: "increased", Positions: row,
			Bust: &console.Bust{TradeID: "7-2", Reason: "r", Actor: "a", Original: trade, Replacement: &stands}},
		{Seq: 2, Change: "closed", Positions: row, Trade: &trade},
	}
}

// TestHistoryStrikes checks that trades that no longer stand are struck through on a terminal, and
// described in words everywhere.
func TestHistoryStrikes(t *testing.T) {
	events := correctedEvents()
	f := fates{by: make(map[string]*console.Event)}
	f.add(events)
	for _, strikes := range []bool{true, false} {
		var rows []string
		for i := range events {
			rows = append(rows, fmt.Sprint(historyRow(&events[i], f, strikes)...))
		}
		for i, want := range []string{"7-1 taken back: r, with it 1 trade",
			"7-2 corrected: r, taken back by 4, with 7-1", ", taken back by 4, with 7-1"} {
			if !strings.Contains(rows[i], want) || strings.Contains(rows[i], "\x1b[9m") != (strikes && i > 0) {
				t.Errorf("strikes %v: event %d is %q, want %q", strikes, events[i].Seq, rows[i], want)
			}
		}
		if struck := strings.Contains(rows[2], "\x1b[9msell SZ 000001 n\x1b[29m, taken back"); struck != strikes {
			t.Errorf("strikes %v: %q", strikes, rows[2])
		}
	}
	f.by = make(map[string]*console.Event)
	f.add(events[1:])
	if row := fmt.Sprint(historyRow(&events[2], f, false)...); !strings.Contains(row,
		"sell SZ 000001 n, corrected by 3 to 50 @ 10.00") {
		t.Errorf("of a trade that is only corrected: %q", row)
	}
}

// TestHistoryMarks checks that the JSON output contains the same information, for corrections too.
func TestHistoryMarks(t *testing.T) {
	events := correctedEvents()
	f := fates{by: make(map[string]*console.Event), upTo: 9}
	f.add(events)
	out, err := json.Marshal(markHistory(&console.History{Account: 7, OldestSeq: 1, Events: events}, f))
	if err != nil {
		t.Fatal(err)
	}
	with := `"fate":{"state":"taken_back","seq":4,"with":"7-1"}`
	if strings.Count(string(out), with) != 2 || strings.Count(string(out), `"fate"`) != 2 ||
		strings.Count(string(out), `"events"`) != 1 ||
		!strings.Contains(string(out), `"account":7,"oldest_seq":1`) ||
		!strings.Contains(string(out), `"fates_up_to":9`) {
		t.Errorf("%s", out)
	}
	if out, err = json.Marshal(markHistory(&console.History{}, fates{})); err != nil ||
		string(out) != `{"account":0,"oldest_seq":0,"events":[]}` {
		t.Errorf("of nothing: %s, %v", out, err)
	}
}

// TestRenderTakenBack checks that the earlier state is shown where it is known, and a question mark
// where it is not.
func TestRenderTakenBack(t *testing.T) {
	ev := correctedEvents()[0]
	before := &console.BustPreview{
		AsOfSeq: 3, CashBefore: console.Cash{Balance: 5_0000, Realised: 1_0000}, Rows: []console.RowChange{{
			Market: "SZ", Code: "000001", Before: &console.Position{Quantity: 50, Cost: 500_0000, Realised: 7_0000},
		}},
	}
	late := *before
	late.AsOfSeq = 2
	for _, c := range []struct {
		before *console.BustPreview
		want   []string
	}{
		{nil, []string{"before │        ? │", "cash before: ?\n"}},
		{
			before, []string{"before │       50 │ 500.00 │     7.00 │", "cash before: 5.00, realised 1.00\n"},
		},
		{
			&late, []string{"before │       50 │", "before is as of event 2, and others came since\n"},
		},
	} {
		var out strings.Builder
		if err := renderTakenBack(&out, &console.TakenBack{Event: ev}, c.before); err != nil {
			t.Fatal(err)
		}
		for _, want := range append(c.want, "7-1 taken back by event 4, ", "bust id none", "7-2   │ struck with it",
			"after  │        0 │") {
			if !strings.Contains(out.String(), want) {
				t.Errorf("it does not say %q:\n%s", want, &out)
			}
		}
	}
}
