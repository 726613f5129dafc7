package scenario

import (
	"context"
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

// Programs are the binaries that are run.
type Programs struct {
	Papertape string // the server
	Bench     string // this program: papertape-bench
}

// Contender is a server that is measured: which, and how it is set up.
type Contender struct {
	Name  string
	Kind  string   // papertape, or what papertape-bench serve knows
	Flags []string // beside those that every server of the kind is started with
	Echo  bool     // it sends every frame back, and does no business
}

// papertape is the kind of our own server.
const papertape = "papertape"

// The contenders. The old design is shown twice: as it was, and with a writer that coalesces. What is kept of ten thousand accounts grows
// through all of a run, which on some machines is a good part of what it costs: OursFull is as after some minutes, when it no longer grows.
var (
	Ours               = Contender{Name: "papertape", Kind: papertape}
	OursFull           = Ours.With("papertape, history full", "--history-memory-bytes-max", "16MiB")
	Baseline           = Contender{Name: "baseline", Kind: "baseline"}
	BaselineWorkers40  = Contender{Name: "baseline, 40 workers", Kind: "baseline", Flags: []string{"--workers", "40"}}
	BaselinePool       = Contender{Name: "baseline, pool of writers", Kind: "baseline", Flags: []string{"--writer", "pool"}}
	BaselineCoalescing = Contender{Name: "baseline, coalescing", Kind: "baseline", Flags: []string{"--writer", "coalescing"}}
	OursSynced         = Ours.With(OursSync, "--durability", "sync")
	BaselineSync       = Baseline.With("baseline, synced write each", "--storage", "sync")
	BaselineDatabase   = Baseline.With("baseline, pool of database workers", "--storage", "pool")
	ZinxOrders         = Contender{Name: "zinx, orders", Kind: "zinx-orders"}
	EchoEpoll          = Contender{Name: "echo: epoll", Kind: "echo-epoll", Echo: true}
	EchoGnet           = Contender{Name: "echo: gnet", Kind: "echo-gnet", Echo: true}
	EchoNbio           = Contender{Name: "echo: nbio", Kind: "echo-nbio", Echo: true}
	EchoPair           = Contender{Name: "echo: goroutine pair", Kind: "echo-pair", Echo: true}
	EchoZinx           = Contender{Name: "echo: zinx", Kind: "echo-zinx", Echo: true}
)

// OursSync is the name of our server where it syncs.
const OursSync = "papertape, sync"

// With is the contender under another name and with more flags.
func (c Contender) With(name string, flags ...string) Contender {
	c.Name = name
	c.Flags = append(slices.Clone(c.Flags), flags...)
	return c
}

// Server is one that runs.
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

// Start starts the server in a process of its own, with so many accounts and its data in a directory of its own.
func (p Programs) Start(ctx context.Context, c Contender, accounts int, flags ...string) (*Server, error) {
	dir, err := os.MkdirTemp("", "papertape-bench-")
	if err != nil {
		return nil, err
	}
	s := &Server{contender: c, dir: dir}
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

// arguments are those of every server of the kind: nothing on it but what the load makes.
func (s *Server) arguments(accounts int) []string {
	if s.contender.Kind == papertape {
		return process.Arguments("--prices", "fixed", "--accounts", strconv.Itoa(accounts),
			"--connections-prelogin-max", "20000", "--connections-per-second-max", "0",
			"--durability", "none", "--data", s.dir)
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
	s.Listen, s.Debug, s.PID = s.process.Listen(), measure.Debug(s.process.Debug()), measure.Process(s.process.PID())
	if ours {
		s.Debug = measure.Debug(s.process.Admin())
	}
	return nil
}

// passTrouble passes on what a server says of trouble.
func passTrouble(line process.Line) {
	if !line.JSON || line.Level == "error" || line.Level == "fatal" {
		_, _ = fmt.Fprintln(os.Stderr, line.Text)
	}
}

// SetRate changes how many simulated fills a second our server makes.
func (s *Server) SetRate(ctx context.Context, rate float64) error {
	body := fmt.Sprintf(`{"rate": %s}`, strconv.FormatFloat(rate, 'f', -1, 64))
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, fmt.Sprintf("http://%s/api/v1/simulator", s.Debug), strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
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

// Stop ends the server, and what it wrote is gone.
func (s *Server) Stop() {
	if s.process != nil {
		_, _ = s.process.End(stopPatience) // what it says of trouble was passed on
	}
	_ = os.RemoveAll(s.dir)
}
