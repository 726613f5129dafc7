package torture

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/papertape/papertape/client"
)

// bookedAs returns an event of account 7 that books 5 under a request id.
func bookedAs(seq uint64, id string) *client.Event {
	return &client.Event{Account: 7, Seq: seq, Time: time.Unix(0, int64(seq)), Adjustment: &client.Adjustment{Cash: 5,
		Reason: bookingReason + id}}
}

// TestBookings tells the record what became of a request, and checks which breaches it reports.
func TestBookings(t *testing.T) {
	resetAs := func(seq uint64, cash client.Money) *client.Event {
		return &client.Event{Account: 7, Seq: seq, Time: time.Unix(0, int64(seq)), Reset: &client.Reset{Cash: cash,
			Reason: bookingReason + "b"}}
	}
	for name, c := range map[string]struct {
		story func(a *account, b *booking)
		kind  kind
		want  string // "": nothing is wrong
	}{
		"answered, told, and asked again": {story: func(a *account, b *booking) {
			a.bookingDone(b, "b", 2, false)
			a.heard(bookedAs(2, "b"))
			a.heard(bookedAs(2, "b"))
			a.bookingSent(b)
			a.bookingDone(b, "b", 2, true)
			a.unconfirmed()
		}},
		"not answered, and carried out": {story: func(a *account, b *booking) {
			a.heard(bookedAs(2, "b"))
			a.bookingSent(b)
			a.bookingDone(b, "b", 2, true)
			a.unconfirmed()
		}},
		"a reset, to whatever the opening was": {story: func(a *account, b *booking) {
			b.what, b.cash = reset, 0
			a.heard(resetAs(2, 77))
		}},
		"refused": {story: func(a *account, b *booking) { a.bookingRefused(b, errors.New("no cash")) }},
		"answered, and lost": {func(a *account, b *booking) {
			a.bookingDone(b, "b", 2, false)
			a.unconfirmed()
		}, lost, "no stream"},
		"of another id": {func(a *account, _ *booking) {
			a.heard(bookedAs(2, "c"))
		}, other, "which nobody gave"},
		"answered for another": {func(a *account, b *booking) { a.bookingDone(b, "c", 2, false) }, other, `of "c"`},
		"a repeat of nothing":  {func(a *account, b *booking) { a.bookingDone(b, "b", 2, true) }, other, "sent once"},
		"carried out twice": {func(a *account, _ *booking) {
			a.heard(bookedAs(2, "b"))
			a.heard(bookedAs(3, "b"))
		}, twice, "was carried out as event 3"},
		"done again": {func(a *account, b *booking) {
			a.bookingDone(b, "b", 2, false)
			a.bookingSent(b)
			a.bookingDone(b, "b", 3, false)
		}, twice, "was answered with event 3"},
		"refused, and carried out": {func(a *account, b *booking) {
			a.bookingRefused(b, errors.New("no cash"))
			a.heard(bookedAs(2, "b"))
		}, other, "which was refused"},
		"carried out, and refused": {func(a *account, b *booking) {
			a.heard(bookedAs(2, "b"))
			a.bookingRefused(b, errors.New("no cash"))
		}, other, "was refused: no cash"},
		"another amount": {func(a *account, b *booking) {
			b.cash = 6
			a.heard(bookedAs(2, "b"))
		}, other, "not what was asked"},
		"a withdrawal": {func(a *account, b *booking) {
			b.what = withdrawal
			a.heard(bookedAs(2, "b"))
		}, other, "not what was asked"},
		"another reset": {func(a *account, b *booking) {
			b.what, b.cash = reset, 5
			a.heard(resetAs(2, 6))
		}, other, "not what was asked"},
	} {
		var f findings
		a, b := newAccount(7, &f), &booking{id: "b", cash: 5}
		a.heard(&client.Event{Account: 7, Seq: 1, Time: time.Unix(0, 1), Adjustment: &client.Adjustment{Cash: 9,
			Reason: "account opened"}})
		a.bookingSent(b)
		c.story(a, b)
		var rep Report
		f.addTo(&rep)
		said := strings.Join(rep.Failures, "\n")
		if c.want == "" && said != "" || !strings.Contains(said, c.want) || c.want != "" && f.counts[c.kind] != 1 {
			t.Errorf("%s: found %q, want %q", name, said, c.want)
		}
	}
}
