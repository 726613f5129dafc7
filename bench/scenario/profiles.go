package scenario

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/pprof/profile"

	"github.com/papertape/papertape/bench/load"
	"github.com/papertape/papertape/bench/measure"
)

// Profile names a CPU profile of a contender and its file.
type Profile struct {
	Load      string // ProfileDocument, …
	Contender string
	File      string // relative to Results' directory
}

// The loads under which profiles are taken.
const (
	ProfileDocument  = "document"  // 100 clients, 1–2 s
	ProfileSaturated = "saturated" // 1,000 × 1
	ProfilePipelined = "pipelined" // 100 × 32
)

// Profiles returns those that the profiles scenario takes.
func Profiles() (list []Profile) {
	for _, under := range []string{ProfileDocument, ProfileSaturated, ProfilePipelined} {
		for _, c := range profiled() {
			name := strings.NewReplacer(" ", "-", ",", "").Replace(c.Name)
			list = append(list, Profile{Load: under, Contender: c.Name,
				File: filepath.Join("profiles", under+"-"+name+".pb.gz")})
		}
	}
	return list
}

func profiled() []Contender {
	return []Contender{Ours, Baseline, BaselineCoalescing, OursSynced, BaselineSync}
}

// profiles takes CPU profiles. Under the first document's own load all contenders run at
// once, since it leaves the machine idle, each in as many windows as the document has
// groups. Saturated, they run one after the other, round by round, and the rounds are
// merged into one profile.
func (r *Runner) profiles() (steps []step) {
	document, saturated := 5*time.Second, time.Second
	if r.Size.Whole {
		document, saturated = time.Minute, 3*time.Second
	}
	steps = append(steps, step{
		what: "profiles at the first document's load", takes: document + 5*time.Second,
		record: func(ctx context.Context) ([]Record, error) {
			records, errs := make([][]Record, len(profiled())), make([]error, len(profiled()))
			var all sync.WaitGroup
			for i, c := range profiled() {
				all.Go(func() {
					var data []byte
					if records[i], data, errs[i] = r.profile(ctx, c, documentLoad(100, intervals()[2]), document,
						groups); errs[i] == nil {
						errs[i] = r.keep(ProfileDocument, c, data)
					}
				})
			}
			all.Wait()
			return profiledUnder(ProfileDocument, slices.Concat(records...)), errors.Join(errs...)
		},
	})
	// The rounds so far, by load and contender. Steps run one after another.
	taken := make(map[string][]*profile.Profile)
	for round := range r.Size.Rounds {
		for _, load := range []cell{{name: ProfileSaturated, plan: closedLoop(1000, 1)},
			{name: ProfilePipelined, plan: closedLoop(100, 32)}} {
			for _, c := range profiled() {
				if load.name == ProfilePipelined && len(c.Flags) > 0 && c.Name != BaselineCoalescing.Name {
					continue // the other load shows the cost of storage
				}
				if round > 0 && !r.Size.Whole && (load.name != ProfileSaturated || c.Name != OursSync) {
					continue // one round suffices for the pictures; the target about a profile needs all
				}
				steps = append(steps, step{
					what: fmt.Sprintf("profiles, %s: %s (%d of %d)", load.name, c.Name, round+1,
						r.Size.Rounds), takes: saturated + 2*time.Second,
					record: func(ctx context.Context) ([]Record, error) {
						return r.profileRound(ctx, c, load, saturated, round, taken)
					},
				})
			}
		}
	}
	return steps
}

// profiledUnder sets the load under which records were profiled.
func profiledUnder(load string, records []Record) []Record {
	for i := range records {
		records[i].Scenario, records[i].Cell = "profiles", load
	}
	return records
}

// profileRound runs one round of a saturated load, and adds its profile to the earlier
// ones.
func (r *Runner) profileRound(ctx context.Context, c Contender, load cell, length time.Duration, round int,
	taken map[string][]*profile.Profile) ([]Record, error) {
	records, data, err := r.profile(ctx, c, load.plan, length, 1)
	if err != nil {
		return nil, err
	}
	p, err := profile.ParseData(data)
	if err != nil {
		return nil, fmt.Errorf("a CPU profile does not parse: %w", err)
	}
	records[0].Round, records[0].Values = round, map[string]float64{"journal": 100 * shareOf(p,
		"papertape/engine/journal.", "cockroachdb/pebble")}
	key := load.name + "\x00" + c.Name
	all := append(slices.Clip(taken[key]), p)
	merged, err := profile.Merge(all)
	if err != nil {
		return nil, fmt.Errorf("CPU profiles of %s: %w", c.Name, err)
	}
	var b bytes.Buffer
	if err := merged.Write(&b); err != nil {
		return nil, err
	}
	if err := r.keep(load.name, c, b.Bytes()); err != nil {
		return nil, err
	}
	taken[key] = all
	return profiledUnder(load.name, records), nil
}

