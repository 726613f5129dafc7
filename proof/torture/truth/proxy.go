package truth

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// proxy stands between the clients of one process and the server. Its address stays the same, and
// it can cut and stall connections.
type proxy struct {
	listener net.Listener
	target   func() string // where the server is now; "": nowhere
	all      sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	stall  chan struct{} // if not nil, nothing gets through until it is closed
	tear   bool          // the next bytes are the last, and only some of them get through
	closed bool
	rng    *rand.Rand
}

const (
	proxyDialTimeout = 2 * time.Second
	proxyBytes       = 4 << 10 // carried at a time
)

func newProxy(target func() string, seed uint64) (*proxy, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: ln, target: target, conns: make(map[net.Conn]struct{}), rng: rand.New(rand.NewPCG(seed, 21))}
	p.all.Go(p.accept)
	return p, nil
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) accept() {
	for {
		near, err := p.listener.Accept()
		if err != nil {
			return // the listener is closed
		}
		p.all.Go(func() { p.serve(near) })
	}
}

// serve carries bytes both ways until either side ends.
func (p *proxy) serve(near net.Conn) {
	defer near.Close() //nolint:errcheck // losing data in transit is the purpose
	far, err := net.DialTimeout("tcp", p.target(), proxyDialTimeout)
	if err != nil {
		return
	}
	defer far.Close() //nolint:errcheck // likewise
	if !p.hold(near, far) {
		return
	}
	var back sync.WaitGroup
	back.Go(func() { p.carry(near, far) })
	p.carry(far, near)
	back.Wait()
	p.mu.Lock()
	delete(p.conns, near)
	delete(p.conns, far)
	p.mu.Unlock()
}

func (p *proxy) hold(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		p.conns[c] = struct{}{}
	}
	return !p.closed
}

// carry copies data, and closes both connections when it ends.
func (p *proxy) carry(to, from net.Conn) {
	defer to.Close()   //nolint:errcheck // the other direction ends too
	defer from.Close() //nolint:errcheck // likewise
	buf := make([]byte, proxyBytes)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			stall, torn := p.fateOf(n)
			if stall != nil {
				<-stall
			}
			if torn >= 0 {
				n, err = torn, io.EOF
			}
			if _, failed := to.Write(buf[:n]); failed != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// fateOf returns what happens to n bytes: they wait, or only torn of them are carried; -1 carries all.
func (p *proxy) fateOf(n int) (stall chan struct{}, torn int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.tear {
		return p.stall, -1
	}
	p.tear = false
	return p.stall, p.rng.IntN(n)
}

// cut ends all connections. It reports whether there were any.
func (p *proxy) cut() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
	return len(p.conns) > 0
}

// tearNext ends the connection that next carries data, in the middle of the data. It returns false
// if that was already going to happen.
func (p *proxy) tearNext() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.tear
	p.tear = true
	return !before
}

// stallAll lets nothing through until release.
func (p *proxy) stallAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stall == nil {
		p.stall = make(chan struct{})
	}
}

func (p *proxy) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stall != nil {
		close(p.stall)
		p.stall = nil
	}
}

// close ends the proxy and its goroutines.
func (p *proxy) close() {
	p.release()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	_ = p.listener.Close()
	p.cut()
	p.all.Wait()
}
