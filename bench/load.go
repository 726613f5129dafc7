package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/papertape/papertape/bench/load"
	"github.com/papertape/papertape/bench/measure"
	"github.com/papertape/papertape/bench/report"
	"github.com/papertape/papertape/decimal"
)

// durationMax bounds every duration on the command line.
const durationMax = 7 * 24 * time.Hour

// loadFlags holds the flags of load.
type loadFlags struct {
	tls            bool
	ca             string
	plan           load.Plan
	mode, output   string
	warm, duration time.Duration
}

func newLoad() *cobra.Command {
	var f loadFlags
	cmd := &cobra.Command{
		Use:   "load",
		Short: "Put a load on one server, and say how long its answers took",
		Long: `Put a load on a server that is running, Papertape or one of papertape-bench serve, ` +
			`check every answer, and say how long they took.

  closed    --outstanding requests are always under way on each connection: the next one is sent with the answer
  open      --rate requests a second are sent, whether those before are answered or not; the time to an answer ` +
			`counts from when a
            request was meant to be sent, so that a server which keeps the load waiting cannot hide it
  think     one request, its answer, then a pause drawn from --think-low to --think-high
  receive   nothing is asked; what is pushed is counted

Exit code 99: an answer was wrong, or the load was late itself, and its figures are worth nothing.`,
		Example: `  papertape-bench load --mode open --rate 20000 --connections 1000
  papertape-bench load --mode closed --outstanding 32 --duration 30s --server 127.0.0.1:7400
  papertape-bench load --mode think --think-low 1s --think-high 2s --queries 0.33`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runLoad(cmd, &f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.plan.Address, "server", "127.0.0.1:7300", "the server, host:port")
	flags.BoolVar(&f.tls, "tls", false, "come over TLS; needs --tls-ca")
	flags.StringVar(&f.ca, "tls-ca", "", "a `file` with the server's certificate, or that of its authority (PEM)")
	flags.Var(decimal.Whole(&f.plan.Connections, 100, 1, math.MaxInt32), "connections",
		"connections, all logged in before the first request")
	flags.Var(decimal.Whole(&f.plan.Accounts, 0, 0, math.MaxInt32), "accounts",
		"accounts that the server has, from 100001 on; 0: as many as connections")
	flags.Var(decimal.Whole(&f.plan.Threads, 1, 1, math.MaxInt32), "threads", "threads of each process of the load")
	flags.StringVar(&f.mode, "mode", string(load.ClosedLoop), "closed, open, think or receive")
	flags.Var(decimal.Whole(&f.plan.Outstanding, 1, 1, math.MaxInt32), "outstanding",
		"closed: requests under way on each connection")
	flags.Var(decimal.Real(&f.plan.Rate, 1000, 0, math.MaxInt32), "rate",
		"open: requests a second over all connections")
	flags.Var(decimal.Duration(&f.plan.ThinkLow, time.Second, 0, durationMax), "think-low", "think: the shortest pause")
	flags.Var(decimal.Duration(&f.plan.ThinkHigh, 2*time.Second, 0, durationMax), "think-high",
		"think: the longest pause")
	flags.Var(decimal.Real(&f.plan.Queries, 0, 0, 1), "queries",
		"the part of the requests that asks for the holdings, 0 to 1; the others buy and sell in turn")
	flags.BoolVar(&f.plan.Quotes, "quotes", false, "subscribe to quotes")
	flags.BoolVar(&f.plan.Echo, "echo", false, "the server sends every frame back and is not asked for more")
	flags.Var(decimal.Whole(&f.plan.Seed, 1, 0, math.MaxUint64), "seed", "of what is drawn")
	flags.Var(decimal.Duration(&f.warm, time.Second, 0, durationMax), "warm", "load before it is measured")
	flags.Var(decimal.Duration(&f.duration, 10*time.Second, time.Millisecond, durationMax), "duration",
		"what is measured")
	flags.StringVarP(&f.output, "output", "o", "text", "text or json")
	return cmd
}

func (f *loadFlags) check() error {
	if f.plan.Accounts == 0 {
		f.plan.Accounts = f.plan.Connections
	}
	f.plan.Mode = load.Mode(f.mode)
	if f.output != "text" && f.output != "json" {
		return usageError{fmt.Errorf("-o %s: it is text or json", f.output)}
	}
	if f.tls != (f.ca != "") {
		return usageError{errors.New("--tls and --tls-ca need each other")}
	}
	f.plan.Authority = f.ca
	host, _, err := net.SplitHostPort(f.plan.Address)
	if err != nil {
		return usageError{fmt.Errorf("--server %s: it is host:port", f.plan.Address)}
	}
	if net.ParseIP(host).IsLoopback() {
		f.plan.Sources = load.Sources(f.plan.Connections)
	}
	if err := f.plan.Check(); err != nil {
		return usageError{err}
	}
	return nil
}

// runLoad runs the load in as many processes as its connections need, and prints the
// result.
func runLoad(cmd *cobra.Command, f *loadFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	files, err := measure.RaiseFiles()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	fleet, err := load.OpenFleet(ctx, []string{self, "generate"}, load.Processes(f.plan.Connections, files), f.plan)
	if err != nil {
		return err
	}
	defer fleet.Close()
	result, err := measureLoad(ctx, fleet, f)
	if err != nil {
		return err
	}
	if err := f.print(cmd.OutOrStdout(), &result); err != nil {
		return err
	}
	if err := result.Err(); err != nil {
		_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "papertape-bench load:", err)
		return errCheck
	}
	if result.Answers == 0 && f.plan.Mode != load.Receive {
		return errors.New("no request was answered")
	}
	return nil
}

// measureLoad starts the load, warms it up, and measures it.
func measureLoad(ctx context.Context, fleet *load.Fleet, f *loadFlags) (r load.Result, err error) {
	if err := fleet.Start(ctx); err != nil {
		return r, err
	}
	if err := pause(ctx, f.warm); err != nil {
		return r, err
	}
	if err := fleet.Begin(ctx); err != nil {
		return r, err
	}
	if err := pause(ctx, f.duration); err != nil {
		return r, err
	}
	return fleet.End(ctx)
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *loadFlags) print(w io.Writer, r *load.Result) error {
	if f.output == "json" {
		out := json.NewEncoder(w)
		out.SetIndent("", "\t")
		return out.Encode(r)
	}
	t := report.Table{Head: []string{"ms", "count", "mean", "p50", "p90", "p99", "p99.9", "max"}}
	ms := func(v float64) string { return fmt.Sprintf("%.3f", v) }
	row := func(what string, d load.Distribution) {
		if d.Count > 0 {
			t.Rows = append(t.Rows, []string{
				what, fmt.Sprint(d.Count), ms(d.Mean), ms(d.P50), ms(d.P90), ms(d.P99), ms(d.P999), ms(d.Max),
			})
		}
	}
	for _, kind := range []string{"buy", "sell", "query", "all"} {
		row(kind, r.Latency[kind])
	}
	row("push lag", r.PushLag)
	row("load's own lag", r.Lag)
	if err := t.WriteText(w); err != nil {
		return err
	}
	each := func(n uint64) float64 { return float64(n) / r.Seconds }
	_, err := fmt.Fprintf(w, "%d connections, %.1f s: %.0f requests and %.0f answers a second, %.0f events and "+
		"%.0f frames of quotes pushed; "+
		"%d wrong answers, rejects %v, %d cut; the load used %.2f cores\n",
		r.Connections, r.Seconds, each(r.Requests), each(r.Answers), each(r.Events), each(r.Quotes),
		r.Findings, r.Rejects, r.Cut, r.CPU)
	return err
}
