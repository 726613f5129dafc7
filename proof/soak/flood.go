//go:build linux

package soak

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	orderEvery        = time.Second
	attackerStays     = 7 * time.Second // longer than the server's login timeout
	attackStep        = 5 * time.Millisecond
	ratioMax          = 3.0                // p99 during the attack to p99 in the calm
	ratioMaxKeys      = 1.2                // the same, beside those who try wrong keys
	floodHistoryBytes = 4 << 20            // little, so that it cannot be mistaken for what attackers leave behind
	floodHeapMore     = 16.0 + journalMore // MiB: that history, slack, the journal
	floodRSSMore      = 48.0 + journalMore // MiB: twice the heap, what the runtime keeps, the journal
)

// wrongKeys is part of what a server logs about those who try wrong keys, as it should.
const wrongKeys = "refused"

// flood times the orders of honest clients, alternately alone and beside attackers.
func (r *run) flood(ctx context.Context) error {
	before, err := r.usage(ctx)
	if err != nil {
		return err
	}
	if err := r.login(ctx); err != nil {
		return err
	}
	r.failOnEnd()
	skipped := r.placeOrders()
	r.showUsage("before", before)
	if err := r.letRun(ctx, "warming up", min(2*orderEvery, r.Duration)); err != nil {
		return err
	}
	with, err := r.usage(ctx)
	if err != nil {
		return err
	}
	r.showUsage("with the honest clients", with)
	attacks := attackCount{}
	ratios, err := r.alternate(ctx, &attacks)
	if err != nil {
		return err
	}
	r.pacing = false
	if err := r.settle(ctx); err != nil {
		return err
	}
	r.judgeFlood(ratios, &attacks, *skipped)
	return r.recovered(ctx, with, floodHeapMore, floodRSSMore)
}

// alternate times the orders again and again, alone and beside attackers, and returns the ratio of each round.
func (r *run) alternate(ctx context.Context, attacks *attackCount) (ratios []float64, err error) {
	for range r.Repeat {
		calm, err := r.timeOrders(ctx, "calm", max(r.Duration/3, time.Second))
		if err != nil {
			return nil, err
		}
		stop := r.attack(ctx, attacks)
		beside, err := r.timeOrders(ctx, "attack", r.Duration)
		if err := stop(); err != nil {
			return nil, err
		}
		if err != nil {
			return nil, err
		}
		r.report.add("order p99, calm", milliseconds(calm), "ms")
		r.report.add("order p99, attack", milliseconds(beside), "ms")
		ratios = append(ratios, float64(beside)/float64(max(calm, time.Microsecond)))
		r.report.add("ratio", ratios[len(ratios)-1], "")
	}
	return ratios, nil
}

// judgeFlood reports what was counted, and fails where a promise did not hold.
func (r *run) judgeFlood(ratios []float64, attacks *attackCount, skipped int) {
	rep, t := r.report, r.tally
	ratio := median(ratios)
	rep.add("ratio, median", ratio, "")
	rep.count("attackers", attacks.came)
	if r.hello != nil {
		rep.count("attackers that began a handshake", attacks.hellos)
	}
	rep.count("attackers ended by the server", attacks.ended)
	rep.count("attackers that could not connect", attacks.failed)
	rep.count("orders", t.orders)
	rep.count("orders executed", t.executions)
	rep.count("orders refused", t.refused())
	rep.count("orders late by a second", skipped)
	rep.count("gaps", t.gaps)
	rep.count("repeats", t.repeats)
	most := ratioMax
	if r.Keys {
		most = ratioMaxKeys
		rep.count("wrong keys tried", attacks.tried)
		if attacks.tried == 0 {
			rep.fail("nobody tried a wrong key")
		}
	}
	rep.within("the median ratio of p99 beside the attack to p99 in the calm", ratio, most, "")
	if t.executions+t.refused() != t.orders {
		rep.fail("%d orders were sent, %d executed and %d refused: not every one was answered", t.orders,
			t.executions, t.refused())
	}
	if t.live != r.Clients || t.executions == 0 {
		rep.fail("%d of %d honest clients are logged in, %d orders were executed", t.live, r.Clients, t.executions)
	}
	if attacks.came == attacks.failed {
		rep.fail("%d attackers came, and %d of them could not connect: nobody attacked", attacks.came, attacks.failed)
	}
}

func (t *tally) refused() (n int) {
	for _, k := range t.rejects {
		n += k
	}
	return n
}

