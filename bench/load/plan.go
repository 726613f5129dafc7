// Package load generates the traffic of many clients from a few threads, and checks the
// answers. It has its own epoll loops and no goroutine per connection, so its cost is small
// compared to what it measures, and is reported. Linux only.
//
// A caller's loop:
//
//	g, err := load.Open(ctx, load.Plan{
//		Address: addr, Connections: 1000, Accounts: 1000, Mode: load.ClosedLoop, Outstanding: 1,
//	})
//	defer g.Close()       // every connection is logged in when Open returns
//	g.Start()             // from here on there is traffic
//	time.Sleep(warmUp)
//	r, err := g.Measure(ctx, 5*time.Second) // measures these seconds only
//	if err := r.Err(); err != nil { … }     // an answer was wrong, or the generator itself was too slow
//
// A Fleet does the same with several processes, for more connections than one process may
// have files.
//
// Every answer is checked. It must belong to a request that was sent and not yet answered.
// An EXECUTION or EVENT must have the next sequence of its account. If it changes the
// ordered instrument, its row must follow from the previous row and the trade. Latency is
// measured from when a request was sent, or in an open loop from when it was due: a server
// that keeps the generator waiting cannot hide it.
package load

import (
	"errors"
	"fmt"
	"time"
)

// Mode says when a connection sends.
type Mode string

// The modes.
const (
	// Outstanding requests are always under way: each answer causes the next request.
	ClosedLoop Mode = "closed"
	// Rate requests per second over all connections, whether they are answered or not.
	OpenLoop Mode = "open"
	// One request, its answer, then a pause drawn from ThinkLow to ThinkHigh.
	Think Mode = "think"
	// No requests; pushes are counted.
	Receive Mode = "receive"
)

// Plan says what one generator does.
type Plan struct {
	Address     string
	Connections int
	First       int // number of the first connection, if several generators share a server
	Accounts    int // connection n uses account FirstAccount + n mod Accounts
	Sources     int // number of source addresses, from 127.0.0.2 on; 0: the system chooses
	Threads     int // 0: one
	// Echo: the server is not ours and returns every frame. There is no login, and the
	// contents of answers are not checked.
	Echo bool
	// Authority is a file with the server's certificate, or that of its authority: the load comes
	// over TLS. Empty: it does not.
	Authority string

	Mode        Mode
	Outstanding int
	Rate        float64
	ThinkLow    time.Duration
	ThinkHigh   time.Duration
	// Queries is the fraction of requests that ask for the holdings. The others alternately
	// buy and sell 100 shares.
	Queries float64
	Quotes  bool // subscribe
	// Stalled is how many of the connections, the last ones, read nothing after Start. A
	// stalled connection that is cut comes back and stalls again.
	Stalled int
	Seed    uint64
}

// Sources returns how many source addresses that many connections to a server on loopback
// need. With a thousand connections per address, out of 28,000 ports, a free port is found
// at once. 0 leaves the choice to the system; off loopback there is no other choice.
func Sources(connections int) int {
	const perSource = 1000
	if connections <= perSource {
		return 0
	}
	return 1 + connections/perSource
}

// FirstAccount is the number of the first account that a server opens.
const FirstAccount = 100001

const (
	connectionsMost = 100_000
	outstandingMost = 4096
)

// Check returns what is wrong with a plan, and sets defaults.
func (p *Plan) Check() error {
	if p.Threads == 0 {
		p.Threads = 1
	}
	p.Threads = min(p.Threads, p.Connections)
	switch {
	case p.Connections < 1 || p.Connections > connectionsMost:
		return fmt.Errorf("%d connections: it must be 1 to %d", p.Connections, connectionsMost)
	case p.Accounts < 1:
		return errors.New("a load must know how many accounts the server has: set Accounts")
	case p.Stalled < 0 || p.Stalled >= p.Connections:
		return fmt.Errorf("%d of %d connections stalled: at least one must read", p.Stalled, p.Connections)
	case p.Queries < 0 || p.Queries > 1:
		return fmt.Errorf("a share of %v queries: it must be 0 to 1", p.Queries)
	case p.Echo && (p.Quotes || p.Queries > 0 || p.Mode == Receive):
		return errors.New("a server that echoes has no queries and pushes nothing")
	case p.Echo && p.Authority != "":
		return errors.New("a server that echoes has no TLS")
	}
	return p.checkMode()
}

func (p *Plan) checkMode() error {
	switch p.Mode {
	case ClosedLoop:
		if p.Outstanding < 1 || p.Outstanding > outstandingMost {
			return fmt.Errorf("%d requests outstanding: it must be 1 to %d", p.Outstanding, outstandingMost)
		}
	case OpenLoop:
		if p.Rate <= 0 || p.Rate > 10_000_000 {
			return fmt.Errorf("%v requests a second: it must be more than 0 and at most 10,000,000", p.Rate)
		}
	case Think:
		if p.ThinkLow < 0 || p.ThinkHigh < p.ThinkLow {
			return fmt.Errorf("a pause from %v to %v: it must be from the shorter to the longer", p.ThinkLow,
				p.ThinkHigh)
		}
	case Receive:
	default:
		return fmt.Errorf("the mode is %q; it must be closed, open, think or receive", p.Mode)
	}
	return nil
}

// lagMost returns how late a request may be without consequence. With Think, a pause
// slightly longer than drawn changes nothing, since the latency of the next request counts
// from when it was sent.
func (p *Plan) lagMost() time.Duration {
	if p.Mode == Think {
		return max(lagMost, p.ThinkLow/4)
	}
	return lagMost
}

// reading returns the number of connections that read.
func (p *Plan) reading() int { return p.Connections - p.Stalled }
