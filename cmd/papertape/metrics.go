package main

import (
	"fmt"
	"net/http"
	"time"

	"github.com/papertape/papertape/console"
	"github.com/papertape/papertape/engine/journal"
	"github.com/papertape/papertape/metrics"
)

// metrics returns what answers GET /metrics.
func (s *server) metrics() http.Handler {
	from := metrics.Sources{
		Version: version, Durability: s.cfg.Durability,
		Engine: s.engine, Gateway: s.gw, Flow: s.flow, Ready: s.ready, HTTP: s.httpMetrics,
		LogLinesLost:   s.logLinesLost,
		InboxOrdersMax: s.cfg.InboxOrdersMax, OutboxTotalBytesMax: s.cfg.OutboxTotalBytesMax,
		HistoryMemoryBytesMax: s.cfg.HistoryMemoryBytesMax, UncheckpointedBytesMax: s.cfg.UncheckpointedBytesMax,
	}
	if s.ledger != nil {
		from.Journal = s.ledger.journal.Load
	}
	return metrics.Handler(from)
}

func (s *server) httpMetrics() metrics.HTTP {
	if s.console == nil {
		return metrics.HTTP{}
	}
	return metrics.HTTP(s.console.Stats())
}

func (s *server) logLinesLost() uint64 {
	if s.out == nil {
		return 0
	}
	return s.out.to.lost.Load()
}

// What a check has to exceed to be worth a look. The alert rules wait longer and look at a longer time.
const (
	checkpointLate = time.Minute // their interval is 5s
	syncSlow       = 50 * time.Millisecond
	loopSlow       = 100 * time.Millisecond
)

// checks are what /readyz?verbose says.
func (s *server) checks() []console.Check {
	recovered := console.Check{Name: "recovered", Bad: !s.recovered.Load(), Text: "ok"}
	if recovered.Bad {
		recovered.Text = "not yet"
	}
	listening := console.Check{Name: "listening", Text: "ok"}
	if why := s.unready.Load(); why != nil {
		listening.Bad, listening.Text = true, *why
	}
	all := []console.Check{recovered, listening, checkLoops(s.gw.Lag(), s.gw.Late())}
	var j *journal.Journal
	if s.ledger != nil {
		j = s.ledger.journal.Load()
	}
	if j == nil {
		return append(all, console.Check{Name: "journal", Text: "none, or not recovered yet"})
	}
	return append(all, checkJournal(j.ReadOnly(), j.Measures())...)
}

func checkLoops(lag time.Duration, late error) console.Check {
	c := console.Check{Name: "loops", Bad: late != nil || lag > loopSlow, Text: fmt.Sprintf("lag %v", lag)}
	if late != nil {
		c.Text = late.Error()
	}
	return c
}

// checkJournal returns the checks of disk, checkpoints and syncs.
func checkJournal(readOnly bool, m journal.Measures) []console.Check {
	disk := console.Check{Name: "disk", Bad: readOnly, Text: "the file system does not say how much is free"}
	if m.DiskFreeKnown {
		disk.Text = fmt.Sprintf("%d MiB free, orders are refused below %d MiB",
			m.DiskFreeBytes>>20, m.LowWaterBytes>>20)
	}
	age := time.Since(m.CheckpointAt)
	checkpoint := console.Check{
		Name: "checkpoint", Bad: age > checkpointLate, Text: fmt.Sprintf("%v ago", age.Round(time.Millisecond)),
	}
	sync := console.Check{Name: "sync", Text: "none yet"}
	if m.SyncTook > 0 {
		sync.Bad = m.SyncTook > syncSlow
		sync.Text = fmt.Sprintf("the last took %v, %v ago", m.SyncTook, m.SyncAge.Round(time.Millisecond))
	}
	return []console.Check{disk, checkpoint, sync}
}
