package torture

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/papertape/papertape/client"
)

// busted returns an event of account 7 that takes trade 1 back under a bust id.
func busted(seq uint64, id string) *client.Event {
	return &client.Event{Account: 7, Seq: seq, Time: time.Unix(0, int64(seq)), Bust: &client.Bust{TradeID: "7-1",
		BustID: id}}
}

// sentTakeback returns a record with one trade and a request, already sent, to take it back.
func sentTakeback(f *findings) (*account, *takeback) {
	a, b := newAccount(7, f), &takeback{id: "b", trade: shownTrade{seq: 1}}
	a.heard(&client.Event{Account: 7, Seq: 1, Time: time.Unix(0, 1), Trade: &client.Trade{ID: "7-1", Quantity: 5,
		Price: 9}})
	a.takebackSent(b)
	return a, b
}

// TestTakebacks tells the record what became of a request, and checks which breaches it reports.
func TestTakebacks(t *testing.T) {
	for name, c := range map[string]struct {
		story func(a *account, b *takeback)
		kind  kind
		want  string // "": nothing is wrong
	}{
		"answered, told, and asked again": {story: func(a *account, b *takeback) {
			a.takebackDone(b, "b", 2, false)
			a.heard(busted(2, "b"))
			a.takebackSent(b)
			a.takebackDone(b, "b", 2, true)
			a.unconfirmed()
		}},
		"not answered, and carried out": {story: func(a *account, b *takeback) {
			a.undecided.leave(b)
			a.heard(busted(2, "b"))
			for _, b := range a.undecided.take() {
				a.takebackSent(b)
				a.takebackDone(b, "b", 2, true)
			}
			a.unconfirmed()
		}},
		"not answered, and not carried out": {story: func(a *account, b *takeback) {
			a.undecided.leave(b)
			a.takebackSent(a.undecided.take()[0])
			a.takebackDone(b, "b", 2, false)
			a.heard(busted(2, "b"))
		}},
		"refused": {story: func(a *account, b *takeback) { a.takebackRefused(b, errors.New("the shares are gone")) }},
		"answered, and lost": {story: func(a *account, b *takeback) {
			a.takebackDone(b, "b", 2, false)
			a.unconfirmed()
		}, kind: lost, want: `bust id "b" was answered with event 2, which no stream has`},
		"carried out twice": {story: func(a *account, b *takeback) {
			a.heard(busted(2, "b"))
			a.heard(busted(3, "b"))
		}, kind: twice, want: "as event 2 and as event 3"},
		"carried out again when it was asked again": {story: func(a *account, b *takeback) {
			a.heard(busted(2, "b"))
			a.takebackSent(b)
			a.takebackDone(b, "b", 3, false)
		}, kind: twice, want: "carried out as event 2, was answered with event 3"},
		"answered with another event than the stream has": {story: func(a *account, b *takeback) {
			a.takebackDone(b, "b", 3, false)
			a.heard(busted(2, "b"))
		}, kind: twice, want: "answered with event 3, was carried out as event 2"},
		"a repeat of what was sent once": {story: func(a *account, b *takeback) { a.takebackDone(b, "b", 2, true) },
			kind: other, want: "was answered as a repeat"},
		"another's answer": {story: func(a *account, b *takeback) { a.takebackDone(b, "c", 2, false) },
			kind: other, want: `of "c"`},
		"nobody's": {story: func(a *account, _ *takeback) { a.heard(busted(2, "x")) },
			kind: other, want: "which nobody gave"},
		"refused although carried out": {story: func(a *account, b *takeback) {
			a.heard(busted(2, "b"))
			a.takebackRefused(b, errors.New("already busted"))
		}, kind: other, want: "carried out as event 2, was refused: already busted"},
		"carried out although refused": {story: func(a *account, b *takeback) {
			a.takebackRefused(b, errors.New("the shares are gone"))
			a.heard(busted(2, "b"))
		}, kind: other, want: "which was refused"},
		"corrected in place of busted": {story: func(a *account, _ *takeback) {
			ev := busted(2, "b")
			ev.Bust.Replacement = new(client.Trade)
			a.heard(ev)
		}, kind: other, want: "is not what was asked for"},
	} {
		t.Run(name, func(t *testing.T) {
			var f findings
			c.story(sentTakeback(&f))
			var r Report
			f.addTo(&r)
			if c.want == "" {
				if len(r.Failures) > 0 {
					t.Errorf("found %q, and nothing is wrong", r.Failures)
				}
				return
			}
			if len(r.Failures) != 1 || !strings.Contains(r.Failures[0], c.want) || f.counts[c.kind] != 1 {
				t.Errorf("found %q, counted %v; want %q, counted as %d", r.Failures, f.counts, c.want, c.kind)
			}
		})
	}
}

// TestRecentTrades: the newest trades are kept, each as it was executed.
func TestRecentTrades(t *testing.T) {
	var f findings
	a := newAccount(7, &f)
	if _, ok := a.recentTrade(3); ok {
		t.Error("a trade of an account that has none")
	}
	for n := range recentMax + 10 {
		o := named(fmt.Sprint(n))
		a.orderSent(o)
		a.heard(event(uint64(n+1), fmt.Sprint(n)))
	}
	for n := range 3 * recentMax {
		if got, ok := a.recentTrade(n); !ok || got.seq <= 10 || got.seq > recentMax+10 ||
			got.name(7) != fmt.Sprintf("7-%d", got.seq) {
			t.Fatalf("trade %v of the last %d of %d", got, recentMax, recentMax+10)
		}
	}
}
