// Package soak runs loads against a server in a process of its own, and believes nothing that the
// server says. There are four runs:
//
//   - crowd: many connections at once beside a simulated flow; nothing may be lost, and goroutines
//     may not grow with connections;
//   - idle: connections that are logged in and silent, and what each of them costs;
//   - flood: honest clients, whose orders are timed, first alone and then beside attackers that
//     send garbage, half a frame or nothing, or try wrong keys;
//   - consoles: the lag of events, alone and beside open consoles and a scraper, in turn;
//   - soak: clients that come and go, order, subscribe, stall, send garbage, vanish and resume, for
//     minutes.
//
// In each run every client keeps a shadow.Shadow of its account and compares it with every event,
// with every list of holdings, and, when the traffic has ended, with the server's holdings. A
// caller writes:
//
//	report, err := soak.Run(ctx, soak.Config{
//		Run: soak.Crowd, Binary: "bin/papertape", SetRate: setRate, Clients: 10_000, …
//	})
//	if err != nil {
//		return err // it could not be run
//	}
//	for _, failure := range report.Failures {
//		fmt.Println(failure)
//	}
//
// Run starts the server, talks to it over 127.0.0.0/8 only, stops it, and returns. What clients
// choose follows from Config.Seed; when it happens does not, since the server and the kernel have
// clocks of their own.
//
// One thread drives the clients with epoll. Package client has two goroutines for each connection,
// which would make the load generator the bottleneck; the framing here is a few lines of its own.
// So this package runs on Linux only.
package soak

import (
	"context"
	"io"
	"time"
)

// The runs.
const (
	Consoles = "consoles"
	Crowd    = "crowd"
	Flood    = "flood"
	Idle     = "idle"
	Soak     = "soak"
)

// Config describes a run.
type Config struct {
	Run    string // one of those above
	Binary string // the server, started as `Binary serve …`
	TLS    bool   // the clients come over TLS; every fourth attacker begins a handshake and leaves it
	Keys   bool   // the clients have a key; attackers of Flood try it from one address, without knowing its secret

	// SetRate changes the rate of the simulated flow, in fills a second. admin is the console of
	// the server.
	SetRate func(ctx context.Context, admin string, rate float64) error

	Seed      uint64
	Clients   int           // that log in
	Accounts  int           // that the clients log in to, in turn
	Rate      float64       // simulated fills a second, except for Flood and Idle
	Duration  time.Duration // of the load, except for Idle; for Flood of the attack, after a calm of a third of that
	Attackers int           // Flood: how many a second
	Addresses int           // Flood: from which attackers connect, 127.0.1.1 and on; at most 250
	Repeat    int           // Flood, Consoles: how often calm and attack, or alone and watched, alternate
	Consoles  int           // Consoles: how many are open

	Progress io.Writer // a line every few seconds
}
