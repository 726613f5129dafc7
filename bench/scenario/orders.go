package scenario

import (
	"context"
	"fmt"
	"time"

	"github.com/papertape/papertape/bench/load"
)

// cell is one comparison of contenders.
type cell struct {
	name       string
	plan       load.Plan
	contenders []Contender

	accounts     int           // 0: one per connection
	warm, longer time.Duration // in addition to those of the size
	stuck        bool          // a server that stops answering is a result
}

// interleave runs the rounds over all contenders of all cells: A B C A B C.
func (r *Runner) interleave(scenario string, cells ...cell) (steps []step) {
	for round := range r.Size.Rounds {
		for _, c := range cells {
			for _, contender := range c.contenders {
				steps = append(steps, r.oneRun(scenario, round, c, contender))
			}
		}
	}
	return steps
}

// oneRun returns one run.
func (r *Runner) oneRun(scenario string, round int, c cell, contender Contender) step {
	m := run{contender: contender, plan: c.plan, accounts: c.accounts, warm: r.Size.Warm + c.warm,
		length: r.Size.Window + c.longer, stuck: c.stuck}
	return step{
		what:  fmt.Sprintf("%s, %s: %s (%d of %d)", scenario, c.name, contender.Name, round+1, r.Size.Rounds),
		takes: r.Size.takes(c.plan.Connections) + c.warm + c.longer,
		record: func(ctx context.Context) ([]Record, error) {
			record, err := r.measure(ctx, m)
			record.Scenario, record.Cell, record.Round = scenario, c.name, round
			return []Record{record}, err
		},
	}
}

// The names of the cells that targets refer to.
const (
	cell100      = "100 × 1"
	cell1000     = "1,000 × 1"
	cell10000    = "10,000 × 1"
	cellMost     = "most × 1"
	cellPipeline = "100 × 32"
)

func closedLoop(connections, outstanding int) load.Plan {
	return load.Plan{Connections: connections, Mode: load.ClosedLoop, Outstanding: outstanding}
}

// oldDesigns returns the variants of the old design: as it was, and as the first document and
// fairness suggest.
func (r *Runner) oldDesigns() []Contender {
	if r.Size.Whole {
		return []Contender{Baseline, BaselineWorkers40, BaselinePool, BaselineCoalescing, ZinxOrders}
	}
	return []Contender{Baseline, BaselineCoalescing}
}

// connections is one outstanding request on each connection, up to the most connections
// that a process may hold.
func (r *Runner) connections() []step {
	orders := append([]Contender{Ours}, r.oldDesigns()...)
	echoes := []Contender{EchoGnet, EchoPair, EchoZinx}
	if !r.Size.Whole {
		return r.interleave("connections",
			cell{name: cell1000, plan: closedLoop(1000, 1), contenders: append(orders, echoes...)},
			cell{name: cell10000, plan: closedLoop(10_000, 1), contenders: []Contender{Ours, Baseline}})
	}
	all := append(append(orders, echoes...), EchoEpoll, EchoNbio)
	return r.interleave("connections",
		cell{name: cell100, plan: closedLoop(100, 1), contenders: all},
		cell{name: cell1000, plan: closedLoop(1000, 1), contenders: all},
		cell{name: cell10000, plan: closedLoop(10_000, 1), contenders: all},
		cell{name: cellMost, plan: closedLoop(r.connectionsMost(), 1), contenders: orders})
}

// connectionsMost returns how many connections our server allows in one process here.
func (r *Runner) connectionsMost() int { return min(100_000, int(r.files)-filesForOthers) }

// filesForOthers is the number of files that the server reserves for other uses, see
// docs/operations.md.
const filesForOthers = 1500

// historyFilled is the longest time until our server keeps as many events for each of a hundred
// accounts as it ever keeps for one. From then on its memory does not grow, and a window of
// a second shows the same as one of an hour.
const historyFilled = time.Second

// pipelined is many outstanding requests on each of a hundred connections.
func (r *Runner) pipelined() []step {
	contenders := append([]Contender{Ours}, r.oldDesigns()...)
	if r.Size.Whole {
		contenders = append(contenders, EchoEpoll, EchoGnet, EchoNbio, EchoPair, EchoZinx)
	}
	return r.interleave("pipelined", cell{name: cellPipeline, plan: closedLoop(100, 32), contenders: contenders,
		warm: historyFilled})
}

// durable measures the cost of storing events: ours in each mode, and the old design with a
// synced write per request and with a pool of database workers.
func (r *Runner) durable() []step {
	if !r.Size.Whole {
		return r.interleave("durable", cell{name: cell1000, plan: closedLoop(1000, 1),
			contenders: []Contender{Ours, OursSynced, BaselineSync}})
	}
	all := []Contender{Ours, OursSynced, Ours.With("papertape, interval", "--durability", "interval"), Baseline,
		BaselineSync, BaselineDatabase}
	return r.interleave("durable",
		cell{name: cell1000, plan: closedLoop(1000, 1), contenders: all}, cell{name: cellPipeline,
			plan: closedLoop(100, 32), contenders: all})
}

// stalled measures what a client that stops reading does to the others. Its account trades,
// so that there is always more to send. The old design gets more time to fill up: on
// loopback the kernel buffers four megabytes for a socket without a limit of its own.
func (r *Runner) stalled() []step {
	calm, worse := closedLoop(100, 32), closedLoop(101, 32)
	worse.Stalled = 1
	const filling, window = 8 * time.Second, time.Second
	cells := []cell{
		{name: cellCalm, plan: calm, contenders: []Contender{Ours}, longer: window},
		{name: cellStalled, plan: worse, accounts: 100, contenders: []Contender{Ours}, warm: time.Second,
			longer: window},
	}
	if old := r.oldDesigns(); r.Size.Whole {
		cells = append(cells, cell{name: cellCalm, plan: calm, contenders: old, longer: window},
			cell{name: cellStalled, plan: worse, accounts: 100, contenders: old, warm: filling, longer: window,
				stuck: true})
	}
	return r.interleave("stalled", cells...)
}

const (
	cellCalm    = "100 × 32"
	cellStalled = "100 × 32 and one that does not read"
)
