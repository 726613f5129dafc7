package scenario

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/papertape/papertape/bench/load"
)

// The cells of push that targets refer to. In the others the rate climbs until the server
// is saturated.
const (
	cellPush10000   = "events to 10,000"
	cellPush100     = "events to 100"
	cellPush1000    = "events to 1,000"
	cellPushHalf    = "half of saturation to 100"
	cellQuotes10000 = "quotes to 10,000"
)

const (
	lagMost     = 250.0    // milliseconds at the 99th percentile; more is saturation
	firstRate   = 80_000.0 // the rate of P5
	leastRate   = 2_000.0
	climb       = 1.5
	pushSettle  = 500 * time.Millisecond
	pushThreads = 2
	rateMost    = 10_000_000
)

// push measures unrequested events, at rising rates until they arrive too late, and quotes,
// which are encoded once for all.
func (r *Runner) push() (steps []step) {
	for round := range r.Size.Rounds {
		steps = append(steps, pushStep(round, "papertape, 100", r.climbTakes(100), r.pushFew),
			r.climbing(round, Ours, 10_000, cellPush10000))
		if r.Size.Whole {
			steps = append(steps, r.climbing(round, OursFull, 10_000, cellPush10000),
				r.climbing(round, Ours, 1000, cellPush1000))
			for _, c := range []Contender{Baseline, BaselineCoalescing} {
				steps = append(steps, r.climbing(round, c, 100, cellPush100),
					r.climbing(round, c, 1000, cellPush1000), r.climbing(round, c, 10_000, cellPush10000))
			}
		}
		steps = append(steps, r.quoting(round))
	}
	return steps
}

// climbTakes estimates the duration of a climb to saturation.
func (r *Runner) climbTakes(subscribers int) time.Duration {
	rates := 8
	if subscribers > 1000 {
		rates = 3
	}
	return r.Size.takes(subscribers) + time.Duration(rates)*(pushSettle+r.Size.Window)
}

func pushStep(round int, what string, takes time.Duration, record func(context.Context, int) ([]Record, error)) step {
	return step{
		what: fmt.Sprintf("push, %s (%d)", what, round+1), takes: takes,
		record: func(ctx context.Context) ([]Record, error) { return record(ctx, round) },
	}
}

func (r *Runner) climbing(round int, c Contender, subscribers int, cellName string) step {
	return pushStep(round, fmt.Sprintf("%s, %d", c.Name, subscribers), r.climbTakes(subscribers),
		func(ctx context.Context, round int) ([]Record, error) {
			return r.climb(ctx, c, subscribers, cellName, round)
		})
}

// pushFew climbs with 100 subscribers, and then measures at half the rate reached.
func (r *Runner) pushFew(ctx context.Context, round int) ([]Record, error) {
	climbed, err := r.climb(ctx, Ours, 100, cellPush100, round)
	if err != nil {
		return nil, err
	}
	b, err := r.openPush(ctx, Ours, 100, saturation(climbed)/2)
	if err != nil {
		return nil, err
	}
	defer b.close()
	half, err := r.measurePush(ctx, b, saturation(climbed)/2, cellPushHalf, round)
	if err != nil {
		return nil, err
	}
	return append(climbed, half), r.checkLoad(cellPushHalf, &half.Load)
}

// saturation returns the highest event rate of a climb that arrived in time.
func saturation(climbed []Record) (most float64) {
	for i := range climbed {
		if c := &climbed[i]; c.Values["held"] > 0 {
			most = max(most, c.Value("events"))
		}
	}
	return most
}

// receivers returns the load of clients that log in and request nothing.
func receivers(n int) load.Plan {
	return load.Plan{Connections: n, Mode: load.Receive, Threads: pushThreads}
}

