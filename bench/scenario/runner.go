package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/papertape/papertape/bench/load"
	"github.com/papertape/papertape/bench/measure"
)

// Runner runs scenarios.
type Runner struct {
	Programs Programs
	Size     Size
	Source   string // source directory of Papertape, for the benchmarks of its packages
	Commit   string // "": as recorded in this program
	Out      string // directory for the results
	// Progress, if set, is called before each step with the expected time elapsed and in
	// total, and the name of the step.
	Progress func(done, of time.Duration, what string)

	// Lenient keeps runs in which the generator was late, with a note. It is for trying
	// things on a busy machine.
	Lenient bool

	files    uint64 // that a process may have open
	done     time.Duration
	all      time.Duration
	mu       sync.Mutex
	notes    []string
	failures []string
}

// step is one run of a scenario, or several that cannot be separated.
type step struct {
	what   string
	takes  time.Duration // estimate, for the progress
	record func(ctx context.Context) ([]Record, error)
}

// plan is a scenario: its steps, in order.
type plan struct {
	name  string
	steps func(r *Runner) []step
}

// plans returns all scenarios, in the order of the report.
func plans() []plan {
	return []plan{
		{"document", (*Runner).document}, {"connections", (*Runner).connections}, {"pipelined", (*Runner).pipelined},
		{"push", (*Runner).push}, {"idle", (*Runner).idle}, {"stalled", (*Runner).stalled}, {"durable",
			(*Runner).durable},
		{"syscalls", (*Runner).syscalls}, {"profiles", (*Runner).profiles}, {"benchmarks", (*Runner).benchmarks},
	}
}

// Names returns the names of all scenarios.
func Names() (names []string) {
	for _, p := range plans() {
		names = append(names, p.name)
	}
	return names
}

// Run measures the named scenarios, or all if there are no names. It writes raw/NAME.json
// for each, and results.json for all of them, to Out.
func (r *Runner) Run(ctx context.Context, names ...string) (*Results, error) {
	began := time.Now()
	chosen, err := choose(names)
	if err != nil {
		return nil, err
	}
	if r.files, err = measure.RaiseFiles(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(r.Out, "raw"), 0o755); err != nil {
		return nil, err
	}
	results := &Results{Size: r.Size.Name}
	if results.Environment, err = measure.NewEnvironment(r.Commit, r.Out); err != nil {
		return nil, err
	}
	steps := make([][]step, len(chosen))
	for i, p := range chosen {
		steps[i] = p.steps(r)
		for _, s := range steps[i] {
			r.all += s.takes
		}
	}
	for i, p := range chosen {
		records, err := r.runAll(ctx, steps[i])
		if err != nil {
			return nil, err
		}
		if err := writeJSON(filepath.Join(r.Out, "raw", p.name+".json"), records); err != nil {
			return nil, err
		}
		results.Records = append(results.Records, records...)
	}
	results.Notes, results.Failures, results.Seconds = r.notes, r.failures, time.Since(began).Seconds()
	return results, writeJSON(filepath.Join(r.Out, "results.json"), results)
}

func choose(names []string) ([]plan, error) {
	all := plans()
	if len(names) == 0 {
		return all, nil
	}
	for _, name := range names {
		if !slices.Contains(Names(), name) {
			return nil, fmt.Errorf("there is no scenario %q; there are %s", name, strings.Join(Names(), ", "))
		}
	}
	return slices.DeleteFunc(all, func(p plan) bool { return !slices.Contains(names, p.name) }), nil
}

// tries is how often a step is tried, since a machine may be disturbed for a moment.
const tries = 3

// runAll runs the steps. A step that fails on every try is recorded as a failure, and the
// others continue: hours of measurements are not discarded for it.
func (r *Runner) runAll(ctx context.Context, steps []step) (records []Record, err error) {
	for _, s := range steps {
		if r.Progress != nil {
			r.Progress(r.done, r.all, s.what)
		}
		var found []Record
		for try := range tries {
			if found, err = s.record(ctx); err == nil || ctx.Err() != nil {
				break
			}
			r.note(fmt.Sprintf("%s, try %d: %v", s.what, try+1, err))
		}
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			r.failures = append(r.failures, fmt.Sprintf("%s: %v", s.what, err))
		default:
			records = append(records, found...)
		}
		r.done += s.takes
	}
	return records, nil
}

// checkLoad returns why the load's result is worthless. For a lenient runner, a late
// generator is only a note.
func (r *Runner) checkLoad(what string, l *load.Result) error {
	if r.Lenient && l.Findings == 0 && l.Lagging != "" {
		r.note(what + ": " + l.Lagging)
		return nil
	}
	return l.Err()
}

