package peers

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/papertape/papertape/codec"
)

const (
	acceptRetry   = 5 * time.Millisecond
	pairTasksMax  = 1024 // frames waiting for a worker; full: the readers wait
	pairFramesMax = 64   // frames waiting for a coalescing writer; full: the worker waits
)

// Pair echoes as the old design does: one goroutine reads, a worker handles each frame,
// another goroutine writes it. With coalescing, the writer writes all waiting frames at
// once.
func Pair(ctx context.Context, address string, workers int, coalescing bool, listening func(string)) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	s := &pairServer{coalescing: coalescing, open: make(map[*pair]struct{})}
	var working sync.WaitGroup
	for range workers {
		queue := make(chan pairTask, pairTasksMax)
		s.queues = append(s.queues, queue)
		working.Go(func() {
			for t := range queue {
				t.conn.send(t.frame)
			}
		})
	}
	listening(l.Addr().String())
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			if err == nil {
				_ = conn.Close()
			}
			break
		}
		if err != nil { // mostly too many open files: existing connections continue
			time.Sleep(acceptRetry)
			continue
		}
		s.start(conn)
	}
	s.closeAll()
	s.reading.Wait()
	for _, queue := range s.queues {
		close(queue)
	}
	working.Wait()
	s.writing.Wait()
	return nil
}

type pairServer struct {
	coalescing       bool
	queues           []chan pairTask
	reading, writing sync.WaitGroup
	accepted         int // used by the accepting goroutine only

	mu sync.Mutex
	// Shared, under mu.
	open map[*pair]struct{}
}

type pairTask struct {
	conn  *pair
	frame []byte
}

// pair is one connection.
type pair struct {
	net.Conn
	frames chan []byte
	gone   chan struct{}
}

func (s *pairServer) start(conn net.Conn) {
	p := &pair{Conn: conn, gone: make(chan struct{})}
	buffered := 0
	if s.coalescing {
		buffered = pairFramesMax
	}
	p.frames = make(chan []byte, buffered)
	s.mu.Lock()
	s.open[p] = struct{}{}
	s.mu.Unlock()
	queue := s.queues[s.accepted%len(s.queues)]
	s.accepted++
	s.reading.Go(func() {
		p.read(queue)
		_ = p.Close()
		close(p.gone)
		s.mu.Lock()
		delete(s.open, p)
		s.mu.Unlock()
	})
	s.writing.Go(func() { p.write(s.coalescing) })
}

func (s *pairServer) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := range s.open {
		_ = p.Close()
	}
}

// read passes on a copy of each frame.
func (p *pair) read(queue chan<- pairTask) {
	in := make([]byte, 0, 4+codec.LimitAfterLogin)
	for {
		n, err := p.Read(in[len(in):cap(in)])
		if err != nil {
			return
		}
		in = in[:len(in)+n]
		off := 0
		for {
			_, n, err := codec.Cut(in[off:], codec.LimitAfterLogin)
			if err != nil {
				return
			}
			if n == 0 {
				break
			}
			queue <- pairTask{p, append([]byte(nil), in[off:off+n]...)}
			off += n
		}
		in = in[:copy(in, in[off:])]
	}
}

func (p *pair) send(frame []byte) {
	select {
	case p.frames <- frame:
	case <-p.gone:
	}
}

func (p *pair) write(coalescing bool) {
	var out []byte
	for {
		var frame []byte
		select {
		case frame = <-p.frames:
		case <-p.gone:
			return
		}
		if waiting := len(p.frames); coalescing && waiting > 0 {
			out = append(out[:0], frame...)
			for range waiting {
				out = append(out, <-p.frames...)
			}
			frame = out
		}
		if _, err := p.Write(frame); err != nil {
			_ = p.Close() // this ends the reader
		}
	}
}
