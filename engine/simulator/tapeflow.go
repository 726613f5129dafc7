package simulator

import (
	"context"
	"math"
	"math/bits"
	"time"
)

// TapeFlow makes the fills of a flow in the time of a tape: as many as the rate gives in the time that has
// passed on it, to the last one, and never more or fewer because a machine is slow. It takes the place of
// Flow.Run. One goroutine owns it.
type TapeFlow struct {
	f      *Flow
	trades func(from int64) bool // nil: always
	last   int64                 // the moment of the last call of Play
	carry  uint64                // the part of the next fill that is due already, in 1/wholeFill
}

const (
	// ratePart is the unit in which a rate is counted on a tape, in fills a second.
	ratePart = 1e-9
	// wholeFill is a fill, in nanoseconds times ratePart.
	wholeFill = uint64(1e9 / ratePart)
	// tapeStep is the longest time between two moments at which a flow trades, so that its fills in hours of which
	// the tape says nothing do not all come at the end of them.
	tapeStep = int64(time.Minute)
	// tapeDraws is how many draws are under way at a time, at most.
	tapeDraws = 4096
)

// OnTape returns the flow on a tape that begins at start, in nanoseconds since the Unix epoch. Between two
// moments of which trades says at the first one that nobody trades, no time passes for it; nil: there is
// always somebody.
func (f *Flow) OnTape(start int64, trades func(from int64) bool) *TapeFlow {
	return &TapeFlow{f: f, last: start, trades: trades}
}

// Next returns when the flow wants to be asked at the latest, if at all.
func (t *TapeFlow) Next() (at int64, ok bool) {
	if t.ratio() == 0 || !t.trading() {
		return 0, false
	}
	return t.last + tapeStep, true
}

// Play makes the fills that are due at now. It waits where Run would drop some.
func (t *TapeFlow) Play(ctx context.Context, now int64) error {
	for n := t.due(now); n > 0; {
		some := min(n, tapeDraws)
		if err := t.f.deliver(ctx, int(some)); err != nil {
			return err
		}
		n -= some
	}
	return nil
}

// due returns how many fills the time since the last call has made due. It counts in whole numbers: floating
// point would round away a part of them.
func (t *TapeFlow) due(now int64) (n uint64) {
	passed := uint64(max(0, now-t.last)) //nolint:gosec // not negative
	if !t.trading() {
		passed = 0
	}
	t.last = max(t.last, now)
	high, low := bits.Mul64(passed, t.ratio())
	low, carried := bits.Add64(low, t.carry, 0)
	n, t.carry = bits.Div64(high+carried, low, wholeFill)
	return n
}

func (t *TapeFlow) trading() bool { return t.trades == nil || t.trades(t.last) }

// ratio returns the rate in ratePart; 0: nothing is made.
func (t *TapeFlow) ratio() uint64 {
	if t.f.cfg.Accounts == 0 {
		return 0
	}
	return uint64(math.Round(math.Float64frombits(t.f.rate.Load()) / ratePart))
}

// deliver makes n draws and waits until they have been decided.
func (f *Flow) deliver(ctx context.Context, n int) error {
	f.draw(n)
	for i, batch := range f.batches {
		if len(batch) == 0 {
			continue
		}
		if err := f.eng.Deliver(ctx, batch[0].Account, batch); err != nil {
			return err
		}
		clear(batch)
		f.batches[i] = batch[:0]
	}
	return f.eng.Settle(ctx)
}
