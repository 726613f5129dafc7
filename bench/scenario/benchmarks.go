package scenario

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// benchmark is a benchmark of one of Papertape's packages.
type benchmark struct {
	pkg, name, time string
	takes           time.Duration
}

func benchmarksOf(whole bool) []benchmark {
	list := []benchmark{
		{"./positions", "DecideApply10Rows|Memory", "300ms", 3 * time.Second},
		{"./codec", "AppendEvent|DecodeOrder|Cut", "200ms", 2 * time.Second},
		{"./engine/journal", "Recover/engine", "1x", 6 * time.Second},
	}
	if whole {
		list[0].time, list[1].time = "1s", "1s"
	}
	return list
}

// benchmarks runs those benchmarks of Papertape that are about a target, as they measure
// what cannot be seen from outside.
func (r *Runner) benchmarks() (steps []step) {
	for round := range r.Size.Rounds {
		for _, b := range benchmarksOf(r.Size.Whole) {
			steps = append(steps, step{
				what: fmt.Sprintf("benchmarks, %s: %s (%d of %d)", b.pkg, b.name, round+1,
					r.Size.Rounds), takes: b.takes,
				record: func(ctx context.Context) ([]Record, error) {
					if !isSource(r.Source) {
						r.note(fmt.Sprintf("the benchmarks of the packages were not run: %s is not the source of "+
							"Papertape (--source)", r.Source))
						return nil, nil
					}
					values, err := goBench(ctx, r.Source, b)
					return []Record{{Scenario: "benchmarks", Cell: b.pkg, Contender: Ours.Name, Round: round,
						Values: values}}, err
				},
			})
		}
	}
	return steps
}

func isSource(dir string) bool {
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	return err == nil && bytes.HasPrefix(text, []byte("module github.com/papertape/papertape\n"))
}

const benchPatience = 10 * time.Minute

func goBench(ctx context.Context, dir string, b benchmark) (map[string]float64, error) {
	ctx, cancel := context.WithTimeout(ctx, benchPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "test", "-trimpath", "-run", "^$", "-bench", b.name, "-benchmem",
		"-benchtime", b.time, b.pkg)
	// Built like the server, so that most of it is already compiled.
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("go test -bench %s %s: %w\n%s", b.name, b.pkg, err, out)
	}
	values := parseBench(out)
	if len(values) == 0 {
		return nil, errors.Join(fmt.Errorf("go test -bench %s %s ran no benchmark:\n%s", b.name, b.pkg, out), ctx.Err())
	}
	return values, nil
}

// parseBench parses benchmark lines: Name-2 iterations value unit value unit …; the result
// is keyed by "Name unit".
func parseBench(out []byte) map[string]float64 {
	values := make(map[string]float64)
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) < 4 || !strings.HasPrefix(f[0], "Benchmark") {
			continue
		}
		name := strings.TrimPrefix(f[0], "Benchmark")
		if i := strings.LastIndexByte(name, '-'); i > 0 { // the number of processors
			name = name[:i]
		}
		for i := 2; i+1 < len(f); i += 2 {
			if v, err := strconv.ParseFloat(f[i], 64); err == nil {
				values[name+" "+f[i+1]] = v
			}
		}
	}
	return values
}
