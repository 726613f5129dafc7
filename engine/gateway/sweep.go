package gateway

import (
	"time"

	"github.com/panjf2000/gnet/v2"
)

const (
	// spell is how long a sweep goes on before it gives way to reads and answers for a pause. Work for all sessions
	// must not hold up a single one, however many sessions there are.
	spell = time.Millisecond
	pause = time.Millisecond
)

// sweep is a visit to each session of a list, a spell at a time. It belongs to the loop. It goes downwards, because
// when a session leaves the list meanwhile, the last one takes its place.
type sweep struct {
	left     int // list[:left] is still to be visited
	underWay bool
}

func (w *sweep) begin(n int) { w.left, w.underWay = n, true }

// sweepOn visits sessions for a spell. If some are left, it has the loop run the task next after a pause; if not, the
// sweep is over.
func (l *loop) sweepOn(w *sweep, list func() []*Session, visit func(*Session), next gnet.Runnable) {
	began := time.Now()
	for w.left = min(w.left, len(list())); w.left > 0; w.left = min(w.left, len(list())) {
		w.left--
		l.visit(list()[w.left], visit)
		if w.left > 0 && time.Since(began) >= spell {
			l.later(pause, next)
			return
		}
	}
	w.underWay = false
}

func (l *loop) visit(s *Session, f func(*Session)) {
	defer l.contain("sweep", s)
	f(s)
}
