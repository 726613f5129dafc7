package linear

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/proof/process"
)

const (
	firstAccount  = 100001
	together      = 8 // accounts whose histories are made at the same time
	phases        = 3 // of a history; the server is killed between two of them
	clients       = 4 // connections of an account
	callsOfClient = 8 // in a phase
	callsOfDesk   = 8
	killSoonest   = 2 * time.Millisecond // from the first answer in a phase
	killLatest    = 150 * time.Millisecond
	checkTimeout  = time.Minute
	dialTimeout   = 20 * time.Second
	callTimeout   = 20 * time.Second
	progressEvery = 5 * time.Second
)

// Config describes a run.
type Config struct {
	Binary    string          // of the server
	Sealed    *process.Sealed // nil: no TLS
	Histories int             // accounts
	Seed      uint64
	Data      string    // an existing directory for the server's data and for pictures of failures
	Progress  io.Writer // a line every few seconds
}

// Report is what was tried and found.
type Report struct {
	Seed      uint64 `json:"seed"`
	Histories int    `json:"histories"`
	Calls     int    `json:"calls"`
	Open      int    `json:"calls_open"` // at a kill
	HadBeen   int    `json:"calls_open_carried_out"`
	Unheard   int    `json:"calls_refused_as_busy"`
	Kills     int    `json:"kills"`

	Executed    int `json:"orders_executed"`
	Repeated    int `json:"answered_as_repeated"` // orders, busts and corrections
	Refused     int `json:"refused"`
	Holdings    int `json:"holdings"`
	Busts       int `json:"busts"`
	Corrections int `json:"corrections"`
	Bookings    int `json:"bookings"`
	Resets      int `json:"resets"`

	LongestMillis int64    `json:"longest_search_ms"`
	Undecided     int      `json:"undecided"` // the search took too long
	Failures      []string `json:"failures"`
}

// OK reports whether every history was found to be linearizable.
func (r *Report) OK() bool { return len(r.Failures) == 0 }

// tooLittle says what the run has not done that it must do before finding nothing means anything.
func (r *Report) tooLittle(histories int) (sentences []string) {
	if r.Histories < histories {
		sentences = append(sentences, fmt.Sprintf("%d of %d histories were judged", r.Histories, histories))
	}
	for _, n := range []struct {
		what string
		done int
	}{
		{"order was executed", r.Executed}, {"holdings were answered", r.Holdings}, {"server was killed", r.Kills},
	} {
		if n.done == 0 {
			sentences = append(sentences, fmt.Sprintf("no %s: nothing was tried", n.what))
		}
	}
	return sentences
}

// run is the state of a run. One goroutine owns it.
type run struct {
	Config
	rng    *rand.Rand
	began  time.Time
	said   time.Time
	report Report
}

// Run makes histories and judges them. The error says why that was not possible.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	r := &run{Config: cfg, rng: rand.New(rand.NewPCG(cfg.Seed, 11)), began: time.Now(), said: time.Now()}
	r.report = Report{Seed: cfg.Seed, Failures: []string{}}
	for next := 0; next < cfg.Histories && r.report.OK(); next += together {
		if err := r.round(ctx, next, min(together, cfg.Histories-next)); err != nil {
			return nil, err
		}
	}
	if r.report.OK() {
		r.report.Failures = append(r.report.Failures, r.report.tooLittle(cfg.Histories)...)
	}
	return &r.report, nil
}

// round makes and judges the histories of n accounts, on a data directory of their own.
func (r *run) round(ctx context.Context, first, n int) error {
	data := filepath.Join(r.Data, fmt.Sprintf("round-%d", first))
	desks, err := r.record(ctx, data, n)
	if err != nil {
		return err
	}
	for i, d := range desks {
		r.judge(d.history, filepath.Join(r.Data, fmt.Sprintf("history-%d.html", first+i)))
	}
	r.say()
	if !r.report.OK() {
		return nil
	}
	return os.RemoveAll(data)
}

// record makes the calls, over the lives of several servers.
func (r *run) record(ctx context.Context, data string, n int) ([]*desk, error) {
	var desks []*desk
	for phase := range phases {
		s, err := process.Start(r.Binary, append(r.Sealed.Flags(), "--data", data, "--accounts", fmt.Sprint(n),
			"--seed", fmt.Sprint(r.Seed),
			"--prices", "fixed", "--shards", fmt.Sprint(1+r.rng.IntN(3)), "--checkpoint-interval",
			[...]string{"20ms", "200ms"}[r.rng.IntN(2)])...)
		if err != nil {
			return nil, err
		}
		if _, err = s.Await(ctx); err == nil && phase == 0 {
			desks, err = r.open(ctx, s, n)
		}
		if err == nil {
			err = r.phase(ctx, s, desks)
		}
		s.Kill()
		if err != nil {
			return nil, err
		}
		r.report.Kills++
	}
	return desks, r.conclude(ctx, data, desks)
}

