package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// request tells a generator in another process what to do. Requests and replies are one
// line of JSON each.
type request struct {
	Do   string // open, start, rate, begin, end
	Plan *Plan  `json:",omitempty"`
	Rate float64
}

type reply struct {
	Error  string  `json:",omitempty"`
	Result *Result `json:",omitempty"`
}

// Serve is a generator in a process of its own. It executes the requests from in until in
// ends, and answers on out.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	requests, replies := json.NewDecoder(in), json.NewEncoder(out)
	var s served
	defer s.close()
	for {
		var q request
		switch err := requests.Decode(&q); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("what the generator is told does not parse: %w", err)
		}
		var a reply
		r, err := s.do(ctx, &q)
		if a.Result = r; err != nil {
			a.Error = err.Error()
		}
		if err := replies.Encode(&a); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	}
}

// served holds the generator of Serve.
type served struct{ g *Generator }

func (s *served) close() {
	if s.g != nil {
		s.g.Close()
	}
}

func (s *served) do(ctx context.Context, q *request) (*Result, error) {
	if (q.Do == "open") == (s.g != nil) || q.Do == "open" && q.Plan == nil {
		return nil, fmt.Errorf("%q: the first word is open, with a plan, and it is said once", q.Do)
	}
	switch q.Do {
	case "open":
		var err error
		s.g, err = Open(ctx, *q.Plan)
		return nil, err
	case "start":
		return nil, s.g.Start()
	case "rate":
		return nil, s.g.Rate(q.Rate)
	case "begin":
		return nil, s.g.Begin()
	case "end":
		r, err := s.g.End()
		return &r, err
	}
	return nil, fmt.Errorf("%q is not something to do", q.Do)
}

// filesPerProcess is the number of files reserved for what a generator has open besides its
// connections.
const filesPerProcess = 500

// Processes returns how many processes are needed for that many connections, if each may
// open that many files.
func Processes(connections int, files uint64) int {
	each := max(1, int(files)-filesPerProcess)
	return max(1, (connections+each-1)/each)
}

// Fleet is a load spread over several processes. It must be used by one goroutine only.
type Fleet struct {
	members []*member
}

// member is one process.
type member struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	replies *json.Decoder
}

// OpenFleet runs that many processes of command, which must call Serve, and has each open
// its part of the plan. The plan's rate and connections are for all of them together.
// Stalled connections belong to the last process.
func OpenFleet(ctx context.Context, command []string, processes int, p Plan) (*Fleet, error) {
	f := new(Fleet)
	for range processes {
		m, err := startMember(command)
		if err != nil {
			f.Close()
			return nil, err
		}
		f.members = append(f.members, m)
	}
	requests := make([]request, processes)
	for i := range requests {
		part := p
		from, to := p.Connections*i/processes, p.Connections*(i+1)/processes
		part.First, part.Connections = p.First+from, to-from
		part.Rate = p.Rate / float64(processes)
		if i < processes-1 {
			part.Stalled = 0
		}
		requests[i] = request{Do: "open", Plan: &part}
	}
	if _, err := f.tell(ctx, requests...); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func startMember(command []string) (*member, error) {
	m := &member{cmd: exec.Command(command[0], command[1:]...)}
	m.cmd.Stderr = os.Stderr
	in, err := m.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start a generator: %w", err)
	}
	out, err := m.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start a generator: %w", err)
	}
	if err := m.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a generator: %w", err)
	}
	m.in, m.replies = in, json.NewDecoder(out)
	return m, nil
}

// tell sends each member its request, or the same one to all, and collects the answers. If
// the context ends, the members are killed.
func (f *Fleet) tell(ctx context.Context, requests ...request) ([]Result, error) {
	defer context.AfterFunc(ctx, func() {
		for _, m := range f.members {
			_ = m.cmd.Process.Kill()
		}
	})()
	results, errs := make([]Result, len(f.members)), make([]error, len(f.members))
	var all sync.WaitGroup
	for i, m := range f.members {
		all.Go(func() { results[i], errs[i] = m.ask(&requests[min(i, len(requests)-1)]) })
	}
	all.Wait()
	return results, errors.Join(errs...)
}

func (m *member) ask(q *request) (Result, error) {
	var a reply
	err := json.NewEncoder(m.in).Encode(q)
	if err == nil {
		err = m.replies.Decode(&a)
	}
	switch {
	case err != nil:
		return Result{}, fmt.Errorf("a generator's process: %w", err)
	case a.Error != "":
		return Result{}, errors.New(a.Error)
	case a.Result != nil:
		return *a.Result, nil
	}
	return Result{}, nil
}

// PIDs returns the process ids.
func (f *Fleet) PIDs() (pids []int) {
	for _, m := range f.members {
		pids = append(pids, m.cmd.Process.Pid)
	}
	return pids
}

// Start starts the traffic.
func (f *Fleet) Start(ctx context.Context) error {
	_, err := f.tell(ctx, request{Do: "start"})
	return err
}

// Rate changes how many requests per second an open loop sends, over all processes.
func (f *Fleet) Rate(ctx context.Context, rate float64) error {
	_, err := f.tell(ctx, request{Do: "rate", Rate: rate / float64(len(f.members))})
	return err
}

// Begin starts a window.
func (f *Fleet) Begin(ctx context.Context) error {
	_, err := f.tell(ctx, request{Do: "begin"})
	return err
}

// End ends the window and returns its result.
func (f *Fleet) End(ctx context.Context) (Result, error) {
	results, err := f.tell(ctx, request{Do: "end"})
	if err != nil {
		return Result{}, err
	}
	return merge(results)
}

// Close ends the processes: it closes their input, and kills those that do not end in time.
func (f *Fleet) Close() {
	for _, m := range f.members {
		_ = m.in.Close()
	}
	for _, m := range f.members {
		end := time.AfterFunc(10*time.Second, func() { _ = m.cmd.Process.Kill() })
		_ = m.cmd.Wait()
		end.Stop()
	}
	f.members = nil
}
