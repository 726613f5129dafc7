package console

import (
	"fmt"
	"math"
	"time"
)

// Alarm is something that somebody should look at.
type Alarm struct {
	Name      string    `json:"name"` // of the alert in docs/runbook.md
	Severity  string    `json:"severity"`
	Since     time.Time `json:"since"`
	Value     float64   `json:"value"`
	Threshold float64   `json:"threshold"`
	Text      string    `json:"text"`
}

// The severities of alarms, as those of alerts.
const (
	page   = "page"
	ticket = "ticket"
)

// panicShown is how long a panic is an alarm.
const panicShown = 10 * time.Minute

// alarms evaluates the conditions of the alerts that can be seen at once, or in the rings. It has one owner at a time.
type alarms struct {
	since   map[string]time.Time
	panics  uint64
	panicAt time.Time // when their number was first seen

	found []Alarm // of the current round
	now   time.Time
}

// check returns the alarms of now.
func (a *alarms) check(about *About, now *look, r *rings) []Alarm {
	a.found, a.now = []Alarm{}, now.at
	a.checkServer(about, now)
	a.checkLedger(now)
	a.checkClients(now, r)
	still := make(map[string]time.Time)
	for i := range a.found {
		at, known := a.since[a.found[i].Name]
		if !known {
			at = now.at
		}
		a.found[i].Since, still[a.found[i].Name] = at.UTC(), at
	}
	a.since = still
	return a.found
}

func (a *alarms) raise(when bool, name, severity string, value, threshold float64, format string, args ...any) {
	if when {
		a.found = append(a.found, Alarm{
			Name: name, Severity: severity, Value: value, Threshold: threshold, Text: fmt.Sprintf(format, args...),
		})
	}
}

func (a *alarms) checkServer(about *About, now *look) {
	a.raise(about.State != StateReady, "PapertapeNotReady", page, 0, 1, "the server is not ready: %s", about.Reason)
	if n := now.counters["panics"]; n != a.panics {
		a.panics, a.panicAt = n, now.at
	}
	a.raise(a.panics > 0 && now.at.Sub(a.panicAt) < panicShown, "PapertapePanic", page, float64(a.panics), 0,
		"%d panics were contained since the start; the log says where", a.panics)
	if push, known := now.latencies["push"]; known {
		a.raise(push.P99MS > 100, "PapertapePushLag", page, push.P99MS, 100,
			"one push in a hundred takes more than %.0f ms", push.P99MS)
	}
}

func (a *alarms) checkLedger(now *look) {
	a.raise(now.counters["read_only"] == 1, "PapertapeReadOnly", page, 1, 0,
		"the disk is nearly full, and orders are refused")
	if disk, known := now.limits["disk_free"]; known {
		a.raise(disk.Value < 4*disk.Limit, "PapertapeDiskFull", ticket, float64(disk.Value), float64(4*disk.Limit),
			"%d bytes of the disk are free; orders are refused below %d", disk.Value, disk.Limit)
	}
	if sync, known := now.latencies["sync"]; known {
		a.raise(sync.P99MS > 50, "PapertapeSlowSync", ticket, sync.P99MS, 50,
			"one sync of the disk in a hundred takes more than %.0f ms", sync.P99MS)
	}
	if at := now.journal.CheckpointAt; at != nil && now.journal.UncheckpointedBytes > 0 {
		age := now.at.Sub(*at).Seconds()
		a.raise(age > 300, "PapertapeCheckpointStale", ticket, age, 300, "the last checkpoint ended %.0f s ago", age)
	}
}

// busySeconds is over how many seconds a share of refusals is taken.
const busySeconds = 10

func (a *alarms) checkClients(now *look, r *rings) {
	over := func(name string, seconds int) float64 { return mean(r.last(&r.figures[figureIndex[name]], seconds)) }
	share := over("busy", busySeconds) / over("requests", busySeconds)
	a.raise(share > 0.01, "PapertapeBusy", ticket, share, 0.01, "%.1f %% of the requests are refused as BUSY",
		100*share)
	connections := now.limits["connections"]
	near := float64(connections.Value) / float64(connections.Limit)
	a.raise(near > 0.9, "PapertapeConnectionsNearLimit", ticket, near, 0.9, "%d of %d connections are in use",
		connections.Value, connections.Limit)
	seconds := float64(min(r.taken, secondsKept))
	cut := math.Round(over("cut", secondsKept) * seconds)
	a.raise(cut > 10 && cut > float64(connections.Value)/100, "PapertapeSlowClients", ticket, cut, 10,
		"%.0f sessions were cut as slow in %.0f s", cut, seconds)
	refused := over("refused", 2)
	a.raise(refused > 100, "PapertapeReconnectStorm", ticket, refused, 100,
		"%.0f connections a second are refused", refused)
}

// figureIndex is where each figure is.
var figureIndex = func() map[string]int {
	at := make(map[string]int)
	for i := range figures {
		at[figures[i].name] = i
	}
	return at
}()
