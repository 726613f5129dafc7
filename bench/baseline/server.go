// Package baseline is the design that Papertape replaces, implemented fairly, with the same
// protocol. Each connection has a goroutine that reads and one that writes, joined by an
// unbuffered channel. There is a fixed number of workers, each with a task queue, and a
// connection always uses the same worker. There is one write(2) per message.
//
//	socket -> reader: cuts frames, decodes -> queue of the connection's worker
//	       -> worker: decides, stores, encodes (package venue) -> channel of each connection concerned
//	       -> writer: one write per message -> socket
//
// It also implements the improvements that the old design's own report proposes: more
// workers, a pool of writers instead of one per connection (WriterPool), a pool of database
// workers (venue.StoragePool). One further variant is a writer that writes all waiting
// messages at once (WriterCoalescing).
//
//	s, err := baseline.New(cfg)
//	err = s.Serve(ctx, listener) // until ctx ends: accepts no more, finishes what it accepted, sends GOODBYE
package baseline

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/bench/venue"
	"github.com/papertape/papertape/codec"
)

const (
	// tasksMax bounds the queue of a worker. If it is full, the readers of its connections
	// wait, and so their clients.
	tasksMax = 1024

	loginTimeout = 5 * time.Second
	idleTimeout  = 30 * time.Minute
	writeTimeout = 10 * time.Second       // after that, a client that does not read is dropped
	lingerFor    = 250 * time.Millisecond // the time for a client to close after GOODBYE

	acceptRetry = 5 * time.Millisecond
)

// Config selects the variant of the design.
type Config struct {
	Venue          venue.Config
	Workers        int
	Writer         Writer
	Writers        int     // of WriterPool
	ConnectionsMax int     // further connections are told so and closed
	Rate           float64 // simulated fills per second over all accounts
}

// Server is a server of the old design.
type Server struct {
	cfg     Config
	venue   *venue.Venue
	queues  []chan task    // one per worker
	writers []chan frameOf // one per writer of the pool
	fatal   chan error     // 1
	drain   chan struct{}  // closed: readers stop reading
	readers sync.WaitGroup // readers that may still queue a task
	conns   sync.WaitGroup // goroutines of connections
	accepts atomic.Uint64  // number of connections accepted; selects the worker and the writer

	mu sync.Mutex
	// Shared, under mu.
	open map[*conn]struct{}
}

// task is a request that waits for a worker. Without a connection it is a simulated fill of
// account.
type task struct {
	conn    *conn
	request venue.Request
	account uint64
}

// New opens the accounts. It does not serve yet.
func New(cfg Config) (*Server, error) {
	if cfg.Workers < 1 || cfg.Writers < 1 || cfg.ConnectionsMax < 1 {
		return nil, fmt.Errorf("%d workers, %d writers, %d connections: each must be at least 1", cfg.Workers,
			cfg.Writers, cfg.ConnectionsMax)
	}
	s := &Server{cfg: cfg, fatal: make(chan error, 1), drain: make(chan struct{}), open: make(map[*conn]struct{})}
	s.cfg.Venue.Fatal = func(err error) { s.fatal <- err }
	var err error
	if s.venue, err = venue.New(s.cfg.Venue); err != nil {
		return nil, err
	}
	for range cfg.Workers {
		s.queues = append(s.queues, make(chan task, tasksMax))
	}
	if cfg.Writer == WriterPool {
		for range cfg.Writers {
			s.writers = append(s.writers, make(chan frameOf, tasksMax))
		}
	}
	return s, nil
}

// Stats returns the counters of the business.
func (s *Server) Stats() *venue.Stats { return s.venue.Stats() }

// Serve serves until ctx ends, and then drains. If an event cannot be stored, it returns
// that error at once, and the process must end.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	var accepting, flow, workers, writers sync.WaitGroup
	for _, queue := range s.queues {
		workers.Go(func() { s.work(queue) })
	}
	for _, queue := range s.writers {
		writers.Go(func() { writePooled(queue) })
	}
	serving, cancel := context.WithCancel(ctx)
	defer cancel()
	accepting.Go(func() { s.accept(serving, l) })
	flow.Go(func() { s.venue.Run(serving, s.cfg.Rate, s.submitFill) })
	var failed error
	select {
	case <-ctx.Done():
	case failed = <-s.fatal:
	}
	cancel()
	_ = l.Close()
	accepting.Wait()
	flow.Wait()
	s.stopReading()
	s.readers.Wait()
	for _, queue := range s.queues {
		close(queue)
	}
	workers.Wait()
	err := s.venue.Close()
	s.sayGoodbye()
	s.conns.Wait()
	for _, queue := range s.writers {
		close(queue)
	}
	writers.Wait()
	return errors.Join(failed, err)
}

func (s *Server) accept(ctx context.Context, l net.Listener) {
	for {
		nc, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = nc.Close()
			}
			return
		case err != nil: // mostly too many open files: existing connections continue
			select {
			case <-time.After(acceptRetry):
			case <-ctx.Done():
				return
			}
		default:
			s.start(nc)
		}
	}
}

// start starts a connection, or rejects it.
func (s *Server) start(nc net.Conn) {
	c := newConn(s, nc, s.accepts.Add(1))
	s.mu.Lock()
	full := len(s.open) >= s.cfg.ConnectionsMax
	if !full {
		s.open[c] = struct{}{}
	}
	s.mu.Unlock()
	if full {
		_ = nc.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = nc.Write(codec.AppendGoodbye(nil, papertapev1.GoodbyeReason_GOODBYE_REASON_FULL,
			"the server holds as many connections as it may", 0))
		_ = nc.Close()
		return
	}
	if s.cfg.Writer != WriterPool {
		s.conns.Go(c.write)
	}
	c.readDeadline = time.Now().Add(loginTimeout)
	_ = nc.SetReadDeadline(c.readDeadline)
	s.readers.Add(1)
	s.conns.Go(c.read)
}

func (s *Server) forget(c *conn) {
	s.mu.Lock()
	delete(s.open, c)
	s.mu.Unlock()
}

// work handles the tasks of one worker, in order.
func (s *Server) work(queue chan task) {
	for t := range queue {
		if t.conn == nil {
			s.venue.DoFill(t.account, t.request.Draw)
			continue
		}
		s.venue.Do(t.conn.session, &t.request)
	}
}

// submitFill queues a simulated fill for a worker, unless its queue is full.
func (s *Server) submitFill(account, draw uint64) bool {
	select {
	case s.queues[account%uint64(len(s.queues))] <- task{account: account, request: venue.Request{Draw: draw}}:
		return true
	default:
		return false
	}
}

// all returns the open connections.
func (s *Server) all() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*conn, 0, len(s.open))
	for c := range s.open {
		list = append(list, c)
	}
	return list
}

// stopReading stops the readers. Requests already queued are still handled.
func (s *Server) stopReading() {
	close(s.drain)
	for _, c := range s.all() {
		_ = c.nc.SetReadDeadline(time.Now())
	}
}

// sayGoodbye sends the last frame of each connection. The connection is closed once it is
// written.
func (s *Server) sayGoodbye() {
	bye := codec.AppendGoodbye(nil, papertapev1.GoodbyeReason_GOODBYE_REASON_SHUTDOWN,
		"the server is stopping: come back later", 0)
	for _, c := range s.all() {
		c.Send(bye)
		c.End()
	}
}
