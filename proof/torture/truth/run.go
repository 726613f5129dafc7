package truth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/papertape/papertape/console"
	runner "github.com/papertape/papertape/proof/process"
)

const (
	firstAccount  = 100001
	crews         = 5
	accountsEach  = 6
	faultPauseMax = 350 * time.Millisecond
	shortMax      = 1200 * time.Millisecond // of a stall, and of a freeze: up to some heartbeats
	progressEvery = 5 * time.Second
)

// Config describes a run.
type Config struct {
	Binary   string         // of the server and of the clients
	Sealed   *runner.Sealed // nil: no TLS
	Duration time.Duration
	Seed     uint64
	Rate     float64   // simulated fills a second
	Data     string    // an existing directory for all files
	Progress io.Writer // a line every few seconds
}

// Faults count what was done to clients and server.
type Faults struct {
	Cuts          int `json:"connections_cut"` // all of a process's at a time
	Torn          int `json:"connections_torn"`
	Stalls        int `json:"connections_stalled"`
	Freezes       int `json:"clients_frozen"`
	Kills         int `json:"clients_killed"`
	Restarts      int `json:"clients_restarted"`
	ServerKills   int `json:"server_killed"`
	ServerRestart int `json:"server_restarted"`
}

func (f *Faults) made() int {
	return f.Cuts + f.Torn + f.Stalls + f.Freezes + f.Kills + f.Restarts + f.ServerKills + f.ServerRestart
}

// Report is what was tried and found.
type Report struct {
	Seed        uint64 `json:"seed"`
	Accounts    int    `json:"accounts"`
	Processes   int    `json:"processes"`
	Faults      `json:"faults"`
	Counts      `json:"told_by_clients"`
	Busts       int      `json:"busts"`
	Corrections int      `json:"corrections"`
	Compared    int      `json:"states_compared"`
	Digested    int      `json:"events_digested"` // by clients, and compared after a second reading
	Shadowed    int      `json:"events_shadowed"`
	Failures    []string `json:"failures"`
}

// OK reports whether all clients have the truth.
func (r *Report) OK() bool { return len(r.Failures) == 0 }

// tooLittle says what the run has not done that it must do before its verdict means anything.
func (r *Report) tooLittle() (sentences []string) {
	if r.Compared < r.Accounts {
		sentences = append(sentences, fmt.Sprintf("%d of %d states were compared: what the other clients "+
			"believe is not known", r.Compared, r.Accounts))
	}
	for _, n := range []struct {
		what string
		done int
	}{
		{"fault was made", r.made()}, {"order was answered", r.Orders}, {"event was digested and compared", r.Digested},
	} {
		if n.done == 0 {
			sentences = append(sentences, fmt.Sprintf("no %s: nothing was tried", n.what))
		}
	}
	return sentences
}

const failuresMax = 20 // sentences that are reported

func (r *Report) fail(format string, args ...any) {
	if len(r.Failures) < failuresMax {
		r.Failures = append(r.Failures, fmt.Sprintf(format, args...))
	}
}

// run is the state of a run. One goroutine owns it, except where a field says otherwise.
type run struct {
	Config
	rng    *rand.Rand
	crews  []*crew
	data   string
	report Report

	mu     sync.Mutex
	server *runner.Server // nil if there is none
}

// Run makes the whole run. The error says why it was not possible.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	r := &run{Config: cfg, rng: rand.New(rand.NewPCG(cfg.Seed, 31)), data: filepath.Join(cfg.Data, "data")}
	r.report = Report{Seed: cfg.Seed, Accounts: crews * accountsEach, Processes: crews, Failures: []string{}}
	defer r.close()
	if err := r.begin(ctx); err != nil {
		return nil, err
	}
	desk := newDesk(r)
	operating, quiet := context.WithCancel(ctx)
	var operator sync.WaitGroup
	operator.Go(func() { desk.work(operating) })
	err := r.torment(ctx)
	quiet()
	operator.Wait()
	r.report.Busts, r.report.Corrections = desk.busts, desk.corrections
	if err == nil {
		err = r.settle(ctx)
	}
	if err != nil {
		return nil, err
	}
	r.report.Failures = append(r.report.Failures, r.report.tooLittle()...)
	return &r.report, nil
}

