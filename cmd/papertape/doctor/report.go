package doctor

import (
	"fmt"
	"math"
	"time"
)

// Plan is what a server is to be run with: the settings that matter here.
type Plan struct {
	ConnectionsMax       int // 0: auto
	ConnectionsPerSecond int // 0: unlimited
	HandshakesPerSecond  int
	TLS                  bool
	Durable              bool // it has a journal
	AskHugePages         bool
	EventLoops           int
	Heartbeat            time.Duration

	HistoryBytes, OutboxBytes, OutboxTotalBytes, SendBufferBytes, DiskFreeBytesMin int64

	Data      string   // absolute path of the data directory
	Addresses []string // that it listens on
	Wanted    int      // connections that are asked for; 0: as many as there may be
}

// Verdict is what is thought of a line.
type Verdict string

// The verdicts.
const (
	OK   Verdict = "ok"
	Warn Verdict = "warn"
	Fail Verdict = "fail"
)

// Line is something that was looked at.
type Line struct {
	Section string  `json:"section"`
	Name    string  `json:"name"`
	Value   string  `json:"value"`
	Allows  *int64  `json:"allows,omitempty"` // so many connections, or stalled readers, or outboxes
	Verdict Verdict `json:"verdict"`
	Note    string  `json:"note,omitempty"`
	Detail  bool    `json:"detail"` // for who wants to see everything
}

// Report is what there is to say.
type Report struct {
	Holds    int64  `json:"holds"` // connections
	Binds    string `json:"binds"` // the name of the line that says so
	because  string // the same in words
	Next     string `json:"next,omitempty"` // what would bind then
	Each     Costs  `json:"each"`
	Expected int64  `json:"expected_bytes"`   // of as many connections as it holds, idle
	Wanted   int    `json:"wanted,omitempty"` // that were asked for
	Fits     bool   `json:"fits"`
	Warnings int    `json:"warnings"`
	Failures int    `json:"failures"`
	Lines    []Line `json:"lines"`
}

// Good reports whether a server would run, and hold what was asked for.
func (r *Report) Good() bool { return r.Fits && r.Failures == 0 }

// Headline says how many connections there may be, and why not more.
func (r *Report) Headline() string {
	if r.Holds == 0 {
		return fmt.Sprintf("This machine holds no connection: bound by %s.", r.because)
	}
	return fmt.Sprintf("This machine holds %s connections: bound by %s.", Count(r.Holds), r.because)
}

// Concerns are the names of the lines that are not well.
func (r *Report) Concerns() (names []string) {
	for i := range r.Lines {
		if r.Lines[i].Verdict != OK {
			names = append(names, r.Lines[i].Name)
		}
	}
	return names
}

func (r *Report) add(l Line) { r.Lines = append(r.Lines, l) }

// Count formats a number with commas.
func Count(n int64) string {
	if n == math.MaxInt64 {
		return "unlimited"
	}
	if n < 0 {
		return "-" + Count(-n)
	}
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", Count(n/1000), n%1000)
}

// Size formats a number of bytes.
func Size(n int64) string {
	for _, u := range []struct {
		bytes int64
		name  string
	}{{1 << 40, "TiB"}, {1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= u.bytes {
			tenths := int64(math.Round(float64(n) * 10 / float64(u.bytes)))
			if tenths%10 == 0 {
				return fmt.Sprintf("%s %s", Count(tenths/10), u.name)
			}
			return fmt.Sprintf("%s.%d %s", Count(tenths/10), tenths%10, u.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}
