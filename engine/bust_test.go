package engine

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/papertape/papertape/positions"
)

// bustRequest returns a request to bust a trade of alice.
func bustRequest(trade uint64, id string) *positions.BustRequest {
	return &positions.BustRequest{Account: alice, TradeSeq: trade, Reason: "wrong price", Actor: "ops", ID: id}
}

// mustBust busts a trade, which must succeed.
func (w *world) mustBust(r *positions.BustRequest) positions.Event {
	w.t.Helper()
	ev, repeated, err := w.eng.Bust(context.Background(), r)
	if err != nil || repeated {
		w.t.Fatalf("bust of %d-%d: repeated %t, %v", r.Account, r.TradeSeq, repeated, err)
	}
	return ev
}

// mustRefuse makes a request that must be refused for the given reason.
func (w *world) mustRefuse(r *positions.BustRequest, reason positions.BustReason) positions.BustOutcome {
	w.t.Helper()
	head := w.journal.head(alice)
	_, _, err := w.eng.Bust(context.Background(), r)
	refusal := (*BustRefusedError)(nil)
	if !errors.As(err, &refusal) || refusal.Outcome.Reason != reason {
		w.t.Fatalf("bust of %d-%d: %v, want %s", r.Account, r.TradeSeq, err, reason)
	}
	if refusal.Error() != refusal.Outcome.Sentence(r, testUniverse) || w.journal.head(alice) != head {
		w.t.Errorf("it says %q, and event %d was made", refusal, w.journal.head(alice))
	}
	return refusal.Outcome
}

// tradeExample makes the trades of the example in docs/ledger.md: alice buys 100 @ 10 (event 2),
// buys 100 @ 20 (event 3), and sells 50 @ 18 (event 4).
func (w *world) tradeExample() {
	w.t.Helper()
	for _, trade := range []struct {
		side     positions.Side
		quantity int64
		price    int64
	}{{positions.Buy, 100, 10_0000}, {positions.Buy, 100, 20_0000}, {positions.Sell, 50, 18_0000}} {
		w.prices.Store(testUniverse.Opening().With(ten, trade.price))
		r := Request{Kind: KindOrder, Order: orderOf(trade.side, ten, trade.quantity)}
		r.Account = alice
		w.eng.Submit(alice, []Request{r})
		w.settle()
	}
}

// TestBustGolden: a bust gives the figures of the example in docs/ledger.md, reaches every session
// in sequence, and survives a crash.
func TestBustGolden(t *testing.T) {
	for _, keeps := range []bool{true, false} {
		t.Run(fmt.Sprintf("keeps=%t", keeps), func(t *testing.T) {
			w := newWorld(t, options{keeps: keeps}, alice, bob)
			c, other, stranger := w.loggedIn(alice), w.loggedIn(alice), w.loggedIn(bob)
			w.tradeExample()
			ev := w.mustBust(bustRequest(3, "b1"))
			if ev.Seq != 5 || ev.Kind != positions.KindBust || ev.Bust.TradeSeq != 3 || ev.Bust.ID != "b1" ||
				ev.Change != positions.Decreased {
				t.Errorf("the event is %+v", ev)
			}
			if row := ev.Bust.Positions[0]; row.Quantity != 50 || row.Cost != 500_0000 || row.Realised != 400_0000 ||
				row.Version != 5 {
				t.Errorf("the row is %+v", row)
			}
			h, err := w.eng.Holdings(t.Context(), alice)
			if err != nil || h.Seq != 5 || h.Positions[0].Cost != 500_0000 || h.Cash.Realised != 400_0000 ||
				h.Cash.Balance != openingCash-1000_0000+900_0000 {
				t.Errorf("the account is %+v, %v", h, err)
			}
			w.settle()
			c.expect("EVENT 2", "EVENT 3", "EVENT 4", "EVENT 5")
			other.expect("EVENT 2", "EVENT 3", "EVENT 4", "EVENT 5")
			stranger.expect()
			if !reflect.DeepEqual(c.last().ev, ev) || !reflect.DeepEqual(w.journal.events(alice)[4], ev) {
				t.Error("what the sessions and the journal were told is not what was answered")
			}
			if !keeps {
				return
			}
			again := newWorld(t, options{journal: w.journal.restart(0)})
			if after, err := again.eng.Holdings(t.Context(), alice); err != nil ||
				!sameHoldings(after, h) && after.Hash != h.Hash {
				t.Errorf("after a restart %+v, %v", after, err)
			}
			again.mustRefuse(bustRequest(3, "b2"), positions.BustAlready)
			first, repeated, err := again.eng.Bust(t.Context(), bustRequest(3, "b1"))
			if err != nil || !repeated || !reflect.DeepEqual(first, ev) {
				t.Errorf("the same id after a restart: %t, %v, %+v", repeated, err, first)
			}
		})
	}
}

