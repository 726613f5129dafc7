package load

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	findingsMost  = 20 // sentences kept; all are counted
	longest       = int64(time.Minute)
	digits        = 3 // of a latency that are right
	lagMost       = 5 * time.Millisecond
	lagShareMost  = 0.5
	lagSamplesMin = 100
)

// tally is what one thread saw in one window. Its loop owns it; Measure takes it over when the window has ended.
type tally struct {
	sent, answered [kinds]uint64
	latency        [kinds]*hdrhistogram.Histogram
	lag            *hdrhistogram.Histogram // from when a request was due until it was sent
	pushLag        *hdrhistogram.Histogram // from an event's time until it was here; lagClock says when not
	rejects        map[string]uint64
	executions     uint64
	events         uint64 // EVENT frames
	quotes, prices uint64 // QUOTES frames, and what is in them
	bytes          uint64 // received
	cut, returned  uint64 // connections that the server ended; stalled ones that came back
	findings       uint64
	sentences      []string

	began               time.Time
	cpuBegan, waitBegan time.Duration
	ended               time.Time
	cpu, waited         time.Duration // used by the thread in the window, and waited for a processor
}

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, longest, digits) }

func newTally() *tally {
	t := &tally{lag: newHistogram(), pushLag: newHistogram(), rejects: make(map[string]uint64)}
	for k := range t.latency {
		t.latency[k] = newHistogram()
	}
	return t
}

// record notes ns, or the ends of what the histogram holds.
func record(h *hdrhistogram.Histogram, ns int64) {
	_ = h.RecordValue(min(max(ns, 1), longest)) // fails only outside of its range
}

// find notes what is wrong.
func (t *tally) find(format string, args ...any) {
	t.findings++
	if len(t.sentences) < findingsMost {
		t.sentences = append(t.sentences, fmt.Sprintf(format, args...))
	}
}

// begin starts the window; the thread calls it.
func (t *tally) begin() {
	t.began = time.Now()
	t.cpuBegan, t.waitBegan = threadTimes()
}

// end ends it.
func (t *tally) end() {
	cpu, waited := threadTimes()
	t.ended, t.cpu, t.waited = time.Now(), cpu-t.cpuBegan, waited-t.waitBegan
}
