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
	startTimeout = time.Minute // until it listens, on a machine that is busy with other things
	stopTimeout  = 30 * time.Second
	linesMax     = 20 // of the server's log kept
)

// Server is one process. It is killed by its id, and by nobody else.
type Server struct {
	cmd     *exec.Cmd
	each    func(Line) // nil: nobody wants the lines
	started time.Time
	ready   chan struct{} // closed when it listens, or has closed its log
	ended   chan struct{} // closed when the process has been waited for
	err     error         // how it ended; read after ended

	mu        sync.Mutex // guards what follows
	where     Line       // by which it told where it listens; zero: it has not
	listening time.Time
	lines     []string // the last of its log
	errors    []string // lines of level error
}

// Options are how a server is followed.
type Options struct {
	// OnStdout says that the server has its log, in which it tells where it listens, on stdout. Else it is on stderr.
	OnStdout bool
	// Each is given every line of the log, in order, by the goroutine that reads it. It must not wait for the server.
	Each func(Line)
}

// Run starts a command that becomes a server. The process has to be killed, stopped or ended.
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

// note keeps what is asked for later.
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

// StartError says that a server did not come to listen.
type StartError struct {
	Within time.Duration // it runs, and did not listen within this time; 0: it has ended
	Exit   error         // how it ended; nil: with exit code 0, or it runs
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

// Await returns when the server listens, and how long that took. The error is a *StartError, or that of the context.
func (s *Server) Await(ctx context.Context) (time.Duration, error) {
	return s.AwaitWithin(ctx, startTimeout)
}

// AwaitWithin is Await, which waits a minute, with another limit.
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

// took is how long it took until the server listened, if it has said that it does.
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

// Listen is where clients go, after Await.
func (s *Server) Listen() string { return s.told().Listen }

// Admin is where its console is, after Await.
func (s *Server) Admin() string { return s.told().Admin }

// Debug is where its profiles are, after Await, if it has them apart from a console.
func (s *Server) Debug() string { return s.told().Debug }

// PID is the id of the process.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Terminate tells the server to stop, and does not wait.
func (s *Server) Terminate() { _ = s.cmd.Process.Signal(syscall.SIGTERM) }

// Ended is closed when the process has ended.
func (s *Server) Ended() <-chan struct{} { return s.ended }

// Err is how it ended, after Kill, Stop or End.
func (s *Server) Err() error {
	<-s.ended
	return s.err
}

// Log is the end of what the server has logged.
func (s *Server) Log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, "\n")
}

// Complaints are the errors in the server's log.
func (s *Server) Complaints() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.errors
}

// Kill sends SIGKILL and waits for the end. killed says whether that is what ended the process.
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

// End tells the server to stop, kills it where it has not within the limit, and waits. err is how it ended.
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

// Stop tells the server to stop and waits for it. The error says if it did not end as it should.
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
