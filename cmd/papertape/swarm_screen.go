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
	swarmLineEvery = 10 * time.Second // between two lines of progress if there is no bar
	swarmLines     = 20               // about that many progress lines, however long the swarm runs
)

// swarmScreen shows the progress of a swarm on stderr. On a terminal there is a bar below the
// printed lines; elsewhere a line of progress is printed now and then.
type swarmScreen struct {
	w        io.Writer
	duration time.Duration

	mu     sync.Mutex
	bar    *progressbar.ProgressBar // nil: not a terminal
	lineAt time.Time                // the time of the last line of progress
}

func newSwarmScreen(w io.Writer, terminal bool, duration time.Duration) *swarmScreen {
	s := &swarmScreen{w: w, duration: duration, lineAt: time.Now()}
	if terminal {
		s.bar = progressbar.NewOptions64(max(int64(duration/time.Millisecond), 1), progressbar.OptionSetWriter(w),
			progressbar.OptionSetWidth(30), progressbar.OptionSetPredictTime(false),
			progressbar.OptionSetElapsedTime(false),
			progressbar.OptionThrottle(0))
	}
	return s
}

// line prints a permanent line.
func (s *swarmScreen) line(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bar != nil {
		_ = s.bar.Clear() // a bar that cannot be shown is not worth failing for
	}
	_, _ = fmt.Fprintln(s.w, "swarm: "+usertext.ShownLines(text)) // it may contain text from a server
}

// screenSafe makes the output of render safe for a screen, since a report contains text from a
// server.
func screenSafe(render func(io.Writer) error) func(io.Writer) error {
	return func(w io.Writer) error {
		var text strings.Builder
		if err := render(&text); err != nil {
			return err
		}
		_, err := io.WriteString(w, usertext.ShownLines(text.String()))
		return err
	}
}

// progress shows how far the swarm has come.
func (s *swarmScreen) progress(p clientsim.Progress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := swarmProgress(p)
	if s.bar != nil {
		s.bar.Describe(text)
		_ = s.bar.Set64(int64(p.Elapsed / time.Millisecond)) // ignored for the same reason
		return
	}
	if now := time.Now(); now.Sub(s.lineAt) >= max(swarmLineEvery, s.duration/swarmLines) {
		s.lineAt = now
		_, _ = fmt.Fprintln(s.w, "swarm: "+text)
	}
}

// swarmProgress formats the progress as a line.
func swarmProgress(p clientsim.Progress) string {
	switch p.Phase {
	case clientsim.PhaseLogin:
		return fmt.Sprintf("%d of %d are logged in", p.Online, p.Clients)
	case clientsim.PhaseCompare:
		return fmt.Sprintf("%d of %d have compared their accounts at the end, %d events, %d wrong", p.Compared,
			p.Clients, p.Events, p.Wrong)
	}
	return fmt.Sprintf("%.0f of %.0f s, %d of %d connected, %d events, %d wrong",
		p.Elapsed.Seconds(), p.Duration.Seconds(), p.Online, p.Clients, p.Events, p.Wrong)
}

// end removes the bar.
func (s *swarmScreen) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bar != nil {
		_ = s.bar.Clear() // ignored for the same reason
		s.bar = nil
	}
}
