// Package load makes the traffic of many clients from a few threads, and checks what comes back. It has its own epoll loops, with
// no goroutine per connection, so that what it costs is small beside what it measures, and is said. Linux only.
//
// The loop of a caller:
//
//	g, err := load.Open(ctx, load.Plan{Address: addr, Connections: 1000, Accounts: 1000, Mode: load.ClosedLoop, Outstanding: 1})
//	defer g.Close()                        // every connection is logged in when Open returns
//	g.Start()                              // from here on there is traffic
//	time.Sleep(warmUp)
//	r, err := g.Measure(ctx, 5*time.Second) // of these seconds alone
//	if err := r.Err(); err != nil { … }    // an answer was wrong, or the generator was too slow itself
//
// A Fleet is the same over several processes, for more connections than one process may have files.
//
// Every answer is looked at: it belongs to a request that was sent and not yet answered, an EXECUTION or EVENT has the next
// sequence of its account, and where the instrument ordered changed, the row is what it was before and the trade made of it.
// Latency is taken from when a request was sent, in an open loop from when it was meant to be sent: a server that keeps the
// generator waiting cannot hide it.
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
	ClosedLoop Mode = "closed"  // Outstanding requests are always under way: the next one is sent with the answer
	OpenLoop   Mode = "open"    // Rate requests a second over all connections, whether they are answered or not
	Think      Mode = "think"   // one request, its answer, then a pause drawn from ThinkLow to ThinkHigh
	Receive    Mode = "receive" // nothing is asked; pushes are counted
)

// Plan is what one generator does.
type Plan struct {
	Address     string
	Connections int
	First       int // the number of the first connection, where several generators share a server
	Accounts    int // connection n is of account FirstAccount + n mod Accounts
	Sources     int // so many source addresses, from 127.0.0.2 on; 0: the system chooses
	Threads     int // 0: one
	// Echo: the server is not ours and sends every frame back. There is no login and no check of what an answer says.
	Echo bool

	Mode        Mode
	Outstanding int
	Rate        float64
	ThinkLow    time.Duration
	ThinkHigh   time.Duration
	Queries     float64 // which part of the requests asks for the holdings; the others buy and sell 100 shares in turn
	Quotes      bool    // subscribe
	// Stalled: so many of the connections, the last ones, read nothing from Start on. One that is cut comes back and stalls again.
	Stalled int
	Seed    uint64
}

// Sources is how many source addresses so many connections to a server on loopback want: with a thousand to each, of 28,000 ports, a free
// one is found at once. 0 leaves it to the system, and off loopback there is nothing else.
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

// Check says what is wrong with a plan, and sets what was left open.
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
			return fmt.Errorf("a pause from %v to %v: it must be from the shorter to the longer", p.ThinkLow, p.ThinkHigh)
		}
	case Receive:
	default:
		return fmt.Errorf("the mode is %q; it must be closed, open, think or receive", p.Mode)
	}
	return nil
}

// lagMost is how late a request may be that nobody minds. A pause that is a little longer than it was drawn to be changes nothing:
// what follows it is timed from when it was sent.
func (p *Plan) lagMost() time.Duration {
	if p.Mode == Think {
		return max(lagMost, p.ThinkLow/4)
	}
	return lagMost
}

// reading is how many connections read.
func (p *Plan) reading() int { return p.Connections - p.Stalled }
