package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/papertape/papertape/positions"
)

func bookingOf(kind positions.BookingKind, amount int64, id string) *positions.BookingRequest {
	return &positions.BookingRequest{
		Account: alice, Kind: kind, Amount: amount, Reason: "pocket money", Actor: "ops", ID: id,
	}
}

// mustBook carries out a booking that must succeed.
func (w *world) mustBook(r *positions.BookingRequest) positions.Event {
	w.t.Helper()
	w.journal.set(func() { w.journal.walked = true })
	ev, repeated, err := w.eng.Book(context.Background(), r)
	if err != nil || repeated {
		w.t.Fatalf("%s: repeated %t, %v", r.Title(), repeated, err)
	}
	return ev
}

// mustNotBook makes a request that must be refused for a reason, in a sentence.
func (w *world) mustNotBook(r *positions.BookingRequest, reason BookingReason, sentence string) {
	w.t.Helper()
	w.journal.set(func() { w.journal.walked = true })
	head := w.journal.head(alice)
	_, _, err := w.eng.Book(context.Background(), r)
	refused := (*BookingRefusedError)(nil)
	if !errors.As(err, &refused) || refused.Reason != reason || refused.Error() != sentence {
		w.t.Errorf("refused with %v, want %q", err, sentence)
	}
	if w.journal.head(alice) != head {
		w.t.Errorf("event %d was made", w.journal.head(alice))
	}
}

// TestBookings: deposits, withdrawals and resets reach every session in sequence, are answered as they
// are written, and survive a crash. Under the same id they are done once, before and after it.
func TestBookings(t *testing.T) {
	for _, keeps := range []bool{true, false} {
		t.Run(fmt.Sprintf("keeps=%t", keeps), func(t *testing.T) {
			w := newWorld(t, options{keeps: keeps}, alice, bob)
			c, stranger := w.loggedIn(alice), w.loggedIn(bob)
			w.tradeExample()
			requests := []*positions.BookingRequest{
				bookingOf(positions.Deposit, 7_0000, "d"), bookingOf(positions.Withdrawal, 2_0000, "w"),
				bookingOf(positions.ResetTo, 500_0000, "r"), bookingOf(positions.Deposit, 1_0000, ""),
			}
			cash := openingCash - 3000_0000 + 900_0000
			for i, after := range []int{cash + 7_0000, cash + 5_0000, 500_0000, 501_0000} {
				ev := w.mustBook(requests[i])
				if ev.Seq != uint64(5+i) || ev.Cash.Balance != int64(after) || i >= 2 && ev.Cash.Realised != 0 {
					t.Errorf("%s: %+v", requests[i].Title(), ev)
				}
				w.settle()
				if !reflect.DeepEqual(c.last().ev, ev) || !reflect.DeepEqual(w.journal.events(alice)[4+i], ev) {
					t.Errorf("%s: sessions and journal were told something else", requests[i].Title())
				}
			}
			c.expect("EVENT 2", "EVENT 3", "EVENT 4", "EVENT 5", "EVENT 6", "EVENT 7", "EVENT 8")
			stranger.expect()
			h, err := w.eng.Holdings(t.Context(), alice)
			if err != nil || h.Seq != 8 || len(h.Positions) != 0 || h.Cash != (positions.Cash{Balance: 501_0000}) {
				t.Errorf("the account is %+v, %v", h, err)
			}
			w.mustRefuse(bustRequest(3, ""), positions.BustBeforeReset)
			w.expectRepeats(requests[:3])
			if !keeps {
				return
			}
			again := newWorld(t, options{journal: w.journal.restart(0)})
			if after, err := again.eng.Holdings(t.Context(), alice); err != nil || after.Hash != h.Hash {
				t.Errorf("after a restart %+v, %v", after, err)
			}
			again.expectRepeats(requests[:3])
			again.mustRefuse(bustRequest(3, ""), positions.BustBeforeReset)
		})
	}
}

// expectRepeats asks again for what events 5, 6 and 7 did.
func (w *world) expectRepeats(requests []*positions.BookingRequest) {
	w.t.Helper()
	w.journal.set(func() { w.journal.walked = true })
	for i, r := range requests {
		again := *r
		again.Actor = "another"
		ev, repeated, err := w.eng.Book(context.Background(), &again)
		if err != nil || !repeated || ev.Seq != uint64(5+i) || !reflect.DeepEqual(ev, w.journal.events(alice)[4+i]) {
			w.t.Errorf("%s again: %t, %v, %+v", r.Title(), repeated, err, ev)
		}
		again.Reason = "another"
		w.mustNotBook(&again, BookingIDReused, fmt.Sprintf("%s: request id %s is that of event %d, which was another "+
			"request; give this one an id of its own", r.Title(), r.ID, 5+i))
	}
}

