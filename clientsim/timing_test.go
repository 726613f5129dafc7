package clientsim

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// The percentiles equal those of the sorted times within the precision of a histogram: for few
// and many times, over one client and over several.
func TestTimingsAreThoseOfTheTimes(t *testing.T) {
	for name, count := range map[string]int{"one": 1, "few": 100, "as many as are kept one by one": fewMax,
		"many": 20_000} {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(7, uint64(count)))
			var clients [3]stopwatches
			var all, sells []float64
			for i := range count {
				d := time.Duration(math.Exp(r.Float64()*12)) * time.Microsecond // 1 µs to 160 ms
				kind := Kind(i % 2)                                             // no queries
				clients[i%len(clients)][kind].record(d)
				all = append(all, float64(d)/float64(time.Millisecond))
				if kind == KindSell {
					sells = append(sells, all[len(all)-1])
				}
			}
			got := newReading().timings(&clients[0], &clients[1], &clients[2])
			compareTiming(t, "all", got.Total, all)
			compareTiming(t, "sells", got.Sell, sells)
			if got.Query != (Timing{}) {
				t.Errorf("queries %+v: there were none", got.Query)
			}
		})
	}
}

func compareTiming(t *testing.T, what string, got Timing, times []float64) {
	t.Helper()
	if got.Count != int64(len(times)) {
		t.Errorf("%s: count %d, want %d", what, got.Count, len(times))
	}
	if len(times) == 0 {
		return
	}
	slices.Sort(times)
	sum := 0.0
	for _, v := range times {
		sum += v
	}
	rank := func(q float64) (low, high float64) { // a histogram may round down if the rank is not a whole number
		i := max(int(math.Ceil(q*float64(len(times))))-1, 0)
		return times[max(i-1, 0)], times[i]
	}
	check := func(name string, got, low, high float64) {
		if got < 0.998*low-0.001 || got > 1.002*high+0.001 { // 3 digits, and a microsecond
			t.Errorf("%s: %s %v ms, want %v to %v", what, name, got, low, high)
		}
	}
	mean, most := sum/float64(len(times)), times[len(times)-1]
	check("mean", got.Mean, mean, mean)
	check("max", got.Max, most, most)
	for q, v := range map[float64]float64{0.5: got.P50, 0.9: got.P90, 0.99: got.P99} {
		low, high := rank(q)
		check(fmt.Sprintf("p%.0f", 100*q), v, low, high)
	}
}

func TestStopwatchTakesWhatIsOutOfItsRange(t *testing.T) {
	var s stopwatches
	for range fewMax {
		s[KindBuy].record(0)
	}
	s[KindBuy].record(48 * time.Hour)
	got := newReading().timings(&s)
	if got.Buy.Count != fewMax+1 || got.Buy.P50 != 0.001 || math.Abs(got.Buy.Max-3600_000) > 3600 {
		t.Errorf("%+v: want %d times, of 1 µs and of an hour", got.Buy, fewMax+1)
	}
}
