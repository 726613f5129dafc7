package report

import (
	"math"
	"strconv"
)

// axis is a scale that starts and ends at a tick.
type axis struct {
	log      bool
	ticks    []float64 // at least two, ascending
	decimals int       // of the labels
	from, to float64   // positions of the first and the last tick, in pixels
}

// linear returns an axis from zero to a tick at or above high, with at most most ticks.
func linear(high float64, most int) axis {
	if high <= 0 {
		high = 1
	}
	i := indexOf(high / float64(most-1))
	if roundNumber(i) < high/float64(most-1)*(1-tolerance) {
		i++
	}
	step := roundNumber(i)
	a := axis{ticks: []float64{0}, decimals: max(0, -floorDiv(i, 3))}
	for n := 1.0; a.ticks[len(a.ticks)-1] < high*(1-tolerance); n++ {
		a.ticks = append(a.ticks, n*step)
	}
	return a
}

// logarithmic returns an axis from a tick at or below low to one at or above high, both
// above zero. It has at most most ticks. If 1, 2 and 5 of each power of ten are too many,
// only some powers are used.
func logarithmic(low, high float64, most int) axis {
	first, last := indexOf(low), indexOf(high)
	if roundNumber(last) < high*(1-tolerance) {
		last++
	}
	if first == last {
		first, last = first-1, last+1
	}
	stride := 1
	for (last-first+stride-1)/stride+1 > most {
		first, last = 3*floorDiv(first, 3), -3*floorDiv(-last, 3)
		stride += 3 - stride%3
	}
	a := axis{log: true, decimals: -1}
	for i := first; i < last+stride; i += stride {
		a.ticks = append(a.ticks, roundNumber(i))
	}
	return a
}

// tolerance is how far a value may exceed a tick and still count as equal, because of
// rounding.
const tolerance = 1e-9

// roundNumber returns the i-th round number: 1, 2 and 5 for 0, 1 and 2, then 10, 20 and 50,
// and so on.
func roundNumber(i int) float64 {
	power := floorDiv(i, 3)
	mantissa := [...]string{"1", "2", "5"}[i-3*power]
	v, _ := strconv.ParseFloat(mantissa+"e"+strconv.Itoa(power), 64) // the nearest float to it
	return v
}

// indexOf returns the index of the greatest roundNumber not above v.
func indexOf(v float64) int {
	i := 3*int(math.Floor(math.Log10(v))) - 3 // lower than the result, even if the logarithm was rounded up
	for roundNumber(i+1) <= v*(1+tolerance) {
		i++
	}
	return i
}

func floorDiv(a, b int) int { return int(math.Floor(float64(a) / float64(b))) }

// at returns the position of a value, in pixels.
func (a *axis) at(v float64) float64 {
	low, high := a.ticks[0], a.ticks[len(a.ticks)-1]
	if a.log {
		v, low, high = math.Log(v), math.Log(low), math.Log(high)
	}
	return a.from + (v-low)/(high-low)*(a.to-a.from)
}

// label formats the value of a tick for people.
func (a *axis) label(v float64) string {
	switch {
	case v >= 1e6:
		return strconv.FormatFloat(v/1e6, 'f', -1, 64) + " M"
	case v >= 1000:
		return thousands(int64(math.Round(v)))
	}
	return strconv.FormatFloat(v, 'f', a.decimals, 64)
}

// labels returns the labels of all ticks.
func (a *axis) labels() []string {
	list := make([]string, len(a.ticks))
	for i, v := range a.ticks {
		list[i] = a.label(v)
	}
	return list
}