// conclude asks a server at rest once more, and reads the whole history.
func (r *run) conclude(ctx context.Context, data string, desks []*desk) error {
	s, err := process.Start(r.Binary, append(r.Sealed.Flags(), "--data", data, "--seed", fmt.Sprint(r.Seed),
		"--prices", "fixed")...)
	if err != nil {
		return err
	}
	defer s.Kill()
	if _, err := s.Await(ctx); err != nil {
		return err
	}
	for _, d := range desks {
		if err := d.conclude(ctx, s.Listen()); err != nil {
			return err
		}
	}
	return s.Stop()
}

// open reads how the accounts begin, and what can be traded.
func (r *run) open(ctx context.Context, s *process.Server, n int) (desks []*desk, err error) {
	for i := range n {
		d := &desk{
			account: uint64(firstAccount + i), tls: r.Sealed.Client(), began: r.began,
			rng: rand.New(rand.NewPCG(r.rng.Uint64(), 1)),
		}
		if err := d.begin(ctx, s.Listen()); err != nil {
			return nil, err
		}
		desks = append(desks, d)
	}
	return desks, nil
}

// phase makes the clients of all accounts ask, and kills the server meanwhile, or lets it live
// until all is answered.
func (r *run) phase(ctx context.Context, s *process.Server, desks []*desk) error {
	var conns []*client.Client
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	var asking sync.WaitGroup
	begin, heard := make(chan struct{}), make(chan struct{}, 1)
	for _, d := range desks {
		d.heard = heard
		for range clients {
			c, err := d.dial(ctx, s.Listen())
			if err != nil {
				close(begin)
				return err
			}
			conns = append(conns, c)
			script := d.script(callsOfClient)
			asking.Go(func() {
				<-begin
				d.trade(c, script)
			})
		}
		takebacks := d.requests(callsOfDesk)
		asking.Go(func() {
			<-begin
			d.operate(s.Admin(), takebacks)
		})
	}
	close(begin)
	done := make(chan struct{})
	go func() { asking.Wait(); close(done) }() // ends with the calls, which the kill ends
	select {
	case <-heard: // a server that is killed before its first answer has said nothing to judge
	case <-done:
	}
	select {
	case <-time.After(killSoonest + time.Duration(r.rng.Int64N(int64(killLatest-killSoonest)))):
		s.Kill()
	case <-done:
	}
	<-done
	return ctx.Err()
}

// judge searches for an order of a history's calls.
func (r *run) judge(h *history, place string) {
	r.count(h)
	began := time.Now()
	result, err := h.linearizable(checkTimeout, place)
	r.report.LongestMillis = max(r.report.LongestMillis, time.Since(began).Milliseconds())
	switch {
	case err != nil:
		r.report.Failures = append(r.report.Failures, fmt.Sprintf("account %d: %s, and it cannot be shown: %v",
			h.start.account, result, err))
	case result == porcupine.Illegal:
		r.report.Failures = append(r.report.Failures, fmt.Sprintf("account %d: no order of its %d calls "+
			"explains their answers; shown in %s",
			h.start.account, len(h.calls), place))
	case result == porcupine.Unknown:
		r.report.Undecided++
		r.report.Failures = append(r.report.Failures, fmt.Sprintf("account %d: the search over %d calls did "+
			"not end within %s; shown in %s",
			h.start.account, len(h.calls), checkTimeout, place))
	}
}

func (r *run) count(h *history) {
	rep := &r.report
	rep.Histories++
	rep.Calls += h.open
	rep.Open += h.open
	for _, op := range h.calls {
		rep.Calls++
		c, a := op.Input.(*call), op.Output.(*answer)
		switch {
		case a.open:
			rep.Calls--
			rep.HadBeen++
		case a.unheard:
			rep.Unheard++
		case a.refused != "":
			rep.Refused++
		case a.repeated:
			rep.Repeated++
		case c.kind == order:
			rep.Executed++
		case c.kind == holdings:
			rep.Holdings++
		case c.kind == bust:
			rep.Busts++
		case c.kind == correct:
			rep.Corrections++
		case c.kind == book:
			rep.Bookings++
		case c.kind == reset:
			rep.Resets++
		}
	}
}

func (r *run) say() {
	if r.Progress == nil || time.Since(r.said) < progressEvery {
		return
	}
	r.said = time.Now()
	_, _ = fmt.Fprintf(r.Progress, "%s: %d of %d histories, %d calls\n", time.Since(r.began).Round(time.Second),
		r.report.Histories, r.Histories, r.report.Calls)
}
