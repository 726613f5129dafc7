// Package process runs papertape servers in processes of their own, to be killed, stopped and traced:
//
//	s, err := process.Start(binary, "--data", dir, "--accounts", "10")
//	if err != nil {
//		return err
//	}
//	defer s.Kill()
//	if _, err := s.Await(ctx); err != nil {
//		return err // it did not come to listen; the error has the end of its log
//	}
//	… s.Listen(), s.Admin() …
//	err = s.Stop()
//
// A server is ended by its process id, and by whoever started it.
package process

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	startTimeout  = time.Minute // from the start of the process until it listens, on a machine that is busy with other things
	stopTimeout   = 30 * time.Second
	verifyTimeout = 5 * time.Minute
	linesMax      = 20 // of the server's log kept
)

// Server is one process. It is killed by its id, and by nobody else.
type Server struct {
	cmd     *exec.Cmd
	started time.Time
	ready   chan struct{} // closed when it listens, or has closed its log
	ended   chan struct{} // closed when the process has been waited for
	err     error         // how it ended; read after ended

	mu            sync.Mutex
	listen, admin string
	listening     time.Time
	lines         []string // the last of its log
	errors        []string // lines of level error
}

// Start starts `binary serve`. The process has to be killed or stopped, and then waited for.
func Start(binary string, flags ...string) (*Server, error) {
	return start(Command(context.Background(), binary, served(flags)...))
}

// StartUnder is Start with another program, such as strace -D, that becomes the server by running the rest of its arguments.
func StartUnder(tracer []string, binary string, flags ...string) (*Server, error) {
	cmd := Command(context.Background(), tracer[0], append(append(tracer[1:len(tracer):len(tracer)], binary), served(flags)...)...)
	cmd.Args[0] = tracer[0]
	return start(cmd)
}

func served(flags []string) []string {
	return append([]string{"serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log.format", "json", "--simulator.rate", "0"}, flags...)
}

func start(cmd *exec.Cmd) (*Server, error) {
	s := &Server{cmd: cmd, started: time.Now(), ready: make(chan struct{}), ended: make(chan struct{})}
	stderr, err := s.cmd.StderrPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("start the server: %w", err)
	}
	go s.follow(stderr) // ends with the process
	return s, nil
}

// Command runs this program again, by the name that it has, without the settings of whoever called it and out of reach of a ^C
// that is meant for the clients.
func Command(ctx context.Context, binary string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Args[0] = "papertape"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "PAPERTAPE_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	return cmd
}

func (s *Server) follow(stderr io.Reader) {
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	told := false
	for lines.Scan() {
		var line struct{ Level, Message, Listen, Admin string }
		_ = json.Unmarshal(lines.Bytes(), &line) // a panic is no JSON
		s.mu.Lock()
		if s.lines = append(s.lines, lines.Text()); len(s.lines) > linesMax {
			s.lines = s.lines[1:]
		}
		if line.Level == "error" && len(s.errors) < linesMax {
			s.errors = append(s.errors, lines.Text())
		}
		if line.Message == "listening" && !told {
			s.listen, s.admin, s.listening = line.Listen, line.Admin, time.Now()
			close(s.ready)
			told = true
		}
		s.mu.Unlock()
	}
	if !told {
		close(s.ready)
	}
	s.err = s.cmd.Wait()
	close(s.ended)
}

// Await returns when the server listens, and how long that took.
func (s *Server) Await(ctx context.Context) (time.Duration, error) {
	limit := time.NewTimer(startTimeout)
	defer limit.Stop()
	select {
	case <-s.ready:
	case <-limit.C:
		return 0, fmt.Errorf("the server did not listen within %s; the end of its log: %s", startTimeout, s.Log())
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listen == "" {
		<-s.ended // its log is closed
		return 0, fmt.Errorf("the server did not start: %w; its log: %s", s.err, strings.Join(s.lines, "\n"))
	}
	return s.listening.Sub(s.started), nil
}

// Listen is where clients go, after Await.
func (s *Server) Listen() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listen
}

// Admin is where its console is, after Await.
func (s *Server) Admin() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.admin
}

// Terminate tells the server to stop, and does not wait.
func (s *Server) Terminate() { _ = s.cmd.Process.Signal(syscall.SIGTERM) }

// Ended is closed when the process has ended.
func (s *Server) Ended() <-chan struct{} { return s.ended }

// Err is how it ended, after Kill or Stop.
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

// Stop tells the server to stop and waits for it.
func (s *Server) Stop() error {
	s.Terminate()
	select {
	case <-s.ended:
	case <-time.After(stopTimeout):
		s.Kill()
		return fmt.Errorf("the server did not stop within %s; the end of its log: %s", stopTimeout, s.Log())
	}
	if s.err != nil {
		return fmt.Errorf("the server was stopped and ended with: %w; the end of its log: %s", s.err, s.Log())
	}
	return nil
}

// Verify runs `binary verify` on a directory that no server has open. A breach is what it printed.
func Verify(ctx context.Context, binary, data string) (took time.Duration, breach string, err error) {
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	cmd := Command(ctx, binary, "verify", "--data", data)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	began := time.Now()
	err = cmd.Run()
	took = time.Since(began)
	var exit *exec.ExitError
	if errors.As(err, &exit) && ctx.Err() == nil {
		return took, fmt.Sprintf("papertape verify: %v: %s", exit, strings.TrimSpace(out.String())), nil
	}
	return took, "", err
}
