//go:build linux

package soak

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
)

// The soak. The server's bounds are made small, so that they are reached: a client that stops reading is cut, and history is
// dropped.
const (
	soakHistoryBytes = 64 << 20
	soakOutboxBytes  = 64 << 10
	soakSendBuffer   = 16 << 10
	soakStall        = 3 * time.Second
	soakHeapMore     = 64.0 + 32 + journalMore // MiB: the history, slack, the journal
	soakRSSMore      = 2*64.0 + 96 + journalMore
	ordersAtOnce     = 20
	stallRequests    = 100 // whose answers are not read
)

func soakFlags() []string {
	return []string{
		"--history-memory-bytes-max", strconv.Itoa(soakHistoryBytes), "--outbox-bytes-max", strconv.Itoa(soakOutboxBytes),
		"--socket-send-buffer-bytes", strconv.Itoa(soakSendBuffer), "--stall-timeout", soakStall.String(), "--presence", "all",
	}
}

// wanderer is a client that comes and goes.
type wanderer struct {
	*peer
	run     *run
	culprit bool // it did what the server may end the connection for
	did     *[deeds]int
}

// What a wanderer does next.
const (
	deedOrder = iota
	deedOrders
	deedHoldings
	deedHistory
	deedSubscribe
	deedLeave
	deedVanish
	deedStall
	deedGarbage
	deedHalf
	deeds
)

var deedNames = [deeds]string{
	"orders one by one", "bursts of orders", "holdings asked", "history asked", "subscriptions", "left", "vanished", "stalled",
	"sent garbage", "sent half a frame",
}

// weights are how often each deed is chosen, of their sum.
var weights = [deeds]int{50, 5, 8, 5, 10, 8, 6, 4, 2, 2}

func chooseDeed(rng *rand.Rand) int {
	sum := 0
	for _, w := range weights {
		sum += w
	}
	n := rng.IntN(sum)
	for deed, w := range weights {
		if n -= w; n < 0 {
			return deed
		}
	}
	return deedOrder
}

// soak lets clients come and go until the time is over.
func (r *run) soak(ctx context.Context) error {
	before, err := r.usage(ctx)
	if err != nil {
		return err
	}
	if err := r.login(ctx); err != nil {
		return err
	}
	if err := r.rate(ctx, r.Rate); err != nil {
		return err
	}
	var did [deeds]int
	over := time.Now().Add(r.Duration)
	for _, p := range r.peers {
		w := &wanderer{peer: p, run: r, did: &did}
		p.onEnd, p.onLive = w.thrownOut, func() { w.plan(over) }
		w.plan(over)
	}
	if err := r.pass(ctx, "soak", r.Duration); err != nil {
		return err
	}
	loaded, err := r.usage(ctx)
	if err != nil {
		return err
	}
	if err := r.rate(ctx, 0); err != nil {
		return err
	}
	for _, p := range r.peers {
		if p.conn != nil && p.conn.paused {
			p.conn.pause(false)
		}
	}
	if err := r.loop.until(ctx, settleLimit, "waiting for everybody to come back", r.allBack); err != nil {
		return err
	}
	if err := r.settle(ctx); err != nil {
		return err
	}
	r.showUsage("before", before)
	r.showUsage("under load", loaded)
	r.showSoak(&did)
	return r.recovered(ctx, before, soakHeapMore, soakRSSMore)
}

func (r *run) allBack() bool { return r.tally.live == len(r.peers) }

func (r *run) showSoak(did *[deeds]int) {
	rep, t := r.report, r.tally
	rep.count("events delivered", t.events)
	rep.count("events replayed", t.replayed)
	rep.count("logins", t.logins)
	rep.count("resumed", t.resumed)
	rep.count("resynced, as history was dropped", t.resynced)
	rep.count("orders", t.orders)
	rep.count("orders executed", t.executions)
	rep.count("pushes of quotes", t.quotes)
	rep.count("pushes of presence", t.presence)
	rep.count("lists of holdings compared", t.holdings)
	for deed, n := range did {
		rep.count("clients: "+deedNames[deed], n)
	}
	for _, code := range slices.Sorted(maps.Keys(t.rejects)) {
		rep.count(code.String(), t.rejects[code])
	}
	for _, reason := range slices.Sorted(maps.Keys(t.goodbyes)) {
		rep.count(reason.String(), t.goodbyes[reason])
	}
	rep.count("gaps", t.gaps)
	rep.count("repeats", t.repeats)
	if t.events == 0 || t.executions == 0 || t.resumed == 0 {
		rep.fail("%d events, %d executions, %d resumed: nothing was tested", t.events, t.executions, t.resumed)
	}
}

// plan has the next deed done soon, unless the time is over.
func (w *wanderer) plan(over time.Time) {
	c := w.conn
	w.loop.after(time.Duration(100+w.rng.IntN(1900))*time.Millisecond, func() {
		if w.conn != c || !w.live || time.Now().After(over) {
			return
		}
		w.do(chooseDeed(w.rng))
		if w.conn == c {
			w.plan(over)
		}
	})
}

func (w *wanderer) do(deed int) {
	if w.culprit && deed >= deedStall || w.conn.paused {
		return // one thing after the other
	}
	w.did[deed]++
	switch deed {
	case deedOrder:
		w.order()
	case deedOrders:
		for range 1 + w.rng.IntN(ordersAtOnce) {
			w.order()
		}
	case deedHoldings:
		w.ask(typeHoldings, &papertapev1.HoldingsRequest{})
	case deedHistory:
		w.ask(typeHistory, &papertapev1.HistoryRequest{Limit: uint32(w.rng.IntN(100))})
	case deedSubscribe:
		w.ask(typeSubscribe, &papertapev1.Subscribe{Quotes: w.rng.IntN(2) == 0, Presence: w.rng.IntN(8) == 0})
	case deedLeave:
		w.fresh = w.rng.IntN(5) == 0
		w.leave(false)
		w.comeBack()
	case deedVanish:
		w.order() // whose answer it will find on the tape, or not
		w.leave(true)
		w.comeBack()
	case deedStall:
		w.stall()
	case deedGarbage, deedHalf:
		w.culprit = true
		w.conn.send(rubbish(w.rng, deed-deedGarbage))
		if deed == deedHalf {
			w.leave(true)
			w.comeBack()
		}
	}
}

// stall asks for much and does not read it for a while.
func (w *wanderer) stall() {
	c := w.conn
	w.culprit = true
	c.pause(true)
	for range 1 + w.rng.IntN(stallRequests) {
		w.ask(typeHistory, &papertapev1.HistoryRequest{Limit: 100})
	}
	w.loop.after(time.Duration(500+w.rng.IntN(8000))*time.Millisecond, func() {
		if w.conn == c {
			c.pause(false)
		}
	})
}

// thrownOut comes back when the server has ended the connection, and says so if there was no reason.
func (w *wanderer) thrownOut(err error) {
	slow := w.bye == papertapev1.GoodbyeReason_GOODBYE_REASON_SLOW // not always our doing: history may have been dropped
	if !w.culprit && !slow && !errors.Is(err, context.Canceled) {
		w.tally.find(fmt.Sprintf("account %d: the server ended the connection of a client that did nothing wrong: %s", w.account, w.endedBy(err)))
	}
	w.comeBack()
}

// comeBack dials again after a while.
func (w *wanderer) comeBack() {
	w.loop.after(time.Duration(w.rng.IntN(2000))*time.Millisecond, func() {
		w.culprit = false
		if err := w.dial(); err != nil {
			w.tally.find(fmt.Sprintf("account %d: %v", w.account, err))
		}
	})
}