// profile measures that many windows, one after the other, while the server is profiled.
func (r *Runner) profile(ctx context.Context, c Contender, plan load.Plan, length time.Duration,
	windows int) (records []Record, data []byte, err error) {
	b, err := r.open(ctx, &run{contender: c, plan: plan})
	if err != nil {
		return nil, nil, err
	}
	defer b.close()
	if err := b.fleet.Start(ctx); err != nil {
		return nil, nil, err
	}
	if err := sleep(ctx, r.Size.Warm); err != nil {
		return nil, nil, err
	}
	var profiling sync.WaitGroup
	var failed error
	profiling.Go(func() { data, failed = b.server.Debug.Profile(ctx, length) })
	for i := 0; i < windows && err == nil; i++ {
		var record Record
		record, err = b.window(ctx, length/time.Duration(windows))
		record.Round = i
		err = errors.Join(err, r.checkLoad(c.Name, &record.Load))
		records = append(records, record)
	}
	profiling.Wait()
	return records, data, errors.Join(err, failed)
}

// keep writes a profile to its file.
func (r *Runner) keep(under string, c Contender, data []byte) error {
	for _, p := range Profiles() {
		if p.Load == under && p.Contender == c.Name {
			return writeFile(filepath.Join(r.Out, p.File), data)
		}
	}
	return nil
}

// shareOf returns the fraction of a profile's processor time with one of these packages on
// the stack.
func shareOf(p *profile.Profile, packages ...string) float64 {
	all, of := int64(0), int64(0)
	for _, s := range p.Sample {
		spent := s.Value[len(s.Value)-1]
		all += spent
		if onStack(s, packages) {
			of += spent
		}
	}
	if all == 0 {
		return 0
	}
	return float64(of) / float64(all)
}

func onStack(s *profile.Sample, packages []string) bool {
	for _, l := range s.Location {
		for _, line := range l.Line {
			if slices.ContainsFunc(packages, func(p string) bool {
				return line.Function != nil &&
					strings.Contains(line.Function.Name, p)
			}) {
				return true
			}
		}
	}
	return false
}

func writeFile(file string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, content, 0o644)
}

// syscalls measures the system calls per request, counted by strace in runs that are used
// for nothing else.
func (r *Runner) syscalls() (steps []step) {
	rounds, thinking := r.Size.Rounds, 3*time.Second
	if !r.Size.Whole {
		rounds, thinking = 1, time.Second
	}
	for round := range rounds {
		for _, c := range []cell{
			{name: cell1000, plan: closedLoop(1000, 1)}, {name: cellPipeline, plan: closedLoop(100, 32)},
			{name: documentCell(100, intervals()[2]), plan: documentLoad(100, intervals()[2]), longer: thinking},
		} {
			contenders := []Contender{Ours, Baseline}
			if r.Size.Whole {
				contenders = append(contenders, BaselineCoalescing, BaselinePool, ZinxOrders, EchoEpoll, EchoGnet)
			}
			for _, contender := range contenders {
				if contender.Echo && c.plan.Queries > 0 {
					continue // it has none
				}
				length := time.Second + c.longer
				steps = append(steps, step{
					what: fmt.Sprintf("syscalls, %s: %s (%d of %d)", c.name, contender.Name, round+1,
						rounds), takes: length + 2*time.Second,
					record: func(ctx context.Context) ([]Record, error) {
						record, err := r.traceRun(ctx, contender, c, length)
						if errors.Is(err, measure.ErrNoStrace) {
							r.note(err.Error())
							return nil, nil
						}
						record.Round = round
						return []Record{record}, err
					},
				})
			}
		}
	}
	return steps
}

// note records once what could not be measured, or only on a later try.
func (r *Runner) note(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.notes, what) {
		r.notes = append(r.notes, what)
	}
}

// traceRun counts from before the first request until after the last.
func (r *Runner) traceRun(ctx context.Context, contender Contender, c cell, length time.Duration) (Record, error) {
	b, err := r.open(ctx, &run{contender: contender, plan: c.plan})
	if err != nil {
		return Record{}, err
	}
	defer b.close()
	trace, err := b.server.PID.Trace(ctx)
	if err != nil {
		return Record{}, err
	}
	if err = b.fleet.Begin(ctx); err == nil {
		err = b.fleet.Start(ctx)
	}
	if err == nil {
		err = sleep(ctx, length)
	}
	result, endErr := b.fleet.End(ctx)
	counts, traceErr := trace.Stop()
	if err = errors.Join(err, endErr, traceErr); err != nil {
		return Record{}, err
	}
	if result.Answers == 0 {
		return Record{}, errors.New("no request was answered while system calls were counted")
	}
	record := Record{Scenario: "syscalls", Cell: c.name, Contender: contender.Name, Load: result,
		Values: make(map[string]float64)}
	for name, n := range counts {
		each := float64(n) / float64(result.Answers)
		record.Values["all"] += each
		record.Values[name] = each
	}
	return record, nil
}
