package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/papertape/papertape/bench/baseline"
	"github.com/papertape/papertape/bench/peers"
	"github.com/papertape/papertape/bench/venue"
	"github.com/papertape/papertape/cmd/papertape/process"
	"github.com/papertape/papertape/decimal"
)

// serveFlags holds the flags of a server.
type serveFlags struct {
	listen, debug, writer, storage, data, cpuProfile  string
	workers, writers, storageWorkers, accounts, loops int
	seed                                              uint64
	rate                                              float64
	priceInterval                                     time.Duration
}

// running is a server that is ready to run.
type running struct {
	// run serves until ctx ends, and calls listening once with the actual address.
	run   func(ctx context.Context, address string, listening func(address string)) error
	stats *venue.Stats // nil: the server has no business logic
}

// kind is one of the servers that are measured.
type kind struct {
	what  string
	start func(*serveFlags) (running, error)
}

// kinds returns the servers by name.
func kinds() map[string]kind {
	return map[string]kind{
		"baseline":    {"the design that Papertape replaces: two goroutines per connection", startBaseline},
		"zinx-orders": {"the same business on zinx, a router per message", startZinxOrders},
		"echo-gnet":   {"what is read is sent back, on gnet's event loops", startLoops(peers.Gnet)},
		"echo-nbio":   {"the same on nbio's", startLoops(peers.Nbio)},
		"echo-epoll":  {"the same on loops of epoll and nothing else", startLoops(peers.Epoll)},
		"echo-zinx":   {"each frame goes through a router of zinx and is sent back", startZinx},
		"echo-pair":   {"each frame goes from a reader through a worker to a writer, without business", startPair},
	}
}

func newServe() *cobra.Command {
	var f serveFlags
	list := new(strings.Builder)
	all := kinds()
	names := slices.Sorted(maps.Keys(all))
	for _, name := range names {
		_, _ = fmt.Fprintf(list, "  %-13s %s\n", name, all[name].what)
	}
	cmd := &cobra.Command{
		Use:   "serve KIND",
		Short: "Run one of the servers that are measured",
		Long: `Run one of the servers that Papertape is measured against, until SIGINT or SIGTERM; ` +
			`then finish what was taken, and exit 0.
One line on stdout, in JSON, says where it listens.

` + list.String(),
		Example: `  papertape-bench serve baseline --workers 40 --writer coalescing
  papertape-bench serve baseline --storage sync --data /tmp/events --rate 2000`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 || all[args[0]].start == nil {
				return usageError{fmt.Errorf("serve takes the kind of server, not %q: %s", args,
					strings.Join(names, ", "))}
			}
			return nil
		},
	}
	f.register(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := f.check(); err != nil {
			return err
		}
		if _, err := process.ReserveHugePages(reserved); err != nil {
			return err
		}
		return serve(cmd, &f, all[args[0]])
	}
	return cmd
}

// reserved is the heap for which huge pages are requested. It is as much as Papertape
// requests, so that Papertape is not faster for that reason alone.
const reserved = 5 << 29

func (f *serveFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.listen, "listen", "127.0.0.1:0", "where to listen, host:port")
	flags.StringVar(&f.debug, "debug", "127.0.0.1:0",
		"serve /debug/pprof/ and /debug/vars there, host:port; empty: nowhere")
	flags.StringVar(&f.cpuProfile, "cpuprofile", "", "write a CPU profile to this file, until the end")
	flags.Var(decimal.Whole(&f.workers, 10, 1, numbersMax), "workers", "workers that do the requests")
	flags.Var(decimal.Whole(&f.loops, runtime.NumCPU(), 1, numbersMax), "loops",
		"event loops of echo-gnet, echo-nbio and echo-epoll")
	flags.StringVar(&f.writer, "writer", string(baseline.WriterDirect),
		"direct or coalescing; of the baseline also pool")
	flags.Var(decimal.Whole(&f.writers, 10, 1, numbersMax), "writers", "writers of --writer pool")
	flags.StringVar(&f.storage, "storage", string(venue.StorageNone), "none, sync or pool: one synced write per event")
	flags.Var(decimal.Whole(&f.storageWorkers, 4, 1, numbersMax), "storage-workers",
		"database workers of --storage pool")
	flags.StringVar(&f.data, "data", "", "directory of the file of events, with --storage sync and pool")
	flags.Var(decimal.Whole(&f.accounts, 100, 1, venue.AccountsMax), "accounts", "accounts, from 100001 on")
	flags.Var(decimal.Whole(&f.seed, 1, 0, math.MaxUint64), "seed",
		"of what the accounts begin with, the prices and the simulated fills")
	flags.Var(decimal.Real(&f.rate, 0, 0, math.MaxInt32), "rate", "simulated fills a second, over all accounts")
	flags.Var(decimal.Duration(&f.priceInterval, 0, 0, durationMax), "price-interval",
		"how often prices change; 0: never")
}