// TestBustAnswers: a refusal says why and changes nothing. A repeated request gets the first
// answer.
func TestBustAnswers(t *testing.T) {
	w := newWorld(t, options{keeps: true}, alice)
	w.tradeExample()
	wrong := bustRequest(3, "")
	wrong.Reason = ""
	w.mustRefuse(wrong, positions.BustMalformed)
	w.mustRefuse(bustRequest(99, ""), positions.BustUnknownTrade)
	w.mustRefuse(bustRequest(1, ""), positions.BustNotATrade)
	unknown := bustRequest(3, "")
	unknown.Account = 7
	w.mustRefuse(unknown, positions.BustUnknownAccount)
	w.mustBust(bustRequest(3, "one"))
	w.mustBust(bustRequest(4, "two"))
	if ev, repeated, err := w.eng.Bust(t.Context(), bustRequest(3, "one")); err != nil || !repeated || ev.Seq != 5 {
		t.Errorf("the same again: event %d, %t, %v", ev.Seq, repeated, err)
	}
	w.mustRefuse(bustRequest(2, "one"), positions.BustIDReused)
	w.mustRefuse(bustRequest(3, "three"), positions.BustAlready)
	w.mustRefuse(bustRequest(5, ""), positions.BustNotATrade)
	if _, err := w.eng.event(t.Context(), alice, 99); err == nil {
		t.Error("event 99 was found")
	}
}

// TestBustPolicies: trades that depend on the busted one are named in the refusal, or busted with
// it.
func TestBustPolicies(t *testing.T) {
	w := newWorld(t, options{keeps: true}, alice)
	w.tradeExample()
	// Event 5 sells more shares than there would be without event 2.
	sell := Request{Kind: KindOrder, Order: orderOf(positions.Sell, ten, 100)}
	sell.Account = alice
	w.eng.Submit(alice, []Request{sell})
	w.settle()
	if o := w.mustRefuse(bustRequest(2, ""), positions.BustSharesGone); !slices.Equal(o.InTheWay, []uint64{5}) {
		t.Errorf("in the way are %v", o.InTheWay)
	}
	r := bustRequest(2, "")
	r.Policy = positions.PolicyCascade
	ev := w.mustBust(r)
	if row := ev.Bust.Positions[0]; !slices.Equal(ev.Bust.Cascade, []uint64{5}) || row.Quantity != 50 ||
		row.Cost != 1000_0000 {
		t.Errorf("it took back %v, and left %+v", ev.Bust.Cascade, row)
	}
}

// TestCorrections: after a trade was corrected twice and then busted, the account is as if the trade
// had never been made.
func TestCorrections(t *testing.T) {
	w := newWorld(t, options{keeps: true}, alice)
	w.tradeExample()
	for i, price := range []int64{21_0000, 22_0000} {
		r := bustRequest(3, fmt.Sprint("c", i))
		revision := uint32(i)
		r.Correct, r.Price, r.Quantity, r.Revision = true, price, 100, &revision
		if ev := w.mustBust(r); ev.Bust.Replacement.Revision != revision+1 || ev.Bust.Replacement.Price != price {
			t.Errorf("correction %d is %+v", i, ev.Bust.Replacement)
		}
		r.ID = ""
		w.mustRefuse(r, positions.BustStaleRevision)
	}
	ev := w.mustBust(bustRequest(3, ""))
	if row := ev.Bust.Positions[0]; row.Quantity != 50 || row.Cost != 500_0000 || ev.Cash.Realised != 400_0000 ||
		ev.Bust.Original.Revision != 2 {
		t.Errorf("it left %+v, %+v", row, ev.Cash)
	}
}