func TestBookingRefusals(t *testing.T) {
	var full bool
	w := newWorld(t, options{keeps: true, readOnly: func() bool { return full }}, alice)
	malformed := func(r *positions.BookingRequest, sentence string) { w.mustNotBook(r, BookingMalformed, sentence) }
	malformed(bookingOf(positions.Deposit, 0, ""), "the amount to deposit must be above 0, and is 0.00")
	malformed(bookingOf(positions.Withdrawal, -1_0000, ""), "the amount to withdraw must be above 0, and is -1.00")
	malformed(bookingOf(positions.ResetTo, -1_0000, ""), "the cash of a reset cannot be -1.00; it must be 0 or more")
	malformed(bookingOf(positions.Deposit, 1, " x"), "the request id must be at most 64 printable ASCII characters, "+
		"the first and the last no blanks")
	malformed(bookingOf(0, 1, ""), "there is no booking of kind 0")
	r := bookingOf(positions.Deposit, 1, "")
	r.Reason = ""
	malformed(r, "the reason must be one line of 1 to 200 bytes; it has 0")
	w.mustNotBook(bookingOf(positions.Withdrawal, openingCash+1_0000, ""), BookingCashGone, fmt.Sprintf(
		"withdraw 1000001.00, account %d: it has 1000000.00; withdraw at most that", alice))
	w.mustBook(bookingOf(positions.Deposit, math.MaxInt64-openingCash-1, ""))
	w.mustNotBook(bookingOf(positions.Deposit, 2, ""), BookingTooLarge, fmt.Sprintf("deposit 0.0002, account %d: "+
		"it has 922337203685477.5806, and a total would pass the largest the ledger holds; book less", alice))
	for _, kind := range []positions.BookingKind{positions.Deposit, positions.Withdrawal, positions.ResetTo} {
		for _, id := range []string{"", "x"} {
			r := bookingOf(kind, 1_0000, id)
			r.Account = 7
			w.mustNotBook(r, BookingUnknownAccount, r.Title()+": there is no such account; open it first")
		}
	}
	full = true
	if _, _, err := w.eng.Book(t.Context(), bookingOf(positions.Deposit, 1, "")); !errors.Is(err, ErrReadOnly) {
		t.Errorf("read-only: %v", err)
	}
}

// TestBookingOnce: of many requests under the same id one is carried out, whoever comes first, and the
// others are told of it, while the account trades.
func TestBookingOnce(t *testing.T) {
	w := newWorld(t, options{keeps: true, tail: 3}, alice)
	w.trade(alice, 5)
	w.journal.set(func() { w.journal.walked = true })
	var asking sync.WaitGroup
	var mu sync.Mutex
	first, seqs := 0, make(map[uint64]bool)
	for range 20 {
		asking.Go(func() {
			ev, repeated, err := w.eng.Book(context.Background(), bookingOf(positions.Deposit, 7_0000, "once"))
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			if seqs[ev.Seq] = true; !repeated {
				first++
			}
		})
		w.trade1(alice)
	}
	asking.Wait()
	w.settle()
	if first != 1 || len(seqs) != 1 {
		t.Errorf("%d were carried out, in events %v", first, seqs)
	}
	if len(w.eng.busts.current) != 0 || w.eng.busts.count != 0 {
		t.Errorf("%d accounts and %d requests are left", len(w.eng.busts.current), w.eng.busts.count)
	}
}

// TestBookingGivenUp: a caller that gives up while its request waits for its turn changes nothing, and
// the account's next request is served.
func TestBookingGivenUp(t *testing.T) {
	w := newWorld(t, options{keeps: true}, alice)
	if err := w.eng.busts.acquire(t.Context(), w.eng.stopping, alice); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := w.eng.Book(ctx, bookingOf(positions.Deposit, 1, "")); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	w.eng.busts.release(alice)
	if ev := w.mustBook(bookingOf(positions.Deposit, 1, "")); ev.Seq != 2 {
		t.Errorf("event %d", ev.Seq)
	}
}

// TestOrderIDsSurviveReset: an order that was executed before a reset is not executed again after it.
func TestOrderIDsSurviveReset(t *testing.T) {
	w := newWorld(t, options{keeps: true}, alice)
	c := w.loggedIn(alice)
	c.order(buy(10, "once"))
	w.settle()
	w.mustBook(bookingOf(positions.ResetTo, 500_0000, ""))
	w.settle()
	c.order(buy(10, "once"))
	w.settle()
	c.expect("EXECUTION 2 #2", "EVENT 3", "REPEAT 2 #3")
	again := newWorld(t, options{journal: w.journal.restart(0)})
	c = again.loggedIn(alice)
	c.order(buy(10, "once"))
	again.settle()
	c.expect("REPEAT 2 #2")
}

func TestOpeningCash(t *testing.T) {
	w := newWorld(t, options{tail: 3}, alice, bob)
	if cash, err := w.eng.OpeningCash(t.Context(), alice); cash != openingCash || err != nil {
		t.Errorf("%d, %v", cash, err)
	}
	w.trade(alice, 5)
	for _, c := range []struct {
		account uint64
		reason  BookingReason
		want    string
	}{
		{alice, BookingOpeningNotKept, "is not known any more; say to what cash"},
		{7, BookingUnknownAccount, "reset account 7: there is no such account; open it first"},
	} {
		_, err := w.eng.OpeningCash(t.Context(), c.account)
		refused := (*BookingRefusedError)(nil)
		if !errors.As(err, &refused) || refused.Reason != c.reason || !strings.Contains(err.Error(), c.want) {
			t.Errorf("account %d: %v", c.account, err)
		}
	}
}