// placeOrders makes every client place an order a second, each at its own moment of the second, while
// pacing is set. If an order has no answer when the next is due, that is counted and the next is
// delayed. This hides nothing, because the wait is part of the late order's time.
func (r *run) placeOrders() (skipped *int) {
	skipped, r.pacing = new(int), true
	for i, p := range r.peers {
		var next func()
		next = func() {
			if !r.pacing || !p.live {
				return
			}
			if p.orders == 0 {
				p.order()
			} else {
				*skipped++
			}
			r.loop.after(orderEvery, next)
		}
		r.loop.after(orderEvery*time.Duration(i)/time.Duration(len(r.peers)), next)
	}
	return skipped
}

// timeOrders returns the p99 of the orders that are answered during d.
func (r *run) timeOrders(ctx context.Context, stage string, d time.Duration) (p99 time.Duration, err error) {
	r.tally.timed, r.tally.trips, r.tally.lags = true, nil, nil
	defer func() { r.tally.timed = false }()
	if err := r.letRun(ctx, stage, d); err != nil {
		return 0, err
	}
	if len(r.tally.trips) == 0 {
		return 0, fmt.Errorf("%s: no order was answered in %s", stage, d)
	}
	return percentile(r.tally.trips, 0.99), nil
}

// attackCount counts attackers. It belongs to the attack while one is running.
type attackCount struct{ came, ended, failed, tried, hellos int }

// attack starts the attack on a loop and a goroutine of its own, so that it does not disturb the
// timing. stop ends it and waits for it and for the last attackers.
func (r *run) attack(ctx context.Context, count *attackCount) (stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	rng := rand.New(rand.NewPCG(r.Seed, uint64(count.came)+1<<32))
	go func() { ended <- r.attackUntil(ctx, count, rng) }() // ends with stop
	return func() error {
		cancel()
		return r.loop.during(func() error { return <-ended })
	}
}

func (r *run) attackUntil(ctx context.Context, count *attackCount, rng *rand.Rand) error {
	l, err := newLoop()
	if err != nil {
		return err
	}
	defer l.close()
	start, came := time.Now(), 0
	for ctx.Err() == nil {
		due := int(time.Since(start).Seconds() * float64(r.Attackers))
		for ; came < due; came++ {
			if !r.attacker(l, count, rng, came) {
				count.failed++
			}
			count.came++
		}
		if err := l.turn(attackStep); err != nil {
			return err
		}
	}
	return nil
}

// attacker connects from one of the addresses. The kinds of attack take turns. With keys, all try wrong ones.
func (r *run) attacker(l *loop, count *attackCount, rng *rand.Rand, number int) bool {
	if k := r.keyed; k != nil {
		f := &forger{attacker: attacker{count: count}, keyed: k}
		return r.comes(l, f, &f.attacker, number, nil)
	}
	a := &attacker{count: count}
	if r.hello != nil && number%4 == 3 {
		count.hellos++
		return r.comes(l, a, a, number, r.hello)
	}
	return r.comes(l, a, a, number, attackBytes(rng, number%3))
}

// comes connects an attacker, which begins with these bytes.
func (r *run) comes(l *loop, o owner, a *attacker, number int, begin []byte) bool {
	c, err := l.dial(r.port, &[4]byte{127, 0, 1, byte(1 + number%r.Addresses)}, o)
	if err != nil {
		return false
	}
	a.conn = c
	if len(begin) > 0 {
		c.send(begin)
	}
	l.after(attackerStays, func() { c.close() })
	return true
}

// attackBytes returns what a client should not send: 0 garbage, 1 half a frame, 2 nothing.
func attackBytes(rng *rand.Rand, kind int) []byte {
	switch kind {
	case 0:
		b := make([]byte, 16+rng.IntN(1024))
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return b
	case 1:
		b := binary.BigEndian.AppendUint32(nil, 40) // at most 20 of them are sent
		b = binary.BigEndian.AppendUint16(b, typeLogin)
		return append(b, make([]byte, rng.IntN(18))...)
	}
	return nil
}

// attacker is an attacking connection, which counts its end.
type attacker struct {
	count *attackCount
	conn  *conn
}

func (a *attacker) received([]byte) {}

func (a *attacker) ended(error) {
	if a.conn.connecting { // nobody listens, or there is no room
		a.count.failed++
	} else {
		a.count.ended++
	}
}