// TestBustBelowTail: a bust reads events older than the tail from the journal, in pieces, and events
// that are not checkpointed yet from the tail.
func TestBustBelowTail(t *testing.T) {
	w := newWorld(t, options{keeps: true, tail: 3, reads: 1}, alice)
	w.trade(alice, 2*walkEvents+10)
	w.trade1(alice) // not checkpointed
	w.settle()
	if a := w.account(alice); a.tail.oldest < 2*walkEvents {
		t.Fatalf("the tail begins with %d", a.tail.oldest)
	}
	head := w.journal.head(alice)
	ev := w.mustBust(bustRequest(7, ""))
	if ev.Seq != head+1 || ev.Bust.Positions[0].Quantity != int64(head)-2 {
		t.Errorf("event %d leaves %+v", ev.Seq, ev.Bust.Positions)
	}

	failure := errors.New("the disk is gone")
	w.journal.set(func() { w.journal.readErr = failure })
	if _, _, err := w.eng.Bust(t.Context(), bustRequest(8, "")); !errors.Is(err, failure) {
		t.Errorf("with a journal that cannot be read: %v", err)
	}
	w.journal.set(func() {
		w.journal.readErr = nil
		w.journal.misread = func([]positions.Event) []positions.Event { return nil }
	})
	if _, _, err := w.eng.Bust(t.Context(), bustRequest(8, "")); err == nil ||
		!strings.Contains(err.Error(), "event 1: history could not be read") {
		t.Errorf("with a journal that has nothing: %v", err)
	}
	w.journal.set(func() { w.journal.misread = func(all []positions.Event) []positions.Event { return all[1:] } })
	w.mustRefuse(bustRequest(8, ""), positions.BustDamaged)
	w.journal.set(func() {
		w.journal.misread = func(all []positions.Event) []positions.Event {
			all[3].Trade.Quantity++
			return all
		}
	})
	w.mustRefuse(bustRequest(8, ""), positions.BustDamaged)
	w.journal.set(func() { w.journal.misread = nil })
	w.mustBust(bustRequest(8, ""))
}

// TestBustOlderThanKept: if only the tail is kept, a trade older than the tail cannot be busted.
// Neither can a trade that builds on such a trade.
func TestBustOlderThanKept(t *testing.T) {
	w := newWorld(t, options{tail: 3}, alice)
	w.trade(alice, 5)
	w.mustRefuse(bustRequest(2, ""), positions.BustNotKept)
	w.mustRefuse(bustRequest(6, ""), positions.BustNotKept)
}

// TestBustWhileTrading: events made while a bust reads the history are folded too, even if they are
// dropped from memory or checkpointed meanwhile.
func TestBustWhileTrading(t *testing.T) {
	for _, o := range []options{{keeps: true, tail: 2}, {keeps: true}, {tail: 20}} {
		t.Run(fmt.Sprintf("keeps=%t,tail=%d", o.keeps, o.tail), func(t *testing.T) {
			o.reads = 1
			w := newWorld(t, o, alice)
			w.trade(alice, 9)
			release := w.holdReader()
			defer release()
			done := make(chan error, 1)
			go func() {
				ev, _, err := w.eng.Bust(context.Background(), bustRequest(3, ""))
				if err == nil && ev.Bust.Positions[0].Quantity != int64(ev.Seq)-3 {
					err = fmt.Errorf("event %d leaves %+v", ev.Seq, ev.Bust.Positions)
				}
				done <- err
			}()
			w.until("the bust to wait", func() bool { return w.waiting() == 1 })
			for range 8 {
				head := w.journal.head(alice)
				w.trade1(alice)
				w.until("the trade", func() bool { return w.journal.head(alice) > head })
				if !o.keeps {
					continue
				}
				if _, err := w.eng.Checkpoint(t.Context(), w.journal.store); err != nil {
					t.Fatal(err)
				}
				w.eng.Checkpointed()
			}
			release()
			if err := <-done; err != nil && (o.keeps || !strings.Contains(err.Error(), "older than the history kept")) {
				t.Error(err)
			}
		})
	}
}