func writeJSON(file string, v any) error {
	text, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

// Load reads the results that a run wrote to dir.
func Load(dir string) (*Results, error) {
	text, err := os.ReadFile(filepath.Join(dir, "results.json"))
	if err != nil {
		return nil, fmt.Errorf("there are no results in %s: %w", dir, err)
	}
	var results Results
	if err := json.Unmarshal(text, &results); err != nil {
		return nil, fmt.Errorf("%s/results.json: %w", dir, err)
	}
	return &results, nil
}

// run is one server under one load.
type run struct {
	contender Contender
	flags     []string // of the server, for this run
	accounts  int      // 0: as many as connections
	plan      load.Plan
	warm      time.Duration
	length    time.Duration
	// stuck means that a server which stops answering is a result here.
	stuck bool
}

// bench is a server with a load on it.
type bench struct {
	server *Server
	fleet  *load.Fleet
}

// open starts the server, and logs in every connection.
func (r *Runner) open(ctx context.Context, m *run) (*bench, error) {
	if m.accounts == 0 {
		m.accounts = m.plan.Connections
	}
	server, err := r.Programs.Start(ctx, m.contender, m.accounts, m.flags...)
	if err != nil {
		return nil, err
	}
	b := &bench{server: server}
	p := m.plan
	p.Address, p.Accounts, p.Echo, p.Sources = server.Listen, m.accounts, m.contender.Echo, load.Sources(p.Connections)
	b.fleet, err = load.OpenFleet(ctx, []string{r.Programs.Bench, "generate"},
		load.Processes(p.Connections, r.files), p)
	if err != nil {
		b.close()
		return nil, fmt.Errorf("%s: %w", m.contender.Name, err)
	}
	return b, nil
}

func (b *bench) close() {
	if b.fleet != nil {
		b.fleet.Close()
	}
	b.server.Stop()
}

// window measures for that long.
func (b *bench) window(ctx context.Context, length time.Duration) (Record, error) {
	idleBefore, err := measure.Idle()
	if err != nil {
		return Record{}, err
	}
	if err := b.fleet.Begin(ctx); err != nil {
		return Record{}, err
	}
	before, err := b.server.PID.Sample()
	if err != nil {
		return Record{}, err
	}
	select {
	case <-time.After(length):
	case <-ctx.Done():
		return Record{}, ctx.Err()
	}
	after, err := b.server.PID.Sample()
	if err != nil {
		return Record{}, err
	}
	result, err := b.fleet.End(ctx)
	if err != nil {
		return Record{}, err
	}
	idleAfter, err := measure.Idle()
	if err != nil {
		return Record{}, err
	}
	used := after.Since(before)
	idle := (idleAfter - idleBefore).Seconds() / used.Seconds / float64(measure.Processors())
	return Record{Contender: b.server.contender.Name, Load: result, Server: used, Idle: min(1, idle)}, nil
}

// measure is one run: a server, a load, a warm-up and a window.
func (r *Runner) measure(ctx context.Context, m run) (Record, error) {
	b, err := r.open(ctx, &m)
	if err != nil {
		return Record{}, err
	}
	defer b.close()
	if err := b.fleet.Start(ctx); err != nil {
		return Record{}, err
	}
	if err := sleep(ctx, m.warm); err != nil {
		return Record{}, err
	}
	goBefore, err := b.server.Debug.Go(ctx, false)
	if err != nil {
		return Record{}, err
	}
	c, err := b.window(ctx, m.length)
	if err != nil {
		return Record{}, err
	}
	if c.Go, err = b.server.Debug.Go(ctx, false); err != nil {
		return Record{}, err
	}
	if n := c.Load.Answers; n > 0 {
		c.Values = map[string]float64{"mallocs": float64(c.Go.Mallocs-goBefore.Mallocs) / float64(n)}
	}
	return c, r.judge(&m, &c)
}

// judge returns why a record is worthless.
func (r *Runner) judge(m *run, c *Record) error {
	if m.stuck && c.Load.Answers == 0 {
		c.Note = "no request was answered any more"
		return nil
	}
	if c.Load.Answers == 0 && m.plan.Mode != load.Receive {
		return errors.New("no request was answered")
	}
	if n := rejected(&c.Load); n > 0 && m.plan.Mode == load.ClosedLoop {
		return fmt.Errorf("%d requests were rejected: %v", n, c.Load.Rejects)
	}
	if err := bottleneck(c); err != nil {
		if !m.contender.Echo {
			return err
		}
		c.Note = err.Error() // an echo is measured for its processor time; its maximum rate does not matter
	}
	return r.checkLoad(c.Contender, &c.Load)
}

// bottleneck returns an error if the server could have done more but the generator could
// not.
func bottleneck(c *Record) error {
	if c.Load.Busy <= busyMost || c.Idle <= idleMost {
		return nil
	}
	return fmt.Errorf("the generator was the bottleneck: its busiest thread used %.0f %% of a processor while %.0f "+
		"%% of all were idle; "+
		"give the load more threads", 100*c.Load.Busy, 100*c.Idle)
}

// A thread this busy is at its limit; and with this much idle time, the server was not the
// limit.
const (
	busyMost = 0.97
	idleMost = 0.10
)

func rejected(l *load.Result) (n uint64) {
	for _, count := range l.Rejects {
		n += count
	}
	return n
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