// numbersMax bounds the numbers of workers, writers and database workers.
const numbersMax = 10_000

func (f *serveFlags) check() error {
	switch {
	case !slices.Contains(baseline.Writers(), baseline.Writer(f.writer)):
		return usageError{fmt.Errorf("--writer %q: it is one of %v", f.writer, baseline.Writers())}
	case !slices.Contains(venue.Storages(), venue.Storage(f.storage)):
		return usageError{fmt.Errorf("--storage %q: it is one of %v", f.storage, venue.Storages())}
	case f.storage != string(venue.StorageNone) && f.data == "":
		return usageError{fmt.Errorf("--storage %s needs a directory: --data", f.storage)}
	}
	return nil
}

// venue returns the configuration of the business.
func (f *serveFlags) venue(server string) (venue.Config, error) {
	cfg := venue.Config{
		Accounts: f.accounts, Seed: f.seed, Server: server, Epoch: uint64(time.Now().UnixNano()),
		PriceInterval: f.priceInterval, Storage: venue.Storage(f.storage), StorageWorkers: f.storageWorkers,
		File: filepath.Join(f.data, "events"),
	}
	if cfg.Storage == venue.StorageNone {
		return cfg, nil
	}
	return cfg, os.MkdirAll(f.data, 0o755)
}

func startBaseline(f *serveFlags) (running, error) {
	cfg, err := f.venue("baseline")
	if err != nil {
		return running{}, err
	}
	s, err := baseline.New(baseline.Config{
		Venue: cfg, Workers: f.workers, Writer: baseline.Writer(f.writer), Writers: f.writers,
		ConnectionsMax: connectionsMax(), Rate: f.rate,
	})
	if err != nil {
		return running{}, err
	}
	return running{stats: s.Stats(), run: func(ctx context.Context, address string, listening func(string)) error {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		listening(l.Addr().String())
		return s.Serve(ctx, l)
	}}, nil
}

// startLoops starts servers whose only setting is the number of loops.
func startLoops(echo func(ctx context.Context, address string, loops int,
	listening func(string)) error) func(*serveFlags) (running, error) {
	return func(f *serveFlags) (running, error) {
		return running{run: func(ctx context.Context, address string, listening func(string)) error {
			return echo(ctx, address, f.loops, listening)
		}}, nil
	}
}

// coalescing parses --writer for servers that have no pool of writers.
func (f *serveFlags) coalescing() (bool, error) {
	if f.writer == string(baseline.WriterPool) {
		return false, usageError{errors.New("--writer pool: only the baseline has it")}
	}
	return f.writer == string(baseline.WriterCoalescing), nil
}

func startPair(f *serveFlags) (running, error) {
	coalescing, err := f.coalescing()
	return running{run: func(ctx context.Context, address string, listening func(string)) error {
		return peers.Pair(ctx, address, f.workers, coalescing, listening)
	}}, err
}

func startZinx(f *serveFlags) (running, error) {
	buffered, err := f.coalescing()
	cfg := peers.ZinxConfig{Workers: f.workers, ConnectionsMax: connectionsMax(), Buffered: buffered}
	return running{run: func(ctx context.Context, address string, listening func(string)) error {
		return peers.Zinx(ctx, address, cfg, listening)
	}}, err
}

func startZinxOrders(f *serveFlags) (running, error) {
	if f.writer != string(baseline.WriterDirect) {
		return running{}, usageError{fmt.Errorf("--writer %s: zinx-orders writes directly, since zinx's queue "+
			"drops what its last flush did not reach", f.writer)}
	}
	cfg, err := f.venue("zinx")
	if err != nil {
		return running{}, err
	}
	z, err := peers.NewZinxOrders(peers.ZinxConfig{Workers: f.workers, ConnectionsMax: connectionsMax()}, cfg, f.rate)
	if err != nil {
		return running{}, err
	}
	return running{run: z.Serve, stats: z.Stats()}, nil
}

// announcement is the line that a server prints on stdout.
type announcement struct {
	Listen string `json:"listen"`
	Debug  string `json:"debug"`
	PID    int    `json:"pid"`
}

// serve runs a server, with its profile and its debug address.
func serve(cmd *cobra.Command, f *serveFlags, k kind) (err error) {
	if _, err := process.RaiseFileLimit(); err != nil {
		return err
	}
	s, err := k.start(f)
	if err != nil {
		return err
	}
	says := announcement{PID: os.Getpid()}
	if f.debug != "" {
		d, err := startDebug(f.debug, s.stats)
		if err != nil {
			return err
		}
		defer d.stop()
		says.Debug = d.address
	}
	stopProfile, err := profile(f.cpuProfile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopProfile()) }()
	return s.run(cmd.Context(), f.listen, func(address string) {
		says.Listen = address
		_ = json.NewEncoder(cmd.OutOrStdout()).Encode(says)
	})
}