// begin starts the server and the clients.
func (r *run) begin(ctx context.Context) error {
	if err := r.serve(ctx); err != nil {
		return err
	}
	dir := filepath.Join(r.Data, "cursors")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for i := range crews {
		p, err := newProxy(r.address, r.Seed+uint64(i))
		if err != nil {
			return err
		}
		c := &crew{ClientConfig: ClientConfig{Dir: dir, Seed: r.Seed*1000 + uint64(i)*100_000}, binary: r.Binary,
			sealed: r.Sealed,
			proxy:  p, upWithin: upTimeout}
		for n := range accountsEach {
			c.Accounts = append(c.Accounts, uint64(firstAccount+i*accountsEach+n))
		}
		r.crews = append(r.crews, c)
		if err := c.start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// serve starts a server on the existing data.
func (r *run) serve(ctx context.Context) error {
	s, err := runner.Start(r.Binary, append(r.Sealed.Flags(), "--data", r.data, "--accounts",
		fmt.Sprint(crews*accountsEach), "--seed",
		fmt.Sprint(r.Seed),
		"--heartbeat", "500ms", "--stall-timeout", "1s", "--outbox-bytes-max", "32KiB", "--socket-send-buffer-bytes",
		"16KiB",
		"--checkpoint-interval", [...]string{"50ms", "500ms", "5s"}[r.rng.IntN(3)])...)
	if err != nil {
		return err
	}
	if _, err = s.Await(ctx); err == nil {
		_, err = console.NewClient(s.Admin(), "").SetRate(ctx, r.Rate)
	}
	if err != nil {
		s.Kill()
		return err
	}
	r.mu.Lock()
	r.server = s
	r.mu.Unlock()
	return nil
}

// current returns the running server. Any goroutine may call it.
func (r *run) current() *runner.Server {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.server
}

func (r *run) address() string {
	if s := r.current(); s != nil {
		return s.Listen()
	}
	return ""
}

// takeServer makes the caller the only owner of the server.
func (r *run) takeServer() *runner.Server {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.server
	r.server = nil
	return s
}

// torment makes one fault after the other, until the time is over or a client has complained.
func (r *run) torment(ctx context.Context) error {
	began, said := time.Now(), time.Now()
	for time.Since(began) < r.Duration {
		select {
		case <-time.After(time.Duration(r.rng.Int64N(int64(faultPauseMax)))):
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := r.fault(ctx, r.crews[r.rng.IntN(len(r.crews))]); err != nil {
			return err
		}
		for _, c := range r.crews {
			if len(c.failed()) > 0 {
				return nil
			}
		}
		if r.Progress != nil && time.Since(said) > progressEvery {
			said = time.Now()
			_, _ = fmt.Fprintf(r.Progress, "%s of %s: %+v\n", time.Since(began).Round(time.Second), r.Duration,
				r.report.Faults)
		}
	}
	return nil
}

// fault does one thing to some clients, or to the server. During a stall or a freeze the others are
// left alone.
func (r *run) fault(ctx context.Context, c *crew) error {
	f := &r.report.Faults
	switch n := r.rng.IntN(20); {
	case n < 5:
		if c.proxy.cut() {
			f.Cuts++
		}
	case n < 9:
		if c.proxy.tearNext() {
			f.Torn++
		}
	case n < 12:
		f.Stalls++
		c.proxy.stallAll()
		defer c.proxy.release()
		return r.pause(ctx)
	case n < 14:
		f.Freezes++
		c.signal(syscall.SIGSTOP)
		defer c.signal(syscall.SIGCONT)
		return r.pause(ctx)
	case n < 16:
		f.Kills++
		c.kill()
		return c.start(ctx)
	case n < 18:
		f.Restarts++
		if err := c.stop(); err != nil {
			r.report.fail("%v", err)
		}
		return c.start(ctx)
	case n < 19:
		f.ServerKills++
		r.takeServer().Kill()
		return r.serve(ctx)
	default:
		f.ServerRestart++
		if err := r.takeServer().Stop(); err != nil {
			r.report.fail("%v", err)
		}
		return r.serve(ctx)
	}
	return nil
}

func (r *run) pause(ctx context.Context) error {
	select {
	case <-time.After(time.Duration(r.rng.Int64N(int64(shortMax)))):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// settle lets everything come to rest, and compares.
func (r *run) settle(ctx context.Context) error {
	s := r.current()
	c := console.NewClient(s.Admin(), "")
	if _, err := c.SetRate(ctx, 0); err != nil {
		return err
	}
	errs := make([]error, len(r.crews))
	var finishing sync.WaitGroup
	for i, crew := range r.crews {
		finishing.Go(func() { errs[i] = crew.finish() })
	}
	finishing.Wait()
	if err := errors.Join(errs...); err != nil {
		r.report.fail("%v", err)
	}
	for _, crew := range r.crews {
		r.report.add(&crew.counts)
		for _, f := range crew.failed() {
			r.report.fail("%s", f)
		}
		if len(crew.beliefs) != len(crew.Accounts) {
			r.report.fail("the clients of account %d and others did not tell what they believe", crew.Accounts[0])
		}
	}
	if err := r.compareAll(ctx, s, c); err != nil {
		return err
	}
	for _, line := range s.Complaints() {
		r.report.fail("the server's log complains: %s", line)
	}
	if err := r.takeServer().Stop(); err != nil {
		r.report.fail("%v", err)
	}
	_, breach, err := runner.Verify(ctx, r.Binary, r.data)
	if breach != "" {
		r.report.fail("%s", breach)
	}
	return err
}

// compareAll compares all beliefs, even after a failure, since there may be more.
func (r *run) compareAll(ctx context.Context, s *runner.Server, c *console.Client) error {
	for _, crew := range r.crews {
		for _, b := range crew.beliefs {
			err := r.compare(ctx, s, c, &b)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				r.report.fail("account %d could not be compared, nor were those after it: %v", b.Account, err)
				return nil
			}
		}
	}
	return nil
}

// close ends what is left of a run.
func (r *run) close() {
	for _, c := range r.crews {
		c.kill()
		c.proxy.close()
	}
	if s := r.takeServer(); s != nil {
		s.Kill()
	}
}
