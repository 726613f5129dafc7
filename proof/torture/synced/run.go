package synced

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/console"
	"github.com/papertape/papertape/proof/process"
)

const (
	firstAccount = 100001
	accounts     = 20
	connections  = 2 // of an account
	callTimeout  = 20 * time.Second
	stringBytes  = 64 << 20 // of one write that strace shows: all of it
)

// Config describes a run.
type Config struct {
	Binary   string // of the server
	Duration time.Duration
	Seed     uint64
	Rate     float64 // simulated fills a second
	Data     string  // an existing directory for the server's data and the trace
	Keep     bool    // leave the trace there
}

// Report is what the trace shows.
type Report struct {
	Skipped      string   `json:"skipped,omitempty"` // why nothing was tried
	Seed         uint64   `json:"seed"`
	Seconds      float64  `json:"seconds"`
	Calls        int      `json:"system_calls"`
	LogWrites    int      `json:"log_writes"`
	Syncs        int      `json:"log_syncs"`
	Records      int      `json:"log_records"`
	SocketWrites int      `json:"socket_writes"`
	Frames       int      `json:"event_frames"` // EXECUTION and EVENT
	Holdings     int      `json:"holdings"`
	Busts        int      `json:"busts_answered"`
	Tellings     int      `json:"tellings_checked"` // the sum of these
	Events       int      `json:"events"`           // that they told
	Early        int      `json:"told_before_the_sync"`
	Failures     []string `json:"failures"`
}

// OK reports whether nothing was told too early.
func (r *Report) OK() bool { return len(r.Failures) == 0 }

// answers counts the answers to clients and to the operator while the trace was made. The trace
// must show as many.
type answers struct{ executions, holdings, busts atomic.Int64 }

// tooLittle says what the trace does not show that it must show before its verdict means anything.
// A telling that is not recognised in the trace is not judged.
func (r *Report) tooLittle(heard *answers) (sentences []string) {
	if r.Events == 0 || r.Syncs == 0 {
		sentences = append(sentences, fmt.Sprintf("the trace shows %d events told and %d syncs: it is of no use",
			r.Events, r.Syncs))
	}
	for _, n := range []struct {
		what         string
		shown, heard int
	}{
		{"events", r.Frames, int(heard.executions.Load())}, {"holdings", r.Holdings, int(heard.holdings.Load())},
		{"busts", r.Busts, int(heard.busts.Load())},
	} {
		switch {
		case n.heard == 0:
			sentences = append(sentences, fmt.Sprintf("no answer with %s came: nothing was tried", n.what))
		case n.shown < n.heard:
			sentences = append(sentences, fmt.Sprintf("%d answers with %s came, and the trace shows %d: not "+
				"all that was told was judged",
				n.heard, n.what, n.shown))
		}
	}
	return sentences
}

const failuresMax = 20 // sentences that are reported; all are counted

func (r *Report) fail(format string, args ...any) {
	r.Early++
	if len(r.Failures) < failuresMax {
		r.Failures = append(r.Failures, fmt.Sprintf(format, args...))
	}
}

// Run traces a server under load, and judges the trace. The error says why that was not possible.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	report := &Report{Seed: cfg.Seed, Failures: []string{}}
	strace, err := exec.LookPath("strace")
	if err != nil {
		report.Skipped = "strace is not installed (apt-get install strace)"
		report.Failures = append(report.Failures, "nothing was traced: "+report.Skipped+"; name the other "+
			"parts to do without")
		return report, nil
	}
	root, err := filepath.EvalSymlinks(cfg.Data) // strace shows paths as the kernel has them
	if err == nil {
		root, err = filepath.Abs(root)
	}
	if err != nil {
		return nil, err
	}
	trace, data := filepath.Join(root, "trace"), filepath.Join(root, "data")
	heard := new(answers)
	if report.Seconds, err = record(ctx, &cfg, strace, trace, data, heard); err != nil {
		return nil, err
	}
	f, err := os.Open(trace)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	calls, err := readTrace(f)
	if err != nil {
		return nil, err
	}
	if err := judge(calls, data, report); err != nil {
		return nil, err
	}
	report.Failures = append(report.Failures, report.tooLittle(heard)...)
	if !cfg.Keep && report.OK() {
		err = os.Remove(trace)
	}
	return report, err
}

