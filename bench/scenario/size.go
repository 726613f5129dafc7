package scenario

import "time"

// Size is how much is measured.
type Size struct {
	Name   string
	Rounds int           // of the main comparisons
	Warm   time.Duration // before a window
	Window time.Duration
	Whole  bool // all contenders and cells; otherwise those that the targets are about
}

// The sizes. Quick is for `make bench`, which has ten minutes with all of it; Full takes some seventy minutes.
var (
	Quick = Size{Name: "quick", Rounds: 5, Warm: 300 * time.Millisecond, Window: 600 * time.Millisecond}
	Full  = Size{Name: "full", Rounds: 5, Warm: 700 * time.Millisecond, Window: 2 * time.Second, Whole: true}
)

// startTakes is about what starting and stopping a server and a generator takes, and loginTakes a login.
const (
	startTakes = 500 * time.Millisecond
	loginTakes = 150 * time.Microsecond
)

// takes is about how long a run takes.
func (s Size) takes(connections int) time.Duration {
	return startTakes + time.Duration(connections)*loginTakes + s.Warm + s.Window
}
