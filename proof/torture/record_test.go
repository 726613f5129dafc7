package torture

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/papertape/papertape/client"
)

// event returns an event of account 7. With an id it is the execution of that order.
func event(seq uint64, id string) *client.Event {
	ev := &client.Event{Account: 7, Seq: seq, Time: time.Unix(0, int64(seq))}
	if id != "" {
		ev.Trade = &client.Trade{ID: fmt.Sprintf("7-%d", seq), ClientOrderID: id}
	}
	return ev
}

func named(id string) *order { return &order{message: client.Order{ClientOrderID: id}} }

func executed(ev *client.Event, replay bool) *client.Event {
	answer := *ev
	answer.Replay, answer.Execution = replay, true
	return &answer
}

// TestRecord tells the record of an account one story per case, and checks which breaches it
// reports.
func TestRecord(t *testing.T) {
	for name, c := range map[string]struct {
		story func(a *account)
		kind  kind
		want  string // "": nothing is wrong
	}{
		"two streams and an answer": {story: func(a *account) {
			o := named("x")
			a.orderSent(o)
			for range 2 {
				a.heard(event(1, ""))
				a.heard(event(2, "x"))
			}
			a.orderExecuted(o, executed(event(2, "x"), false))
			a.settle()
		}},
		"an order without an answer, executed before the kill": {story: func(a *account) {
			o := named("x")
			a.orderSent(o)
			a.unanswered.leave(o)
			a.heard(event(1, "x"))
			for _, o := range a.unanswered.take() {
				a.orderSent(o)
				a.orderExecuted(o, executed(event(1, "x"), true))
			}
		}},
		"an order without an answer, executed after it": {story: func(a *account) {
			o := named("x")
			a.orderSent(o)
			a.unanswered.leave(o)
			a.orderSent(a.unanswered.take()[0])
			a.orderExecuted(o, executed(event(1, "x"), false))
			a.heard(event(1, "x"))
			a.settle()
		}},
		"a refused one": {story: func(a *account) {
			o := named("x")
			a.orderSent(o)
			a.orderRefused(o, &client.Reject{Code: client.InsufficientCash})
		}},
		"a hole": {story: func(a *account) {
			a.heard(event(1, ""))
			a.heard(event(3, ""))
		}, kind: hole, want: "event 3 came when 1 was the newest"},
		"an event from nowhere": {story: func(a *account) { a.heard(event(0, "")) }, kind: hole, want: "event 0 came"},
		"an event that changed": {story: func(a *account) {
			a.heard(event(1, ""))
			other := event(1, "")
			other.Time = other.Time.Add(1)
			a.heard(other)
		}, kind: changed, want: "event 1 is not what it was"},
		"an order executed twice": {story: func(a *account) {
			a.orderSent(named("x"))
			a.heard(event(1, "x"))
			a.heard(event(2, "x"))
		}, kind: twice, want: `order "x" was executed twice, as event 1 and as event 2`},
		"an order answered with another execution": {story: func(a *account) {
			o := named("x")
			a.orderSent(o)
			a.orderExecuted(o, executed(event(1, "x"), false))
			a.orderSent(o)
			a.orderExecuted(o, executed(event(2, "x"), true))
		}, kind: twice, want: `order "x", executed as event 1, was answered with event 2`},
		"an order executed again": {story: func(a *account) {
			o := named("x")
			a.orderSent(o)
			a.heard(event(1, "x"))
			a.orderSent(o)
			a.orderExecuted(o, executed(event(2, "x"), false))
		}, kind: twice, want: `order "x", executed as event 1, was answered with event 2`},
		"an order that was nobody's": {story: func(a *account) { a.heard(event(1, "y")) }, kind: other,
			want: `order "y", which nobody sent`},
		"an order executed although refused": {story: func(a *account) {
			o := named("x")
			a.orderSent(o)
			a.orderRefused(o, &client.Reject{Code: client.InsufficientCash})
			a.heard(event(1, "x"))
		}, kind: other, want: `order "x", which was refused`},
		"an order refused although executed": {story: func(a *account) {
			o := named("x")
			a.orderSent(o)
			a.heard(event(1, "x"))
			a.orderSent(o)
			a.orderRefused(o, &client.Reject{Code: client.DuplicateOrderID})
		}, kind: other, want: `order "x", executed as event 1, was refused`},
		"a repeat of an order sent once": {story: func(a *account) {
			o := named("x")
			a.orderSent(o)
			a.orderExecuted(o, executed(event(1, "x"), true))
		}, kind: other, want: "sent once, was answered as a repeat"},
		"the answer to another order": {story: func(a *account) {
			o := named("x")
			a.orderSent(o)
			a.orderExecuted(o, executed(event(1, "y"), false))
		}, kind: other, want: `order "x" was answered with event 1, of order "y"`},
		"an answer that the stream has otherwise": {story: func(a *account) {
			o := named("x")
			a.orderSent(o)
			a.heard(event(1, "x"))
			told := event(1, "x")
			told.Time = told.Time.Add(1)
			a.orderExecuted(o, executed(told, false))
			a.settle()
		}, kind: changed, want: "the stream has it as event 1, or otherwise"},
		"an answer that no stream has": {story: func(a *account) {
			o := named("x")
			a.orderSent(o)
			a.orderExecuted(o, executed(event(1, "x"), false))
			a.unconfirmed()
		}, kind: lost, want: `order "x" was answered with event 1, which no stream has`},
	} {
		t.Run(name, func(t *testing.T) {
			var f findings
			c.story(newAccount(7, &f))
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

// TestRefusalsThatSayNothing: an order is sent again if the server only had no time for it.
func TestRefusalsThatSayNothing(t *testing.T) {
	var f findings
	a, o := newAccount(7, &f), named("x")
	a.orderSent(o)
	for _, code := range []client.RejectCode{
		client.Busy, client.Draining, client.ReadOnly,
	} {
		if a.orderRefused(o, &client.Reject{Code: code}) {
			t.Errorf("%v settles an order", code)
		}
	}
	a.heard(event(1, "x"))
	if f.any() {
		t.Errorf("found %q", f.sentences)
	}
}

// TestAnsweredOrder: only orders whose ids the server still knows are picked.
func TestAnsweredOrder(t *testing.T) {
	var f findings
	a := newAccount(7, &f)
	if a.answeredOrder(3) != nil {
		t.Error("an order of an account that has none")
	}
	for n := range rememberedMax + 100 {
		o := named(fmt.Sprint(n))
		a.orderSent(o)
		a.heard(event(uint64(n+1), fmt.Sprint(n)))
		if n%2 == 0 {
			a.orderExecuted(o, executed(event(uint64(n+1), fmt.Sprint(n)), false))
		}
	}
	for n := range 2 * rememberedMax {
		o := a.answeredOrder(n)
		if o == nil {
			continue
		}
		if o.seq <= 100+idsSpare || o.answered == 0 {
			t.Fatalf("order %d of %d, answered %v, was picked", o.seq, rememberedMax+100, o.answered != 0)
		}
	}
}

// TestWrong tells breaches from the end that a kill causes.
func TestWrong(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want [kinds]int
	}{
		"a kill":   {errors.New("connection reset by peer"), [kinds]int{}},
		"goodbye":  {&client.Goodbye{Text: "the server stops"}, [kinds]int{}},
		"a hole":   {&client.GapError{Account: 7, Last: 3, Got: 5}, [kinds]int{hole: 1}},
		"a repeat": {&client.GapError{Account: 7, Last: 3, Got: 3}, [kinds]int{twice: 1}},
		"garbage":  {fmt.Errorf("read: %w", &client.ProtocolError{Text: "garbage"}), [kinds]int{other: 1}},
	} {
		var f findings
		tr := trader{account: newAccount(7, &f)}
		tr.judgeEnd(c.err)
		if f.counts != c.want {
			t.Errorf("%s: counted %v, want %v", name, f.counts, c.want)
		}
	}
}

// TestReport: all breaches are counted, and the first ones are reported.
func TestReport(t *testing.T) {
	var f findings
	for n := range sentencesMax + 5 {
		f.add(lost, 2, "number %d", n)
	}
	r := Report{Tried: []Tried{{When: underLoad.String(), Kills: 1}}, Data: "/d"}
	f.addTo(&r)
	if r.Lost != 2*(sentencesMax+5) || len(r.Failures) != sentencesMax || r.OK() {
		t.Errorf("%d lost, %d sentences, ok %v", r.Lost, len(r.Failures), r.OK())
	}
	var b strings.Builder
	if err := r.Render(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"under load", "DID NOT HOLD", "number 0", "left as it was found: /d"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the report does not say %q:\n%s", want, &b)
		}
	}
	if median, largest := spread([]time.Duration{3e6, 1e6, 2e6}); median != 2 || largest != 3 {
		t.Errorf("median %g, largest %g", median, largest)
	}
}
