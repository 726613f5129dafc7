package clientsim

import (
	"math"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Kind is a kind of request whose response times are measured separately.
type Kind uint8

// The kinds of request.
const (
	KindBuy Kind = iota
	KindSell
	KindQuery
	kinds
)

func (k Kind) String() string { return [...]string{"buy", "sell", "query"}[k] }

// Timing summarises response times, in milliseconds from the call to the answer as the user
// sees it. They include the work of the client library and, if the connection was lost
// meanwhile, the wait for the next one.
type Timing struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean_ms"`
	P50   float64 `json:"p50_ms"`
	P90   float64 `json:"p90_ms"`
	P99   float64 `json:"p99_ms"`
	Max   float64 `json:"max_ms"`
}

// Timings has the response times of each kind of request, and of all of them.
type Timings struct {
	Buy   Timing `json:"buy"`
	Sell  Timing `json:"sell"`
	Query Timing `json:"query"`
	Total Timing `json:"total"`
}

// Response times are measured in microseconds, up to an hour.
const (
	timeMax = int64(time.Hour / time.Microsecond)
	digits  = 3   // significant digits of a histogram: within 0.1 %
	fewMax  = 512 // times kept individually; a histogram takes as much room as 40,000 of them
)

// stopwatch collects response times. It keeps the first few individually, since thousands of
// clients measure at once and most have few times; then it uses a histogram.
type stopwatch struct {
	few  []uint32 // microseconds
	many *hdrhistogram.Histogram
}

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, timeMax, digits) }

func (s *stopwatch) record(d time.Duration) {
	us := min(max(d.Microseconds(), 1), timeMax)
	if s.many == nil && len(s.few) < fewMax {
		s.few = append(s.few, uint32(us)) //nolint:gosec // an hour of microseconds is 3.6e9, and 32 bits hold 4.2e9
		return
	}
	if s.many == nil {
		h := newHistogram()
		s.addTo(h)
		s.few, s.many = nil, h
	}
	_ = s.many.RecordValue(us) // the value is within the histogram's range
}

// addTo adds the times to a histogram.
func (s *stopwatch) addTo(h *hdrhistogram.Histogram) {
	for _, us := range s.few {
		_ = h.RecordValue(int64(us)) // the values are within the histogram's range
	}
	if s.many != nil {
		h.Merge(s.many)
	}
}

// stopwatches are the stopwatches of one client, by kind.
type stopwatches [kinds]stopwatch

// reading evaluates stopwatches, reusing its memory for one client after the other.
type reading struct {
	few  []uint32
	many *hdrhistogram.Histogram
}

func newReading() *reading { return &reading{many: newHistogram()} }

// timings evaluates the stopwatches of one or more clients.
func (r *reading) timings(clients ...*stopwatches) Timings {
	var by [kinds][]*stopwatch
	var all []*stopwatch
	for _, c := range clients {
		for k := range c {
			by[k], all = append(by[k], &c[k]), append(all, &c[k])
		}
	}
	return Timings{Buy: r.timing(by[KindBuy]), Sell: r.timing(by[KindSell]), Query: r.timing(by[KindQuery]),
		Total: r.timing(all)}
}

// timing evaluates few times by sorting them, since thousands of clients are evaluated and
// going through a histogram takes a millisecond.
func (r *reading) timing(watches []*stopwatch) Timing {
	r.few = r.few[:0]
	for _, w := range watches {
		if w.many != nil || len(r.few)+len(w.few) > int(kinds)*fewMax {
			return r.ofMany(watches)
		}
		r.few = append(r.few, w.few...)
	}
	if len(r.few) == 0 {
		return Timing{}
	}
	slices.Sort(r.few)
	sum := 0.0
	for _, us := range r.few {
		sum += float64(us)
	}
	n := len(r.few)
	rank := func(percent int) float64 { return float64(r.few[(percent*n+99)/100-1]) / microsPerMilli }
	return Timing{
		Count: int64(n), Mean: math.Round(sum/float64(n)) / microsPerMilli, P50: rank(50), P90: rank(90),
		P99: rank(99), Max: rank(100),
	}
}

func (r *reading) ofMany(watches []*stopwatch) Timing {
	h := r.many
	h.Reset()
	for _, w := range watches {
		w.addTo(h)
	}
	q := h.ValueAtPercentilesSlice([]float64{50, 90, 99})
	return Timing{
		Count: h.TotalCount(), Mean: math.Round(h.Mean()) / microsPerMilli, // rounded to microseconds, like the others
		P50: float64(q[0]) / microsPerMilli, P90: float64(q[1]) / microsPerMilli, P99: float64(q[2]) / microsPerMilli,
		Max: float64(h.Max()) / microsPerMilli,
	}
}

const microsPerMilli = 1000
