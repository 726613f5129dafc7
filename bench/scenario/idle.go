package scenario

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/papertape/papertape/bench/load"
	"github.com/papertape/papertape/bench/measure"
)

// idle measures connections that are logged in and do nothing, as many as a process may
// hold, and then a trickle of pushes through them.
func (r *Runner) idle() (steps []step) {
	contenders, trickle := []Contender{Ours, Baseline}, time.Second
	if r.Size.Whole {
		contenders, trickle = append(contenders, BaselineCoalescing, ZinxOrders), 3*time.Second
	}
	for round := range r.Size.Rounds {
		for _, c := range contenders {
			steps = append(steps, step{
				what: fmt.Sprintf("idle, %d connections: %s (%d of %d)", r.connectionsMost(), c.Name, round+1,
					r.Size.Rounds),
				takes: 2*idleSettle + trickle + time.Duration(r.connectionsMost())*loginTakes,
				record: func(ctx context.Context) ([]Record, error) {
					record, err := r.measureIdle(ctx, c, round, trickle)
					return []Record{record}, err
				},
			})
		}
	}
	return steps
}

const (
	cellIdle   = "idle"
	idleSettle = time.Second
	// Few accounts, so that connections are measured: opening many leaves free heap that
	// connections would then use.
	idleAccounts = 100
	// These clients log in and leave first, so that what remains of them is not counted as
	// a connection's.
	warmClients = 100
)

func (r *Runner) measureIdle(ctx context.Context, c Contender, round int, trickle time.Duration) (Record, error) {
	n := r.connectionsMost()
	few := run{contender: c, accounts: idleAccounts, plan: load.Plan{Connections: warmClients, Mode: load.Receive}}
	if c.Kind == papertape {
		few.flags = []string{"--sessions-per-account-max", strconv.Itoa(1 + n/idleAccounts)}
	}
	b, err := r.open(ctx, &few)
	if err != nil {
		return Record{}, err
	}
	defer b.close()
	b.fleet.Close()
	before, err := r.takeSnapshot(ctx, b)
	if err != nil {
		return Record{}, err
	}
	plan := load.Plan{Connections: n, Mode: load.Receive, Address: b.server.Listen, Accounts: idleAccounts,
		Sources: load.Sources(n)}
	if b.fleet, err = load.OpenFleet(ctx, []string{r.Programs.Bench, "generate"}, load.Processes(n, r.files),
		plan); err != nil {
		return Record{}, err
	}
	after, err := r.takeSnapshot(ctx, b)
	if err != nil {
		return Record{}, err
	}
	if c.Kind == papertape {
		if err := b.server.SetRate(ctx, 2*idleAccounts/trickle.Seconds()); err != nil {
			return Record{}, err
		}
	}
	record, err := b.window(ctx, trickle)
	if err != nil {
		return Record{}, err
	}
	record.Scenario, record.Cell, record.Round, record.Go = "idle", cellIdle, round, after.goes
	each := func(v float64) float64 { return v / float64(n) }
	record.Values = map[string]float64{
		"connections": float64(n), "user_bytes": each(float64(after.sample.RSS - before.sample.RSS)),
		"kernel_bytes": each(float64(after.kernel.Slab - before.kernel.Slab + after.kernel.TCP - before.kernel.TCP)),
		"goroutines":   each(float64(after.goes.Goroutines - before.goes.Goroutines)),
	}
	return record, r.checkLoad("idle", &record.Load)
}

// snapshot is a snapshot of the server and the kernel.
type snapshot struct {
	sample measure.Sample
	kernel measure.Kernel
	goes   measure.Go
}

// takeSnapshot waits until the server and the kernel have settled, and takes a snapshot.
func (r *Runner) takeSnapshot(ctx context.Context, b *bench) (s snapshot, err error) {
	if err := sleep(ctx, idleSettle); err != nil {
		return s, err
	}
	if s.goes, err = b.server.Debug.Go(ctx, false); err != nil {
		return s, err
	}
	if s.kernel, err = measure.KernelMemory(); err != nil {
		return s, err
	}
	s.sample, err = b.server.PID.Sample()
	return s, err
}
