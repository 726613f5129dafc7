package scenario

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/papertape/papertape/bench/load"
)

// interval is a pause between an answer and the next request, as in the first document.
type interval struct {
	name      string
	low, high time.Duration
}

// DocumentInterval is the interval of the first document's profile.
const DocumentInterval = "1–2 s"

func intervals() []interval {
	return []interval{
		{"0.1–0.5 s", 100 * time.Millisecond, 500 * time.Millisecond}, {"0.5–1 s", 500 * time.Millisecond, time.Second},
		{DocumentInterval, time.Second, 2 * time.Second}, {"2–5 s", 2 * time.Second, 5 * time.Second},
	}
}

const (
	groups        = 5
	groupQuick    = 3 * time.Second
	groupFull     = 20 * time.Second
	queriesOfAll  = 1.0 / 3 // buy, sell and query in equal parts
	documentWarm  = 2 * time.Second
	documentStart = 10 * time.Second // the time to start all of them
)

// documentCell returns the name of a cell.
func documentCell(clients int, i interval) string {
	return fmt.Sprintf("%d clients, %s", clients, i.name)
}

// document is the first document's table: the time to an answer by number of clients and by
// interval. The contenders, and several numbers of clients, are measured at the same time,
// each on a server of its own. They leave most of the machine idle, as Idle shows, and a
// machine changes more during an hour of measuring one after the other.
func (r *Runner) document() (steps []step) {
	contenders := []Contender{Ours, Baseline, BaselineWorkers40}
	list, clients, group := intervals(), [][]int{{1, 2, 5, 10, 20}, {50, 100}}, groupFull
	if !r.Size.Whole {
		list, clients, group = []interval{list[2]}, [][]int{{1, 10, 100}}, groupQuick
	}
	for _, i := range list {
		for _, n := range clients {
			steps = append(steps, r.documentStep(contenders, n, group, i))
		}
	}
	return steps
}

func (r *Runner) documentStep(contenders []Contender, clients []int, group time.Duration, i interval) step {
	return step{
		what: fmt.Sprintf("document, %s, %v clients, %d servers at once", i.name, clients,
			len(contenders)*len(clients)),
		takes: documentStart + documentWarm + groups*group,
		record: func(ctx context.Context) (records []Record, err error) {
			var all []documentBench
			defer func() {
				for _, b := range all {
					b.close()
				}
			}()
			for _, n := range clients {
				for _, c := range contenders {
					plan := documentLoad(n, i)
					b, err := r.open(ctx, &run{contender: c, plan: plan})
					if err != nil {
						return nil, err
					}
					all = append(all, documentBench{b, documentCell(n, i)})
				}
			}
			return r.documentGroups(ctx, all, group)
		},
	}
}

// documentLoad returns the load of the first document's clients.
func documentLoad(clients int, i interval) load.Plan {
	return load.Plan{
		Connections: clients, Mode: load.Think, ThinkLow: i.low, ThinkHigh: i.high, Queries: queriesOfAll,
		Seed: uint64(clients),
	}
}

// documentBench is one cell.
type documentBench struct {
	*bench
	cell string
}

// documentGroups starts all cells and measures group after group.
func (r *Runner) documentGroups(ctx context.Context, all []documentBench, group time.Duration) (records []Record,
	err error) {
	for _, b := range all {
		if err := b.fleet.Start(ctx); err != nil {
			return nil, err
		}
	}
	if err := sleep(ctx, documentWarm); err != nil {
		return nil, err
	}
	for round := range groups {
		found, errs := make([]Record, len(all)), make([]error, len(all))
		var measured sync.WaitGroup
		for i, b := range all {
			measured.Go(func() {
				found[i], errs[i] = b.window(ctx, group)
				found[i].Scenario, found[i].Cell, found[i].Round = "document", b.cell, round
				errs[i] = errors.Join(errs[i], r.checkLoad(b.cell, &found[i].Load))
			})
		}
		measured.Wait()
		if err := errors.Join(errs...); err != nil {
			return nil, err
		}
		records = append(records, found...)
	}
	return records, nil
}
