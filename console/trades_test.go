package console

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/papertape/papertape/positions"
)

// chained gives the account 1,000 trades, newest first, all like the one it returns.
func chained(f *fixture) positions.Trade {
	l := f.ledger
	trade := l.events[2].Trade
	l.events = nil
	for seq := uint64(1000); seq > 0; seq-- {
		l.events = append(l.events, positions.Event{
			Account: 100017, Seq: seq, Time: int64(seq) * 1e9, Kind: positions.KindTrade, Trade: trade,
			Change: positions.Increased,
		})
	}
	return trade
}

// replaceWithBust replaces an event by a bust.
func (f *fixture) replaceWithBust(seq uint64, b positions.Bust) {
	ev := &f.ledger.events[1000-seq]
	ev.Kind, ev.Trade, ev.Bust = positions.KindBust, positions.Trade{}, &b
}

// revised is a trade at a revision, with a price that depends on the revision.
func revised(t positions.Trade, revision uint32) *positions.Trade {
	t.Revision, t.Price = revision, int64(revision+1)*100_0000
	t.Amount = t.Price * t.Quantity
	return &t
}

// TestTradeRecord finds what happened to a trade, in order, however old the trade is.
func TestTradeRecord(t *testing.T) {
	f := newFixture(t, "")
	trade := chained(f)
	f.replaceWithBust(300, positions.Bust{
		TradeSeq: 10, Reason: "first", Actor: "ann", ID: "c-1",
		Original: *revised(trade, 0), Replacement: revised(trade, 1),
	})
	f.replaceWithBust(301, positions.Bust{TradeSeq: 11, Reason: "another", Actor: "ann", Original: trade})
	f.replaceWithBust(700, positions.Bust{
		TradeSeq: 10, Reason: "second", Actor: "ann", ID: "c-2",
		Original: *revised(trade, 1), Replacement: revised(trade, 2),
	})
	f.replaceWithBust(701, positions.Bust{
		TradeSeq: 12, Reason: "a correction", Actor: "ann",
		Original: trade, Replacement: revised(trade, 1), Cascade: []uint64{13, 14},
	})
	f.replaceWithBust(999, positions.Bust{
		TradeSeq: 10, Reason: "gone", Actor: "bob", ID: "b-3", Original: *revised(trade, 2),
	})
	record := func(id string) TradeRecord {
		t.Helper()
		r, err := f.client.Trade(t.Context(), id)
		if err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		if r.ID != id || r.AsOfSeq != 1000 || r.Executed.ID != id || r.Executed.Revision != 0 {
			t.Errorf("%s is %+v as of %d", id, r.Executed, r.AsOfSeq)
		}
		return r
	}
	r := record("100017-10")
	gone := Struck{Seq: 999, Time: time.Unix(999, 0).UTC(), BustID: "b-3", Reason: "gone", Actor: "bob"}
	if r.State != TradeTakenBack || r.Stands != nil || r.TakenBack == nil || *r.TakenBack != gone ||
		!r.Time.Equal(time.Unix(10, 0)) {
		t.Errorf("corrected twice and busted: %+v, taken back by %+v", r, r.TakenBack)
	}
	var chain []string
	for _, ev := range r.Changes {
		chain = append(chain, ev.Bust.Reason)
	}
	if !reflect.DeepEqual(chain, []string{"first", "second", "gone"}) {
		t.Errorf("its changes are %v", chain)
	}
	if r := record("100017-12"); r.State != TradeCorrected || r.Stands == nil || r.Stands.Revision != 1 ||
		r.Stands.Price != 200_0000 || r.TakenBack != nil {
		t.Errorf("corrected: %+v, stands as %+v", r, r.Stands)
	}
	if r := record("100017-14"); r.State != TradeTakenBack || r.Stands != nil || r.TakenBack.Seq != 701 ||
		r.TakenBack.With != "100017-12" || len(r.Changes) != 1 {
		t.Errorf("gone with another: %+v, taken back by %+v", r, r.TakenBack)
	}
	for _, id := range []string{"100017-1", "100017-1000"} {
		if r := record(id); r.State != TradeExecuted || *r.Stands != r.Executed || r.TakenBack != nil ||
			r.Changes == nil || len(r.Changes) != 0 {
			t.Errorf("as executed: %+v", r)
		}
	}
	if record("100017-12"); f.ledger.walked != 13 {
		t.Errorf("events from %d on were looked at, want those after the trade", f.ledger.walked)
	}
}

func TestTradeRecordErrors(t *testing.T) {
	f := newFixture(t, "")
	chained(f)
	f.replaceWithBust(300, positions.Bust{TradeSeq: 10, Reason: "r", Actor: "ann"})
	f.ledger.oldest = 5
	for id, want := range map[string]Error{
		"7-42": {Status: 404, Code: "unknown_account", Text: "there is no account 7"},
		"100017-1001": {Status: 404, Code: "unknown_trade",
			Text: "account 100017 has no event 1001, its newest is 1000"},
		"100017-18446744073709551615": {Status: 404, Code: "unknown_trade",
			Text: "account 100017 has no event 18446744073709551615, its newest is 1000"},
		"100017-300": {Status: 404, Code: "not_a_trade",
			Text: "event 300 of account 100017 is not a trade; GET /api/v1/accounts/100017/history?before=301 has it"},
		"100017-4": {Status: 404, Code: "not_kept",
			Text: "event 4 of account 100017 is older than the history kept, which begins at 5"},
		"100017/4": {Status: 400, Code: "bad_request",
			Text: `"100017/4" is not the name of a trade; ` +
				`write its account and sequence, as in 100017-42, without zeros in front`},
	} {
		_, err := f.client.Trade(t.Context(), id)
		var got *Error
		if !errors.As(err, &got) || !reflect.DeepEqual(*got, want) {
			t.Errorf("%s: %v, want %v", id, err, want.Text)
		}
	}
	// Between the two calls, the ledger drops the events after the trade.
	f.server.cfg.Books = &forgetful{ledger: f.ledger}
	w := f.ask("GET", "/api/v1/trades/100017-5", "")
	if w.Code != 404 ||
		!strings.Contains(w.Body.String(),
			`"not_kept","message":"events 6 to 499 of account 100017: they are older than the history kept"`) {
		t.Errorf("of a history that was dropped meanwhile: %d %s", w.Code, w.Body)
	}
}

// forgetful is a ledger that drops half of its events after the first call.
type forgetful struct{ *ledger }

func (f *forgetful) History(ctx context.Context, account, before uint64, limit int) ([]positions.Event, uint64, error) {
	defer func() { f.events, f.oldest = f.events[:500], 500 }()
	return f.ledger.History(ctx, account, before, limit)
}