// TestBustsOfOneAccount: busts of one account run one after another, busts of different accounts
// concurrently.
func TestBustsOfOneAccount(t *testing.T) {
	w := newWorld(t, options{keeps: true, shards: 2}, alice, bob)
	w.trade(alice, 30)
	w.trade(bob, 30)
	c := w.loggedIn(alice)
	var busts sync.WaitGroup
	for trade := uint64(2); trade <= 31; trade++ {
		for _, account := range []uint64{alice, bob} {
			busts.Go(func() {
				r := bustRequest(trade, "")
				r.Account = account
				if _, _, err := w.eng.Bust(context.Background(), r); err != nil {
					t.Errorf("%d-%d: %v", account, trade, err)
				}
			})
		}
		w.trade1(alice)
	}
	busts.Wait()
	w.settle()
	if len(w.eng.busts.current) != 0 || w.eng.busts.count != 0 {
		t.Errorf("%d accounts and %d requests are left", len(w.eng.busts.current), w.eng.busts.count)
	}
	for _, account := range []uint64{alice, bob} {
		h, err := w.eng.Holdings(t.Context(), account)
		if want := int64(w.journal.head(account)) - 61; err != nil || want > 0 && h.Positions[0].Quantity != want {
			t.Errorf("account %d: %+v, %v", account, h, err)
		}
	}
	for i, f := range c.all() {
		if f.kind == "EVENT" && f.ev.Seq != uint64(30+i+1) {
			t.Fatalf("frame %d is %s", i, f)
		}
	}
}

// TestBustBounds: too many busts at a time are refused, and so are busts that the journal has no
// room for. A repeated request needs no room.
func TestBustBounds(t *testing.T) {
	var full bool
	w := newWorld(t, options{keeps: true, reads: 1, uncheckpointed: 8, readOnly: func() bool { return full }}, alice)
	w.trade(alice, 4)
	w.mustBust(bustRequest(2, "done"))
	full = true
	if _, _, err := w.eng.Bust(t.Context(), bustRequest(3, "")); !errors.Is(err, ErrReadOnly) {
		t.Errorf("read-only: %v", err)
	}
	if _, repeated, err := w.eng.Bust(t.Context(), bustRequest(2, "done")); err != nil || !repeated {
		t.Errorf("a repeat: %t, %v", repeated, err)
	}
	full = false
	for range 7 {
		w.trade1(alice)
	}
	w.settle()
	if _, _, err := w.eng.Bust(t.Context(), bustRequest(3, "")); !errors.Is(err, ErrBusy) {
		t.Errorf("with too much that is not checkpointed: %v", err)
	}
	w.checkpoint()

	release := w.holdReader()
	defer release()
	ctx, cancel := context.WithCancel(t.Context())
	var busts sync.WaitGroup
	for range bustsMax {
		busts.Go(func() {
			if _, _, err := w.eng.Bust(ctx, bustRequest(3, "")); !errors.Is(err, context.Canceled) {
				t.Errorf("a bust given up: %v", err)
			}
		})
	}
	w.until("all to wait", func() bool {
		w.eng.busts.mu.Lock()
		defer w.eng.busts.mu.Unlock()
		return w.eng.busts.count == bustsMax
	})
	if _, _, err := w.eng.Bust(t.Context(), bustRequest(3, "")); !errors.Is(err, ErrBusy) ||
		!strings.Contains(err.Error(), "64 busts") {
		t.Errorf("one too many: %v", err)
	}
	cancel()
	busts.Wait()
	release()
	w.mustBust(bustRequest(4, ""))
}

// TestBustPanics: a panic in the decision is recovered, and the account stays usable.
func TestBustPanics(t *testing.T) {
	w := newWorld(t, options{}, alice)
	w.tradeExample()
	w.prices.Store(nil)
	_, _, err := w.eng.Bust(t.Context(), bustRequest(3, ""))
	w.prices.Store(testUniverse.Opening())
	if err == nil || !strings.Contains(err.Error(), "a defect") || w.eng.Stats().Panics != 1 ||
		w.journal.head(alice) != 4 {
		t.Errorf("%v, %d panics, event %d", err, w.eng.Stats().Panics, w.journal.head(alice))
	}
	w.mustBust(bustRequest(3, ""))
}

// TestBustWhenStopped: all callers, including waiting ones, learn that the engine has stopped.
func TestBustWhenStopped(t *testing.T) {
	w := newWorld(t, options{keeps: true, reads: 1}, alice)
	w.trade(alice, 3)
	w.holdReader()
	done := make(chan error, 2)
	for range 2 {
		go func() {
			_, _, err := w.eng.Bust(context.Background(), bustRequest(2, ""))
			done <- err
		}()
	}
	w.until("both to wait", func() bool {
		w.eng.busts.mu.Lock()
		defer w.eng.busts.mu.Unlock()
		return w.eng.busts.count == 2
	})
	w.ended = true // the waiting read will never start
	w.eng.Stop()
	for range 2 {
		if err := <-done; !errors.Is(err, ErrStopped) {
			t.Errorf("a bust when the engine stops: %v", err)
		}
	}
}

