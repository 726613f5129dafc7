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
	"strings"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
)

// The server's bounds are small, so that they are reached: a client that stops reading is cut, and
// history is dropped.
const (
	soakHistoryBytes = 64 << 20
	soakOutboxBytes  = 64 << 10
	soakSendBuffer   = 16 << 10
	soakStall        = 3 * time.Second
	soakHeapMore     = 64.0 + 32 + journalMore // MiB: the history, slack, the journal
	soakRSSMore      = 2*64.0 + 96 + journalMore
	ordersAtOnce     = 20
	stallRequests    = 100         // requests whose answers are not read
	enoughLimit      = time.Minute // how long a short soak continues until everything has occurred
)

func soakFlags() []string {
	return []string{
		"--history-memory-bytes-max", strconv.Itoa(soakHistoryBytes), "--outbox-bytes-max",
		strconv.Itoa(soakOutboxBytes),
		"--socket-send-buffer-bytes", strconv.Itoa(soakSendBuffer), "--stall-timeout", soakStall.String(),
		"--presence", "all",
	}
}

// wanderer is a client that comes and goes.
type wanderer struct {
	*peer
	run     *run
	dealer  *dealer
	culprit bool // it did something for which the server may end the connection
}

// The deeds of a wanderer.
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
	"orders one by one", "bursts of orders", "holdings asked", "history asked", "subscriptions", "left", "vanished",
	"stalled",
	"sent garbage", "sent half a frame",
}

// weights are how often each deed is dealt in a round.
var weights = [deeds]int{50, 5, 8, 5, 10, 8, 6, 4, 2, 2}

// dealer chooses a wanderer's next deed: first each deed once in random order, so that a short soak
// leaves none out, and then as often as the weights say.
type dealer struct {
	rng   *rand.Rand
	cards []int
}

func newDealer(seed uint64) *dealer {
	d := &dealer{rng: rand.New(rand.NewPCG(seed, 1<<33))}
	for deed := range deeds {
		d.cards = append(d.cards, deed)
	}
	d.shuffle()
	return d
}

func (d *dealer) shuffle() {
	d.rng.Shuffle(len(d.cards), func(i, j int) { d.cards[i], d.cards[j] = d.cards[j], d.cards[i] })
}

func (d *dealer) next() int {
	if len(d.cards) == 0 {
		for deed, n := range weights {
			d.cards = append(d.cards, slices.Repeat([]int{deed}, n)...)
		}
		d.shuffle()
	}
	deed := d.cards[0]
	d.cards = d.cards[1:]
	return deed
}

// back returns a deed that could not be done, so that it is dealt again later.
func (d *dealer) back(deed int) { d.cards = append(d.cards, deed) }

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
	cards := newDealer(r.Seed)
	for _, p := range r.peers {
		w := &wanderer{peer: p, run: r, dealer: cards}
		p.onEnd, p.onLive = w.thrownOut, w.plan
		w.plan()
	}
	if err := r.letRun(ctx, "soak", r.Duration); err != nil {
		return err
	}
	if err := r.untilEnough(ctx); err != nil {
		return err
	}
	r.over = true
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
	r.showSoak()
	return r.recovered(ctx, before, soakHeapMore, soakRSSMore)
}

func (r *run) allBack() bool { return r.tally.live == len(r.peers) }

// notSeen returns what the soak has not seen that it must see before its verdict means anything.
func (r *run) notSeen() (missing []string) {
	for deed, n := range r.did {
		if n == 0 {
			missing = append(missing, deedNames[deed])
		}
	}
	t := r.tally
	for _, seen := range []struct {
		what string
		n    int
	}{{"events", t.events}, {"orders executed", t.executions}, {"resumed", t.resumed},
		{"events replayed", t.replayed}} {
		if seen.n == 0 {
			missing = append(missing, seen.what)
		}
	}
	return missing
}

// untilEnough continues a soak that was too short for everything to occur.
func (r *run) untilEnough(ctx context.Context) error {
	late := time.Now().Add(enoughLimit)
	return r.loop.until(ctx, 2*enoughLimit, "soak", func() bool {
		return len(r.notSeen()) == 0 ||
			time.Now().After(late)
	})
}

func (r *run) showSoak() {
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
	for deed, n := range r.did {
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
	if lacking := r.notSeen(); len(lacking) > 0 {
		rep.fail("there were no %s: too little was tried, it takes more clients or longer",
			strings.Join(lacking, ", no "))
	}
}

// plan schedules the next deed, unless the time is over.
func (w *wanderer) plan() {
	c := w.conn
	w.loop.after(time.Duration(100+w.rng.IntN(1900))*time.Millisecond, func() {
		if w.conn != c || !w.live || w.run.over {
			return
		}
		if deed := w.dealer.next(); !w.do(deed) {
			w.dealer.back(deed)
		}
		if w.conn == c {
			w.plan()
		}
	})
}

// do does a deed. It returns false if the deed has to wait for the one before.
func (w *wanderer) do(deed int) (done bool) {
	if w.culprit && deed >= deedStall || w.conn.paused {
		return false
	}
	w.run.did[deed]++
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
		w.order() // the tape may or may not have its answer later
		w.leave(true)
		w.comeBack()
	case deedStall:
		w.stall()
	case deedGarbage, deedHalf:
		w.culprit = true
		w.conn.send(attackBytes(w.rng, deed-deedGarbage))
		if deed == deedHalf {
			w.leave(true)
			w.comeBack()
		}
	}
	return true
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

// thrownOut reconnects after the server has ended the connection, and reports it if there was no
// reason.
func (w *wanderer) thrownOut(err error) {
	// not always caused by this client: history may have been dropped
	slow := w.bye == papertapev1.GoodbyeReason_GOODBYE_REASON_SLOW
	if !w.culprit && !slow && !errors.Is(err, context.Canceled) {
		w.tally.find(fmt.Sprintf("account %d: the server ended the connection of a client that did nothing wrong: %s",
			w.account, w.endedBy(err)))
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
