package peers

import (
	"context"
	"errors"
	"sync"

	"github.com/aceld/zinx/ziface"

	"github.com/papertape/papertape/bench/venue"
	"github.com/papertape/papertape/codec"
)

// ZinxOrders is the order service, with a router for each message.
type ZinxOrders struct {
	cfg   ZinxConfig
	rate  float64
	venue *venue.Venue
	fatal chan error // 1

	gate sync.RWMutex // held for reading while a request is handled
	// Shared, under gate.
	stopped bool
}

// NewZinxOrders opens the accounts.
func NewZinxOrders(cfg ZinxConfig, business venue.Config, rate float64) (*ZinxOrders, error) {
	z := &ZinxOrders{cfg: cfg, rate: rate, fatal: make(chan error, 1)}
	business.Fatal = func(err error) { z.fatal <- err }
	var err error
	z.venue, err = venue.New(business)
	return z, err
}

// Stats returns the counters of the business.
func (z *ZinxOrders) Stats() *venue.Stats { return z.venue.Stats() }

// Serve serves until ctx ends or an event cannot be stored. It stops as zinx does: it
// closes connections silently.
func (z *ZinxOrders) Serve(ctx context.Context, address string, listening func(string)) error {
	serving, cancel := context.WithCancel(ctx)
	defer cancel()
	ran := make(chan error, 1)
	go func() { ran <- runZinx(serving, address, z.cfg, z.routes(), z.connected, z.disconnected, listening) }()
	var flow sync.WaitGroup
	flow.Go(func() {
		z.venue.Run(serving, z.rate, func(account, draw uint64) bool {
			// zinx's workers handle only requests of connections.
			z.venue.DoFill(account, draw)
			return true
		})
	})
	var failed error
	select {
	case <-ctx.Done():
	case failed = <-z.fatal:
	}
	cancel()
	err := <-ran
	flow.Wait()
	z.gate.Lock()
	z.stopped = true
	z.gate.Unlock()
	return errors.Join(failed, err, z.venue.Close())
}

// routes returns a route for each message that the venue handles, and one for all others.
func (z *ZinxOrders) routes() map[codec.Type]handler {
	routes := map[codec.Type]handler{zinxOther: z.do}
	for _, t := range []codec.Type{codec.TypeLogin, codec.TypePing, codec.TypePong, codec.TypeOrder,
		codec.TypeHoldings, codec.TypeInstruments} {
		routes[t] = z.do
	}
	return routes
}

// property is the key of the connection's property that holds its session.
const property = "session"

func (z *ZinxOrders) connected(c ziface.IConnection) {
	c.SetProperty(property, z.venue.Connect(zinxPeer{c}))
}

// disconnected closes the socket, which zinx would do later: the holder of the account may
// be waiting for this client to read.
func (z *ZinxOrders) disconnected(c ziface.IConnection) {
	_ = c.GetConnection().Close()
	if s, ok := sessionOf(c); ok {
		z.venue.Leave(s)
	}
}

func sessionOf(c ziface.IConnection) (*venue.Session, bool) {
	p, err := c.GetProperty(property)
	if err != nil {
		return nil, false
	}
	s, ok := p.(*venue.Session)
	return s, ok
}

// do handles a request, on the connection's worker.
func (z *ZinxOrders) do(r ziface.IRequest) {
	s, ok := sessionOf(r.GetConnection())
	if !ok {
		return
	}
	z.gate.RLock()
	defer z.gate.RUnlock()
	if z.stopped {
		return
	}
	request := venue.Broken(errNoFrame)
	if f, n, err := codec.Cut(r.GetData(), s.Limit()); err != nil {
		request = venue.Broken(err)
	} else if n > 0 {
		request = z.venue.Decode(s, f)
	}
	z.venue.Do(s, &request)
}

var errNoFrame = errors.New("what was cut is no frame")

// zinxPeer is a connection as the venue sees it.
type zinxPeer struct{ conn ziface.IConnection }

// Send writes at once, on the calling goroutine.
func (p zinxPeer) Send(frames []byte) { zinxSend(p.conn, frames, false) }

// End stops the connection.
func (p zinxPeer) End() { p.conn.Stop() }
