//go:build linux

package soak

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/papertape/papertape/proof/process"
)

const (
	connectingMax = 400 // connections that log in at the same time; fewer than the server allows
	loginLimit    = 2 * time.Minute
	settleLimit   = 2 * time.Minute
	quietTime     = 500 * time.Millisecond // without an event for so long, the flow has ended
	progressEvery = 5 * time.Second
)

// run is the state of a run: the server, and the clients of the loop.
type run struct {
	Config
	server *server
	port   int
	loop   *loop
	tally  *tally
	peers  []*peer
	report *Report
	start  time.Time
	hello  []byte // of a client of TLS; nil: there is no TLS
	keyed  *keyed // what attackers try; nil: there are no keys
	pacing bool   // orders are placed every second
	over   bool   // wanderers do nothing more
	did    [deeds]int
}

// Run starts a server, runs a load against it, and stops it. The error says why the run was not
// possible; what the load found is in the report.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	load, flags := (*run).crowd, []string{"--sessions-per-account-max", strconv.Itoa(cfg.Clients)}
	switch cfg.Run {
	case Consoles:
		load = (*run).consoles
	case Crowd:
	case Idle:
		load = (*run).idle
		flags = append(flags, "--connections-max", "auto")
	case Flood:
		load = (*run).flood
		flags = append(flags, "--history-memory-bytes-max", strconv.Itoa(floodHistoryBytes))
	case Soak:
		load = (*run).soak
		flags = append(flags, soakFlags()...)
	default:
		return nil, fmt.Errorf("there is no run %q: it is %s, %s, %s, %s or %s", cfg.Run, Consoles, Crowd, Flood, Idle,
			Soak)
	}
	flags = append(flags, "--accounts", strconv.Itoa(cfg.Accounts), "--seed", strconv.FormatUint(cfg.Seed, 10))
	l, err := newLoop()
	if err != nil {
		return nil, err
	}
	defer l.close()
	var hello []byte
	files, err := os.MkdirTemp("", "papertape-soak-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(files) //nolint:errcheck // temporary files
	if cfg.TLS {
		sealed, err := process.NewSealed(files)
		if err != nil {
			return nil, err
		}
		l.tls = sealed.Client()
		hello = helloOf(l.tls)
		flags = append(flags, sealed.Flags()...)
	}
	if cfg.Keys {
		if l.keyed, err = newKeyed(files); err != nil {
			return nil, err
		}
		flags = append(flags, "--auth.keys-file", l.keyed.file)
	}
	srv, err := startServer(ctx, cfg.Binary, flags...)
	if err != nil {
		return nil, err
	}
	r := &run{
		Config: cfg, server: srv, loop: l, tally: newTally(), start: time.Now(),
		hello: hello, keyed: l.keyed,
		report: &Report{Run: cfg.Run, Seed: cfg.Seed, Figures: []Figure{}, Failures: []string{}},
	}
	_, port, _ := net.SplitHostPort(srv.Listen())
	r.port, err = strconv.Atoi(port)
	if err == nil {
		err = load(r, ctx)
	}
	if err = errors.Join(err, srv.stop()); err != nil {
		return nil, fmt.Errorf("%w%s", err, said(srv.log()))
	}
	r.tally.judge(r.report)
	for _, line := range srv.log() {
		if cfg.Keys && strings.Contains(line, wrongKeys) {
			continue
		}
		r.report.fail("the server's log complains: %s", line)
	}
	return r.report, nil
}

func said(log []string) string {
	if len(log) == 0 {
		return ""
	}
	return "; the server's log: " + log[len(log)-1]
}

// login logs all clients in. It is an error if the server refuses one.
func (r *run) login(ctx context.Context) error { return r.loginFirst(ctx, r.Clients) }

// loginFirst logs the first n clients in.
func (r *run) loginFirst(ctx context.Context, n int) error {
	var refused error
	for i := range n {
		p := newPeer(r.loop, r.tally, r.port, i, &r.Config)
		p.onEnd = func(err error) { refused = fmt.Errorf("client %d could not stay: %s", i, p.endedBy(err)) }
		r.peers = append(r.peers, p)
		if err := p.dial(); err != nil {
			return err
		}
		room := func() bool { return refused != nil || i+1-r.tally.live < connectingMax }
		if err := r.loop.until(ctx, loginLimit, "logging in", room); err != nil {
			return err
		}
	}
	err := r.loop.until(ctx, loginLimit, "logging in", func() bool {
		return refused != nil || r.tally.live == n
	})
	return errors.Join(err, refused)
}

