package console

import (
	"math"
	"time"
)

// What is remembered of each figure: a value a second of the last 5 minutes, and one in 10 seconds of the last hour.
const (
	secondsKept    = 300
	tenSecondsKept = 360
	tenSeconds     = 10
)

// ring keeps the newest values of a figure. NaN is a value that nobody knows.
type ring struct {
	seconds [secondsKept]float64
	tens    [tenSecondsKept]float64
}

// rings keep the newest values of all figures, and of all prices. They have one owner at a time.
type rings struct {
	figures []ring
	prices  [][secondsKept]int64 // by instrument; 0: nobody watched
	taken   uint64               // values taken so far
	tens    uint64               // of ten seconds
	to      time.Time            // of the newest
}

func newRings(figures, instruments int) *rings {
	return &rings{figures: make([]ring, figures), prices: make([][secondsKept]int64, instruments)}
}

// take takes the values of a second. If seconds were missed, they are unknown.
func (r *rings) take(now time.Time, values []float64, price func(instrument int) int64) {
	if missed := now.Sub(r.to).Round(time.Second) / time.Second; !r.to.IsZero() && missed > 1 {
		unknown := make([]float64, len(values))
		for i := range unknown {
			unknown[i] = math.NaN()
		}
		for range min(missed-1, secondsKept+tenSecondsKept*tenSeconds) {
			r.add(unknown, func(int) int64 { return 0 })
		}
	}
	r.add(values, price)
	r.to = now
}

func (r *rings) add(values []float64, price func(instrument int) int64) {
	at := r.taken % secondsKept
	for i := range r.figures {
		r.figures[i].seconds[at] = values[i]
	}
	for i := range r.prices {
		r.prices[i][at] = price(i)
	}
	if r.taken++; r.taken%tenSeconds == 0 {
		for i := range r.figures {
			r.figures[i].tens[r.tens%tenSecondsKept] = r.mean(&r.figures[i])
		}
		r.tens++
	}
}

// mean returns the mean of the last ten seconds, as far as they are known.
func (r *rings) mean(f *ring) float64 {
	return mean(r.last(f, tenSeconds))
}

func mean(values []float64) float64 {
	sum, known := 0.0, 0
	for _, v := range values {
		if !math.IsNaN(v) {
			sum, known = sum+v, known+1
		}
	}
	return sum / float64(known) // NaN if none is known
}

// last returns up to n of the newest values of a figure, oldest first.
func (r *rings) last(f *ring, n int) []float64 {
	return newest(f.seconds[:], r.taken, n)
}

// newest returns up to n of the newest of the values that a ring has taken, oldest first.
func newest[V any](ring []V, taken uint64, n int) []V {
	n = int(min(uint64(n), taken, uint64(len(ring)))) //nolint:gosec // small
	list := make([]V, n)
	for i := range list {
		list[i] = ring[(taken-uint64(n)+uint64(i))%uint64(len(ring))] //nolint:gosec // small
	}
	return list
}