// openPush opens a server that makes that many events per second, and the clients that
// receive them. Our server is told the rate once all are logged in; the others start with
// it.
func (r *Runner) openPush(ctx context.Context, c Contender, subscribers int, rate float64) (*bench, error) {
	m := run{contender: c, plan: receivers(subscribers)}
	if c.Kind != papertape {
		m.flags = []string{"--rate", strconv.FormatFloat(rate, 'f', 0, 64)}
	}
	b, err := r.open(ctx, &m)
	if err != nil || c.Kind != papertape {
		return b, err
	}
	if err := b.server.SetRate(ctx, rate); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

// measurePush measures that many events per second.
func (r *Runner) measurePush(ctx context.Context, b *bench, rate float64, cellName string, round int) (Record, error) {
	if err := sleep(ctx, pushSettle); err != nil {
		return Record{}, err
	}
	record, err := b.window(ctx, r.Size.Window)
	record.Scenario, record.Cell, record.Round = "push", cellName, round
	record.Values = map[string]float64{"asked": rate, "held": 0}
	if late := bottleneck(&record); late != nil {
		record.Note = late.Error()
		r.note(fmt.Sprintf("%s, %s, %.0f a second: %v", cellName, record.Contender, rate, late))
	}
	if err == nil && record.Load.PushLag.P99 <= lagMost && record.Value("events") >= deliveredLeast*rate &&
		record.Load.Findings == 0 {
		record.Values["held"] = 1
	}
	return record, err
}

// deliveredLeast is the fraction of the requested events that must arrive: the flow also
// draws a few accounts that have nothing to do.
const deliveredLeast = 0.8

// climb raises the rate until events no longer arrive in time. If the first rate is already
// too high, it lowers the rate until they do.
func (r *Runner) climb(ctx context.Context, c Contender, subscribers int, cellName string, round int) ([]Record,
	error) {
	rate := firstRate
	if c.Kind != papertape {
		rate /= 2
	}
	climbed, err := r.climbFrom(ctx, c, subscribers, rate, cellName, round)
	for err == nil && saturation(climbed) == 0 && rate > leastRate {
		rate /= 2
		var lower []Record
		lower, err = r.climbFrom(ctx, c, subscribers, rate, cellName, round)
		climbed = append(climbed, lower...)
	}
	return climbed, err
}

// climbFrom climbs from a rate. Our server is told each rate while it runs; the others are
// restarted.
func (r *Runner) climbFrom(ctx context.Context, c Contender, subscribers int, rate float64, cellName string,
	round int) (climbed []Record, err error) {
	b, err := r.openPush(ctx, c, subscribers, rate)
	defer func() {
		if b != nil {
			b.close()
		}
	}()
	for ; err == nil && rate <= rateMost; rate *= climb {
		var record Record
		if record, err = r.measurePush(ctx, b, rate, cellName, round); err != nil {
			break
		}
		if climbed = append(climbed, record); record.Values["held"] == 0 {
			break
		}
		if c.Kind == papertape {
			err = b.server.SetRate(ctx, rate*climb)
			continue
		}
		b.close()
		if b, err = r.openPush(ctx, c, subscribers, rate*climb); err != nil && ctx.Err() == nil {
			r.note(fmt.Sprintf("%s, %d: at %.0f a second nobody can log in any more: %v", c.Name, subscribers,
				rate*climb, err))
			return climbed, nil
		}
	}
	return climbed, err
}

// quoting measures quotes at shorter and shorter intervals.
func (r *Runner) quoting(round int) step {
	intervals := []time.Duration{time.Millisecond}
	if r.Size.Whole {
		intervals = []time.Duration{10 * time.Millisecond, 3 * time.Millisecond, time.Millisecond}
	}
	return pushStep(round, "quotes", time.Duration(len(intervals))*r.Size.takes(10_000),
		func(ctx context.Context, round int) (records []Record, err error) {
			for _, interval := range intervals {
				record, err := r.measureQuotes(ctx, interval, round)
				if err != nil {
					return nil, err
				}
				records = append(records, record)
			}
			return records, nil
		})
}

func (r *Runner) measureQuotes(ctx context.Context, interval time.Duration, round int) (Record, error) {
	p := receivers(10_000)
	p.Quotes = true
	b, err := r.open(ctx, &run{contender: Ours, plan: p,
		flags: []string{"--prices", "walk", "--prices.interval", interval.String()}})
	if err != nil {
		return Record{}, err
	}
	defer b.close()
	if err := b.fleet.Start(ctx); err != nil { // subscribes
		return Record{}, err
	}
	if err := sleep(ctx, r.Size.Warm+pushSettle); err != nil {
		return Record{}, err
	}
	record, err := b.window(ctx, r.Size.Window)
	record.Scenario, record.Cell, record.Round = "push", cellQuotes10000, round
	record.Values = map[string]float64{"asked": 10_000 / interval.Seconds()}
	return record, err
}
