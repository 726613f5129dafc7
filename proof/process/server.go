package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	startTimeout = time.Minute // until it listens, on a busy machine
	stopTimeout  = 30 * time.Second
	linesMax     = 20 // of the server's log that are kept
)

// Server is one process. It is killed only by its process id.
type Server struct {
	cmd     *exec.Cmd
	each    func(Line) // nil if nobody wants the lines
	started time.Time
	ready   chan struct{} // closed when the server listens, or has closed its log
	ended   chan struct{} // closed when the process has been waited for
	err     error         // how it ended; read after ended

	mu        sync.Mutex // guards what follows
	where     Line       // the line that announced the address; zero if there was none yet
	listening time.Time
	lines     []string // the last lines of its log
	errors    []string // lines of level error
}

// Options say how a server's log is read.
type Options struct {
	// OnStdout says that the server writes its log, and its address in it, to stdout instead of
	// stderr.
	OnStdout bool
	// Each is called with every line of the log, in order, by the goroutine that reads it. It must
	// not wait for the server.
	Each func(Line)
}

// Run starts a command that becomes a server. The caller must kill, stop or end the process.
func Run(cmd *exec.Cmd, o Options) (*Server, error) {
	s := &Server{cmd: cmd, each: o.Each, started: time.Now(), ready: make(chan struct{}), ended: make(chan struct{})}
	pipe := cmd.StderrPipe
	if o.OnStdout {
		pipe = cmd.StdoutPipe
	}
	log, err := pipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, err
	}
	go s.follow(log) // ends with the process
	return s, nil
}

func (s *Server) follow(log io.Reader) {
	told := false
	readLines(log, func(line Line) {
		first := !told && line.announces()
		s.note(line, first)
		if s.each != nil {
			s.each(line)
		}
		if first {
			told = true
			close(s.ready)
		}
	})
	if !told {
		close(s.ready)
	}
	s.err = s.cmd.Wait()
	close(s.ended)
}

// note records what can be asked for later.
func (s *Server) note(line Line, announces bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lines = append(s.lines, line.Text); len(s.lines) > linesMax {
		s.lines = s.lines[1:]
	}
	if line.Level == "error" && len(s.errors) < linesMax {
		s.errors = append(s.errors, line.Text)
	}
	if announces {
		s.where, s.listening = line, time.Now()
	}
}

// StartError says that a server did not begin to listen.
type StartError struct {
	Within time.Duration // the server runs, and did not listen within this time; 0 if it has ended
	Exit   error         // how it ended; nil if with exit code 0, or if it runs
	Log    string        // the end of its log
}

func (e *StartError) Error() string {
	if e.Within > 0 {
		return fmt.Sprintf("the server did not listen within %s; the end of its log: %s", e.Within, e.Log)
	}
	return fmt.Sprintf("the server did not start: %v; its log: %s", e.Exit, e.Log)
}

// Unwrap returns how the server ended.
func (e *StartError) Unwrap() error { return e.Exit }

// Await waits until the server listens, and returns how long that took. The error is a *StartError,
// or that of the context.
func (s *Server) Await(ctx context.Context) (time.Duration, error) {
	return s.AwaitWithin(ctx, startTimeout)
}

// AwaitWithin is Await with a limit other than a minute.
func (s *Server) AwaitWithin(ctx context.Context, limit time.Duration) (time.Duration, error) {
	late := time.NewTimer(limit)
	defer late.Stop()
	for _, reached := range []<-chan struct{}{s.ready, s.ended} {
		select {
		case <-reached:
		case <-late.C:
			return 0, &StartError{Within: limit, Log: s.Log()}
		case <-ctx.Done():
			return 0, ctx.Err()
		}
		if took, ok := s.took(); ok {
			return took, nil
		}
	}
	return 0, &StartError{Exit: s.err, Log: s.Log()}
}

// took returns how long it took until the server listened, and whether it listens at all.
func (s *Server) took() (took time.Duration, listens bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listening.Sub(s.started), s.where.Listen != ""
}

func (s *Server) told() Line {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.where
}

// Listen returns the address for clients. It is known after Await.
func (s *Server) Listen() string { return s.told().Listen }

// Admin returns the address of the console. It is known after Await.
func (s *Server) Admin() string { return s.told().Admin }

// Debug returns the address of the profiles, if they are not on the console. It is known after
// Await.
func (s *Server) Debug() string { return s.told().Debug }

// PID returns the id of the process.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Terminate tells the server to stop, and does not wait.
func (s *Server) Terminate() { _ = s.cmd.Process.Signal(syscall.SIGTERM) }

// Ended is closed when the process has ended.
func (s *Server) Ended() <-chan struct{} { return s.ended }

// Err returns how the process ended. It is valid after Kill, Stop or End.
func (s *Server) Err() error {
	<-s.ended
	return s.err
}

// Log returns the end of the server's log.
func (s *Server) Log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, "\n")
}

// Complaints returns the errors in the server's log.
func (s *Server) Complaints() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.errors
}

// Kill sends SIGKILL and waits for the end. killed says whether the signal is what ended the
// process.
func (s *Server) Kill() (killed bool) {
	_ = s.cmd.Process.Kill()
	<-s.ended
	var exit *exec.ExitError
	if errors.As(s.err, &exit) {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok {
			return status.Signaled() && status.Signal() == syscall.SIGKILL
		}
	}
	return false
}

// End tells the server to stop, kills it if it has not stopped within the limit, and waits. err is
// how it ended.
func (s *Server) End(limit time.Duration) (late bool, err error) {
	s.Terminate()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-s.ended:
	case <-timer.C:
		late = true
		s.Kill()
	}
	return late, s.err
}

// Stop tells the server to stop and waits for it. The error says if it did not end properly.
func (s *Server) Stop() error {
	late, err := s.End(stopTimeout)
	switch {
	case late:
		return fmt.Errorf("the server did not stop within %s; the end of its log: %s", stopTimeout, s.Log())
	case err != nil:
		return fmt.Errorf("the server was stopped and ended with: %w; the end of its log: %s", err, s.Log())
	}
	return nil
}
