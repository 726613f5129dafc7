package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/papertape/papertape/clientsim"
	"github.com/papertape/papertape/usertext"
)

const (
	swarmLineEvery = 10 * time.Second // between two lines that say how far it is, where there is no bar
	swarmLines     = 20               // of these about, however long it takes
)

// swarmScreen shows on stderr what a swarm does: on a terminal a bar that moves, below the lines that were said; elsewhere
// lines alone, and now and then one that says how far it is.
type swarmScreen struct {
	w        io.Writer
	duration time.Duration

	mu   sync.Mutex
	bar  *progressbar.ProgressBar // nil: not a terminal
	said time.Time                // when a line said how far it is
}

func newSwarmScreen(w io.Writer, terminal bool, duration time.Duration) *swarmScreen {
	s := &swarmScreen{w: w, duration: duration, said: time.Now()}
	if terminal {
		s.bar = progressbar.NewOptions64(max(int64(duration/time.Millisecond), 1), progressbar.OptionSetWriter(w),
			progressbar.OptionSetWidth(30), progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false),
			progressbar.OptionThrottle(0))
	}
	return s
}

// line says something that stays.
func (s *swarmScreen) line(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bar != nil {
		_ = s.bar.Clear() // what cannot be shown is not worth ending for
	}
	_, _ = fmt.Fprintln(s.w, "swarm: "+usertext.ShownLines(text)) // it can have a server's words in it
}

// shown is what render writes, fit for a screen: a report has in it what a server said.
func shown(render func(io.Writer) error) func(io.Writer) error {
	return func(w io.Writer) error {
		var text strings.Builder
		if err := render(&text); err != nil {
			return err
		}
		_, err := io.WriteString(w, usertext.ShownLines(text.String()))
		return err
	}
}

// progress says how far it is.
func (s *swarmScreen) progress(p clientsim.Progress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := swarmProgress(p)
	if s.bar != nil {
		s.bar.Describe(text)
		_ = s.bar.Set64(int64(p.Elapsed / time.Millisecond)) // likewise
		return
	}
	if now := time.Now(); now.Sub(s.said) >= max(swarmLineEvery, s.duration/swarmLines) {
		s.said = now
		_, _ = fmt.Fprintln(s.w, "swarm: "+text)
	}
}

// swarmProgress is a line.
func swarmProgress(p clientsim.Progress) string {
	switch p.Phase {
	case clientsim.PhaseLogin:
		return fmt.Sprintf("%d of %d are logged in", p.Online, p.Clients)
	case clientsim.PhaseCompare:
		return fmt.Sprintf("%d of %d have compared their accounts at the end, %d events, %d wrong", p.Compared, p.Clients, p.Events, p.Wrong)
	}
	return fmt.Sprintf("%.0f of %.0f s, %d of %d connected, %d events, %d wrong",
		p.Elapsed.Seconds(), p.Duration.Seconds(), p.Online, p.Clients, p.Events, p.Wrong)
}

// end takes the bar away.
func (s *swarmScreen) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bar != nil {
		_ = s.bar.Clear() // likewise
		s.bar = nil
	}
}