// holdReader occupies the only slot for readers until release is called.
func (w *world) holdReader() (release func()) {
	r := &w.eng.reads
	r.mu.Lock()
	slot := r.acquire()
	r.mu.Unlock()
	if slot == nil {
		w.t.Fatalf("a reader is under way")
	}
	return sync.OnceFunc(func() { r.release(slot) })
}

// waiting returns how many reads wait for a slot.
func (w *world) waiting() (n int) {
	r := &w.eng.reads
	r.mu.Lock()
	defer r.mu.Unlock()
	for rd := r.waiting.next; rd != &r.waiting; rd = rd.next {
		n++
	}
	return n
}

// TestPreviewBust: a preview says what the bust then does, and does nothing, whatever else happens. A
// cascade that has grown since is refused.
func TestPreviewBust(t *testing.T) {
	for _, keeps := range []bool{true, false} {
		readOnly := false
		w := newWorld(t, options{keeps: keeps, readOnly: func() bool { return readOnly }}, alice)
		c := w.loggedIn(alice)
		w.tradeExample()
		before, err := w.eng.Holdings(t.Context(), alice)
		if err != nil {
			t.Fatal(err)
		}
		readOnly = true
		p, err := w.eng.PreviewBust(t.Context(), bustRequest(3, ""))
		if err != nil || !reflect.DeepEqual(p.Before, before) {
			t.Fatalf("before is %+v, %v; want %+v", p.Before, err, before)
		}
		readOnly = false
		if after, err := w.eng.Holdings(t.Context(), alice); err != nil || !reflect.DeepEqual(after, before) {
			t.Errorf("a preview left %+v, %v", after, err)
		}
		c.expect("EVENT 2", "EVENT 3", "EVENT 4")
		ev := w.mustBust(bustRequest(3, ""))
		p.Event.Time = ev.Time
		if !reflect.DeepEqual(p.Event, ev) {
			t.Errorf("the preview is\n%+v\nwas done\n%+v", p.Event, ev)
		}
		if _, err := w.eng.PreviewBust(t.Context(), bustRequest(3, "")); err == nil ||
			!strings.Contains(err.Error(), "already busted") {
			t.Errorf("of what is busted: %v", err)
		}
	}
}

// TestBustExpectsCascade: a bust that would take others back than were expected is refused, and names them.
func TestBustExpectsCascade(t *testing.T) {
	w := newWorld(t, options{}, alice)
	w.tradeExample()
	r := bustRequest(2, "")
	for _, trade := range []struct {
		side     positions.Side
		quantity int64
	}{{positions.Sell, 100}, {positions.Sell, 50}} { // nothing is left, so they rest on the purchases
		w.eng.Submit(alice, []Request{{Kind: KindOrder, Account: alice, Order: orderOf(trade.side, ten,
			trade.quantity)}})
		w.settle()
	}
	r.Policy = positions.PolicyCascade
	p, err := w.eng.PreviewBust(t.Context(), r)
	if err != nil || len(p.Event.Bust.Cascade) == 0 {
		t.Fatalf("%+v, %v", p.Event.Bust, err)
	}
	cascade := p.Event.Bust.Cascade
	for _, expected := range [][]uint64{nil, cascade[1:], {3}} {
		r.Expected = &expected
		o := w.mustRefuse(r, positions.BustCascadeChanged)
		for _, seq := range o.InTheWay {
			if slices.Contains(expected, seq) || !slices.Contains(cascade, seq) {
				t.Errorf("expecting %v: %d is in the way of %v", expected, seq, cascade)
			}
		}
		if len(o.InTheWay) == 0 {
			t.Errorf("expecting %v: nothing is in the way", expected)
		}
	}
	more := append([]uint64{3}, cascade...) // more than go
	r.Expected = &more
	if ev := w.mustBust(r); !slices.Equal(ev.Bust.Cascade, cascade) {
		t.Errorf("%v went, want %v", ev.Bust.Cascade, cascade)
	}
}
