package load

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	findingsMost  = 20 // sentences kept; all findings are counted
	longest       = int64(time.Minute)
	digits        = 3 // correct decimal digits of a latency
	lagMost       = 5 * time.Millisecond
	lagShareMost  = 0.5
	lagSamplesMin = 100
)

// tally counts what one thread saw in one window. It is owned by the thread's loop; Measure
// takes it over when the window has ended.
type tally struct {
	sent, answered [kinds]uint64
	latency        [kinds]*hdrhistogram.Histogram
	lag            *hdrhistogram.Histogram // from when a request was due until it was sent
	pushLag        *hdrhistogram.Histogram // from an event's time until its arrival, where lagClock knows it
	rejects        map[string]uint64
	executions     uint64
	events         uint64 // EVENT frames
	quotes, prices uint64 // QUOTES frames, and the prices in them
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

// record records ns, limited to the histogram's range.
func record(h *hdrhistogram.Histogram, ns int64) {
	_ = h.RecordValue(min(max(ns, 1), longest)) // fails only out of range
}

// addFinding records a wrong answer.
func (t *tally) addFinding(format string, args ...any) {
	t.findings++
	if len(t.sentences) < findingsMost {
		t.sentences = append(t.sentences, fmt.Sprintf(format, args...))
	}
}

// begin starts the window. It must be called by the thread.
func (t *tally) begin() {
	t.began = time.Now()
	t.cpuBegan, t.waitBegan = threadTimes()
}

// end ends the window.
func (t *tally) end() {
	cpu, waited := threadTimes()
	t.ended, t.cpu, t.waited = time.Now(), cpu-t.cpuBegan, waited-t.waitBegan
}
