package scenario

import "time"

// Size is the extent of a measurement.
type Size struct {
	Name   string
	Rounds int           // of the main comparisons
	Warm   time.Duration // before a window
	Window time.Duration
	Whole  bool // all contenders and cells; otherwise only those that targets refer to
}

// The sizes. Quick is for `make bench`, which may take ten minutes in total. Full takes
// about seventy minutes.
var (
	Quick = Size{Name: "quick", Rounds: 5, Warm: 300 * time.Millisecond, Window: 600 * time.Millisecond}
	Full  = Size{Name: "full", Rounds: 5, Warm: 700 * time.Millisecond, Window: 2 * time.Second, Whole: true}
)

// startTakes estimates starting and stopping a server and a generator, and loginTakes a
// login.
const (
	startTakes = 500 * time.Millisecond
	loginTakes = 150 * time.Microsecond
)

// takes estimates the duration of a run.
func (s Size) takes(connections int) time.Duration {
	return startTakes + time.Duration(connections)*loginTakes + s.Warm + s.Window
}