// record runs a server under strace and load, and returns when both have ended. seconds is how long
// the load lasted.
func record(ctx context.Context, cfg *Config, strace, trace, data string, heard *answers) (seconds float64, err error) {
	s, err := process.StartUnder([]string{
		strace, "-D", "-f", "--seccomp-bpf", "-ttt", "-y", "-xx", "-s", fmt.Sprint(stringBytes), "-o", trace,
		"-e", "trace=write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,fsync,fdatasync,sync_file_range",
	}, cfg.Binary, "--data", data, "--accounts", fmt.Sprint(accounts), "--seed", fmt.Sprint(cfg.Seed))
	if err != nil {
		return 0, err
	}
	defer s.Kill()
	if _, err := s.Await(ctx); err != nil {
		return 0, err
	}
	began := time.Now()
	if err := load(ctx, cfg, s, heard); err != nil {
		return 0, err
	}
	seconds = time.Since(began).Seconds()
	return seconds, s.Stop() // strace has ended too: its output goes where the server's log goes
}

// load places orders, asks for holdings and takes trades back, for the configured time.
func load(ctx context.Context, cfg *Config, s *process.Server, heard *answers) error {
	desk := console.NewClient(s.Admin(), "")
	if _, err := desk.SetRate(ctx, cfg.Rate); err != nil {
		return err
	}
	var conns []*client.Client
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	for i := range accounts * connections {
		c, err := client.Dial(ctx, s.Listen(), client.Options{Account: uint64(firstAccount + i%accounts),
			DiscardEvents: true, Name: "synced"})
		if err != nil {
			return err
		}
		conns = append(conns, c)
	}
	// from when all are logged in, however long that took under strace
	ctx, cancel := context.WithTimeout(ctx, cfg.Duration)
	defer cancel()
	var all sync.WaitGroup
	for i, c := range conns {
		rng := rand.New(rand.NewPCG(cfg.Seed, uint64(100+i)))
		all.Go(func() { trade(ctx, c, rng, heard) })
	}
	all.Go(func() { takeBack(ctx, desk, rand.New(rand.NewPCG(cfg.Seed, 99)), heard) })
	all.Wait()
	return nil
}

// trade places orders, and asks for holdings now and then, until ctx ends. Refusals do not matter
// here.
func trade(ctx context.Context, c *client.Client, rng *rand.Rand, heard *answers) {
	for ctx.Err() == nil && c.Err() == nil {
		call, cancel := context.WithTimeout(ctx, callTimeout)
		if rng.IntN(6) == 0 {
			if _, err := c.Holdings(call); err == nil {
				heard.holdings.Add(1)
			}
		} else {
			side := client.Buy
			if rng.IntN(2) == 0 {
				side = client.Sell
			}
			o := client.Order{Side: side, Market: "SZ", Code: "000001", Quantity: 1 + rng.Int64N(3)}
			if _, err := c.Order(call, o); err == nil {
				heard.executions.Add(1)
			}
		}
		cancel()
	}
}

// takeBack repeatedly takes back one of the newest trades of some account.
func takeBack(ctx context.Context, desk *console.Client, rng *rand.Rand, heard *answers) {
	for n := 0; ctx.Err() == nil; n++ {
		h, err := desk.History(ctx, uint64(firstAccount+rng.IntN(accounts)), 0, 10)
		if err == nil && len(h.Events) > 0 {
			if t := h.Events[rng.IntN(len(h.Events))].Trade; t != nil {
				r := console.BustRequest{Trade: t.ID, Reason: "torture", Policy: "cascade",
					BustID: fmt.Sprintf("synced-%d", n)}
				if _, err := desk.Bust(ctx, r); err == nil {
					heard.busts.Add(1)
				}
			}
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}