// failOnEnd makes each end of a connection by the server a failure.
func (r *run) failOnEnd() {
	for _, p := range r.peers {
		p.onEnd = func(err error) {
			r.tally.find(fmt.Sprintf("account %d: the server ended the connection of a client that did nothing "+
				"wrong: %s", p.account, p.endedBy(err)))
		}
	}
}

// letRun lets the load run for a duration, and reports its progress every few seconds.
func (r *run) letRun(ctx context.Context, stage string, d time.Duration) error {
	end := time.Now().Add(d)
	for left := d; left > 0; left = time.Until(end) {
		if err := r.loop.sleep(ctx, min(left, progressEvery)); err != nil {
			return err
		}
		t := r.tally
		_, _ = fmt.Fprintf(r.Progress, "%s %s: %d live, %d logins, %d events, %d orders, %d gaps, %d repeats, "+
			"%d findings\n",
			time.Since(r.start).Round(time.Second), stage, t.live, t.logins, t.events, t.orders, t.gaps, t.repeats,
			t.findings)
	}
	return nil
}

// rate sets the rate of the simulated flow.
func (r *run) rate(ctx context.Context, rate float64) error {
	return r.loop.during(func() error { return r.SetRate(ctx, r.server.Admin(), rate) })
}

// usage measures the server while the clients go on.
func (r *run) usage(ctx context.Context) (u usage, err error) {
	err = r.loop.during(func() error {
		u, err = r.server.usage(ctx)
		return err
	})
	return u, err
}

// showUsage adds what was measured to the report.
func (r *run) showUsage(when string, u usage) {
	r.report.add("server RSS "+when, u.rss, "MiB")
	r.report.add("server heap "+when, u.heap, "MiB")
	r.report.count("server goroutines "+when, u.goroutines)
}

// settle waits until no event has come for a while and every request is answered. Then every client
// compares its shadow with the server's holdings.
func (r *run) settle(ctx context.Context) error {
	events, since := r.tally.events, time.Now()
	err := r.loop.until(ctx, settleLimit, "waiting for the last events", func() bool {
		if events != r.tally.events {
			events, since = r.tally.events, time.Now()
		}
		return time.Since(since) > quietTime && r.tally.unanswered == 0
	})
	if err != nil {
		return err
	}
	before, asked := r.tally.holdings, 0
	for i, p := range r.peers {
		if !p.live {
			r.tally.find(fmt.Sprintf("account %d: client %d is not logged in at the end", p.account, i))
			continue
		}
		p.ask(typeHoldings, &none{})
		asked++
		if asked%connectingMax == 0 {
			if err := r.loop.turn(0); err != nil {
				return err
			}
		}
	}
	err = r.loop.until(ctx, settleLimit, "asking for holdings", func() bool { return r.tally.unanswered == 0 })
	r.report.count("shadows compared with the server's holdings", r.tally.holdings-before)
	if asked == 0 {
		r.report.fail("no client was left to compare its shadow with the server's holdings")
	}
	if r.tally.holdings-before != asked {
		r.report.fail("%d of %d clients were answered what they hold", r.tally.holdings-before, asked)
	}
	return err
}

// journalMore is how much the server's journal may hold while it works, in MiB: its cache (64), and
// four tables of 32 that are being filled or written. It begins with almost nothing.
const journalMore = 64.0 + 4*32

// recovered closes all connections, and waits until the server's goroutines and memory are back
// within the bounds.
func (r *run) recovered(ctx context.Context, before usage, heapMore, rssMore float64) error {
	r.loop.close()
	var after usage
	for range 30 { // the Go runtime releases memory slowly
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
		var err error
		if after, err = r.server.usage(ctx); err != nil {
			return err
		}
		if after.goroutines <= before.goroutines+goroutinesMore && after.heap <= before.heap+heapMore &&
			after.rss <= before.rss+rssMore {
			break
		}
	}
	r.showUsage("after", after)
	r.report.within("the server's number of goroutines", float64(after.goroutines),
		float64(before.goroutines+goroutinesMore), "")
	r.report.within("the server's heap", after.heap, before.heap+heapMore, "MiB")
	r.report.within("the server's RSS", after.rss, before.rss+rssMore, "MiB")
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// none is a message without fields.
type none struct{}

// MarshalVT returns no bytes.
func (none) MarshalVT() ([]byte, error) { return nil, nil }
