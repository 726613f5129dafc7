package pace

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestAllow(t *testing.T) {
	var l Limiter
	for i, step := range []struct {
		now                    time.Duration
		perSecond, tries, want int
	}{
		{0, 0, 5, 5},
		{0, 10, 20, 10},                       // a second's worth
		{99 * time.Millisecond, 10, 5, 0},     // not yet
		{100 * time.Millisecond, 10, 5, 1},    // one more
		{500 * time.Millisecond, 10, 9, 4},    // accumulated in 400 ms
		{500 * time.Millisecond, 100, 9, 0},   // a change of rate does not forget
		{time.Hour, 10, 20, 10},               // after a quiet hour no more than a second's worth
		{time.Hour + time.Second, 0, 30, 30},  // no limit, and nothing is counted
		{time.Hour + time.Second, 10, 30, 10}, // a second later
	} {
		allowed := 0
		for range step.tries {
			if l.Allow(step.now, step.perSecond) {
				allowed++
			}
		}
		if allowed != step.want {
			t.Errorf("%d: at %s, %d a second: %d of %d were allowed, want %d",
				i, step.now, step.perSecond, allowed, step.tries, step.want)
		}
	}
}

// model remembers everything it has allowed. It allows one more if no span of time that ends now
// would then hold more than the rate gives for that span and a burst.
type model struct {
	at, cost []time.Duration // of each that was allowed; cost is the time that the rate needs for it
}

func (m *model) allow(now time.Duration, perSecond int) bool {
	if perSecond == 0 {
		return true
	}
	cost := time.Second / time.Duration(perSecond)
	total := cost
	for i := len(m.at) - 1; i >= 0; i-- {
		if total += m.cost[i]; total > now-m.at[i]+Burst {
			return false
		}
	}
	m.at, m.cost = append(m.at, now), append(m.cost, cost)
	return true
}

// TestAgainstModel makes random attempts, in bursts and with pauses, at changing rates, and
// compares each result with the model.
func TestAgainstModel(t *testing.T) {
	allowed, refused := 0, 0
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var l Limiter
		var m model
		now, perSecond := time.Duration(rng.Int64N(int64(time.Hour))), 1+rng.IntN(50)
		for i := range 500 {
			switch rng.IntN(20) {
			case 0:
				now += time.Duration(rng.Int64N(int64(3 * time.Second)))
			case 1:
				perSecond = rng.IntN(50) // sometimes 0, no limit
			case 2, 3, 4: // at the same moment
			default:
				now += time.Duration(rng.Int64N(int64(time.Second) / 25))
			}
			want := m.allow(now, perSecond)
			if got := l.Allow(now, perSecond); got != want {
				t.Fatalf("seed %d, try %d at %s, %d a second: allowed %v, the model says %v", seed, i, now, perSecond,
					got, want)
			}
			if want {
				allowed++
			} else {
				refused++
			}
		}
	}
	if min(allowed, refused) < 10_000 {
		t.Fatalf("this tries nothing: %d were allowed, %d refused", allowed, refused)
	}
}
