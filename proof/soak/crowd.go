//go:build linux

package soak

import "context"

// goroutinesMore is how many more goroutines than before a server may have. Those of the pool and
// of the console come and go; connections must not add any.
const goroutinesMore = 16

// crowd logs all clients in at once beside the flow.
func (r *run) crowd(ctx context.Context) error {
	before, err := r.usage(ctx)
	if err != nil {
		return err
	}
	if err := r.login(ctx); err != nil {
		return err
	}
	r.failOnEnd()
	idle, err := r.usage(ctx)
	if err != nil {
		return err
	}
	if err := r.rate(ctx, r.Rate); err != nil {
		return err
	}
	delivered := -r.tally.events
	r.tally.timed = true
	if err := r.letRun(ctx, "crowd", r.Duration); err != nil {
		return err
	}
	r.tally.timed = false
	delivered += r.tally.events
	loaded, err := r.usage(ctx)
	if err != nil {
		return err
	}
	if err := r.rate(ctx, 0); err != nil {
		return err
	}
	if err := r.settle(ctx); err != nil {
		return err
	}
	rep, t := r.report, r.tally
	rep.count("connections logged in", t.live)
	r.showUsage("before", before)
	r.showUsage("with the connections", idle)
	r.showUsage("under load", loaded)
	rep.count("events delivered", t.events)
	rep.add("events delivered a second", float64(delivered)/r.Duration.Seconds(), "1/s")
	rep.add("lag of events, median", milliseconds(percentile(t.lags, 0.5)), "ms")
	rep.add("lag of events, p99", milliseconds(percentile(t.lags, 0.99)), "ms")
	rep.count("gaps", t.gaps)
	rep.count("repeats", t.repeats)
	for _, u := range []usage{idle, loaded} {
		rep.within("the server's number of goroutines with the connections", float64(u.goroutines),
			float64(before.goroutines+goroutinesMore), "")
	}
	if t.events == 0 {
		rep.fail("no event came: nothing was tested")
	}
	return nil
}
