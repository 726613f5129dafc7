package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// openPatience bounds the time in which all connections must log in.
const openPatience = 2 * time.Minute

// Generator is a load in this process. It must be used by one goroutine only.
type Generator struct {
	plan    Plan
	workers []*worker
}

// Open connects and logs in. It starts no traffic.
func Open(ctx context.Context, p Plan) (*Generator, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	tcp, err := net.ResolveTCPAddr("tcp4", p.Address)
	if err != nil {
		return nil, fmt.Errorf("the server's address: %w", err)
	}
	sealing, err := p.config()
	if err != nil {
		return nil, err
	}
	to := unix.SockaddrInet4{Port: tcp.Port, Addr: [4]byte(tcp.IP.To4())}
	g := &Generator{plan: p}
	opened := make(chan error, p.Threads)
	for i := range p.Threads {
		w, err := newWorker(&g.plan, i, to, opened)
		if err != nil {
			g.Close()
			return nil, err
		}
		if sealing != nil {
			w.tls, w.raw = sealing, make([]byte, readBytes/2) // what is decrypted has to fit into one read
		}
		g.workers = append(g.workers, w)
		go w.run() // ends with Close
	}
	limit, cancel := context.WithTimeout(ctx, openPatience)
	defer cancel()
	for range p.Threads {
		select {
		case err = <-opened:
		case <-limit.Done():
			err = fmt.Errorf("not all of %d connections were logged in: %w", p.Connections, limit.Err())
		}
		if err != nil {
			g.Close()
			return nil, err
		}
	}
	return g, nil
}

// newWorker creates the i-th of the plan's threads, with its share of the connections.
func newWorker(p *Plan, i int, to unix.SockaddrInet4, opened chan<- error) (*worker, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	first, end := p.Connections*i/p.Threads, p.Connections*(i+1)/p.Threads
	w := &worker{
		plan: p, to: to, frames: requestFrames(), epoll: epoll, first: p.First + first,
		commands: make(chan func(*worker)),
		gone:     make(chan struct{}),
		base:     time.Now(), report: func(err error) { opened <- err },
		conns: make([]conn, end-first), tally: newTally(), rng: rand.New(rand.NewPCG(p.Seed, uint64(p.First+first))),
		in: make([]byte, readBytes), interval: 1e9 * float64(p.Threads) / max(p.Rate, 1e-9),
	}
	for n := range w.conns {
		number := p.First + first + n
		w.conns[n] = conn{
			number: number, account: FirstAccount + uint64(number%p.Accounts), stalled: first+n >= p.reading(),
		}
	}
	return w, nil
}

// do runs a command on the loop of every worker, one after another. Each waits at most
// patienceMost.
func (g *Generator) do(command func(*worker)) error {
	var errs []error
	for _, w := range g.workers {
		ran := make(chan struct{})
		select {
		case w.commands <- func(w *worker) { command(w); close(ran) }:
			<-ran
		case <-w.gone:
			errs = append(errs, w.endError())
		}
	}
	return errors.Join(errs...)
}

// endError returns why a worker that has ended by itself did so.
func (w *worker) endError() error {
	if n := len(w.tally.sentences); n > 0 {
		return errors.New(w.tally.sentences[n-1])
	}
	return errors.New("the generator was closed")
}

// Start starts the traffic.
func (g *Generator) Start() error { return g.do((*worker).start) }

// Rate changes how many requests per second an open loop sends.
func (g *Generator) Rate(rate float64) error {
	return g.do(func(w *worker) {
		w.clock()
		w.due, w.interval = float64(w.now), 1e9*float64(len(g.workers))/rate
	})
}

// Begin starts a window.
func (g *Generator) Begin() error {
	return g.do(func(w *worker) {
		w.tally = newTally()
		w.tally.begin()
	})
}

// End ends the window and returns its result. Requests still under way belong to the next
// window.
func (g *Generator) End() (Result, error) {
	var tallies []*tally
	err := g.do(func(w *worker) {
		w.tally.end()
		tallies = append(tallies, w.tally)
		w.tally = newTally()
		w.tally.begin()
	})
	if err != nil {
		return Result{}, err
	}
	return resultOf(&g.plan, tallies), nil
}

// Measure measures a window of duration d.
func (g *Generator) Measure(ctx context.Context, d time.Duration) (Result, error) {
	if err := g.Begin(); err != nil {
		return Result{}, err
	}
	select {
	case <-time.After(d):
	case <-ctx.Done():
		return Result{}, ctx.Err()
	}
	return g.End()
}

// Close ends the traffic and closes the connections.
func (g *Generator) Close() {
	_ = g.do(func(w *worker) { w.stopped = true }) // an error means that the worker has ended by itself
	for _, w := range g.workers {
		<-w.gone
	}
}
