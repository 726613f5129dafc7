package scenario

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/papertape/papertape/bench/measure"
	"github.com/papertape/papertape/proof/process"
)

// Programs are the binaries to run.
type Programs struct {
	Papertape string // the server
	Bench     string // this program: papertape-bench
}

// Contender is a server to be measured, with its configuration.
type Contender struct {
	Name  string
	Kind  string   // papertape, or a kind of papertape-bench serve
	Flags []string // in addition to those common to the kind
	Echo  bool     // it returns every frame, and has no business logic
}

// papertape is the kind of our own server.
const papertape = "papertape"

// The contenders. The old design appears both as it was and with a coalescing writer. The
// history of ten thousand accounts grows during a whole run, which on some machines is a
// good part of the cost. OursFull shows the state after some minutes, when it no longer
// grows.
var (
	Ours              = Contender{Name: "papertape", Kind: papertape}
	OursFull          = Ours.With("papertape, history full", "--history-memory-bytes-max", "16MiB")
	Baseline          = Contender{Name: "baseline", Kind: "baseline"}
	BaselineWorkers40 = Contender{Name: "baseline, 40 workers", Kind: "baseline", Flags: []string{"--workers", "40"}}
	BaselinePool      = Contender{Name: "baseline, pool of writers", Kind: "baseline",
		Flags: []string{"--writer", "pool"}}
	BaselineCoalescing = Contender{Name: "baseline, coalescing", Kind: "baseline",
		Flags: []string{"--writer", "coalescing"}}
	OursSynced       = Ours.With(OursSync, "--durability", "sync")
	BaselineSync     = Baseline.With("baseline, synced write each", "--storage", "sync")
	BaselineDatabase = Baseline.With("baseline, pool of database workers", "--storage", "pool")
	ZinxOrders       = Contender{Name: "zinx, orders", Kind: "zinx-orders"}
	EchoEpoll        = Contender{Name: "echo: epoll", Kind: "echo-epoll", Echo: true}
	EchoGnet         = Contender{Name: "echo: gnet", Kind: "echo-gnet", Echo: true}
	EchoNbio         = Contender{Name: "echo: nbio", Kind: "echo-nbio", Echo: true}
	EchoPair         = Contender{Name: "echo: goroutine pair", Kind: "echo-pair", Echo: true}
	EchoZinx         = Contender{Name: "echo: zinx", Kind: "echo-zinx", Echo: true}
)

// OursSync is the name of our server with synced commits.
const OursSync = "papertape, sync"

// With returns the contender with another name and additional flags.
func (c Contender) With(name string, flags ...string) Contender {
	c.Name = name
	c.Flags = append(slices.Clone(c.Flags), flags...)
	return c
}

// Server is a running server.
type Server struct {
	Listen string
	Debug  measure.Debug
	PID    measure.Process

	contender Contender
	process   *process.Server
	dir       string
}

const (
	startPatience = time.Minute
	stopPatience  = 15 * time.Second
)

// Start starts the server in a process of its own, with that many accounts and a data
// directory of its own.
func (p Programs) Start(ctx context.Context, c Contender, accounts int, flags ...string) (*Server, error) {
	dir, err := os.MkdirTemp("", "papertape-bench-")
	if err != nil {
		return nil, err
	}
	s := &Server{contender: c, dir: dir}
	if c.Kind == papertape { // it asks for a token, whatever it keeps on the disk
		s.Debug.Token = rand.Text()
		if err := os.WriteFile(s.tokenFile(), []byte(s.Debug.Token), 0o600); err != nil {
			s.Stop()
			return nil, err
		}
	}
	args := slices.Concat(s.arguments(accounts), c.Flags, flags)
	program := p.Bench
	if c.Kind == papertape {
		program = p.Papertape
	}
	if err := s.begin(ctx, exec.Command(program, args...)); err != nil {
		s.Stop()
		return nil, fmt.Errorf("start %s (%s %s): %w", c.Name, filepath.Base(program), strings.Join(args, " "), err)
	}
	return s, nil
}

func (s *Server) tokenFile() string { return filepath.Join(s.dir, "token") }

// arguments returns the arguments common to the kind: the server has no activity except the
// load.
func (s *Server) arguments(accounts int) []string {
	if s.contender.Kind == papertape {
		return process.Arguments("--prices", "fixed", "--accounts", strconv.Itoa(accounts),
			"--connections-prelogin-max", "20000", "--connections-per-second-max", "0",
			"--durability", "none", "--data", filepath.Join(s.dir, "data"), "--admin-token-file", s.tokenFile())
	}
	return []string{"serve", s.contender.Kind, "--listen", "127.0.0.1:0", "--debug", "127.0.0.1:0",
		"--accounts", strconv.Itoa(accounts), "--data", s.dir}
}

// begin starts the process and waits until it says where it is: ours on stderr, where it logs, the others on stdout.
func (s *Server) begin(ctx context.Context, cmd *exec.Cmd) (err error) {
	ours := s.contender.Kind == papertape
	if !ours {
		cmd.Stderr = os.Stderr
	}
	if s.process, err = process.Run(cmd, process.Options{OnStdout: !ours, Each: passTrouble}); err != nil {
		return err
	}
	_, err = s.process.AwaitWithin(ctx, startPatience)
	var failed *process.StartError
	switch {
	case err == nil:
	case !errors.As(err, &failed):
		return err
	case failed.Within > 0:
		return fmt.Errorf("it has not said where it listens for %v", startPatience)
	default:
		return errors.New("it ended before it said where it listens")
	}
	s.Listen, s.Debug.Address, s.PID = s.process.Listen(), s.process.Debug(), measure.Process(s.process.PID())
	if ours {
		s.Debug.Address = s.process.Admin()
	}
	return nil
}

// passTrouble passes on what a server says of trouble.
func passTrouble(line process.Line) {
	if !line.JSON || line.Level == "error" || line.Level == "fatal" {
		_, _ = fmt.Fprintln(os.Stderr, line.Text)
	}
}

// SetRate changes how many simulated fills per second our server makes.
func (s *Server) SetRate(ctx context.Context, rate float64) error {
	body := fmt.Sprintf(`{"rate": %s}`, strconv.FormatFloat(rate, 'f', -1, 64))
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://"+s.Debug.Address+"/api/v1/simulator",
		strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	s.Debug.Authorize(req)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("set the rate of the simulated flow: %w", err)
	}
	defer resp.Body.Close() //nolint:errcheck // nothing of it is needed
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("set the rate of the simulated flow to %v: %s", rate, resp.Status)
	}
	return nil
}

// Stop ends the server and deletes its data.
func (s *Server) Stop() {
	if s.process != nil {
		_, _ = s.process.End(stopPatience) // what it says of trouble was passed on
	}
	_ = os.RemoveAll(s.dir)
}
